#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "message.h"
#include "spool.h"
#include "spool_int.h"

const char spool_input[] = "input", spool_msglogs[] = "msglog";

enum { NOTES_MAX = 1 << 20 };
enum { SPLIT_CHAR = 5 }; /* of the id: the fastest moving one of its seconds */

const char *spool_dir(struct arena *a, const struct exim *e, const char *dir, const char *id, bool split)
{
    const char *top = e->config->spool_directory;

    return split ? arena_printf(a, "%s/%s/%c", top, dir, id[SPLIT_CHAR])
                 : arena_printf(a, "%s/%s", top, dir);
}

const char *spool_path(struct arena *a, struct exim *e, const char *dir, const char *id, const char *suffix)
{
    return arena_printf(a, "%s/%s%s", spool_dir(a, e, dir, id, e->config->main.split_spool_directory),
                        id, suffix);
}

const char *spool_find(struct arena *a, const struct exim *e, const char *dir, const char *id,
                       const char *suffix)
{
    bool split = e->config->main.split_spool_directory;
    struct stat st;

    for (int i = 0; i < 2; i++, split = !split) {
        const char *path = arena_printf(a, "%s/%s%s", spool_dir(a, e, dir, id, split), id, suffix);

        if (lstat(path, &st) == 0)
            return path;
        if (errno != ENOENT)
            return NULL;
    }
    errno = ENOENT;
    return NULL;
}

static void forget(void *arg)
{
    struct exim *e = arg;

    (void)fd_close(*e->spool_fd);
    e->spool_fd = NULL;
    e->spool_scan = NULL;
}

void spool_stay_near(struct exim *e, struct arena *a, const struct spool_extras *scan)
{
    int *fd = arena_new_obj(a, int);

    *fd = fd_open(e->config->spool_directory, O_PATH | O_DIRECTORY, 0);
    if (*fd < 0)
        return; /* the long way is a way */
    e->spool_fd = fd;
    e->spool_scan = scan;
    arena_on_destroy(a, forget, e);
}

int spool_at(const struct exim *e)
{
    return e->spool_fd == NULL ? AT_FDCWD : *e->spool_fd;
}

const char *spool_near_dir(struct arena *a, const struct exim *e, const char *id, bool split)
{
    if (e->spool_fd == NULL)
        return spool_dir(a, e, spool_input, id, split);
    return split ? arena_printf(a, "%s/%c", spool_input, id[SPLIT_CHAR]) : spool_input;
}

int spool_open_near(const struct exim *e, const char *path, int flags)
{
    int fd = fd_openat(spool_at(e), path, flags | O_NOATIME, 0);

    return fd < 0 && errno == EPERM ? fd_openat(spool_at(e), path, flags, 0) : fd;
}

int spool_open(struct arena *a, const struct exim *e, const char *id, const char *suffix, int flags, const char **path)
{
    bool split = e->config->main.split_spool_directory;
    int fd = -1;

    for (int i = 0; i < 2 && fd < 0; i++, split = !split) {
        *path = arena_printf(a, "%s/%s%s", spool_near_dir(a, e, id, split), id, suffix);
        fd = spool_open_near(e, *path, flags);
        if (fd < 0 && errno != ENOENT)
            return -1;
    }
    return fd;
}

static const char *parent_of(struct arena *a, const char *path)
{
    return arena_strndup(a, path, (size_t)(strrchr(path, '/') - path));
}

int spool_create(struct arena *a, const struct exim *e, const char *path, int flags)
{
    int fd = fd_open(path, flags | O_CREAT | O_NOFOLLOW, SPOOL_MODE);

    if (fd < 0 && errno == ENOENT && dir_make(parent_of(a, path), INPUT_DIRECTORY_MODE)) {
        if (!spool_sync_dir(e, parent_of(a, path)))
            return -1;
        fd = fd_open(path, flags | O_CREAT | O_NOFOLLOW, SPOOL_MODE);
    }
    return fd;
}

bool spool_sync(const struct exim *e, int fd)
{
    int rc;

    if (e->config->main.disable_fsync)
        return true;
    do
        rc = fdatasync(fd); /* a changed size counts as data */
    while (rc < 0 && errno == EINTR);
    return rc == 0;
}

bool spool_sync_dir(const struct exim *e, const char *path)
{
    struct arena *a = arena_new("sync");
    bool ok = e->config->main.disable_fsync || fd_sync_dir(parent_of(a, path));

    arena_destroy(&a);
    return ok;
}

static bool write_temp(struct arena *a, const struct exim *e, const char *temp, struct str text)
{
    int fd = spool_create(a, e, temp, O_WRONLY | O_TRUNC);

    if (fd < 0)
        return false;
    bool ok = fd_write_all(fd, text.p, text.len) && spool_sync(e, fd);
    int why = errno;
    if (fd_close(fd) != 0 && ok)
        return false;
    errno = why;
    return ok;
}

bool spool_replace(struct arena *a, const struct exim *e, const char *path, const char *temp,
                   struct str text)
{
    if (write_temp(a, e, temp, text) && rename(temp, path) == 0)
        return spool_sync_dir(e, path);
    int why = errno;
    (void)unlink(temp);
    errno = why;
    return false;
}

/* Copies without the CR of each CRLF; a CR at the end of a piece waits for the next. */
struct unwire {
    int to;
    bool cr;
    long lines;
};

static bool unwire_piece(struct unwire *u, const char *p, size_t n)
{
    char out[8193];
    size_t len = 0;

    for (size_t i = 0; i < n; i++) {
        if (u->cr && p[i] != '\n')
            out[len++] = '\r';
        u->cr = p[i] == '\r';
        if (!u->cr)
            out[len++] = p[i];
        u->lines += p[i] == '\n';
    }
    return fd_write_all(u->to, out, len);
}

static bool unwire_all(struct unwire *u, const struct message *m)
{
    char in[4096];

    for (off_t done = 0; done < m->body.size;) {
        off_t left = m->body.size - done;
        size_t want = left < (off_t)sizeof(in) ? (size_t)left : sizeof(in);
        ssize_t got = fd_pread_full(m->body.fd, in, want, m->body.start + done);

        if (got <= 0 || !unwire_piece(u, in, (size_t)got))
            return false;
        done += got;
    }
    return !u->cr || fd_write_all(u->to, "\r", 1);
}

int spool_unwire(struct arena *a, const struct exim *e, struct message *m)
{
    const char *path = arena_printf(a, "%s/%s/unwire.%s", e->config->spool_directory, spool_input, m->id);
    struct unwire u = { .to = spool_create(a, e, path, O_RDWR | O_TRUNC) };

    if (u.to < 0)
        return -1;
    (void)unlink(path);
    if (!unwire_all(&u, m)) {
        int why = errno;

        (void)fd_close(u.to);
        errno = why;
        return -1;
    }
    m->body_linecount = u.lines;
    return u.to;
}

/* ---- message logs ---- */

static void append_msglog(struct exim *e, struct arena *a, const char *id,
                          struct str text)
{
    const char *path = spool_find(a, e, spool_msglogs, id, "");

    if (path == NULL)
        path = spool_path(a, e, spool_msglogs, id, "");
    int fd = spool_create(a, e, path, O_WRONLY | O_APPEND);
    if (fd >= 0) { /* no more than a convenience: what counts is in -H and the main log */
        bool written = fd_write_all(fd, text.p, text.len);

        (void)written;
        (void)fd_close(fd);
    }
}

void spool_msglog(struct exim *e, struct message *m, const char *fmt, ...)
{
    if (!e->config->main.message_logs || m->id[0] == '\0')
        return;
    struct arena *a = arena_new("msglog");
    va_list ap;

    va_start(ap, fmt);
    const char *text = cstr_printable(a, arena_vprintf(a, fmt, ap), true);
    va_end(ap);
    if (!cstr_starts(text, "*** "))
        text = arena_printf(a, "%s %s", tod_print(a, TOD_LOG, tod_now()), text);
    text = arena_printf(a, "%s\n", text);
    if (m->notes == NULL) {
        m->notes = arena_new_obj(m->arena, struct buf);
        *m->notes = buf_init(m->arena, NOTES_MAX);
    }
    buf_add_cstr(m->notes, text);
    if (!m->notes_wait || m->notes->len > NOTES_MAX / 2)
        spool_put_notes(e, m);
    arena_destroy(&a);
}

void spool_put_notes(struct exim *e, struct message *m)
{
    if (m->notes == NULL || m->place != 0)
        return;
    struct arena *a = arena_new("msglog");

    append_msglog(e, a, m->id, buf_view(m->notes));
    m->notes = NULL;
    arena_destroy(&a);
}
