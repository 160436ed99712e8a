#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/proc.h"
#include "base/tod.h"
#include "expand.h"
#include "transports/command.h"
#include "transports/pump.h"
#include "transports/stream.h"
#include "transports/transport.h"
#include "transports/write_int.h"

static bool pass_on(void *arg, const char *p, size_t n)
{
    return stream_put(arg, p, n);
}

/* A filter may stop reading early: what it has written counts. */
static bool feed_message(struct stream *down, struct pump *p, pid_t pid, const struct transport *t,
                         struct transport_call *call, struct err *err)
{
    struct transport_output out = *down->out; /* what to write is the same; the form of it comes after */
    struct stream s;

    out.crlf = out.dot_stuff = false;
    out.check_string = NULL;
    out.write = pump_feed;
    out.arg = p;
    stream_init(&s, call->ctx->arena, &out);
    bool ok = write_plain(&s, t, call, err);
    if (ok && !stream_flush(&s))
        ok = write_failed(call, err);
    if (!ok && p->sys_errno != EPIPE)
        return false;
    return pump_drain(p, pid) || write_failed(call, err);
}

static bool check_status(const struct pump *p, pid_t pid, struct transport_call *call, bool ok, struct err *err)
{
    long wait = p->idle > 0 ? p->idle : 3600;
    struct proc_status st = proc_wait(pid, tod_monotonic_ms() + (ok ? wait * 1000 : 0));

    if (p->timed_out || (ok && st.kind == PROC_TIMED_OUT)) {
        err_set(err, call->ctx->arena, "transport filter timeout");
        err->sys_errno = ETIMEDOUT;
        return false;
    }
    if (!ok && p->output_failed)
        return false;
    if (ok && st.kind == PROC_EXITED && st.code == 0)
        return true;
    if (!ok && (st.kind != PROC_EXITED || st.code == 0))
        return false;
    err_set(err, call->ctx->arena, "transport filter process failed (%d)", st.code);
    err->sys_errno = ERR_FILTER_FAIL;
    return false;
}

static pid_t start(char **argv, struct transport_call *call, struct pump *p, struct err *err)
{
    extern char **environ;
    const struct proc_spawn spawn = { .argv = argv, .envp = environ, .umask = 077, .join_stderr = true };
    int in, out;

    proc_ignore(SIGPIPE);
    pid_t pid = argv[0][0] == '/' ? proc_spawn(&spawn, &in, &out) : -1;
    if (pid < 0) {
        err_set(err, call->ctx->arena, "transport filter process failed (127): unable to execute command");
        err->sys_errno = ERR_FILTER_FAIL;
        return -1;
    }
    pump_init(p, call->ctx->arena, in, out);
    return pid;
}

bool filter_run(struct stream *s, const struct transport *t, struct transport_call *call, struct err *err)
{
    const struct command_request rq = { .text = t->transport_filter->text, .expand = true,
                                        .owner = arena_printf(call->ctx->arena, "%s transport", t->name),
                                        .addrs = call->addrs };
    struct pump p;
    char **argv;

    if (!command_parse(call->ctx, &rq, &argv, err)) {
        err->sys_errno = ERR_FILTER_FAIL;
        return false;
    }
    if (argv[0][0] == '\0')
        return write_plain(s, t, call, err);
    pid_t pid = start(argv, call, &p, err);
    if (pid < 0)
        return false;
    p.idle = t->transport_filter_timeout;
    p.output = pass_on;
    p.arg = s;
    bool ok = feed_message(s, &p, pid, t, call, err);
    pump_close(&p);
    return check_status(&p, pid, call, ok, err);
}
