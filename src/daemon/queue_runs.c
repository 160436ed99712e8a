/* The queue runs of the daemon. */
#include "daemon/queue_role.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/tod.h"
#include "config/config.h"
#include "daemon/daemon_int.h"
#include "exim.h"
#include "queue.h"
#include "queue_int.h"
#include "spool.h"

static const struct queue_run_options *run_options(const struct queue_role *q)
{
    static const struct queue_run_options plain = { 0 };

    return q->daemon->options->queue != NULL ? q->daemon->options->queue : &plain;
}
/* Frozen ones that nothing but a person thaws are not even opened. */
static bool known_frozen(const struct queue_role *q, const struct queue_entry *m)
{
    const struct main_options *o = &q->exim->config->main;

    if (!m->frozen || run_options(q)->force_frozen || o->auto_thaw > 0 ||
        o->timeout_frozen_after > 0)
        return false;
    if (log_wants(q->exim->log, L_skip_delivery))
        log_write(q->exim->log, LOG_MAIN | LOG_BY(skip_delivery), m->id,
                  "Message is frozen");
    return true;
}

static unsigned run_flags(const struct queue_role *q)
{
    bool first_of_two = run_options(q)->two_stage && !q->run.second;

    return queue_run_flags(run_options(q)) | (first_of_two ? IPC_QUEUE_SMTP : 0u);
}

void queue_runs_serve(struct queue_role *q)
{
    struct queue_span *r = &q->run;
    size_t limit = (size_t)queue_run_limit(q->exim);
    time_t now = tod_now().tv_sec;
    double load;

    while (r->at < r->count && r->busy < limit) {
        if (queue_load_too_high(q->exim, &load)) {
            log_write(q->exim->log, LOG_MAIN, NULL,
                      "Abandon queue run: %s (load %.2f, max %.2f)", r->detail, load,
                      q->exim->config->main.deliver_queue_load_max / 1000.0);
            r->abandoned = true;
            r->at = r->count;
            break;
        }
        struct queue_entry *m = queue_index_find(q->index, r->list[r->at].id);
        bool not_due =
            m != NULL && m->due > now && !run_options(q)->force &&
            !log_wants(q->exim->log, L_retry_defer); /* a line for each address */
        if (m == NULL || m->state != QUEUE_RESTS || not_due || known_frozen(q, m) ||
            !queue_select_matches(r->select, m->id)) {
            r->at++;
            continue;
        }
        if (!queue_line_hand_out(q, m, run_flags(q), true))
            break;
        r->at++;
    }
}

bool queue_runs_end_if_done(struct queue_role *q)
{
    struct queue_span *r = &q->run;

    if (r->arena == NULL || r->at < r->count || r->busy > 0)
        return false;
    if (run_options(q)->two_stage && !r->second && !r->abandoned && !q->stopping) {
        r->second = true;
        r->at = 0;
        return true;
    }
    if (log_wants(q->exim->log, L_queue_run) && !r->abandoned)
        log_write(q->exim->log, LOG_MAIN | LOG_BY(queue_run), NULL, "End queue run: %s",
                  r->detail);
    arena_destroy(&r->arena);
    *r = (struct queue_span){ 0 };
    return false;
}
bool queue_runs_take_stock(struct queue_role *q, struct arena *a,
                           struct spool_entry **list, size_t *count,
                           const struct spool_extras **extras)
{
    struct err err = { 0 };
    struct queue_entry *m;

    if (!spool_scan(q->exim, a, list, count, extras, &err)) {
        log_write(q->exim->log, LOG_MAIN | LOG_PANIC, NULL, "queue: %s", err.msg);
        return false;
    }
    q->scans++;
    for (size_t i = 0; i < *count; i++)
        queue_index_add(q->index, (*list)[i].id)->seen = q->scans;
    for (size_t at = 0; (m = queue_index_next(q->index, &at)) != NULL;)
        if (m->seen != q->scans && m->state == QUEUE_RESTS && m->place == 0)
            queue_index_remove(q->index, m);
    return true;
}

void queue_runs_start(struct queue_role *q)
{
    struct queue_span *r = &q->run;
    const struct spool_extras *extras;
    struct err err = { 0 };

    q->next_run_ms += q->daemon->options->queue_interval * 1000;
    if (r->arena != NULL)
        return; /* the last one is still busy with the same messages */
    struct arena *a = arena_new("queue run");
    if (!spool_recover(q->exim, &err)) /* the log of a daemon whose last process ended late */
        log_write(q->exim->log, LOG_MAIN | LOG_PANIC, NULL, "queue: %s", err.msg);
    r->select = queue_select_new(a, q->exim, run_options(q));
    if (r->select == NULL || !queue_runs_take_stock(q, a, &r->list, &r->count, &extras)) {
        r->count = 0;
        arena_destroy(&a);
        return;
    }
    spool_clean(q->exim, r->list, r->count, extras);
    r->arena = a;
    r->detail = queue_run_detail(a, run_options(q));
    queue_order(q->exim, r->list, r->count);
    if (log_wants(q->exim->log, L_queue_run))
        log_write(q->exim->log, LOG_MAIN | LOG_BY(queue_run), NULL, "Start queue run: %s",
                  r->detail);
}

void queue_runs_wake_due(struct queue_role *q)
{
    time_t now = tod_now().tv_sec;
    struct queue_entry *m;

    for (size_t at = 0; (m = queue_index_next(q->index, &at)) != NULL;)
        if (m->state == QUEUE_RESTS && m->due != 0 && m->due <= now && !m->frozen) {
            m->due = 0;
            queue_line_add(q, m);
        }
}
