/* parse.h - RFC 5322 addresses and MIME words. Pure but for the arena. */
#ifndef EXIM_PARSE_H
#define EXIM_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct arena;

struct parsed_address {
    const char *address;     /* local@domain, source route removed; "" for <> when allowed */
    const char *domain;      /* points into address; NULL when there is none */
    size_t start, end;       /* of the address within the input, for rewriting in place */
    const char *err;         /* worded as Exim does: "unqualified ..." etc. */
};
enum parse_flag {
    PARSE_ALLOW_EMPTY = 1 << 0,       /* <> */
    PARSE_ALLOW_DOMAIN_LITERAL = 1 << 1,
    PARSE_ALLOW_UTF8 = 1 << 2,
    PARSE_STRIP_BRACKETS = 1 << 3,    /* strip_excess_angle_brackets */
    PARSE_STRIP_DOT = 1 << 4,         /* strip_trailing_dot */
};
/* One mailbox ("Name <a@b> (comment)", a@b, a). False with out->err. */
bool parse_address(struct arena *a, const char *text, unsigned flags, struct parsed_address *out) MUST_USE;
/* End of the next address in a header's address list: the comma (outside quotes, comments,
 * brackets and groups' colons and semicolons) or the NUL. */
const char *parse_find_address_end(const char *s, bool newline_ends);
/* Calls fn for each address of a header body; groups and comments are understood. */
bool parse_each_address(struct arena *a, const char *body, unsigned flags,
                        bool (*fn)(void *arg, const struct parsed_address *p, const char *raw), void *arg);
const char *parse_quote_local_part(struct arena *a, const char *lp); /* adds quotes if needed */
const char *parse_fix_phrase(struct arena *a, const char *phrase);   /* makes a valid RFC 5322 phrase */
/* RFC 2047. decode: to charset (NULL: keep bytes); returns NULL with *err on a bad word. */
const char *parse_rfc2047_decode(struct arena *a, const char *s, bool check_length, const char *charset,
                                 const char **err);
const char *parse_rfc2047_encode(struct arena *a, const char *s, const char *charset, bool fold);
/* Message-ID style "<a@b>" extraction for In-Reply-To and References. */
const char *parse_message_id(struct arena *a, const char *s, const char **rest);
/* Domain syntax as in RFC 5321; literal [..] when allowed. */
bool parse_domain_valid(const char *domain, bool allow_literal);
/* RFC 3461 section 4 xtext: strict (upper-case hex, result printable ASCII); NULL when bad. */
const char *parse_xtext_decode(struct arena *a, const char *s);
const char *parse_xtext_encode(struct arena *a, const char *s) NONNULL_RET;
/* RFC 6533 section 3: utf-8-addr-xtext, -unitext and, if raw, utf-8 addresses as they are, to plain UTF-8; NULL when
 * malformed. encode: any text to utf-8-addr-unitext, which is ASCII; bytes that are no text become "?". */
const char *parse_unitext_decode(struct arena *a, const char *s, bool raw);
const char *parse_unitext_encode(struct arena *a, const char *s) NONNULL_RET;
/* Bytes of the character that s begins with, strictly; 0: it is no UTF-8. A NUL is a character of one byte. */
size_t parse_utf8_char(const char *s, unsigned long *code);

#endif
