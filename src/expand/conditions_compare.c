#include "expand/condition_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/str.h"

/* ---- numbers ---- */

/* <0, 0, >0 as the first is less than, equal to, greater than the second. */
static enum expand_rc compare_numbers(struct expand_ctx *ctx, const struct cond_node *n,
                                      int *order)
{
    const char *v[ITEM_ARG_MAX];
    int64_t a, b;
    enum expand_rc rc = condition_args(ctx, n, v);

    if (rc == EXPAND_OK)
        rc = eval_integer(ctx, v[0], &a);
    if (rc == EXPAND_OK)
        rc = eval_integer(ctx, v[1], &b);
    if (rc == EXPAND_OK)
        *order = a < b ? -1 : a > b;
    return rc;
}

static enum expand_rc compare_strings(struct expand_ctx *ctx, const struct cond_node *n,
                                      bool caseless, int *order)
{
    const char *v[ITEM_ARG_MAX];
    enum expand_rc rc = condition_args(ctx, n, v);

    if (rc == EXPAND_OK)
        *order = caseless ? strcasecmp(v[0], v[1]) : strcmp(v[0], v[1]);
    return rc;
}

#define NUMERIC(name, op)                                                                \
    enum expand_rc name(struct expand_ctx *ctx, const struct cond_node *n, bool *out)    \
    {                                                                                    \
        int order = 0;                                                                   \
        enum expand_rc rc = compare_numbers(ctx, n, &order);                             \
                                                                                         \
        *out = order op 0;                                                               \
        return rc;                                                                       \
    }
#define LEXICAL(name, caseless, op)                                                      \
    enum expand_rc name(struct expand_ctx *ctx, const struct cond_node *n, bool *out)    \
    {                                                                                    \
        int order = 0;                                                                   \
        enum expand_rc rc = compare_strings(ctx, n, caseless, &order);                   \
                                                                                         \
        *out = order op 0;                                                               \
        return rc;                                                                       \
    }

NUMERIC(cond_num_eq, ==)
NUMERIC(cond_num_gt, >)
NUMERIC(cond_num_ge, >=)
NUMERIC(cond_num_lt, <)
NUMERIC(cond_num_le, <=)
LEXICAL(cond_eq, false, ==)
LEXICAL(cond_eqi, true, ==)
LEXICAL(cond_ge, false, >=)
LEXICAL(cond_gei, true, >=)
LEXICAL(cond_gt, false, >)
LEXICAL(cond_gti, true, >)
LEXICAL(cond_le, false, <=)
LEXICAL(cond_lei, true, <=)
LEXICAL(cond_lt, false, <)
LEXICAL(cond_lti, true, <)

/* ---- truth ---- */

static enum expand_rc trimmed_arg(struct expand_ctx *ctx, const struct cond_node *n,
                                  const char **out)
{
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], out);

    if (rc != EXPAND_OK)
        return rc;
    const char *s = cstr_skip_space(*out);
    size_t len = strlen(s);
    while (len > 0 && is_space(s[len - 1]))
        len--;
    *out = arena_strndup(ctx->arena, s, len);
    return EXPAND_OK;
}

static bool is_false(const char *s)
{
    return *s == '\0' || cstr_ieq(s, "no") || cstr_ieq(s, "false");
}

enum expand_rc cond_bool(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    const char *s;
    enum expand_rc rc = trimmed_arg(ctx, n, &s);

    if (rc != EXPAND_OK)
        return rc;
    const char *digits = s + (*s == '-');
    if (is_digit(*digits) && digits[strspn(digits, "0123456789")] == '\0')
        *out = digits[strspn(digits, "0")] != '\0';
    else if (is_false(s))
        *out = false;
    else if (cstr_ieq(s, "yes") || cstr_ieq(s, "true"))
        *out = true;
    else
        return eval_fail(ctx, "unrecognised boolean value \"%s\"", s);
    return EXPAND_OK;
}

enum expand_rc cond_bool_lax(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    const char *s;
    enum expand_rc rc = trimmed_arg(ctx, n, &s);

    if (rc == EXPAND_OK)
        *out = !is_false(s) && strcmp(s, "0") != 0;
    return rc;
}

/* ---- inlist ---- */

static enum expand_rc in_list(struct expand_ctx *ctx, const struct cond_node *n,
                              bool caseless, bool *out)
{
    const char *v[ITEM_ARG_MAX], *item;
    enum expand_rc rc = condition_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    struct list_iter it = list_begin(v[1], ':');
    *out = false;
    while (!*out && (item = list_next(&it, ctx->arena)) != NULL)
        if (caseless ? cstr_ieq(item, v[0]) : strcmp(item, v[0]) == 0) {
            ctx->value = item;
            *out = true;
        }
    return EXPAND_OK;
}

enum expand_rc cond_inlist(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    return in_list(ctx, n, false, out);
}

enum expand_rc cond_inlisti(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    return in_list(ctx, n, true, out);
}

/* ---- isip ---- */

static enum expand_rc is_ip(struct expand_ctx *ctx, const struct cond_node *n, int family,
                            bool *out)
{
    const char *s;
    struct ip ip;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &s);

    if (rc != EXPAND_OK)
        return rc;
    const char *scope = strchr(s, '%'); /* fe80::1%eth0 */
    if (scope != NULL && strchr(s, ':') != NULL && scope[1] != '\0')
        s = arena_strndup(ctx->arena, s, (size_t)(scope - s));
    *out = ip_parse(s, &ip) && (family == 0 || ip.family == family);
    return EXPAND_OK;
}

enum expand_rc cond_isip(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    return is_ip(ctx, n, 0, out);
}

enum expand_rc cond_isip4(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    return is_ip(ctx, n, 4, out);
}

enum expand_rc cond_isip6(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    return is_ip(ctx, n, 6, out);
}
