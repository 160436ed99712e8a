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
#include "config/config.h"
#include "daemon/daemon_int.h"
#include "exim.h"
#include "expand.h"
#include "host.h"
#include "ipc.h"
#include "match.h"
#include "priv.h"
#include "receive.h"
#include "session.h"
#include "smtp_in.h"

enum { SERVED_MAX = 1000, GROWTH_MAX_KB = 32 * 1024 };

/* ---- smtp_accept_reserve, smtp_load_reserve: the client is known by now ---- */

static enum rc reserve_names(struct expand_ctx *ctx, struct match_host_subject *s)
{
    struct err err = { 0 };
    bool dnssec;

    return host_name_lookup(ctx->exim, ctx->arena, s->address, &s->names, &dnssec, &err);
}

static bool in_reserve_list(struct exim *e, struct arena *a, const char *address, int port)
{
    const struct match_list *list = e->config->main.smtp_reserve_hosts;
    struct match_host_subject host = { .address = address, .lookup_names = reserve_names };
    struct session s = { .arena = a, .exim = e, .host_address = address, .host_port = port };
    struct expand_ctx ctx;

    if (list == NULL)
        return false;
    expand_ctx_init(&ctx, e, a);
    ctx.session = &s;
    return match_host(&ctx, list, &host, NULL) == RC_OK;
}

static const char *active_hostname(struct exim *e, struct arena *a)
{
    struct expand_ctx ctx;
    const char *name;

    expand_ctx_init(&ctx, e, a);
    if (e->config->main.smtp_active_hostname == NULL ||
        expand(&ctx, e->config->main.smtp_active_hostname, &name) != EXPAND_OK || *name == '\0')
        return e->config->primary_hostname;
    return name;
}

static void refuse(struct exim *e, struct arena *a, int fd, const char *text)
{
    const char *line = arena_printf(a, "421 %s: %s; please try again later\r\n", active_hostname(e, a), text);
    ssize_t sent = send(fd, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)sent;
}

static bool too_many(const struct main_options *o, uint32_t count)
{
    return o->smtp_accept_max > 0 && o->smtp_accept_reserve > 0 &&
           (long)count > o->smtp_accept_max - o->smtp_accept_reserve;
}

/* True: the connection was refused with Exim's words. */
static bool refused_by_reserve(struct exim *e, struct arena *a, const struct smtp_peer *p)
{
    const struct main_options *o = &e->config->main;
    char address[IP_TEXT_MAX];
    double load = 0;
    bool many = too_many(o, p->connection_count);
    bool loaded = o->smtp_load_reserve >= 0 && getloadavg(&load, 1) == 1 && load * 1000 > o->smtp_load_reserve;

    if (!many && !loaded)
        return false;
    if (in_reserve_list(e, a, ip_print(&p->client, address), p->client_port))
        return false;
    const char *from = arena_printf(a, "[%s]", ip_print(&p->client, address));
    if (many && log_wants(e->log, L_connection_reject))
        log_write(e->log, LOG_MAIN, NULL,
                  "temporarily refused connection from %s: not in reserve list: connected=%u max=%ld reserve=%ld%s",
                  from, p->connection_count - 1, o->smtp_accept_max, o->smtp_accept_reserve, "");
    else if (log_wants(e->log, L_connection_reject))
        log_write(e->log, LOG_MAIN, NULL,
                  "temporarily refused connection from %s: not in reserve list and load average = %.2f", from, load);
    refuse(e, a, p->in_fd, many ? "Too many concurrent SMTP connections" : "Too much load");
    return true;
}

/* ---- one connection ---- */

static void serve(struct daemon *d, struct arena *a, const struct ipc_connection *c, int fd)
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
    if (!refused_by_reserve(d->exim, a, &peer)) {
        int status = smtp_serve(d->exim, &peer,
                                d->options->receive != NULL ? d->options->receive : &in_background);
        (void)status;
    }
    proc_title("session, idle");
}

static long memory_kb(void)
{
    struct rusage use;

    return getrusage(RUSAGE_SELF, &use) == 0 ? use.ru_maxrss : 0;
}

static bool serve_next(struct daemon *d, int sock, unsigned *served, long limit)
{
    struct arena *a = arena_new("connection");
    struct ipc_record r, done = { .kind = IPC_IDLE };
    int fd = -1;
    bool ok = ipc_receive(sock, a, &r, &fd) == IPC_OK && r.kind == IPC_CONNECTION && fd >= 0;

    if (ok)
        serve(d, a, &r.connection, fd);
    if (fd >= 0)
        (void)fd_close(fd);
    arena_destroy(&a);
    if (!ok)
        return false;
    done.idle.leaving = ++*served >= SERVED_MAX || memory_kb() > limit || proc_got_term;
    return ipc_send(sock, &done, -1) && !done.idle.leaving;
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

static void become_session(struct daemon *d, int sock)
{
    int keep[] = { sock, d->session_agents[1], d->notices[1] };
    struct exim *e = d->exim;
    struct err err = { 0 };
    sigset_t none;

    priv_close_others(e, keep, ARRAY_LEN(keep));
    e->broker = priv_broker(e->arena, d->session_agents[1]);
    e->queue_fd = d->notices[1];
    become_originator(e);
    (void)sigemptyset(&none);
    proc_catch(SIGTERM); /* smtp_in says 421 then */
    proc_ignore(SIGPIPE);
    proc_ignore(SIGINT);
    proc_default(SIGCHLD);
    daemon_show_on_usr1(e);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (!daemon_sandbox(&err))
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
