/* lines.h - turns the bytes of a message as they come into "\n" lines, and finds where it
 * ends.
 *
 * Pure: no I/O, no allocation; fed in pieces of any size. Rules of the manual (48.2): a
 * bare CR is a line end; a bare LF too, unless the first line ended in CRLF: then it
 * becomes a space in the body. In the header a bare one never ends a header line (a space
 * follows it). Whatever bare CR and LF stand around it, only CRLF dot CRLF ends SMTP
 * data, and only after a CRLF are dots unstuffed. */
#ifndef EXIM_SMTP_LINES_H
#define EXIM_SMTP_LINES_H

#include <stdbool.h>
#include <stddef.h>

enum lines_end {
    LINES_END_COUNT, /* the source knows: BDAT, or the end of a file (-i) */
    LINES_END_DOT,   /* SMTP DATA */
    LINES_END_BATCH, /* -bS: as DATA, also with LF alone at line ends: the file is no
                        network input */
    LINES_END_LOCAL  /* -bm without -i: a line with a dot only, LF or CRLF */
};

struct lines {
    enum lines_end end;
    enum { LINES_START, LINES_MID, LINES_CR, LINES_DOT, LINES_DOT_CR, LINES_DONE } state;
    enum { LINES_UNKNOWN, LINES_CRLF, LINES_LF } mode; /* set by the first line */
    bool body;  /* the empty line after the header was seen */
    bool empty; /* nothing of this line was given out yet */
};

struct lines lines_new(enum lines_end end);
/* Takes at most n bytes of in; out has room for 2 * n + 4. Returns the bytes given out;
 * *used says how many were taken: fewer than n only when state became LINES_DONE. */
size_t lines_feed(struct lines *l, const char *in, size_t n, size_t *used, char *out);
/* The end of the input for LINES_END_COUNT and LINES_END_LOCAL: what was held back; out
 * as for n = 0. */
size_t lines_finish(struct lines *l, char *out);

#endif
