/* spool_int.h - what the spool's files share: the lines of -H, names and syncs of files. */
#ifndef EXIM_SPOOL_INT_H
#define EXIM_SPOOL_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "spool.h"

struct exim;
struct hash;
struct message;

/* ---- the lines of -H that begin with a hyphen (spool_fields.c) ---- */
enum spool_field_kind {
    FIELD_FLAG,     /* bool: "-name" */
    FIELD_TEXT,     /* const char *: "-name value" */
    FIELD_COUNT,    /* long, written when positive */
    FIELD_TIME,     /* time_t, written when not 0 */
    FIELD_RET,      /* enum dsn_ret, written when not 0 */
    FIELD_ENDPOINT, /* const char * and int: "-name [address]:port" */
    FIELD_USEC,     /* fraction of the time of reception */
    FIELD_LINES,    /* body_linecount: always, but for wire format */
    FIELD_SCORE,    /* spam_score, from spam_score_int */
    FIELD_ACL,      /* struct hash *: "-name rest length", then the value */
    FIELD_DROPPED,  /* Exim's, without a meaning here */
};
struct spool_field {
    const char *name;
    enum spool_field_kind kind;
    size_t offset, port; /* port: of an end point */
};
extern const struct spool_field spool_fields[]; /* in the order in which they are written */
extern const size_t spool_field_count;
static inline void *spool_field_at(const struct message *m, size_t offset)
{
    return (char *)unconst(m) + offset;
}

/* ---- the tree of those who have the message already (spool_tree.c) ---- */
void spool_tree_print(struct buf *out, const struct hash *names);
/* Takes the tree's lines from *text. False: malformed. */
bool spool_tree_parse(struct message *m, struct str *text) MUST_USE;
/* The next line of *text without its newline; false: there is none that is complete. */
bool spool_line(struct str *text, struct str *line) MUST_USE;

/* ---- files (spool_file.c) ---- */
enum { SPOOL_ID_LINE = SPOOL_DATA_START }; /* "xxxxxx-yyyyyy-zz-D\n" */
extern const char spool_input[], spool_msglogs[];
extern const char spool_subs[63]; /* the names of split directories */
/* "<id><suffix>" with a two-letter suffix: then its id. */
bool spool_is_file(const char *name, const char *suffix, char id[17]);
/* The directory of id in the form that the configuration asks for, or in the other one. */
const char *spool_dir(struct arena *a, const struct exim *e, const char *dir, const char *id, bool split);
/* Path of an existing file of the message in either form; NULL: there is none. */
const char *spool_find(struct arena *a, const struct exim *e, const char *dir, const char *id,
                       const char *suffix);
/* A path for the ...at() calls with spool_at(e): from the spool directory, where that is open, else from the root. */
int spool_at(const struct exim *e);
const char *spool_near_dir(struct arena *a, const struct exim *e, const char *id, bool split); /* of input */
/* near: such a path, of an envelope. True: e->spool_scan found no journal, and is still true of this folder. False: who
 * knows. */
bool spool_has_no_journal(const struct exim *e, const char *near);
/* Opens such a path. To look at a file is nothing that is noted in it, where it is ours. */
int spool_open_near(const struct exim *e, const char *path, int flags);
/* Opens an existing file of the message in either form, *path is where it was; -1 with errno. */
int spool_open(struct arena *a, const struct exim *e, const char *id, const char *suffix, int flags, const char **path);
/* Opens for writing, making the directory where it is missing; -1 with errno. */
int spool_create(struct arena *a, const struct exim *e, const char *path, int flags);
bool spool_sync(const struct exim *e, int fd) MUST_USE;              /* the data of a file */
bool spool_sync_dir(const struct exim *e, const char *path) MUST_USE; /* the directory path is in */
/* Writes text beside path, syncs it and renames it into place; the directory is synced. */
bool spool_replace(struct arena *a, const struct exim *e, const char *path, const char *temp,
                   struct str text) MUST_USE;
/* The data file in Unix form, when it is in wire form: another descriptor; -1 with errno. */
int spool_unwire(struct arena *a, const struct exim *e, struct message *m);

/* ---- messages in the log (spool_rest.c); m->place says where ---- */
/* Locks and reads it. SPOOL_GONE: it is not there any more, files may be. */
enum spool_rc spool_load_logged(struct exim *e, struct message *m, uint64_t place, struct err *err);
bool spool_journal_logged(struct exim *e, struct message *m, struct str lines) MUST_USE; /* not synced */
void spool_leave_log(struct exim *e, struct message *m); /* done */

#endif
