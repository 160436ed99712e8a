#include "retry.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/debug.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver.h"
#include "deliver/deliver_int.h"
#include "exim.h"
#include "expand.h"
#include "hintsdb.h"
#include "host.h"
#include "message.h"
#include "retry_cache.h"
#include "routers/router.h"
#include "transports/transport.h"

void retry_add(struct arena *a, struct address *addr, const char *key, bool host, bool remove)
{
    if (key == NULL)
        return;
    struct retry_update *u = arena_new_obj(a, struct retry_update);
    *u = (struct retry_update){ .next = addr->retry_updates, .key = key, .remove = remove, .host = host,
                                .basic_errno = addr->result.basic_errno, .more_errno = addr->result.more_errno,
                                .message = addr->result.message };
    addr->retry_updates = u;
}

bool retry_knows_nothing(struct exim *e)
{
    return retry_cache_is_empty(e);
}

void retry_done(struct exim *e, struct arena *a, struct address *addr, const char *key, bool host)
{
    struct hints_retry r;

    if (key != NULL && retry_cache_get(e, key, &r))
        retry_add(a, addr, key, host, true);
}

const char *retry_routing_key(struct arena *a, const struct address *addr)
{
    if (addr->domain == NULL)
        return NULL;
    if (addr->router != NULL && addr->router->retry_use_local_part)
        return arena_printf(a, "R:%s", addr->address);
    return arena_printf(a, "R:%s", addr->domain);
}

const char *retry_transport_key(struct arena *a, const struct address *addr)
{
    bool whole = addr->domain == NULL || addr->transport == NULL || addr->transport->retry_use_local_part;

    return arena_printf(a, "T:%s", whole ? addr->address : addr->domain);
}

/* ---- may it be tried? ---- */

static bool is_due(const struct delivery *d, const char *key, bool *expired)
{
    struct hints_retry r;

    if (!retry_cache_get(d->exim, key, &r))
        return true;
    if (r.expired)
        *expired = true;
    return d->options->force || r.expired || d->now >= r.next_try;
}

bool retry_check_address(struct delivery *d, struct address *addr, bool routing, bool *expired)
{
    struct arena *a = d->arena;

    *expired = false;
    if (addr->domain == NULL || retry_cache_is_empty(d->exim))
        return true;
    if (!routing)
        return is_due(d, retry_transport_key(a, addr), expired);
    return is_due(d, arena_printf(a, "R:%s", addr->domain), expired) &&
           is_due(d, arena_printf(a, "R:%s", addr->address), expired) &&
           is_due(d, arena_printf(a, "R:%s:<%s>", addr->address, d->message->sender), expired);
}

static bool host_key_waits(struct expand_ctx *ctx, const char *key, struct host *h, time_t *next_try)
{
    struct hints_retry r;
    bool force = ctx->delivery != NULL && ctx->delivery->options->force;

    if (!retry_cache_get(ctx->exim, key, &r))
        return false;
    if (next_try != NULL && (*next_try == 0 || r.next_try < *next_try))
        *next_try = r.next_try;
    if (force || tod_now().tv_sec >= r.next_try)
        return false;
    h->status = r.expired ? HOST_UNUSABLE_EXPIRED : HOST_UNUSABLE;
    h->why = HWHY_RETRY;
    return true;
}

bool retry_check_host(struct expand_ctx *ctx, struct host *h, const char *domain, bool include_ip,
                      time_t *next_try)
{
    struct arena *a = ctx->arena;
    const char *port = h->port > 0 && h->port != 25 ? arena_printf(a, ":%d", h->port) : "";

    (void)domain;
    h->retry_host_key = include_ip && h->address != NULL
        ? arena_printf(a, "T:%s:%s%s", h->name, h->address, port) : arena_printf(a, "T:%s%s", h->name, port);
    h->retry_message_key = ctx->message == NULL ? NULL
        : arena_printf(a, "%s:%s", h->retry_host_key, ctx->message->id);
    if (host_key_waits(ctx, h->retry_host_key, h, next_try))
        return false;
    return h->retry_message_key == NULL || !host_key_waits(ctx, h->retry_message_key, h, next_try);
}

/* ---- when next? ---- */

static const struct retry_step *current_step(const struct retry_rule *rule, long failing)
{
    for (size_t i = 0; i < rule->step_count; i++)
        if (failing < rule->steps[i].timeout)
            return &rule->steps[i];
    return NULL;
}

static long next_interval(const struct exim *e, const struct retry_step *s, long previous)
{
    long max = e->config->main.retry_interval_max, gap = s->interval;

    if (s->rule != 'F' && previous > 0) {
        long longest = (long)((double)previous * s->multiplier);
        if (s->rule == 'G')
            gap = previous < s->interval ? s->interval : longest;
        else
            gap = longest > s->interval
                ? s->interval + (long)random_below((uint32_t)(longest - s->interval)) : s->interval;
    }
    return max > 0 && gap > max ? max : gap;
}

/* Fills r with the state after one more failure. */
static void advance(struct exim *e, const struct retry_rule *rule, time_t now, struct hints_retry *r)
{
    long failing = (long)(now - r->first_failed);
    const struct retry_step *step = rule == NULL ? NULL : current_step(rule, failing);
    long previous = r->last_try > 0 ? (long)(r->next_try - r->last_try) : 0;

    r->expired = step == NULL;
    if (step == NULL && rule != NULL && rule->step_count > 0)
        step = &rule->steps[rule->step_count - 1];
    r->last_try = now;
    r->next_try = step == NULL ? now : now + next_interval(e, step, previous);
    r->time_stamp = now;
}

/* The host's name or the domain that rules are tested with. */
static const char *rule_key(struct arena *a, const struct retry_update *u)
{
    const char *rest = u->key + 2;
    const char *colon = strchr(rest, ':');

    if (!u->host || colon == NULL)
        return colon != NULL && strchr(rest, '@') != NULL ? arena_strndup(a, rest, (size_t)(colon - rest)) : rest;
    return arena_strndup(a, rest, (size_t)(colon - rest));
}

/* A delay of this message alone at a host counts from the message's arrival. */
static bool is_message_key(const struct delivery *d, const char *key)
{
    size_t n = strlen(key);

    return n > MSGID_LEN + 1 && key[n - MSGID_LEN - 1] == ':' && strcmp(key + n - MSGID_LEN, d->message->id) == 0;
}

/* One failure noted. True: this key will not be tried again by its rule. */
static bool write_failure(struct delivery *d, struct hints_db *db, struct address *addr,
                          const struct retry_update *u)
{
    struct hints_retry r = { 0 };
    struct expand_ctx ctx;
    struct err err = { 0 };

    if (!retry_cache_get(d->exim, u->key, &r))
        r = (struct hints_retry){ .first_failed = is_message_key(d, u->key) ? d->message->received.tv_sec : d->now };
    else if (r.next_try > d->now && !d->options->force && !r.expired && r.last_try > d->message->received.tv_sec)
        return false; /* somebody else counted this failure just now */
    deliver_ctx(&ctx, d, addr);
    const struct retry_rule *rule = retry_rule_find(&ctx, rule_key(d->arena, u), u->host ? addr->domain : NULL,
                                                    u->basic_errno, u->more_errno);
    advance(d->exim, rule, d->now, &r);
    r.basic_errno = u->basic_errno;
    r.more_errno = u->more_errno;
    r.text = u->message != NULL ? u->message : u->basic_errno > 0 ? strerror(u->basic_errno) : "";
    struct str raw = hints_retry_encode(d->arena, &r);
    if (db != NULL && !hints_put(db, u->key, raw.p, raw.len, &err))
        log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id, "retry database: %s", err.msg);
    if (d->next_try == 0 || r.next_try < d->next_try)
        d->next_try = r.next_try;
    return r.expired;
}

bool retry_ultimate_timeout(struct expand_ctx *ctx, const char *key, const char *domain, int basic_errno,
                            time_t now)
{
    const struct retry_rule *rule = retry_rule_find(ctx, key, domain, basic_errno, 0);

    if (rule == NULL || rule->step_count == 0 || ctx->message == NULL)
        return true;
    long age = (long)(now - ctx->message->received.tv_sec);
    for (size_t i = 0; i < rule->step_count; i++)
        if (age < rule->steps[i].timeout)
            return false;
    return true;
}

/* ---- the end of a run ---- */

static bool has_work(struct delivery *d, const struct address *list)
{
    struct hints_retry r;

    for (; list != NULL; list = list->next)
        for (const struct retry_update *u = list->retry_updates; u != NULL; u = u->next)
            if (!u->remove || retry_cache_get(d->exim, u->key, &r))
                return true;
    return false;
}

static void remove_keys(struct delivery *d, struct hints_db *db, const struct address *list)
{
    struct hints_retry r;

    for (; list != NULL; list = list->next)
        for (const struct retry_update *u = list->retry_updates; u != NULL; u = u->next)
            if (u->remove && retry_cache_get(d->exim, u->key, &r))
                hints_delete(db, u->key);
}

/* True: the address has no way left to be tried. */
static bool note_failures(struct delivery *d, struct hints_db *db, struct address *addr)
{
    size_t failures = 0, expired = 0;

    for (const struct retry_update *u = addr->retry_updates; u != NULL; u = u->next) {
        if (u->remove)
            continue;
        failures++;
        expired += write_failure(d, db, addr, u);
    }
    return failures > 0 && expired == failures;
}

static void time_out(struct delivery *d, struct address *addr)
{
    const char *last = addr->result.message;

    addr->flags |= ADDR_TIMED_OUT;
    addr->result.rc = RC_FAIL;
    addr->result.message = last == NULL ? "retry timeout exceeded"
        : arena_printf(d->arena, "%s: retry timeout exceeded", last);
    addr->outcome = OUTCOME_FAILED;
    log_write(d->exim->log, LOG_MAIN, d->message->id, "** %s: retry timeout exceeded", addr->address);
    addr->next = d->addr_failed;
    d->addr_failed = addr;
}

void retry_flush(struct delivery *d)
{
    struct err err = { 0 };
    struct hints_db *db = NULL;

    if (!has_work(d, d->addr_deferred) && !has_work(d, d->addr_failed) && !has_work(d, d->addr_succeeded))
        return;
    db = hints_open(d->exim, "retry", true, &err);
    if (db == NULL)
        log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id, "cannot open retry database: %s", err.msg);
    else {
        remove_keys(d, db, d->addr_succeeded);
        remove_keys(d, db, d->addr_deferred);
        remove_keys(d, db, d->addr_failed);
    }
    for (struct address *addr = d->addr_failed; addr != NULL; addr = addr->next)
        (void)note_failures(d, db, addr);
    struct address *list = d->addr_deferred, *next;
    d->addr_deferred = NULL;
    for (; list != NULL; list = next) {
        next = list->next;
        if (note_failures(d, db, list)) {
            time_out(d, list);
            continue;
        }
        list->next = d->addr_deferred;
        d->addr_deferred = list;
    }
    if (db != NULL)
        hints_close(db);
    retry_cache_changed(d->exim);
}
