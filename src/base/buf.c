#include "base/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/format.h"

struct buf buf_init(struct arena *a, size_t ceiling)
{
    return (struct buf){ .arena = a, .ceiling = ceiling < PTRDIFF_MAX ? ceiling : PTRDIFF_MAX - 1 };
}

void buf_clear(struct buf *b)
{
    buf_truncate(b, 0);
    b->full = false;
}

/* cap counts the byte for the NUL: at most ceiling + 1. */
static bool make_room(struct buf *b, size_t n)
{
    if (n > b->ceiling - b->len || b->len > b->ceiling)
        return false;

    size_t want = b->len + n + 1;
    if (want <= b->cap)
        return true;
    size_t cap = b->cap > 0 ? b->cap : b->ceiling < 63 ? b->ceiling + 1 : 64;
    while (cap < want)
        cap = cap > b->ceiling / 2 ? b->ceiling + 1 : cap * 2;
    b->p = arena_realloc(b->arena, b->p, b->cap, cap);
    b->cap = cap;
    return true;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (!make_room(b, n)) {
        b->full = true;
        return NULL;
    }
    return b->p + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
    b->len += n;
    b->p[b->len] = '\0';
}

void buf_add(struct buf *b, const void *p, size_t n)
{
    if (n > b->ceiling - b->len) { /* as much as fits */
        n = b->ceiling - b->len;
        b->full = true;
    }
    char *to = buf_reserve(b, n);
    if (to == NULL)
        return;
    if (n > 0)
        memcpy(to, p, n);
    buf_commit(b, n);
}

void buf_add_str(struct buf *b, struct str s)
{
    buf_add(b, s.p, s.len);
}

void buf_add_cstr(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_add_char(struct buf *b, char c)
{
    if (b->len + 1 < b->cap) {
        b->p[b->len++] = c;
        b->p[b->len] = '\0';
    } else {
        buf_add(b, &c, 1);
    }
}

void buf_add_number(struct buf *b, long long v, unsigned digits)
{
    char text[24], *end = text + sizeof(text), *p = end;
    unsigned long long left = v < 0 ? -(unsigned long long)v : (unsigned long long)v;

    for (; left > 0 || p == end || (size_t)(end - p) < digits; left /= 10)
        *--p = (char)('0' + left % 10);
    if (v < 0)
        *--p = '-';
    buf_add(b, p, (size_t)(end - p));
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    size_t room = b->cap - b->len;
    va_list again;

    va_copy(again, ap);
    int len = format_text(room > 0 ? b->p + b->len : NULL, room, fmt, ap);
    if (len >= 0 && (size_t)len < room && (size_t)len <= b->ceiling - b->len) {
        b->len += (size_t)len;
    } else if (len >= 0) {
        const char *text = arena_vprintf(b->arena, fmt, again);

        if (room > 0)
            b->p[b->len] = '\0';
        buf_add(b, text, (size_t)len);
    }
    va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_truncate(struct buf *b, size_t len)
{
    if (len > b->len)
        return;
    b->len = len;
    if (b->cap > 0)
        b->p[len] = '\0';
}

void buf_consume(struct buf *b, size_t n)
{
    if (n >= b->len) {
        buf_truncate(b, 0);
        return;
    }
    memmove(b->p, b->p + n, b->len - n + 1);
    b->len -= n;
}

char *buf_cstr(struct buf *b)
{
    if (b->cap == 0)
        (void)buf_reserve(b, 0);
    return b->p;
}

struct str buf_view(const struct buf *b)
{
    return (struct str){ b->len > 0 ? b->p : "", b->len };
}
