#include "deliver/remote_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver/deliver_int.h"
#include "exim.h"
#include "hooks.h"
#include "host.h"
#include "match.h"
#include "message.h"
#include "transports/transport.h"

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
static struct remote_group *take_group(struct delivery *d)
{
    struct remote_group *g = arena_new_obj(d->arena, struct remote_group);
    struct address *last = d->addr_remote;
    long n = 1, max = last->transport->max_addresses;

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

void remote_run(struct delivery *d, struct remote_group *g)
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
    long taken = (long)(tod_monotonic_ms() - start);
    for (struct address *addr = g->first; addr != NULL; addr = addr->next)
        addr->delivery_ms = taken;
}

void remote_settle(struct delivery *d, struct remote_group *g)
{
    d->in_flight--;
    deliver_settle_list(d, g->first);
    deliver_journal_soon(d);
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
    struct remote_group *groups = NULL, **tail = &groups;
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
        remote_parallel(d, groups, n, (size_t)parallel);
        return;
    }
    for (struct remote_group *g = groups; g != NULL; g = g->next) {
        remote_run(d, g);
        remote_settle(d, g);
        deliver_journal_sync(d);
    }
}
