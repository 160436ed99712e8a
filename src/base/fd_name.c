/* The part of fd.h that gives names to files and directories. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "os.h"

/* mkdir obeys the umask; chmod makes the mode what was asked for. */
static bool make_level(const char *path, mode_t mode)
{
    if (mkdir(path, mode) == 0)
        return chmod(path, mode) == 0;
    return errno == EEXIST;
}

bool dir_make(const char *path, mode_t mode)
{
    struct stat st;
    struct arena *a = arena_new("dir_make");
    char *copy = arena_strdup(a, path);
    bool ok = true;

    for (char *p = copy + 1; *copy != '\0' && ok && *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        ok = stat(copy, &st) == 0 || make_level(copy, mode);
        *p = '/';
    }
    ok = ok && make_level(copy, mode);
    if (ok && stat(copy, &st) == 0 && !S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        ok = false;
    }
    arena_destroy(&a);
    return ok;
}

int fd_open_unnamed(const char *dir, mode_t mode)
{
    static int can_name = -1; /* looked at once */

    if (can_name < 0)
        can_name = os_can_name();
    if (!can_name) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return fd_open(dir, OS_UNNAMED, mode);
}

bool fd_name(int fd, const char *path)
{
    static bool by_proc; /* the first way is not to be had */

    if (!by_proc && os_name(fd, path) == 0)
        return true;
    if (!by_proc && errno != ENOENT)
        return false;
    if (os_name_by_proc(fd, path) != 0)
        return false;
    by_proc = true;
    return true;
}

bool fd_sync_covers_name(int fd)
{
    return os_sync_covers_name(fd);
}

/* Where the file system cannot do it at once (NFS), link does: it never replaces either. */
bool fd_rename_new(const char *from, const char *to)
{
    if (os_rename_new(from, to) == 0)
        return true;
    if (errno != EINVAL && errno != ENOSYS)
        return false;
    if (link(from, to) != 0)
        return false;
    (void)unlink(from);
    return true;
}
