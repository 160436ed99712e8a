/* header.h - the header lines of a message.
 *
 * A line is kept whole: name, colon, text, folded lines separated by "\n", and a final "\n", as
 * in the spool. Lines that were removed stay in the list as type HEADER_OLD ('*'). */
#ifndef EXIM_HEADER_H
#define EXIM_HEADER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;
struct message;

/* The type letters of the -H file (manual chapter 56). */
enum header_type {
    HEADER_BCC = 'B', HEADER_CC = 'C', HEADER_FROM = 'F', HEADER_MESSAGE_ID = 'I',
    HEADER_RECEIVED = 'P', HEADER_REPLY_TO = 'R', HEADER_SENDER = 'S', HEADER_TO = 'T',
    HEADER_OLD = '*', HEADER_OTHER = ' ', HEADER_RESENT = 0x100 /* or'ed while reading -t */,
};

struct header {
    struct header *next;
    int type;
    size_t len;       /* of text, with the final newline */
    const char *text; /* NUL-terminated */
};

struct header_list {
    struct header *first, **tail;
    size_t count, bytes;
};

void header_list_init(struct header_list *l);
struct header *header_append(struct header_list *l, struct arena *a, int type, const char *text);
struct header *header_prepend(struct header_list *l, struct arena *a, int type, const char *text);
bool header_is(const struct header *h, const char *name); /* live and of that name, ASCII case */
struct header *header_find(const struct header_list *l, const char *name); /* first live, or NULL */
/* Marks as old: every line of that name, or the nth (from 1) only; names may end in '*'. */
unsigned header_remove(struct header_list *l, const char *name, int nth);
/* The type letter that belongs to a header line's name. */
int header_type_of(const char *text);
const char *header_body(const struct header *h); /* after the colon and white space, in place */
/* $h_ (decoded), $bh_ (MIME words decoded to bytes), $rh_ (raw): all lines of that name joined
 * as the manual says (11.5); "" when none. charset: target of $h_. */
enum header_form { HEADER_DECODED, HEADER_BASE64_ONLY, HEADER_RAW };
const char *header_value(struct arena *a, const struct header_list *l, const char *name,
                         enum header_form form, const char *charset);
bool header_exists(const struct header_list *l, const char *name);

#endif
