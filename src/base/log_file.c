#include "base/log_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tod.h"

enum { DEFAULT_DIRECTORY_MODE = 0750, DEFAULT_MODE = 0640 };

/* The panic log has no date. Exim: with the date goes the punctuation that set it off, after
 * it when it follows a slash, before it otherwise. */
static const char *drop_date(struct buf *out, const char *next)
{
    if (out->len > 0 && out->p[out->len - 1] != '/') {
        if (!is_alnum(out->p[out->len - 1]))
            buf_truncate(out, out->len - 1);
    } else if (*next != '\0' && *next != '%' && !is_alnum(*next)) {
        next++;
    }
    return next;
}

static void add_path(struct buf *out, struct arena *a, const char *path, enum log_kind kind,
                     time_t now)
{
    const struct timespec when = { .tv_sec = now };

    for (const char *p = path; *p != '\0';) {
        if (*p != '%' || p[1] == '\0' || strchr("sDM", p[1]) == NULL) {
            buf_add_char(out, *p++);
            continue;
        }
        char what = p[1];
        p += 2;
        if (what == 's')
            buf_add_cstr(out, log_kind_name(kind));
        else if (kind == KIND_PANIC)
            p = drop_date(out, p);
        else
            buf_add_cstr(out, tod_print(a, what == 'D' ? TOD_LOG_FILE : TOD_LOG_MONTH, when));
    }
}

bool log_file_path(const char *path, enum log_kind kind, time_t now, char *out, size_t room)
{
    struct arena *a = arena_new("log path");
    struct buf b = buf_init(a, room - 1);

    add_path(&b, a, path, kind, now);
    memcpy(out, buf_cstr(&b), b.len + 1);
    arena_destroy(&a);
    if (b.full)
        errno = ENAMETOOLONG;
    return !b.full;
}

void log_file_close(struct log_file *f)
{
    if (f->fd >= 0)
        (void)fd_close(f->fd);
    f->fd = -1;
}

/* Only a file that we just made changes hands: another one may be somebody's link. */
static int open_or_create(const struct log_config *c, const char *path)
{
    int fd = fd_open(path, O_WRONLY | O_APPEND, 0);
    mode_t mode = (mode_t)(c->file_mode == 0 ? DEFAULT_MODE : c->file_mode);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = fd_open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL, mode);
    if (fd < 0)
        return errno == EEXIST ? fd_open(path, O_WRONLY | O_APPEND, 0) : -1;
    if (fchmod(fd, mode) < 0 ||
        (geteuid() == 0 && c->file_uid != 0 && fchown(fd, c->file_uid, c->file_gid) < 0)) {
        int why = errno;

        (void)fd_close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static bool make_directory(const struct log_config *c, const char *path)
{
    struct arena *a = arena_new("log directory");
    char *dir = arena_strdup(a, path);
    char *slash = strrchr(dir, '/');

    *slash = '\0'; /* paths are absolute */
    int mode = c->directory_mode == 0 ? DEFAULT_DIRECTORY_MODE : c->directory_mode;
    bool ok = dir_make(dir, (mode_t)mode) &&
              (geteuid() != 0 || c->file_uid == 0 || chown(dir, c->file_uid, c->file_gid) == 0);
    arena_destroy(&a);
    return ok;
}

static bool open_file(const struct log *l, struct log_file *f)
{
    struct stat st;

    f->fd = open_or_create(l->config, f->path);
    if (f->fd < 0 && errno == ENOENT && make_directory(l->config, f->path))
        f->fd = open_or_create(l->config, f->path);
    if (f->fd < 0)
        return false;
    if (fstat(f->fd, &st) == 0) {
        f->dev = st.st_dev;
        f->ino = st.st_ino;
    }
    return true;
}

static bool has_moved(const struct log_file *f)
{
    struct stat st;

    return stat(f->path, &st) < 0 || st.st_dev != f->dev || st.st_ino != f->ino;
}

bool log_file_write(struct log *l, enum log_kind kind, const char *text, size_t len, time_t now)
{
    struct log_file *f = &l->files[kind];
    char path[sizeof(f->path)];

    if (f->checked != now) { /* at most once a second */
        if (!log_file_path(l->places.path, kind, now, path, sizeof(path)))
            return false;
        if (f->fd >= 0 && (strcmp(path, f->path) != 0 || has_moved(f)))
            log_file_close(f);
        memcpy(f->path, path, sizeof(path));
        f->checked = now;
    }
    if (f->fd < 0 && !open_file(l, f))
        return false;

    ssize_t wrote = fd_write(f->fd, text, len);
    if (wrote >= 0 && (size_t)wrote < len) /* the disk is full; never a second write: O_APPEND */
        errno = ENOSPC;
    return wrote >= 0 && (size_t)wrote == len;
}
