/* link: base */
/* wrap: syslog openlog _exit abort */
#include "base/log.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/debug.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tod.h"
#include "unit.h"

/* ---- a private place, a fake clock, a fake syslog ---- */

struct fixture {
    struct arena *arena;
    char dir[32];
    struct log_config config;
};

static struct timespec now;
static struct timespec fake_clock(void)
{
    return now;
}

static struct buf syslogged;

void __wrap_openlog(const char *ident, int option, int facility);
void __wrap_syslog(int priority, const char *fmt, ...) PRINTF_LIKE(2, 3);

void __wrap_openlog(const char *ident, int option, int facility)
{
    (void)option;
    buf_printf(&syslogged, "%s/%d ", ident, facility >> 3);
}

void __wrap_syslog(int priority, const char *fmt, ...)
{
    va_list ap;

    buf_printf(&syslogged, "%d:", priority);
    va_start(ap, fmt);
    buf_vprintf(&syslogged, fmt, ap);
    va_end(ap);
    buf_add_char(&syslogged, '\n');
}

void __real__exit(int status) NORETURN;
void __wrap__exit(int status) NORETURN;
void __real_abort(void) NORETURN;
void __wrap_abort(void) NORETURN;

void __wrap__exit(int status)
{
    unit_dump_coverage();
    __real__exit(status);
}

void __wrap_abort(void)
{
    unit_dump_coverage();
    __real_abort();
}

static int setup(void **state)
{
    struct arena *a = arena_new("t_log");
    struct fixture *f = arena_new_obj(a, struct fixture);

    *f = (struct fixture){ .arena = a, .dir = "/tmp/t_log.XXXXXX" };
    if (mkdtemp(f->dir) == NULL)
        return -1;
    f->config = (struct log_config){
        .spool_directory = f->dir,
        .selector = log_selector_default(),
        .write_rejectlog = true,
        .syslog_timestamp = true,
        .syslog_pid = true,
        .syslog_duplication = true,
    };
    now = (struct timespec){ .tv_sec = 1383557106, .tv_nsec = 42000000 };
    tod_set_clock(fake_clock);
    tod_zone_set("UTC");
    syslogged = buf_init(a, 100000);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct arena *a = f->arena;

    int rc = system(arena_printf(a, "rm -rf %s", f->dir));
    tod_set_clock(NULL);
    arena_destroy(&a);
    return rc;
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static const char *content(struct fixture *f, const char *name)
{
    struct str text;
    const char *path = arena_printf(f->arena, "%s/%s", f->dir, name);

    return file_slurp(f->arena, path, 1000000, &text) ? text.p : "(none)";
}

#define STAMP "2013-11-04 09:25:06 "

/* ---- selectors ---- */

static void the_default_set_is_that_of_the_manual(void **state)
{
    static const int on[] = {
        L_acl_warn_skipped, L_connection_reject,  L_delay_delivery,
        L_dnslist_defer,    L_etrn,               L_host_lookup_failed,
        L_lost_incoming_connection, L_queue_run,  L_rejected_header,
        L_retry_defer,      L_sender_verify_fail, L_size_reject,
        L_skip_delivery,    L_smtp_confirmation,  L_tls_certificate_verified,
        L_tls_cipher,
    };
    uint64_t want = 0;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(on); i++)
        want |= (uint64_t)1 << on[i];
    assert_true(log_selector_default() == want);
    assert_true(log_wants(NULL, L_tls_cipher));
    assert_false(log_wants(NULL, L_pid));
}

static void every_selector_has_a_name(void **state)
{
    struct fixture *f = *state;
    struct err err;

    for (int bit = 0; bit < L_COUNT; bit++) {
        const char *name = log_selector_name(bit);
        uint64_t bits;

        assert_non_null(name);
        CHECK(name, log_selector_parse(arena_printf(f->arena, "-all +%s", name), &bits, f->arena, &err));
        CHECK(name, bits == (uint64_t)1 << bit);
    }
    assert_null(log_selector_name(L_COUNT));
    assert_null(log_selector_name(-1));
}

static void parses_selectors_in_exims_words(void **state)
{
    static const struct {
        const char *spec, *want;
    } bad[] = {
        { "+foo", "unknown log_selector setting: +foo" },
        { "+all -foo", "unknown log_selector setting: -foo" },
        { "+ pid", "unknown log_selector setting: +" },
        { "+pid+", "unknown log_selector setting: +" },
        { "pid", "malformed log_selector setting: + or - expected but found \"pid\"" },
        { "+pid all", "malformed log_selector setting: + or - expected but found \"all\"" },
        { "=5", "numeric log_selector setting is not supported: =5" },
    };
    struct fixture *f = *state;
    uint64_t bits = 99;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(bad[i].spec, !log_selector_parse(bad[i].spec, &bits, f->arena, &err));
        CHECK_STR(bad[i].spec, err.msg, bad[i].want);
    }
    assert_int_equal(bits, 99);
    assert_true(log_selector_parse("", &bits, f->arena, &err));
    assert_true(bits == log_selector_default());
    assert_true(log_selector_parse(" +all", &bits, f->arena, &err));
    assert_true(bits == ((uint64_t)1 << L_COUNT) - 1);
    assert_true(log_selector_parse("-all+pid -pid +rejected_headers", &bits, f->arena, &err));
    assert_true(bits == LOG_BIT(rejected_header));
}

/* ---- lines ---- */

static void writes_lines_as_exim_does(void **state)
{
    struct fixture *f = *state;
    struct log *l = log_open(f->arena, &f->config);

    log_write(l, LOG_MAIN, NULL, "Start queue run: pid=%d", 7);
    log_write(l, LOG_MAIN, "1VdNti-0001OY-1V", "<= me@example.net");
    log_write(l, LOG_MAIN, "", "a\nb\tc\001\xe4");
    log_write_lines(l, LOG_MAIN, NULL, "Warning: x\n Suggested\r");
    assert_string_equal(content(f, "log/mainlog"), STAMP "Start queue run: pid=7\n"
                        STAMP "1VdNti-0001OY-1V <= me@example.net\n"
                        STAMP "a\\nb\tc\\001\xe4\n"
                        STAMP "Warning: x\n Suggested\\r\n");
    assert_string_equal(content(f, "log/rejectlog"), "(none)");
}

static void stamps_follow_zone_millisec_and_pid(void **state)
{
    struct fixture *f = *state;

    f->config.timezone = true;
    f->config.selector = LOG_BIT(millisec) | LOG_BIT(pid);
    struct log *l = log_open(f->arena, &f->config);
    log_write(l, LOG_MAIN, NULL, "x");
    now.tv_sec++;
    log_write(l, LOG_MAIN, NULL, "y");
    assert_string_equal(content(f, "log/mainlog"),
                        arena_printf(f->arena, "2013-11-04 09:25:06.042 +0000 [%d] x\n"
                                     "2013-11-04 09:25:07.042 +0000 [%d] y\n",
                                     (int)getpid(), (int)getpid()));
    assert_true(log_selector(l) == f->config.selector);
}

static void held_lines_come_together_and_in_order(void **state)
{
    struct fixture *f = *state;
    struct log *l = log_open(f->arena, &f->config);

    log_hold(l);
    log_hold(l); /* no more than once */
    log_write(l, LOG_MAIN, NULL, "a");
    log_write(l, LOG_MAIN, NULL, "b");
    assert_string_equal(content(f, "log/mainlog"), "(none)");
    log_write(l, LOG_MAIN | LOG_REJECT, NULL, "c"); /* what else is written finds them there */
    assert_string_equal(content(f, "log/mainlog"), STAMP "a\n" STAMP "b\n" STAMP "c\n");
    log_write(l, LOG_MAIN, NULL, "d");
    now.tv_sec++; /* another second may have another file */
    log_write(l, LOG_MAIN, NULL, "e");
    assert_string_equal(content(f, "log/mainlog"), STAMP "a\n" STAMP "b\n" STAMP "c\n" STAMP "d\n");
    log_release(l);
    log_release(l);
    log_write(l, LOG_MAIN, NULL, "f");
    assert_string_equal(content(f, "log/mainlog"), STAMP "a\n" STAMP "b\n" STAMP "c\n" STAMP "d\n"
                        "2013-11-04 09:25:07 e\n2013-11-04 09:25:07 f\n");
}

static void held_lines_are_not_held_for_ever(void **state)
{
    struct fixture *f = *state;
    struct arena *a = arena_new("t_log");
    struct log *l = log_open(a, &f->config);
    char *text = arena_new_array(f->arena, char, 20001);

    memset(text, 'x', 20000);
    log_hold(l);
    log_write(l, LOG_MAIN, NULL, "%s", text);
    assert_string_equal(content(f, "log/mainlog"), "(none)");
    log_write(l, LOG_MAIN, NULL, "%s", text);
    const char *one = arena_printf(f->arena, STAMP "%s\n", text);
    assert_string_equal(content(f, "log/mainlog"), one);
    log_write(l, LOG_MAIN, NULL, "%s%s", text, text); /* longer than what is ever held */
    assert_string_equal(content(f, "log/mainlog"),
                        arena_printf(f->arena, "%s%s" STAMP "%s%s\n", one, one, text, text));
    log_write(l, LOG_MAIN, NULL, "last");
    arena_destroy(&a);
    assert_true(cstr_ends(content(f, "log/mainlog"), STAMP "last\n"));
}

static void very_long_lines_are_cut(void **state)
{
    struct fixture *f = *state;
    struct log *l = log_open(f->arena, &f->config);
    char *text = arena_new_array(f->arena, char, 2000001);

    memset(text, 'x', 2000000);
    log_write(l, LOG_MAIN, NULL, "%s", text);
    struct str got;
    assert_true(file_slurp(f->arena, arena_printf(f->arena, "%s/log/mainlog", f->dir), 3000000, &got));
    assert_int_equal(got.len, 1024 * 1024);
    assert_int_equal(got.p[got.len - 1], '\n');
}

static void headers_go_to_the_reject_log_only(void **state)
{
    struct fixture *f = *state;
    struct log *l = log_open(f->arena, &f->config);

    log_write_reject(l, LOG_MAIN | LOG_REJECT, "id", "P Received: x\n  To: y\n", "rejected");
    log_write_reject(l, LOG_MAIN | LOG_REJECT, NULL, NULL, "no headers");
    log_write_reject(l, LOG_MAIN | LOG_REJECT, NULL, "", "empty");
    assert_string_equal(content(f, "log/mainlog"), STAMP "id rejected\n" STAMP "no headers\n" STAMP "empty\n");
    assert_string_equal(content(f, "log/rejectlog"), STAMP "id rejected\nP Received: x\n  To: y\n"
                        STAMP "no headers\n" STAMP "empty\n\n");
}

static void the_reject_log_can_be_without_headers_or_absent(void **state)
{
    struct fixture *f = *state;

    f->config.selector = 0;
    log_write_reject(log_open(f->arena, &f->config), LOG_MAIN | LOG_REJECT, NULL, "H: x\n", "one");
    assert_string_equal(content(f, "log/rejectlog"), STAMP "one\n");
    f->config.write_rejectlog = false;
    log_write_reject(log_open(f->arena, &f->config), LOG_MAIN | LOG_REJECT, NULL, "H: x\n", "two");
    assert_string_equal(content(f, "log/rejectlog"), STAMP "one\n");
    assert_string_equal(content(f, "log/mainlog"), STAMP "one\n" STAMP "two\n");
}

/* ---- files ---- */

static void a_renamed_file_is_left_within_a_second(void **state)
{
    struct fixture *f = *state;
    struct log *l = log_open(f->arena, &f->config);
    const char *path = arena_printf(f->arena, "%s/log/mainlog", f->dir);

    log_write(l, LOG_MAIN, NULL, "1");
    assert_int_equal(rename(path, arena_printf(f->arena, "%s.01", path)), 0);
    log_write(l, LOG_MAIN, NULL, "2");
    now.tv_sec++;
    log_write(l, LOG_MAIN, NULL, "3");
    assert_string_equal(content(f, "log/mainlog.01"), STAMP "1\n" STAMP "2\n");
    assert_string_equal(content(f, "log/mainlog"), "2013-11-04 09:25:07 3\n");
    assert_int_equal(unlink(path), 0);
    log_reopen(l);
    log_write(l, LOG_MAIN, NULL, "4");
    assert_string_equal(content(f, "log/mainlog"), "2013-11-04 09:25:07 4\n");
}

static void a_new_process_keeps_what_it_is_told_to(void **state)
{
    struct fixture *f = *state;
    struct log *l = log_open(f->arena, &f->config);
    int fds[LOG_FDS_MAX], kept;

    assert_int_equal(log_fds(l, fds), 0);
    log_write(l, LOG_MAIN | LOG_REJECT, NULL, "1");
    assert_int_equal(log_fds(l, fds), 2);
    kept = fds[0];
    log_close_others(l, &kept, 1);
    assert_int_equal(log_fds(l, fds), 1);
    assert_int_equal(fds[0], kept);
    log_write(l, LOG_MAIN | LOG_REJECT, NULL, "2");
    log_close_others(l, NULL, 0);
    assert_int_equal(log_fds(l, fds), 0);
    assert_string_equal(content(f, "log/mainlog"), STAMP "1\n" STAMP "2\n");
    assert_string_equal(content(f, "log/rejectlog"), STAMP "1\n" STAMP "2\n");
}

static void files_and_directories_get_their_modes(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    f->config.file_mode = 0604;
    f->config.directory_mode = 0711;
    log_write(log_open(f->arena, &f->config), LOG_MAIN, NULL, "x");
    assert_int_equal(stat(arena_printf(f->arena, "%s/log/mainlog", f->dir), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0604);
    assert_int_equal(stat(arena_printf(f->arena, "%s/log", f->dir), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0711);
}

static void root_gives_new_files_away(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    if (geteuid() != 0)
        skip();
    f->config.file_uid = 12345;
    f->config.file_gid = 12346;
    log_write(log_open(f->arena, &f->config), LOG_MAIN, NULL, "x");
    assert_int_equal(stat(arena_printf(f->arena, "%s/log/mainlog", f->dir), &st), 0);
    assert_true(st.st_uid == 12345 && st.st_gid == 12346);
}

static void dates_in_names_follow_the_clock(void **state)
{
    static const struct {
        const char *path, *main, *panic;
    } cases[] = {
        { "%slog-%D", "mainlog-20131104", "paniclog" },
        { "exim-%s-%D.log", "exim-main-20131104.log", "exim-panic.log" },
        { "%D-%slog", "20131104-mainlog", "paniclog" },
        { "%s.%M", "main.201311", "panic" },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        f->config.log_file_path = arena_printf(f->arena, "%s/%zu/%s", f->dir, i, cases[i].path);
        struct log *l = log_open(f->arena, &f->config);

        log_write(l, LOG_MAIN | LOG_PANIC, NULL, "x");
        CHECK_STR(cases[i].path, content(f, arena_printf(f->arena, "%zu/%s", i, cases[i].main)), STAMP "x\n");
        CHECK_STR(cases[i].path, content(f, arena_printf(f->arena, "%zu/%s", i, cases[i].panic)), STAMP "x\n");
    }
    f->config.log_file_path = arena_printf(f->arena, "%s/%%s-%%D", f->dir);
    struct log *l = log_open(f->arena, &f->config);
    log_write(l, LOG_MAIN, NULL, "today");
    now.tv_sec += 86400;
    log_write(l, LOG_MAIN, NULL, "tomorrow");
    assert_string_equal(content(f, "main-20131104"), STAMP "today\n");
    assert_string_equal(content(f, "main-20131105"), "2013-11-05 09:25:06 tomorrow\n");
}

static void empty_items_mean_the_built_in_path(void **state)
{
    struct fixture *f = *state;

    f->config.log_file_path = ":";
    f->config.built_path = arena_printf(f->arena, "syslog : : %s/built-%%s", f->dir);
    log_write(log_open(f->arena, &f->config), LOG_MAIN, NULL, "x");
    assert_string_equal(content(f, "built-main"), STAMP "x\n");
    f->config.built_path = "syslog";
    log_write(log_open(f->arena, &f->config), LOG_MAIN, NULL, "y");
    assert_string_equal(content(f, "log/mainlog"), STAMP "y\n");
    f->config.log_file_path = "syslog:";
    log_write(log_open(f->arena, &f->config), LOG_MAIN, NULL, "z");
    assert_string_equal(content(f, "log/mainlog"), STAMP "y\n"); /* a last empty item is none */
}

static void odd_settings_are_refused(void **state)
{
    struct fixture *f = *state;
    struct log_config c = { .log_file_path = "log/%slog" };
    struct err err;

    assert_false(log_config_check(&c, f->arena, &err));
    assert_string_equal(err.msg, "log path must be absolute: \"log/%slog\"");
    c.log_file_path = "/log";
    assert_false(log_config_check(&c, f->arena, &err));
    c.log_file_path = "/a%s : /b%s";
    assert_false(log_config_check(&c, f->arena, &err));
    c = (struct log_config){ .syslog_facility = "kernel" };
    assert_false(log_config_check(&c, f->arena, &err));
    assert_string_equal(err.msg, "unknown syslog facility name \"kernel\"");
    c = (struct log_config){ .syslog_processname = "a name of more than thirty-two characters" };
    assert_false(log_config_check(&c, f->arena, &err));
    c = (struct log_config){ .log_file_path = "syslog : /a/%s", .syslog_facility = "local3" };
    assert_true(log_config_check(&c, f->arena, &err));
}

/* ---- syslog ---- */

static struct log *syslog_only(struct fixture *f)
{
    f->config.log_file_path = "syslog";
    return log_open(f->arena, &f->config);
}

static void syslog_gets_the_same_lines(void **state)
{
    struct fixture *f = *state;
    struct log *l = syslog_only(f);

    log_write(l, LOG_MAIN, "id", "one");
    log_write(l, LOG_MAIN | LOG_REJECT, NULL, "two");
    log_write(l, LOG_MAIN | LOG_PANIC, NULL, "three");
    assert_string_equal(buf_cstr(&syslogged), "exim/2 6:" STAMP "id one\n"
                        "exim/2 6:" STAMP "two\nexim/2 5:" STAMP "two\n"
                        "exim/2 6:" STAMP "three\nexim/2 1:" STAMP "three\n");
    assert_string_equal(content(f, "log/mainlog"), "(none)");
}

static void syslog_options_change_the_lines(void **state)
{
    struct fixture *f = *state;

    f->config.syslog_duplication = f->config.syslog_timestamp = f->config.syslog_pid = false;
    f->config.syslog_facility = "local3";
    f->config.syslog_processname = "mta";
    f->config.selector |= LOG_BIT(pid);
    struct log *l = syslog_only(f);
    log_write(l, LOG_MAIN, NULL, "one");
    log_write_reject(l, LOG_MAIN | LOG_REJECT, NULL, "H: x\n", "two");
    log_write(l, LOG_MAIN | LOG_REJECT | LOG_PANIC, NULL, "three");
    assert_string_equal(buf_cstr(&syslogged), "mta/19 6:one\n"
                        "mta/19 5:[1\\2] two\n5:[2/2] H: x\n"
                        "mta/19 1:three\n");
}

static void long_lines_are_split_for_syslog(void **state)
{
    struct fixture *f = *state;
    char text[2001];

    memset(text, 'x', 2000);
    text[2000] = '\0';
    f->config.syslog_timestamp = false;
    log_write(syslog_only(f), LOG_MAIN, NULL, "%s", text);
    assert_string_equal(buf_cstr(&syslogged),
                        arena_printf(f->arena, "exim/2 6:[1/3] %.870s\n6:[2/3] %.870s\n6:[3/3] %.260s\n",
                                     text, text, text));
    buf_clear(&syslogged);
    f->config.syslog_long_lines = true;
    log_write(syslog_only(f), LOG_MAIN, NULL, "%s", text);
    assert_string_equal(buf_cstr(&syslogged), arena_printf(f->arena, "exim/2 6:%s\n", text));
}

/* ---- stderr, trouble, the end ---- */

/* What fn leaves on stderr in a child, whose exit status goes to *status. */
static const char *stderr_of(struct fixture *f, void (*fn)(struct fixture *f), int *status)
{
    int pair[2];
    struct str got;

    assert_int_equal(pipe(pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pair[1], STDERR_FILENO);
        close(pair[0]);
        close(pair[1]);
        fn(f);
        for (const char *p = buf_cstr(&syslogged); *p != '\0'; p++)
            fputc(*p, stderr);
        fflush(stderr);
        _exit(0);
    }
    close(pair[1]);
    assert_true(fd_slurp(f->arena, pair[0], 100000, &got));
    close(pair[0]);
    assert_int_equal(waitpid(pid, status, 0), pid);
    return got.p;
}

static void test_modes(struct fixture *f)
{
    log_write(NULL, LOG_MAIN, NULL, "no log at all");
    f->config.to_stderr = true;
    log_write(log_open(f->arena, &f->config), LOG_MAIN | LOG_REJECT, "id", "rejected\n");
}

static void test_modes_write_to_stderr(void **state)
{
    int status;

    assert_string_equal(stderr_of(*state, test_modes, &status),
                        "LOG: no log at all\nLOG: id rejected\\n\n");
    assert_string_equal(content(*state, "log/mainlog"), "(none)");
}

static void verbose(struct fixture *f)
{
    debug_mask = D_V;
    log_write(log_open(f->arena, &f->config), LOG_MAIN | LOG_REJECT, "id", "text");
}

static void debugging_shows_what_is_logged(void **state)
{
    int status;

    assert_string_equal(stderr_of(*state, verbose, &status), "LOG: MAIN REJECT\n  text\n");
    assert_string_equal(content(*state, "log/rejectlog"), STAMP "id text\n");
}

static void panic_and_die(struct fixture *f)
{
    f->config.panic_to_stderr = true;
    log_write(log_open(f->arena, &f->config), LOG_MAIN | LOG_PANIC_DIE, NULL, "the end");
}

static void a_panic_can_be_the_end(void **state)
{
    int status;

    assert_string_equal(stderr_of(*state, panic_and_die, &status), STAMP "the end\n");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_string_equal(content(*state, "log/mainlog"), STAMP "the end\n");
    assert_string_equal(content(*state, "log/paniclog"), STAMP "the end\n");
}

static void die_holding(struct fixture *f)
{
    struct log *l = log_open(f->arena, &f->config);

    log_hold(l);
    log_write(l, LOG_MAIN, NULL, "before");
    die("gone");
}

static void held_lines_survive_our_death(void **state)
{
    int status;

    stderr_of(*state, die_holding, &status);
    assert_string_equal(content(*state, "log/mainlog"), STAMP "before\n" STAMP "gone\n");
}

static void call_bug(struct fixture *f)
{
    log_open(f->arena, &f->config);
    bug("impossible");
}

static void our_bugs_are_in_the_panic_log(void **state)
{
    int status;

    stderr_of(*state, call_bug, &status);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_string_equal(content(*state, "log/paniclog"), STAMP "impossible\n");
}

static void unwritable_main(struct fixture *f)
{
    f->config.panic_to_stderr = true;
    assert_true(dir_make(arena_printf(f->arena, "%s/log/mainlog", f->dir), 0700));
    log_write(log_open(f->arena, &f->config), LOG_MAIN, NULL, "lost?");
}

static void an_unwritable_main_log_is_told_in_the_panic_log(void **state)
{
    struct fixture *f = *state;
    int status;
    const char *why = arena_printf(f->arena,
                                   "2013-11-04 09:25:06 Cannot write main log file \"%s/log/mainlog\": "
                                   "Is a directory: euid=%d egid=%d\n",
                                   f->dir, (int)geteuid(), (int)getegid());

    assert_string_equal(stderr_of(f, unwritable_main, &status),
                        arena_printf(f->arena, STAMP "lost?\n%s", why));
    assert_string_equal(content(f, "log/paniclog"), why);
}

static void unwritable_all(struct fixture *f)
{
    f->config.log_file_path = "/proc/none/%s";
    log_write(log_open(f->arena, &f->config), LOG_MAIN, NULL, "lost?");
}

static void two_logs(struct fixture *f)
{
    struct log *first = log_open(f->arena, &f->config);
    struct arena *a = arena_new("second log");

    log_open(a, &f->config);
    arena_destroy(&a); /* takes its last words with it */
    log_write(first, LOG_MAIN, NULL, "still here");
    die("no log");
}

static void a_closed_log_gets_no_last_words(void **state)
{
    int status;

    assert_string_equal(stderr_of(*state, two_logs, &status), "exim: no log\n");
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_string_equal(content(*state, "log/mainlog"), STAMP "still here\n");
    assert_string_equal(content(*state, "log/paniclog"), "(none)");
}

static void the_last_resort_is_syslog(void **state)
{
    struct fixture *f = *state;
    int status;
    const char *got = stderr_of(f, unwritable_all, &status);

    assert_non_null(strstr(got, "exim/2 2:" STAMP "lost?\n"));
    assert_non_null(strstr(got, "Cannot write main log file \"/proc/none/main\""));
}

static void full_disk(struct fixture *f)
{
    struct log *l;

    assert_true(dir_make(arena_printf(f->arena, "%s/log", f->dir), 0700));
    assert_int_equal(symlink("/dev/full", arena_printf(f->arena, "%s/log/mainlog", f->dir)), 0);
    l = log_open(f->arena, &f->config);
    log_write(l, LOG_MAIN, NULL, "no room");
}

static void a_full_disk_is_told_in_the_panic_log(void **state)
{
    int status;

    stderr_of(*state, full_disk, &status);
    assert_non_null(strstr(content(*state, "log/paniclog"), "No space left on device"));
}

static void a_name_may_be_too_long(void **state)
{
    struct fixture *f = *state;
    char name[1200];

    memset(name, 'n', sizeof(name));
    memcpy(name + sizeof(name) - 4, "/%s", 4);
    name[0] = '/';
    f->config.log_file_path = name;
    log_write(log_open(f->arena, &f->config), LOG_MAIN, NULL, "x");
    assert_non_null(strstr(buf_cstr(&syslogged), "File name too long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_default_set_is_that_of_the_manual),
        LOG_TEST(every_selector_has_a_name),
        LOG_TEST(parses_selectors_in_exims_words),
        LOG_TEST(writes_lines_as_exim_does),
        LOG_TEST(stamps_follow_zone_millisec_and_pid),
        LOG_TEST(very_long_lines_are_cut),
        LOG_TEST(held_lines_come_together_and_in_order),
        LOG_TEST(held_lines_are_not_held_for_ever),
        LOG_TEST(held_lines_survive_our_death),
        LOG_TEST(headers_go_to_the_reject_log_only),
        LOG_TEST(the_reject_log_can_be_without_headers_or_absent),
        LOG_TEST(a_renamed_file_is_left_within_a_second),
        LOG_TEST(a_new_process_keeps_what_it_is_told_to),
        LOG_TEST(files_and_directories_get_their_modes),
        LOG_TEST(root_gives_new_files_away),
        LOG_TEST(dates_in_names_follow_the_clock),
        LOG_TEST(empty_items_mean_the_built_in_path),
        LOG_TEST(odd_settings_are_refused),
        LOG_TEST(syslog_gets_the_same_lines),
        LOG_TEST(syslog_options_change_the_lines),
        LOG_TEST(long_lines_are_split_for_syslog),
        LOG_TEST(test_modes_write_to_stderr),
        LOG_TEST(debugging_shows_what_is_logged),
        LOG_TEST(a_panic_can_be_the_end),
        LOG_TEST(our_bugs_are_in_the_panic_log),
        LOG_TEST(an_unwritable_main_log_is_told_in_the_panic_log),
        LOG_TEST(a_closed_log_gets_no_last_words),
        LOG_TEST(the_last_resort_is_syslog),
        LOG_TEST(a_full_disk_is_told_in_the_panic_log),
        LOG_TEST(a_name_may_be_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
