/* Connections that owe a PROXY header. */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/tod.h"
#include "config/config.h"
#include "daemon/acceptor_int.h"
#include "daemon/proxy_counts.h"
#include "exim.h"
#include "expand.h"
#include "match.h"
#include "session.h"

enum { FIRST_BYTES = 64, HEADER_DEFAULT = 4096, SCRATCH = PROXY_HEADER_MAX + 1 };

bool acceptor_owes_header(struct acceptor *ac, const struct arrival *in)
{
    const struct match_list *list = ac->exim->config->main.proxy_required_hosts;
    char text[IP_TEXT_MAX];
    struct match_host_subject host = { .address = ip_print(&in->peer, text) };
    struct session s = { .arena = ac->scratch, .exim = ac->exim, .host_address = text, .host_port = in->port,
                         .interface_port = ac->daemon->listeners[in->listener].at.port };
    struct expand_ctx ctx;

    if (list == NULL)
        return false;
    expand_ctx_init(&ctx, ac->exim, ac->scratch);
    ctx.session = &s;
    enum rc rc = match_host(&ctx, list, &host, NULL);
    if (rc == RC_DEFER)
        log_write(ac->exim->log, LOG_MAIN | LOG_PANIC, NULL, "proxy_required_hosts for %s: %s",
                  acceptor_whofrom(ac, in), ctx.err.msg == NULL ? "cannot be told" : ctx.err.msg);
    /* Who cannot be told apart from a balancer is treated as one: nobody gets around the list. */
    return rc != RC_FAIL;
}

/* ---- the list, in the order of the deadlines ---- */

static struct pending *add(struct acceptor *ac, const struct arrival *in)
{
    struct pending_list *l = &ac->pending;
    struct pending *p = l->free;

    if (p != NULL)
        l->free = p->next;
    else
        p = arena_new_obj(ac->arena, struct pending);
    *p = (struct pending){
        .watch = { WATCH_PENDING },
        .fd = in->fd,
        .port = in->port,
        .listener = (uint16_t)in->listener,
        .peer = in->peer,
        .deadline = tod_monotonic_ms() + ac->exim->config->main.proxy_protocol_timeout * 1000,
        .prev = l->last,
    };
    *(l->last == NULL ? &l->first : &l->last->next) = p;
    l->last = p;
    l->count++;
    return p;
}

static void take_out(struct acceptor *ac, struct pending *p)
{
    struct pending_list *l = &ac->pending;

    *(p->prev == NULL ? &l->first : &p->prev->next) = p->next;
    *(p->next == NULL ? &l->last : &p->next->prev) = p->prev;
    l->count--;
    if (p->watched)
        (void)epoll_ctl(ac->epoll, EPOLL_CTL_DEL, p->fd, NULL);
    p->fd = -1;
    p->prev = NULL;
    p->next = l->free;
    l->free = p;
}

/* ---- the end of a negotiation ---- */

static struct arrival arrival_of(const struct pending *p)
{
    return (struct arrival){
        .fd = p->fd, .listener = p->listener, .peer = p->peer, .port = p->port, .proxy_session = true
    };
}

/* Not one byte more than the header leaves the kernel. */
static bool consume(struct acceptor *ac, int fd, size_t n)
{
    return n == 0 || recv(fd, ac->seen, n, MSG_DONTWAIT) == (ssize_t)n;
}

/* Whoever came through the balancer is who connected. */
static void log_client(struct acceptor *ac, const struct arrival *in, const struct proxy_state *state)
{
    struct arrival shown = *in;

    if (state->ok && state->header.kind == PROXY_KIND_INET) {
        shown.peer = state->header.client;
        shown.port = state->header.client_port;
    }
    acceptor_log_connection(ac, &shown);
}

static void pass(struct acceptor *ac, struct pending *p, const struct proxy_state *state)
{
    struct arrival in = arrival_of(p);
    const struct ip *client = state->ok && state->header.kind == PROXY_KIND_INET ? &state->header.client
                                                                                 : &in.peer;

    in.proxy = state;
    take_out(ac, p);
    proxy_counts_add(ac->daemon->proxy_counts, state);
    log_client(ac, &in, state);
    if (acceptor_admits_client(ac, &in, client))
        acceptor_hand_over(ac, &in);
    else
        proxy_counts_add_over_limit(ac->daemon->proxy_counts);
}

static void succeed(struct acceptor *ac, struct pending *p, const struct proxy_header *h)
{
    struct proxy_state state = { .ok = true, .header = *h };

    /* The TLVs are in the buffer that the same bytes are read into again. */
    if (!consume(ac, p->fd, h->used)) {
        int fd = p->fd;

        take_out(ac, p);
        (void)fd_close(fd);
        return;
    }
    pass(ac, p, &state);
}

static void fail(struct acceptor *ac, struct pending *p, size_t have, const char *why)
{
    struct proxy_state state = { .failure = why };
    bool complete;
    size_t first = have < FIRST_BYTES ? have : FIRST_BYTES;

    state.first_bytes = (struct str){ arena_strndup(ac->scratch, (const char *)ac->seen, first), first };
    if (have > 0 && !consume(ac, p->fd, proxy_extent(ac->seen, have, &complete)))
        state.failure = proxy_reason_text(PROXY_REASON_LOST);
    pass(ac, p, &state);
}

/* Whoever closes without a word still gets a session, for the ACLs and the log; but not when thousands
 * close at once. */
static void close_early(struct acceptor *ac, struct pending *p)
{
    enum { BUSY_ENOUGH = 50 };
    const struct proxy_state state = { .failure = proxy_reason_text(PROXY_REASON_CLOSED) };
    int fd = p->fd;

    acceptor_hear_sessions(ac);
    if (ac->busy < BUSY_ENOUGH) {
        fail(ac, p, 0, state.failure);
        return;
    }
    proxy_counts_add(ac->daemon->proxy_counts, &state);
    take_out(ac, p);
    (void)fd_close(fd);
}

static size_t max_header(const struct acceptor *ac)
{
    long max = ac->exim->config->main.proxy_protocol_max_header;

    return max <= 0 ? HEADER_DEFAULT : max > PROXY_HEADER_MAX ? PROXY_HEADER_MAX : (size_t)max;
}

/* What has come so far, left where it is; -1: lost, or nothing new. */
static ssize_t peek(struct acceptor *ac, const struct pending *p)
{
    if (ac->seen == NULL)
        ac->seen = (unsigned char *)arena_new_buffer(ac->arena, SCRATCH);
    return recv(p->fd, ac->seen, SCRATCH, MSG_PEEK | MSG_DONTWAIT);
}

static void look(struct acceptor *ac, struct pending *p, bool hung_up)
{
    ssize_t got = peek(ac, p);
    size_t have = got > 0 ? (size_t)got : 0, need;
    struct proxy_header h;
    const char *why = NULL;
    bool complete = false;

    if (got < 0 && (errno == EAGAIN || errno == EINTR) && !hung_up)
        return;
    if (got <= 0) {
        close_early(ac, p);
        return;
    }
    switch (proxy_decode(&h, ac->seen, have, max_header(ac), &need, &why)) {
    case PROXY_OK:
        succeed(ac, p, &h);
        return;
    case PROXY_BAD: /* the rest of the bad header is waited for, to drop it too */
        (void)proxy_extent(ac->seen, have, &complete);
        if (complete || hung_up || have == SCRATCH)
            fail(ac, p, have, why);
        return;
    case PROXY_MORE:
        if (hung_up)
            fail(ac, p, have, proxy_reason_text(PROXY_REASON_CLOSED_WITHIN));
        return;
    }
}

void acceptor_pending_ready(struct acceptor *ac, struct pending *p, bool hung_up)
{
    if (p->fd >= 0)
        look(ac, p, hung_up);
}

void acceptor_await_header(struct acceptor *ac, const struct arrival *in)
{
    struct pending *p = add(ac, in);
    struct epoll_event ev = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.ptr = p };

    look(ac, p, false); /* most proxies send it at once */
    if (p->fd < 0)
        return;
    p->watched = epoll_ctl(ac->epoll, EPOLL_CTL_ADD, in->fd, &ev) == 0;
    if (!p->watched)
        fail(ac, p, 0, proxy_reason_text(PROXY_REASON_RESOURCES));
}

/* ---- time and the end ---- */

static void expire(struct acceptor *ac, struct pending *p)
{
    ssize_t got = peek(ac, p);
    size_t have = got > 0 ? (size_t)got : 0, need;
    struct proxy_header h;
    const char *why = NULL;

    if (have == 0) {
        fail(ac, p, 0, proxy_reason_text(PROXY_REASON_SILENT));
        return;
    }
    enum proxy_rc rc = proxy_decode(&h, ac->seen, have, max_header(ac), &need, &why);
    if (rc == PROXY_OK) {
        succeed(ac, p, &h);
        return;
    }
    fail(ac, p, have, rc == PROXY_BAD ? why : proxy_reason_text(PROXY_REASON_INCOMPLETE));
}

void acceptor_expire_pending(struct acceptor *ac)
{
    int64_t now = tod_monotonic_ms();

    while (ac->pending.first != NULL && ac->pending.first->deadline <= now)
        expire(ac, ac->pending.first);
}

int64_t acceptor_next_deadline(const struct acceptor *ac)
{
    return ac->pending.first == NULL ? -1 : ac->pending.first->deadline;
}

void acceptor_drop_pending(struct acceptor *ac)
{
    while (ac->pending.first != NULL) {
        int fd = ac->pending.first->fd;

        take_out(ac, ac->pending.first);
        acceptor_refuse(ac, fd, "421 Service not available; please try again later.\r\n");
    }
}
