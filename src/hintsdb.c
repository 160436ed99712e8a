#include "hintsdb.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/fd.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"

#ifndef EXIMDB_MODE
#define EXIMDB_MODE 0640
#endif
#ifndef EXIMDB_LOCKFILE_MODE
#define EXIMDB_LOCKFILE_MODE 0640
#endif
#ifndef EXIMDB_DIRECTORY_MODE
#define EXIMDB_DIRECTORY_MODE 0750
#endif
#ifndef EXIMDB_LOCK_TIMEOUT
#define EXIMDB_LOCK_TIMEOUT 60
#endif

struct hints_db {
    struct arena *arena;
    const struct hints_driver *driver;
    void *handle;
    int lock_fd;
};

/* What root makes belongs to the server's user, who needs it next. */
static void give_away(const struct config *cfg, int fd)
{
    if (geteuid() == 0 && cfg->exim_uid != 0 &&
        fchown(fd, cfg->exim_uid, cfg->exim_gid) < 0)
        DEBUG(D_HINTS)
    debug_printf("hints: fchown: %s\n", strerror(errno));
}

static bool make_directory(struct exim *e, struct arena *a, const char *dir,
                           struct err *err)
{
    struct stat st;

    if (stat(dir, &st) == 0)
        return true;
    if (!dir_make(dir, EXIMDB_DIRECTORY_MODE))
        return err_sys(err, a, errno, "failed to create %s", dir);
    int fd = fd_open(dir, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        give_away(e->config, fd);
        (void)fd_close(fd);
    }
    return true;
}

/* Tries until the time is up: a lock that is never given must not hold up mail for ever.
 */
static bool get_lock(int fd, bool exclusive)
{
    int64_t end = tod_monotonic_ms() + (int64_t)EXIMDB_LOCK_TIMEOUT * 1000;

    for (long wait_ms = 1;; wait_ms = wait_ms < 50 ? wait_ms * 2 : 50) {
        if (fd_lock(fd, exclusive, false))
            return true;
        if ((errno != EAGAIN && errno != EACCES) || tod_monotonic_ms() >= end)
            return false;
        struct timespec t = { .tv_nsec = wait_ms * 1000000 };
        (void)nanosleep(&t, NULL);
    }
}

static int open_lock(struct exim *e, struct arena *a, const char *path, bool write,
                     struct err *err)
{
    int fd = fd_open(path, write ? O_RDWR | O_CREAT : O_RDONLY, EXIMDB_LOCKFILE_MODE);

    if (fd < 0 && errno == ENOENT) { /* the usual case of a reader: no words to be made */
        *err =
            (struct err){ .msg = "hints database does not exist", .sys_errno = ENOENT };
        return -1;
    }
    if (fd < 0) {
        err_sys(err, a, errno, "failed to open hints lock file %s", path);
        return -1;
    }
    if (write)
        give_away(e->config, fd);
    if (!get_lock(fd, write)) {
        err_sys(err, a, errno, "failed to get %s lock for %s", write ? "write" : "read",
                path);
        (void)fd_close(fd);
        return -1;
    }
    return fd;
}

/* A new file of root's is given away as well. */
static void give_file_away(struct exim *e, const char *path)
{
    if (geteuid() != 0)
        return;
    int fd = fd_open(path, O_RDONLY, 0);
    if (fd < 0)
        return;
    give_away(e->config, fd);
    (void)fd_close(fd);
}

struct hints_db *hints_open(struct exim *e, const char *name, bool write, struct err *err)
{
    struct arena *a = arena_new("hints");
    const char *dir = arena_printf(a, "%s/db", e->config->spool_directory);
    const char *path = arena_printf(a, "%s/%s", dir, name);
    const struct hints_driver *driver = &hints_driver_bdb;
    int sys_errno = 0;

    /* err outlives a: its words go to the process's arena */
    if (strchr(name, '/') != NULL || (write && !make_directory(e, e->arena, dir, err))) {
        arena_destroy(&a);
        return NULL;
    }
    int fd = open_lock(e, e->arena, arena_printf(a, "%s.lockfile", path), write, err);
    if (fd < 0) {
        arena_destroy(&a);
        return NULL;
    }
    void *handle = driver->open(path, write, EXIMDB_MODE, &sys_errno);
    if (handle == NULL && sys_errno == ENOENT)
        *err =
            (struct err){ .msg = "hints database does not exist", .sys_errno = ENOENT };
    else if (handle == NULL)
        err_sys(err, e->arena, sys_errno, "failed to open hints database %s", path);
    if (handle == NULL) {
        (void)fd_close(fd);
        arena_destroy(&a);
        return NULL;
    }
    if (write)
        give_file_away(e, path);
    DEBUG(D_HINTS)
    debug_printf("hints: %s opened for %s\n", path, write ? "writing" : "reading");
    struct hints_db *db = arena_new_obj(a, struct hints_db);
    *db = (struct hints_db){
        .arena = a, .driver = driver, .handle = handle, .lock_fd = fd
    };
    return db;
}

void hints_close(struct hints_db *db)
{
    if (db == NULL)
        return;
    struct arena *a = db->arena;
    db->driver->close(db->handle);
    (void)fd_close(db->lock_fd);
    arena_destroy(&a);
}

static struct str key_of(const char *key)
{
    return (struct str){ key, strlen(key) + 1 };
}

bool hints_get(struct hints_db *db, struct arena *a, const char *key, struct str *value)
{
    bool found = db->driver->get(db->handle, a, key_of(key), value);

    DEBUG(D_HINTS)
    debug_printf("hints: %s %s\n", key, found ? "found" : "not found");
    return found;
}

bool hints_put(struct hints_db *db, const char *key, const void *p, size_t n,
               struct err *err)
{
    DEBUG(D_HINTS)
    debug_printf("hints: %s written\n", key);
    if (db->driver->put(db->handle, key_of(key), (struct str){ p, n }))
        return true;
    if (err != NULL)
        *err = (struct err){ .msg = "failed to write a hints record" };
    return false;
}

bool hints_delete(struct hints_db *db, const char *key)
{
    DEBUG(D_HINTS)
    debug_printf("hints: %s deleted\n", key);
    return db->driver->del(db->handle, key_of(key));
}

void hints_scan(struct hints_db *db, struct arena *a,
                bool (*fn)(void *arg, const char *key, struct str value), void *arg)
{
    struct str key, value;
    bool first = true;

    for (; db->driver->next(db->handle, a, first, &key, &value); first = false)
        if (!fn(arg, key.p, value))
            return;
}
