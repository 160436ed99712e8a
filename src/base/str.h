/* str.h - views of bytes, for wire data and headers, and helpers on C strings.
 *
 * A view owns nothing and need not end in NUL. */
#ifndef EXIM_STR_H
#define EXIM_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/attr.h"

struct arena;

struct str {
    const char *p;
    size_t len;
};

#define STR(literal) ((struct str){ (literal), sizeof(literal) - 1 })

static inline struct str str_from(const char *s)
{
    return (struct str){ s, strlen(s) };
}

bool str_eq(struct str a, struct str b);
bool str_ieq(struct str a, struct str b); /* ASCII case */
struct str str_trim(struct str s);        /* spaces, tabs, CR, LF at both ends */
char *str_dup(struct arena *a, struct str s) NONNULL_RET;

/* C strings; ASCII case only, no locale. */
bool cstr_ieq(const char *a, const char *b);
bool cstr_starts(const char *s, const char *prefix);
bool cstr_istarts(const char *s, const char *prefix);
bool cstr_ends(const char *s, const char *suffix);
bool cstr_iends(const char *s, const char *suffix);
char *cstr_lower(struct arena *a, const char *s) NONNULL_RET;
char *cstr_upper(struct arena *a, const char *s) NONNULL_RET;
const char *cstr_skip_space(const char *s);
/* The text with everything outside printable ASCII (and 8-bit, if keep8) as Exim writes it
 * in logs: \n \r \t \b \v \f for some, \ooo for the rest. Returns s itself when nothing changes. */
const char *cstr_printable(struct arena *a, const char *s, bool keep8) NONNULL_RET;
char *cstr_printable_len(struct arena *a, const char *s, size_t len, bool keep8) NONNULL_RET;
/* Strictly decimal digits (a minus before them for long) that fit: false otherwise. */
bool cstr_to_long(const char *s, long *out) MUST_USE;
bool cstr_to_ulong(const char *s, unsigned long *out) MUST_USE;

#endif
