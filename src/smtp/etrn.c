#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/tod.h"
#include "exim.h"
#include "expand.h"
#include "hintsdb.h"
#include "smtp/smtp_int.h"

enum { SERIAL_STALE = 6 * 60 * 60 };

/* smtp_etrn_command with ETRN's argument in $domain, as words; NULL: answered. */
static char *const *etrn_command(struct smtp_state *st)
{
    struct expand_ctx ctx;
    const char *text;
    struct arena *a = st->s->arena;

    if (st->o->smtp_etrn_command == NULL) {
        char **argv = arena_new_array(a, char *, 4);

        argv[0] = arena_strdup(a, st->e->exim_path);
        argv[1] = arena_strdup(a, "-R");
        argv[2] = arena_strdup(a, st->argument + 1);
        return argv;
    }
    smtp_context(st, &ctx);
    ctx.domain = st->argument + 1;
    if (expand(&ctx, st->o->smtp_etrn_command, &text) != EXPAND_OK) {
        smtp_log(st, LOG_MAIN | LOG_PANIC, "failed to set up ETRN command: %s",
                 ctx.err.msg != NULL ? ctx.err.msg : "");
        smtp_reply(st, "458 Internal failure");
        return NULL;
    }
    int words = list_count(text, ' ', a), n = 0;
    char **argv = arena_new_array(a, char *, (size_t)words + 1);
    struct list_iter it = list_begin(text, ' ');
    for (const char *word; (word = list_next(&it, a)) != NULL && n < words;)
        if (*word != '\0')
            argv[n++] = arena_strdup(a, word);
    return argv;
}

static const char *serial_key(struct smtp_state *st)
{
    return arena_printf(st->s->arena, "etrn-%s", st->argument);
}

/* False: the same ETRN is at work already (smtp_etrn_serialize). Without hints there is
 * no lock. */
static bool begin_serial(struct smtp_state *st)
{
    struct arena *a = st->s->arena;
    struct hints_serial held = { .time_stamp = tod_now().tv_sec, .count = 1 }, found;
    struct err err = { 0 };
    struct str raw;

    struct hints_db *db = hints_open(st->e, "misc", true, &err);
    if (db == NULL)
        return true;
    bool busy = hints_get(db, a, serial_key(st), &raw) &&
                hints_serial_decode(raw, &found) && found.count > 0 &&
                held.time_stamp - found.time_stamp < SERIAL_STALE;
    raw = hints_serial_encode(a, &held);
    if (!busy)
        (void)hints_put(db, serial_key(st), raw.p, raw.len, &err);
    hints_close(db);
    return !busy;
}

static void end_serial(struct smtp_state *st)
{
    struct err err = { 0 };
    struct hints_db *db = hints_open(st->e, "misc", true, &err);

    if (db == NULL)
        return;
    (void)hints_delete(db, serial_key(st));
    hints_close(db);
}

/* Runs the command, waits for it, and gives the lock back. */
static void NORETURN attend(struct smtp_state *st, char *const *argv)
{
    (void)setsid();
    (void)dup2(open("/dev/null", O_RDWR), STDIN_FILENO);
    (void)dup2(STDIN_FILENO, STDOUT_FILENO);
    (void)dup2(STDIN_FILENO, STDERR_FILENO);
    pid_t pid = proc_fork("etrn command");
    if (pid == 0) {
        (void)execv(argv[0], argv);
        log_write(st->e->log, LOG_MAIN | LOG_PANIC, NULL,
                  "exec of \"%s\" (ETRN) failed: %s", argv[0], strerror(errno));
        _exit(1);
    }
    if (pid > 0)
        (void)proc_wait(pid, -1);
    if (st->o->smtp_etrn_serialize)
        end_serial(st);
    _exit(0);
}

static void run_etrn(struct smtp_state *st, char *const *argv)
{
    if (st->o->smtp_etrn_serialize && !begin_serial(st)) {
        smtp_reply(st, "458 Already processing %s", st->argument);
        return;
    }
    (void)smtp_flush(st);
    pid_t pid = proc_fork("etrn");
    if (pid < 0) {
        if (st->o->smtp_etrn_serialize)
            end_serial(st);
        smtp_reply(st, "458 Unable to fork process");
        return;
    }
    if (pid == 0) { /* the grandchild is nobody's child: it outlives the session */
        if (proc_fork("etrn") != 0)
            _exit(0);
        attend(st, argv);
    }
    (void)proc_wait(pid, -1);
    smtp_reply(st, "250 OK");
}

void smtp_cmd_etrn(struct smtp_state *st)
{
    if (st->s->batched)
        return;
    if (st->mail_done) {
        smtp_error(st, SMTP_PROTOCOL, 503, "ETRN is not permitted inside a transaction");
        return;
    }
    if (smtp_log_wants(st, L_etrn))
        smtp_log(st, LOG_MAIN | LOG_BY(etrn), "ETRN %s received from %s",
                 cstr_printable(st->s->arena, st->argument, false),
                 session_host_and_ident(st->s, false, true));
    if (st->argument[0] != '#' && st->o->smtp_etrn_command == NULL) {
        smtp_error(st, SMTP_SYNTAX, 501, "argument must begin with #");
        return;
    }
    if (!smtp_acl_allows(st, ACL_WHERE_ETRN, st->o->acl_smtp_etrn,
                         arena_printf(st->s->arena, "ETRN %s", st->argument)))
        return;
    if (st->s->host_checking) {
        smtp_reply(st, "250 OK");
        return;
    }
    char *const *argv = etrn_command(st);
    if (argv != NULL && argv[0] != NULL)
        run_etrn(st, argv);
}
