/* buf.h - a growing byte buffer with a ceiling given at creation.
 *
 * Lives in an arena. Appending beyond the ceiling drops the bytes and sets `full`,
 * which the user must look at before using the result. b->p is always NUL-terminated
 * (the NUL is not counted) once anything was appended or buf_cstr was called. */
#ifndef EXIM_BUF_H
#define EXIM_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct arena;

struct buf {
    struct arena *arena;
    char *p;
    size_t len, cap, ceiling;
    bool full;
};

enum { BUF_DEFAULT_CEILING = 64 * 1024 * 1024 };

struct buf buf_init(struct arena *a, size_t ceiling);
void buf_clear(struct buf *b); /* len = 0, full = false; memory is kept */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_add_str(struct buf *b, struct str s);
void buf_add_cstr(struct buf *b, const char *s);
void buf_add_char(struct buf *b, char c);
void buf_add_number(struct buf *b, long long v, unsigned digits); /* with zeros in front to so many, at most 20 */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
void buf_truncate(struct buf *b, size_t len);
/* Drops the first n bytes and moves the rest down. */
void buf_consume(struct buf *b, size_t n);
char *buf_reserve(struct buf *b, size_t n); /* room for n more bytes; NULL beyond the ceiling */
void buf_commit(struct buf *b, size_t n);   /* n of the reserved bytes were written */
char *buf_cstr(struct buf *b) NONNULL_RET;  /* NUL-terminated, "" when empty */
struct str buf_view(const struct buf *b);

#endif
