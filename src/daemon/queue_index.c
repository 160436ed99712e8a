#include "daemon/queue_index.h"

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"

enum { ROOM_FIRST = 256 };

/* Open addressing; a removed entry leaves a mark, so that searches go on past it. */
struct queue_index {
    struct arena *arena;
    struct queue_entry **slots;
    size_t room, count, used; /* used: with marks */
    struct queue_entry *free;
};

static struct queue_entry removed;

struct queue_index *queue_index_new(struct arena *a)
{
    struct queue_index *x = arena_new_obj(a, struct queue_index);

    x->arena = a;
    x->room = ROOM_FIRST;
    x->slots = arena_new_array(a, struct queue_entry *, x->room);
    return x;
}

size_t queue_index_count(const struct queue_index *x)
{
    return x->count;
}

static size_t first_slot(const struct queue_index *x, const char *id)
{
    return hash_bytes(id, MSGID_LEN) & (x->room - 1);
}

struct queue_entry *queue_index_find(const struct queue_index *x, const char *id)
{
    for (size_t i = first_slot(x, id); x->slots[i] != NULL; i = (i + 1) & (x->room - 1))
        if (x->slots[i] != &removed && memcmp(x->slots[i]->id, id, MSGID_LEN) == 0)
            return x->slots[i];
    return NULL;
}

static void put(struct queue_index *x, struct queue_entry *e)
{
    size_t i = first_slot(x, e->id);

    while (x->slots[i] != NULL)
        i = (i + 1) & (x->room - 1);
    x->slots[i] = e;
    x->used++;
}

/* At most half of the slots are used. Old tables stay in the arena: together no larger than the new. */
static void make_room(struct queue_index *x)
{
    struct queue_entry **old = x->slots;
    size_t old_room = x->room;

    if ((x->used + 1) * 2 <= x->room)
        return;
    if ((x->count + 1) * 4 > x->room) {
        x->room *= 2;
        x->slots = arena_new_array(x->arena, struct queue_entry *, x->room);
    } else { /* full of marks: the same table, made anew beside it for a moment */
        struct arena *a = arena_new("index");
        struct queue_entry **copy = arena_new_array(a, struct queue_entry *, old_room);

        memcpy(copy, old, old_room * sizeof(*copy));
        memset(x->slots, 0, old_room * sizeof(*copy));
        x->used = 0;
        for (size_t i = 0; i < old_room; i++)
            if (copy[i] != NULL && copy[i] != &removed)
                put(x, copy[i]);
        arena_destroy(&a);
        return;
    }
    x->used = 0;
    for (size_t i = 0; i < old_room; i++)
        if (old[i] != NULL && old[i] != &removed)
            put(x, old[i]);
}

struct queue_entry *queue_index_add(struct queue_index *x, const char *id)
{
    struct queue_entry *e = queue_index_find(x, id);

    if (e != NULL)
        return e;
    make_room(x);
    e = x->free;
    if (e != NULL)
        x->free = e->next;
    else
        e = arena_new_obj(x->arena, struct queue_entry);
    *e = (struct queue_entry){ 0 };
    memcpy(e->id, id, MSGID_LEN);
    put(x, e);
    x->count++;
    return e;
}

void queue_index_remove(struct queue_index *x, struct queue_entry *e)
{
    size_t i = first_slot(x, e->id);

    while (x->slots[i] != e)
        i = (i + 1) & (x->room - 1);
    x->slots[i] = &removed;
    x->count--;
    e->next = x->free;
    x->free = e;
}

struct queue_entry *queue_index_next(const struct queue_index *x, size_t *at)
{
    while (*at < x->room) {
        struct queue_entry *e = x->slots[(*at)++];

        if (e != NULL && e != &removed)
            return e;
    }
    return NULL;
}
