#include "transports/pump.h"

#include <errno.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/tod.h"

enum { BLOCK = 64 * 1024, TICK_MS = 500 };

void pump_init(struct pump *p, struct arena *a, int in, int out)
{
    *p = (struct pump){ .in = in, .out = out, .deadline_ms = -1, .buf = arena_new_buffer(a, BLOCK) };
    (void)fd_set_nonblock(in, true);
    (void)fd_set_nonblock(out, true);
}

static bool give_up(struct pump *p, int sys_errno)
{
    errno = p->sys_errno = sys_errno;
    return false;
}

static void close_end(int *fd)
{
    if (*fd >= 0)
        fd_close(*fd);
    *fd = -1;
}

static bool take_output(struct pump *p)
{
    ssize_t n = read(p->out, p->buf, BLOCK);

    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? true : give_up(p, errno);
    if (n == 0) {
        close_end(&p->out);
        return true;
    }
    if (p->output(p->arg, p->buf, (size_t)n))
        return true;
    p->output_failed = true;
    return give_up(p, errno);
}

/* Milliseconds to wait now: up to the nearer of the two limits. */
static int wait_ms(const struct pump *p, int64_t since, int most)
{
    int64_t now = tod_monotonic_ms(), left = most;

    if (p->deadline_ms >= 0 && (most < 0 || p->deadline_ms - now < left))
        left = p->deadline_ms - now;
    if (p->idle > 0 && (left < 0 || since + p->idle * 1000 - now < left))
        left = since + p->idle * 1000 - now;
    if (most < 0 && p->deadline_ms < 0 && p->idle <= 0)
        return -1;
    return left < 0 ? 0 : left > 1000000 ? 1000000 : (int)left;
}

static bool is_over(const struct pump *p, int64_t since)
{
    int64_t now = tod_monotonic_ms();

    return (p->deadline_ms >= 0 && now >= p->deadline_ms) || (p->idle > 0 && now >= since + p->idle * 1000);
}

/* Waits until something can be done, at most `most` ms (-1: to the limits), and takes output. */
static bool step(struct pump *p, int64_t since, int most, bool *writable, bool *progress)
{
    struct pollfd fds[2] = { { .fd = p->out, .events = POLLIN }, { .fd = p->in, .events = POLLOUT } };
    int n = poll(fds, 2, wait_ms(p, since, most));

    *writable = *progress = false;
    if (n < 0)
        return errno == EINTR ? true : give_up(p, errno);
    if (n == 0) {
        if (!is_over(p, since))
            return true;
        p->timed_out = true;
        return give_up(p, ETIMEDOUT);
    }
    *progress = true;
    *writable = fds[1].revents != 0;
    return fds[0].revents == 0 || take_output(p);
}

bool pump_feed(void *pump, const void *data, size_t n)
{
    struct pump *p = pump;
    const char *at = data;
    int64_t since = tod_monotonic_ms();

    while (n > 0) {
        bool writable, progress;
        if (!step(p, since, -1, &writable, &progress))
            return false;
        if (progress)
            since = tod_monotonic_ms();
        if (!writable)
            continue;
        ssize_t done = write(p->in, at, n);
        if (done < 0 && errno != EINTR && errno != EAGAIN)
            return give_up(p, errno);
        if (done > 0) {
            at += done;
            n -= (size_t)done;
        }
    }
    return true;
}

static bool is_gone(pid_t pid)
{
    siginfo_t info = { 0 };

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

bool pump_drain(struct pump *p, pid_t pid)
{
    int64_t since = tod_monotonic_ms();
    bool writable, progress, gone = false;

    close_end(&p->in);
    while (p->out >= 0) {
        if (!step(p, since, gone ? 0 : TICK_MS, &writable, &progress))
            return false;
        if (progress)
            since = tod_monotonic_ms();
        else if (gone)
            break;
        gone = gone || is_gone(pid);
    }
    return true;
}

void pump_close(struct pump *p)
{
    close_end(&p->in);
    close_end(&p->out);
}
