#include "transports/pipe.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/proc.h"
#include "base/tod.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "transports/bsmtp.h"
#include "transports/pipe_int.h"

/* clang-format off */
#define T struct pipe
static const struct option options[] = {
    OPTION_EXPAND(T, allow_commands, NULL),
    OPTION_("batch_id", KIND_EXPAND, const struct expr *, T, base.batch_id, NULL),
    OPTION_("batch_max", KIND_INT, long, T, base.batch_max, &(const long){ 1 }),
    OPTION_STRING(T, check_string, NULL),
    OPTION_EXPAND(T, command, NULL),
    OPTION_EXPAND(T, environment, NULL),
    OPTION_STRING(T, escape_string, NULL),
    OPTION_BOOL(T, force_command, false),
    OPTION_BOOL(T, freeze_exec_fail, false),
    OPTION_BOOL(T, freeze_signal, false),
    OPTION_BOOL(T, ignore_status, false),
    OPTION_BOOL(T, log_defer_output, false),
    OPTION_BOOL(T, log_fail_output, false),
    OPTION_BOOL(T, log_output, false),
    OPTION_SIZE(T, max_output, 20 * 1024),
    OPTION_EXPAND(T, message_prefix, NULL),
    OPTION_EXPAND(T, message_suffix, NULL),
    OPTION_EXPAND(T, path, "/bin:/usr/bin"),
    OPTION_BOOL(T, permit_coredump, false),
    OPTION_BOOL(T, pipe_as_creator, false),
    OPTION_BOOL(T, restrict_to_path, false),
    OPTION_BOOL(T, return_fail_output, false),
    OPTION_BOOL(T, return_output, false),
    OPTION_STRING(T, temp_errors, "75:73"),
    OPTION_TIME(T, timeout, 3600),
    OPTION_BOOL(T, timeout_defer, false),
    OPTION_OCTAL(T, umask, 022),
    OPTION_BOOL(T, use_bsmtp, false),
    OPTION_BOOL(T, use_crlf, false),
    OPTION_BOOL(T, use_shell, false),
};
/* clang-format on */

static const char default_prefix[] = "From ${if def:return_path{$return_path}{MAILER-DAEMON}} ${tod_bsdinbox}\n";

static bool set_defaults(struct pipe *t, struct arena *a, struct err *err)
{
    if (t->use_bsmtp) {
        t->check_string = ".";
        t->escape_string = "..";
        return true;
    }
    if (t->message_prefix == NULL && (t->message_prefix = expr_compile(a, default_prefix, err)) == NULL)
        return false;
    return t->message_suffix != NULL || (t->message_suffix = expr_compile(a, "\n", err)) != NULL;
}

static bool pipe_check(struct transport *base, const struct config *cfg, struct arena *a, struct err *err)
{
    struct pipe *t = (struct pipe *)base;

    (void)cfg;
    base->retry_use_local_part = true;
    base->as_creator = t->pipe_as_creator;
    if (t->log_output && t->log_fail_output)
        return err_set(err, a, "both log_output and log_fail_output are set");
    if (t->return_output && t->return_fail_output)
        return err_set(err, a, "both return_output and return_fail_output are set");
    if (t->use_shell && (t->allow_commands != NULL || t->restrict_to_path))
        return err_set(err, a, "%s may not be set with use_shell",
                       t->restrict_to_path ? "restrict_to_path" : "allow_commands");
    if (base->body_only && base->headers_only)
        return err_set(err, a, "headers_only and body_only are mutually exclusive");
    if (t->temp_errors != NULL && !pipe_temp_errors_valid(t->temp_errors, a))
        return err_set(err, a, "temp_errors must be a list of numbers or an asterisk");
    return set_defaults(t, a, err);
}

bool pipe_result(struct pipe_run *run, enum rc rc, int basic_errno, const char *status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const char *text = arena_vprintf(run->arena, fmt, ap);
    va_end(ap);
    transport_set_all(run->call, rc, basic_errno, status, text);
    return false;
}

bool pipe_expand(struct pipe_run *run, const struct expr *e, const char *option, const char **out)
{
    *out = "";
    if (e == NULL)
        return true;
    enum expand_rc rc = expand(run->call->ctx, e, out);
    if (rc == EXPAND_OK)
        return true;
    *out = "";
    return rc == EXPAND_FORCED ||
           pipe_result(run, RC_DEFER, 0, "4.3.5", "Expansion of \"%s\" (%s for %s transport) failed: %s", e->text,
                       option, run->t->base.name, run->call->ctx->err.msg);
}

/* ---- the conversation ---- */

/* Output beyond max_output ends the command: a safety measure. */
static bool collect(void *arg, const char *p, size_t n)
{
    struct pipe_run *run = arg;

    buf_add(&run->output, p, n);
    if (!run->output.full)
        return true;
    size_t room = run->output.ceiling - run->output.len;
    buf_add(&run->output, p, n < room ? n : room);
    run->output_killed = true;
    errno = EFBIG;
    return false;
}

static bool feed_text(struct pipe_run *run, const char *text)
{
    return text == NULL || text[0] == '\0' || pump_feed(&run->pump, text, strlen(text));
}

/* False: the command did not take all of it, or err says what else went wrong. */
static bool feed_all(struct pipe_run *run, struct err *err)
{
    const struct pipe *t = run->t;
    struct transport_output out = { .crlf = t->use_crlf, .check_string = t->check_string,
                                    .escape_string = t->escape_string,
                                    .add_return_path = t->base.return_path_add,
                                    .add_delivery_date = t->base.delivery_date_add,
                                    .add_envelope_to = t->base.envelope_to_add,
                                    .write = pump_feed, .arg = &run->pump };

    return feed_text(run, run->prefix) &&
           feed_text(run, t->use_bsmtp ? bsmtp_head(run->call, t->base.rcpt_include_affixes, t->use_crlf) : NULL) &&
           transport_write_message(&t->base, run->call, &out, err) && feed_text(run, run->suffix) &&
           feed_text(run, !t->use_bsmtp ? NULL : t->use_crlf ? ".\r\n" : ".\n");
}

/* Trouble of the transport filter; the pipe's own time-out and a command that does not read all are
 * judged by how it ends. True: the result is set. */
static bool filter_failed(struct pipe_run *run, const struct err *err)
{
    const struct pipe *t = run->t;

    if (err->sys_errno == ERR_FILTER_FAIL) {
        pipe_result(run, RC_DEFER, ERR_FILTER_FAIL, "4.3.0", "%c%s", 'T', err->msg + (err->msg[0] == 't'));
        return true;
    }
    if (err->sys_errno != ETIMEDOUT || run->pump.timed_out)
        return false;
    pipe_result(run, t->timeout_defer ? RC_DEFER : RC_FAIL, 0, t->timeout_defer ? "4.4.2" : "5.4.7",
                "transport filter timeout while writing to pipe");
    return true;
}

static void limit_core(bool permit, struct rlimit *old)
{
    struct rlimit now;

    if (getrlimit(RLIMIT_CORE, old) != 0)
        return;
    now = *old;
    now.rlim_cur = permit ? old->rlim_max : 0;
    (void)setrlimit(RLIMIT_CORE, &now);
}

static pid_t start(struct pipe_run *run)
{
    const struct pipe *t = run->t;
    const struct proc_spawn spawn = { .argv = run->argv, .envp = unconst(run->env),
                                      .umask = (mode_t)t->umask, .join_stderr = true };
    struct rlimit core;
    int in, out;

    proc_ignore(SIGPIPE);
    limit_core(t->permit_coredump, &core);
    pid_t pid = proc_spawn(&spawn, &in, &out);
    int why = errno;
    (void)setrlimit(RLIMIT_CORE, &core);
    if (pid >= 0) {
        pump_init(&run->pump, run->arena, in, out);
        return pid;
    }
    if (t->freeze_exec_fail) {
        pipe_result(run, RC_DEFER, 0, "4.3.5", "pipe process failed to exec \"%s\"", run->command);
        for (struct address *addr = run->call->addrs; addr != NULL; addr = addr->next)
            addr->result.freeze = true;
    } else if (why == EAGAIN || why == ENOMEM || why == EMFILE || why == ENFILE) {
        pipe_result(run, RC_DEFER, why, "4.3.0", "Failed to create child process for %s transport: %s", t->base.name,
                    strerror(why));
    } else {
        pipe_judge(run, (struct proc_status){ .kind = PROC_EXITED, .code = 127 });
    }
    return -1;
}

static void run_command(struct pipe_run *run)
{
    const struct pipe *t = run->t;
    struct err err = { 0 };
    pid_t pid = start(run);

    if (pid < 0)
        return;
    int64_t deadline = t->timeout > 0 ? tod_monotonic_ms() + t->timeout * 1000 : -1;
    run->pump.deadline_ms = deadline;
    run->pump.output = collect;
    run->pump.arg = run;
    bool fed = feed_all(run, &err);
    bool usable = fed || run->pump.sys_errno == EPIPE;
    bool drained = usable && pump_drain(&run->pump, pid);
    pump_close(&run->pump);
    if (run->output_killed)
        (void)kill(-pid, SIGKILL);
    bool kill_now = !drained && !run->output_killed;
    struct proc_status st = proc_wait(pid, kill_now ? tod_monotonic_ms() : deadline);
    if (!fed && filter_failed(run, &err))
        return;
    if (!usable && !run->pump.timed_out && !run->output_killed) {
        pipe_result(run, RC_DEFER, err.sys_errno, "4.3.0", "%s transport: %s", t->base.name,
                    err.msg != NULL ? err.msg : strerror(run->pump.sys_errno));
        return;
    }
    pipe_judge(run, st);
}

static void pipe_deliver(const struct transport *base, struct transport_call *call)
{
    const struct pipe *t = (const struct pipe *)base;
    struct pipe_run run = { .t = t, .call = call, .arena = call->ctx->arena };
    size_t most = t->max_output > 0 ? (size_t)t->max_output : BUF_DEFAULT_CEILING;

    call->ctx->return_path = call->return_path;
    run.output = buf_init(run.arena, most);
    if (pipe_set_command(&run) && pipe_set_environment(&run) &&
        pipe_expand(&run, t->message_prefix, "message_prefix", &run.prefix) &&
        pipe_expand(&run, t->message_suffix, "message_suffix", &run.suffix))
        run_command(&run);
}

const struct transport_driver transport_pipe = {
    .name = "pipe",
    .instance_size = sizeof(struct pipe),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .flags = TRANSPORT_LOCAL,
    .check = pipe_check,
    .deliver = pipe_deliver,
};
