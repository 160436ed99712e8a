#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/tod.h"
#include "config/config.h"
#include "daemon/acceptor_int.h"
#include "exim.h"
#include "ipc.h"

enum { SPARE_KEPT = 2, SPARE_MS = 10 * 1000, SLOT_BYTES = 64 * 1024 };

size_t acceptor_count(const struct acceptor *ac, const struct ip *ip, bool client)
{
    size_t n = 0;

    for (const struct session_slot *s = ac->slots; s != NULL; s = s->all)
        n += s->busy && ip_eq(client ? &s->client : &s->peer, ip);
    for (const struct pending *p = client ? NULL : ac->pending.first; p != NULL; p = p->next)
        n += ip_eq(&p->peer, ip);
    return n;
}

/* Sessions do not get a copy: as the acceptor changes these pages all the time, each of them would soon be
 * the only one to have the old ones. */
static bool make_slots(struct acceptor *ac)
{
    void *p = mmap(NULL, SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return false;
    (void)madvise(p, SLOT_BYTES, MADV_DONTFORK);
    ac->fresh = p;
    ac->fresh_count = SLOT_BYTES / sizeof(*ac->fresh);
    return true;
}

static struct session_slot *new_slot(struct acceptor *ac)
{
    struct session_slot *s = ac->free;

    if (s != NULL) {
        ac->free = s->next;
        return s;
    }
    if (ac->fresh_count == 0 && !make_slots(ac))
        return NULL;
    s = ac->fresh++;
    ac->fresh_count--;
    s->all = ac->slots;
    ac->slots = s;
    return s;
}

static void put_idle(struct acceptor *ac, struct session_slot *s)
{
    s->idle_since = tod_monotonic_ms();
    s->next = ac->idle;
    ac->idle = s;
    ac->idle_count++;
}

static struct session_slot *take_idle(struct acceptor *ac)
{
    struct session_slot *s = ac->idle;

    if (s != NULL) {
        ac->idle = s->next;
        ac->idle_count--;
    }
    return s;
}

/* Its process ends when it sees the end of the socket. */
static void free_slot(struct acceptor *ac, struct session_slot *s)
{
    (void)fd_close(s->sock); /* leaves the epoll set with it */
    s->sock = -1;
    s->pid = 0;
    s->next = ac->free;
    ac->free = s;
}

static struct session_slot *start_session(struct acceptor *ac)
{
    int ends[2];

    if (!ipc_pair(ends))
        return NULL;
    acceptor_prepare_tls(ac);
    tod_prepare();
    pid_t pid = proc_fork("session");
    if (pid == 0)
        daemon_session(ac->daemon, ends[1]);
    (void)fd_close(ends[1]);
    struct session_slot *s = new_slot(ac);
    if (s == NULL) {
        (void)fd_close(ends[0]); /* which ends it */
        return NULL;
    }
    *s = (struct session_slot){ .sock = ends[0], .pid = pid, .all = s->all };
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = s };
    if (pid > 0 && fd_set_nonblock(s->sock, true) && epoll_ctl(ac->session_epoll, EPOLL_CTL_ADD, s->sock, &ev) == 0)
        return s;
    free_slot(ac, s);
    return NULL;
}

static void fill_local(struct acceptor *ac, const struct arrival *in, struct ipc_connection *c)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof(sa);

    c->local = ac->daemon->listeners[in->listener].at.ip;
    c->local_port = ac->daemon->listeners[in->listener].at.port;
    if (getsockname(in->fd, (struct sockaddr *)&sa, &len) == 0)
        c->local = ip_from_sockaddr((struct sockaddr *)&sa, &c->local_port);
}

static struct ipc_record describe(struct acceptor *ac, const struct arrival *in)
{
    struct ipc_record r = { .kind = IPC_CONNECTION };
    struct ipc_connection *c = &r.connection;

    c->client = in->peer;
    c->client_port = in->port;
    fill_local(ac, in, c);
    c->tls_on_connect = ac->daemon->listeners[in->listener].at.tls_on_connect;
    c->proxy_session = in->proxy_session;
    c->count = (uint32_t)(ac->busy + ac->pending.count + 1);
    c->has_proxy = in->proxy != NULL;
    if (c->has_proxy)
        c->proxy = *in->proxy;
    return r;
}

static void take_to_work(struct acceptor *ac, struct session_slot *s, const struct arrival *in)
{
    s->busy = true;
    ac->busy++;
    s->peer = s->client = in->peer;
    if (in->proxy != NULL && in->proxy->ok && in->proxy->header.kind == PROXY_KIND_INET)
        s->client = in->proxy->header.client;
}

void acceptor_hand_over(struct acceptor *ac, const struct arrival *in)
{
    struct ipc_record r = describe(ac, in);
    struct session_slot *s;

    while ((s = take_idle(ac)) != NULL || (s = start_session(ac)) != NULL) {
        if (ipc_send(s->sock, &r, in->fd)) {
            take_to_work(ac, s, in);
            (void)fd_close(in->fd);
            return;
        }
        free_slot(ac, s);
    }
    log_write(ac->exim->log, LOG_MAIN | LOG_PANIC, NULL, "cannot start a process for the connection from %s: %s",
              acceptor_whofrom(ac, in), strerror(errno));
    acceptor_refuse(ac, in->fd, "421 Too much load; please try again later.\r\n");
}

static void log_loss(struct acceptor *ac, const struct session_slot *s, int status)
{
    char text[IP_TEXT_MAX];

    if (WIFSIGNALED(status))
        log_write(ac->exim->log, LOG_MAIN | LOG_PANIC, NULL,
                  "process %d crashed with signal %d while serving [%s]", (int)s->pid, WTERMSIG(status),
                  ip_print(&s->client, text));
    else
        log_write(ac->exim->log, LOG_MAIN | LOG_PANIC, NULL, "process %d ended while serving [%s]",
                  (int)s->pid, ip_print(&s->client, text));
}

static void reap_one(struct acceptor *ac, const struct session_slot *s)
{
    int status;

    if (s->pid != 0 && waitpid(s->pid, &status, 0) == s->pid)
        log_loss(ac, s, status);
}

void acceptor_reap(struct acceptor *ac)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (acceptor_submission_ended(ac, pid))
            continue;
        for (struct session_slot *s = ac->slots; s != NULL; s = s->all)
            if (s->pid == pid && s->busy) {
                log_loss(ac, s, status);
                s->pid = 0;
            }
    }
}

static void unlink_idle(struct acceptor *ac, const struct session_slot *s)
{
    for (struct session_slot **at = &ac->idle; *at != NULL; at = &(*at)->next)
        if (*at == s) {
            *at = s->next;
            ac->idle_count--;
            return;
        }
}

static void session_lost(struct acceptor *ac, struct session_slot *s)
{
    if (s->busy)
        reap_one(ac, s);
    if (s->busy) {
        s->busy = false;
        ac->busy--;
    } else {
        unlink_idle(ac, s);
    }
    free_slot(ac, s);
}

static void session_ready(struct acceptor *ac, struct session_slot *s)
{
    struct ipc_record r;
    int extra;

    if (s->sock < 0)
        return;
    enum ipc_rc rc = ipc_receive(s->sock, ac->scratch, &r, &extra);
    if (rc == IPC_NONE)
        return; /* an event of a slot's earlier session */
    if (rc != IPC_OK || r.kind != IPC_IDLE || !s->busy) {
        session_lost(ac, s);
        return;
    }
    if (extra >= 0)
        (void)fd_close(extra);
    s->busy = false;
    ac->busy--;
    if (r.idle.leaving || ac->draining)
        free_slot(ac, s);
    else
        put_idle(ac, s);
}

void acceptor_hear_sessions(struct acceptor *ac)
{
    struct epoll_event events[EVENTS];
    int n;

    do {
        n = epoll_wait(ac->session_epoll, events, EVENTS, 0);
        for (int i = 0; i < n; i++)
            session_ready(ac, events[i].data.ptr);
    } while (n == EVENTS);
}

/* The list is in the order of use: the last ones waited longest. */
void acceptor_trim_sessions(struct acceptor *ac)
{
    int64_t old = tod_monotonic_ms() - SPARE_MS;
    struct session_slot **at = &ac->idle;

    for (size_t i = 0; i < SPARE_KEPT && *at != NULL; i++)
        at = &(*at)->next;
    while (*at != NULL && (*at)->idle_since > old)
        at = &(*at)->next;
    while (*at != NULL) {
        struct session_slot *s = *at;

        *at = s->next;
        ac->idle_count--;
        free_slot(ac, s);
    }
}

void acceptor_end_sessions(struct acceptor *ac, bool busy_too)
{
    struct session_slot *s;

    while ((s = take_idle(ac)) != NULL)
        free_slot(ac, s);
    for (s = busy_too ? ac->slots : NULL; s != NULL; s = s->all)
        if (s->busy)
            (void)kill(s->pid, SIGTERM);
}
