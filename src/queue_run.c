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
#include "ipc.h"
#include "queue.h"
#include "queue_crew.h"
#include "queue_int.h"
#include "spool.h"

/* ---- which messages, and in which order ---- */

static int by_id(const void *a, const void *b)
{
    return strcmp(((const struct spool_entry *)a)->id, ((const struct spool_entry *)b)->id);
}

/* Nobody gains by guessing the order: one seed for all of it. */
static uint32_t next_number(uint64_t *state, uint32_t below)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)((*state >> 32) * below >> 32);
}

static void shuffle(struct spool_entry *list, size_t n)
{
    uint64_t state = random_below(UINT32_MAX);

    for (size_t i = n; i > 1; i--) {
        size_t k = next_number(&state, (uint32_t)i);
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

bool queue_load_too_high(const struct exim *e, double *load)
{
    int max = e->config->main.deliver_queue_load_max;

    *load = 0;
    return max >= 0 && getloadavg(load, 1) == 1 && *load * 1000 > max;
}

/* ---- the run ---- */

/* The spool is cleaned beside the first pass. False: given up. */
static bool run_all(struct queue_pass *p, bool clean)
{
    struct arena *a = arena_new("queue pass");
    struct queue_crew *c = queue_crew_start(a, p);

    if (clean)
        spool_clean(p->exim, p->list, p->count, p->scan);
    bool ok = c != NULL && queue_crew_wait(c);

    arena_destroy(&a);
    return ok;
}

/* -qq: everything is routed first, so that the second pass knows what waits for a host. */
static void run_stages(struct queue_pass *p, struct spool_entry *list, bool two_stage)
{
    unsigned flags = p->flags;

    queue_order(p->exim, list, p->count);
    if (two_stage) {
        p->flags = flags | IPC_QUEUE_SMTP;
        if (!run_all(p, true))
            return;
        p->flags = flags;
        queue_order(p->exim, list, p->count);
    }
    (void)run_all(p, !two_stage);
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
    struct queue_pass p = { .exim = e, .flags = queue_run_flags(o), .detail = queue_run_detail(a, o) };
    struct spool_entry *list = NULL;
    struct err err = { 0 };
    int status = EXIT_FAILURE;

    p.select = queue_select_new(a, e, o);
    if (p.select == NULL)
        goto out;
    if (log_wants(e->log, L_queue_run))
        log_write(e->log, LOG_MAIN | LOG_BY(queue_run), NULL, "Start queue run: %s",
                  p.detail);
    proc_title("running the queue");
    if (spool_recover(e, &err) && spool_scan(e, a, &list, &p.count, &p.scan, &err)) {
        p.list = list;
        p.workers = workers_for(e, p.count);
        run_stages(&p, list, o->two_stage);
        status = EXIT_SUCCESS;
    } else {
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "queue run: %s", err.msg);
    }
    if (log_wants(e->log, L_queue_run))
        log_write(e->log, LOG_MAIN | LOG_BY(queue_run), NULL, "End queue run: %s",
                  p.detail);
out:
    arena_destroy(&a);
    return status;
}
