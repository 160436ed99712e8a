/* The queue process: who is delivered when. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/tod.h"
#include "config/config.h"
#include "daemon/daemon_int.h"
#include "daemon/proxy_counts.h"
#include "daemon/queue_index.h"
#include "deliver.h"
#include "exim.h"
#include "ipc.h"
#include "priv.h"
#include "queue.h"
#include "queue_int.h"
#include "queue_pool.h"
#include "spool.h"
#include "spool_wal.h"
#include "version.h"

enum {
    WORKERS_MAX = 200, /* processes, when deliveries are slow */
    GROW_MS = 50,     /* somebody waits this long: one more than the processors ask for */
    CLIENTS_MAX = 32, /* of the control socket */
    WAKE_MS = 10 * 1000, /* how often it is looked who is due */
    TRIM_MS = 30 * 1000,
    NOTICE_BURST = 256,
    LOCKED_TRIES = 5, /* right after it came; then it is somebody else's work */
    LOCKED_PAUSE_MS = 200,
    TROUBLE_PAUSE = 60, /* seconds */
    REST_MS = 5000, /* so long may a message that waits for nothing be in the log only */
};

struct queue_span {      /* a queue run: ids as found, in the order they are tried */
    struct arena *arena; /* NULL: there is none */
    struct spool_entry *list;
    size_t count, at, busy;
    const char *detail;
    const struct queue_select *select;
    bool abandoned, second; /* -qq: the second pass */
};

struct queue_role {
    struct daemon *daemon;
    struct exim *exim;
    struct arena *arena;
    struct queue_index *index;
    struct queue_pool *pool;
    struct queue_entry *first, *last; /* those that wait */
    struct queue_span run;
    uint32_t scans;
    int64_t next_run_ms, next_wake_ms, last_growth_ms,
        next_trim_ms; /* next_run_ms -1: no runs */
    int64_t next_rest_ms;
    bool all_rest;     /* no more is to be done about the log */
    uint64_t heard_of; /* of what was in the log before this, a notice must have come */
    size_t base_workers;
    int control;
    int clients[CLIENTS_MAX];
    size_t client_count;
    bool retired; /* a newer one reads the notices */
    bool stopping;
    struct pollfd *fds;
};

/* ---- those that wait ---- */

static void wait_in_line(struct queue_role *q, struct queue_entry *m)
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

static void on_notice(struct queue_role *q, const struct ipc_notice *n)
{
    struct queue_entry *m = n->what == IPC_NOTICE_REST ? queue_index_find(q->index, n->id)
                                                       : queue_index_add(q->index, n->id);

    if (m == NULL)
        return;
    if (n->place != 0)
        m->place = n->place;
    switch (n->what) {
    case IPC_NOTICE_DELIVER:
        m->due = 0;
        wait_in_line(q, m);
        break;
    case IPC_NOTICE_CHANGED:
        m->due = 0;
        m->frozen = false;
        m->changed = m->state == QUEUE_RUNS;
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

static const struct queue_run_options *run_options(const struct queue_role *q)
{
    static const struct queue_run_options plain = { 0 };

    return q->daemon->options->queue != NULL ? q->daemon->options->queue : &plain;
}

/* True: it goes on with its second pass. */
static bool end_run_if_done(struct queue_role *q)
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
        log_write(q->exim->log, LOG_MAIN, NULL, "End queue run: %s", r->detail);
    arena_destroy(&r->arena);
    *r = (struct queue_span){ 0 };
    return false;
}

/* A message that just came may still be held by the one that received it. */
static void found_locked(struct queue_role *q, struct queue_entry *m)
{
    if (m->locked++ < LOCKED_TRIES) {
        wait_in_line(q, m);
        m->since_ms += LOCKED_PAUSE_MS;
    } else {
        m->locked = 0;
    }
}

static void on_report(void *arg, const struct ipc_report *r, bool crashed)
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
        m->frozen = r->rc == DELIVER_FROZEN && !changed;
        m->due = changed ? 0 : (time_t)r->next_try;
    }
    if (again)
        wait_in_line(q, m);
}

/* ---- handing out ---- */

static bool hand_out(struct queue_role *q, struct queue_entry *m, unsigned flags,
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
    if (now - q->first->since_ms < GROW_MS || now - q->last_growth_ms < GROW_MS)
        return false;
    q->last_growth_ms = now;
    return true;
}

static void serve_line(struct queue_role *q)
{
    int64_t now = tod_monotonic_ms();

    while (q->first != NULL && may_start(q, now)) {
        struct queue_entry *m = next_in_line(q);

        bool rest = m->rest && m->place != 0;
        if (!hand_out(q, m, rest ? IPC_REST : 0, false)) {
            wait_in_line(q, m);
            m->since_ms = now + GROW_MS;
            return;
        }
        m->again = rest;
    }
}

/* Frozen ones that nothing but a person thaws are not even opened. */
static bool known_frozen(const struct queue_role *q, const struct queue_entry *m)
{
    const struct main_options *o = &q->exim->config->main;

    if (!m->frozen || run_options(q)->force_frozen || o->auto_thaw > 0 ||
        o->timeout_frozen_after > 0)
        return false;
    if (log_wants(q->exim->log, L_skip_delivery))
        log_write(q->exim->log, LOG_MAIN, m->id, "Message is frozen");
    return true;
}

static unsigned run_flags(const struct queue_role *q)
{
    bool first_of_two = run_options(q)->two_stage && !q->run.second;

    return queue_run_flags(run_options(q)) | (first_of_two ? IPC_QUEUE_SMTP : 0u);
}

static void serve_run(struct queue_role *q)
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
        if (!hand_out(q, m, run_flags(q), true))
            break;
        r->at++;
    }
}

/* ---- queue runs ---- */

/* What others put into the spool or took out of it comes to light here. */
static bool take_stock(struct queue_role *q, struct arena *a, struct spool_entry **list,
                       size_t *count)
{
    struct err err = { 0 };
    struct queue_entry *m;

    if (!spool_scan(q->exim, a, list, count, &err)) {
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

static void start_run(struct queue_role *q)
{
    struct queue_span *r = &q->run;

    q->next_run_ms += q->daemon->options->queue_interval * 1000;
    if (r->arena != NULL)
        return; /* the last one is still busy with the same messages */
    struct arena *a = arena_new("queue run");
    spool_clean(q->exim);
    r->select = queue_select_new(a, q->exim, run_options(q));
    if (r->select == NULL || !take_stock(q, a, &r->list, &r->count)) {
        r->count = 0;
        arena_destroy(&a);
        return;
    }
    r->arena = a;
    r->detail = queue_run_detail(a, run_options(q));
    queue_order(q->exim, r->list, r->count);
    if (log_wants(q->exim->log, L_queue_run))
        log_write(q->exim->log, LOG_MAIN, NULL, "Start queue run: %s", r->detail);
}

/* Between the runs: those whose retry time has come. */
static void wake_due(struct queue_role *q)
{
    time_t now = tod_now().tv_sec;
    struct queue_entry *m;

    for (size_t at = 0; (m = queue_index_next(q->index, &at)) != NULL;)
        if (m->state == QUEUE_RESTS && m->due != 0 && m->due <= now && !m->frozen) {
            m->due = 0;
            wait_in_line(q, m);
        }
}

/* ---- what is in the log of the spool only ---- */

/* Messages whose senders died before they could tell. */
static void find_unheard(struct queue_role *q)
{
    struct wal *w = q->exim->wal;
    struct ipc_notice n = { .what = IPC_NOTICE_DELIVER };

    for (n.place = 0; wal_next_live(w, &n.place, q->heard_of, n.id); n.place++)
        if (queue_index_find(q->index, n.id) == NULL)
            on_notice(q, &n);
    q->heard_of = wal_end(w);
}

/* Those that wait for nothing get their files. False: there are more. */
static bool put_to_rest(struct queue_role *q)
{
    time_t now = tod_now().tv_sec;
    struct queue_entry *m;

    for (size_t at = 0; (m = queue_index_next(q->index, &at)) != NULL;) {
        if (m->place == 0 || m->state != QUEUE_RESTS || (m->due > now && !q->stopping))
            continue;
        if (queue_pool_busy(q->pool) >= q->base_workers ||
            !hand_out(q, m, IPC_REST, false))
            return false;
    }
    return true;
}

static void look_at_log(struct queue_role *q, int64_t now)
{
    if (q->exim->wal == NULL || (now < q->next_rest_ms && !q->stopping))
        return;
    q->next_rest_ms = now + REST_MS;
    if (!q->retired)
        find_unheard(q);
    q->all_rest = put_to_rest(q);
    if (!q->all_rest)
        q->next_rest_ms = now + GROW_MS;
    if (!wal_sync_all(q->exim->wal))
        log_write(q->exim->log, LOG_MAIN | LOG_PANIC, NULL,
                  "cannot sync the log of the spool: %s", strerror(errno));
}

static void look_at_clock(struct queue_role *q)
{
    int64_t now = tod_monotonic_ms();

    if (q->next_run_ms >= 0 && now >= q->next_run_ms)
        start_run(q);
    if (q->next_run_ms >= 0 && now >= q->next_wake_ms) {
        q->next_wake_ms = now + WAKE_MS;
        wake_due(q);
    }
    look_at_log(q, now);
    if (now >= q->next_trim_ms) {
        q->next_trim_ms = now + TRIM_MS / 3;
        queue_pool_trim(q->pool, TRIM_MS);
    }
}

static void sooner(int *wait, int64_t at, int64_t now)
{
    int64_t ms = at > now ? at - now : 0;

    if (*wait < 0 || ms < *wait)
        *wait = (int)(ms > INT32_MAX ? INT32_MAX : ms);
}

static int time_to_wait(const struct queue_role *q)
{
    int64_t now = tod_monotonic_ms();
    int wait = -1;

    if (q->first != NULL)
        sooner(&wait, now + GROW_MS, now);
    if (q->next_run_ms >= 0) {
        sooner(&wait, q->next_run_ms, now);
        sooner(&wait, q->next_wake_ms, now);
    }
    if (q->exim->wal != NULL)
        sooner(&wait, q->next_rest_ms, now);
    if (queue_pool_size(q->pool) > 0)
        sooner(&wait, q->next_trim_ms, now);
    return wait;
}

/* ---- those who tell ---- */

static bool answer_status(const struct queue_role *q, struct arena *a, int sock)
{
    struct buf out = buf_init(a, IPC_RECORD_MAX / 2);
    struct ipc_record r = { .kind = IPC_ANSWER };

    proxy_counts_print(q->daemon->proxy_counts, &out);
    r.answer.ok = true;
    r.answer.text = buf_cstr(&out);
    return ipc_send(sock, &r, -1);
}

static bool read_notice(struct queue_role *q, int sock)
{
    struct arena *a = arena_new("notice");
    struct ipc_record r;
    int extra;
    enum ipc_rc rc = ipc_receive(sock, a, &r, &extra);

    if (extra >= 0)
        (void)fd_close(extra);
    if (rc == IPC_OK && r.kind == IPC_NOTICE)
        on_notice(q, &r.notice);
    bool answered = rc != IPC_OK || r.kind != IPC_STATUS || answer_status(q, a, sock);
    arena_destroy(&a);
    return rc == IPC_OK && answered;
}

static void read_notices(struct queue_role *q)
{
    for (int i = 0; i < NOTICE_BURST && read_notice(q, q->daemon->notices[0]); i++)
        ;
}

static void drop_client(struct queue_role *q, size_t i)
{
    (void)fd_close(q->clients[i]);
    q->clients[i] = q->clients[--q->client_count];
}

static void accept_client(struct queue_role *q)
{
    int fd = daemon_control_accept(q->exim, q->control);

    if (fd < 0)
        return;
    if (q->client_count == CLIENTS_MAX)
        drop_client(q, 0);
    q->clients[q->client_count++] = fd;
}

/* ---- the loop ---- */

enum { FIXED_FDS = 2 };

static size_t fill_fds(struct queue_role *q)
{
    size_t n = 0;

    q->fds[n++] = (struct pollfd){ .fd = q->retired ? -1 : q->daemon->notices[0],
                                   .events = POLLIN };
    q->fds[n++] = (struct pollfd){ .fd = q->retired ? -1 : q->control, .events = POLLIN };
    for (size_t i = 0; i < q->client_count; i++)
        q->fds[n++] = (struct pollfd){ .fd = q->clients[i], .events = POLLIN };
    return n + queue_pool_fds(q->pool, q->fds + n);
}

static void serve_fds(struct queue_role *q, size_t n)
{
    size_t clients = q->client_count;

    queue_pool_ready(q->pool, q->fds + FIXED_FDS + clients, n - FIXED_FDS - clients);
    for (size_t i = clients; i-- > 0;)
        if (q->fds[FIXED_FDS + i].revents != 0 && !read_notice(q, q->clients[i]))
            drop_client(q, i);
    if (q->fds[1].revents != 0)
        accept_client(q);
    if (q->fds[0].revents != 0)
        read_notices(q);
}

static void handle_signals(struct queue_role *q)
{
    if (proc_got_usr1) {
        proc_got_usr1 = 0;
        proc_title("queue(%s): %zu messages, %zu being delivered by %zu processes",
                   EXIM_VERSION, queue_index_count(q->index), queue_pool_busy(q->pool),
                   queue_pool_size(q->pool));
        daemon_show(q->exim);
    }
    if (proc_got_hup) {
        proc_got_hup = 0;
        q->retired = q->stopping = true;
    }
    if (proc_got_term) {
        proc_got_term = 0;
        q->stopping = true;
    }
    if (q->stopping) { /* no more runs; what was promised an attempt gets it */
        q->next_run_ms = -1;
        q->run.at = q->run.count;
    }
    proc_got_chld = 0;
}

static bool is_over(const struct queue_role *q)
{
    return q->stopping && q->first == NULL && queue_pool_busy(q->pool) == 0 &&
           (q->exim->wal == NULL || q->all_rest);
}

static void loop(struct queue_role *q, const sigset_t *during_wait)
{
    while (!is_over(q)) {
        size_t n = fill_fds(q);
        int wait = time_to_wait(q);
        struct timespec t = { wait / 1000, wait % 1000 * 1000000L };

        if (ppoll(q->fds, n, wait < 0 ? NULL : &t, during_wait) > 0)
            serve_fds(q, n);
        handle_signals(q);
        look_at_clock(q);
        if (q->stopping && !q->retired)
            read_notices(
                q); /* sessions have ended before: nothing more comes after these */
        serve_line(q);
        do
            serve_run(q);
        while (end_run_if_done(q));
    }
    if (!q->retired) {
        daemon_control_remove(q->exim);
        if (q->exim->wal != NULL)
            wal_remove(q->exim, q->exim->wal);
    }
    queue_pool_close(q->pool);
}

static void become_queue(struct daemon *d)
{
    int keep[] = { d->notices[0], d->notices[1], d->queue_agents[1] };
    struct exim *e = d->exim;

    daemon_become_role(d, "queue", keep, ARRAY_LEN(keep));
    e->broker = priv_broker(e->arena, d->queue_agents[1]);
    e->queue_fd = d->notices[1];
}

static void begin(struct queue_role *q)
{
    struct arena *a = arena_new("queue");
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    struct spool_entry *list;
    size_t count;
    struct err err = { 0 };

    q->arena = arena_new("queue");
    q->index = queue_index_new(q->arena);
    q->pool = queue_pool_new(q->arena, q->exim, WORKERS_MAX, on_report, q);
    q->fds =
        arena_new_array(q->arena, struct pollfd, FIXED_FDS + CLIENTS_MAX + WORKERS_MAX);
    q->base_workers = (size_t)(cpus > 0 ? cpus : 1) * 2 + 2;
    q->next_run_ms = q->daemon->options->queue_interval > 0 ? tod_monotonic_ms() : -1;
    q->control = daemon_control_open(q->exim, &err);
    if (q->control < 0)
        log_write(q->exim->log, LOG_MAIN | LOG_PANIC, NULL, "%s", err.msg);
    bool known = take_stock(q, a, &list, &count);
    (void)known; /* logged; the next run tries again */
    arena_destroy(&a);
}

void daemon_queue(struct daemon *d)
{
    struct queue_role q = { .daemon = d, .exim = d->exim };
    sigset_t during_wait;

    become_queue(d);
    daemon_signals_block(&during_wait);
    proc_ignore(SIGPIPE);
    if (!fd_set_nonblock(d->notices[0], true))
        die("queue: %s", strerror(errno));
    begin(&q);
    loop(&q, &during_wait);
    _exit(0);
}
