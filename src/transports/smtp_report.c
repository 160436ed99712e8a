/* What tls_verify_report_hosts would have refused: counts by week and host in the hints "tls-report". */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/tod.h"
#include "exim.h"
#include "hintsdb.h"
#include "host.h"
#include "transports/smtp_int.h"

enum { WEEK = 7 * 24 * 3600, MONDAY = 4 * 24 * 3600 /* 1970-01-01 was a Thursday */, REASON_MAX = 500 };

struct record { /* followed by the last reason, without a NUL */
    time_t stamp;
    uint64_t count;
};

static time_t week_of(time_t now)
{
    return (now - MONDAY) / WEEK * WEEK + MONDAY;
}

static const char *key_of(struct smtp_attempt *at, time_t now)
{
    struct timespec week = { .tv_sec = week_of(now) };

    return arena_printf(at->arena, "%s %s", tod_print(at->arena, TOD_LOG_FILE, week), at->host->name);
}

void smtp_report_note(struct smtp_attempt *at, const char *reason)
{
    struct err err = { 0 };
    struct record r = { 0 };
    struct str raw;
    time_t now = tod_now().tv_sec;
    const char *key = key_of(at, now);
    struct hints_db *db = hints_open(at->ctx.exim, "tls-report", true, &err);

    if (db == NULL)
        return; /* the log has it */
    if (hints_get(db, at->arena, key, &raw) && raw.len >= sizeof(r))
        memcpy(&r, raw.p, sizeof(r));
    r.stamp = now;
    r.count++;
    struct buf b = buf_init(at->arena, sizeof(r) + REASON_MAX);

    buf_add(&b, &r, sizeof(r));
    buf_add(&b, reason, strnlen(reason, REASON_MAX));
    (void)hints_put(db, key, b.p, b.len, &err);
    hints_close(db);
}

struct printing {
    struct arena *arena;
    struct buf *out;
};

static bool print_one(void *arg, const char *key, struct str value)
{
    const struct printing *p = arg;
    struct record r;

    if (value.len < sizeof(r))
        return true;
    memcpy(&r, value.p, sizeof(r));
    struct timespec when = { .tv_sec = r.stamp };

    buf_printf(p->out, "week of %s: %llu refused, last %s: %s\n", key, (unsigned long long)r.count,
               tod_print(p->arena, TOD_LOG, when),
               cstr_printable_len(p->arena, value.p + sizeof(r), value.len - sizeof(r), true));
    return true;
}

bool smtp_report_print(struct exim *e, struct arena *a, struct buf *out)
{
    struct err err = { 0 };
    struct printing p = { a, out };
    struct hints_db *db = hints_open(e, "tls-report", false, &err);

    if (db == NULL)
        return false;
    hints_scan(db, a, print_one, &p);
    hints_close(db);
    return out->len > 0;
}
