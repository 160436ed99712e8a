/* strings.h - what string items and the operators of the same name share. */
#ifndef EXIM_EXPAND_STRINGS_H
#define EXIM_EXPAND_STRINGS_H

#include <stdbool.h>
#include <stddef.h>

#include "expand.h"

struct buf;

/* start < 0 counts from the end; len only if has_len. */
const char *strings_substr(struct expand_ctx *ctx, const char *s, long start, long len, bool has_len);
const char *strings_length(struct expand_ctx *ctx, const char *s, long n);
/* Exim's own textual and numeric hash; m < 0: not given. */
enum expand_rc strings_hash(struct expand_ctx *ctx, const char *s, long n, long m, const char **out);
enum expand_rc strings_nhash(struct expand_ctx *ctx, const char *s, long n, long m, const char **out);
/* A number as these items take it: spaces before it, a sign; empty is 0. */
enum expand_rc strings_number(struct expand_ctx *ctx, const char *s, bool may_be_negative,
                              const char *item, long *out);
/* After the backslash of a quoted string (manual 6.17): adds the character, returns how many bytes
 * of p stood for it, with the backslash not counted. */
size_t strings_escape(const char *p, struct buf *b);

#endif
