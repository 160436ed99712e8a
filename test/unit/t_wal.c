/* link: base spool spool_in spool_out spool_tree spool_fields spool_file spool_write spool_scan spool_rest spool_wal spool_wal_make spool_wal_read spool_wal_sync message header parse_rfc2047 */
/* wrap: fcntl flock fdatasync pwritev */
#include "spool_wal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "config/config.h"
#include "exim.h"
#include "message.h"
#include "spool.h"
#include "unit.h"

/* What another process does between two calls of ours. */
static void (*before_lock)(void *), *before_lock_arg;
static int sync_error, write_error;
static void (*in_sync)(void); /* in the process that syncs, once */

static void once(void)
{
    void (*f)(void *) = before_lock;

    before_lock = NULL;
    if (f != NULL)
        f(before_lock_arg);
}

int __real_fcntl(int fd, int cmd, ...);
int __wrap_fcntl(int fd, int cmd, ...);
int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
ssize_t __real_pwritev(int fd, const struct iovec *iov, int n, off_t at);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int n, off_t at);

int __wrap_fcntl(int fd, int cmd, ...)
{
    va_list ap;

    va_start(ap, cmd);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    if (cmd == F_SETLK)
        once();
    return __real_fcntl(fd, cmd, arg);
}

int __wrap_flock(int fd, int how)
{
    once();
    return __real_flock(fd, how);
}

int __wrap_fdatasync(int fd)
{
    void (*f)(void) = in_sync;

    in_sync = NULL;
    if (f != NULL)
        f();
    if (sync_error == 0)
        return __real_fdatasync(fd);
    errno = sync_error;
    return -1;
}

ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int n, off_t at)
{
    if (write_error == 0)
        return __real_pwritev(fd, iov, n, at);
    errno = write_error;
    return -1;
}

struct place {
    char dir[64];
    struct exim exim;
    struct config config;
};

static struct place *open_place(void)
{
    struct place *p = calloc(1, sizeof(*p));
    struct err err = { 0 };

    strcpy(p->dir, "/tmp/t_wal.XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->exim.arena = arena_new("t_wal");
    p->exim.config = &p->config;
    p->config.spool_directory = p->dir;
    p->config.exim_uid = geteuid();
    p->config.exim_gid = getegid();
    assert_true(spool_prepare(&p->exim, &err));
    p->exim.wal = wal_create(&p->exim, &err);
    assert_non_null(p->exim.wal);
    return p;
}

static void close_place(struct place *p)
{
    unit_remove_tree(p->dir);
    if (p->exim.wal != NULL)
        (void)fd_close(wal_fd(p->exim.wal));
    arena_destroy(&p->exim.arena);
    free(p);
}

/* As after the end of every process of the daemon: the file is all there is. */
static void crash(struct place *p)
{
    (void)fd_close(wal_fd(p->exim.wal));
    p->exim.wal = NULL;
}

static uint64_t add(struct place *p, const char *id, const char *head, size_t body)
{
    static char bytes[WAL_DATA_MAX];
    struct wal_record r = { .kind = WAL_MESSAGE, .head = str_from(head), .body = { bytes, body } };

    memset(bytes, 'x', sizeof(bytes));
    memcpy(r.id, id, sizeof(r.id));
    return wal_append(p->exim.wal, &r);
}

static const char *number(int i)
{
    static char id[32];

    (void)snprintf(id, sizeof(id), "1aaaaa-%06u-00", (unsigned)i % 1000000);
    return id;
}

static void what_is_appended_can_be_read(void **state)
{
    struct place *p = open_place();
    struct wal *w = p->exim.wal;
    uint64_t a = add(p, number(1), "one", 100), b = add(p, number(2), "two", 0);
    struct wal_record r;

    (void)state;
    assert_true(a != 0 && b > a);
    assert_true(wal_sync(w, b));
    assert_true(wal_read(w, p->exim.arena, a, &r));
    assert_int_equal(r.kind, WAL_MESSAGE);
    assert_string_equal(r.id, number(1));
    assert_int_equal(r.head.len, 3);
    assert_int_equal(r.body.len, 100);
    assert_false(wal_read(w, p->exim.arena, a + 64, &r));
    assert_false(wal_read(w, p->exim.arena, b + 4096, &r));
    assert_int_equal(wal_state(w, a), WAL_LIVE);
    wal_gone(w, a, number(1));
    assert_int_equal(wal_state(w, a), 0);
    assert_int_equal(wal_state(w, b), WAL_LIVE);
    close_place(p);
}

static void the_ring_goes_round_and_stops_before_what_is_live(void **state)
{
    struct place *p = open_place();
    struct wal *w = p->exim.wal;
    uint64_t last = 0, held;
    int i;

    (void)state;
    for (i = 0; i < 3 * WAL_SEGMENTS * 16; i++) { /* three laps */
        uint64_t lsn = add(p, number(i), "h", WAL_DATA_MAX - 100);
        assert_true(lsn > last);
        last = lsn;
        wal_gone(w, lsn, number(i));
    }
    held = add(p, number(i++), "held", 10);
    assert_true(held != 0);
    int more = 0;
    while ((last = add(p, number(i + more), "h", WAL_DATA_MAX - 100)) != 0) {
        wal_gone(w, last, number(i + more));
        assert_true(++more < WAL_SEGMENTS * 17);
    }
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(wal_state(w, held), WAL_LIVE);
    wal_gone(w, held, number(i - 1)); /* there is room for this always */
    assert_true(add(p, number(0), "h", WAL_DATA_MAX - 100) != 0);
    close_place(p);
}

static off_t file_size(struct place *p)
{
    struct stat st;

    assert_int_equal(fstat(wal_fd(p->exim.wal), &st), 0);
    return st.st_size;
}

/* A sync of most records does not make the file longer. */
static void the_file_grows_by_many_records_up_to_the_ring(void **state)
{
    const off_t ring = (off_t)WAL_SEGMENT * WAL_SEGMENTS;
    struct place *p = open_place();
    off_t size, before = 0;
    unsigned grown = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        uint64_t lsn = add(p, number(i), "h", 4000);
        assert_true(lsn != 0);
        wal_gone(p->exim.wal, lsn, number(i));
        size = file_size(p);
        grown += size > before;
        before = size;
    }
    assert_in_range(grown, 1, 5);
    for (int i = 0; i < 2 * WAL_SEGMENTS * 16; i++) {
        uint64_t lsn = add(p, number(i), "h", WAL_DATA_MAX - 100);
        assert_true(lsn != 0);
        wal_gone(p->exim.wal, lsn, number(i));
        assert_true(file_size(p) <= ring);
    }
    close_place(p);
}

static void too_much_for_a_record_is_refused(void **state)
{
    struct place *p = open_place();

    (void)state;
    assert_int_equal(add(p, number(1), "head", WAL_DATA_MAX), 0);
    assert_int_equal(errno, EFBIG);
    close_place(p);
}

static void live_ones_are_found(void **state)
{
    struct place *p = open_place();
    struct wal *w = p->exim.wal;
    uint64_t at[5], lsn = 0;
    char id[17];
    int found = 0;

    (void)state;
    for (int i = 0; i < 5; i++)
        at[i] = add(p, number(i), "h", 5000);
    wal_gone(w, at[1], number(1));
    wal_gone(w, at[4], number(4));
    for (; wal_next_live(w, &lsn, wal_end(w), id); lsn++, found++)
        assert_true(strcmp(id, number(1)) != 0 && strcmp(id, number(4)) != 0);
    assert_int_equal(found, 3);
    lsn = 0;
    assert_false(wal_next_live(w, &lsn, at[0], id));
    close_place(p);
}

/* Whoever dies with the mutex leaves it to the next. */
static void a_process_that_is_killed_does_no_harm(void **state)
{
    struct place *p = open_place();

    (void)state;
    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            for (;;) {
                uint64_t lsn = add(p, number(i), "h", 3000);
                if (lsn != 0 && wal_sync(p->exim.wal, lsn))
                    wal_gone(p->exim.wal, lsn, number(i));
            }
        }
        (void)usleep(2000);
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        uint64_t lsn = add(p, number(100 + i), "after", 10);
        assert_true(lsn != 0 && wal_sync(p->exim.wal, lsn));
        assert_int_equal(wal_state(p->exim.wal, lsn), WAL_LIVE);
        wal_gone(p->exim.wal, lsn, number(100 + i));
    }
    close_place(p);
}

/* ---- somebody syncs, others wait for him ---- */

static int begun[2], go_on[2];

static void tell(void)
{
    if (!fd_write_all(begun[1], "", 1))
        _exit(4);
}

static void pause_there(void)
{
    char c;

    tell();
    if (fd_read(go_on[0], &c, 1) != 1)
        _exit(4);
}

static void die_there(void)
{
    pause_there();
    (void)raise(SIGKILL);
}

/* A process that appends one record and syncs it. Its status is 0, or 2 for EIO. */
static pid_t start_one(struct place *p, int i, void (*during)(void), int error)
{
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)alarm(20); /* who is not woken up fails */
    in_sync = during;
    sync_error = error;
    uint64_t lsn = add(p, number(i), "h", 100);
    if (during == NULL)
        tell();
    _exit(lsn == 0 ? 1 : wal_sync(p->exim.wal, lsn) ? 0 : errno == EIO ? 2 : 3);
}

static int status_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

enum { WAITING = 8 };

/* The first one's sync is held up until the others have appended. */
static void with_others_waiting(void (*during)(void), int error, int first, int others)
{
    struct place *p = open_place();
    pid_t pids[WAITING];
    char c;

    assert_true(pipe(begun) == 0 && pipe(go_on) == 0);
    pid_t leader = start_one(p, 0, during, error);
    assert_int_equal(fd_read(begun[0], &c, 1), 1);
    for (int i = 0; i < WAITING; i++)
        pids[i] = start_one(p, i + 1, NULL, 0);
    for (int i = 0; i < WAITING; i++)
        assert_int_equal(fd_read(begun[0], &c, 1), 1);
    (void)usleep(20 * 1000); /* by then they wait; if not, they find what the first one left */
    assert_true(fd_write_all(go_on[1], "", 1));
    assert_int_equal(status_of(leader), first);
    for (int i = 0; i < WAITING; i++)
        assert_int_equal(status_of(pids[i]), others);
    for (int i = 0; i < 2; i++)
        (void)(fd_close(begun[i]) + fd_close(go_on[i]));
    close_place(p);
}

static void who_waits_for_a_sync_is_woken_up(void **state)
{
    (void)state;
    with_others_waiting(pause_there, 0, 0, 0);
}

static void who_waits_for_one_who_is_killed_syncs_himself(void **state)
{
    (void)state;
    with_others_waiting(die_there, 0, -SIGKILL, 0);
}

/* What they appended is in the same segment, behind what may be torn: nobody would find it after a crash. */
static void who_waits_for_a_sync_that_fails_fails(void **state)
{
    (void)state;
    with_others_waiting(pause_there, EIO, 2, 2);
}

/* Once the disk takes what comes, nothing is left of the failure, whether a record has come or not. */
static void a_sync_that_failed_is_over_with_the_next(void **state)
{
    struct place *p = open_place();
    uint64_t lsn = add(p, number(1), "h", 100);

    (void)state;
    sync_error = EIO;
    assert_false(wal_sync(p->exim.wal, lsn));
    sync_error = 0;
    assert_true(wal_sync_all(p->exim.wal));
    assert_int_equal(wal_synced(p->exim.wal), wal_end(p->exim.wal));
    assert_false(wal_sync(p->exim.wal, lsn));
    lsn = add(p, number(2), "h", 100);
    assert_true(lsn % WAL_SEGMENT == 0 && wal_sync(p->exim.wal, lsn));
    close_place(p);
}

static void one_process_at_a_time_has_a_message(void **state)
{
    struct place *p = open_place();
    uint64_t lsn = add(p, number(1), "h", 10);
    int status;

    (void)state;
    assert_true(wal_lock(p->exim.wal, lsn));
    pid_t pid = fork();
    if (pid == 0)
        _exit(wal_lock(p->exim.wal, lsn) ? 1 : 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    wal_unlock(p->exim.wal, lsn);
    pid = fork();
    if (pid == 0)
        _exit(wal_lock(p->exim.wal, lsn) ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    close_place(p);
}

/* ---- messages ---- */

static struct message *commit(struct place *p, const char *recipient)
{
    struct message *m = message_new("t_wal");
    struct err err = { 0 };
    static const char body[] = "first line\nlast line\n";

    m->sender = "s@x.test";
    m->originator_login = "mail";
    m->received = tod_now();
    message_add_recipient(m, recipient, -1);
    header_append(&m->headers, m->arena, HEADER_OTHER, "Subject: t\n");
    struct spool_writer *w = spool_begin(&p->exim, m, &err);
    assert_non_null(w);
    assert_true(spool_write(w, body, strlen(body), &err));
    assert_true(spool_commit(w, m, &err));
    return m;
}

static bool has_file(struct place *p, const char *id, const char *suffix)
{
    char path[128];
    struct stat st;

    (void)snprintf(path, sizeof(path), "%s/input/%s%s", p->dir, id, suffix);
    return stat(path, &st) == 0;
}

static struct message *load(struct place *p, const struct message *like)
{
    struct message *m = NULL;
    struct err err = { 0 };

    assert_int_equal(spool_load(&p->exim, like->id, like->place, &m, &err), SPOOL_OK);
    return m;
}

static void assert_body(struct message *m)
{
    char text[64] = "";

    assert_int_equal(body_read(&m->body, text, sizeof(text), 0), 21);
    assert_memory_equal(text, "first line\nlast line\n", 21);
}

static void a_message_lives_in_the_log_until_it_rests(void **state)
{
    struct place *p = open_place();
    struct message *m = commit(p, "a@x.test"), *again;
    struct err err = { 0 };

    (void)state;
    assert_true(m->place != 0);
    assert_false(has_file(p, m->id, "-H") || has_file(p, m->id, "-D"));
    struct spool_logged seen;
    assert_true(spool_find_logged(&p->exim, p->exim.arena, m->id, &seen, &err));
    assert_int_equal(seen.body.len, 21);
    again = load(p, m);
    assert_body(again);
    assert_string_equal(again->recipients[0].address, "a@x.test");
    assert_true(spool_rest(&p->exim, again, &err));
    assert_true(has_file(p, m->id, "-H") && has_file(p, m->id, "-D"));
    assert_body(again);
    message_free(&again);
    assert_int_equal(wal_state(p->exim.wal, m->place), 0);
    assert_false(spool_find_logged(&p->exim, p->exim.arena, m->id, &seen, &err));
    again = load(p, m); /* with its old place: it has moved */
    assert_body(again);
    message_free(&again);
    message_free(&m);
    close_place(p);
}

static void what_is_done_stays_done(void **state)
{
    struct place *p = open_place();
    struct message *m = commit(p, "a@x.test"), *again = load(p, m);
    static const char *const done[] = { "a@x.test" };
    struct err err = { 0 };

    (void)state;
    assert_true(spool_journal(&p->exim, again, done, 1, &err));
    spool_release(&p->exim, again);
    message_free(&again);
    again = load(p, m);
    assert_true(message_is_nonrecipient(again, "a@x.test"));
    assert_true(spool_remove(&p->exim, again, &err));
    message_free(&again);
    assert_int_equal(spool_load(&p->exim, m->id, m->place, &again, &err), SPOOL_GONE);
    message_free(&m);
    close_place(p);
}

static size_t logged(struct place *p)
{
    struct err err = { 0 };
    struct spool_logged *list;
    size_t n;

    assert_true(spool_scan_log(&p->exim, p->exim.arena, &list, &n, &err));
    return n;
}

/* Delivered, and the disk does not take the note: it is made as soon as the disk takes something. */
static void a_note_that_could_not_be_written_is_made_later(void **state)
{
    struct place *p = open_place();
    struct wal *w = p->exim.wal;
    struct message *m[3] = { commit(p, "a@x.test"), commit(p, "b@x.test"), commit(p, "c@x.test") };
    uint64_t end;

    (void)state;
    write_error = ENOSPC;
    for (int i = 0; i < 2; i++)
        wal_gone(w, m[i]->place, m[i]->id);
    write_error = 0;
    assert_int_equal(wal_state(w, m[0]->place), 0);
    assert_int_equal(logged(p), 3);
    end = wal_end(w);
    assert_true(wal_sync_all(w));
    assert_true(wal_end(w) > end);
    assert_int_equal(logged(p), 1);

    write_error = EIO;
    wal_gone(w, m[2]->place, m[2]->id);
    write_error = 0;
    assert_int_equal(logged(p), 1);
    struct message *next = commit(p, "d@x.test");
    assert_int_equal(logged(p), 1);
    message_free(&next);
    for (int i = 0; i < 3; i++)
        message_free(&m[i]);
    close_place(p);
}

static void a_crash_brings_what_is_live_to_files(void **state)
{
    struct place *p = open_place();
    struct message *one = commit(p, "a@x.test"), *two = commit(p, "b@x.test"), *three = commit(p, "c@x.test");
    struct message *m = load(p, two);
    static const char *const done[] = { "c@x.test" };
    struct err err = { 0 };
    struct spool_logged *list;
    size_t n;

    (void)state;
    assert_true(spool_remove(&p->exim, m, &err));
    message_free(&m);
    m = load(p, three);
    assert_true(spool_journal(&p->exim, m, done, 1, &err));
    message_free(&m);
    assert_true(spool_scan_log(&p->exim, p->exim.arena, &list, &n, &err));
    assert_int_equal(n, 2);
    crash(p);
    for (int i = 0; i < 2; i++) /* it may be done again */
        assert_true(spool_recover(&p->exim, &err));
    assert_true(has_file(p, one->id, "-H") && has_file(p, one->id, "-D"));
    assert_false(has_file(p, two->id, "-H"));
    one->place = three->place = 0;
    m = load(p, one);
    assert_body(m);
    message_free(&m);
    m = load(p, three);
    assert_true(message_is_nonrecipient(m, "c@x.test"));
    message_free(&m);
    message_free(&one);
    message_free(&two);
    message_free(&three);
    close_place(p);
}

static void nobody_recovers_from_a_daemon_that_lives(void **state)
{
    struct place *p = open_place();
    struct message *m = commit(p, "a@x.test");
    struct err err = { 0 };
    int status;

    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        struct exim other = p->exim;
        other.wal = NULL;
        _exit(spool_recover(&other, &err) && !has_file(p, m->id, "-H") ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    message_free(&m);
    close_place(p);
}

/* Records after one that is torn were never acknowledged. */
static void a_torn_record_ends_its_segment(void **state)
{
    struct place *p = open_place();
    struct message *one = commit(p, "a@x.test"), *two = commit(p, "b@x.test"), *three = commit(p, "c@x.test");
    struct err err = { 0 };
    off_t in_second = (off_t)(two->place % ((uint64_t)WAL_SEGMENT * WAL_SEGMENTS)) + 100;

    (void)state;
    assert_true(fd_pwrite_all(wal_fd(p->exim.wal), "#", 1, in_second));
    crash(p);
    assert_true(spool_recover(&p->exim, &err));
    assert_true(has_file(p, one->id, "-H"));
    assert_false(has_file(p, two->id, "-H") || has_file(p, three->id, "-H"));
    message_free(&one);
    message_free(&two);
    message_free(&three);
    close_place(p);
}

/* ---- what others do meanwhile, and failures ---- */

static struct message *of_other;
static void deliver_elsewhere(void *arg)
{
    struct place *p = arg;

    wal_gone(p->exim.wal, of_other->place, of_other->id);
}

static void what_another_has_just_delivered_is_gone(void **state)
{
    struct place *p = open_place();
    struct message *m;
    struct err err = { 0 };

    (void)state;
    of_other = commit(p, "a@x.test");
    before_lock = deliver_elsewhere;
    before_lock_arg = p;
    assert_int_equal(spool_load(&p->exim, of_other->id, of_other->place, &m, &err), SPOOL_GONE);
    message_free(&of_other);
    close_place(p);
}

static void start_another_daemon(void *arg)
{
    const struct place *p = arg;
    char path[80];

    (void)snprintf(path, sizeof(path), "%s/wal", p->dir);
    assert_int_equal(unlink(path), 0);
    int fd = fd_open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0 && fd_write_all(fd, "new", 3));
    (void)fd_close(fd);
}

static void what_another_has_just_recovered_is_left_alone(void **state)
{
    struct place *p = open_place();
    struct message *m = commit(p, "a@x.test");
    struct err err = { 0 };
    char path[80];

    (void)state;
    crash(p);
    before_lock = start_another_daemon;
    before_lock_arg = p;
    assert_true(spool_recover(&p->exim, &err));
    assert_false(has_file(p, m->id, "-H"));
    (void)snprintf(path, sizeof(path), "%s/wal", p->dir);
    assert_int_equal(access(path, F_OK), 0);
    message_free(&m);
    close_place(p);
}

static void a_full_ring_whose_sync_fails_keeps_what_it_has(void **state)
{
    struct place *p = open_place();
    struct message *m = commit(p, "a@x.test");
    static char bytes[WAL_DATA_MAX];
    struct wal_record r = { .kind = WAL_JOURNAL, .of = m->place, .head = { bytes, sizeof(bytes) } };
    uint64_t lsn, last = 0;

    (void)state;
    memcpy(r.id, m->id, sizeof(r.id));
    while ((lsn = wal_append(p->exim.wal, &r)) != 0)
        last = lsn;
    sync_error = EIO;
    assert_false(wal_sync(p->exim.wal, last));
    sync_error = 0;
    assert_int_equal(wal_state(p->exim.wal, m->place), WAL_LIVE);
    assert_int_equal(wal_append(p->exim.wal, &r), 0); /* nothing comes after what may be torn */
    assert_true(wal_sync_all(p->exim.wal) || errno == EIO);
    wal_gone(p->exim.wal, m->place, m->id);
    lsn = add(p, number(1), "h", 10);
    assert_true(lsn % WAL_SEGMENT == 0 && wal_sync(p->exim.wal, lsn));
    message_free(&m);
    close_place(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_can_be_read),
        cmocka_unit_test(the_ring_goes_round_and_stops_before_what_is_live),
        cmocka_unit_test(the_file_grows_by_many_records_up_to_the_ring),
        cmocka_unit_test(too_much_for_a_record_is_refused),
        cmocka_unit_test(live_ones_are_found),
        cmocka_unit_test(a_process_that_is_killed_does_no_harm),
        cmocka_unit_test(who_waits_for_a_sync_is_woken_up),
        cmocka_unit_test(who_waits_for_one_who_is_killed_syncs_himself),
        cmocka_unit_test(who_waits_for_a_sync_that_fails_fails),
        cmocka_unit_test(a_sync_that_failed_is_over_with_the_next),
        cmocka_unit_test(one_process_at_a_time_has_a_message),
        cmocka_unit_test(a_message_lives_in_the_log_until_it_rests),
        cmocka_unit_test(what_is_done_stays_done),
        cmocka_unit_test(a_crash_brings_what_is_live_to_files),
        cmocka_unit_test(nobody_recovers_from_a_daemon_that_lives),
        cmocka_unit_test(a_note_that_could_not_be_written_is_made_later),
        cmocka_unit_test(a_torn_record_ends_its_segment),
        UNIT_TEST(what_another_has_just_delivered_is_gone),
        UNIT_TEST(what_another_has_just_recovered_is_left_alone),
        UNIT_TEST(a_full_ring_whose_sync_fails_keeps_what_it_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
