#include "base/hash.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/digest.h"
#include "base/str.h"

struct entry {
    const char *key; /* NULL: removed */
    void *value;
    uint32_t sum;
};

/* Entries in insertion order; `index` has positions + 1 in open addressing. A removed entry
 * keeps its place in the index until the next growth. */
struct hash {
    struct arena *arena;
    struct entry *entries;
    uint32_t *index;
    uint32_t used, cap; /* entries; the index has 2 * cap slots */
    uint32_t live;
    bool fold;
};

enum { FIRST_CAP = 8 };

static uint64_t seed(void)
{
    static uint64_t value; /* one a process, so that nobody can choose colliding keys */

    while (value == 0)
        value = (uint64_t)random_below(UINT32_MAX) << 32 | random_below(UINT32_MAX);
    return value;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 u128;
    u128 m = (u128)a * b;

    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

#define K0 0x9e3779b97f4a7c15ULL
#define K1 0xd6e8feb86659fd93ULL

static uint64_t hash_step(uint64_t h, uint64_t word)
{
    return mix(h ^ word ^ K0, word + K1 + (h << 1 | 1));
}

uint64_t hash_bytes(const void *p, size_t len)
{
    const unsigned char *s = p;
    uint64_t h = seed() ^ len, word;

    for (; len >= 8; s += 8, len -= 8) {
        memcpy(&word, s, 8);
        h = hash_step(h, word);
    }
    word = 0;
    if (len > 0)
        memcpy(&word, s, len);
    return mix(hash_step(h, word), K1);
}

static uint32_t key_sum(const struct hash *h, const char *key)
{
    if (!h->fold)
        return (uint32_t)hash_bytes(key, strlen(key));

    uint64_t sum = seed(), word = 0;
    unsigned shift = 0;
    for (const char *p = key; *p != '\0'; p++) {
        word |= (uint64_t)(unsigned char)to_lower(*p) << shift;
        shift += 8;
        if (shift == 64) {
            sum = hash_step(sum, word);
            word = shift = 0;
        }
    }
    return (uint32_t)mix(hash_step(sum ^ shift, word), K1);
}

struct hash *hash_new(struct arena *a, bool fold_case)
{
    struct hash *h = arena_new_obj(a, struct hash);

    *h = (struct hash){ .arena = a, .fold = fold_case };
    return h;
}

static void index_add(struct hash *h, uint32_t pos)
{
    uint32_t mask = 2 * h->cap - 1, slot = h->entries[pos].sum & mask;

    while (h->index[slot] != 0)
        slot = (slot + 1) & mask;
    h->index[slot] = pos + 1;
}

/* Iterators stay valid unless something was removed: entries only move down over holes. */
static void grow(struct hash *h)
{
    uint32_t cap = h->cap == 0 ? FIRST_CAP : h->live > h->cap / 2 ? h->cap * 2 : h->cap;
    struct entry *fresh = arena_new_array(h->arena, struct entry, cap);
    uint32_t n = 0;

    for (uint32_t i = 0; i < h->used; i++)
        if (h->entries[i].key != NULL)
            fresh[n++] = h->entries[i];
    h->entries = fresh;
    h->used = n;
    h->cap = cap;
    h->index = arena_new_array(h->arena, uint32_t, (size_t)2 * cap);
    for (uint32_t i = 0; i < n; i++)
        index_add(h, i);
}

static bool same_key(const struct hash *h, const char *a, const char *b)
{
    return h->fold ? cstr_ieq(a, b) : strcmp(a, b) == 0;
}

static struct entry *find(const struct hash *h, const char *key, uint32_t sum)
{
    if (h->live == 0)
        return NULL;
    uint32_t mask = 2 * h->cap - 1;
    for (uint32_t slot = sum & mask; h->index[slot] != 0; slot = (slot + 1) & mask) {
        struct entry *e = &h->entries[h->index[slot] - 1];

        if (e->key != NULL && e->sum == sum && same_key(h, e->key, key))
            return e;
    }
    return NULL;
}

void *hash_find(const struct hash *h, const char *key)
{
    const struct entry *e = find(h, key, key_sum(h, key));

    return e == NULL ? NULL : e->value;
}

void *hash_put(struct hash *h, const char *key, void *value)
{
    uint32_t sum = key_sum(h, key);
    struct entry *e = find(h, key, sum);

    if (e != NULL) {
        void *before = e->value;

        e->value = value;
        return before;
    }
    if (h->used == h->cap)
        grow(h);
    h->entries[h->used] = (struct entry){ .key = key, .value = value, .sum = sum };
    index_add(h, h->used++);
    h->live++;
    return NULL;
}

void *hash_remove(struct hash *h, const char *key)
{
    struct entry *e = find(h, key, key_sum(h, key));

    if (e == NULL)
        return NULL;
    void *before = e->value;
    *e = (struct entry){ .sum = e->sum };
    h->live--;
    return before;
}

size_t hash_count(const struct hash *h)
{
    return h->live;
}

bool hash_next(const struct hash *h, struct hash_iter *it, const char **key, void **value)
{
    while (it->slot < h->used) {
        const struct entry *e = &h->entries[it->slot++];

        if (e->key == NULL)
            continue;
        if (key != NULL)
            *key = e->key;
        if (value != NULL)
            *value = e->value;
        return true;
    }
    return false;
}
