#include "spool_wal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "spool_wal_int.h"

enum {
    RESERVED = 2, /* segments that only WAL_JOURNAL and WAL_GONE may enter */
    FILL = 256 * 1024,
};

static uint64_t segment_of(uint64_t lsn)
{
    return lsn / WAL_SEGMENT;
}

static size_t unit_of(uint64_t lsn)
{
    return (size_t)wal_position(lsn) / WAL_ALIGN;
}

int wal_fd(const struct wal *w)
{
    return w == NULL ? -1 : w->fd;
}

/* ---- locks ---- */

static void recount_segment(struct wal_shared *s, uint64_t segment)
{
    uint64_t begin = segment * WAL_SEGMENT;
    uint32_t live = 0;

    for (uint64_t lsn = begin; lsn < begin + WAL_SEGMENT; lsn += WAL_ALIGN)
        if (lsn >= s->end)
            s->state[unit_of(lsn)] = 0;
        else
            live += s->state[unit_of(lsn)] != 0;
    s->live[segment % WAL_SEGMENTS] = live;
}

/* Whoever died in the middle of an append left at most bytes after the end, and counts
 * that are not what the states say. */
static void recount(struct wal_shared *s)
{
    for (uint64_t segment = s->first; segment <= segment_of(s->end - 1); segment++)
        recount_segment(s, segment);
}

static void enter_append(struct wal_shared *s)
{
    if (pthread_mutex_lock(&s->append) != EOWNERDEAD)
        return;
    recount(s);
    (void)pthread_mutex_consistent(&s->append);
}

static void leave_append(struct wal_shared *s)
{
    (void)pthread_mutex_unlock(&s->append);
}

/* ---- appending ---- */

static bool next_segment(struct wal_shared *s, uint64_t segment, enum wal_kind kind)
{
    uint64_t room = kind == WAL_MESSAGE ? WAL_SEGMENTS - RESERVED : WAL_SEGMENTS;

    while (s->first < segment && s->live[s->first % WAL_SEGMENTS] == 0)
        s->first++;
    if (segment - s->first >= room)
        return false;
    size_t begin = unit_of(segment * WAL_SEGMENT);
    for (size_t i = 0; i < WAL_SEGMENT / WAL_ALIGN; i++)
        s->state[begin + i] = 0;
    s->live[segment % WAL_SEGMENTS] = 0;
    s->end = segment * WAL_SEGMENT;
    return true;
}

static bool make_room(struct wal_shared *s, size_t size, enum wal_kind kind)
{
    uint64_t segment = segment_of(s->end);
    bool at_start = s->end == segment * WAL_SEGMENT;

    if (at_start || s->end + size > (segment + 1) * WAL_SEGMENT) {
        if (next_segment(s, at_start ? segment : segment + 1, kind))
            return true;
        errno = ENOSPC;
        return false;
    }
    return true;
}

static bool put(const struct wal *w, const struct wal_header *h, const struct wal_record *r, uint64_t lsn)
{
    struct iovec parts[] = { { unconst(h), sizeof(*h) },
                             { unconst(r->head.p), r->head.len },
                             { unconst(r->body.p), r->body.len } };

    return fd_pwritev_all(w->fd, parts, ARRAY_LEN(parts), wal_position(lsn));
}

/* A sync of a record that makes the file longer writes the file's metadata, too: two or
 * three writes of blocks instead of one. So it grows by many records at a time, until the
 * ring is complete. */
static void fill_ahead(const struct wal *w, off_t end)
{
    static const char zeros[64 * 1024];
    const off_t ring = (off_t)WAL_SEGMENT * WAL_SEGMENTS;
    off_t to = (end + FILL) / FILL * FILL;

    if (end <= w->s->filled)
        return;
    if (to > ring)
        to = ring;
    for (off_t at = end; at < to; at += (off_t)sizeof(zeros)) {
        size_t rest = (size_t)(to - at), n = rest < sizeof(zeros) ? rest : sizeof(zeros);

        if (!fd_pwrite_all(w->fd, zeros, n, at))
            break; /* what follows gets its blocks with its records, or does not */
    }
    w->s->filled = to;
}

static uint64_t append_locked(struct wal *w, const struct wal_record *r,
                              struct wal_header *h)
{
    struct wal_shared *s = w->s;
    size_t size = wal_size(h);

    if (!make_room(s, size, r->kind))
        return 0;
    uint64_t lsn = s->end;
    wal_header_fill(h, r, lsn);
    if (!put(w, h, r, lsn))
        return 0;
    fill_ahead(w, wal_position(lsn) + (off_t)size);
    if (r->kind == WAL_MESSAGE) {
        s->state[unit_of(lsn)] = WAL_LIVE;
        s->live[segment_of(lsn) % WAL_SEGMENTS]++;
    }
    s->end = lsn + size;
    return lsn;
}

static bool append_gone(struct wal *w, uint64_t lsn, const char *id)
{
    struct wal_record r = { .kind = WAL_GONE, .of = lsn };
    struct wal_header h;

    memcpy(r.id, id, sizeof(r.id));
    wal_header_fill(&h, &r, 0);
    return append_locked(w, &r, &h) != 0;
}

static void owe(struct wal_shared *s, uint64_t lsn, const char *id)
{
    uint32_t n = s->owed_count;

    if (n == WAL_OWED)
        return;
    s->owed[n].of = lsn;
    memcpy(s->owed[n].id, id, sizeof(s->owed[n].id));
    s->owed_count = n + 1;
}

static void pay(struct wal *w)
{
    struct wal_shared *s = w->s;

    for (uint32_t n; (n = s->owed_count) > 0; s->owed_count = n - 1)
        if (!append_gone(w, s->owed[n - 1].of, s->owed[n - 1].id))
            return;
}

uint64_t wal_append(struct wal *w, const struct wal_record *r)
{
    struct wal_header h;

    if (r->head.len + r->body.len > WAL_DATA_MAX) {
        errno = EFBIG;
        return 0;
    }
    wal_header_fill(&h, r, 0); /* the sum over the data, before others have to wait */
    enter_append(w->s);
    uint64_t lsn = append_locked(w, r, &h);
    int why = errno;
    if (lsn != 0)
        pay(w);
    leave_append(w->s);
    errno = why;
    return lsn;
}

void wal_gone(struct wal *w, uint64_t lsn, const char *id)
{
    struct wal_shared *s = w->s;

    enter_append(s);
    if (append_gone(w, lsn, id))
        pay(w);
    else
        owe(s, lsn, id);
    if (atomic_exchange(&s->state[unit_of(lsn)], 0) != 0)
        s->live[segment_of(lsn) % WAL_SEGMENTS]--;
    leave_append(s);
}

/* ---- syncing: spool_wal_sync.c ---- */

uint64_t wal_give_up_segment(struct wal_shared *s)
{
    enter_append(s);
    uint64_t end = s->end, next = segment_of(end - 1) + 1;
    if (!next_segment(s, next, WAL_GONE))
        s->end = next * WAL_SEGMENT;
    leave_append(s);
    return end;
}

bool wal_sync_all(struct wal *w)
{
    if (w->s->owed_count > 0) {
        enter_append(w->s);
        pay(w);
        leave_append(w->s);
    }
    uint64_t end = w->s->end;

    return w->s->synced >= end || wal_sync(w, end - 1);
}

/* ---- messages ---- */

/* Is the record of that lsn still where it was? */
static bool is_current(const struct wal *w, uint64_t lsn)
{
    uint64_t end = w->s->end;

    return lsn < end && segment_of(lsn) + WAL_SEGMENTS > segment_of(end - 1);
}

unsigned wal_state(const struct wal *w, uint64_t lsn)
{
    return is_current(w, lsn) ? w->s->state[unit_of(lsn)] : 0;
}

void wal_mark(struct wal *w, uint64_t lsn, enum wal_state state)
{
    atomic_fetch_or(&w->s->state[unit_of(lsn)], (uint8_t)state);
}

static bool set_lock(const struct wal *w, uint64_t lsn, short type)
{
    struct flock lock = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = wal_position(lsn), .l_len = 1
    };

    return fcntl(w->fd, F_SETLK, &lock) == 0;
}

bool wal_lock(struct wal *w, uint64_t lsn)
{
    return set_lock(w, lsn, F_WRLCK);
}

void wal_unlock(struct wal *w, uint64_t lsn)
{
    (void)set_lock(w, lsn, F_UNLCK);
}

/* errno is 0 when the file says something else. */
static bool read_exactly(int fd, void *p, size_t n, off_t at)
{
    ssize_t got = fd_pread_full(fd, p, n, at);

    if (got >= 0)
        errno = 0;
    return got == (ssize_t)n;
}

bool wal_read(struct wal *w, struct arena *a, uint64_t lsn, struct wal_record *out)
{
    struct wal_header h;
    off_t at = wal_position(lsn);

    errno = 0;
    if (!is_current(w, lsn) || !read_exactly(w->fd, &h, sizeof(h), at) || !wal_header_ok(&h, lsn))
        return false;
    size_t size = (size_t)h.head_len + h.body_len;
    char *data = arena_alloc(a, size + 1, 1);
    if (!read_exactly(w->fd, data, size, at + (off_t)sizeof(h)) || !wal_data_ok(&h, data))
        return false;
    data[size] = '\0';
    wal_record_from(out, &h, data);
    return true;
}

uint64_t wal_end(const struct wal *w)
{
    return w->s->end;
}

uint64_t wal_synced(const struct wal *w)
{
    return w->s->synced;
}

bool wal_next_live(struct wal *w, uint64_t *lsn, uint64_t end, char id[MSGID_LEN + 1])
{
    struct wal_shared *s = w->s;
    uint64_t first = s->first * WAL_SEGMENT, from = *lsn > first ? *lsn : first;
    struct wal_header h;

    for (uint64_t at = (from + WAL_ALIGN - 1) / WAL_ALIGN * WAL_ALIGN; at < end;
         at += WAL_ALIGN) {
        if (s->live[segment_of(at) % WAL_SEGMENTS] == 0) {
            at = (segment_of(at) + 1) * WAL_SEGMENT - WAL_ALIGN;
            continue;
        }
        if ((s->state[unit_of(at)] & WAL_LIVE) == 0 ||
            fd_pread_full(w->fd, &h, sizeof(h), wal_position(at)) != (ssize_t)sizeof(h) ||
            !wal_header_ok(&h, at))
            continue;
        memcpy(id, h.id, MSGID_LEN);
        id[MSGID_LEN] = '\0';
        *lsn = at;
        return true;
    }
    return false;
}
