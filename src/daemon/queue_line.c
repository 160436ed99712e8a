/* Who waits for a delivery, handing out, and what became of those handed out. */
#include "daemon/queue_role.h"

#include <string.h>

#include "base/arena.h"
#include "base/tod.h"
#include "daemon/daemon_int.h"
#include "deliver.h"
#include "queue_pool.h"

enum {
    LOCKED_TRIES = 5, /* right after it came; then it is somebody else's work */
    LOCKED_PAUSE_MS = 200,
    TOOL_PAUSE_MS = 1000, /* in which a tool gets the lock of a message that rests for it */
    TROUBLE_PAUSE = 10, /* seconds */
    PATIENCE_MS = 5000, /* of one who asked the daemon to stop */
};

/* ---- those that wait ---- */

void queue_line_add(struct queue_role *q, struct queue_entry *m)
{
    if (m->state == QUEUE_RUNS) {
        m->again = true;
        return;
    }
    if (m->state == QUEUE_WAITS)
        return;
    m->state = QUEUE_WAITS;
    m->since_ms = tod_monotonic_ms();
    m->next = NULL;
    *(q->last == NULL ? &q->first : &q->last->next) = m;
    q->last = m;
}

static struct queue_entry *next_in_line(struct queue_role *q)
{
    struct queue_entry *m = q->first;

    q->first = m->next;
    if (q->first == NULL)
        q->last = NULL;
    m->state = QUEUE_RESTS;
    return m;
}

void queue_line_notice(struct queue_role *q, const struct ipc_notice *n)
{
    struct queue_entry *m = n->what == IPC_NOTICE_REST ? queue_index_find(q->index, n->id)
                                                       : queue_index_add(q->index, n->id);

    if (m == NULL)
        return;
    if (n->place != 0)
        m->place = n->place;
    switch (n->what) {
    case IPC_NOTICE_DELIVER:
    case IPC_NOTICE_LOCAL:
        m->due = 0;
        m->local = n->what == IPC_NOTICE_LOCAL;
        queue_line_add(q, m);
        break;
    case IPC_NOTICE_CHANGED:
        m->due = 0;
        m->frozen = false;
        m->changed = m->state == QUEUE_RUNS;
        if (m->since_ms > tod_monotonic_ms()) /* the tool that it waited for has done */
            m->since_ms = tod_monotonic_ms();
        break;
    case IPC_NOTICE_REST:
        m->rest = m->place != 0;
        q->next_rest_ms = 0;
        break;
    case IPC_NOTICE_KEEP:
    case IPC_NOTICE_COUNT:
        break;
    }
}

/* ---- what became of them ---- */

/* A message that just came may still be held by the one that received it. */
static void found_locked(struct queue_role *q, struct queue_entry *m)
{
    if (m->locked++ < LOCKED_TRIES) {
        queue_line_add(q, m);
        m->since_ms += LOCKED_PAUSE_MS;
    } else {
        m->locked = 0;
    }
}

void queue_line_report(void *arg, const struct ipc_report *r, bool crashed)
{
    struct queue_role *q = arg;
    struct queue_entry *m = queue_index_find(q->index, r->id);

    if (m == NULL || m->state != QUEUE_RUNS)
        return;
    m->state = QUEUE_RESTS;
    if (m->in_run)
        q->run.busy--;
    bool in_run = m->in_run, again = m->again, changed = m->changed;
    m->in_run = m->again = m->changed = false;
    if (crashed ||
        r->rc == DELIVER_ERROR) { /* the next queue run tries, or before it ours */
        m->due = m->place == 0 ? 0 : tod_now().tv_sec + TROUBLE_PAUSE;
    } else if (r->rc == DELIVER_DONE || r->rc == DELIVER_GONE) {
        if (!again)
            queue_index_remove(q->index, m);
    } else if (r->rc == DELIVER_LOCKED) {
        if (!in_run)
            found_locked(q, m);
    } else {
        m->place = 0; /* it has files now */
        m->locked = 0;
        m->local = m->local && again;
        m->frozen = r->rc == DELIVER_FROZEN && !changed;
        m->due = changed ? 0 : (time_t)r->next_try;
    }
    if (again) {
        queue_line_add(q, m);
        m->since_ms += m->rested ? TOOL_PAUSE_MS : 0;
        m->rested = false;
    }
}

/* ---- handing out ---- */

bool queue_line_hand_out(struct queue_role *q, struct queue_entry *m, unsigned flags,
                         bool in_run)
{
    struct ipc_deliver job = { .flags = flags, .place = m->place };

    memcpy(job.id, m->id, sizeof(job.id));
    if (!queue_pool_deliver(q->pool, &job))
        return false;
    m->rest = false;
    m->state = QUEUE_RUNS;
    m->in_run = in_run;
    q->run.busy += in_run;
    return true;
}

/* As many as the processors can use at once; more only while these are slow. */
static bool may_start(struct queue_role *q, int64_t now)
{
    if (q->first->since_ms > now)
        return false;
    if (queue_pool_busy(q->pool) < q->base_workers)
        return true;
    if (now - q->first->since_ms < QUEUE_GROW_MS ||
        now - q->last_growth_ms < QUEUE_GROW_MS)
        return false;
    q->last_growth_ms = now;
    return true;
}

/* A daemon that is to stop does not deliver a long line first: it is in the queue, or gets its files. */
static void give_up_line(struct queue_role *q)
{
    while (q->first != NULL)
        (void)next_in_line(q);
}

void queue_line_serve(struct queue_role *q)
{
    int64_t now = tod_monotonic_ms();

    if (q->told_to_stop_ms != 0 && now - q->told_to_stop_ms > PATIENCE_MS)
        give_up_line(q);
    while (q->first != NULL && may_start(q, now)) {
        struct queue_entry *m = next_in_line(q);

        bool rest = m->rest && m->place != 0;
        if (!queue_line_hand_out(q, m, rest ? IPC_REST : m->local ? IPC_QUEUE_SMTP : 0, false)) {
            queue_line_add(q, m);
            m->since_ms = now + QUEUE_GROW_MS;
            return;
        }
        m->again = m->rested = rest;
    }
}
