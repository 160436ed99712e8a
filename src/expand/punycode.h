/* punycode.h - UTF-8 code points and Punycode (RFC 3492), for local parts. Pure but for the arena. */
#ifndef EXIM_EXPAND_PUNYCODE_H
#define EXIM_EXPAND_PUNYCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* One code point at s: the bytes it takes, *cp is it. When not valid: how many bytes make up the bad
 * sequence, *cp is UINT32_MAX. s must not be empty. */
size_t utf8_decode(const char *s, uint32_t *cp);
/* NULL with static *why. */
const char *punycode_encode(struct arena *a, const char *utf8, const char **why);
const char *punycode_decode(struct arena *a, const char *ascii, const char **why);

#endif
