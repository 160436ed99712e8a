#include "deliver/deliver_int.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/tod.h"
#include "base/wire.h"
#include "config/config.h"
#include "exim.h"
#include "hooks.h"
#include "host.h"
#include "match.h"
#include "message.h"
#include "transports/transport.h"

enum { MAX_PARALLEL = 64, RESULT_MAX = 16 * 1024 * 1024 };

/* Addresses that go in one call of the transport. */
struct group {
    struct group *next;
    struct address *first;
    int fd; /* where a child's results come from; -1: not running */
    pid_t pid;
    struct buf results;
};

static bool same_hosts(const struct host *a, const struct host *b)
{
    for (; a != NULL && b != NULL && a != b; a = a->next, b = b->next) {
        if (strcmp(a->name, b->name) != 0 || a->port != b->port || a->mx != b->mx)
            return false;
        if ((a->address == NULL) != (b->address == NULL) ||
            (a->address != NULL && strcmp(a->address, b->address) != 0))
            return false;
    }
    return a == b;
}

/* What MAIL says depends on it: recipients from lists or last hops travel apart. */
static bool passes_dsn(const struct address *a)
{
    return !a->dsn_null_from_list && !(a->dsn_flags & DSN_LASTHOP) && a->parent == NULL;
}

static bool may_join(const struct address *first, const struct address *next)
{
    const struct transport *t = first->transport;

    return next->transport == t && (t->multi_domain || strcmp(first->domain, next->domain) == 0) &&
           same_hosts(first->host_list, next->host_list) &&
           same_hosts(first->fallback_hosts, next->fallback_hosts) &&
           deliver_same_headers(first, next) && passes_dsn(first) == passes_dsn(next) &&
           first->uid == next->uid && first->gid == next->gid &&
           (first->self_hostname == next->self_hostname ||
            (first->self_hostname != NULL && next->self_hostname != NULL &&
             strcmp(first->self_hostname, next->self_hostname) == 0));
}

/* Only the list's own copy is walked, so a thousand recipients of one host cost a thousand
 * comparisons, not a million. */
static struct group *take_group(struct delivery *d)
{
    struct group *g = arena_new_obj(d->arena, struct group);
    struct address *last = d->addr_remote;
    long n = 1, max = last->transport->max_addresses;

    g->fd = -1;
    g->first = last;
    d->addr_remote = last->next;
    last->next = NULL;
    for (struct address **p = &d->addr_remote; *p != NULL && (max <= 0 || n < max);) {
        struct address *c = *p;
        if (!may_join(g->first, c)) {
            p = &c->next;
            continue;
        }
        *p = c->next;
        c->next = NULL;
        last->next = c;
        last = c;
        n++;
    }
    return g;
}

/* -N */
static void pretend(struct transport_call *call)
{
    transport_set_all(call, RC_OK, 0, NULL, NULL);
    for (struct address *addr = call->addrs; addr != NULL; addr = addr->next) {
        addr->host_used = addr->host_list;
        addr->confirmation = "delivery bypassed by -N option";
    }
}

static void deliver_limited(struct transport_call *call, const struct transport *t)
{
    bool counted;

    if (!deliver_limit_enter(call, t, &counted))
        return;
    t->driver->deliver(t, call);
    if (counted)
        deliver_limit_leave(call->ctx->exim, t);
}

static void run_transport(struct delivery *d, struct group *g)
{
    const struct transport *t = g->first->transport;
    struct expand_ctx ctx;
    struct transport_call call;
    int64_t start = tod_monotonic_ms();

    if (deliver_prepare(d, t, g->first, &call, &ctx)) {
        if (deliver_pretends(d))
            pretend(&call);
        else
            deliver_limited(&call, t);
    }
    for (struct address *addr = g->first; addr != NULL; addr = addr->next)
        addr->delivery_ms = tod_monotonic_ms() - start;
}

/* ---- in parallel: a child for each group, its results through a pipe ---- */

static NORETURN void child(struct delivery *d, struct group *g, int fd)
{
    struct buf b = buf_init(d->arena, RESULT_MAX);

    run_transport(d, g);
    for (const struct address *addr = g->first; addr != NULL; addr = addr->next) {
        report_put_result(&b, addr);
        wire_put_i64(&b, addr->delivery_ms);
    }
    bool ok = !b.full && fd_write_all(fd, b.p, b.len);
    if (g->first->transport->driver->tidy != NULL)
        g->first->transport->driver->tidy();
    _exit(ok ? 0 : 1);
}

static bool start_child(struct delivery *d, struct group *g)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    g->pid = proc_fork("remote delivery");
    if (g->pid == 0) {
        fd_close(fds[0]);
        child(d, g, fds[1]);
    }
    fd_close(fds[1]);
    if (g->pid < 0) {
        fd_close(fds[0]);
        return false;
    }
    g->fd = fds[0];
    g->results = buf_init(d->arena, RESULT_MAX);
    return true;
}

static void take_results(struct delivery *d, struct group *g)
{
    struct wire_reader r = wire_reader(buf_view(&g->results));

    for (struct address *addr = g->first; addr != NULL; addr = addr->next) {
        report_get_result(&r, d->arena, addr);
        addr->delivery_ms = (long)wire_get_i64(&r);
    }
    struct proc_status st = proc_wait(g->pid, -1);
    if (wire_done(&r))
        return;
    for (struct address *addr = g->first; addr != NULL; addr = addr->next)
        addr->result = (struct addr_result){ .rc = RC_DEFER, .basic_errno = ERR_UNKNOWNERROR, .status = "4.3.0",
            .message = arena_printf(d->arena, "remote delivery process %s %d",
                                    st.kind == PROC_SIGNALLED ? "was ended by signal" : "ended with status", st.code) };
}

/* Reads what a child has to say; true when it is finished. */
static bool read_results(struct group *g)
{
    char *p = buf_reserve(&g->results, 65536);
    ssize_t n = p == NULL ? 0 : fd_read(g->fd, p, 65536);

    if (n > 0) {
        buf_commit(&g->results, (size_t)n);
        return false;
    }
    fd_close(g->fd);
    g->fd = -1;
    return true;
}

static void settle_group(struct delivery *d, struct group *g)
{
    d->in_flight--;
    deliver_settle_all(d, g->first);
}

static void wait_some(struct delivery *d, struct group **running, size_t *n)
{
    struct pollfd p[MAX_PARALLEL];

    for (size_t i = 0; i < *n; i++)
        p[i] = (struct pollfd){ .fd = running[i]->fd, .events = POLLIN };
    if (poll(p, *n, -1) < 0)
        return; /* interrupted: look again */
    for (size_t i = *n; i-- > 0;)
        if (p[i].revents != 0 && read_results(running[i])) {
            take_results(d, running[i]);
            settle_group(d, running[i]);
            running[i] = running[--*n];
        }
}

static void run_parallel(struct delivery *d, struct group *groups, size_t limit)
{
    struct group *running[MAX_PARALLEL];
    size_t n = 0;

    deliver_journal(d);
    for (struct group *g = groups; g != NULL; g = g->next) {
        while (n >= limit)
            wait_some(d, running, &n);
        if (start_child(d, g)) {
            running[n++] = g;
            continue;
        }
        run_transport(d, g);
        settle_group(d, g);
    }
    while (n > 0)
        wait_some(d, running, &n);
}

/* ---- order and suppression ---- */

static bool waits_for_host(struct delivery *d, struct address *addr)
{
    const struct main_options *o = &d->exim->config->main;
    struct expand_ctx ctx;

    if (d->options->queue_smtp)
        return true;
    if (o->queue_smtp_domains == NULL || d->options->queue_run || d->options->force)
        return false;
    deliver_ctx(&ctx, d, addr);
    return match_domain(&ctx, o->queue_smtp_domains, addr->domain, NULL) == RC_OK;
}

static void suppress(struct delivery *d, struct address *addr, int why, const char *text)
{
    addr->flags |= ADDR_RETRY_SKIPPED;
    addr->result = (struct addr_result){ .rc = RC_DEFER, .basic_errno = why, .status = "4.4.0",
                                         .message = text };
    deliver_settle(d, addr);
}

static void drop_suppressed(struct delivery *d)
{
    struct address *list = d->addr_remote, *keep = NULL, **tail = &keep;

    for (struct address *next; list != NULL; list = next) {
        next = list->next;
        list->next = NULL;
        if (d->options->local_only) {
            suppress(d, list, ERR_LOCAL_ONLY, "remote deliveries suppressed");
        } else if (waits_for_host(d, list)) {
            if (list->transport->driver->note_waiting != NULL)
                list->transport->driver->note_waiting(list->transport, d, list);
            suppress(d, list, ERR_QUEUE_DOMAIN, "domain matches queue_smtp_domains, or -odqs set");
        } else {
            *tail = list;
            tail = &list->next;
        }
    }
    d->addr_remote = keep;
}

/* Moves the addresses whose domain matches l to the end of *sorted, in order. */
static struct address **move_matching(struct delivery *d, const struct match_list *l, struct address **tail)
{
    for (struct address **p = &d->addr_remote; *p != NULL;) {
        struct address *addr = *p;
        struct expand_ctx ctx;
        deliver_ctx(&ctx, d, addr);
        if (match_domain(&ctx, l, addr->domain, NULL) != RC_OK) {
            p = &addr->next;
            continue;
        }
        *p = addr->next;
        addr->next = NULL;
        *tail = addr;
        tail = &addr->next;
    }
    return tail;
}

/* remote_sort_domains: those of the first item first; the rest follow in their order. */
static void sort_by_domains(struct delivery *d)
{
    const struct match_list *order = d->exim->config->main.remote_sort_domains;
    struct address *sorted = NULL, **tail = &sorted;
    const char *item;
    struct err err;

    if (order == NULL || d->addr_remote == NULL || d->addr_remote->next == NULL)
        return;
    struct list_iter it = list_begin(order->text, ':');
    while ((item = list_next(&it, d->arena)) != NULL) {
        const struct match_list *l = d->exim->hooks->list_compile(d->arena, LIST_DOMAIN, item, d->exim->config, &err);
        if (l != NULL)
            tail = move_matching(d, l, tail);
    }
    *tail = d->addr_remote;
    d->addr_remote = sorted;
}

void deliver_remote_all(struct delivery *d)
{
    struct group *groups = NULL, **tail = &groups;
    size_t n = 0;
    long parallel = d->exim->config->main.remote_max_parallel;

    drop_suppressed(d);
    sort_by_domains(d);
    while (d->addr_remote != NULL) {
        *tail = take_group(d);
        tail = &(*tail)->next;
        n++;
    }
    d->in_flight = n;
    if (n > 1 && parallel > 1) {
        run_parallel(d, groups, parallel > MAX_PARALLEL ? MAX_PARALLEL : (size_t)parallel);
        return;
    }
    for (struct group *g = groups; g != NULL; g = g->next) {
        run_transport(d, g);
        settle_group(d, g);
    }
}
