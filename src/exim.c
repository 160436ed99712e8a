#include "exim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/tod.h"
#include "cmd/cmd.h"
#include "cmd/startup.h"
#include "cmd/submission.h"
#include "config/config.h"
#include "dns.h"
#include "drtables.h"
#include "priv.h"
#include "readconf.h"
#include "regex.h"
#include "search.h"
#include "version.h"
#include "spool.h"

/* ---- Before anything else ---- */

/* Something may have closed the standard descriptors: what is opened next must not become
 * one. */
static void fill_standard_fds(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 &&
            open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY) != fd)
            die("cannot open /dev/null: %s", strerror(errno));
}

static NORETURN void stop(const char *what)
{
    fprintf(stderr, "exim: %s\n", what);
    exit(EXIT_FAILURE);
}

/* As Exim's panic log on stderr has it. */
static NORETURN void stop_with_stamp(struct arena *a, const char *what)
{
    fprintf(stderr, "%s %s\n", tod_print(a, TOD_LOG, tod_now()), what);
    exit(EXIT_FAILURE);
}

static struct exim *new_exim(void)
{
    struct arena *a = arena_new("process");
    struct exim *e = arena_new_obj(a, struct exim);
    char cwd[4096];

    *e = (struct exim){
        .arena = a,
        .hooks = &drtables_hooks,
        .queue_fd = -1,
        .real_uid = getuid(),
        .real_gid = getgid(),
        .privileged = geteuid() == 0,
        .initial_cwd = getcwd(cwd, sizeof(cwd)) != NULL ? arena_strdup(a, cwd) : "/",
    };
    return e;
}

/* ---- Configuration ---- */

/* A mistake in the system's own configuration is for the administrator to see: also in
 * the log that was built in. */
static void log_config_error(struct exim *e, bool system, const char *what)
{
    struct log_config l = {
        .spool_directory = SPOOL_DIRECTORY,
        .log_file_path = "",
        .built_path = LOG_FILE_PATH[0] != '\0' ? LOG_FILE_PATH : NULL,
        .selector = log_selector_default(),
        .file_mode = LOG_MODE,
    };
    struct stat st;

    if (system && e->privileged && stat(SPOOL_DIRECTORY, &st) == 0)
        log_write_lines(log_open(e->arena, &l), LOG_PANIC, NULL, "%s", what);
}

static void read_config(struct exim *e, const struct cmd_line *c)
{
    bool keep_root, system;
    struct err err = { 0 };

    if (!startup_config_trusted(e, c, &keep_root, &system, &err))
        stop(err.msg);
    if (!keep_root && !priv_drop_to_caller(e, &err))
        stop(err.msg);
    const struct readconf_request rq = {
        .filenames = system ? CONFIGURE_FILE : c->config_files,
        .macros = c->macros,
        .hooks = e->hooks,
        .exim_user_unasked = (c->mode->run == cmd_bt || c->mode->run == cmd_bV) &&
                             getuid() == geteuid() && getgid() == getegid(),
        .check_owner = geteuid() == 0,
    };

    e->config = readconf(e->arena, &rq, &err);
    if (e->config == NULL) {
        log_config_error(e, system, err.msg);
        stop_with_stamp(e->arena, err.msg);
    }
}

/* ---- What everything uses ---- */

static bool is_test(const struct cmd_mode *m)
{
    static const char *const names[] = { "bh", "bhc", "bt", "bv", "bvs",
                                         "be", "bem", "bf", "bF" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(m->name, names[i]) == 0)
            return true;
    return false;
}

static void open_log(struct exim *e, const struct cmd_line *c)
{
    struct log_config *l = arena_new_obj(e->arena, struct log_config);

    *l = readconf_log_config(e->config);
    l->to_stderr = is_test(c->mode);
    l->panic_to_stderr = strcmp(c->mode->name, "bs") != 0 && c->mode->run != cmd_bd;
    if (c->log_tag != NULL) {
        l->log_file_path = "syslog";
        l->syslog_processname = c->log_tag;
    }
    e->log = log_open(e->arena, l);
}

/* The selector arguments; tests and listings are not worth a line (manual 53.15). */
static void log_arguments(const struct exim *e, const struct cmd_line *c)
{
    struct buf b = buf_init(e->arena, BUF_DEFAULT_CEILING);

    if (!log_wants(e->log, L_arguments) || is_test(c->mode) || c->mode->run == cmd_bP ||
        c->mode->run == cmd_brt || c->mode->run == cmd_brw ||
        (c->mode->flags & CMD_DROPS_TO_CALLER) != 0) /* who may not write the log */
        return;
    for (int i = 0; i < c->argc; i++) {
        const char *text = cstr_printable(e->arena, c->argv[i], true);
        const char *quote = *text == '\0' || strpbrk(text, " \t") != NULL ? "\"" : "";

        buf_printf(&b, " %s%s%s", quote, text, quote);
    }
    log_write(e->log, LOG_MAIN | LOG_BY(arguments), NULL, "cwd=%s %d args:%s",
              e->initial_cwd, c->argc, buf_cstr(&b));
}

#define RESOLV_SERVER "EXIM_RESOLV_SERVER"

/* Tests bring their own DNS server; nobody else's rights may depend on what the
 * environment says. */
static const char *test_resolver(void)
{
    bool plain = getuid() == geteuid() && getgid() == getegid();

    return plain ? getenv(RESOLV_SERVER) : NULL;
}

static void set_up(struct exim *e, const struct cmd_line *c)
{
    const char *server = test_resolver();
    struct err err = { 0 };

    e->exim_path = e->config->main.exim_path;
    e->message_reference = c->oMm;
    e->connection_max_messages = c->connection_max_messages;
    e->host_checking = c->mode->run == cmd_bh;
    e->address_test = c->mode->run == cmd_bt;
    tod_zone_set(e->config->main.timezone);
    open_log(e, c);
    server = server == NULL ? NULL : arena_strdup(e->arena, server);
    if (!startup_environment(e, &err))
        stop(err.msg);
    if (server != NULL &&
        setenv(RESOLV_SERVER, server, 1) != 0) /* a daemon that reloads looks again */
        stop(strerror(errno));
    e->resolver = dns_open(e->arena, e->config, server);
    dns_attach(e->resolver, e);
    e->search = search_new(e);
    if (!startup_caller(e, c, &err))
        stop(err.msg);
}

static void start_debug(const struct exim *e, const struct cmd_line *c)
{
    debug_mask = c->debug | (c->verbose ? (uint32_t)D_V : 0);
    if (!c->debug_set)
        return;
    debug_printf("Exim version %s uid=%ld gid=%ld pid=%ld D=%x\n", EXIM_VERSION,
                 (long)e->real_uid, (long)e->real_gid, (long)getpid(), debug_mask);
    debug_printf("configuration file is %s\n", e->config->filename);
    debug_printf("log selectors = %016llx\n", (unsigned long long)e->config->log_selector);
    debug_printf("%strusted user, %sadmin user, originator %s\n", e->trusted ? "" : "not a ",
                 e->admin ? "" : "not an ", e->originator_login);
}

/* ---- Rights of the mode ---- */

static void change_identity(struct exim *e, const struct cmd_line *c)
{
    unsigned f = c->mode->flags;
    bool becomes_exim =
        (f & (CMD_NEEDS_BROKER | CMD_DROPS_ROOT)) != 0 || c->mode->run == cmd_bd;
    bool reads_spool = c->mode->run == cmd_be && c->be_id != NULL; /* it drops later */
    struct err err = { 0 };

    if (becomes_exim && e->config->exim_user_missing)
        stop(arena_printf(
            e->arena, "the user \"%s\" does not exist: create it, or set exim_user in %s",
            e->config->main.exim_user, e->config->filename));
    bool ok = (f & CMD_NEEDS_BROKER) != 0 ? spool_prepare(e, &err) && priv_start(e, &err)
              : (f & CMD_DROPS_TO_CALLER) != 0
                  ? reads_spool || priv_drop_to_caller(e, &err)
              : (f & CMD_DROPS_ROOT) != 0 ? priv_drop(e, &err)
                                          : true;

    if (!ok)
        stop(err.msg);
}

int main(int argc, char **argv)
{
    struct cmd_line c;
    int status;

    proc_title_init(argc, argv);
    fill_standard_fds();
    proc_ignore(SIGPIPE);
    (void)umask(0);
    struct exim *e = new_exim();

    if (!cmd_parse(e, argc, argv, &c, &status))
        return status;
    if (c.mode->run == cmd_bd)
        regex_compile_at_once();
    read_config(e, &c);
    set_up(e, &c);
    const char *forbidden = cmd_forbidden(e, &c);

    if (forbidden != NULL)
        stop(forbidden);
    start_debug(e, &c);
    if (submission_wanted(e, &c))
        return submission_run(e, &c);
    change_identity(e, &c);
    log_arguments(e, &c);
    return c.mode->run(e, &c);
}
