#include "lookups/lsearch_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/debug.h"
#include "base/hash.h"
#include "exim.h"

/* A file gets an index when this process looks into it again and it is worth it; the
 * index stays while the file is the same one, so that a session or delivery process with
 * a large alias file reads it once. */
enum { INDEX_FILES = 16, SMALL_FILE = 8 * 1024, LARGEST_FILE = 256 * 1024 * 1024 };

struct entry {
    uint64_t sum, at;
};

struct lsearch_index {
    struct arena *arena; /* NULL: not made yet */
    char *path;          /* of the heap of the slot's arena */
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec modified, changed;
    unsigned seen; /* lookups so far */
    uint64_t used; /* for replacement */
    struct entry *entries;
    uint64_t *offsets; /* entries[i].at again, to hand out */
    size_t count;
};

struct indexes {
    uint64_t clock;
    struct lsearch_index v[INDEX_FILES];
};

static uint64_t key_sum(struct arena *a, struct str key)
{
    char *lower = arena_strndup(a, key.p, key.len);

    for (size_t i = 0; i < key.len; i++)
        lower[i] = to_lower(lower[i]);
    return hash_bytes(lower, key.len);
}

static bool same_file(const struct lsearch_index *x, const struct lsearch_file *f)
{
    return x->path != NULL && strcmp(x->path, f->path) == 0 && x->dev == f->st.st_dev &&
           x->ino == f->st.st_ino && x->size == f->st.st_size &&
           memcmp(&x->modified, &f->st.st_mtim, sizeof(x->modified)) == 0 &&
           memcmp(&x->changed, &f->st.st_ctim, sizeof(x->changed)) == 0;
}

static void forget(struct lsearch_index *x)
{
    arena_destroy(&x->arena);
    *x = (struct lsearch_index){ 0 };
}

static void forget_all(void *arg)
{
    struct indexes *all = arg;

    for (size_t i = 0; i < INDEX_FILES; i++)
        forget(&all->v[i]);
}

static struct indexes *all_indexes(struct exim *x)
{
    struct indexes **slot = (struct indexes **)search_slot(x->search, "lsearch");

    if (*slot == NULL) {
        *slot = arena_new_obj(x->arena, struct indexes);
        arena_on_destroy(x->arena, forget_all, *slot);
    }
    return *slot;
}

static struct lsearch_index *index_for(struct indexes *all, const struct lsearch_file *f)
{
    struct lsearch_index *oldest = &all->v[0];

    for (size_t i = 0; i < INDEX_FILES; i++) {
        struct lsearch_index *x = &all->v[i];

        if (same_file(x, f))
            return x;
        if (x->used < oldest->used)
            oldest = x;
    }
    /* A changed file leaves its old index to be the oldest soon enough. */
    forget(oldest);
    oldest->arena = arena_new("lsearch index");
    oldest->path = arena_strdup(oldest->arena, f->path);
    oldest->dev = f->st.st_dev;
    oldest->ino = f->st.st_ino;
    oldest->size = f->st.st_size;
    oldest->modified = f->st.st_mtim;
    oldest->changed = f->st.st_ctim;
    return oldest;
}

static int by_sum(const void *va, const void *vb)
{
    const struct entry *a = va, *b = vb;

    if (a->sum != b->sum)
        return a->sum < b->sum ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static void add_entry(struct lsearch_index *x, size_t *cap, struct entry e)
{
    if (x->count == *cap) {
        size_t grown = *cap == 0 ? 1024 : *cap * 2;

        x->entries = arena_realloc(x->arena, x->entries, *cap * sizeof(struct entry),
                                   grown * sizeof(struct entry));
        *cap = grown;
    }
    x->entries[x->count++] = e;
}

static bool read_keys(struct lsearch_index *x, struct arena *a,
                      const struct lsearch_file *f)
{
    struct arena *scratch = arena_new("lsearch keys");
    struct arena_mark m = arena_mark(scratch);
    struct lsearch_reader r;
    size_t cap = 0;

    lsearch_reader_init(&r, a, f, 0, LSEARCH_WALK);
    while (lsearch_reader_next(&r)) {
        struct lsearch_key k;

        if (lsearch_key_parse(scratch, &r.line, &k))
            add_entry(x, &cap,
                      (struct entry){ key_sum(scratch, k.key), (uint64_t)r.line_at });
        arena_reset(scratch, m);
    }
    arena_destroy(&scratch);
    return !r.failed;
}

static bool make_index(struct lsearch_index *x, const struct lsearch_file *f)
{
    struct arena *a = arena_new("lsearch scan");
    bool ok = read_keys(x, a, f);

    arena_destroy(&a);
    if (!ok || x->count == 0) {
        x->entries = NULL;
        x->count = 0;
        return false;
    }
    qsort(x->entries, x->count, sizeof(struct entry), by_sum);
    x->offsets = arena_new_array(x->arena, uint64_t, x->count);
    for (size_t i = 0; i < x->count; i++)
        x->offsets[i] = x->entries[i].at;
    DEBUG(D_LOOKUP)
    debug_printf("indexed %s: %zu keys\n", f->path, x->count);
    return true;
}

static const uint64_t *offsets_of(const struct lsearch_index *x, uint64_t sum,
                                  size_t *count)
{
    size_t low = 0, high = x->count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (x->entries[mid].sum < sum)
            low = mid + 1;
        else
            high = mid;
    }
    size_t end = low;
    while (end < x->count && x->entries[end].sum == sum)
        end++;
    *count = end - low;
    return *count == 0 ? NULL : x->offsets + low;
}

const uint64_t *lsearch_index_find(struct lookup_call *call, const struct lsearch_file *f,
                                   struct str key, size_t *count, bool *known)
{
    *count = 0;
    *known = false;
    if (f->st.st_size < SMALL_FILE || f->st.st_size > LARGEST_FILE)
        return NULL;
    struct indexes *all = all_indexes(call->exim);
    struct lsearch_index *x = index_for(all, f);
    x->used = ++all->clock;
    if (x->entries == NULL && (++x->seen != 2 || !make_index(x, f)))
        return NULL;
    *known = true;
    return offsets_of(x, key_sum(call->arena, key), count);
}
