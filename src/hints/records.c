#include "hintsdb.h"

#include <limits.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/tod.h"

/* Exim writes its C structs; their members are read and written one by one at the offsets
 * they have there (64-bit, native byte order). Records come from files: nothing is
 * believed. */
enum {
    RETRY_TEXT = 44,
    RETRY_SIZE = 48, /* header; with one byte of text and padding */
    WAIT_TEXT = 16,
    WAIT_SIZE = 24,
    CALLOUT_SIZE = 16,
    CALLOUT_DOMAIN_SIZE = 40,
    RATE_SIZE = 24,
    RATE_BLOOM = 36,
    RATE_PADDED = 40,
    SERIAL_SIZE = 16,
    RECORD_MAX = 16 * 1024 * 1024,
};

static time_t get_time(struct str raw, size_t at)
{
    int64_t v;

    memcpy(&v, raw.p + at, sizeof(v));
    return (time_t)v;
}

static int get_int(struct str raw, size_t at)
{
    int32_t v;

    memcpy(&v, raw.p + at, sizeof(v));
    return v;
}

static void put_time(struct buf *b, time_t t)
{
    int64_t v = (int64_t)t;

    buf_add(b, &v, sizeof(v));
}

static void put_int(struct buf *b, int v)
{
    int32_t w = v;

    buf_add(b, &w, sizeof(w));
}

static void put_zeros(struct buf *b, size_t upto)
{
    while (b->len < upto && !b->full)
        buf_add_char(b, '\0');
}

/* ---- retry ---- */

bool hints_retry_decode(struct arena *a, struct str raw, struct hints_retry *out)
{
    if (raw.len <= RETRY_TEXT)
        return false;
    *out = (struct hints_retry){ .time_stamp = get_time(raw, 0),
                                 .first_failed = get_time(raw, 8),
                                 .last_try = get_time(raw, 16),
                                 .next_try = get_time(raw, 24),
                                 .expired = get_int(raw, 32) != 0,
                                 .basic_errno = get_int(raw, 36),
                                 .more_errno = get_int(raw, 40) };
    const char *text = raw.p + RETRY_TEXT;
    out->text = arena_strndup(a, text, strnlen(text, raw.len - RETRY_TEXT));
    return true;
}

struct str hints_retry_encode(struct arena *a, const struct hints_retry *r)
{
    struct buf b = buf_init(a, RECORD_MAX);
    size_t len = r->text == NULL ? 0 : strlen(r->text);

    put_time(&b, r->time_stamp);
    put_time(&b, r->first_failed);
    put_time(&b, r->last_try);
    put_time(&b, r->next_try);
    put_int(&b, r->expired);
    put_int(&b, r->basic_errno);
    put_int(&b, r->more_errno);
    buf_add(&b, r->text == NULL ? "" : r->text, len);
    put_zeros(&b, RETRY_SIZE + len);
    return buf_view(&b);
}

/* ---- wait ---- */

bool hints_wait_decode(struct arena *a, struct str raw, struct hints_wait *out)
{
    if (raw.len < WAIT_TEXT)
        return false;
    int count = get_int(raw, 8);
    if (count < 0 || (size_t)count > (raw.len - WAIT_TEXT) / MSGID_LEN)
        return false;
    const char **ids = arena_new_array(a, const char *, (size_t)count + 1);
    for (int i = 0; i < count; i++)
        ids[i] = arena_strndup(a, raw.p + WAIT_TEXT + (size_t)i * MSGID_LEN, MSGID_LEN);
    *out = (struct hints_wait){ .time_stamp = get_time(raw, 0),
                                .count = count,
                                .sequence = get_int(raw, 12),
                                .ids = ids };
    return true;
}

struct str hints_wait_encode(struct arena *a, const struct hints_wait *w)
{
    struct buf b = buf_init(a, RECORD_MAX);

    put_time(&b, w->time_stamp);
    put_int(&b, w->count);
    put_int(&b, w->sequence);
    for (int i = 0; i < w->count; i++)
        buf_add(&b, w->ids[i], MSGID_LEN);
    put_zeros(&b, WAIT_SIZE + (size_t)w->count * MSGID_LEN);
    return buf_view(&b);
}

/* ---- callout ---- */

bool hints_callout_decode(struct str raw, bool domain, struct hints_callout *out)
{
    if (raw.len < (domain ? (size_t)CALLOUT_DOMAIN_SIZE : (size_t)CALLOUT_SIZE - 4))
        return false;
    *out = (struct hints_callout){ .time_stamp = get_time(raw, 0),
                                   .result = get_int(raw, 8),
                                   .domain = domain };
    if (!domain)
        return true;
    out->postmaster_result = get_int(raw, 12);
    out->random_result = get_int(raw, 16);
    out->postmaster_stamp = get_time(raw, 24);
    out->random_stamp = get_time(raw, 32);
    return true;
}

struct str hints_callout_encode(struct arena *a, const struct hints_callout *c)
{
    struct buf b = buf_init(a, RECORD_MAX);

    put_time(&b, c->time_stamp);
    put_int(&b, c->result);
    if (c->domain) {
        put_int(&b, c->postmaster_result);
        put_int(&b, c->random_result);
        put_int(&b, 0);
        put_time(&b, c->postmaster_stamp);
        put_time(&b, c->random_stamp);
    } else {
        put_int(&b, 0);
    }
    return buf_view(&b);
}

/* ---- ratelimit ---- */

bool hints_ratelimit_decode(struct arena *a, struct str raw, bool unique,
                            struct hints_ratelimit *out)
{
    double rate;

    if (raw.len < (unique ? (size_t)RATE_BLOOM : (size_t)RATE_SIZE))
        return false;
    memcpy(&rate, raw.p + 16, sizeof(rate));
    *out = (struct hints_ratelimit){ .time_stamp = get_time(raw, 0),
                                     .time_usec = get_int(raw, 8),
                                     .rate = rate };
    if (!(rate >= 0 && rate <= 1e300) || out->time_usec < 0 || out->time_usec > 999999)
        return false;
    if (!unique)
        return true;
    int size = get_int(raw, 32);
    if (size < 0 || (size_t)size > raw.len - RATE_BLOOM)
        return false;
    out->bloom_epoch = get_time(raw, 24);
    out->bloom_size = (unsigned)size;
    out->bloom =
        (const unsigned char *)arena_strndup(a, raw.p + RATE_BLOOM, (size_t)size);
    return true;
}

struct str hints_ratelimit_encode(struct arena *a, const struct hints_ratelimit *r,
                                  bool unique)
{
    struct buf b = buf_init(a, RECORD_MAX);

    put_time(&b, r->time_stamp);
    put_int(&b, r->time_usec);
    put_int(&b, 0);
    buf_add(&b, &r->rate, sizeof(r->rate));
    if (unique) {
        put_time(&b, r->bloom_epoch);
        put_int(&b, (int)r->bloom_size);
        buf_add(&b, r->bloom, r->bloom_size);
        put_zeros(&b, RATE_PADDED + r->bloom_size);
    }
    return buf_view(&b);
}

/* ---- misc ---- */

bool hints_serial_decode(struct str raw, struct hints_serial *out)
{
    if (raw.len < SERIAL_SIZE - 4)
        return false;
    *out =
        (struct hints_serial){ .time_stamp = get_time(raw, 0), .count = get_int(raw, 8) };
    return true;
}

struct str hints_serial_encode(struct arena *a, const struct hints_serial *s)
{
    struct buf b = buf_init(a, RECORD_MAX);

    put_time(&b, s->time_stamp);
    put_int(&b, s->count);
    put_int(&b, 0);
    return buf_view(&b);
}
