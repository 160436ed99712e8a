#include "lookups/lookups.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/fd.h"

/* The format (cr.yp.to/cdb/cdb.txt): 256 pointers to hash tables of (hash, position),
 * each record two lengths, key, data; all numbers 32 bits, little-endian. */
enum { CDB_TABLES = 256, CDB_HEADER = CDB_TABLES * 8, CDB_DATA_MAX = 16 * 1024 * 1024 };

struct cdb {
    struct arena *arena;
    int fd;
    uint32_t size;
    const unsigned char *header;
};

static void *open_cdb(struct lookup_call *call)
{
    int fd = fd_open(call->filename, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
    struct stat st;

    if (fd < 0) {
        err_sys(&call->err, call->arena, errno, "failed to open %s for cdb lookup",
                call->filename);
        return NULL;
    }
    struct arena *a = arena_new("cdb");
    struct cdb *c = arena_new_obj(a, struct cdb);
    unsigned char *header = arena_alloc(a, CDB_HEADER, 1);
    arena_owns_fd(a, fd);
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < CDB_HEADER ||
        st.st_size > UINT32_MAX ||
        fd_pread_full(fd, header, CDB_HEADER, 0) != CDB_HEADER) {
        err_set(&call->err, call->arena, "%s is not a cdb file", call->filename);
        arena_destroy(&a);
        return NULL;
    }
    *c = (struct cdb){ a, fd, (uint32_t)st.st_size, header };
    return c;
}

static void close_cdb(void *handle)
{
    struct cdb *c = handle;
    struct arena *a = c->arena;

    arena_destroy(&a);
}

static uint32_t number(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static uint32_t hash_of(const char *key, size_t len)
{
    uint32_t h = 5381;

    for (size_t i = 0; i < len; i++)
        h = (h * 33) ^ (unsigned char)key[i];
    return h;
}

static bool pair_at(const struct cdb *c, uint32_t at, uint32_t out[2])
{
    unsigned char b[8];

    if (at > c->size - 8 || fd_pread_full(c->fd, b, sizeof(b), at) != sizeof(b))
        return false;
    out[0] = number(b);
    out[1] = number(b + 4);
    return true;
}

static enum rc corrupt(struct lookup_call *call)
{
    err_set(&call->err, call->arena, "cdb: corrupt cdb file %s", call->filename);
    return RC_DEFER;
}

/* The record at `at`: RC_OK with its data if it has that key. */
static enum rc read_record(struct lookup_call *call, const struct cdb *c, uint32_t at,
                           size_t len)
{
    uint32_t lengths[2];

    if (!pair_at(c, at, lengths))
        return corrupt(call);
    if (lengths[0] != len)
        return RC_FAIL;
    uint64_t end = (uint64_t)at + 8 + lengths[0] + lengths[1];
    if (end > c->size || lengths[1] > CDB_DATA_MAX)
        return corrupt(call);
    char *key = arena_alloc(call->arena, len + 1, 1);
    if (fd_pread_full(c->fd, key, len, (off_t)at + 8) != (ssize_t)len)
        return corrupt(call);
    if (memcmp(key, call->key, len) != 0)
        return RC_FAIL;
    char *data = arena_alloc(call->arena, (size_t)lengths[1] + 1, 1);
    if (fd_pread_full(c->fd, data, lengths[1], (off_t)at + 8 + (off_t)len) !=
        (ssize_t)lengths[1])
        return corrupt(call);
    call->result = data;
    return RC_OK;
}

static enum rc find(struct lookup_call *call)
{
    const struct cdb *c = call->handle;
    size_t len = strlen(call->key);
    uint32_t h = hash_of(call->key, len);
    const unsigned char *pointer = c->header + (size_t)(h % CDB_TABLES) * 8;
    uint32_t table = number(pointer), slots = number(pointer + 4);

    if (slots == 0)
        return RC_FAIL;
    if ((uint64_t)table + (uint64_t)slots * 8 > c->size)
        return corrupt(call);
    uint32_t slot = (h >> 8) % slots;
    for (uint32_t i = 0; i < slots; i++, slot = slot + 1 == slots ? 0 : slot + 1) {
        uint32_t entry[2];

        if (!pair_at(c, table + slot * 8, entry))
            return corrupt(call);
        if (entry[1] == 0)
            return RC_FAIL;
        if (entry[0] != h)
            continue;
        enum rc rc = read_record(call, c, entry[1], len);
        if (rc != RC_FAIL)
            return rc;
    }
    return RC_FAIL;
}

const struct lookup_driver lookup_cdb = {
    .name = "cdb",
    .flags = LOOKUP_ABSFILE,
    .open = open_cdb,
    .find = find,
    .close = close_cdb,
};
