#include "deliver/remote_int.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/wire.h"
#include "deliver/deliver_int.h"
#include "message.h"
#include "transports/tidy.h"

enum {
    MAX_PARALLEL = 64,
    RESULT_MAX = 16 * 1024 * 1024,
    FRAME_MAX = RESULT_MAX + 16,
    READ_SIZE = 8192,
};

struct child {
    pid_t pid;
    int fd; /* where its results come from; -1: it has nothing more to say */
    struct buf in;
};

struct run {
    struct delivery *d;
    struct remote_group **groups;  /* of n; NULL: settled */
    size_t n, count;
    _Atomic size_t *next;          /* the group that nobody has taken yet; shared by all */
    struct proc_status trouble;    /* how one ended that did not say all it should */
    struct child children[MAX_PARALLEL]; /* the first count, not waited for yet */
};

static size_t take_next(struct run *r)
{
    return atomic_fetch_add(r->next, 1);
}

static bool is_work_left(const struct run *r)
{
    return atomic_load(r->next) < r->n;
}

/* ---- the child's side ---- */

static bool report(struct run *r, size_t i, int fd)
{
    struct arena *a = arena_new("remote results");
    struct buf results = buf_init(a, RESULT_MAX), frame = buf_init(a, FRAME_MAX);

    wire_put_u32(&results, (uint32_t)i);
    report_put_results(&results, r->groups[i]->first);
    wire_put_bytes(&frame, buf_view(&results));
    bool ok = !results.full && fd_write_all(fd, frame.p, frame.len);

    arena_destroy(&a);
    return ok;
}

static NORETURN void serve(struct run *r, int fd)
{
    bool ok = true;

    for (size_t i; ok && (i = take_next(r)) < r->n;) {
        remote_run(r->d, r->groups[i]);
        ok = report(r, i, fd);
    }
    fd_close(fd); /* the parent goes on while we take leave of our host */
    tidy_transports();
    _exit(ok ? EXIT_SUCCESS : EXIT_FAILURE);
}

static bool start_child(struct run *r)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    pid_t pid = proc_fork("remote delivery");
    if (pid == 0) {
        fd_close(fds[0]);
        r->d->message->notes = NULL; /* the parent's */
        r->d->message->notes_wait = false;
        serve(r, fds[1]);
    }
    fd_close(fds[1]);
    if (pid < 0) {
        fd_close(fds[0]);
        return false;
    }
    r->children[r->count++] =
        (struct child){ .pid = pid, .fd = fds[0], .in = buf_init(r->d->arena, FRAME_MAX) };
    return true;
}

/* ---- the parent's side ---- */

static void settle(struct run *r, size_t i)
{
    struct remote_group *g = r->groups[i];

    r->groups[i] = NULL;
    remote_settle(r->d, g);
}

/* False: the results of a group that was never given away, or not what they should be. */
static bool take_results(struct run *r, struct str results)
{
    struct wire_reader w = wire_reader(results);
    size_t i = wire_get_u32(&w);

    if (w.bad || i >= r->n || r->groups[i] == NULL)
        return false;
    report_get_results(&w, r->d->arena, r->groups[i]->first);
    if (!wire_done(&w))
        return false;
    settle(r, i);
    return true;
}

/* All groups whose results have come whole. */
static bool take_frames(struct run *r, struct child *c)
{
    struct wire_reader w = wire_reader(buf_view(&c->in));
    const char *end = w.p;
    bool ok = true;

    for (struct str results; ok && (results = wire_get_bytes(&w), !w.bad);) {
        ok = take_results(r, results);
        end = w.p;
    }
    buf_consume(&c->in, (size_t)(end - c->in.p));
    return ok;
}

/* False at the end. */
static bool read_results(struct run *r, struct child *c)
{
    char *p = buf_reserve(&c->in, READ_SIZE);
    ssize_t n = p == NULL ? 0 : fd_read(c->fd, p, READ_SIZE);

    if (n <= 0)
        return false;
    buf_commit(&c->in, (size_t)n);
    return take_frames(r, c);
}

static void wait_for(struct run *r, size_t k)
{
    struct proc_status st = proc_wait(r->children[k].pid, -1);

    if (st.kind != PROC_EXITED || st.code != EXIT_SUCCESS)
        r->trouble = st;
    r->children[k] = r->children[--r->count];
}

/* It says no more. One that saw the end of the work is waited for later; after another one comes a new one. */
static void end_child(struct run *r, size_t k)
{
    fd_close(r->children[k].fd);
    r->children[k].fd = -1;
    if (!is_work_left(r))
        return;
    wait_for(r, k);
    (void)start_child(r);
}

/* Whatever has come is settled first, then made durable, and only then is there time to wait. */
static int poll_children(struct run *r, struct pollfd *p)
{
    for (size_t k = 0; k < r->count; k++)
        p[k] = (struct pollfd){ .fd = r->children[k].fd, .events = POLLIN };
    int n = poll(p, r->count, 0);

    if (n != 0)
        return n;
    deliver_journal_sync(r->d);
    return poll(p, r->count, -1);
}

static size_t talking(const struct run *r)
{
    size_t n = 0;

    for (size_t k = 0; k < r->count; k++)
        n += r->children[k].fd >= 0;
    return n;
}

static void hear_children(struct run *r)
{
    struct pollfd p[MAX_PARALLEL];

    while (talking(r) > 0) {
        size_t n = r->count; /* who is started meanwhile comes behind */

        if (poll_children(r, p) <= 0)
            continue; /* interrupted */
        for (size_t k = n; k-- > 0;)
            if (p[k].revents != 0 && !read_results(r, &r->children[k]))
                end_child(r, k);
    }
    while (r->count > 0)
        wait_for(r, r->count - 1);
}

/* Without any child. */
static void work_here(struct run *r)
{
    for (size_t i; (i = take_next(r)) < r->n;) {
        remote_run(r->d, r->groups[i]);
        settle(r, i);
        deliver_journal_sync(r->d);
    }
}

/* Groups that went with their process. */
static void settle_lost(struct run *r)
{
    const char *how = r->trouble.kind == PROC_SIGNALLED ? "was ended by signal" : "ended with status";

    for (size_t i = 0; i < r->n; i++) {
        if (r->groups[i] == NULL)
            continue;
        for (struct address *addr = r->groups[i]->first; addr != NULL; addr = addr->next)
            addr->result = (struct addr_result){
                .rc = RC_DEFER,
                .basic_errno = ERR_UNKNOWNERROR,
                .status = "4.3.0",
                .message = arena_printf(r->d->arena, "remote delivery process %s %d", how, r->trouble.code),
            };
        settle(r, i);
    }
}

void remote_parallel(struct delivery *d, struct remote_group *groups, size_t n, size_t limit)
{
    struct run *r = arena_new_obj(d->arena, struct run);
    void *shared = mmap(NULL, sizeof(*r->next), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED)
        die("out of memory: remote deliveries");
    *r = (struct run){ .d = d, .n = n, .next = shared };
    r->groups = arena_new_array(d->arena, struct remote_group *, n);
    for (size_t i = 0; i < n; i++, groups = groups->next)
        r->groups[i] = groups;
    deliver_journal(d);
    for (size_t i = 0; i < limit && i < n && i < MAX_PARALLEL; i++)
        (void)start_child(r);
    hear_children(r);
    work_here(r); /* what nobody could be started for */
    settle_lost(r);
    (void)munmap(shared, sizeof(*r->next));
}
