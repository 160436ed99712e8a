#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "queue.h"
#include "queue_int.h"
#include "queue_pool.h"
#include "spool.h"

/* ---- which messages, and in which order ---- */

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct spool_entry *)a)->id, ((const struct spool_entry *)b)->id);
}

static void shuffle(struct spool_entry *list, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = random_below((uint32_t)i);
        struct spool_entry keep = list[i - 1];

        list[i - 1] = list[k];
        list[k] = keep;
    }
}

void queue_order(const struct exim *e, struct spool_entry *list, size_t n)
{
    if (e->config->main.queue_run_in_order)
        qsort(list, n, sizeof(*list), by_id);
    else
        shuffle(list, n);
}

/* ---- the run ---- */

struct run {
    struct exim *exim;
    const struct queue_run_options *options;
    const struct queue_select *select;
    struct queue_pool *pool;
    struct pollfd *fds;
    unsigned flags;
};

static void done(void *arg, const struct ipc_report *r, bool crashed)
{
    (void)arg;
    (void)r;
    (void)crashed; /* the pool has said so; the next message is tried */
}

static void wait_for_one(struct run *r)
{
    size_t n = queue_pool_fds(r->pool, r->fds);

    if (poll(r->fds, n, -1) > 0)
        queue_pool_ready(r->pool, r->fds, n);
}

bool queue_load_too_high(const struct exim *e, double *load)
{
    int max = e->config->main.deliver_queue_load_max;

    *load = 0;
    return max >= 0 && getloadavg(load, 1) == 1 && *load * 1000 > max;
}

/* False: the run is given up for the load. */
static bool run_one(struct run *r, const char *id, const char *detail)
{
    double load;

    if (queue_load_too_high(r->exim, &load)) {
        log_write(r->exim->log, LOG_MAIN, NULL, "Abandon queue run: %s (load %.2f, max %.2f)", detail, load,
                  r->exim->config->main.deliver_queue_load_max / 1000.0);
        return false;
    }
    if (!queue_select_matches(r->select, id))
        return true;
    struct ipc_deliver job = { .flags = r->flags };
    memcpy(job.id, id, sizeof(job.id));
    while (!queue_pool_deliver(r->pool, &job)) {
        if (queue_pool_busy(r->pool) == 0) { /* not even one process */
            log_write(r->exim->log, LOG_MAIN | LOG_PANIC, NULL,
                      "fork of delivery process from queue runner %d failed", (int)getpid());
            return false;
        }
        wait_for_one(r);
    }
    return true;
}

/* False: given up. */
static bool run_all(struct run *r, const struct spool_entry *list, size_t n, const char *detail)
{
    bool going_on = true;

    for (size_t i = 0; i < n && going_on; i++)
        going_on = !proc_got_term && run_one(r, list[i].id, detail);
    while (queue_pool_busy(r->pool) > 0)
        wait_for_one(r);
    return going_on;
}

/* -qq: everything is routed first, so that the second pass knows what waits for a host. */
static void run_stages(struct run *r, struct spool_entry *list, size_t n, const char *detail)
{
    unsigned flags = r->flags;

    queue_order(r->exim, list, n);
    if (r->options->two_stage) {
        r->flags = flags | IPC_QUEUE_SMTP;
        if (!run_all(r, list, n, detail))
            return;
        r->flags = flags;
        queue_order(r->exim, list, n);
    }
    (void)run_all(r, list, n, detail);
}

static const char *text_detail(struct arena *a, char flag, const char *text, bool regex)
{
    return text == NULL ? "" : arena_printf(a, " -%c%s %s", flag, regex ? "r" : "", text);
}

const char *queue_run_detail(struct arena *a, const struct queue_run_options *o)
{
    bool flags = o->two_stage || o->first_only || o->force || o->force_frozen || o->local_only;
    const char *letters = !flags ? ""
                                 : arena_printf(a, " -q%s%s%s%s%s", o->two_stage ? "q" : "",
                                                o->first_only ? "i" : "", o->force ? "f" : "",
                                                o->force_frozen ? "f" : "", o->local_only ? "l" : "");

    return arena_printf(a, "pid=%d%s%s%s", (int)getpid(), letters,
                        text_detail(a, 'R', o->recipient_text, o->recipient_regex),
                        text_detail(a, 'S', o->sender_text, o->sender_regex));
}

long queue_run_limit(struct exim *e)
{
    struct arena *a = arena_new("queue_run_max");
    struct expand_ctx ctx;
    long max = 0;

    expand_ctx_init(&ctx, e, a);
    if (expand_int(&ctx, e->config->main.queue_run_max, &max) != EXPAND_OK || max <= 0)
        max = 5;
    arena_destroy(&a);
    return max;
}

unsigned queue_run_flags(const struct queue_run_options *o)
{
    return IPC_QUEUE_RUN | (o->force ? IPC_FORCE : 0u) | (o->force_frozen ? IPC_FORCE_FROZEN : 0u) |
           (o->local_only ? IPC_LOCAL_ONLY : 0u) | (o->pretend ? IPC_PRETEND : 0u);
}

/* A worker for each few messages: a short queue is delivered in order. */
static size_t workers_for(struct exim *e, size_t messages)
{
    enum { MESSAGES_PER_WORKER = 16 };
    size_t max = (size_t)queue_run_limit(e), wanted = messages / MESSAGES_PER_WORKER + 1;

    return e->config->main.queue_run_in_order ? 1 : wanted < max ? wanted : max;
}

int queue_run(struct exim *e, const struct queue_run_options *o)
{
    struct arena *a = arena_new("queue run");
    struct run r = { .exim = e, .options = o, .flags = queue_run_flags(o) };
    struct spool_entry *list = NULL;
    size_t n = 0;
    struct err err = { 0 };
    const char *detail = queue_run_detail(a, o);
    int status = EXIT_FAILURE;

    r.select = queue_select_new(a, e, o);
    if (r.select == NULL)
        goto out;
    if (log_wants(e->log, L_queue_run))
        log_write(e->log, LOG_MAIN | LOG_BY(queue_run), NULL, "Start queue run: %s",
                  detail);
    proc_title("running the queue");
    spool_clean(e);
    if (spool_recover(e, &err) && spool_scan(e, a, &list, &n, &err)) {
        size_t workers = workers_for(e, n);

        r.pool = queue_pool_new(a, e, workers, done, &r);
        r.fds = arena_new_array(a, struct pollfd, workers);
        run_stages(&r, list, n, detail);
        queue_pool_close(r.pool);
        status = EXIT_SUCCESS;
    } else {
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "queue run: %s", err.msg);
    }
    if (log_wants(e->log, L_queue_run))
        log_write(e->log, LOG_MAIN | LOG_BY(queue_run), NULL, "End queue run: %s",
                  detail);
out:
    arena_destroy(&a);
    return status;
}
