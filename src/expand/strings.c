#include "expand/strings.h"

#include <limits.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "expand/expand_int.h"

enum expand_rc strings_number(struct expand_ctx *ctx, const char *s, bool may_be_negative,
                              const char *item, long *out)
{
    const char *p = cstr_skip_space(s);
    bool negative = *p == '-';
    long v = 0;

    p += *p == '-' || *p == '+';
    for (; is_digit(*p); p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, *p - '0', &v))
            v = INT_MAX;
    if (*p != '\0' || (negative && !may_be_negative))
        return eval_fail(ctx, "\"%s\" is not a %snumber (in \"%s\" expansion)", s,
                         may_be_negative ? "" : "positive ", item);
    if (v > INT_MAX)
        v = INT_MAX;
    *out = negative ? -v : v;
    return EXPAND_OK;
}

const char *strings_length(struct expand_ctx *ctx, const char *s, long n)
{
    size_t len = strnlen(s, (size_t)n);

    return s[len] == '\0' ? s : arena_strndup(ctx->arena, s, len);
}

const char *strings_substr(struct expand_ctx *ctx, const char *s, long start, long len,
                           bool has_len)
{
    long size = (long)strlen(s);

    if (start >= 0) {
        if (start >= size)
            return "";
        return has_len ? strings_length(ctx, s + start, len) : s + start;
    }
    start += size; /* now from the left; still negative when it overshoots */
    if (!has_len)
        return start <= 0 ? "" : strings_length(ctx, s, start);
    if (start < 0) {
        len += start;
        start = 0;
    }
    return len <= 0 ? "" : strings_length(ctx, s + start, len);
}

enum expand_rc strings_hash(struct expand_ctx *ctx, const char *s, long n, long m,
                            const char **out)
{
    static const char codes[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    size_t size = strlen(s), want = (size_t)n;

    if (m < 0)
        m = 26;
    if (m >= (long)sizeof(codes))
        return eval_fail(ctx, "hash count \"%ld\" too big", m);
    if (want >= size) {
        *out = s;
        return EXPAND_OK;
    }
    if (m == 0)
        return eval_fail(ctx, "hash count \"0\" too small");
    /* The rest of the string, rotated by where and what it is, is folded into its first
     * bytes. */
    char *h = arena_strndup(ctx->arena, s, want);
    for (size_t i = want; want > 0 && i < size; i++) {
        unsigned byte = (unsigned char)s[i], shift = (unsigned)(byte + i) & 7;

        h[(i - want) % want] ^= (char)(byte << shift | byte >> (8 - shift));
    }
    for (size_t i = 0; i < want; i++)
        h[i] = codes[(unsigned char)h[i] % m];
    *out = h;
    return EXPAND_OK;
}

enum expand_rc strings_nhash(struct expand_ctx *ctx, const char *s, long n, long m,
                             const char **out)
{
    /* Weights of the bytes: the primes to 113, from the largest down, never 2. */
    static const unsigned char primes[] = { 113, 109, 107, 103, 101, 97, 89, 83, 79, 73,
                                            71,  67,  61,  59,  53,  47, 43, 41, 37, 31,
                                            29,  23,  19,  17,  13,  11, 7,  5,  3 };
    unsigned long total = 0, un = (unsigned long)n, um = (unsigned long)m;

    if (n == 0 || m == 0)
        return eval_fail(ctx, "nhash by zero");
    for (size_t i = 0; s[i] != '\0'; i++)
        total += (unsigned long)primes[i % ARRAY_LEN(primes)] * (unsigned char)s[i];
    if (m < 0)
        return eval_number(ctx, (int64_t)(total % un), out);
    total %= un * um;
    *out = arena_printf(ctx->arena, "%lu/%lu", total / um, total % um);
    return EXPAND_OK;
}

size_t strings_escape(const char *p, struct buf *b)
{
    static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
    const char *start = p, *known = strchr(from, *p);
    int v = 0;

    if (*p >= '0' && *p <= '7') {
        while (p < start + 3 && *p >= '0' && *p <= '7')
            v = v * 8 + (*p++ - '0');
        buf_add_char(b, (char)v);
    } else if (*p == 'x') {
        for (p++; p < start + 3 && is_xdigit(*p); p++)
            v = v * 16 + hex_value(*p);
        buf_add_char(b, (char)v);
    } else {
        buf_add_char(b, known == NULL || *p == '\0' ? *p : to[known - from]);
        p++;
    }
    return (size_t)(p - start);
}
