#include "transports/capture.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/proc.h"
#include "base/tod.h"
#include "transports/pump.h"

static bool collect(void *arg, const char *p, size_t n)
{
    struct buf *b = arg;
    size_t room = CAPTURE_OUTPUT_MAX - b->len;

    buf_add(b, p, n < room ? n : room);
    return true;
}

static bool judge(struct arena *a, const struct capture_command *c, const struct pump *p, bool drained,
                  struct proc_status st, struct err *err)
{
    if (p->timed_out || st.kind == PROC_TIMED_OUT) {
        err_set(err, a, "command timed out");
        err->sys_errno = ETIMEDOUT;
        return false;
    }
    if (st.kind == PROC_SIGNALLED)
        return err_set(err, a, "command terminated by signal %d", st.code);
    if (st.kind != PROC_EXITED || !drained)
        return err_sys(err, a, st.kind == PROC_ERROR ? st.code : p->sys_errno, "%s", c->argv[0]);
    return st.code == 0 || err_set(err, a, "command returned non-zero code %d", st.code);
}

bool capture_run(struct arena *a, const struct capture_command *c, struct str *output, struct err *err)
{
    extern char **environ;
    const struct proc_spawn spawn = { .argv = c->argv, .envp = environ, .cwd = c->cwd, .umask = 077 };
    struct buf b = buf_init(a, CAPTURE_OUTPUT_MAX + 1);
    struct pump p;
    int in, out;

    proc_ignore(SIGPIPE);
    pid_t pid = proc_spawn(&spawn, &in, &out);
    if (pid < 0)
        return err_set(err, a, "command returned non-zero code 127 (%s: %s)", c->argv[0], strerror(errno));
    pump_init(&p, a, in, out);
    p.deadline_ms = c->timeout > 0 ? tod_monotonic_ms() + c->timeout * 1000 : -1;
    p.output = collect;
    p.arg = &b;
    bool drained = pump_drain(&p, pid);
    pump_close(&p);
    struct proc_status st = proc_wait(pid, drained ? p.deadline_ms : tod_monotonic_ms());
    *output = str_from(buf_cstr(&b));
    return judge(a, c, &p, drained, st, err);
}
