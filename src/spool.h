/* spool.h - messages on disk: one small interface, Exim's -H, -D, -J files behind it.
 *
 * A message answered 250 is one for which spool_commit returned true: data and envelope are durable. What a
 * stopped server leaves is a plain Exim spool (manual chapter 56, format of 4.89). All paths are below
 * spool_directory; split_spool_directory is honoured and both forms are always found. */
#ifndef EXIM_SPOOL_H
#define EXIM_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct arena;
struct exim;
struct message;

/* ---- receiving ---- */
struct spool_writer; /* the data of a message that is being received */
/* Makes m->id and starts its data. NULL with err (ENOSPC and I/O errors in sys_errno). */
struct spool_writer *spool_begin(struct exim *e, struct message *m, struct err *err);
/* Body bytes with "\n" line ends, any sizes. False: latched error, commit will fail too. */
bool spool_write(struct spool_writer *w, const void *p, size_t n, struct err *err);
off_t spool_written(const struct spool_writer *w);
/* Makes the body readable as m->body (for ACLs and $message_body) before the commit. */
bool spool_flush(struct spool_writer *w, struct message *m, struct err *err);
/* Durable on true; the writer is used up either way; on false nothing is left. */
bool spool_commit(struct spool_writer *w, struct message *m, struct err *err) MUST_USE;
void spool_abandon(struct spool_writer *w);
/* Gives the message's lock up before it is handed to another process; the body stays readable. */
void spool_unlock(struct message *m);
/* After a delivery that left it in the log (a failure to write its files): others may try. */
void spool_release(struct exim *e, struct message *m);

/* ---- delivering ---- */
enum spool_rc { SPOOL_OK, SPOOL_GONE, SPOOL_LOCKED, SPOOL_BAD, SPOOL_ERROR };
/* Locks and reads a message; *out owns the lock and the body until message_free. place: in the log of
 * this daemon, where it was committed; 0: it has files. SPOOL_BAD: damaged or foreign: err says what; it is
 * left in place. Folds the journal into nonrecipients. */
enum spool_rc spool_load(struct exim *e, const char *id, uint64_t place, struct message **out, struct err *err);
/* Header only, without lock, for -bp and tools. */
enum spool_rc spool_peek(struct exim *e, const char *id, struct arena *a, struct message *out, struct err *err);
/* The same for one that spool_scan found: in its place, and without looking for what was not there. */
struct spool_entry;
enum spool_rc spool_peek_entry(struct exim *e, const struct spool_entry *at, struct arena *a, struct message *out,
                               struct err *err);
/* Notes addresses as done, durable (-J) before the next step of delivery. */
bool spool_journal(struct exim *e, struct message *m, const char *const *addresses, size_t n, struct err *err) MUST_USE;
/* The same for local deliveries one after another: the end of the process changes nothing, but the disk has it some 50 ms
 * later, or after spool_journal_sync. */
bool spool_journal_soon(struct exim *e, struct message *m, const char *const *addresses, size_t n,
                        struct err *err) MUST_USE;
bool spool_journal_sync(struct exim *e, struct message *m, struct err *err) MUST_USE;
/* A message in the log comes to rest: it gets its files, with its present state. Durable. No more than
 * true for one that has files. */
bool spool_rest(struct exim *e, struct message *m, struct err *err) MUST_USE;
/* Rewrites -H with the message's present state and drops the journal. Durable. */
bool spool_update(struct exim *e, struct message *m, struct err *err) MUST_USE;
/* Its files and its message log go to Finput and Fmsglog, where nobody looks for messages. */
bool spool_move_frozen(struct exim *e, struct message *m, struct err *err) MUST_USE;
/* The message is done: removes all its files. */
bool spool_remove(struct exim *e, struct message *m, struct err *err) MUST_USE;

/* ---- the log that a daemon left behind, or is writing ---- */
/* Nobody uses the log: what is in it becomes files. Comes before whatever looks for messages; no more than one
 * lstat where there is none. False: err; the log stays. */
bool spool_recover(struct exim *e, struct err *err) MUST_USE;
/* For listing: the messages that are in the log only. texts in a. */
struct spool_logged { char id[17]; struct str header, journal, body /* of spool_find_logged only */; size_t body_size; };
bool spool_scan_log(struct exim *e, struct arena *a, struct spool_logged **out, size_t *count, struct err *err);
/* One message that is in the log only. False: there is none, or (err) it cannot be read. */
bool spool_find_logged(struct exim *e, struct arena *a, const char *id, struct spool_logged *out, struct err *err);
void spool_peek_logged(const struct spool_logged *l, struct arena *a, struct message *out);

/* ---- the queue as files ---- */
/* For a process that looks at many messages and then ends: their files are found from a descriptor of the spool
 * directory, until a is destroyed. Not across priv_close_others. scan: borrowed; a folder that did not change since is
 * not searched for what was not in it; or NULL. */
struct spool_extras;
void spool_stay_near(struct exim *e, struct arena *a, const struct spool_extras *scan);
struct spool_entry { char id[17]; char subdir; bool journal; /* it has one */ };
/* All messages, unsorted; *out in a. *extras: its other files, for spool_clean and spool_stay_near; or NULL. */
bool spool_scan(struct exim *e, struct arena *a, struct spool_entry **out, size_t *count,
                const struct spool_extras **extras, struct err *err);
bool spool_count(struct exim *e, struct arena *a, size_t *count, struct err *err); /* of those */
/* The message's files whatever they hold, damaged ones too (-Mrm). *found: there was one. */
bool spool_purge(struct exim *e, const char *id, bool *found, struct err *err) MUST_USE;
/* Copies a file of the message to out as it is, from an offset on; errno on false. */
enum spool_part { SPOOL_PART_HEADER, SPOOL_PART_DATA, SPOOL_PART_LOG };
bool spool_copy(struct exim *e, const char *id, enum spool_part part, off_t from, int out) MUST_USE;
off_t spool_file_size(struct exim *e, const char *id, enum spool_part part); /* -1: not there */
enum { SPOOL_DATA_START = 19 }; /* of the body in a data file: after its own name */
/* Removes what a crash left: files without an envelope, temporary ones; not younger than a minute. The list, in any
 * order, and the extras are of one scan; it may be some time ago. */
void spool_clean(struct exim *e, const struct spool_entry *list, size_t count, const struct spool_extras *extras);
/* -msglog file of a message: appends a line with the time before it (not before "*** ...", as in Exim's
 * "*** Frozen"); no-op when message_logs is off. */
void spool_msglog(struct exim *e, struct message *m, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Lines wait while the message is in the log of the spool, or its notes_wait is set: what was delivered is noted before
 * it is told, and a message that goes needs none. This writes them, if it has files. */
void spool_put_notes(struct exim *e, struct message *m);
const char *spool_path(struct arena *a, struct exim *e, const char *dir, const char *id, const char *suffix);
/* Makes input, msglog, db ... with Exim's modes where missing; called once at start. */
bool spool_prepare(struct exim *e, struct err *err) MUST_USE;
enum spool_space { SPOOL_SPACE_OK, SPOOL_SPACE_FULL };
/* check_spool_space, check_spool_inodes, check_log_...; size: announced message size. */
enum spool_space spool_check_space(struct exim *e, int64_t size);

/* ---- format (spool_in.c, spool_out.c); pure, for agents, tests and the fuzzer ---- */
void spool_header_print(struct buf *out, const struct message *m);
/* text: the whole -H file. False with err. m->arena must be set. */
bool spool_header_parse(struct message *m, struct str text, struct err *err) MUST_USE;
/* text: a -J file. Its whole lines become nonrecipients; one that a crash cut short might be the
 * beginning of another address and is left out. */
void spool_journal_parse(struct message *m, struct str text);

#endif
