#include "expand/operator_handlers.h"

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"

/* 64-bit arithmetic with C's precedences (manual 11.6, eval). */
enum { EVAL_DEPTH_MAX = 200 };

struct arithmetic {
    struct expand_ctx *ctx;
    const char *start, *p;
    const char *error; /* static text, once something is wrong */
    int depth;
    bool decimal;
};

static int64_t parse_or(struct arithmetic *e);

static int64_t wrong(struct arithmetic *e, const char *what)
{
    if (e->error == NULL)
        e->error = what;
    return 0;
}

static void skip_space(struct arithmetic *e)
{
    e->p = cstr_skip_space(e->p);
}

/* Like strtol, too large a number is the largest. */
static int64_t parse_number(struct arithmetic *e)
{
    int64_t base = 10, v = 0;

    if (!e->decimal && *e->p == '0') {
        base = to_lower(e->p[1]) == 'x' ? 16 : 8;
        if (base == 16)
            e->p += 2;
    }
    for (int d; (d = hex_value(*e->p)) >= 0 && d < base; e->p++)
        if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
            v = INT64_MAX;
    static const char factors[] = "kmg";
    for (int i = 0; i < 3; i++)
        if (to_lower(*e->p) == factors[i]) {
            e->p++;
            return (int64_t)((uint64_t)v << (10 * (i + 1)));
        }
    return v;
}

static int64_t parse_operand(struct arithmetic *e)
{
    skip_space(e);
    if (is_digit(*e->p)) {
        int64_t v = parse_number(e);

        skip_space(e);
        return v;
    }
    if (*e->p != '(')
        return wrong(e, "expecting number or opening parenthesis");
    e->p++;
    int64_t v = parse_or(e);
    if (e->error == NULL && *e->p != ')')
        return wrong(e, "expecting closing parenthesis");
    if (e->error == NULL) {
        e->p++;
        skip_space(e);
    }
    return v;
}

static int64_t parse_unary(struct arithmetic *e)
{
    bool negate = false, invert = false;
    int64_t v;

    skip_space(e);
    if (*e->p == '+' || *e->p == '-' || *e->p == '~') {
        negate = *e->p == '-';
        invert = *e->p == '~';
        e->p++;
        if (++e->depth > EVAL_DEPTH_MAX)
            return wrong(e, "nested too deeply");
        v = parse_unary(e);
        e->depth--;
    } else {
        v = parse_operand(e);
    }
    return negate ? (int64_t)(0 - (uint64_t)v) : invert ? ~v : v;
}

static int64_t divide(struct arithmetic *e, char op, int64_t x, int64_t y)
{
    if (y == 0)
        return wrong(e, op == '/' ? "divide by zero" : "modulo by zero");
    if (y == -1) /* the one quotient that does not fit, and that C leaves undefined */
        return op == '/' ? (int64_t)(0 - (uint64_t)x) : 0;
    return op == '/' ? x / y : x % y;
}

static int64_t parse_product(struct arithmetic *e)
{
    int64_t x = parse_unary(e);

    while (e->error == NULL && (*e->p == '*' || *e->p == '/' || *e->p == '%')) {
        char op = *e->p++;
        int64_t y = parse_unary(e);

        if (e->error == NULL)
            x = op == '*' ? (int64_t)((uint64_t)x * (uint64_t)y) : divide(e, op, x, y);
    }
    return x;
}

static int64_t parse_sum(struct arithmetic *e)
{
    int64_t x = parse_product(e);

    while (e->error == NULL && (*e->p == '+' || *e->p == '-')) {
        char op = *e->p++;
        int64_t y = parse_product(e);

        if (op == '+' ? __builtin_add_overflow(x, y, &x)
                      : __builtin_sub_overflow(x, y, &x))
            return wrong(e, "overflow in sum");
    }
    return x;
}

static int64_t parse_shift(struct arithmetic *e)
{
    int64_t x = parse_sum(e);

    while (e->error == NULL && (*e->p == '<' || *e->p == '>') && e->p[1] == *e->p) {
        bool left = *e->p == '<';

        e->p += 2;
        unsigned by = (unsigned)parse_sum(e) & 63;
        x = left ? (int64_t)((uint64_t)x << by) : x >> by;
    }
    return x;
}

static int64_t parse_and(struct arithmetic *e)
{
    int64_t x = parse_shift(e);

    while (e->error == NULL && *e->p == '&') {
        e->p++;
        x &= parse_shift(e);
    }
    return x;
}

static int64_t parse_xor(struct arithmetic *e)
{
    int64_t x = parse_and(e);

    while (e->error == NULL && *e->p == '^') {
        e->p++;
        x ^= parse_and(e);
    }
    return x;
}

static int64_t parse_or(struct arithmetic *e)
{
    if (++e->depth > EVAL_DEPTH_MAX)
        return wrong(e, "nested too deeply");
    int64_t x = parse_xor(e);

    while (e->error == NULL && *e->p == '|') {
        e->p++;
        x |= parse_xor(e);
    }
    e->depth--;
    return x;
}

static enum expand_rc evaluate(struct expand_ctx *ctx, const char *in, bool decimal,
                               const char **out)
{
    struct arithmetic e = { .ctx = ctx, .start = in, .p = in, .decimal = decimal };
    int64_t v = parse_or(&e);

    if (e.error == NULL && *e.p != '\0')
        wrong(&e, "expecting operator");
    if (e.error != NULL)
        return eval_fail(ctx,
                         "error in expression evaluation: %s (after processing \"%.*s\")",
                         e.error, (int)(e.p - in), in);
    return eval_number(ctx, v, out);
}

enum expand_rc op_eval(struct expand_ctx *ctx, const struct operator_node *n,
                       const char *in, const char **out)
{
    (void)n;
    return evaluate(ctx, in, false, out);
}

enum expand_rc op_eval10(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    (void)n;
    return evaluate(ctx, in, true, out);
}
