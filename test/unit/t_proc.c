/* link: base */
/* wrap: syscall _exit _Fork fork pipe2 open */
#include "base/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/debug.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tod.h"
#include "unit.h"

/* What the next calls do instead of their work. */
static bool without_pidfd, without_fork;
static int pipes_left = 1000, opens_left = 1000;

long __real_syscall(long n, ...);
long __wrap_syscall(long n, long a, long b, long c);
void __real__exit(int status) NORETURN;
void __wrap__exit(int status) NORETURN;
pid_t __real_fork(void);
pid_t __wrap_fork(void);
pid_t __real__Fork(void);
pid_t __wrap__Fork(void);
int __real_pipe2(int pair[2], int flags);
pid_t __wrap__Fork(void) /* where there is one thread */
{
    if (!without_fork)
        return __real__Fork();
    errno = EAGAIN;
    return -1;
}

int __wrap_pipe2(int pair[2], int flags);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, mode_t mode);

long __wrap_syscall(long n, long a, long b, long c)
{
    if (n == SYS_pidfd_open && without_pidfd) {
        errno = ENOSYS;
        return -1;
    }
    return __real_syscall(n, a, b, c);
}

void __wrap__exit(int status)
{
    unit_dump_coverage();
    __real__exit(status);
}

pid_t __wrap_fork(void)
{
    if (!without_fork)
        return __real_fork();
    errno = EAGAIN;
    return -1;
}

int __wrap_pipe2(int pair[2], int flags)
{
    if (pipes_left-- > 0)
        return __real_pipe2(pair, flags);
    errno = EMFILE;
    return -1;
}

int __wrap_open(const char *path, int flags, mode_t mode)
{
    if (opens_left-- > 0)
        return __real_open(path, flags, mode);
    errno = EMFILE;
    return -1;
}

static char greeting[] = "GREETING=hi", sh[] = "/bin/sh", dash_c[] = "-c", none[] = "/nonexistent/program";
static char *const environment[] = { greeting, NULL };

static pid_t shell(const char *script, const char *cwd, bool join, int *in, int *out)
{
    char text[256];
    char *argv[] = { sh, dash_c, text, NULL };
    struct proc_spawn s = { .argv = argv, .envp = environment, .cwd = cwd, .umask = 027, .join_stderr = join };

    snprintf(text, sizeof(text), "%s", script);
    return proc_spawn(&s, in, out);
}

static const char *output_of(struct arena *a, const char *script, bool join)
{
    int out;
    struct str text;
    pid_t pid = shell(script, "/", join, NULL, &out);

    assert_true(pid > 0);
    assert_true(fd_slurp(a, out, 10000, &text));
    fd_close(out);
    assert_int_equal(proc_wait(pid, -1).kind, PROC_EXITED);
    return text.p;
}

static void spawned_programs_get_what_they_were_given(void **state)
{
    assert_string_equal(output_of(*state, "echo $GREETING; pwd; umask", false), "hi\n/\n0027\n");
    assert_string_equal(output_of(*state, "echo e >&2; echo o", true), "e\no\n");
    assert_string_equal(output_of(*state, "echo e >&2; echo o", false), "o\n");
    assert_string_equal(output_of(*state, "cat; echo end", false), "end\n"); /* stdin: /dev/null */
    assert_string_equal(output_of(*state, "ls /proc/self/fd | wc -l", false), "4\n"); /* 0-2 and ls's own */
}

static void input_goes_through(void **state)
{
    int in, out;
    struct str text;
    pid_t pid = shell("tr a-z A-Z", NULL, false, &in, &out);

    assert_true(fd_write_all(in, "words", 5));
    fd_close(in);
    assert_true(fd_slurp(*state, out, 100, &text));
    assert_string_equal(text.p, "WORDS");
    fd_close(out);
    struct proc_status st = proc_wait(pid, tod_monotonic_ms() + 10000);
    assert_true(st.kind == PROC_EXITED && st.code == 0);
}

static void a_socket_can_be_both_ends(void **state)
{
    int pair[2];
    char text[] = "read x; echo got $x", got[16] = "";
    char *argv[] = { sh, dash_c, text, NULL };

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    struct proc_spawn s = { .argv = argv, .envp = environment, .stdio = pair[1] };
    pid_t pid = proc_spawn(&s, NULL, NULL);
    assert_true(pid > 0);
    fd_close(pair[1]);
    assert_true(fd_write_all(pair[0], "it\n", 3));
    assert_int_equal(fd_read_full(pair[0], got, sizeof(got) - 1), 7);
    assert_string_equal(got, "got it\n");
    assert_int_equal(proc_wait(pid, -1).code, 0);
    fd_close(pair[0]);
    s.stdio = 1000000; /* no such descriptor */
    assert_int_equal(proc_spawn(&s, NULL, NULL), -1);
    assert_int_equal(errno, EBADF);
}

static void what_cannot_start_says_why(void **state)
{
    char *argv[] = { none, NULL };
    struct proc_spawn s = { .argv = argv, .envp = environment };

    (void)state;
    assert_int_equal(proc_spawn(&s, NULL, NULL), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(shell("true", "/nonexistent", false, NULL, NULL), -1);
    assert_int_equal(errno, ENOENT);
}

static void a_shortage_is_told(void **state)
{
    int in, out;

    (void)state;
    without_fork = true;
    assert_int_equal(shell("true", NULL, false, &in, &out), -1);
    assert_int_equal(errno, EAGAIN);
    without_fork = false;
    for (int have = 0; have < 3; have++) {
        pipes_left = have;
        assert_int_equal(shell("true", NULL, false, &in, &out), -1);
        assert_int_equal(errno, EMFILE);
    }
    pipes_left = 1000;
    opens_left = 0;
    assert_int_equal(shell("true", NULL, false, NULL, NULL), -1);
    assert_int_equal(errno, EMFILE);
    opens_left = 1000;
}

static void works_with_the_standard_descriptors_closed(void **state)
{
    int status;
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        int in, out;
        char got[3] = "";

        close(0);
        close(1);
        close(2);
        pid_t child = shell("cat", NULL, true, &in, &out);
        bool ok = child > 0 && fd_write_all(in, "ab", 2);
        fd_close(in);
        ok = ok && fd_read_full(out, got, 2) == 2 && strcmp(got, "ab") == 0;
        _exit(ok && proc_wait(child, -1).code == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void waiting_tells_how_it_ended(void **state)
{
    struct proc_status st = proc_wait(shell("exit 3", NULL, false, NULL, NULL), -1);

    (void)state;
    assert_true(st.kind == PROC_EXITED && st.code == 3);
    st = proc_wait(shell("kill -TERM $$", NULL, false, NULL, NULL), -1);
    assert_true(st.kind == PROC_SIGNALLED && st.code == SIGTERM);
    st = proc_wait(getpid(), -1);
    assert_true(st.kind == PROC_ERROR && st.code == ECHILD);
}

static void too_slow_a_group_is_killed(void **state)
{
    int out;
    char c;
    pid_t pid = shell("sleep 60 & sleep 60", NULL, false, NULL, &out);
    int64_t start = tod_monotonic_ms();
    struct proc_status st = proc_wait(pid, start + 100);

    (void)state;
    assert_int_equal(st.kind, PROC_TIMED_OUT);
    assert_true(tod_monotonic_ms() - start < 20000);
    assert_int_equal(fd_read(out, &c, 1), 0); /* nobody of the group is left to hold the pipe */
    fd_close(out);
}

static void waiting_works_without_pidfds(void **state)
{
    (void)state;
    without_pidfd = true;
    struct proc_status st =
        proc_wait(shell("sleep 0.1; exit 4", NULL, false, NULL, NULL), tod_monotonic_ms() + 20000);
    assert_true(st.kind == PROC_EXITED && st.code == 4);
    st = proc_wait(shell("sleep 60", NULL, false, NULL, NULL), tod_monotonic_ms() + 50);
    assert_int_equal(st.kind, PROC_TIMED_OUT);
    without_pidfd = false;
}

static void forks_are_told_when_debugging(void **state)
{
    int pair[2], saved = dup(STDERR_FILENO);
    struct str got;

    assert_int_equal(pipe(pair), 0);
    dup2(pair[1], STDERR_FILENO);
    debug_mask = D_EXEC;
    pid_t pid = proc_fork("nothing");
    if (pid == 0)
        _exit(0);
    debug_mask = 0;
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pair[1]);
    assert_int_equal(proc_wait(pid, -1).code, 0);
    assert_true(fd_slurp(*state, pair[0], 1000, &got));
    close(pair[0]);
    assert_string_equal(got.p, arena_printf(*state, "forked %d for nothing\n", (int)pid));
}

static void signals_become_flags(void **state)
{
    (void)state;
    static const int signals[] = { SIGHUP, SIGTERM, SIGALRM, SIGCHLD, SIGUSR1, SIGUSR2 };
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        proc_catch(signals[i]);
        raise(signals[i]);
    }
    assert_true(proc_got_hup && proc_got_term && proc_got_alrm && proc_got_chld && proc_got_usr1);
    proc_ignore(SIGUSR1);
    raise(SIGUSR1);

    pid_t pid = proc_fork("testing flags");
    if (pid == 0) {
        bool clean = !proc_got_hup && !proc_got_term && !proc_got_alrm && !proc_got_chld &&
                     !proc_got_usr1 && strcmp(proc_title_get(), "testing flags") == 0;

        if (!clean)
            _exit(1);
        raise(SIGUSR1); /* still ignored */
        raise(SIGTERM); /* no longer caught */
        _exit(2);
    }
    struct proc_status st = proc_wait(pid, tod_monotonic_ms() + 10000);
    assert_true(st.kind == PROC_SIGNALLED && st.code == SIGTERM);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        proc_default(signals[i]);
    proc_got_hup = proc_got_term = proc_got_alrm = proc_got_chld = proc_got_usr1 = 0;
}

static char **main_argv;

static void the_title_shows_in_ps(void **state)
{
    struct str line;

    proc_title("delivering %s", "1VdNti-0001OY-1V");
    assert_string_equal(proc_title_get(), "delivering 1VdNti-0001OY-1V");
    assert_true(file_slurp(*state, "/proc/self/cmdline", 100000, &line));
    assert_string_equal(line.p, "exim: delivering 1VdNti-0001OY-1V");
    assert_true(cstr_ends(main_argv[0], "t_proc")); /* argv and environment were moved away */
    assert_non_null(getenv("PATH"));
    char long_text[4000];
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    proc_title("%s", long_text);
    assert_int_equal(strlen(proc_title_get()), 1023);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(spawned_programs_get_what_they_were_given),
        UNIT_TEST(input_goes_through),
        cmocka_unit_test(a_socket_can_be_both_ends),
        cmocka_unit_test(what_cannot_start_says_why),
        cmocka_unit_test(works_with_the_standard_descriptors_closed),
        cmocka_unit_test(waiting_tells_how_it_ended),
        cmocka_unit_test(too_slow_a_group_is_killed),
        cmocka_unit_test(signals_become_flags),
        cmocka_unit_test(a_shortage_is_told),
        cmocka_unit_test(waiting_works_without_pidfds),
        UNIT_TEST(forks_are_told_when_debugging),
        UNIT_TEST(the_title_shows_in_ps),
    };

    proc_title("too early to be seen");
    proc_title_init(argc, argv);
    proc_title_init(argc, argv);
    main_argv = argv;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
