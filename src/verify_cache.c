#include <string.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "hintsdb.h"
#include "verify_int.h"

static bool is_old(time_t stamp, long limit)
{
    return stamp + limit < tod_now().tv_sec;
}

static enum cache_verdict verdict(int v)
{
    return v >= CACHE_UNKNOWN && v <= CACHE_REJECT_MFNULL ? (enum cache_verdict)v : CACHE_UNKNOWN;
}

/* The record of a domain: it is forgotten after the time for what it says, its parts after theirs. */
static void read_domain(struct hints_db *db, struct arena *a, const struct main_options *o, struct verify_cache *c)
{
    struct hints_callout rec;
    struct str raw;

    if (!hints_get(db, a, c->domain, &raw) || !hints_callout_decode(raw, true, &rec))
        return;
    bool good = rec.result == CACHE_ACCEPT;
    if (is_old(rec.time_stamp, good ? o->callout_domain_positive_expire : o->callout_domain_negative_expire))
        return;
    c->domain_result = verdict(rec.result);
    good = rec.postmaster_result == CACHE_ACCEPT;
    if (!is_old(rec.postmaster_stamp, good ? o->callout_positive_expire : o->callout_domain_negative_expire)) {
        c->postmaster = verdict(rec.postmaster_result);
        c->postmaster_stamp = rec.postmaster_stamp;
    }
    good = rec.random_result == CACHE_ACCEPT;
    if (!is_old(rec.random_stamp, good ? o->callout_positive_expire : o->callout_negative_expire)) {
        c->random = verdict(rec.random_result);
        c->random_stamp = rec.random_stamp;
    }
}

static void read_address(struct hints_db *db, struct arena *a, const struct main_options *o, struct verify_cache *c)
{
    struct hints_callout rec;
    struct str raw;

    if (!hints_get(db, a, c->address, &raw) || !hints_callout_decode(raw, false, &rec))
        return;
    bool good = rec.result == CACHE_ACCEPT;
    if (!is_old(rec.time_stamp, good ? o->callout_positive_expire : o->callout_negative_expire))
        c->address_result = verdict(rec.result);
}

void verify_cache_read(struct expand_ctx *ctx, struct verify_cache *c)
{
    struct err err = { 0 };
    struct hints_db *db = hints_open(ctx->exim, "callout", false, &err);

    if (db == NULL)
        return;
    read_domain(db, ctx->arena, &ctx->exim->config->main, c);
    read_address(db, ctx->arena, &ctx->exim->config->main, c);
    hints_close(db);
    DEBUG(D_VERIFY) debug_printf("callout cache: %s %d, %s %d\n", c->domain, (int)c->domain_result, c->address,
                                 (int)c->address_result);
}

void verify_cache_write(struct expand_ctx *ctx, const struct verify_cache *c)
{
    struct err err = { 0 };
    time_t now = tod_now().tv_sec;

    if (!c->domain_changed && !c->address_changed)
        return;
    struct hints_db *db = hints_open(ctx->exim, "callout", true, &err);
    if (db == NULL)
        return;
    if (c->domain_changed) {
        const struct hints_callout rec = {
            .time_stamp = now, .result = (int)c->domain_result, .postmaster_result = (int)c->postmaster,
            .random_result = (int)c->random, .postmaster_stamp = c->postmaster_stamp,
            .random_stamp = c->random_stamp, .domain = true,
        };
        struct str raw = hints_callout_encode(ctx->arena, &rec);
        (void)hints_put(db, c->domain, raw.p, raw.len, &err);
    }
    if (c->address_changed) {
        const struct hints_callout rec = { .time_stamp = now, .result = (int)c->address_result };
        struct str raw = hints_callout_encode(ctx->arena, &rec);
        (void)hints_put(db, c->address, raw.p, raw.len, &err);
    }
    hints_close(db);
}
