#include "queue_pool.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "deliver.h"
#include "exim.h"
#include "queue_worker.h"

enum { LINGER_MS = 5000 }; /* idle this long: a worker's connections are closed */

struct worker {
    int sock;
    pid_t pid;
    bool busy;
    int64_t idle_since;
    char id[MSGID_LEN + 1];
};

struct queue_pool {
    struct exim *exim;
    struct worker *workers; /* the first count are alive */
    size_t count, max, busy;
    pid_t *ending; /* told to end, not waited for yet; room for max */
    size_t ending_count;
    queue_pool_done *done;
    void *arg;
};

struct queue_pool *queue_pool_new(struct arena *a, struct exim *e, size_t max, queue_pool_done *done, void *arg)
{
    struct queue_pool *p = arena_new_obj(a, struct queue_pool);

    *p = (struct queue_pool){ .exim = e, .max = max, .done = done, .arg = arg };
    p->workers = arena_new_array(a, struct worker, max);
    p->ending = arena_new_array(a, pid_t, max);
    return p;
}

size_t queue_pool_busy(const struct queue_pool *p)
{
    return p->busy;
}

size_t queue_pool_size(const struct queue_pool *p)
{
    return p->count;
}

/* ---- the worker's side ---- */

static void worker_loop(struct exim *e, int sock)
{
    struct queue_worker w = queue_worker_init(e);
    bool warm = false;

    for (bool ok = true; ok && !proc_got_term;) {
        struct arena *a = arena_new("job");
        struct ipc_record job, answer = { .kind = IPC_REPORT };
        int extra = -1;

        int ready = fd_wait_read_signal(sock, warm ? tod_monotonic_ms() + LINGER_MS : -1);
        if (ready == 0) {
            queue_worker_let_go();
            warm = false;
        } else if (ready > 0) {
            ok = ipc_receive(sock, a, &job, &extra) == IPC_OK && job.kind == IPC_DELIVER;
            if (ok) {
                answer.report = queue_worker_deliver(&w, &job.deliver);
                warm = true;
                proc_title("delivery process, idle");
                ok = ipc_send(sock, &answer, -1) && !answer.report.leaving;
            }
        }
        if (extra >= 0)
            (void)fd_close(extra);
        arena_destroy(&a);
    }
}

static NORETURN void worker_process(struct exim *e, int sock)
{
    queue_worker_begin(e, sock);
    worker_loop(e, sock);
    queue_worker_let_go();
    _exit(0);
}

/* ---- the owner's side ---- */

static struct worker *start_worker(struct queue_pool *p)
{
    int ends[2];

    if (p->count == p->max || !ipc_pair(ends))
        return NULL;
    pid_t pid = proc_fork("delivery process");
    if (pid == 0)
        worker_process(p->exim, ends[1]);
    (void)fd_close(ends[1]);
    if (pid < 0) {
        (void)fd_close(ends[0]);
        return NULL;
    }
    struct worker *w = &p->workers[p->count++];
    *w = (struct worker){ .sock = ends[0], .pid = pid };
    return w;
}

/* The one used last: the others may be let go. */
static struct worker *idle_worker(struct queue_pool *p)
{
    struct worker *best = NULL;

    for (size_t i = 0; i < p->count; i++) {
        struct worker *w = &p->workers[i];

        if (!w->busy && (best == NULL || w->idle_since > best->idle_since))
            best = w;
    }
    return best;
}

static void drop_worker(struct queue_pool *p, struct worker *w)
{
    (void)fd_close(w->sock);
    *w = p->workers[--p->count];
}

static void reap_ending(struct queue_pool *p)
{
    for (size_t i = p->ending_count; i-- > 0;)
        if (waitpid(p->ending[i], NULL, WNOHANG) != 0)
            p->ending[i] = p->ending[--p->ending_count];
}

/* It closes its connections in its own time; only too many of them are waited for. */
static void end_worker(struct queue_pool *p, struct worker *w)
{
    pid_t pid = w->pid;

    drop_worker(p, w);
    reap_ending(p);
    if (p->ending_count == p->max) {
        struct proc_status end = proc_wait(p->ending[--p->ending_count], tod_monotonic_ms() + 1000);
        (void)end;
    }
    p->ending[p->ending_count++] = pid;
}

bool queue_pool_deliver(struct queue_pool *p, const struct ipc_deliver *what)
{
    struct ipc_record job = { .kind = IPC_DELIVER, .deliver = *what };
    struct worker *w;

    while ((w = idle_worker(p)) != NULL || (w = start_worker(p)) != NULL) {
        if (ipc_send(w->sock, &job, -1)) {
            memcpy(w->id, what->id, sizeof(w->id));
            w->busy = true;
            p->busy++;
            return true;
        }
        struct proc_status end = proc_wait(w->pid, tod_monotonic_ms() + 1000);
        (void)end; /* it was idle: nothing is lost with it */
        drop_worker(p, w);
    }
    return false;
}

size_t queue_pool_fds(const struct queue_pool *p, struct pollfd *fds)
{
    for (size_t i = 0; i < p->count; i++)
        fds[i] = (struct pollfd){ .fd = p->workers[i].sock, .events = POLLIN };
    return p->count;
}

static void finished(struct queue_pool *p, struct worker *w, const struct ipc_report *r, bool crashed)
{
    w->busy = false;
    w->idle_since = tod_monotonic_ms();
    p->busy--;
    p->done(p->arg, r, crashed);
}

static void lost(struct queue_pool *p, struct worker *w)
{
    struct proc_status end = proc_wait(w->pid, tod_monotonic_ms() + 1000);
    struct ipc_report r = { .rc = DELIVER_ERROR };
    bool was_busy = w->busy;

    memcpy(r.id, w->id, sizeof(r.id));
    if (was_busy && end.kind == PROC_SIGNALLED)
        log_write(p->exim->log, LOG_MAIN | LOG_PANIC, NULL,
                  "queue run: process %d crashed with signal %d while delivering %s", (int)w->pid, end.code,
                  w->id);
    else if (was_busy)
        log_write(p->exim->log, LOG_MAIN | LOG_PANIC, NULL, "delivery process %d ended while delivering %s",
                  (int)w->pid, w->id);
    if (was_busy)
        finished(p, w, &r, true);
    drop_worker(p, w);
}

static void worker_ready(struct queue_pool *p, struct worker *w)
{
    struct arena *a = arena_new("report");
    struct ipc_record r;
    int extra;
    enum ipc_rc rc = ipc_receive(w->sock, a, &r, &extra);

    if (extra >= 0)
        (void)fd_close(extra);
    if (rc != IPC_OK || r.kind != IPC_REPORT || !w->busy || strcmp(r.report.id, w->id) != 0) {
        lost(p, w);
    } else {
        finished(p, w, &r.report, false);
        if (r.report.leaving)
            end_worker(p, w);
    }
    arena_destroy(&a);
}

void queue_pool_ready(struct queue_pool *p, const struct pollfd *fds, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (fds[i].revents == 0)
            continue;
        for (size_t k = 0; k < p->count; k++) /* they move when one ends */
            if (p->workers[k].sock == fds[i].fd) {
                worker_ready(p, &p->workers[k]);
                break;
            }
    }
}

void queue_pool_trim(struct queue_pool *p, int64_t idle_ms)
{
    int64_t now = tod_monotonic_ms();

    for (size_t i = p->count; i-- > 0;) {
        struct worker *w = &p->workers[i];

        if (!w->busy && now - w->idle_since >= idle_ms)
            end_worker(p, w);
    }
    reap_ending(p);
}

void queue_pool_close(struct queue_pool *p)
{
    struct arena *a = arena_new("pool");
    struct pollfd *fds = arena_new_array(a, struct pollfd, p->max);

    queue_pool_trim(p, 0);
    while (p->count > 0) {
        size_t n = queue_pool_fds(p, fds);

        if (poll(fds, n, -1) > 0)
            queue_pool_ready(p, fds, n);
        queue_pool_trim(p, 0);
    }
    while (p->ending_count > 0) {
        struct proc_status end = proc_wait(p->ending[--p->ending_count], tod_monotonic_ms() + 60 * 1000);
        (void)end;
    }
    arena_destroy(&a);
}
