#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "daemon/daemon_int.h"
#include "exim.h"
#include "ipc.h"
#include "priv.h"
#include "receive.h"
#include "smtp_in.h"

enum { SERVED_MAX = 1000, GROWTH_MAX_KB = 32 * 1024 };

static void serve(struct daemon *d, const struct ipc_connection *c, int fd)
{
    static const struct receive_options in_background = { .background = true };
    char address[IP_TEXT_MAX];
    struct smtp_peer peer = {
        .client = c->client,
        .local = c->local,
        .client_port = c->client_port,
        .local_port = c->local_port,
        .in_fd = fd,
        .out_fd = fd,
        .tls_on_connect = c->tls_on_connect,
        .proxy = c->has_proxy ? &c->proxy : NULL,
        .proxy_session = c->proxy_session,
        .connection_count = c->count,
    };

    proc_title("handling connection from [%s]", ip_print(&c->client, address));
    int status = smtp_serve(d->exim, &peer, d->options->receive != NULL ? d->options->receive : &in_background);
    (void)status;
    proc_title("session, idle");
}

static long memory_kb(void)
{
    struct rusage use;

    return getrusage(RUSAGE_SELF, &use) == 0 ? use.ru_maxrss : 0;
}

static bool say_idle(int sock, bool leaving)
{
    const struct ipc_record r = { .kind = IPC_IDLE, .idle = { .leaving = leaving } };

    return ipc_send(sock, &r, -1) && !leaving;
}

static bool serve_next(struct daemon *d, int sock, unsigned *served, long limit)
{
    struct arena *a = arena_new("connection");
    struct ipc_record r;
    int fd = -1;
    bool ok = ipc_receive(sock, a, &r, &fd) == IPC_OK && r.kind == IPC_CONNECTION && fd >= 0;

    if (ok) {
        serve(d, &r.connection, fd);
        /* Before the client sees the end: it no longer counts when it comes again. */
        ok = say_idle(sock, ++*served >= SERVED_MAX || memory_kb() > limit || proc_got_term);
    }
    if (fd >= 0)
        (void)fd_close(fd);
    arena_destroy(&a);
    return ok;
}

/* Messages from the network are submitted by exim itself. */
static void become_originator(struct exim *e)
{
    const struct passwd *pw = getpwuid(geteuid());

    e->real_uid = geteuid();
    e->real_gid = getegid();
    if (pw != NULL)
        e->originator_login = arena_strdup(e->arena, pw->pw_name);
}

void daemon_session_prepare(struct daemon *d)
{
    struct err err = { 0 };

    become_originator(d->exim);
    d->exim->broker = priv_broker(d->exim->arena, d->session_agents[1]);
    d->exim->queue_fd = d->notices[1];
    d->session_filter = daemon_sandbox_new(d->exim->arena, &err);
    if (err.msg != NULL)
        log_write(d->exim->log, LOG_MAIN | LOG_PANIC, NULL, "sessions without a filter of system calls: %s", err.msg);
}

static void become_session(struct daemon *d, int sock)
{
    struct exim *e = d->exim;
    int keep[3 + LOG_FDS_MAX] = { sock, d->session_agents[1], d->notices[1] };
    size_t n = 3 + log_fds(e->log, keep + 3);
    struct err err = { 0 };
    sigset_t none;

    priv_close_others(e, keep, n);
    (void)sigemptyset(&none);
    proc_catch(SIGTERM); /* smtp_in says 421 then */
    proc_ignore(SIGPIPE);
    proc_ignore(SIGINT);
    proc_default(SIGCHLD);
    daemon_show_on_usr1(e);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (!daemon_sandbox(d->session_filter, &err))
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "session without sandbox: %s", err.msg);
}

void daemon_session(struct daemon *d, int sock)
{
    unsigned served = 0;
    bool go_on = true;

    become_session(d, sock);
    proc_title("session, idle");
    long limit = memory_kb() + GROWTH_MAX_KB;
    while (go_on && !proc_got_term)
        if (fd_wait_read_signal(sock, -1) > 0)
            go_on = serve_next(d, sock, &served, limit);
    _exit(0);
}
