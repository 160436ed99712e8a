#include "expand/item_handlers.h"

#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/tod.h"
#include "expand/strings.h"

enum { RUN_SECONDS = 60, OUTPUT_MAX = 16 * 1024 * 1024, READ_SIZE = 16384 };

bool item_perl_parse(struct compiler *c, struct item_node *n)
{
    (void)n;
    return compile_fail(c, "${perl is not built in: there is no embedded Perl");
}

bool item_dlfunc_parse(struct compiler *c, struct item_node *n)
{
    (void)n;
    return compile_fail(c, "${dlfunc is not built in: EXPAND_DLFUNC is not set in Local/Makefile");
}

/* Exim's "preexpand" is what 4.89 always did: one string is expanded, then split. */
bool item_run_parse(struct compiler *c, struct item_node *n)
{
    if (*c->p == ',') {
        c->p++;
        const char *option = compile_name(c, "-");
        if (strcmp(option, "preexpand") != 0)
            return compile_fail(c, "bad option '%s' for run", option);
    }
    return compile_arg(c, "command arg", "run", &n->arg[0]) &&
           branches_compile(c, n->item->name, &n->branches);
}

/* ---- command line ---- */

/* One argument that begins at *at: a word, "..." with escapes or '...' as it is. */
static char *next_argument(struct arena *a, const char **at)
{
    const char *p = *at;
    struct buf b = buf_init(a, EXPAND_RESULT_MAX);

    if (*p == '\'' || *p == '"') {
        char quote = *p++;

        while (*p != '\0' && *p != quote) {
            if (*p == '\\' && quote == '"' && p[1] != '\0')
                p += 1 + strings_escape(p + 1, &b);
            else
                buf_add_char(&b, *p++);
        }
        p += *p == quote;
    } else {
        size_t len = strcspn(p, " \t\n\v\f\r");

        buf_add(&b, p, len);
        p += len;
    }
    *at = cstr_skip_space(p);
    return buf_cstr(&b);
}

static char **split(struct arena *a, const char *command)
{
    size_t count = 0, size = strlen(command) / 2 + 2; /* an argument and a space each */
    char **argv = arena_new_array(a, char *, size + 1);

    for (const char *p = cstr_skip_space(command); *p != '\0' && count < size;)
        argv[count++] = next_argument(a, &p);
    return argv;
}

/* ---- running it ---- */

/* Up to the end of its output; false at the deadline or when there is too much. */
static bool read_output(int fd, int64_t deadline, struct buf *b)
{
    for (;;) {
        if (fd_wait_read(fd, deadline) <= 0)
            return false;
        char *room = buf_reserve(b, READ_SIZE);
        if (room == NULL)
            return false;
        ssize_t n = fd_read(fd, room, READ_SIZE);
        if (n < 0)
            return false;
        buf_commit(b, (size_t)n);
        if (n == 0)
            return true;
    }
}

static void keep_result(struct expand_ctx *ctx, int code, const char *output)
{
    ctx->runrc = arena_printf(ctx->arena, "%d", code);
    ctx->value = output;
}

static enum expand_rc run_command(struct expand_ctx *ctx, char **argv, int *code)
{
    struct proc_spawn s = {
        .argv = argv, .envp = environ, .umask = 077, .join_stderr = true
    };
    int64_t deadline = tod_monotonic_ms() + RUN_SECONDS * 1000;
    struct buf b = buf_init(ctx->arena, OUTPUT_MAX);
    int fd;

    pid_t pid = argv[0] == NULL ? -1 : proc_spawn(&s, NULL, &fd);
    if (pid < 0) { /* as a shell says: no such command */
        *code = 127;
        keep_result(ctx, *code, "");
        return EXPAND_OK;
    }
    bool whole = read_output(fd, deadline, &b);
    (void)fd_close(fd);
    struct proc_status st = proc_wait(pid, whole ? deadline : tod_monotonic_ms());
    if (b.full)
        return eval_fail(ctx, "the output of the command is too long");
    if (!whole || st.kind == PROC_TIMED_OUT)
        return eval_fail(ctx, "command timed out");
    if (st.kind == PROC_ERROR)
        return eval_fail(ctx, "wait() failed: %s", strerror(st.code));
    *code = st.kind == PROC_SIGNALLED ? -st.code : st.code;
    keep_result(ctx, *code, buf_cstr(&b));
    return EXPAND_OK;
}

/* $value and $runrc stay after it, for log_message and the like. */
enum expand_rc item_run(struct expand_ctx *ctx, const struct item_node *n,
                        const char **out)
{
    const char *command;
    int code = 0;

    if (!eval_permitted(ctx, FORBID_RUN, "running a command is not permitted"))
        return EXPAND_FAIL;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &command);
    if (rc == EXPAND_OK)
        rc = run_command(ctx, split(ctx->arena, command), &code);
    if (rc != EXPAND_OK)
        return rc;
    return branches_eval(ctx, &n->branches, code == 0, ctx->value, out);
}
