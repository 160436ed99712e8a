#include "expand/operator_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/ctype.h"
#include "base/tod.h"

static const char base62_digits[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";

/* Digits only; too large a number becomes the largest. */
static bool parse_decimal(const char *s, uint64_t *out)
{
    uint64_t v = 0;

    for (; is_digit(*s); s++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            v = UINT64_MAX;
    *out = v;
    return *s == '\0';
}

static enum expand_rc no_decimal(struct expand_ctx *ctx, const char *base, const char *in)
{
    return eval_fail(ctx,
                     "argument for %s operator is \"%s\", which is not a decimal number",
                     base, in);
}

enum expand_rc op_base62(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    char text[7] = "";
    uint64_t v;

    (void)n;
    if (!parse_decimal(in, &v))
        return no_decimal(ctx, "base62", in);
    for (int i = 5; i >= 0; i--, v /= 62)
        text[i] = base62_digits[v % 62];
    *out = arena_strdup(ctx->arena, text);
    return EXPAND_OK;
}

enum expand_rc op_base62d(struct expand_ctx *ctx, const struct operator_node *n,
                          const char *in, const char **out)
{
    uint64_t v = 0;

    (void)n;
    for (const char *p = in; *p != '\0'; p++) {
        const char *d = strchr(base62_digits, *p);

        if (d == NULL)
            return eval_fail(
                ctx,
                "argument for base62d operator is \"%s\", which is not a base 62 number",
                in);
        v = v * 62 + (uint64_t)(d - base62_digits);
    }
    return eval_number(ctx, (int64_t)v, out);
}

enum expand_rc op_base32(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    char text[16];
    size_t at = sizeof(text);
    uint64_t v;

    (void)n;
    if (!parse_decimal(in, &v))
        return no_decimal(ctx, "base32", in);
    for (; v > 0; v /= 32)
        text[--at] = base32_digits[v % 32];
    *out = arena_strndup(ctx->arena, text + at, sizeof(text) - at);
    return EXPAND_OK;
}

enum expand_rc op_base32d(struct expand_ctx *ctx, const struct operator_node *n,
                          const char *in, const char **out)
{
    uint64_t v = 0;

    (void)n;
    for (const char *p = in; *p != '\0'; p++) {
        const char *d = strchr(base32_digits, *p);

        if (d == NULL)
            return eval_fail(
                ctx,
                "argument for base32d operator is \"%s\", which is not a base 32 number",
                in);
        v = v * 32 + (uint64_t)(d - base32_digits);
    }
    return eval_number(ctx, (int64_t)v, out);
}

enum expand_rc op_randint(struct expand_ctx *ctx, const struct operator_node *n,
                          const char *in, const char **out)
{
    int64_t v;
    enum expand_rc rc = eval_integer(ctx, in, &v);

    (void)n;
    if (rc != EXPAND_OK)
        return rc;
    if (v < 0)
        return eval_fail(ctx, "non-negative integer expected but \"%s\" found", in);
    uint32_t below = v > INT32_MAX ? INT32_MAX : (uint32_t)v;
    return eval_number(ctx, below == 0 ? 0 : random_below(below), out);
}

enum expand_rc op_time_eval(struct expand_ctx *ctx, const struct operator_node *n,
                            const char *in, const char **out)
{
    long seconds = tod_interval_parse(in);

    (void)n;
    if (seconds < 0)
        return eval_fail(
            ctx, "string \"%s\" is not an Exim time interval in \"time_eval\" operator",
            in);
    return eval_number(ctx, seconds, out);
}

enum expand_rc op_time_interval(struct expand_ctx *ctx, const struct operator_node *n,
                                const char *in, const char **out)
{
    uint64_t v;

    (void)n;
    if (!parse_decimal(in, &v) || v > INT32_MAX)
        return eval_fail(
            ctx, "string \"%s\" is not a positive number in \"time_interval\" operator",
            in);
    *out = tod_interval_print(ctx->arena, (long)v);
    return EXPAND_OK;
}
