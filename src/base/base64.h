/* base64.h - RFC 4648 base64, strict on decoding, and hex. Pure. */
#ifndef EXIM_BASE64_H
#define EXIM_BASE64_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct arena;

char *base64_encode(struct arena *a, const void *p, size_t n) NONNULL_RET; /* one line, padded */
/* False on anything but base64 with correct padding (white space is allowed). NUL-terminated. */
bool base64_decode(struct arena *a, struct str in, struct str *out) MUST_USE;
char *hex_encode(struct arena *a, const void *p, size_t n, bool upper) NONNULL_RET;
bool hex_decode(struct arena *a, struct str in, struct str *out) MUST_USE;

#endif
