#include "queue_crew.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "config/config.h"
#include "exim.h"
#include "ipc.h"
#include "queue_int.h"
#include "queue_worker.h"
#include "spool.h"

/* What all see. */
struct shared {
    atomic_size_t next; /* of the list */
    atomic_bool over;   /* nobody takes another message */
    atomic_bool given_up;
    atomic_size_t at[]; /* what each is busy with, or was */
};

struct member {
    pid_t pid; /* 0: none */
    int fd;    /* its end is seen here */
};

struct queue_crew {
    const struct queue_pass *pass;
    struct shared *shared;
    struct member *members;
    struct pollfd *fds;
    size_t alive;
    pid_t parent;
};

static bool is_over(const struct queue_crew *c)
{
    return atomic_load(&c->shared->over) || atomic_load(&c->shared->next) >= c->pass->count;
}

/* ---- the member's side ---- */

static void give_up(struct queue_crew *c)
{
    atomic_store(&c->shared->over, true);
    atomic_store(&c->shared->given_up, true);
}

/* The first who sees it says so. */
static bool load_is_too_high(struct queue_crew *c)
{
    const struct queue_pass *p = c->pass;
    double load;

    if (!queue_load_too_high(p->exim, &load))
        return false;
    if (!atomic_exchange(&c->shared->over, true))
        log_write(p->exim->log, LOG_MAIN, NULL, "Abandon queue run: %s (load %.2f, max %.2f)", p->detail, load,
                  p->exim->config->main.deliver_queue_load_max / 1000.0);
    give_up(c);
    return true;
}

static NORETURN void member_process(struct queue_crew *c, size_t me, int fd)
{
    const struct queue_pass *p = c->pass;
    struct queue_worker w = queue_worker_init(p->exim);
    struct ipc_deliver job = { .flags = p->flags };
    struct ipc_report last = { 0 };

    queue_worker_begin(p->exim, fd);
    spool_stay_near(p->exim, p->exim->arena, p->scan);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    last.leaving = getppid() != c->parent; /* it was quicker */
    while (!proc_got_term && !last.leaving && !is_over(c) && !load_is_too_high(c)) {
        size_t at = atomic_fetch_add(&c->shared->next, 1);

        if (at >= p->count)
            break;
        atomic_store(&c->shared->at[me], at);
        memcpy(job.id, p->list[at].id, sizeof(job.id));
        if (queue_select_matches(p->select, job.id))
            last = queue_worker_deliver(&w, &job);
    }
    queue_worker_let_go();
    _exit(0);
}

/* ---- the parent's side ---- */

static bool start_member(struct queue_crew *c, size_t me)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    atomic_store(&c->shared->at[me], c->pass->count);
    pid_t pid = proc_fork("delivery process");
    if (pid == 0)
        member_process(c, me, ends[1]);
    (void)fd_close(ends[1]);
    if (pid < 0) {
        (void)fd_close(ends[0]);
        return false;
    }
    c->members[me] = (struct member){ pid, ends[0] };
    c->alive++;
    return true;
}

static void start_members(struct queue_crew *c)
{
    bool ok = true;

    for (size_t i = 0; i < c->pass->workers && ok && !is_over(c); i++)
        if (c->members[i].pid == 0)
            ok = start_member(c, i);
    if (c->alive > 0 || is_over(c)) /* who is alive takes the rest */
        return;
    log_write(c->pass->exim->log, LOG_MAIN | LOG_PANIC, NULL, "fork of delivery process from queue runner %d failed",
              (int)getpid());
    give_up(c);
}

static void log_crash(struct queue_crew *c, pid_t pid, struct proc_status end, size_t at)
{
    const char *id = at < c->pass->count ? c->pass->list[at].id : "nothing";
    struct log *log = c->pass->exim->log;

    if (end.kind == PROC_SIGNALLED)
        log_write(log, LOG_MAIN | LOG_PANIC, NULL, "queue run: process %d crashed with signal %d while delivering %s",
                  (int)pid, end.code, id);
    else
        log_write(log, LOG_MAIN | LOG_PANIC, NULL, "delivery process %d ended while delivering %s", (int)pid, id);
}

static void note_end(struct queue_crew *c, size_t me)
{
    struct member *m = &c->members[me];
    struct proc_status end = proc_wait(m->pid, -1);
    size_t at = atomic_load(&c->shared->at[me]);

    if (end.kind != PROC_EXITED || end.code != 0) {
        log_crash(c, m->pid, end, at);
        if (at == c->pass->count) /* it took none: the next one might fare no better */
            give_up(c);
    }
    (void)fd_close(m->fd);
    *m = (struct member){ 0 };
    c->alive--;
}

static void free_shared(void *arg)
{
    struct queue_crew *c = arg;

    (void)munmap(c->shared, sizeof(*c->shared) + c->pass->workers * sizeof(c->shared->at[0]));
}

struct queue_crew *queue_crew_start(struct arena *a, const struct queue_pass *p)
{
    struct queue_crew *c = arena_new_obj(a, struct queue_crew);
    size_t bytes = sizeof(*c->shared) + p->workers * sizeof(c->shared->at[0]);
    void *shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED) {
        log_write(p->exim->log, LOG_MAIN | LOG_PANIC, NULL, "queue run: no memory to share: %s", strerror(errno));
        return NULL;
    }
    *c = (struct queue_crew){ .pass = p, .shared = shared, .parent = getpid() };
    arena_on_destroy(a, free_shared, c);
    c->members = arena_new_array(a, struct member, p->workers);
    c->fds = arena_new_array(a, struct pollfd, p->workers);
    start_members(c);
    return c;
}

bool queue_crew_wait(struct queue_crew *c)
{
    while (c->alive > 0) {
        for (size_t i = 0; i < c->pass->workers; i++)
            c->fds[i] = (struct pollfd){ .fd = c->members[i].pid == 0 ? -1 : c->members[i].fd, .events = POLLIN };
        int ready = poll(c->fds, c->pass->workers, -1);
        if (proc_got_term)
            give_up(c);
        for (size_t i = 0; ready > 0 && i < c->pass->workers; i++)
            if (c->fds[i].revents != 0)
                note_end(c, i);
        start_members(c);
    }
    return !atomic_load(&c->shared->given_up);
}
