/* regex.h - Perl-compatible regular expressions: compiled once, matched within limits.
 *
 * Compiled code belongs to the arena it was made in and goes with it. Byte semantics (no UTF mode), as
 * Exim's. A match that runs into its limits is not an endless one: it ends with RC_DEFER and says
 * so. A regex is used by one match at a time (processes are single-threaded). */
#ifndef EXIM_REGEX_H
#define EXIM_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct arena;
struct regex;

enum { CAPTURE_MAX = 20 };

/* $0 $1 ...: set by match and list tests, visible until the next or the end of their scope. */
struct captures {
    int count; /* highest number set + 1; 0: none */
    const char *v[CAPTURE_MAX];
};

enum regex_flag {
    REGEX_CASELESS = 1 << 0,
    REGEX_BRIEF = 1 << 1, /* for few or short matches: compiling it to machine code does not pay */
    /* When it is first matched: many are not. The process ends if the pattern is no good. */
    REGEX_LATER = 1 << 2,
};

/* For a process that forks others which match: REGEX_LATER has no meaning from now on. */
void regex_compile_at_once(void);
/* Can there be no mistake in it? */
bool regex_is_plain(const char *pattern) MUST_USE;

/* NULL with err worded "regular expression error in "...": ... at offset N". */
const struct regex *regex_compile(struct arena *a, const char *pattern, unsigned flags,
                                  struct err *err) MUST_USE;
/* RC_OK: matched; *out, if not NULL, holds $0.. copied into a (unset groups are ""). RC_FAIL: no
 * match. RC_DEFER: a limit was hit, err (if not NULL) says which. */
enum rc regex_match(const struct regex *re, struct arena *a, struct str subject, struct captures *out,
                    struct err *err) MUST_USE;
/* Yes or no only; a limit counts as no. */
bool regex_test(const struct regex *re, struct str subject) MUST_USE;

/* One step of a global substitution. Spans are byte offsets into the subject, {-1,-1} for unset groups. */
struct regex_span { ptrdiff_t from, to; };
struct regex_spans {
    int count;
    struct regex_span v[CAPTURE_MAX];
};
struct regex_search {
    struct str subject;
    size_t start;   /* where in subject to begin */
    bool not_empty; /* the match must begin at start and not be empty */
};
enum rc regex_find(const struct regex *re, const struct regex_search *at, struct regex_spans *out,
                   struct arena *a, struct err *err) MUST_USE;

#endif
