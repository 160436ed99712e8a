/* pipe_int.h - the insides of the pipe transport. */
#ifndef EXIM_TRANSPORT_PIPE_INT_H
#define EXIM_TRANSPORT_PIPE_INT_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/proc.h"
#include "transports/pump.h"
#include "transports/transport.h"

struct pipe {
    struct transport base;
    const struct expr *allow_commands;
    const char *check_string;
    const struct expr *command, *environment;
    const char *escape_string;
    bool force_command, freeze_exec_fail, freeze_signal, ignore_status;
    bool log_defer_output, log_fail_output, log_output;
    long max_output;
    const struct expr *message_prefix, *message_suffix, *path;
    bool permit_coredump, pipe_as_creator, restrict_to_path, return_fail_output, return_output;
    const char *temp_errors;
    long timeout;
    bool timeout_defer;
    long umask;
    bool use_bsmtp, use_crlf, use_shell;
};

/* One run of a command. */
struct pipe_run {
    const struct pipe *t;
    struct transport_call *call;
    struct arena *arena;
    const char *command;    /* the whole of it, for messages */
    char **argv;
    const char **env;
    const char *prefix, *suffix;
    struct pump pump;
    struct buf output;
    bool output_killed;     /* more than max_output */
};

/* Sets all results; false. */
bool pipe_result(struct pipe_run *run, enum rc rc, int basic_errno, const char *status, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* An expanded option, or "" when unset; false: result set. */
bool pipe_expand(struct pipe_run *run, const struct expr *e, const char *option, const char **out);

/* ---- pipe_command.c: what to run, and in which environment ---- */
bool pipe_set_command(struct pipe_run *run);
bool pipe_set_environment(struct pipe_run *run);

/* ---- pipe_status.c: what its end means ---- */
void pipe_judge(struct pipe_run *run, struct proc_status st);
bool pipe_temp_errors_valid(const char *list, struct arena *a);

#endif
