#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "config/config.h"
#include "exim.h"
#include "message.h"
#include "spool.h"
#include "spool_int.h"
#include "spool_wal.h"

enum {
    KEPT_MAX = 64 * 1024, /* of the body, before there is a file */
    HEADER_FILE_MAX = 256 << 20,
};

struct spool_writer {
    struct arena *arena;
    struct exim *exim;
    struct message *message;
    const char *path;
    struct buf kept; /* not in the file yet */
    off_t written;
    int fd;      /* -1: no file yet */
    bool shared; /* the message owns fd */
    bool to_log; /* the message owns kept, which becomes a record of the log */
    int failed;  /* errno of the first failure */
};

struct spool_writer *spool_begin(struct exim *e, struct message *m, struct err *err)
{
    if (m->queue_name != NULL && *m->queue_name != '\0') {
        err_set(err, m->arena, "named queues are not supported: %s", m->queue_name);
        return NULL;
    }
    struct arena *a = arena_new("spool writer");
    struct spool_writer *w = arena_new_obj(a, struct spool_writer);

    msgid_new(&e->ids, (int)e->config->localhost_number, m->id);
    *w = (struct spool_writer){ .arena = a, .exim = e, .message = m, .fd = -1 };
    w->path = spool_path(a, e, spool_input, m->id, "-D");
    w->to_log = e->wal != NULL && !e->config->main.preserve_message_logs;
    w->kept = buf_init(w->to_log ? m->arena : a, KEPT_MAX + SPOOL_ID_LINE + 1);
    buf_printf(&w->kept, "%s-D\n", m->id);
    return w;
}

static bool latch(struct spool_writer *w, struct err *err, const char *what)
{
    if (w->failed == 0)
        w->failed = errno != 0 ? errno : EIO;
    return err_sys(err, w->message->arena, w->failed, "%s %s", what, w->path);
}

static bool ensure_file(struct spool_writer *w, struct err *err)
{
    if (w->fd >= 0)
        return true;
    w->fd = spool_create(w->arena, w->exim, w->path, O_RDWR | O_EXCL);
    if (w->fd < 0)
        return latch(w, err, "cannot create spool file");
    return fd_lock(w->fd, true, false) || latch(w, err, "cannot lock spool file");
}

static bool put_out(struct spool_writer *w, const void *p, size_t n, struct err *err)
{
    return fd_write_all(w->fd, p, n) || latch(w, err, "cannot write spool file");
}

static bool put_kept(struct spool_writer *w, struct err *err)
{
    if (!ensure_file(w, err) || !put_out(w, w->kept.p, w->kept.len, err))
        return false;
    buf_clear(&w->kept);
    return true;
}

bool spool_write(struct spool_writer *w, const void *p, size_t n, struct err *err)
{
    if (w->failed != 0) {
        errno = w->failed;
        return latch(w, err, "cannot write spool file");
    }
    if (w->kept.len + n > KEPT_MAX && !put_kept(w, err))
        return false;
    if (n > KEPT_MAX) {
        if (!put_out(w, p, n, err))
            return false;
    } else {
        buf_add(&w->kept, p, n);
    }
    w->written += (off_t)n;
    return true;
}

off_t spool_written(const struct spool_writer *w)
{
    return w->written;
}

bool spool_flush(struct spool_writer *w, struct message *m, struct err *err)
{
    if (w->failed != 0) {
        errno = w->failed;
        return latch(w, err, "cannot write spool file");
    }
    if (w->fd < 0 && w->to_log) {
        m->body = (struct body){ .fd = -1,
                                 .size = w->written,
                                 .text = buf_cstr(&w->kept) + SPOOL_ID_LINE };
        return true;
    }
    if (!put_kept(w, err))
        return false;
    if (!w->shared)
        arena_owns_fd(m->arena, w->fd);
    w->shared = true;
    m->body = (struct body){ .fd = w->fd, .start = SPOOL_ID_LINE, .size = w->written };
    return true;
}

/* Nothing of the message stays; the envelope goes first, for it makes a message. */
static void undo(struct spool_writer *w)
{
    if (w->fd >= 0) {
        (void)unlink(spool_path(w->arena, w->exim, spool_input, w->message->id, "-H"));
        (void)unlink(w->path);
        if (w->shared)
            w->message->body.fd = -1;
        else
            (void)fd_close(w->fd);
    }
    struct arena *a = w->arena;
    arena_destroy(&a);
}

/* A message that will wait gets its files now: it would come to rest in a moment. */
static bool goes_to_log(const struct spool_writer *w, const struct message *m)
{
    return w->to_log && w->fd < 0 && m->frozen_at == 0 && !m->queue_only &&
           m->report_of == NULL && !w->exim->config->main.queue_only;
}

enum logged { LOGGED, NOT_LOGGED /* but there is room elsewhere */, LOG_FAILED };

static enum logged commit_to_log(struct spool_writer *w, struct message *m,
                                 struct str header, struct err *err)
{
    struct wal *wal = w->exim->wal;
    struct wal_record r = { .kind = WAL_MESSAGE,
                            .head = header,
                            .body = { w->kept.p + SPOOL_ID_LINE,
                                      w->kept.len - SPOOL_ID_LINE } };

    memcpy(r.id, m->id, sizeof(r.id));
    uint64_t lsn = wal_append(wal, &r);
    if (lsn == 0)
        return NOT_LOGGED;
    if (!wal_sync(wal, lsn)) {
        int why = errno;

        wal_gone(wal, lsn, m->id);
        errno = why;
        (void)latch(w, err, "cannot sync the log of the spool for");
        return LOG_FAILED;
    }
    m->place = lsn;
    return LOGGED;
}

static bool commit_envelope(struct spool_writer *w, struct message *m, struct str text,
                            struct err *err)
{
    const char *path = spool_path(w->arena, w->exim, spool_input, m->id, "-H");
    const char *temp = arena_printf(w->arena, "%.*shdr.%s",
                                    (int)(strrchr(path, '/') - path + 1), path, m->id);

    return spool_replace(w->arena, w->exim, path, temp, text) ||
           latch(w, err, "cannot write envelope of");
}

static bool commit_files(struct spool_writer *w, struct message *m, struct str header,
                         struct err *err)
{
    w->to_log = false; /* the body is read from its file from now on */
    return spool_flush(w, m, err) &&
           (spool_sync(w->exim, w->fd) || latch(w, err, "cannot sync spool file")) &&
           commit_envelope(w, m, header, err);
}

static bool commit(struct spool_writer *w, struct message *m, struct err *err)
{
    struct buf header = buf_init(w->arena, HEADER_FILE_MAX);

    if (!spool_flush(w, m, err))
        return false;
    spool_header_print(&header, m);
    if (header.full) {
        errno = EFBIG;
        return latch(w, err, "cannot write envelope of");
    }
    enum logged done =
        goes_to_log(w, m) ? commit_to_log(w, m, buf_view(&header), err) : NOT_LOGGED;
    return done == LOGGED ||
           (done == NOT_LOGGED && commit_files(w, m, buf_view(&header), err));
}

bool spool_commit(struct spool_writer *w, struct message *m, struct err *err)
{
    if (!commit(w, m, err)) {
        undo(w);
        return false;
    }
    struct arena *a = w->arena;
    arena_destroy(&a);
    return true;
}

void spool_abandon(struct spool_writer *w)
{
    undo(w);
}

void spool_unlock(struct message *m)
{ /* a message in the log is locked by those who load it only */
    struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

    if (m->body.fd >= 0)
        (void)fcntl(m->body.fd, F_SETLK, &lock);
}
