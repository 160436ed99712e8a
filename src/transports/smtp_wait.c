#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/tod.h"
#include "exim.h"
#include "hintsdb.h"
#include "host.h"
#include "message.h"
#include "transports/smtp_int.h"

enum { IDS_PER_RECORD = 50, SERIAL_STALE = 6 * 3600 };

/* ---- wait-<transport>: which messages wait for which host ---- */
static bool holds(const struct hints_wait *w, const char *id)
{
    for (int i = 0; i < w->count; i++)
        if (strcmp(w->ids[i], id) == 0)
            return true;
    return false;
}

/* Exim: a full record is moved to "host:N" and a new one begun. */
static void push_out(struct hints_db *db, struct arena *a, const char *key, struct hints_wait *w)
{
    struct str raw = hints_wait_encode(a, w);
    struct err err;

    if (hints_put(db, arena_printf(a, "%s:%d", key, w->sequence), raw.p, raw.len, &err)) {
        w->sequence++;
        w->count = 0;
    }
}

void smtp_wait_note(struct smtp_attempt *at, const struct address *list)
{
    struct exim *e = at->ctx.exim;
    const struct message *m = at->ctx.message;
    struct arena *a = at->arena;
    struct err err = { 0 };
    struct str raw;
    struct hints_wait w = { 0 };

    if (m == NULL || m->id[0] == '\0' || list == NULL || e->address_test)
        return;
    struct hints_db *db = hints_open(e, arena_printf(a, "wait-%s", at->t->base.name), true, &err);

    if (db == NULL)
        return; /* a hint: the queue knows as well */
    if (!hints_get(db, a, at->host->name, &raw) || !hints_wait_decode(a, raw, &w))
        w = (struct hints_wait){ 0 };
    if (!holds(&w, m->id)) {
        if (w.count >= IDS_PER_RECORD)
            push_out(db, a, at->host->name, &w);
        const char **ids = arena_new_array(a, const char *, (size_t)w.count + 2);

        for (int i = 0; i < w.count; i++)
            ids[i] = w.ids[i];
        ids[w.count++] = m->id;
        w.ids = ids;
        w.time_stamp = tod_now().tv_sec;
        raw = hints_wait_encode(a, &w);
        (void)hints_put(db, at->host->name, raw.p, raw.len, &err);
    }
    hints_close(db);
}

/* ---- serialize_hosts: one connection at a time, by a record in the misc hints ---- */
static const char *serial_key(const struct smtp_attempt *at)
{
    return arena_printf(at->arena, "host-serialize-%s", at->host->name);
}

bool smtp_wait_serialize(struct smtp_attempt *at, bool *mine)
{
    struct err err = { 0 };
    struct str raw;
    time_t now = tod_now().tv_sec, since = 0;
    bool listed, free = true;

    *mine = false;
    if (!smtp_policy_in(at, "serialize_hosts", at->t->serialize_hosts, &listed))
        return false;
    if (!listed)
        return true;
    struct hints_db *db = hints_open(at->ctx.exim, "misc", true, &err);

    if (db == NULL)
        return true;
    if (hints_get(db, at->arena, serial_key(at), &raw) && raw.len >= sizeof(since)) {
        memcpy(&since, raw.p, sizeof(since));
        free = now - since >= SERIAL_STALE;
    }
    if (free) {
        /* Exim's record: a time stamp and a count. */
        struct {
            time_t stamp;
            int count;
        } record;

        memset(&record, 0, sizeof(record));
        record.stamp = now;
        record.count = 1;
        *mine = hints_put(db, serial_key(at), &record, sizeof(record), &err);
    }
    hints_close(db);
    return free;
}

void smtp_wait_release(struct smtp_attempt *at)
{
    struct err err = { 0 };
    struct hints_db *db = hints_open(at->ctx.exim, "misc", true, &err);

    if (db == NULL)
        return;
    (void)hints_delete(db, serial_key(at));
    hints_close(db);
}
