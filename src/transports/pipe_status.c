#include <string.h>
#include <sysexits.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/str.h"
#include "expand.h"
#include "message.h"
#include "transports/pipe_int.h"

/* sysexits.h, in Exim's words, and RFC 3463's detail. */
static const struct exit_code {
    int code;
    const char *meaning, *detail;
} codes[] = {
    { EX_USAGE, "usage or syntax error", "3.5" },
    { EX_DATAERR, "error in input data", "6.0" },
    { EX_NOINPUT, "cannot open input", "3.0" },
    { EX_NOUSER, "user nonexistent", "1.1" },
    { EX_NOHOST, "host nonexistent", "1.2" },
    { EX_UNAVAILABLE, "service or program unavailable", "3.0" },
    { EX_SOFTWARE, "internal software error", "3.0" },
    { EX_OSERR, "system error", "3.0" },
    { EX_OSFILE, "system file missing", "3.5" },
    { EX_CANTCREAT, "can't create output file", "2.0" },
    { EX_IOERR, "input/output error", "3.0" },
    { EX_TEMPFAIL, "temporary error", "3.0" },
    { EX_PROTOCOL, "remote error in protocol", "5.0" },
    { EX_NOPERM, "permission denied", "7.0" },
    { EX_CONFIG, "configuration error", "3.5" },
    { 127, "unable to exec or command does not exist", "3.5" },
};

static const struct exit_code *find_code(int code)
{
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].code == code)
            return &codes[i];
    return NULL;
}

bool pipe_temp_errors_valid(const char *list, struct arena *a)
{
    struct list_iter it = list_begin(list, ':');
    long n;

    if (strcmp(list, "*") == 0)
        return true;
    for (const char *item; (item = list_next(&it, a)) != NULL;)
        if (!cstr_to_long(item, &n))
            return false;
    return true;
}

static bool is_temporary(const struct pipe_run *run, int code)
{
    const char *list = run->t->temp_errors;
    struct list_iter it = list_begin(list == NULL ? "" : list, ':');
    long n;

    if (list != NULL && strcmp(list, "*") == 0)
        return true;
    for (const char *item; (item = list_next(&it, run->arena)) != NULL;)
        if (cstr_to_long(item, &n) && n == code)
            return true;
    return false;
}

static const char *meaning(struct pipe_run *run, int code)
{
    const struct exit_code *c = find_code(code);

    if (c != NULL)
        return arena_printf(run->arena, " (could mean %s)", c->meaning);
    if (code > 128)
        return arena_printf(run->arena, " (could mean shell command ended by signal %d (%s))", code - 128,
                            strsignal(code - 128));
    return "";
}

static void freeze(struct pipe_run *run)
{
    for (struct address *addr = run->call->addrs; addr != NULL; addr = addr->next)
        addr->result.freeze = true;
}

static void on_signal(struct pipe_run *run, int sig)
{
    const struct pipe *t = run->t;

    if (t->ignore_status) {
        transport_set_all(run->call, RC_OK, 0, "2.0.0", NULL);
        return;
    }
    pipe_result(run, t->freeze_signal ? RC_DEFER : RC_FAIL, 0, t->freeze_signal ? "4.3.0" : "5.3.0",
                "Child process of %s transport (running command \"%s\") was terminated by signal %d (%s)", t->base.name,
                run->command, sig, strsignal(sig));
    if (t->freeze_signal)
        freeze(run);
}

static void on_exit_code(struct pipe_run *run, int code)
{
    const struct exit_code *c = find_code(code);
    bool temporary = !run->t->return_output && is_temporary(run, code);

    if (code == 0 || run->t->ignore_status) {
        transport_set_all(run->call, RC_OK, 0, "2.0.0", NULL);
        return;
    }
    const char *status = arena_printf(run->arena, "%c.%s", temporary ? '4' : '5', c == NULL ? "3.0" : c->detail);
    pipe_result(run, temporary ? RC_DEFER : RC_FAIL, 0, status,
                "Child process of %s transport returned %d%s from command: %s", run->t->base.name, code,
                meaning(run, code), run->argv[0]);
}

/* ---- what it wrote ---- */

static bool wants_log(const struct pipe *t, enum rc rc)
{
    return t->log_output || (t->log_fail_output && rc == RC_FAIL) || (t->log_defer_output && rc == RC_DEFER);
}

static void keep_first_line(struct pipe_run *run)
{
    const char *text = cstr_skip_space(buf_cstr(&run->output));
    size_t n = strcspn(text, "\r\n");

    run->call->addrs->output_line = cstr_printable_len(run->arena, text, n, true);
}

/* return_output makes any output a failure; a bounce's output goes nowhere. */
static void keep_output(struct pipe_run *run)
{
    struct address *addr = run->call->addrs;
    const struct pipe *t = run->t;
    bool wanted = t->return_output || (t->return_fail_output && addr->result.rc == RC_FAIL);

    if (run->output.len == 0)
        return;
    if (wants_log(t, addr->result.rc))
        keep_first_line(run);
    if (!wanted || run->call->message->sender[0] == '\0')
        return;
    if (t->return_output && addr->result.rc != RC_DEFER)
        pipe_result(run, RC_FAIL, 0, "5.3.0", "return message generated");
    addr->return_text = arena_strndup(run->arena, run->output.p, run->output.len);
}

void pipe_judge(struct pipe_run *run, struct proc_status st)
{
    if (run->pump.timed_out || st.kind == PROC_TIMED_OUT) {
        bool defer = run->t->timeout_defer;
        pipe_result(run, defer ? RC_DEFER : RC_FAIL, 0, defer ? "4.4.2" : "5.4.7", "pipe delivery process timed out");
    } else if (st.kind == PROC_SIGNALLED) {
        on_signal(run, st.code);
    } else if (st.kind == PROC_EXITED) {
        on_exit_code(run, st.code);
    } else {
        pipe_result(run, RC_DEFER, st.code, "4.3.0", "Failed to wait for child process of %s transport: %s",
                    run->t->base.name, strerror(st.code));
    }
    keep_output(run);
    for (struct address *addr = run->call->addrs; addr != NULL; addr = addr->next)
        if (addr->result.rc == RC_FAIL)
            addr->result.user_message = "local delivery failed";
}
