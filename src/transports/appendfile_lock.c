#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "transports/appendfile_int.h"

enum { LOOK_MS = 5, LOOK_MORE_MS = 40 };

/* ---- waiting for a turn ---- */

int64_t append_lock_deadline(const struct appendfile *t)
{
    long tries = t->lock_retries > 0 ? t->lock_retries : 1;
    long last = t->lock_interval; /* the last try may block */

    if (last < t->lock_fcntl_timeout)
        last = t->lock_fcntl_timeout;
    if (last < t->lock_flock_timeout)
        last = t->lock_flock_timeout;
    return tod_monotonic_ms() + (tries * t->lock_interval - last) * 1000;
}

/* Short waits, not lock_interval as a whole: a mailbox that many deliveries want at once is free again after
   milliseconds. Of different length, so that each of them comes to its turn. */
bool append_lock_wait(int64_t deadline)
{
    struct timespec now;

    if (tod_monotonic_ms() >= deadline)
        return false;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    long ms = LOOK_MS + now.tv_nsec / 1000 % LOOK_MORE_MS;
    const struct timespec wait = { .tv_nsec = ms * 1000 * 1000 };
    (void)nanosleep(&wait, NULL);
    return true;
}

/* ---- lock files, in a way that works over NFS (manual 26.3) ---- */

/* Made anew for each try: its link count says whether link() worked. 1, 0 (exists), -1 (result set). */
static int try_dotlock(struct append *ap, const char *lock, const char *post)
{
    struct stat st;
    int fd = fd_open(post, O_WRONLY | O_CREAT | O_EXCL, (mode_t)ap->t->lockfile_mode);

    if (fd < 0) {
        append_sys(ap, errno, "creating lock file hitching post %s (euid=%ld egid=%ld)", post, (long)geteuid(),
                   (long)getegid());
        return -1;
    }
    fd_close(fd);
    bool ok = link(post, lock) == 0 || (stat(post, &st) == 0 && st.st_nlink == 2);
    (void)unlink(post);
    return ok;
}

/* Removes a stale one. */
static bool is_held(const struct appendfile *t, const char *lock)
{
    struct stat st;

    if (lstat(lock, &st) != 0)
        return false;
    if (t->lockfile_timeout <= 0 || time(NULL) - st.st_ctime <= t->lockfile_timeout)
        return true;
    (void)unlink(lock);
    return false;
}

/* What lstat says may be old over NFS: a try is made every lock_interval whatever it says. False: no more time. */
static bool wait_for_dotlock(const struct appendfile *t, const char *lock, int64_t deadline)
{
    int64_t next_try = tod_monotonic_ms() + t->lock_interval * 1000;

    do {
        if (!append_lock_wait(deadline))
            return false;
    } while (is_held(t, lock) && tod_monotonic_ms() < next_try);
    return true;
}

const char *append_dotlock(struct append *ap)
{
    const struct appendfile *t = ap->t;
    const char *lock = arena_printf(ap->arena, "%s.lock", ap->path);
    const char *post = arena_printf(ap->arena, "%s.%s.%08lx.%08x", lock, ap->call->ctx->exim->config->primary_hostname,
                                    (unsigned long)tod_now().tv_sec, (unsigned)getpid());
    int64_t deadline = append_lock_deadline(t);

    do {
        int rc = try_dotlock(ap, lock, post);
        if (rc < 0)
            return NULL;
        if (rc > 0)
            return lock;
    } while (wait_for_dotlock(t, lock, deadline));
    append_defer(ap, ERR_LOCKFAILED, "4.2.0", "failed to lock mailbox %s (lock file)", ap->path);
    return NULL;
}

void append_dotunlock(const char *name)
{
    if (name != NULL)
        (void)unlink(name);
}

/* ---- locks on the open file ---- */

static bool lock_now(int fd, bool use_flock)
{
    struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    return use_flock ? flock(fd, LOCK_EX | LOCK_NB) == 0 : fcntl(fd, F_SETLK, &l) == 0;
}

/* Blocking locks with a timeout: short waits, so that no alarm has to break a system call. */
static int lock_with(struct append *ap, int fd, bool use_flock, long timeout)
{
    int64_t deadline = tod_monotonic_ms() + timeout * 1000;
    const struct timespec wait = { .tv_nsec = 50 * 1000 * 1000 };

    for (;;) {
        if (lock_now(fd, use_flock))
            return 1;
        if (errno != EAGAIN && errno != EACCES && errno != EWOULDBLOCK && errno != EINTR) {
            append_sys(ap, errno, "failed to lock mailbox %s (%s)", ap->path, use_flock ? "flock" : "fcntl");
            return -1;
        }
        if (tod_monotonic_ms() >= deadline)
            return 0;
        (void)nanosleep(&wait, NULL);
    }
}

int append_lock_fd(struct append *ap, int fd)
{
    const struct appendfile *t = ap->t;
    int rc = t->use_fcntl_lock ? lock_with(ap, fd, false, t->lock_fcntl_timeout) : 1;

    return rc == 1 && t->use_flock_lock ? lock_with(ap, fd, true, t->lock_flock_timeout) : rc;
}
