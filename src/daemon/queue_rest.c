/* Messages that are in the log of the spool only. */
#include "daemon/queue_role.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/tod.h"
#include "exim.h"
#include "queue_pool.h"
#include "spool_wal.h"

enum {
    REST_MS = 5000, /* so long may a message that waits for nothing be in the log only */
    REST_TRIES = 3, /* then a stopping daemon leaves it there, for the next one */
};

/* Messages whose senders died before they could tell. */
static void find_unheard(struct queue_role *q)
{
    struct wal *w = q->exim->wal;
    struct ipc_notice n = { .what = IPC_NOTICE_DELIVER };

    /* Stopping: the senders have ended, and what they said was read. */
    if (q->stopping)
        q->heard_of = wal_end(w);
    for (n.place = 0; wal_next_live(w, &n.place, q->heard_of, n.id); n.place++)
        if (queue_index_find(q->index, n.id) == NULL)
            queue_line_notice(q, &n);
    q->heard_of = wal_synced(w); /* after it: may still be refused */
}

/* Those that wait for nothing get their files. False: there are more. */
static bool put_to_rest(struct queue_role *q)
{
    time_t now = tod_now().tv_sec;
    struct queue_entry *m;

    for (size_t at = 0; (m = queue_index_next(q->index, &at)) != NULL;) {
        if (m->place == 0 || m->state != QUEUE_RESTS ||
            (q->stopping ? m->rest_tries >= REST_TRIES : m->due > now))
            continue;
        if (queue_pool_busy(q->pool) >= q->base_workers ||
            !queue_line_hand_out(q, m, IPC_REST, false))
            return false;
        m->rest_tries += q->stopping;
    }
    return true;
}

void queue_rest_look(struct queue_role *q, int64_t now)
{
    if (q->exim->wal == NULL || (now < q->next_rest_ms && !q->stopping))
        return;
    q->next_rest_ms = now + REST_MS;
    if (!q->retired)
        find_unheard(q);
    q->all_rest = put_to_rest(q);
    if (!q->all_rest)
        q->next_rest_ms = now + QUEUE_GROW_MS;
    if (!wal_sync_all(q->exim->wal))
        log_write(q->exim->log, LOG_MAIN | LOG_PANIC, NULL,
                  "cannot sync the log of the spool: %s", strerror(errno));
}
