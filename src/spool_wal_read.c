/* The log's records, and reading them from the file alone. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/fd.h"
#include "spool_wal_int.h"

static const uint32_t MAGIC = 0x4c575845; /* "EXWL" */

static uint32_t header_sum(const struct wal_header *h)
{
    struct wal_header copy = *h;

    copy.header_crc = 0;
    return crc32c(0, &copy, sizeof(copy));
}

void wal_header_fill(struct wal_header *h, const struct wal_record *r, uint64_t lsn)
{
    if (lsn == 0) {
        *h = (struct wal_header){ .magic = MAGIC,
                                  .kind = (uint32_t)r->kind,
                                  .head_len = (uint32_t)r->head.len,
                                  .body_len = (uint32_t)r->body.len };
        memcpy(h->id, r->id, sizeof(h->id));
        h->data_crc = crc32c(crc32c(0, r->head.p, r->head.len), r->body.p, r->body.len);
        return;
    }
    h->lsn = lsn;
    h->of = r->kind == WAL_MESSAGE ? lsn : r->of;
    h->header_crc = header_sum(h);
}

size_t wal_size(const struct wal_header *h)
{
    size_t size = sizeof(*h) + h->head_len + h->body_len;

    return (size + WAL_ALIGN - 1) / WAL_ALIGN * WAL_ALIGN;
}

bool wal_header_ok(const struct wal_header *h, uint64_t lsn)
{
    uint64_t room = WAL_SEGMENT - lsn % WAL_SEGMENT;
    char id[MSGID_LEN + 1] = "";

    memcpy(id, h->id, MSGID_LEN);
    return h->magic == MAGIC && h->lsn == lsn && h->header_crc == header_sum(h) &&
           h->kind >= WAL_MESSAGE && h->kind < WAL_KINDS && h->head_len <= WAL_DATA_MAX &&
           h->body_len <= WAL_DATA_MAX && wal_size(h) <= room && msgid_valid(id);
}

bool wal_data_ok(const struct wal_header *h, const char *data)
{
    return crc32c(0, data, (size_t)h->head_len + h->body_len) == h->data_crc;
}

void wal_record_from(struct wal_record *r, const struct wal_header *h, const char *data)
{
    *r = (struct wal_record){ .kind = (enum wal_kind)h->kind,
                              .of = h->of,
                              .head = { data, h->head_len },
                              .body = { data + h->head_len, h->body_len } };
    memcpy(r->id, h->id, MSGID_LEN);
}

/* ---- reading ---- */

struct segment {
    uint64_t lsn; /* of its first record */
    off_t at;
};

static int by_lsn(const void *a, const void *b)
{
    uint64_t x = ((const struct segment *)a)->lsn, y = ((const struct segment *)b)->lsn;

    return (x > y) - (x < y);
}

/* The segments that begin with a record, oldest first. False: errno. */
static bool find_segments(int fd, uint64_t from, struct segment list[WAL_SEGMENTS],
                          size_t *count)
{
    uint64_t first = from / WAL_SEGMENT * WAL_SEGMENT;
    struct wal_header h;

    *count = 0;
    for (int i = 0; i < WAL_SEGMENTS; i++) {
        off_t at = (off_t)i * WAL_SEGMENT;
        ssize_t got = fd_pread_full(fd, &h, sizeof(h), at);

        if (got < 0)
            return false;
        if (got == (ssize_t)sizeof(h) && wal_position(h.lsn) == at &&
            wal_header_ok(&h, h.lsn) && h.lsn >= first)
            list[(*count)++] = (struct segment){ h.lsn, at };
    }
    qsort(list, *count, sizeof(*list), by_lsn);
    return true;
}

/* False: visit wants no more. */
static bool walk_segment(const char *p, size_t size, uint64_t lsn, wal_visit *visit,
                         void *arg)
{
    struct wal_header h;
    struct wal_record r;

    for (size_t at = 0; at + sizeof(h) <= size; at += wal_size(&h)) {
        memcpy(&h, p + at, sizeof(h));
        if (!wal_header_ok(&h, lsn + at) || wal_size(&h) > size - at + WAL_ALIGN)
            break;
        if (sizeof(h) + h.head_len + h.body_len > size - at ||
            !wal_data_ok(&h, p + at + sizeof(h)))
            break;
        wal_record_from(&r, &h, p + at + sizeof(h));
        if (!visit(arg, &r))
            return false;
    }
    return true;
}

bool wal_scan(int fd, uint64_t from, wal_visit *visit, void *arg, struct err *err)
{
    struct arena *a = arena_new("wal scan");
    struct segment list[WAL_SEGMENTS];
    size_t n;
    bool ok = find_segments(fd, from, list, &n), more = true;
    char *p = !ok || n == 0 ? NULL : arena_alloc(a, WAL_SEGMENT, 1);

    for (size_t i = 0; i < n && ok && more; i++) {
        ssize_t got = fd_pread_full(fd, p, WAL_SEGMENT, list[i].at);

        ok = got >= 0;
        if (ok)
            more = walk_segment(p, (size_t)got, list[i].lsn, visit, arg);
    }
    if (!ok)
        *err =
            (struct err){ .msg = "cannot read the log of the spool", .sys_errno = errno };
    arena_destroy(&a);
    return ok;
}
