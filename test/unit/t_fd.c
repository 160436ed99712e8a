/* link: base */
/* wrap: write read */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "base/tod.h"
#include "unit.h"

/* How many of the next calls fail with EINTR, and how much one call moves. */
static int interrupts;
static size_t step = SIZE_MAX;

ssize_t __real_write(int fd, const void *p, size_t n);
ssize_t __wrap_write(int fd, const void *p, size_t n);
ssize_t __real_read(int fd, void *p, size_t n);
ssize_t __wrap_read(int fd, void *p, size_t n);

ssize_t __wrap_write(int fd, const void *p, size_t n)
{
    if (interrupts > 0) {
        interrupts--;
        errno = EINTR;
        return -1;
    }
    return __real_write(fd, p, n < step ? n : step);
}

ssize_t __wrap_read(int fd, void *p, size_t n)
{
    if (interrupts > 0) {
        interrupts--;
        errno = EINTR;
        return -1;
    }
    return __real_read(fd, p, n < step ? n : step);
}

static char dir[] = "/tmp/t_fd.XXXXXX";

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    struct arena *a = arena_new("rm");

    (void)state;
    int rc = system(arena_printf(a, "rm -rf %s", dir));
    arena_destroy(&a);
    return rc;
}

static int gentle(void **state)
{
    interrupts = 0;
    step = SIZE_MAX;
    return unit_arena_teardown(state);
}

#define FD_TEST(f) cmocka_unit_test_setup_teardown(f, unit_arena_setup, gentle)

static const char *in_dir(struct arena *a, const char *name)
{
    return arena_printf(a, "%s/%s", dir, name);
}

static void writes_and_reads_it_all_whatever_the_steps(void **state)
{
    const char *path = in_dir(*state, "steps");
    int fd = fd_open(path, O_RDWR | O_CREAT, 0600);
    char got[16] = "";

    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    step = 3;
    interrupts = 2;
    assert_true(fd_write_all(fd, "0123456789", 10));
    interrupts = 1;
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(fd_read_full(fd, got, 16), 10);
    assert_string_equal(got, "0123456789");
    assert_true(fd_pwrite_all(fd, "ab", 2, 4));
    assert_int_equal(fd_pread_full(fd, got, 5, 3), 5);
    assert_memory_equal(got, "3ab67", 5);
    assert_int_equal(fd_pread_full(fd, got, 5, 8), 2);
    assert_true(fd_sync(fd) && fd_sync_data(fd));
    interrupts = 1;
    assert_int_equal(fd_write(fd, "x", 1), 1);
    assert_int_equal(fd_close(fd), 0);
}

static void writes_vectors_over_pipes_in_parts(void **state)
{
    int pair[2], status;
    size_t total = 0;
    char block[4096];

    (void)state;
    memset(block, 'v', sizeof(block));
    assert_int_equal(pipe(pair), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct iovec iov[60];

        close(pair[0]);
        for (size_t i = 0; i < ARRAY_LEN(iov); i++)
            iov[i] = (struct iovec){ block, i % 7 == 0 ? 0 : sizeof(block) };
        _exit(fd_writev_all(pair[1], iov, ARRAY_LEN(iov)) ? 0 : 1);
    }
    close(pair[1]);
    for (ssize_t n; (n = fd_read(pair[0], block, 1000)) > 0;)
        total += (size_t)n;
    close(pair[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(total, (60 - 9) * 4096);
}

static void tells_about_errors(void **state)
{
    struct iovec iov = { (void *)(uintptr_t)"x", 1 };
    struct str out;
    char c;

    assert_false(fd_write_all(-1, "x", 1));
    assert_int_equal(errno, EBADF);
    assert_false(fd_pwrite_all(-1, "x", 1, 0));
    assert_false(fd_writev_all(-1, &iov, 1));
    assert_int_equal(fd_read(-1, &c, 1), -1);
    assert_int_equal(fd_read_full(-1, &c, 1), -1);
    assert_int_equal(fd_pread_full(-1, &c, 1, 0), -1);
    assert_int_equal(fd_open("/nonexistent/x", O_RDONLY, 0), -1);
    assert_int_equal(fd_close(-1), -1);
    assert_false(fd_sync(-1));
    assert_false(fd_sync_data(-1));
    assert_int_equal(fd_write(-1, "x", 1), -1);
    assert_false(fd_sync_dir("/nonexistent"));
    assert_true(fd_sync_dir(dir));
    assert_false(fd_set_nonblock(-1, true));
    assert_int_equal(fd_wait_read(1000000, 0), -1);
    assert_int_equal(errno, EBADF);
    assert_false(fd_slurp(*state, -1, 10, &out));
    assert_false(file_slurp(*state, "/nonexistent", 10, &out));
    assert_int_equal(errno, ENOENT);
    assert_false(file_slurp(*state, dir, 10, &out));
    assert_int_equal(errno, EISDIR);
    assert_false(fd_lock(-1, true, false));
}

static void slurps_up_to_a_limit(void **state)
{
    const char *path = in_dir(*state, "slurp");
    int fd = fd_open(path, O_RDWR | O_CREAT, 0600);
    struct str out;

    assert_true(file_slurp(*state, path, 0, &out));
    assert_int_equal(out.len, 0);
    assert_string_equal(out.p, "");
    for (int i = 0; i < 1000; i++)
        assert_true(fd_write_all(fd, "0123456789", 10));
    assert_true(file_slurp(*state, path, 10000, &out));
    assert_int_equal(out.len, 10000);
    assert_int_equal(strlen(out.p), 10000);
    assert_false(file_slurp(*state, path, 9999, &out));
    assert_int_equal(errno, EFBIG);
    fd_close(fd);
    assert_true(file_slurp(*state, "/proc/self/status", 100000, &out)); /* has no size */
    assert_true(out.len > 100);
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    char block[6000] = { 'p' };
    assert_true(fd_write_all(pair[1], block, sizeof(block)));
    close(pair[1]);
    assert_true(fd_slurp(*state, pair[0], 6000, &out));
    assert_int_equal(out.len, 6000);
    close(pair[0]);
}

static void waits_until_the_deadline(void **state)
{
    int pair[2];

    (void)state;
    assert_int_equal(pipe(pair), 0);
    int64_t start = tod_monotonic_ms();
    assert_int_equal(fd_wait_read(pair[0], start + 30), 0);
    assert_true(tod_monotonic_ms() >= start + 30);
    assert_int_equal(fd_wait_read(pair[0], start - 1), 0);
    assert_int_equal(fd_wait_write(pair[1], -1), 1);
    assert_true(fd_write_all(pair[1], "x", 1));
    assert_int_equal(fd_wait_read(pair[0], -1), 1);
    assert_int_equal(fd_wait_read_signal(pair[0], start), 1);
    struct pollfd both[2] = { { .fd = pair[0], .events = POLLIN }, { .fd = pair[1], .events = POLLOUT } };
    assert_int_equal(fd_poll(both, 2, -1), 2);
    assert_int_equal(fd_poll(both + 1, 0, start), 0);
    assert_true(fd_set_nonblock(pair[0], true));
    assert_true(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
    assert_true(fd_set_nonblock(pair[0], false));
    assert_false(fcntl(pair[0], F_GETFL) & O_NONBLOCK);
    close(pair[0]);
    close(pair[1]);
}

static void on_alarm(int sig)
{
    (void)sig;
}

static void signals_end_only_the_wait_that_asks_for_it(void **state)
{
    struct sigaction act = { .sa_handler = on_alarm };
    struct itimerval soon = { .it_value = { .tv_usec = 10000 } };
    int pair[2];

    (void)state;
    assert_int_equal(pipe(pair), 0);
    assert_int_equal(sigaction(SIGALRM, &act, NULL), 0);
    setitimer(ITIMER_REAL, &soon, NULL);
    int64_t start = tod_monotonic_ms();
    assert_int_equal(fd_wait_read(pair[0], start + 40), 0);
    assert_true(tod_monotonic_ms() >= start + 40);
    setitimer(ITIMER_REAL, &soon, NULL);
    assert_int_equal(fd_wait_read_signal(pair[0], start + 5000), -1);
    assert_int_equal(errno, EINTR);
    close(pair[0]);
    close(pair[1]);
}

static void locks_exclude_other_processes(void **state)
{
    const char *path = in_dir(*state, "lock");
    int fd = fd_open(path, O_RDWR | O_CREAT, 0600), status;

    assert_true(fd_lock(fd, true, false));
    pid_t pid = fork();
    if (pid == 0) {
        int mine = fd_open(path, O_RDWR, 0);

        _exit(fd_lock(mine, false, false) ? 1 : 0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(fd_lock(fd, false, true));
    fd_close(fd);
}

static void makes_directories_with_that_mode(void **state)
{
    struct stat st;
    mode_t before = umask(077);

    assert_true(dir_make(in_dir(*state, "a/b//c"), 0751));
    umask(before);
    assert_int_equal(stat(in_dir(*state, "a/b"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0751);
    assert_int_equal(stat(in_dir(*state, "a/b/c"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0751);
    assert_true(dir_make(in_dir(*state, "a/b/c"), 0700));
    close(fd_open(in_dir(*state, "file"), O_CREAT | O_WRONLY, 0600));
    assert_false(dir_make(in_dir(*state, "file"), 0700));
    assert_int_equal(errno, ENOTDIR);
    assert_false(dir_make(in_dir(*state, "file/x"), 0700));
    assert_false(dir_make("", 0700));
    assert_false(dir_make("/proc/none/x", 0700));
}

static void passes_descriptors(void **state)
{
    int pair[2], fds[FD_PASS_MAX], pipes[2];
    char got[8];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(pipe(pipes), 0);
    assert_true(fd_send_msg(pair[0], "hello", 5, pipes, 2));
    assert_int_equal(fd_recv_msg(pair[1], got, sizeof(got), fds), 5);
    assert_memory_equal(got, "hello", 5);
    assert_true(fds[0] >= 0 && fds[1] >= 0 && fds[2] == -1 && fds[3] == -1);
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_true(fd_write_all(fds[1], "x", 1));
    assert_int_equal(fd_read(pipes[0], got, 1), 1);
    close(fds[0]);
    close(fds[1]);

    assert_true(fd_send_msg(pair[0], "none", 4, NULL, 0));
    assert_int_equal(fd_recv_msg(pair[1], got, sizeof(got), fds), 4);
    assert_int_equal(fds[0], -1);

    assert_true(fd_send_msg(pair[0], "much too long", 13, pipes, 1));
    assert_int_equal(fd_recv_msg(pair[1], got, sizeof(got), fds), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(fds[0], -1); /* closed again */

    int many[FD_PASS_MAX + 1] = { 0 };
    assert_false(fd_send_msg(pair[0], "x", 1, many, FD_PASS_MAX + 1));
    close(pair[0]);
    assert_int_equal(fd_recv_msg(pair[1], got, sizeof(got), fds), 0);
    assert_false(fd_send_msg(pair[1], "x", 1, NULL, 0)); /* and no SIGPIPE */
    close(pair[1]);
    assert_int_equal(fd_recv_msg(-1, got, sizeof(got), fds), -1);
    close(pipes[0]);
    close(pipes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FD_TEST(writes_and_reads_it_all_whatever_the_steps),
        FD_TEST(writes_vectors_over_pipes_in_parts),
        FD_TEST(tells_about_errors),
        FD_TEST(slurps_up_to_a_limit),
        FD_TEST(waits_until_the_deadline),
        FD_TEST(signals_end_only_the_wait_that_asks_for_it),
        FD_TEST(locks_exclude_other_processes),
        FD_TEST(makes_directories_with_that_mode),
        FD_TEST(passes_descriptors),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
