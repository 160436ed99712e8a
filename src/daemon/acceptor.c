#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/tod.h"
#include "config/config.h"
#include "daemon/acceptor_int.h"
#include "daemon/proxy_counts.h"
#include "exim.h"
#include "expand.h"
#include "match.h"
#include "session.h"
#include "tls.h"
#include "version.h"

enum { ACCEPT_BURST = 64, TRIM_MS = 2000, TLS_CHECK_MS = 1000, TLS_PAUSE_MS = 30 * 1000 };

/* ---- accepting ---- */

static bool wants_log_line(struct acceptor *ac, const struct arrival *in)
{
    const struct match_list *nolog = ac->exim->config->main.hosts_connection_nolog;
    char text[IP_TEXT_MAX];
    struct match_host_subject host = { .address = ip_print(&in->peer, text) };
    struct expand_ctx ctx;

    if (!log_wants(ac->exim->log, L_smtp_connection))
        return false;
    if (nolog == NULL)
        return true;
    expand_ctx_init(&ctx, ac->exim, ac->scratch);
    return match_host(&ctx, nolog, &host, NULL) != RC_OK;
}

void acceptor_log_connection(struct acceptor *ac, const struct arrival *in)
{
    if (wants_log_line(ac, in))
        log_write(ac->exim->log, LOG_MAIN | LOG_BY(smtp_connection), NULL,
                  "SMTP connection from %s (TCP/IP connection count = %zu)",
                  acceptor_whofrom(ac, in), ac->busy + ac->pending.count + 1);
}

static void admit(struct acceptor *ac, const struct arrival *in)
{
    if (!acceptor_admits(ac, in))
        return;
    if (acceptor_owes_header(ac, in)) {
        acceptor_await_header(ac, in);
        return;
    }
    acceptor_log_connection(ac, in);
    acceptor_hand_over(ac, in);
}

/* Errors of a connection that was lost before it was accepted are no errors of ours. */
static bool accept_failed(struct acceptor *ac)
{
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED || errno == EPROTO)
        return false;
    log_write(ac->exim->log, LOG_MAIN, NULL, "accept() failure: %s", strerror(errno));
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        (void)usleep(100 * 1000); /* sessions that end make room */
    return true;
}

static void accept_some(struct acceptor *ac, size_t listener)
{
    struct arena_mark mark = arena_mark(ac->scratch);

    for (int i = 0; i < ACCEPT_BURST; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof(sa);
        struct arrival in = { .listener = listener };

        in.fd = accept4(ac->daemon->listeners[listener].fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC);
        if (in.fd < 0) {
            (void)accept_failed(ac);
            break;
        }
        in.peer = ip_from_sockaddr((struct sockaddr *)&sa, &in.port);
        admit(ac, &in);
        arena_reset(ac->scratch, mark);
    }
}

void acceptor_prepare_tls(struct acceptor *ac)
{
    struct err err = { 0 };
    int64_t now = tod_monotonic_ms();

    if (ac->tls_checked != 0 && now - ac->tls_checked < (ac->tls_failed ? TLS_PAUSE_MS : TLS_CHECK_MS))
        return;
    ac->tls_checked = now;
    bool failed = !tls_server_prepare(ac->exim, &err);
    if (failed && !ac->tls_failed) /* sessions say so again, to those who ask for TLS */
        log_write(ac->exim->log, LOG_MAIN | LOG_PANIC, NULL, "TLS: %s", err.msg);
    ac->tls_failed = failed;
}

/* ---- the loop ---- */

static void handle_event(struct acceptor *ac, const struct epoll_event *ev)
{
    struct watch *w = ev->data.ptr;
    struct arena_mark mark = arena_mark(ac->scratch);

    switch (w->kind) {
    case WATCH_LISTENER:
        if (!ac->draining)
            accept_some(ac, (size_t)(w - ac->listeners));
        break;
    case WATCH_SESSIONS:
        acceptor_hear_sessions(ac);
        break;
    case WATCH_SUBMISSIONS:
        if (!ac->draining)
            acceptor_take_submissions(ac);
        break;
    case WATCH_PENDING:
        acceptor_pending_ready(ac, (struct pending *)(void *)w,
                               (ev->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
        break;
    }
    arena_reset(ac->scratch, mark);
}

static int time_to_wait(const struct acceptor *ac)
{
    int64_t next = acceptor_next_deadline(ac), now = tod_monotonic_ms();
    int64_t wait = ac->idle_count > 2 || ac->busy > 0 ? TRIM_MS : -1;

    if (next >= 0 && (wait < 0 || next - now < wait))
        wait = next > now ? next - now : 0;
    return (int)wait;
}

static void watch(struct acceptor *ac, struct watch *w, enum watch_kind kind, int fd)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = w };

    w->kind = kind;
    if (epoll_ctl(ac->epoll, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("acceptor: epoll: %s", strerror(errno));
}

/* From now on the end of a session is what is waited for. */
static void stop_accepting(struct acceptor *ac)
{
    if (ac->draining)
        return;
    ac->draining = true;
    watch(ac, &ac->session_watch, WATCH_SESSIONS, ac->session_epoll);
    for (size_t i = 0; i < ac->daemon->listener_count; i++)
        (void)fd_close(ac->daemon->listeners[i].fd);
    if (ac->daemon->submission_fd >= 0)
        (void)fd_close(ac->daemon->submission_fd);
}

static void show(struct acceptor *ac)
{
    struct buf counts = buf_init(ac->scratch, BUF_DEFAULT_CEILING);

    proxy_counts_print_short(ac->daemon->proxy_counts, &counts);
    proc_title("acceptor(%s): %zu connections, %zu wait for a PROXY header; %s", EXIM_VERSION,
               ac->busy + ac->pending.count, ac->pending.count, buf_cstr(&counts));
    daemon_show(ac->exim);
}

static void handle_signals(struct acceptor *ac)
{
    if (proc_got_chld) {
        proc_got_chld = 0;
        acceptor_reap(ac);
    }
    if (proc_got_usr1) {
        proc_got_usr1 = 0;
        show(ac);
    }
    if (proc_got_hup) { /* another one with a newer configuration accepts now */
        proc_got_hup = 0;
        stop_accepting(ac);
        acceptor_end_sessions(ac, false);
    }
    if (proc_got_term) {
        proc_got_term = 0;
        stop_accepting(ac);
        acceptor_drop_pending(ac);
        acceptor_end_sessions(ac, true);
        acceptor_end_submissions(ac);
    }
}

static void loop(struct acceptor *ac)
{
    while (!ac->draining || ac->busy > 0 || ac->pending.count > 0 || ac->submission_count > 0) {
        int n = epoll_pwait(ac->epoll, ac->events, EVENTS, time_to_wait(ac), &ac->during_wait);
        struct arena_mark mark = arena_mark(ac->scratch);

        for (int i = 0; i < n; i++)
            handle_event(ac, &ac->events[i]);
        if (n <= 0)
            acceptor_hear_sessions(ac);
        acceptor_expire_pending(ac);
        acceptor_trim_sessions(ac);
        arena_reset(ac->scratch, mark);
        handle_signals(ac);
    }
}

static void watch_all(struct acceptor *ac)
{
    const struct daemon *d = ac->daemon;

    ac->listeners = arena_new_array(ac->arena, struct watch, d->listener_count);
    for (size_t i = 0; i < d->listener_count; i++)
        watch(ac, &ac->listeners[i], WATCH_LISTENER, d->listeners[i].fd);
    if (d->submission_fd >= 0)
        watch(ac, &ac->submission_watch, WATCH_SUBMISSIONS, d->submission_fd);
}

static void become_acceptor(struct daemon *d)
{
    struct arena *a = arena_new("acceptor start");
    int *keep = arena_new_array(a, int, d->listener_count + 3);
    size_t n = 0;

    for (size_t i = 0; i < d->listener_count; i++)
        keep[n++] = d->listeners[i].fd;
    keep[n++] = d->session_agents[1];
    keep[n++] = d->notices[1];
    if (d->submission_fd >= 0)
        keep[n++] = d->submission_fd;
    daemon_become_role(d, "acceptor", keep, n);
    arena_destroy(&a);
}

/* What changes all the time is kept together: a session that was forked meanwhile is left with the only copy
 * of each page that changed. */
static struct acceptor *new_acceptor(struct daemon *d)
{
    arena_keep_apart();
    struct arena *a = arena_new("acceptor");
    struct acceptor *ac = arena_new_obj(a, struct acceptor);

    ac->daemon = d;
    ac->exim = d->exim;
    ac->arena = a;
    ac->scratch = arena_new("acceptor scratch");
    ac->epoll = epoll_create1(EPOLL_CLOEXEC);
    ac->session_epoll = epoll_create1(EPOLL_CLOEXEC);
    if (ac->epoll < 0 || ac->session_epoll < 0)
        die("acceptor: epoll: %s", strerror(errno));
    return ac;
}

void daemon_acceptor(struct daemon *d)
{
    become_acceptor(d);
    daemon_session_prepare(d);
    struct acceptor *ac = new_acceptor(d);

    daemon_signals_block(&ac->during_wait);
    proc_ignore(SIGPIPE);
    acceptor_prepare_tls(ac);
    watch_all(ac);
    loop(ac);
    _exit(0);
}
