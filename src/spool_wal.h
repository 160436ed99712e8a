/* spool_wal.h - the write-ahead log of the running daemon: one file that all its
 * processes append to.
 *
 * A message that the daemon accepts is made durable by one record here instead of files
 * of its own; the syncs of concurrent sessions are shared. It gets -H and -D files only
 * when it comes to rest in the queue (spool_rest). The file is a ring of segments:
 * `spool_directory`/wal; a record has the lsn of its first byte, counted without
 * wrapping, which says where it is and whether it is still there. A segment is used again
 * when every message of it and of those before is gone. What a process needs to know of
 * the others (ends, states) is in memory they share, made by the daemon's first process;
 * the file alone is enough to recover after a crash.
 *
 * Who else uses the spool only reads this: wal_scan. doc/dev/spool.md has the reasons. */
#ifndef EXIM_SPOOL_WAL_H
#define EXIM_SPOOL_WAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "base/tod.h"

struct arena;
struct exim;
struct wal;

enum {
    WAL_SEGMENT = 4 << 20,
    WAL_SEGMENTS = 16,
    WAL_DATA_MAX = 256 * 1024 /* of one record */
};
enum wal_kind {
    WAL_MESSAGE = 1, /* head: text of -H; body: the data without the id line of -D */
    WAL_JOURNAL,     /* head: lines as in -J; of a message */
    WAL_GONE,        /* the message is not here any more: delivered, or in files by now */
    WAL_KINDS
};
struct wal_record {
    enum wal_kind kind;
    char id[MSGID_LEN + 1];
    uint64_t of; /* the message's lsn; its own for WAL_MESSAGE */
    struct str head, body;
};

/* ---- the daemon's processes ---- */
/* Makes the file, which must be empty or missing (spool_recover comes first), and holds a
 * lock on it as long as any process that was forked from this one has it open. NULL with
 * err. */
struct wal *wal_create(struct exim *e, struct err *err);
int wal_fd(const struct wal *w); /* to be kept open by a role; -1 for NULL */
/* Its lsn; 0: no room, or a failed write (errno). Durable after wal_sync. */
uint64_t wal_append(struct wal *w, const struct wal_record *r) MUST_USE;
/* The record is on the disk. False: errno; nobody knows whether it is, and trying again
 * does not help. */
bool wal_sync(struct wal *w, uint64_t lsn) MUST_USE;
bool wal_sync_all(struct wal *w) MUST_USE; /* whatever was appended until now */
/* The message is not here any more. Not synced: after a power failure it may come back. What cannot be written is tried
 * again with the next record and by wal_sync_all; until then it is there for who reads the file. */
void wal_gone(struct wal *w, uint64_t lsn, const char *id);

enum wal_state {
    WAL_LIVE = 1,
    WAL_JOURNALED = 2,
    WAL_RESTING = 4 /* files of it are being written */
};
unsigned wal_state(const struct wal *w, uint64_t lsn); /* 0: gone */
void wal_mark(struct wal *w, uint64_t lsn, enum wal_state state);
/* One process at a time works on a message: false if another does. Ends with the process.
 */
bool wal_lock(struct wal *w, uint64_t lsn) MUST_USE;
void wal_unlock(struct wal *w, uint64_t lsn);
/* Whole record into a. False: it is not there any more, or is damaged (errno 0), or cannot be read. */
bool wal_read(struct wal *w, struct arena *a, uint64_t lsn,
              struct wal_record *out) MUST_USE;
uint64_t
wal_end(const struct wal *w); /* the lsn that the next record will have, or more */
uint64_t wal_synced(const struct wal *w); /* the same of what is on the disk */
/* The next live message at or after *lsn and before end (start with 0, go on with *lsn +
 * 1): its id; false: no more. */
bool wal_next_live(struct wal *w, uint64_t *lsn, uint64_t end,
                   char id[MSGID_LEN + 1]) MUST_USE;
/* Removes the file if no message is left in it. */
void wal_remove(struct exim *e, struct wal *w);

/* ---- from the file alone ---- */
/* A descriptor for reading; -1 with errno, ENOENT: there is none. */
int wal_open(const struct exim *e, struct arena *a, int flags);
/* Calls visit for every whole record from the segment of lsn `from` on, oldest first,
 * until it returns false. Strings are valid during the call. */
typedef bool wal_visit(void *arg, const struct wal_record *r);
bool wal_scan(int fd, uint64_t from, wal_visit *visit, void *arg,
              struct err *err) MUST_USE;

#endif
