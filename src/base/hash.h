/* hash.h - a string-keyed table in an arena. Keys are borrowed (must outlive the table). */
#ifndef EXIM_HASH_H
#define EXIM_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct arena;
struct hash;

struct hash *hash_new(struct arena *a, bool fold_case) NONNULL_RET;
void *hash_find(const struct hash *h, const char *key); /* NULL when absent */
/* Returns the value that was there before (now replaced), or NULL. value must not be NULL. */
void *hash_put(struct hash *h, const char *key, void *value);
void *hash_remove(struct hash *h, const char *key);
size_t hash_count(const struct hash *h);
struct hash_iter { size_t slot; };
/* Start with {0}; order is insertion order (removed ones left out). */
bool hash_next(const struct hash *h, struct hash_iter *it, const char **key, void **value);
uint64_t hash_bytes(const void *p, size_t len); /* seeded at start: not for files */

#endif
