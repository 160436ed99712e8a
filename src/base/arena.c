#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/format.h"

/* Under ASan every block is a malloc of its own, so that overruns and stale pointers show. */
#if defined(__SANITIZE_ADDRESS__)
#define ONE_MALLOC_A_BLOCK 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ONE_MALLOC_A_BLOCK 1
#endif
#endif
#ifndef ONE_MALLOC_A_BLOCK
#define ONE_MALLOC_A_BLOCK 0
#endif

enum {
    ALIGN = _Alignof(max_align_t),
    FIRST_CHUNK = 2048,  /* many arenas stay this small: an address, an expansion */
    NEXT_CHUNK = 16384,
    CARVE_MAX = ONE_MALLOC_A_BLOCK ? 0 : 4096,
    CACHE_FIRST = ONE_MALLOC_A_BLOCK ? 0 : 256,
    CACHE_NEXT = ONE_MALLOC_A_BLOCK ? 0 : 64,
    APART = 64 * 1024,
};

struct chunk {
    struct chunk *older;
    size_t size, used; /* of data */
    _Alignas(max_align_t) char data[];
};

/* fn == NULL: arg is a struct large, freed after the cleanups ran, which may still look at it. */
struct cleanup {
    struct cleanup *older;
    void (*fn)(void *);
    void *arg;
};

struct large {
    struct cleanup *owner; /* points back at us, also after a realloc moved us */
    size_t bytes;
    _Alignas(max_align_t) char data[];
};

struct arena {
    const char *name;
    struct chunk *chunk;
    struct cleanup *cleanups;
    size_t held;
};

/* Released chunks of the two sizes, for the next arena of this process. */
static struct {
    struct chunk *list;
    unsigned count;
    const unsigned max;
    const size_t size;
} cache[2] = {
    { .max = CACHE_FIRST, .size = FIRST_CHUNK - sizeof(struct chunk) },
    { .max = CACHE_NEXT, .size = NEXT_CHUNK - sizeof(struct chunk) },
};

/* Chunks that were never a parent's. They are never freed: there are few. */
static struct {
    char *begin, *next, *end;
} apart;

static NORETURN void out_of_memory(const char *name, size_t want)
{
    die("out of memory: %zu bytes for %s", want, name);
}

void arena_keep_apart(void)
{
    void *p = mmap(NULL, APART, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return; /* it takes more memory, no more */
    apart.begin = apart.next = p;
    apart.end = apart.begin + APART;
    for (size_t i = 0; i < sizeof(cache) / sizeof(cache[0]); i++) {
        cache[i].list = NULL;
        cache[i].count = 0;
    }
}

static bool is_apart(const struct chunk *c)
{
    return (const char *)c >= apart.begin && (const char *)c < apart.end;
}

static struct chunk *chunk_make(size_t bytes)
{
    char *p = apart.next;

    if (bytes > (size_t)(apart.end - p))
        return malloc(bytes);
    apart.next += bytes;
    return (struct chunk *)(void *)p;
}

static struct chunk *chunk_get(const char *name, unsigned kind)
{
    struct chunk *c = cache[kind].list;

    if (c != NULL) {
        cache[kind].list = c->older;
        cache[kind].count -= !is_apart(c);
    } else {
        c = chunk_make(sizeof(*c) + cache[kind].size);
        if (c == NULL)
            out_of_memory(name, cache[kind].size);
        c->size = cache[kind].size;
    }
    c->older = NULL;
    c->used = 0;
    return c;
}

static void chunk_put(struct chunk *c)
{
    unsigned kind = c->size == cache[0].size ? 0 : 1;

    if (!is_apart(c) && cache[kind].count >= cache[kind].max) {
        free(c);
        return;
    }
    c->older = cache[kind].list;
    cache[kind].list = c;
    cache[kind].count += !is_apart(c);
}

struct arena *arena_new(const char *name)
{
    struct chunk *c = chunk_get(name, 0);
    struct arena *a = (struct arena *)(void *)c->data;

    *a = (struct arena){ .name = name, .chunk = c, .held = c->size };
    c->used = sizeof(*a);
    return a;
}

/* bytes <= NEXT_CHUNK, never 0: the next block would share its address. */
static void *carve(struct arena *a, size_t bytes, size_t align)
{
    struct chunk *c = a->chunk;
    size_t at = (c->used + align - 1) & ~(align - 1);

    if (at + bytes > c->size) {
        struct chunk *fresh = chunk_get(a->name, 1);

        fresh->older = c;
        a->chunk = c = fresh;
        a->held += c->size;
        at = 0;
    }
    c->used = at + bytes;
    return c->data + at;
}

void arena_on_destroy(struct arena *a, void (*fn)(void *), void *arg)
{
    struct cleanup *c = carve(a, sizeof(*c), ALIGN);

    *c = (struct cleanup){ .older = a->cleanups, .fn = fn, .arg = arg };
    a->cleanups = c;
}

static void *large_new(struct arena *a, size_t bytes, bool zeroed)
{
    size_t total;

    if (__builtin_add_overflow(bytes, sizeof(struct large), &total))
        out_of_memory(a->name, bytes);
    struct large *l = zeroed ? calloc(1, total) : malloc(total);
    if (l == NULL)
        out_of_memory(a->name, bytes);
    arena_on_destroy(a, NULL, l);
    l->owner = a->cleanups;
    l->bytes = bytes;
    a->held += bytes;
    return l->data;
}

char *arena_new_buffer(struct arena *a, size_t bytes)
{
    return large_new(a, bytes, false);
}

static void *large_grow(struct arena *a, char *p, size_t old, size_t bytes)
{
    struct large *l = (struct large *)(void *)(p - offsetof(struct large, data));
    struct cleanup *owner = l->owner;
    size_t total;

    if (__builtin_add_overflow(bytes, sizeof(struct large), &total))
        out_of_memory(a->name, bytes);
    a->held += bytes - l->bytes;
    l = realloc(l, total);
    if (l == NULL)
        out_of_memory(a->name, bytes);
    l->bytes = bytes;
    owner->arg = l;
    memset(l->data + old, 0, bytes - old);
    return l->data;
}

void *arena_alloc(struct arena *a, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes))
        out_of_memory(a->name, SIZE_MAX);
    if (bytes > CARVE_MAX)
        return large_new(a, bytes, true);
    if (bytes == 0)
        bytes = 1;
    return memset(ONE_MALLOC_A_BLOCK ? large_new(a, bytes, true) : carve(a, bytes, ALIGN), 0, bytes);
}

void *arena_realloc(struct arena *a, void *p, size_t old, size_t bytes)
{
    struct chunk *c = a->chunk;

    if (p == NULL)
        return arena_alloc(a, 1, bytes);
    if (bytes <= old)
        return p;
    if (old > CARVE_MAX)
        return large_grow(a, p, old, bytes);
    if (old > 0 && (char *)p + old == c->data + c->used && bytes <= CARVE_MAX &&
        bytes - old <= c->size - c->used) {
        c->used += bytes - old;
        memset((char *)p + old, 0, bytes - old);
        return p;
    }
    return memcpy(arena_alloc(a, 1, bytes), p, old);
}

/* For text, which needs no alignment. Not zeroed when carved. */
static char *text_new(struct arena *a, size_t bytes)
{
    return bytes > CARVE_MAX ? large_new(a, bytes, true) : carve(a, bytes, 1);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    if (len == SIZE_MAX)
        out_of_memory(a->name, len);
    char *copy = text_new(a, len + 1);

    if (len > 0)
        memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_vprintf(struct arena *a, const char *fmt, va_list ap)
{
    struct chunk *c = a->chunk;
    size_t room = ONE_MALLOC_A_BLOCK ? 0 : c->size - c->used;
    va_list again;

    va_copy(again, ap);
    int len = format_text(room > 0 ? c->data + c->used : NULL, room, fmt, ap);
    if (len < 0)
        die("cannot format text for %s", a->name);

    char *s;
    if ((size_t)len < room && len < CARVE_MAX) {
        s = carve(a, (size_t)len + 1, 1);
    } else {
        s = text_new(a, (size_t)len + 1);
        format_text(s, (size_t)len + 1, fmt, again);
    }
    va_end(again);
    return s;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    char *s = arena_vprintf(a, fmt, ap);
    va_end(ap);
    return s;
}

static void close_fd(void *arg)
{
    (void)close((int)(intptr_t)arg);
}

void arena_owns_fd(struct arena *a, int fd)
{
    arena_on_destroy(a, close_fd, (void *)(intptr_t)fd);
}

size_t arena_size(const struct arena *a)
{
    return a->held;
}

struct arena_mark arena_mark(const struct arena *a)
{
    return (struct arena_mark){ .block = a->chunk, .used = a->chunk->used, .cleanup = a->cleanups };
}

/* First the cleanups, newest first, then the memory they could look at. A cleanup may
 * allocate and add cleanups: they run too. */
static void run_cleanups(struct arena *a, const struct cleanup *until)
{
    struct cleanup *large = NULL;

    while (a->cleanups != until) {
        struct cleanup *c = a->cleanups;

        a->cleanups = c->older;
        if (c->fn != NULL) {
            c->fn(c->arg);
        } else {
            c->older = large;
            large = c;
        }
    }
    for (; large != NULL; large = large->older) {
        a->held -= ((struct large *)large->arg)->bytes;
        free(large->arg);
    }
}

void arena_reset(struct arena *a, struct arena_mark m)
{
    run_cleanups(a, m.cleanup);
    while (a->chunk != m.block) {
        struct chunk *c = a->chunk;

        a->chunk = c->older;
        a->held -= c->size;
        chunk_put(c);
    }
    a->chunk->used = m.used;
}

void arena_destroy(struct arena **ap)
{
    struct arena *a = *ap;

    *ap = NULL;
    if (a == NULL)
        return;
    run_cleanups(a, NULL);
    for (struct chunk *c = a->chunk, *older; c != NULL; c = older) { /* the last holds *a */
        older = c->older;
        chunk_put(c);
    }
}
