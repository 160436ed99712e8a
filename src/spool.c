#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/format.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "message.h"
#include "spool_int.h"
#include "spool_wal.h"

enum { HEADER_FILE_MAX = 256 << 20, HEADER_ROOM = 8192, JOURNAL_MAX = 256 << 20 };

/* ---- loading ---- */

static enum spool_rc gone_or_broken(struct exim *e, struct arena *a, const char *id,
                                    struct err *err)
{
    if (errno != ENOENT) {
        err_sys(err, a, errno, "spool file %s-D", id);
        return SPOOL_ERROR;
    }
    if (spool_find(a, e, spool_input, id, "-H") == NULL)
        return SPOOL_GONE;
    err_set(err, a, "Spool file %s-D not found", id);
    return SPOOL_BAD;
}

static enum spool_rc lock_data(int fd, struct arena *a, const char *id, struct stat *st,
                               struct err *err)
{
    if (!fd_lock(fd, true, false)) {
        if (errno == EACCES || errno == EAGAIN)
            return SPOOL_LOCKED;
        err_sys(err, a, errno, "cannot lock spool file %s-D", id);
        return SPOOL_ERROR;
    }
    if (fstat(fd, st) < 0) {
        err_sys(err, a, errno, "spool file %s-D", id);
        return SPOOL_ERROR;
    }
    return st->st_nlink == 0 ? SPOOL_GONE : SPOOL_OK; /* removed while we opened it */
}

static bool id_line_is(int fd, const char *id)
{
    char line[SPOOL_ID_LINE], want[SPOOL_ID_LINE + 1];

    (void)format(want, sizeof(want), "%s-D\n", id);
    return fd_pread_full(fd, line, sizeof(line), 0) == (ssize_t)sizeof(line) &&
           memcmp(line, want, sizeof(line)) == 0;
}

static enum spool_rc open_data(struct exim *e, struct message *m, const char *id,
                               struct err *err)
{
    const char *path;
    int fd = spool_open(m->arena, e, id, "-D", O_RDWR | O_NOFOLLOW | O_NONBLOCK, &path);
    struct stat st;

    if (fd < 0)
        return gone_or_broken(e, m->arena, id, err);
    arena_owns_fd(m->arena, fd);
    enum spool_rc rc = lock_data(fd, m->arena, id, &st, err);
    if (rc != SPOOL_OK)
        return rc;
    if (!S_ISREG(st.st_mode) || !id_line_is(fd, id)) {
        err_set(err, m->arena, "Format error in spool file %s-D: wrong first line", id);
        return SPOOL_BAD;
    }
    m->body = (struct body){ .fd = fd,
                             .start = SPOOL_ID_LINE,
                             .size = st.st_size - SPOOL_ID_LINE };
    return SPOOL_OK;
}

/* Most are read by one call into room. */
static bool slurp_header(struct arena *a, int fd, char *room, size_t n, struct str *text)
{
    ssize_t got = fd < 0 ? -1 : fd_read(fd, room, n);

    *text = (struct str){ room, got < 0 ? 0 : (size_t)got };
    if (got < 0 || (size_t)got < n)
        return got >= 0;
    return lseek(fd, 0, SEEK_SET) == 0 && fd_slurp(a, fd, HEADER_FILE_MAX, text);
}

/* fd: -1 with errno when it could not be opened; it is closed. */
static enum spool_rc read_header(struct message *m, const char *id, int fd,
                                 struct err *err)
{
    struct arena *a = arena_new("spool -H");
    char room[HEADER_ROOM];
    struct err why = { 0 };
    struct str text;
    enum spool_rc rc = SPOOL_OK;

    memcpy(m->id, id, sizeof(m->id));
    if (!slurp_header(a, fd, room, sizeof(room), &text)) {
        rc = errno == ENOENT ? SPOOL_GONE : SPOOL_ERROR;
        err_sys(err, m->arena, errno, "cannot read spool file %s-H", id);
    } else if (!spool_header_parse(m, text, &why)) {
        rc = SPOOL_BAD;
        err_set(err, m->arena, "Format error in spool file %s-H: %s", id, why.msg);
    } else if (m->body.fd >= 0 && !m->deliver_firsttime) { /* loaded to be delivered: often nothing will change */
        m->header_file = (struct str){ arena_strndup(m->arena, text.p, text.len), text.len };
    }
    if (fd >= 0)
        (void)fd_close(fd);
    arena_destroy(&a);
    return rc;
}

/* Most messages have none. */
static bool slurp_journal(const struct exim *e, struct arena *a, const char *path, struct str *text)
{
    struct stat st;
    int fd = fstatat(spool_at(e), path, &st, 0) < 0 ? -1 : fd_openat(spool_at(e), path, O_RDONLY, 0);

    if (fd < 0)
        return false;
    arena_owns_fd(a, fd);
    return fd_slurp(a, fd, JOURNAL_MAX, text);
}

/* It is beside the envelope. What cannot be read may name somebody who has the message already: no delivery then. */
static enum spool_rc fold_journal(const struct exim *e, struct message *m, const char *header, struct err *err)
{
    struct arena *a = arena_new("spool -J");
    const char *path = arena_printf(a, "%.*sJ", (int)strlen(header) - 1, header);
    struct str text;
    enum spool_rc rc = SPOOL_OK;

    errno = ENOENT;
    if (!spool_has_no_journal(e, header) && slurp_journal(e, a, path, &text)) {
        spool_journal_parse(m, text);
        m->header_file.len = 0;
    } else if (errno != ENOENT) {
        rc = SPOOL_ERROR;
        err_sys(err, m->arena, errno, "cannot read spool file %s-J", m->id);
    }
    arena_destroy(&a);
    return rc;
}

static enum spool_rc read_envelope(struct exim *e, struct message *m, const char *id,
                                   struct err *err)
{
    const char *path;
    int fd = spool_open(m->arena, e, id, "-H", O_RDONLY, &path);
    enum spool_rc rc = read_header(m, id, fd, err);

    return rc == SPOOL_OK ? fold_journal(e, m, path, err) : rc;
}

/* Whoever reads a body finds newlines at the ends of its lines. */
static enum spool_rc to_unix_form(struct exim *e, struct message *m, struct err *err)
{
    if (!m->spool_file_wireformat)
        return SPOOL_OK;
    int fd = spool_unwire(m->arena, e, m);
    if (fd < 0) {
        err_sys(err, m->arena, errno, "cannot convert spool file %s-D", m->id);
        return SPOOL_ERROR;
    }
    arena_owns_fd(m->arena, fd);
    m->body = (struct body){ .fd = fd, .size = lseek(fd, 0, SEEK_END) };
    m->message_linecount += m->body_linecount;
    return SPOOL_OK;
}

static enum spool_rc load_files(struct exim *e, struct message *m, const char *id,
                                struct err *err)
{
    enum spool_rc rc = open_data(e, m, id, err);

    if (rc == SPOOL_OK)
        rc = read_envelope(e, m, id, err);
    if (rc == SPOOL_OK)
        rc = to_unix_form(e, m, err);
    return rc;
}

enum spool_rc spool_load(struct exim *e, const char *id, uint64_t place,
                         struct message **out, struct err *err)
{
    struct message *m = message_new("message");
    enum spool_rc rc = SPOOL_GONE;

    memcpy(m->id, id, sizeof(m->id));
    if (place != 0 && e->wal != NULL)
        rc = spool_load_logged(e, m, place, err);
    if (rc == SPOOL_GONE) /* it may have moved to files */
        rc = load_files(e, m, id, err);
    if (rc == SPOOL_OK) {
        m->message_size += m->body.size;
        *out = m;
        return rc;
    }
    if (err != NULL && err->msg != NULL)
        err->msg = arena_strdup(e->arena, err->msg);
    message_free(&m);
    return rc;
}

static void start_peek(struct message *m, struct arena *a)
{
    *m = (struct message){ .arena = a,
                           .sender = "",
                           .body = { .fd = -1, .start = SPOOL_ID_LINE } };
    header_list_init(&m->headers);
}

static void note_size(struct message *m, const struct stat *data)
{
    m->body.size = data->st_size < SPOOL_ID_LINE ? 0 : data->st_size - SPOOL_ID_LINE;
    m->message_size += m->body.size;
}

enum spool_rc spool_peek(struct exim *e, const char *id, struct arena *a,
                         struct message *out, struct err *err)
{
    struct stat st;

    start_peek(out, a);
    enum spool_rc rc = read_envelope(e, out, id, err);
    if (rc != SPOOL_OK)
        return rc;
    const char *path = spool_find(a, e, spool_input, id, "-D");
    if (path == NULL || stat(path, &st) < 0)
        return gone_or_broken(e, a, id, err);
    note_size(out, &st);
    return SPOOL_OK;
}

enum spool_rc spool_peek_entry(struct exim *e, const struct spool_entry *at,
                               struct arena *a, struct message *out, struct err *err)
{
    const char *dir = spool_near_dir(a, e, at->id, at->subdir != '\0');
    const char *header = arena_printf(a, "%s/%s-H", dir, at->id);
    const char *data = arena_printf(a, "%s/%s-D", dir, at->id);
    struct stat st;

    start_peek(out, a);
    enum spool_rc rc = read_header(out, at->id, spool_open_near(e, header, O_RDONLY), err);
    if (rc == SPOOL_GONE) /* or moved */
        return spool_peek(e, at->id, a, out, err);
    if (rc == SPOOL_OK && at->journal)
        rc = fold_journal(e, out, header, err);
    if (rc != SPOOL_OK)
        return rc;
    if (fstatat(spool_at(e), data, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return spool_peek(e, at->id, a, out, err);
    note_size(out, &st);
    return SPOOL_OK;
}

/* ---- changing ---- */

static const char *sibling(struct arena *a, struct exim *e, const struct message *m,
                           const char *suffix)
{
    const char *header = spool_find(a, e, spool_input, m->id, "-H");

    if (header == NULL)
        return spool_path(a, e, spool_input, m->id, suffix);
    return arena_printf(a, "%.*s%s", (int)strlen(header) - 2, header, suffix);
}

/* A line that a crash cut short is taken away, lest the next one be glued to it. */
static bool end_at_line(int fd, off_t size)
{
    char last;

    for (; size > 0; size--) {
        if (fd_pread_full(fd, &last, 1, size - 1) != 1)
            return false;
        if (last == '\n')
            break;
    }
    return ftruncate(fd, size) == 0;
}

static bool append_journal(struct exim *e, const char *path, int fd, struct str text)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || (st.st_size > 0 && !end_at_line(fd, st.st_size)))
        return false;
    return fd_write_all(fd, text.p, text.len) && spool_sync(e, fd) &&
           (st.st_size > 0 || spool_sync_dir(e, path));
}

static bool journal_to_file(struct exim *e, struct arena *a, struct message *m,
                            struct str text, struct err *err)
{
    const char *path = sibling(a, e, m, "-J");
    m->header_file.len = 0;
    int fd = spool_create(a, e, path, O_RDWR | O_APPEND);
    bool ok = fd >= 0 && append_journal(e, path, fd, text);
    int why = errno;

    if (fd >= 0)
        (void)fd_close(fd);
    return ok || err_sys(err, m->arena, why, "cannot write %s-J", m->id);
}

static bool journal(struct exim *e, struct message *m, const char *const *addresses,
                    size_t n, struct err *err)
{
    struct arena *a = arena_new("spool -J");
    struct buf text = buf_init(a, JOURNAL_MAX);

    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s\n", cstr_printable(a, addresses[i], true));
    bool ok =
        text.full ? err_sys(err, m->arena, EFBIG, "cannot write %s-J", m->id)
        : m->place != 0 && spool_journal_logged(e, m, buf_view(&text))
            ? true
            : spool_rest(e, m, err) && journal_to_file(e, a, m, buf_view(&text), err);
    arena_destroy(&a);
    return ok;
}

bool spool_journal_soon(struct exim *e, struct message *m, const char *const *addresses,
                        size_t n, struct err *err)
{
    enum { SOON_MS = 50 };
    int64_t now = tod_monotonic_ms();

    if (!journal(e, m, addresses, n, err))
        return false;
    if (m->journal_owed_ms == 0)
        m->journal_owed_ms = now;
    return now - m->journal_owed_ms < SOON_MS || spool_journal_sync(e, m, err);
}

bool spool_journal_sync(struct exim *e, struct message *m, struct err *err)
{
    m->journal_owed_ms = 0;
    return m->place == 0 || wal_sync_all(e->wal) ||
           err_sys(err, m->arena, errno, "cannot sync the log of the spool");
}

bool spool_journal(struct exim *e, struct message *m, const char *const *addresses,
                   size_t n, struct err *err)
{
    return journal(e, m, addresses, n, err) && spool_journal_sync(e, m, err);
}

static bool gone(const char *path)
{
    return path == NULL || unlink(path) == 0 || errno == ENOENT;
}

bool spool_update(struct exim *e, struct message *m, struct err *err)
{
    m->header_file.len = 0;
    if (m->place != 0)
        return spool_rest(e, m, err);
    struct arena *a = arena_new("spool -H");
    const char *path = sibling(a, e, m, "-H");
    const char *temp =
        arena_printf(a, "%.*shdr.%s", (int)(strrchr(path, '/') - path + 1), path, m->id);
    struct buf text = buf_init(a, HEADER_FILE_MAX);

    spool_header_print(&text, m);
    bool ok = !text.full && spool_replace(a, e, path, temp, buf_view(&text));
    if (!ok)
        err_sys(err, m->arena, text.full ? EFBIG : errno, "cannot write %s-H", m->id);
    else if (!gone(sibling(a, e, m, "-J"))) /* harmless: -H says the same */
        err_sys(err, m->arena, errno, "cannot remove %s-J", m->id);
    arena_destroy(&a);
    return ok;
}

static bool put_away_msglog(struct exim *e, struct arena *a, const char *id)
{
    const char *path = spool_find(a, e, spool_msglogs, id, "");
    const char *dir = arena_printf(a, "%s/msglog.OLD", e->config->spool_directory);

    if (path == NULL || !e->config->main.preserve_message_logs)
        return gone(path);
    return dir_make(dir, MSGLOG_DIRECTORY_MODE) &&
           rename(path, arena_printf(a, "%s/%s", dir, id)) == 0;
}

/* The envelope goes first: without it there is no message, and what a crash leaves of the
 * rest is swept up by spool_clean. Nothing is synced: a -H that comes back has its -J
 * with it. */
bool spool_remove(struct exim *e, struct message *m, struct err *err)
{
    if (m->place != 0) {
        spool_leave_log(e, m);
        return true;
    }
    static const char *const suffixes[] = { "-H", "-D", "-J" };
    struct arena *a = arena_new("spool remove");
    bool ok = true;

    for (size_t i = 0; i < ARRAY_LEN(suffixes) && ok; i++) {
        ok = gone(spool_find(a, e, spool_input, m->id, suffixes[i]));
        if (!ok)
            err_sys(err, m->arena, errno, "cannot remove %s%s", m->id, suffixes[i]);
    }
    if (ok && !put_away_msglog(e, a, m->id))
        ok = err_sys(err, m->arena, errno, "cannot remove message log of %s", m->id);
    arena_destroy(&a);
    return ok;
}

bool spool_purge(struct exim *e, const char *id, bool *found, struct err *err)
{
    static const char *const suffixes[] = { "-H", "-D", "-J" };
    struct arena *a = arena_new("spool purge");
    bool ok = true;

    *found = false;
    for (size_t i = 0; i < ARRAY_LEN(suffixes) && ok; i++) {
        const char *path = spool_find(a, e, spool_input, id, suffixes[i]);

        *found = *found || path != NULL;
        ok = gone(path) ||
             err_sys(err, e->arena, errno, "cannot remove %s%s", id, suffixes[i]);
    }
    ok = ok && (put_away_msglog(e, a, id) ||
                err_sys(err, e->arena, errno, "cannot remove message log of %s", id));
    arena_destroy(&a);
    return ok;
}

static const char *part_path(struct arena *a, struct exim *e, const char *id,
                             enum spool_part part)
{
    static const char *const suffixes[] = { "-H", "-D", "" };

    return spool_find(a, e, part == SPOOL_PART_LOG ? spool_msglogs : spool_input, id,
                      suffixes[part]);
}

bool spool_copy(struct exim *e, const char *id, enum spool_part part, off_t from, int out)
{
    struct arena *a = arena_new("spool copy");
    const char *path = part_path(a, e, id, part);
    int fd = path == NULL ? -1 : fd_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    char bytes[16384];
    ssize_t got = -1;

    for (off_t at = from; fd >= 0; at += got) {
        got = fd_pread_full(fd, bytes, sizeof(bytes), at);
        if (got <= 0 || !fd_write_all(out, bytes, (size_t)got))
            break;
    }
    bool ok = fd >= 0 && got == 0;
    int why = errno;
    if (fd >= 0)
        (void)fd_close(fd);
    arena_destroy(&a);
    errno = why;
    return ok;
}

off_t spool_file_size(struct exim *e, const char *id, enum spool_part part)
{
    struct arena *a = arena_new("spool size");
    const char *path = part_path(a, e, id, part);
    struct stat st;
    off_t size = path != NULL && lstat(path, &st) == 0 ? st.st_size : -1;

    arena_destroy(&a);
    return size;
}
