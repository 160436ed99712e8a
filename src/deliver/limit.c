/* max_parallel: runs of a transport, counted over all processes in the misc hints. */
#include "deliver/deliver_int.h"

#include "base/arena.h"
#include "base/str.h"
#include "base/tod.h"
#include "exim.h"
#include "hintsdb.h"
#include "transports/transport.h"

enum { STALE = 6 * 3600 }; /* a process that was killed does not count for ever */

static const char *key_of(struct arena *a, const struct transport *t)
{
    return arena_printf(a, "tpt-serialize-%s", t->name);
}

/* 0: no limit. */
static bool read_limit(struct transport_call *call, const struct transport *t,
                       long *limit)
{
    struct expand_ctx *ctx = call->ctx;
    const char *text;
    enum expand_rc rc =
        t->max_parallel == NULL ? EXPAND_FORCED : expand(ctx, t->max_parallel, &text);

    *limit = 0;
    if (rc == EXPAND_FORCED ||
        (rc == EXPAND_OK &&
         (*text == '\0' || (cstr_to_long(text, limit) && *limit >= 0))))
        return true;
    transport_set_all(
        call, RC_DEFER, ERR_EXPANDFAIL, "4.3.5",
        arena_printf(ctx->arena, "failed to read max_parallel \"%s\" of %s transport: %s",
                     t->max_parallel->text, t->name,
                     rc == EXPAND_OK ? "it is no number" : ctx->err.msg));
    return false;
}

static struct hints_serial current(struct hints_db *db, struct arena *a, const char *key)
{
    struct hints_serial s = { 0 };
    struct str raw;

    if (!hints_get(db, a, key, &raw) || !hints_serial_decode(raw, &s) || s.count < 0 ||
        tod_now().tv_sec - s.time_stamp >= STALE)
        s = (struct hints_serial){ 0 };
    return s;
}

static bool store(struct hints_db *db, struct arena *a, const char *key,
                  struct hints_serial s)
{
    struct err err = { 0 };

    s.time_stamp = tod_now().tv_sec;
    struct str raw = hints_serial_encode(a, &s);
    return hints_put(db, key, raw.p, raw.len, &err);
}

bool deliver_limit_enter(struct transport_call *call, const struct transport *t,
                         bool *counted)
{
    struct arena *a = call->ctx->arena;
    struct err err = { 0 };
    long limit;

    *counted = false;
    if (!read_limit(call, t, &limit))
        return false;
    struct hints_db *db =
        limit == 0 ? NULL : hints_open(call->ctx->exim, "misc", true, &err);
    if (db == NULL)
        return true;
    struct hints_serial s = current(db, a, key_of(a, t));
    bool free = s.count < limit;

    s.count++;
    *counted = free && store(db, a, key_of(a, t), s);
    hints_close(db);
    if (!free)
        transport_set_all(call, RC_DEFER, ERR_TRETRY, "4.3.2",
                          "concurrency limit reached for transport");
    return free;
}

void deliver_limit_leave(struct exim *e, const struct transport *t)
{
    struct arena *a = arena_new("max_parallel");
    struct err err = { 0 };
    struct hints_db *db = hints_open(e, "misc", true, &err);

    if (db != NULL) {
        struct hints_serial s = current(db, a, key_of(a, t));
        bool ok = --s.count > 0 ? store(db, a, key_of(a, t), s)
                                : hints_delete(db, key_of(a, t));

        (void)ok; /* it goes stale */
        hints_close(db);
    }
    arena_destroy(&a);
}
