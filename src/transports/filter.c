#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/tod.h"
#include "expand.h"
#include "transports/command.h"
#include "transports/stream.h"
#include "transports/transport.h"
#include "transports/write_int.h"

enum { BLOCK = 64 * 1024 };

/* The message goes into the command while its output goes on to the real destination: one process,
 * two pipes that never block. */
struct filter {
    struct stream *down; /* what leads to the destination */
    int in, out;         /* of the command; -1: closed */
    long timeout;
    char *buf;
    int sys_errno;
    bool timed_out, down_failed;
};

static bool give_up(struct filter *f, int sys_errno)
{
    errno = f->sys_errno = sys_errno;
    return false;
}

/* Passes on what the command has written. False: the destination or the command failed. */
static bool pass_on(struct filter *f)
{
    ssize_t n = read(f->out, f->buf, BLOCK);

    if (n < 0)
        return errno == EINTR || errno == EAGAIN ? true : give_up(f, errno);
    if (n == 0) {
        fd_close(f->out);
        f->out = -1;
        return true;
    }
    f->down_failed = !stream_put(f->down, f->buf, (size_t)n);
    return f->down_failed ? give_up(f, errno) : true;
}

/* Waits until one of the pipes can be used; reads if it can. *writable: the command takes more. */
static bool step(struct filter *f, bool *writable)
{
    struct pollfd p[2] = { { .fd = f->out, .events = POLLIN }, { .fd = f->in, .events = POLLOUT } };
    int wait = f->timeout <= 0 ? -1 : f->timeout > 1000000 ? 1000000000 : (int)f->timeout * 1000;
    int n = poll(p, 2, wait);

    *writable = false;
    if (n < 0)
        return errno == EINTR ? true : give_up(f, errno);
    if (n == 0) {
        f->timed_out = true;
        return give_up(f, ETIMEDOUT);
    }
    *writable = p[1].revents != 0;
    return p[0].revents == 0 || pass_on(f);
}

static bool feed(void *arg, const void *data, size_t n)
{
    struct filter *f = arg;
    const char *p = data;

    while (n > 0) {
        bool writable;
        if (!step(f, &writable))
            return false;
        if (!writable)
            continue;
        ssize_t done = write(f->in, p, n);
        if (done < 0 && errno != EINTR && errno != EAGAIN)
            return give_up(f, errno);
        if (done > 0) {
            p += done;
            n -= (size_t)done;
        }
    }
    return true;
}

/* A filter may stop reading early: what it has written counts. */
static bool feed_message(struct filter *f, const struct transport *t, struct transport_call *call,
                         struct err *err)
{
    struct transport_output out = { .add_return_path = f->down->out->add_return_path,
                                    .add_delivery_date = f->down->out->add_delivery_date,
                                    .add_envelope_to = f->down->out->add_envelope_to,
                                    .headers_only = f->down->out->headers_only,
                                    .body_only = f->down->out->body_only,
                                    .write = feed, .arg = f };
    struct stream s;
    bool writable;

    stream_init(&s, call->ctx->arena, &out);
    bool ok = write_plain(&s, t, call, err);
    if (ok && !stream_flush(&s))
        ok = write_failed(call, err);
    if (!ok && f->sys_errno != EPIPE)
        return false;
    if (f->in >= 0)
        fd_close(f->in);
    f->in = -1;
    while (f->out >= 0)
        if (!step(f, &writable))
            return write_failed(call, err);
    return true;
}

static bool check_status(struct filter *f, pid_t pid, struct transport_call *call, bool ok, struct err *err)
{
    struct arena *a = call->ctx->arena;
    int64_t deadline = tod_monotonic_ms() + (ok ? (f->timeout > 0 ? f->timeout : 3600) * 1000 : 0);
    struct proc_status st = proc_wait(pid, deadline);

    if (f->timed_out || (ok && st.kind == PROC_TIMED_OUT)) {
        err_set(err, a, "transport filter timeout");
        err->sys_errno = ETIMEDOUT;
        return false;
    }
    if (!ok)
        return false;
    if (st.kind == PROC_EXITED && st.code == 0)
        return true;
    err->sys_errno = 0;
    return err_set(err, a, "transport filter process failed (%d)%s", st.code,
                   st.kind == PROC_EXITED && st.code == 127 ? ": unable to execute command" : "");
}

bool filter_run(struct stream *s, const struct transport *t, struct transport_call *call, struct err *err)
{
    struct arena *a = call->ctx->arena;
    const struct command_request rq = { .text = t->transport_filter->text, .expand = true,
                                        .owner = arena_printf(a, "%s transport", t->name),
                                        .addrs = call->addrs };
    struct filter f = { .down = s, .timeout = t->transport_filter_timeout };
    extern char **environ;
    char **argv;

    if (!command_parse(call->ctx, &rq, &argv, err))
        return false;
    if (argv[0][0] == '\0')
        return write_plain(s, t, call, err);
    if (argv[0][0] != '/')
        return err_set(err, a, "transport filter command \"%s\" is not an absolute path", argv[0]);
    f.buf = arena_new_array(a, char, BLOCK);
    const struct proc_spawn spawn = { .argv = argv, .envp = environ, .umask = 077, .join_stderr = true };
    pid_t pid = proc_spawn(&spawn, &f.in, &f.out);
    if (pid < 0)
        return err_sys(err, a, errno, "failed to start transport filter %s", argv[0]);
    (void)fd_set_nonblock(f.in, true);
    (void)fd_set_nonblock(f.out, true);
    bool ok = feed_message(&f, t, call, err);
    if (f.in >= 0)
        fd_close(f.in);
    if (f.out >= 0)
        fd_close(f.out);
    return check_status(&f, pid, call, ok, err);
}
