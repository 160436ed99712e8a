#include "deliver/deliver_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "match.h"
#include "message.h"
#include "retry.h"
#include "rewrite.h"
#include "route.h"
#include "transports/transport.h"

enum { MAX_ADDRESSES = 500000 };

static void hold(struct delivery *d, struct address *addr, int basic_errno, const char *message)
{
    addr->result = (struct addr_result){ .rc = RC_DEFER, .basic_errno = basic_errno, .message = message,
                                         .status = "4.7.0" };
    deliver_settle(d, addr);
}

/* hold_domains, queue_domains: does a list forbid delivery just now? */
static bool is_held(struct delivery *d, struct address *addr)
{
    const struct main_options *o = &d->exim->config->main;
    struct expand_ctx ctx;
    enum rc rc;

    if (addr->domain == NULL || (addr->flags & ADDR_PIPE_FILE_REPLY))
        return false;
    deliver_ctx(&ctx, d, addr);
    if (o->hold_domains != NULL && !d->options->force &&
        (rc = match_domain(&ctx, o->hold_domains, addr->domain, NULL)) != RC_FAIL) {
        hold(d, addr, ERR_HELD, rc == RC_DEFER ? "hold_domains lookup deferred" : "domain is held");
        return true;
    }
    if (o->queue_domains != NULL && !d->options->force && !d->options->queue_run &&
        match_domain(&ctx, o->queue_domains, addr->domain, NULL) == RC_OK) {
        hold(d, addr, ERR_QUEUE_DOMAIN, "domain is in queue_domains");
        return true;
    }
    return false;
}

/* user%dom@here becomes user@dom for domains in percent_hack_domains. */
static void percent_hack(struct delivery *d, struct address *addr)
{
    const struct main_options *o = &d->exim->config->main;
    struct expand_ctx ctx;

    deliver_ctx(&ctx, d, addr);
    for (int i = 0; i < 10 && o->percent_hack_domains != NULL && addr->local_part != NULL; i++) {
        const char *pc = strrchr(addr->local_part, '%');
        if (pc == NULL || match_domain(&ctx, o->percent_hack_domains, addr->domain, NULL) != RC_OK)
            return;
        addr->address = arena_printf(d->arena, "%.*s@%s", (int)(pc - addr->local_part),
                                     addr->local_part, pc + 1);
        if (!address_split(d->arena, addr))
            return;
    }
}

/* The same delivery named twice in one run happens once; the second shares its fate. */
static bool is_duplicate(struct delivery *d, struct hash *seen, struct address *addr)
{
    struct address *first = hash_find(seen, addr->unique);

    if (first == NULL) {
        hash_put(seen, addr->unique, addr);
        return false;
    }
    if (first == addr || first->top == NULL)
        return false;
    addr->dup_of = first;
    addr->outcome = OUTCOME_DISCARDED;
    addr->result.rc = RC_OK;
    deliver_address_done(d, addr);
    return true;
}

/* Was this very delivery done in an earlier run? */
static bool is_done(struct delivery *d, struct address *addr)
{
    if (!message_is_nonrecipient(d->message, addr->unique))
        return false;
    addr->outcome = OUTCOME_DISCARDED;
    addr->result.rc = RC_OK;
    deliver_address_done(d, addr);
    return true;
}

static void rewrite_envelope_to(struct delivery *d, struct address *addr)
{
    struct expand_ctx ctx;

    if (addr->parent != NULL || d->exim->config->rewrite_rules == NULL)
        return;
    deliver_ctx(&ctx, d, addr);
    const char *new = rewrite_address(&ctx, d->exim->config->rewrite_rules, addr->address,
                                      REWRITE_ENV_TO, NULL);
    if (new != addr->address && strcmp(new, addr->address) != 0) {
        addr->address = arena_strdup(d->arena, new);
        (void)address_split(d->arena, addr);
    }
}

/* The retry database says whether routing may be tried; true: the address is settled. */
static bool retry_says_wait(struct delivery *d, struct address *addr)
{
    bool expired = false;

    if (retry_check_address(d, addr, true, &expired))
        return false;
    addr->flags |= ADDR_RETRY_SKIPPED;
    addr->result = (struct addr_result){ .rc = RC_DEFER, .basic_errno = ERR_RRETRY, .status = "4.4.3",
                                         .message = "retry time not reached" };
    deliver_settle(d, addr);
    return true;
}

/* Routed addresses onto their list. Their names may be new ones (pipes and files, copies made by
 * unseen, addresses among their own ancestors), so earlier runs and duplicates count once more. */
static void take(struct delivery *d, struct hash *seen, struct address **list, struct address *routed)
{
    for (struct address *c = routed, *next; c != NULL; c = next) {
        next = c->next;
        c->next = NULL;
        if (is_done(d, c) || is_duplicate(d, seen, c))
            continue;
        if ((c->flags & ADDR_FILE) && strcmp(c->address, "/dev/null") == 0) {
            c->transport = NULL; /* **bypassed** (manual 22.6) */
            deliver_settle(d, c);
            continue;
        }
        c->next = *list;
        *list = c;
    }
}

/* same_domain_copy_routing: what is still to be routed in that domain takes the same way. */
static void copy_routing(struct delivery *d, struct hash *seen, struct address *model)
{
    for (struct address **p = &d->addr_new; *p != NULL;) {
        struct address *c = *p, *next = c->next;
        struct route_results res = { 0 };

        if (is_done(d, c))
            *p = next;
        else if (route_copy(model, c, &res)) {
            *p = next;
            take(d, seen, &d->addr_remote, res.remote);
        } else
            p = &c->next;
    }
}

static void note_retry(struct delivery *d, struct address *addr, bool deferred)
{
    if (deferred)
        retry_add(d->arena, addr, retry_routing_key(d->arena, addr), false, false);
    else if (!retry_knows_nothing(d->exim))
        retry_done(d->exim, d->arena, addr, retry_routing_key(d->arena, addr), false);
}

static void route_one(struct delivery *d, struct hash *seen, struct address *addr)
{
    struct expand_ctx ctx;
    struct route_results res = { 0 };

    if (is_done(d, addr) || is_duplicate(d, seen, addr))
        return;
    if (!(addr->flags & ADDR_PIPE_FILE_REPLY)) {
        percent_hack(d, addr);
        if (is_held(d, addr) || retry_says_wait(d, addr))
            return;
    }
    deliver_ctx(&ctx, d, addr);
    enum route_rc rc = route_address(&ctx, addr, ROUTE_DELIVER, &res);
    if (!(addr->flags & ADDR_PIPE_FILE_REPLY))
        note_retry(d, addr, rc == ROUTE_DEFER);
    if (rc == ROUTE_FAIL || rc == ROUTE_DEFER)
        deliver_settle(d, addr);
    for (struct address *c = res.children, *next; c != NULL; c = next) {
        next = c->next;
        if (c->parent != NULL)
            c->parent->child_count++, c->parent->child_total++;
        c->next = d->addr_new;
        d->addr_new = c;
    }
    for (struct address *c = res.settled, *next; c != NULL; c = next) {
        next = c->next;
        deliver_settle(d, c);
    }
    if (res.same_domain && res.remote != NULL)
        copy_routing(d, seen, res.remote);
    take(d, seen, &d->addr_local, res.local);
    take(d, seen, &d->addr_remote, res.remote);
}

static struct address *reversed(struct address *list)
{
    struct address *out = NULL;

    for (struct address *next; list != NULL; list = next) {
        next = list->next;
        list->next = out;
        out = list;
    }
    return out;
}

void deliver_route_all(struct delivery *d)
{
    struct hash *seen = hash_new(d->arena, false);
    size_t n = 0;

    for (struct address *a = d->addr_new; a != NULL; a = a->next)
        rewrite_envelope_to(d, a);
    while (d->addr_new != NULL) {
        struct address *addr = d->addr_new;
        d->addr_new = addr->next;
        addr->next = NULL;
        if (++n > MAX_ADDRESSES) {
            hold(d, addr, ERR_UNKNOWNERROR, "too many addresses were generated for this message");
            continue;
        }
        route_one(d, seen, addr);
    }
    d->addr_local = reversed(d->addr_local);
    d->addr_remote = reversed(d->addr_remote);
}
