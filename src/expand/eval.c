#include "expand/expand_int.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"

static PRINTF_LIKE(3, 0) enum expand_rc
    word_error(struct expand_ctx *ctx, enum expand_rc rc, const char *fmt, va_list ap)
{
    ctx->err = (struct err){ .msg = arena_vprintf(ctx->arena, fmt, ap) };
    return rc;
}

enum expand_rc eval_fail(struct expand_ctx *ctx, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    enum expand_rc rc = word_error(ctx, EXPAND_FAIL, fmt, ap);
    va_end(ap);
    return rc;
}

enum expand_rc eval_forced(struct expand_ctx *ctx, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    enum expand_rc rc = word_error(ctx, EXPAND_FORCED, fmt, ap);
    va_end(ap);
    return rc;
}

enum expand_rc eval_more(struct expand_ctx *ctx, enum expand_rc rc, const char *fmt, ...)
{
    va_list ap;

    if (rc != EXPAND_FAIL || ctx->err.msg == NULL)
        return rc;
    va_start(ap, fmt);
    ctx->err.msg = arena_printf(ctx->arena, "%s%s", ctx->err.msg,
                                arena_vprintf(ctx->arena, fmt, ap));
    va_end(ap);
    return rc;
}

bool eval_permitted(struct expand_ctx *ctx, unsigned what, const char *refusal)
{
    if ((ctx->forbid & what) == 0)
        return true;
    ctx->err = (struct err){ .msg = refusal };
    return false;
}

enum expand_rc eval_buf(struct expand_ctx *ctx, struct buf *b, const char **out)
{
    if (b->full)
        return eval_fail(ctx, "the expanded string is too long");
    *out = buf_cstr(b);
    return EXPAND_OK;
}

enum expand_rc eval_number(struct expand_ctx *ctx, int64_t v, const char **out)
{
    *out = arena_printf(ctx->arena, "%" PRId64, v);
    return EXPAND_OK;
}

void eval_save(const struct expand_ctx *ctx, struct eval_saved *s)
{
    *s = (struct eval_saved){ ctx->captures, ctx->value, ctx->item };
}

void eval_restore(struct expand_ctx *ctx, const struct eval_saved *s)
{
    ctx->captures = s->captures;
    ctx->value = s->value;
    ctx->item = s->item;
}

/* Values waiting to be put together in one piece of memory of the right size. */
enum { PARTS_MAX = 16 };
struct parts {
    struct str v[PARTS_MAX];
    size_t count, bytes;
};

static const char *concatenate(struct arena *a, const struct parts *p)
{
    char *text = arena_new_array(a, char, p->bytes + 1), *to = text;

    for (size_t i = 0; i < p->count; i++)
        to = mempcpy(to, p->v[i].p, p->v[i].len);
    return text;
}

static enum expand_rc join(struct expand_ctx *ctx, const struct expr_node *n,
                           const char **out)
{
    struct parts p;

    p.count = p.bytes = 0;
    for (; n != NULL; n = n->next) {
        const char *s;
        enum expand_rc rc = n->eval(ctx, n, &s);

        if (rc != EXPAND_OK)
            return rc;
        if (p.count == PARTS_MAX) {
            p.v[0] = (struct str){ concatenate(ctx->arena, &p), p.bytes };
            p.count = 1;
        }
        p.v[p.count] = str_from(s);
        p.bytes += p.v[p.count++].len;
        if (p.bytes > EXPAND_RESULT_MAX)
            return eval_fail(ctx, "the expanded string is too long");
    }
    *out = concatenate(ctx->arena, &p);
    return EXPAND_OK;
}

enum expand_rc eval_nodes(struct expand_ctx *ctx, const struct expr_node *n,
                          const char **out)
{
    if (n == NULL) {
        *out = "";
        return EXPAND_OK;
    }
    if (ctx->depth >= EXPAND_DEPTH_MAX)
        return eval_fail(ctx, "string expansions are nested too deeply");
    ctx->depth++;
    enum expand_rc rc = n->next == NULL ? n->eval(ctx, n, out) : join(ctx, n, out);
    ctx->depth--;
    return rc;
}

static unsigned factor_shift(char c)
{
    switch (to_lower(c)) {
    case 'k':
        return 10;
    case 'm':
        return 20;
    case 'g':
        return 30;
    default:
        return 0;
    }
}

enum expand_rc eval_integer(struct expand_ctx *ctx, const char *s, int64_t *out)
{
    const char *p = cstr_skip_space(s);
    bool negative = *p == '-', over = false;
    int64_t v = 0;

    *out = 0;
    if (*p == '\0')
        return EXPAND_OK;
    p += *p == '-' || *p == '+';
    if (!is_digit(*p))
        return eval_fail(ctx, "integer expected but \"%s\" found", cstr_skip_space(s));
    for (; is_digit(*p); p++) {
        int digit = negative ? '0' - *p : *p - '0';

        over |= __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v);
    }
    unsigned shift = factor_shift(*p);
    over |= __builtin_mul_overflow(v, (int64_t)1 << shift, &v);
    p = cstr_skip_space(p + (shift != 0));
    if (*p != '\0')
        return eval_fail(ctx, "invalid integer \"%s\"", s);
    if (over)
        return eval_fail(ctx, "absolute value of integer \"%s\" is too large (overflow)",
                         s);
    *out = v;
    return EXPAND_OK;
}
