#include "base/wire.h"

#include <string.h>

#include "base/arena.h"

#define NO_STRING UINT32_MAX

static void put_number(struct buf *b, uint64_t v, int size)
{
    char bytes[8];

    for (int i = size; i-- > 0; v >>= 8)
        bytes[i] = (char)(v & 255);
    buf_add(b, bytes, (size_t)size);
}

void wire_put_u8(struct buf *b, uint8_t v)
{
    put_number(b, v, 1);
}

void wire_put_u32(struct buf *b, uint32_t v)
{
    put_number(b, v, 4);
}

void wire_put_i64(struct buf *b, int64_t v)
{
    put_number(b, (uint64_t)v, 8);
}

void wire_put_bytes(struct buf *b, struct str s)
{
    if (s.len >= NO_STRING) {
        b->full = true;
        return;
    }
    put_number(b, s.len, 4);
    buf_add_str(b, s);
}

void wire_put_cstr(struct buf *b, const char *s)
{
    if (s == NULL)
        wire_put_u32(b, NO_STRING);
    else
        wire_put_bytes(b, str_from(s));
}

struct wire_reader wire_reader(struct str record)
{
    return (struct wire_reader){ .p = record.p, .end = record.p + record.len };
}

/* NULL, and bad from then on, when fewer than n bytes are left. */
static const char *take(struct wire_reader *r, size_t n)
{
    const char *p = r->p;

    if (r->bad || n > (size_t)(r->end - p)) {
        r->bad = true;
        return NULL;
    }
    r->p += n;
    return p;
}

static uint64_t get_number(struct wire_reader *r, int size)
{
    const char *p = take(r, (size_t)size);
    uint64_t v = 0;

    if (p == NULL)
        return 0;
    for (int i = 0; i < size; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

uint8_t wire_get_u8(struct wire_reader *r)
{
    return (uint8_t)get_number(r, 1);
}

uint32_t wire_get_u32(struct wire_reader *r)
{
    return (uint32_t)get_number(r, 4);
}

int64_t wire_get_i64(struct wire_reader *r)
{
    return (int64_t)get_number(r, 8);
}

struct str wire_get_bytes(struct wire_reader *r)
{
    uint32_t len = wire_get_u32(r);
    const char *p = take(r, len);

    return p == NULL ? STR("") : (struct str){ p, len };
}

const char *wire_get_cstr(struct wire_reader *r, struct arena *a)
{
    uint32_t len = wire_get_u32(r);

    if (len == NO_STRING)
        return NULL;
    const char *p = take(r, len);
    if (p != NULL && len > 0 && memchr(p, '\0', len) != NULL)
        r->bad = true;
    return r->bad ? "" : arena_strndup(a, p, len);
}

uint32_t wire_get_count(struct wire_reader *r, size_t min_size)
{
    uint32_t n = wire_get_u32(r);

    if (!r->bad && min_size > 0 && n > (size_t)(r->end - r->p) / min_size)
        r->bad = true;
    return r->bad ? 0 : n;
}

bool wire_done(const struct wire_reader *r)
{
    return !r->bad && r->p == r->end;
}
