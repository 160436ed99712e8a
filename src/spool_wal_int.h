/* spool_wal_int.h - the log's records on the disk, for its writer and its reader, and the memory of the writers. */
#ifndef EXIM_SPOOL_WAL_INT_H
#define EXIM_SPOOL_WAL_INT_H

#include <pthread.h>
#include <stdatomic.h>
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

/* ---- what the processes of the daemon share (spool_wal_make.c, spool_wal.c) ---- */
enum {
    WAL_UNITS = WAL_SEGMENT / WAL_ALIGN * WAL_SEGMENTS,
    WAL_OWED = 256, /* with more that cannot be written, the disk has other troubles */
};

/* A WAL_GONE that could not be written. */
struct wal_debt {
    uint64_t of;
    char id[MSGID_LEN + 1];
};

/* Shared by all processes of the daemon. */
struct wal_shared {
    pthread_mutex_t append, sync; /* survive the death of their holders */
    _Atomic uint64_t end;         /* lsn of the next record */
    _Atomic uint64_t synced;
    _Atomic uint64_t lost_from,
        lost_to;    /* a sync failed: what is in between is not known to be on the disk */
    _Atomic uint32_t turn;    /* a futex: how many syncs have ended */
    _Atomic uint32_t waiting; /* for one to end; more than there are when some were killed */
    uint64_t first; /* the oldest segment that may hold a live message */
    off_t filled;   /* up to here the file has blocks */
    struct wal_debt owed[WAL_OWED];
    _Atomic uint32_t owed_count;
    _Atomic uint32_t live[WAL_SEGMENTS];
    _Atomic uint8_t state[WAL_UNITS]; /* of the message whose record begins there */
};

struct wal {
    int fd;
    bool no_sync;
    struct wal_shared *s;
};

/* What is appended from now on is in a new segment. The end of what was appended before. */
uint64_t wal_give_up_segment(struct wal_shared *s);

/* ---- records ---- */
void wal_header_fill(struct wal_header *h, const struct wal_record *r, uint64_t lsn);
/* True: h is the header of a record that begins at lsn. */
bool wal_header_ok(const struct wal_header *h, uint64_t lsn);
bool wal_data_ok(const struct wal_header *h, const char *data);
size_t wal_size(const struct wal_header *h); /* of the whole record, aligned */
void wal_record_from(struct wal_record *r, const struct wal_header *h, const char *data);

#endif
