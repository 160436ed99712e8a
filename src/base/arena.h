/* arena.h - memory that lives exactly as long as one thing we are doing.
 *
 * An arena belongs to a configuration, a connection, a message, an address or
 * one expansion; destroying it frees everything and runs the cleanups, newest
 * first. Allocation never fails: running out of memory is fatal. Memory comes
 * back zeroed and aligned for any object. An object may point into its own arena
 * or a longer-lived one, never into a shorter-lived one. Blocks of at most a page
 * are carved from chunks; released chunks are kept for the next arena. */
#ifndef EXIM_ARENA_H
#define EXIM_ARENA_H

#include <stdarg.h>
#include <stddef.h>

#include "base/attr.h"

struct arena;

struct arena *arena_new(const char *name) NONNULL_RET; /* name: static text, for debug */
void arena_destroy(struct arena **ap);                 /* NULL is fine; sets *ap to NULL */

void *arena_alloc(struct arena *a, size_t n, size_t size) NONNULL_RET;
/* Not zeroed: pages that nothing is read into take no memory. For large ones that are filled from outside. */
char *arena_new_buffer(struct arena *a, size_t bytes) NONNULL_RET;
/* Grows p (the newest block grows in place) to hold `bytes`; p may be NULL with old 0. */
void *arena_realloc(struct arena *a, void *p, size_t old, size_t bytes) NONNULL_RET;
char *arena_strdup(struct arena *a, const char *s) NONNULL_RET;
char *arena_strndup(struct arena *a, const char *s, size_t len) NONNULL_RET;
char *arena_printf(struct arena *a, const char *fmt, ...) NONNULL_RET PRINTF_LIKE(2, 3);
char *arena_vprintf(struct arena *a, const char *fmt, va_list ap) NONNULL_RET PRINTF_LIKE(2, 0);
/* fn(arg) runs when the arena is destroyed: file descriptors, SSL objects, db handles. */
void arena_on_destroy(struct arena *a, void (*fn)(void *), void *arg);
/* Closes fd when the arena is destroyed. */
void arena_owns_fd(struct arena *a, int fd);
size_t arena_size(const struct arena *a); /* bytes held, for limits and debug */

/* A point to go back to: everything allocated after the mark is freed, and cleanups
 * added after it run. For loops that would otherwise grow without bound. */
struct arena_mark {
    void *block;
    size_t used;
    void *cleanup;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_reset(struct arena *a, struct arena_mark m);

/* For a process that was just forked and is one of many: its arenas take fresh memory from now on, packed
 * on few pages, and leave alone what its parent had released, as to write there makes copies of pages
 * that all of them share. */
void arena_keep_apart(void);

#define arena_new_obj(a, T)      ((T *)arena_alloc((a), 1, sizeof(T)))
#define arena_new_array(a, T, n) ((T *)arena_alloc((a), (n), sizeof(T)))

#endif
