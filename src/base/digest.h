/* digest.h - message digests and HMAC, on OpenSSL's EVP. */
#ifndef EXIM_DIGEST_H
#define EXIM_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

enum { DIGEST_MAX = 64 };
/* name: "md5", "sha1", "sha256", "sha384", "sha512", "sha3-256" ...; length, or 0 if unknown. */
size_t digest(const char *name, struct str in, unsigned char out[DIGEST_MAX]) MUST_USE;
size_t digest_hmac(const char *name, struct str key, struct str in, unsigned char out[DIGEST_MAX]) MUST_USE;
uint32_t crc32c(uint32_t crc, const void *p, size_t n); /* Castagnoli, as in PROXY v2; start with 0 */
uint32_t random_below(uint32_t n);                      /* uniform, from getrandom */

#endif
