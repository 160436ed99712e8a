#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tod.h"
#include "expand.h"
#include "hintsdb.h"
#include "transports/autoreply_int.h"

enum { FILE_MAX = 16 * 1024 * 1024 };

static bool is_recent(const struct autoreply_run *run, time_t then, time_t now)
{
    return run->r.once_repeat == 0 || now - then < run->r.once_repeat;
}

/* ---- a DBM file: recipient -> time of the last answer, as Exim writes it ---- */

static bool once_dbm(struct autoreply_run *run, time_t now, bool *sent)
{
    const struct hints_driver *d = &hints_driver_bdb;
    const char *to = run->r.to;
    struct str key = { to, strlen(to) + 1 }, value;
    time_t then;
    int sys_errno = 0;
    void *db = d->open(run->r.once, true, (int)run->t->mode, &sys_errno);

    if (db == NULL)
        return autoreply_defer(run, sys_errno, "Failed to open %s file %s when sending message from %s transport: %s",
                               "once", run->r.once, run->t->base.name, strerror(sys_errno));
    if (d->get(db, run->arena, key, &value) && value.len == sizeof(then)) {
        memcpy(&then, value.p, sizeof(then));
        *sent = is_recent(run, then, now);
    }
    bool ok = *sent || d->put(db, key, (struct str){ (const char *)&now, sizeof(now) });
    d->close(db);
    return ok || autoreply_defer(run, EIO, "Failed to write %s for %s transport", run->r.once, run->t->base.name);
}

/* ---- a file of fixed size: time_t, address, NUL, and so on; the oldest go first ---- */

static bool find_record(const struct autoreply_run *run, struct str text, size_t *at, size_t *end, time_t *then)
{
    for (size_t i = 0; i + sizeof(time_t) < text.len; i = *end) {
        const char *name = text.p + i + sizeof(time_t);
        size_t room = text.len - i - sizeof(time_t), n = strnlen(name, room);
        if (n == room)
            return false; /* cut off: not ours */
        *at = i;
        *end = i + sizeof(time_t) + n + 1;
        memcpy(then, text.p + i, sizeof(*then));
        if (strcmp(name, run->r.to) == 0)
            return true;
    }
    return false;
}

static size_t first_record(struct str text)
{
    if (text.len <= sizeof(time_t))
        return text.len;
    size_t n = strnlen(text.p + sizeof(time_t), text.len - sizeof(time_t));
    size_t whole = sizeof(time_t) + n + 1;
    return whole > text.len ? text.len : whole;
}

static bool rewrite(struct autoreply_run *run, int fd, struct str text, size_t at, size_t end, time_t now)
{
    struct buf b = buf_init(run->arena, FILE_MAX + 65536);
    size_t limit = (size_t)run->t->once_file_size;

    buf_add(&b, text.p, at);
    buf_add(&b, text.p + end, text.len - end);
    buf_add(&b, &now, sizeof(now));
    buf_add(&b, run->r.to, strlen(run->r.to) + 1);
    while (b.len > limit && b.len > 0)
        buf_consume(&b, first_record(buf_view(&b)));
    return ftruncate(fd, 0) == 0 && fd_pwrite_all(fd, b.p == NULL ? "" : b.p, b.len, 0);
}

static bool once_file(struct autoreply_run *run, time_t now, bool *sent)
{
    size_t at, end;
    time_t then;
    struct str text;
    int fd = fd_open(run->r.once, O_CREAT | O_RDWR, (mode_t)run->t->mode);
    bool ok = fd >= 0 && fd_lock(fd, true, true) && fd_slurp(run->arena, fd, FILE_MAX, &text);

    if (ok) {
        bool found = find_record(run, text, &at, &end, &then);
        *sent = found && is_recent(run, then, now);
        if (!*sent)
            ok = rewrite(run, fd, text, found ? at : text.len, found ? end : text.len, now);
    }
    int why = errno;
    if (fd >= 0)
        fd_close(fd);
    return ok || autoreply_defer(run, why, "Failed to open %s file %s when sending message from %s transport: %s",
                                 "\"once\"", run->r.once, run->t->base.name, strerror(why));
}

bool autoreply_once(struct autoreply_run *run, bool *sent)
{
    time_t now = tod_now().tv_sec;

    *sent = false;
    if (run->r.once == NULL || run->r.once[0] == '\0' || run->r.to == NULL)
        return true;
    return run->t->once_file_size > 0 ? once_file(run, now, sent) : once_dbm(run, now, sent);
}
