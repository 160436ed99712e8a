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
#include "daemon/daemon_int.h"
#include "daemon/proxy_counts.h"
#include "daemon/queue_role.h"
#include "exim.h"
#include "ipc.h"
#include "priv.h"
#include "queue_pool.h"
#include "spool_wal.h"
#include "version.h"

enum {
    WORKERS_MAX = 200,   /* processes, when deliveries are slow */
    WAKE_MS = 10 * 1000, /* how often it is looked who is due */
    TRIM_MS = 30 * 1000,
    NOTICE_BURST = 256,
};

static void look_at_clock(struct queue_role *q)
{
    int64_t now = tod_monotonic_ms();

    if (q->next_run_ms >= 0 && now >= q->next_run_ms)
        queue_runs_start(q);
    if (q->next_run_ms >= 0 && now >= q->next_wake_ms) {
        q->next_wake_ms = now + WAKE_MS;
        queue_runs_wake_due(q);
    }
    queue_rest_look(q, now);
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
        sooner(&wait, now + QUEUE_GROW_MS, now);
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
        queue_line_notice(q, &r.notice);
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
    if (q->client_count == QUEUE_CLIENTS_MAX)
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
    if (q->fds[0].revents != 0) /* first: tools speak of messages that came here */
        read_notices(q);
    for (size_t i = clients; i-- > 0;)
        if (q->fds[FIXED_FDS + i].revents != 0 && !read_notice(q, q->clients[i]))
            drop_client(q, i);
    if (q->fds[1].revents != 0)
        accept_client(q);
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
        q->told_to_stop_ms = tod_monotonic_ms();
    }
    if (q->stopping) { /* no more runs; what was promised an attempt gets it, within reason */
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
        queue_line_serve(q);
        do
            queue_runs_serve(q);
        while (queue_runs_end_if_done(q));
    }
    if (!q->retired)
        daemon_control_remove(q->exim);
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
    q->pool = queue_pool_new(q->arena, q->exim, WORKERS_MAX, queue_line_report, q);
    q->fds = arena_new_array(q->arena, struct pollfd,
                             FIXED_FDS + QUEUE_CLIENTS_MAX + WORKERS_MAX);
    q->base_workers = (size_t)(cpus > 0 ? cpus : 1) * 4 + 2;
    q->next_run_ms = q->daemon->options->queue_interval > 0 ? tod_monotonic_ms() : -1;
    q->control = daemon_control_open(q->exim, &err);
    if (q->control < 0)
        log_write(q->exim->log, LOG_MAIN | LOG_PANIC, NULL, "%s", err.msg);
    bool known = queue_runs_take_stock(q, a, &list, &count, NULL);
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
