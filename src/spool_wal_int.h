/* spool_wal_int.h - the log's records on the disk, for its writer and its reader. */
#ifndef EXIM_SPOOL_WAL_INT_H
#define EXIM_SPOOL_WAL_INT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spool_wal.h"

enum { WAL_ALIGN = 64 };
_Static_assert(WAL_SEGMENT % WAL_ALIGN == 0, "records are aligned in a segment");

/* In the byte order of the machine: the log never leaves it. */
struct wal_header {
    uint32_t magic;
    uint32_t header_crc; /* of this struct, with 0 here */
    uint64_t lsn, of;
    uint32_t head_len, body_len;
    uint32_t data_crc; /* of head, then body */
    uint32_t kind;
    char id[MSGID_LEN];
    uint64_t reserved;
};
_Static_assert(sizeof(struct wal_header) == WAL_ALIGN, "a header is one unit");

static inline off_t wal_position(uint64_t lsn)
{
    return (off_t)(lsn % ((uint64_t)WAL_SEGMENT * WAL_SEGMENTS));
}

void wal_header_fill(struct wal_header *h, const struct wal_record *r, uint64_t lsn);
/* True: h is the header of a record that begins at lsn. */
bool wal_header_ok(const struct wal_header *h, uint64_t lsn);
bool wal_data_ok(const struct wal_header *h, const char *data);
size_t wal_size(const struct wal_header *h); /* of the whole record, aligned */
void wal_record_from(struct wal_record *r, const struct wal_header *h, const char *data);

#endif
