#include "dns_int.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/tod.h"

enum { CACHE_BYTES = 4 * 1024 * 1024, CACHE_TTL_MAX = 3600, CACHE_PACKET_MAX = 16 * 1024 };

struct entry {
    int64_t expires_ms;
    struct str packet;
};

struct dns_cache {
    struct arena *arena; /* replaced when full */
    struct hash *entries;
};

static void cache_release(void *arg)
{
    arena_destroy(&((struct dns_cache *)arg)->arena);
}

static void cache_empty(struct dns_cache *c)
{
    arena_destroy(&c->arena);
    c->arena = arena_new("dns cache");
    c->entries = hash_new(c->arena, true);
}

struct dns_cache *dns_cache_new(struct arena *a)
{
    struct dns_cache *c = arena_new_obj(a, struct dns_cache);

    cache_empty(c);
    arena_on_destroy(a, cache_release, c);
    return c;
}

bool dns_cache_get(struct dns_cache *c, const char *key, struct str *packet)
{
    struct entry *e = hash_find(c->entries, key);

    if (e == NULL || tod_monotonic_ms() >= e->expires_ms)
        return false;
    *packet = e->packet;
    return true;
}

void dns_cache_put(struct dns_cache *c, const char *key, struct str packet, uint32_t ttl)
{
    if (ttl == 0 || packet.len > CACHE_PACKET_MAX)
        return;
    if (arena_size(c->arena) > CACHE_BYTES)
        cache_empty(c);
    struct entry *e = hash_find(c->entries, key);

    if (e == NULL) {
        e = arena_new_obj(c->arena, struct entry);
        hash_put(c->entries, arena_strdup(c->arena, key), e);
    }
    if (ttl > CACHE_TTL_MAX)
        ttl = CACHE_TTL_MAX;
    e->expires_ms = tod_monotonic_ms() + (int64_t)ttl * 1000;
    e->packet.p = packet.len == 0 ? "" : arena_strndup(c->arena, packet.p, packet.len);
    e->packet.len = packet.len;
}
