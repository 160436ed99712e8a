/* From the log of the spool to files: when a message comes to rest, and after a crash. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "config/config.h"
#include "exim.h"
#include "message.h"
#include "spool.h"
#include "spool_int.h"
#include "spool_wal.h"

enum { HEADER_FILE_MAX = 256 << 20 };

/* ---- loading ---- */

struct journal {
    struct message *m;
    uint64_t of;
};

static bool fold(void *arg, const struct wal_record *r)
{
    const struct journal *j = arg;

    if (r->kind == WAL_JOURNAL && r->of == j->of)
        spool_journal_parse(j->m, r->head);
    return true;
}

/* Whoever worked on it before may have died: what he had done is in the log, or the files
 * are there. */
static enum spool_rc load_touched(struct exim *e, struct message *m, uint64_t place,
                                  unsigned state, struct err *err)
{
    struct journal j = { m, place };

    if ((state & WAL_RESTING) != 0 &&
        spool_find(m->arena, e, spool_input, m->id, "-H") != NULL) {
        wal_gone(e->wal, place, m->id);
        return wal_sync_all(e->wal)
                   ? SPOOL_GONE
                   : (err_sys(err, m->arena, errno, "log of the spool"), SPOOL_ERROR);
    }
    if ((state & WAL_JOURNALED) == 0)
        return SPOOL_OK;
    return wal_scan(wal_fd(e->wal), place, fold, &j, err) ? SPOOL_OK : SPOOL_ERROR;
}

static enum spool_rc read_record(struct exim *e, struct message *m, uint64_t place,
                                 struct wal_record *r, struct err *err)
{
    if (wal_read(e->wal, m->arena, place, r) && r->kind == WAL_MESSAGE &&
        strcmp(r->id, m->id) == 0)
        return SPOOL_OK;
    int why = errno;
    if (wal_state(e->wal, place) == 0)
        return SPOOL_GONE;
    if (why != 0) {
        err_sys(err, m->arena, why, "cannot read the log of the spool");
        return SPOOL_ERROR;
    }
    err_set(err, m->arena, "Format error in the log of the spool at %llu",
            (unsigned long long)place);
    return SPOOL_BAD;
}

static enum spool_rc read_logged(struct exim *e, struct message *m, uint64_t place,
                                 struct err *err)
{
    unsigned state = wal_state(e->wal, place);
    struct wal_record r;
    struct err why = { 0 };
    /* gone: since it was asked for, by whoever had the lock; the record may still be
     * there */
    enum spool_rc rc = state == 0 ? SPOOL_GONE : read_record(e, m, place, &r, err);

    if (rc != SPOOL_OK)
        return rc;
    if (!spool_header_parse(m, r.head, &why)) {
        err_set(err, m->arena, "Format error in the log of the spool, header of %s: %s",
                m->id, why.msg);
        return SPOOL_BAD;
    }
    m->body = (struct body){ .fd = -1, .size = (off_t)r.body.len, .text = r.body.p };
    m->place = place;
    return load_touched(e, m, place, state, err);
}

enum spool_rc spool_load_logged(struct exim *e, struct message *m, uint64_t place,
                                struct err *err)
{
    if (wal_state(e->wal, place) == 0)
        return SPOOL_GONE;
    if (!wal_lock(e->wal, place))
        return SPOOL_LOCKED;
    enum spool_rc rc = read_logged(e, m, place, err);
    if (rc != SPOOL_OK) {
        wal_unlock(e->wal, place);
        m->place = 0;
    }
    return rc;
}

/* ---- changing ---- */

bool spool_journal_logged(struct exim *e, struct message *m, struct str lines)
{
    struct wal_record r = { .kind = WAL_JOURNAL, .of = m->place, .head = lines };

    memcpy(r.id, m->id, sizeof(r.id));
    wal_mark(e->wal, m->place, WAL_JOURNALED);
    return wal_append(e->wal, &r) != 0;
}

void spool_leave_log(struct exim *e, struct message *m)
{
    wal_gone(e->wal, m->place, m->id);
    wal_unlock(e->wal, m->place);
    m->place = 0;
}

void spool_release(struct exim *e, struct message *m)
{
    if (m->place != 0)
        wal_unlock(e->wal, m->place);
}

/* ---- files ---- */

static int make_data(struct exim *e, struct arena *a, const char *id, struct str body)
{
    char line[SPOOL_ID_LINE + 1];
    const char *path = spool_path(a, e, spool_input, id, "-D");
    int fd = spool_create(a, e, path, O_RDWR | O_TRUNC);

    (void)snprintf(line, sizeof(line), "%s-D\n", id);
    if (fd < 0)
        return -1;
    if (fd_lock(fd, true, false) && fd_write_all(fd, line, SPOOL_ID_LINE) &&
        fd_write_all(fd, body.p, body.len) && spool_sync(e, fd))
        return fd;
    int why = errno;
    (void)fd_close(fd);
    errno = why;
    return -1;
}

static bool make_header(struct exim *e, struct arena *a, const char *id, struct str text)
{
    const char *path = spool_path(a, e, spool_input, id, "-H");
    const char *temp =
        arena_printf(a, "%.*shdr.%s", (int)(strrchr(path, '/') - path + 1), path, id);

    return spool_replace(a, e, path, temp, text);
}

static bool make_files(struct exim *e, struct arena *a, struct message *m,
                       struct err *err)
{
    struct buf text = buf_init(a, HEADER_FILE_MAX);
    struct str body = { m->body.text, (size_t)m->body.size };
    int fd;

    spool_header_print(&text, m);
    if (text.full)
        return err_sys(err, m->arena, EFBIG, "cannot write %s-H", m->id);
    if ((fd = make_data(e, a, m->id, body)) < 0)
        return err_sys(err, m->arena, errno, "cannot write %s-D", m->id);
    arena_owns_fd(m->arena, fd); /* and with it the lock */
    if (!make_header(e, a, m->id, buf_view(&text)))
        return err_sys(err, m->arena, errno, "cannot write %s-H", m->id);
    m->body = (struct body){ .fd = fd, .start = SPOOL_ID_LINE, .size = m->body.size };
    return true;
}

/* The log says so durably before anybody can take the files away: it would bring the
 * message back. */
bool spool_rest(struct exim *e, struct message *m, struct err *err)
{
    if (m->place == 0)
        return true;
    if (!wal_lock(e->wal,
                  m->place)) /* one that came in this process: the queue found it first */
        return err_set(err, m->arena, "another process delivers %s already", m->id);
    struct arena *a = arena_new("spool rest");

    wal_mark(e->wal, m->place, WAL_RESTING);
    bool ok = make_files(e, a, m, err);
    if (ok) {
        spool_leave_log(e, m);
        ok = wal_sync_all(e->wal) ||
             err_sys(err, m->arena, errno, "cannot sync the log of the spool");
        spool_put_notes(e, m);
    }
    arena_destroy(&a);
    return ok;
}

/* ---- reading a log that is not ours ---- */

struct logged {
    struct arena *arena;
    struct hash *by_id;
    const char *only; /* this message; NULL: all */
    bool bodies;
};
struct logged_message {
    struct wal_record record;
    struct buf journal;
    bool gone;
};

static void add_message(struct logged *l, const struct wal_record *r)
{
    struct logged_message *m = arena_new_obj(l->arena, struct logged_message);

    *m = (struct logged_message){ .record = *r,
                                  .journal = buf_init(l->arena, HEADER_FILE_MAX) };
    m->record.head.p = str_dup(l->arena, r->head);
    m->record.body.p = l->bodies ? str_dup(l->arena, r->body) : "";
    (void)hash_put(l->by_id, m->record.id, m);
}

static bool collect(void *arg, const struct wal_record *r)
{
    struct logged *l = arg;
    struct logged_message *m = hash_find(l->by_id, r->id);

    if (l->only != NULL && strcmp(l->only, r->id) != 0)
        return true;
    if (r->kind == WAL_MESSAGE)
        add_message(l, r);
    else if (m != NULL && r->kind == WAL_GONE)
        m->gone = true;
    else if (m != NULL)
        buf_add_str(&m->journal, r->head);
    return true;
}

static bool recover_message(struct exim *e, struct arena *a,
                            const struct logged_message *m)
{
    const char *id = m->record.id;

    if (spool_find(a, e, spool_input, id, "-H") != NULL)
        return true;
    int fd = errno == ENOENT ? make_data(e, a, id, m->record.body) : -1;
    if (fd < 0)
        return false;
    const char *path = spool_path(a, e, spool_input, id, "-J");
    bool ok =
        m->journal.len == 0 ||
        spool_replace(a, e, path, arena_printf(a, "%s.new", path), buf_view(&m->journal));
    ok = ok && make_header(e, a, id, m->record.head);
    int why = errno;
    (void)fd_close(fd);
    errno = why;
    return ok;
}

static bool recover_all(struct exim *e, struct arena *a, int fd, struct err *err)
{
    struct logged l = { .arena = a, .by_id = hash_new(a, false), .bodies = true };
    struct hash_iter it = { 0 };
    const char *id;
    void *value;

    if (!wal_scan(fd, 0, collect, &l, err))
        return false;
    while (hash_next(l.by_id, &it, &id, &value)) {
        const struct logged_message *m = value;

        if (!m->gone && !recover_message(e, a, m))
            return err_sys(err, e->arena, errno,
                           "cannot bring %s from the log of the spool to its files", id);
    }
    const char *path = arena_printf(a, "%s/wal", e->config->spool_directory);
    return (unlink(path) == 0 && spool_sync_dir(e, path)) ||
           err_sys(err, e->arena, errno, "cannot remove %s", path);
}

/* Somebody else may have recovered it since it was opened: what has the name now is not
 * ours. */
static bool is_left_behind(int fd)
{
    struct stat st;

    return flock(fd, LOCK_EX | LOCK_NB) == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0;
}

bool spool_recover(struct exim *e, struct err *err)
{
    struct arena *a = arena_new("recover");
    int fd = e->wal != NULL ? -1 : wal_open(e, a, O_RDWR);
    bool ok = true;

    if (fd < 0 && e->wal == NULL && errno != ENOENT && errno != EACCES)
        ok = err_sys(err, e->arena, errno, "cannot open the log of the spool");
    if (fd >= 0 && is_left_behind(fd)) /* else a daemon has it */
        ok = recover_all(e, a, fd, err);
    if (fd >= 0)
        (void)fd_close(fd);
    arena_destroy(&a);
    return ok;
}

/* ---- listing ---- */

/* A log that is not there is an empty one. */
static bool read_log(struct exim *e, struct logged *l, struct err *err)
{
    int fd = wal_open(e, l->arena, O_RDONLY);

    if (fd < 0)
        return errno == ENOENT ||
               err_sys(err, e->arena, errno, "cannot open the log of the spool");
    bool ok = wal_scan(fd, 0, collect, l, err);
    (void)fd_close(fd);
    return ok;
}

static struct spool_logged as_found(const struct logged_message *m)
{
    struct spool_logged out = { .header = m->record.head,
                                .journal = buf_view(&m->journal),
                                .body_size = m->record.body.len,
                                .body = m->record.body };

    memcpy(out.id, m->record.id, sizeof(out.id));
    return out;
}

bool spool_scan_log(struct exim *e, struct arena *a, struct spool_logged **out,
                    size_t *count, struct err *err)
{
    struct logged l = { .arena = a, .by_id = hash_new(a, false) };
    struct hash_iter it = { 0 };
    const char *id;
    void *value;

    *count = 0;
    if (!read_log(e, &l, err))
        return false;
    *out = arena_new_array(a, struct spool_logged, hash_count(l.by_id) + 1);
    while (hash_next(l.by_id, &it, &id, &value))
        if (!((struct logged_message *)value)->gone)
            (*out)[(*count)++] = as_found(value);
    return true;
}

bool spool_find_logged(struct exim *e, struct arena *a, const char *id,
                       struct spool_logged *out, struct err *err)
{
    struct logged l = {
        .arena = a, .by_id = hash_new(a, false), .only = id, .bodies = true
    };

    if (!read_log(e, &l, err))
        return false;
    const struct logged_message *m = hash_find(l.by_id, id);
    if (m == NULL || m->gone)
        return false;
    *out = as_found(m);
    return true;
}

void spool_peek_logged(const struct spool_logged *l, struct arena *a, struct message *out)
{
    struct err err = { 0 };

    *out = (struct message){ .arena = a,
                             .sender = "",
                             .body = { .fd = -1, .size = (off_t)l->body_size } };
    header_list_init(&out->headers);
    memcpy(out->id, l->id, sizeof(out->id));
    if (spool_header_parse(out, l->header, &err))
        spool_journal_parse(out, l->journal);
    out->message_size += out->body.size;
}
