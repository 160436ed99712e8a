/* lsearch_int.h - the text files of lsearch and its kin, as lsearch.c and lsearch_index.c see them.
 *
 * A file is read in pieces with pread, never mapped: an editor that truncates it in place must
 * not kill us. */
#ifndef EXIM_LSEARCH_INT_H
#define EXIM_LSEARCH_INT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/buf.h"
#include "search.h"

struct lsearch_index;

/* An open file. */
struct lsearch_file {
    struct arena *arena;
    int fd;
    struct stat st;
    const char *path;
};

/* Reads lines, from any offset on. */
struct lsearch_reader {
    const struct lsearch_file *file;
    struct buf line;     /* the current line without its newline */
    off_t line_at;       /* where it begins */
    off_t next;          /* offset of piece */
    char *piece;
    size_t room, piece_len, piece_at; /* of piece */
    bool failed;         /* errno */
};

/* room: bytes read at a time, for a walk through the file, or for one entry. */
enum { LSEARCH_WALK = 32 * 1024, LSEARCH_ENTRY = 1024 };
void lsearch_reader_init(struct lsearch_reader *r, struct arena *a, const struct lsearch_file *f,
                         off_t at, size_t room);
/* False at the end of the file or when reading failed. */
bool lsearch_reader_next(struct lsearch_reader *r) MUST_USE;

/* Past the lines in memory that cannot begin an entry with this key. */
void lsearch_reader_skip(struct lsearch_reader *r, struct str key);

/* A line that begins an entry: its key (unquoted) and the text behind the key. */
struct lsearch_key {
    struct str key;
    const char *rest; /* NUL-terminated, as in the line */
};
/* False for comments, empty lines and continuations. */
bool lsearch_key_parse(struct arena *a, const struct buf *line, struct lsearch_key *out) MUST_USE;

/* Offsets of the lines whose key may be `key`, in the order of the file. NULL with *count 0 when
 * there are none, *known false when the file has no index (yet). */
const uint64_t *lsearch_index_find(struct lookup_call *call, const struct lsearch_file *f,
                                   struct str key, size_t *count, bool *known);

#endif
