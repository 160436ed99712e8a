#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "config/config.h"
#include "exim.h"
#include "spool.h"
#include "spool_int.h"
#include "spool_wal_int.h"

static bool init_mutex(pthread_mutex_t *m)
{
    pthread_mutexattr_t attr;

    return pthread_mutexattr_init(&attr) == 0 &&
           pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED) == 0 &&
           pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST) == 0 &&
           pthread_mutex_init(m, &attr) == 0;
}

static struct wal_shared *share(void)
{
    struct wal_shared *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (s == MAP_FAILED)
        return NULL;
    if (!init_mutex(&s->append) || !init_mutex(&s->sync)) {
        (void)munmap(s, sizeof(*s));
        return NULL;
    }
    s->end = s->synced = (uint64_t)WAL_SEGMENT * WAL_SEGMENTS; /* 0 is no lsn */
    s->first = WAL_SEGMENTS;
    return s;
}

int wal_open(const struct exim *e, struct arena *a, int flags)
{
    return fd_open(arena_printf(a, "%s/wal", e->config->spool_directory),
                   flags | O_NOFOLLOW, SPOOL_MODE);
}

/* Its name is to be on the disk before a message is. */
static bool owned_and_locked(const struct exim *e, int fd)
{
    struct stat st;

    if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0)
        return false;
    if (st.st_nlink == 0 || st.st_size != 0) {
        errno = st.st_nlink == 0 ? EWOULDBLOCK : EEXIST;
        return false;
    }
    return (geteuid() != 0 ||
            fchown(fd, e->config->exim_uid, e->config->exim_gid) == 0) &&
           (e->config->main.disable_fsync || fd_sync_dir(e->config->spool_directory));
}

/* A command that looks for a log left behind may hold the new one for a moment. */
static int make_file(const struct exim *e)
{
    enum { TRIES = 10, PAUSE_MS = 20 };

    for (int i = 0;; i++) {
        int fd = wal_open(e, e->arena, O_RDWR | O_CREAT);

        if (fd < 0 || owned_and_locked(e, fd))
            return fd;
        int why = errno;
        (void)fd_close(fd);
        errno = why;
        if (why != EWOULDBLOCK || i == TRIES)
            return -1;
        (void)poll(NULL, 0, PAUSE_MS);
    }
}

struct wal *wal_create(struct exim *e, struct err *err)
{
    int fd = make_file(e);
    struct wal_shared *s = fd < 0 ? NULL : share();

    if (s == NULL) {
        err_sys(err, e->arena, errno, "cannot make %s/wal", e->config->spool_directory);
        if (fd >= 0)
            (void)fd_close(fd);
        return NULL;
    }
    struct wal *w = arena_new_obj(e->arena, struct wal);
    *w = (struct wal){ .fd = fd, .no_sync = e->config->main.disable_fsync, .s = s };
    return w;
}

void wal_remove(struct exim *e, struct wal *w)
{
    struct arena *a = arena_new("wal");

    for (int i = 0; i < WAL_SEGMENTS; i++)
        if (w->s->live[i] != 0)
            goto out;
    (void)unlink(arena_printf(a, "%s/wal", e->config->spool_directory));
out:
    arena_destroy(&a);
}
