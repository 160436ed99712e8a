#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/tod.h"
#include "deliver.h"
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

static void note(struct hints_db *db, struct arena *a, const char *host, const char *id)
{
    struct err err = { 0 };
    struct str raw;
    struct hints_wait w = { 0 };

    if (!hints_get(db, a, host, &raw) || !hints_wait_decode(a, raw, &w))
        w = (struct hints_wait){ 0 };
    if (holds(&w, id))
        return;
    if (w.count >= IDS_PER_RECORD)
        push_out(db, a, host, &w);
    const char **ids = arena_new_array(a, const char *, (size_t)w.count + 2);

    for (int i = 0; i < w.count; i++)
        ids[i] = w.ids[i];
    ids[w.count++] = id;
    w.ids = ids;
    w.time_stamp = tod_now().tv_sec;
    raw = hints_wait_encode(a, &w);
    (void)hints_put(db, host, raw.p, raw.len, &err);
}

/* NULL: a hint that nobody gets; the queue knows as well. */
static struct hints_db *open_hints(struct exim *e, struct arena *a, const struct transport *t,
                                   const struct message *m)
{
    struct err err = { 0 };

    if (m == NULL || m->id[0] == '\0' || e->address_test)
        return NULL;
    return hints_open(e, arena_printf(a, "wait-%s", t->name), true, &err);
}

void smtp_wait_note(struct smtp_attempt *at, const struct address *list)
{
    const struct message *m = at->ctx.message;
    struct hints_db *db =
        list == NULL ? NULL : open_hints(at->ctx.exim, at->arena, &at->t->base, m);

    if (db == NULL)
        return;
    note(db, at->arena, at->host->name, m->id);
    hints_close(db);
}

void smtp_wait_note_hosts(const struct transport *t, const struct delivery *d, const struct address *addr)
{
    struct hints_db *db =
        addr->host_list == NULL ? NULL : open_hints(d->exim, d->arena, t, d->message);

    if (db == NULL)
        return;
    for (const struct host *h = addr->host_list; h != NULL; h = h->next)
        note(db, d->arena, h->name, d->message->id);
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
