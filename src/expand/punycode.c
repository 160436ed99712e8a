#include "expand/punycode.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"

/* RFC 3492 section 5. */
enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, BIAS = 72, FIRST = 128 };
enum { POINTS_MAX = 4096 }; /* the algorithm takes quadratic time */

size_t utf8_decode(const char *s, uint32_t *cp)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    unsigned char lead = (unsigned char)*s;
    size_t more = lead < 0x80 ? 0 : lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1, n = 1;

    *cp = UINT32_MAX;
    if ((lead >= 0x80 && lead < 0xc2) || lead >= 0xf8)
        return 1;
    uint32_t v = more == 0 ? lead : lead & (0x3fU >> more);
    for (; n <= more && ((unsigned char)s[n] & 0xc0) == 0x80; n++)
        v = v << 6 | ((unsigned char)s[n] & 0x3f);
    if (n == more + 1 && v >= least[more] && v <= 0x10ffff && (v < 0xd800 || v > 0xdfff))
        *cp = v;
    return n;
}

static void put_utf8(struct buf *b, uint32_t cp)
{
    unsigned more = cp < 0x80 ? 0 : cp < 0x800 ? 1 : cp < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = { 0, 0xc0, 0xe0, 0xf0 };

    buf_add_char(b, (char)(lead[more] | cp >> (6 * more)));
    while (more-- > 0)
        buf_add_char(b, (char)(0x80 | (cp >> (6 * more) & 0x3f)));
}

static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;

    delta = first ? delta / DAMP : delta / 2;
    delta += delta / points;
    for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
        delta /= BASE - T_MIN;
    return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static uint32_t threshold(uint32_t k, uint32_t bias)
{
    return k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
}

static void put_delta(struct buf *b, uint32_t q, uint32_t bias)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";

    for (uint32_t k = BASE;; k += BASE) {
        uint32_t t = threshold(k, bias);

        if (q < t)
            break;
        buf_add_char(b, digits[t + (q - t) % (BASE - t)]);
        q = (q - t) / (BASE - t);
    }
    buf_add_char(b, digits[q]);
}

struct points {
    uint32_t *v;
    size_t n;
};

static bool read_utf8(struct arena *a, const char *s, struct points *p)
{
    size_t max = strlen(s);

    p->v = arena_new_array(a, uint32_t, max);
    for (p->n = 0; *s != '\0'; p->n++) {
        s += utf8_decode(s, &p->v[p->n]);
        if (p->v[p->n] == UINT32_MAX)
            return false;
    }
    return true;
}

static uint32_t next_point(const struct points *p, uint32_t from)
{
    uint32_t next = UINT32_MAX;

    for (size_t i = 0; i < p->n; i++)
        if (p->v[i] >= from && p->v[i] < next)
            next = p->v[i];
    return next;
}

static bool encode_points(struct buf *b, const struct points *p, uint32_t basic)
{
    uint32_t n = FIRST, delta = 0, bias = BIAS, done = basic;

    while (done < p->n) {
        uint32_t m = next_point(p, n), step;

        if (__builtin_mul_overflow(m - n, done + 1, &step) ||
            __builtin_add_overflow(delta, step, &delta))
            return false;
        n = m;
        for (size_t i = 0; i < p->n; i++) {
            delta += p->v[i] < n;
            if (p->v[i] != n)
                continue;
            put_delta(b, delta, bias);
            bias = adapt(delta, done + 1, done == basic);
            delta = 0;
            done++;
        }
        delta++;
        n++;
    }
    return true;
}

const char *punycode_encode(struct arena *a, const char *utf8, const char **why)
{
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);
    struct points p;
    uint32_t basic = 0;

    *why = "l_u2a: bad UTF-8 input";
    if (!read_utf8(a, utf8, &p))
        return NULL;
    *why = "l_u2a: too long";
    if (p.n > POINTS_MAX)
        return NULL;
    for (size_t i = 0; i < p.n; i++)
        if (p.v[i] < FIRST) {
            buf_add_char(&b, (char)p.v[i]);
            basic++;
        }
    if (basic > 0)
        buf_add_char(&b, '-');
    return encode_points(&b, &p, basic) ? buf_cstr(&b) : NULL;
}

/* ---- decoding ---- */

static int digit_value(char c)
{
    c = to_lower(c);
    return is_lower(c) ? c - 'a' : is_digit(c) ? c - '0' + 26 : -1;
}

/* One variable-length integer added to *i. */
static bool read_delta(const char **s, uint32_t bias, uint32_t *i)
{
    uint32_t w = 1, step;

    for (uint32_t k = BASE;; k += BASE) {
        int d = digit_value(**s);

        if (d < 0)
            return false;
        ++*s;
        if (__builtin_mul_overflow((uint32_t)d, w, &step) ||
            __builtin_add_overflow(*i, step, i))
            return false;
        uint32_t t = threshold(k, bias);
        if ((uint32_t)d < t)
            return true;
        if (__builtin_mul_overflow(w, BASE - t, &w))
            return false;
    }
}

static bool decode_points(const char *s, struct points *p)
{
    uint32_t n = FIRST, i = 0, bias = BIAS;

    while (*s != '\0') {
        uint32_t old = i, count = (uint32_t)p->n + 1;

        if (!read_delta(&s, bias, &i))
            return false;
        bias = adapt(i - old, count, old == 0);
        if (__builtin_add_overflow(n, i / count, &n) || n > 0x10ffff)
            return false;
        i %= count;
        memmove(&p->v[i + 1], &p->v[i], (p->n - i) * sizeof(*p->v));
        p->v[i++] = n;
        p->n++;
    }
    return true;
}

const char *punycode_decode(struct arena *a, const char *ascii, const char **why)
{
    const char *dash = strrchr(ascii, '-');
    size_t len = strlen(ascii), basic = dash == NULL ? 0 : (size_t)(dash - ascii);
    struct points p = { arena_new_array(a, uint32_t, len + 1), 0 };

    *why = "Invalid input";
    if (len > POINTS_MAX)
        return NULL;
    for (; p.n < basic; p.n++) {
        p.v[p.n] = (unsigned char)ascii[p.n];
        if (p.v[p.n] >= FIRST)
            return NULL;
    }
    if (!decode_points(dash == NULL ? ascii : dash + 1, &p))
        return NULL;
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);
    for (size_t i = 0; i < p.n; i++)
        put_utf8(&b, p.v[i]);
    return buf_cstr(&b);
}
