#include "expand/condition_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/ip.h"
#include "base/str.h"
#include "exim.h"
#include "hooks.h"
#include "regex.h"

/* The lists of match_domain and so on are not expanded, unless the build says so. */
#ifdef EXPAND_LISTMATCH_RHS
enum { LIST_IS_LITERAL = false };
#else
enum { LIST_IS_LITERAL = true };
#endif

/* ---- match ---- */

bool cond_match_parse(struct compiler *c, struct cond_node *n)
{
    n->narg = 2;
    if (!cond_plain_args(c, n, false))
        return false;
    n->extra = regex_arg_compile(c, n->arg[1]);
    return n->extra != NULL;
}

enum expand_rc cond_match(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    const char *v[ITEM_ARG_MAX];
    enum expand_rc rc = condition_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    const struct regex *re = regex_arg_get(ctx, n->extra, v[1]);
    if (re == NULL)
        return EXPAND_FAIL;
    struct captures c;
    enum rc matched = regex_match(re, ctx->arena, str_from(v[0]), &c, &ctx->err);
    if (matched == RC_DEFER)
        return EXPAND_FAIL;
    *out = matched == RC_OK;
    if (*out)
        ctx->captures = c;
    return EXPAND_OK;
}

/* ---- lists ---- */

/* A constant list is compiled by its first use: named lists it refers to may not have
 * been read when the expression was. It lives as long as the expression. */
struct list_arg {
    const char *constant;
    struct list_cache {
        struct arena *arena;
        const struct match_list *list;
    } * cache;
};

bool cond_match_list_parse(struct compiler *c, struct cond_node *n)
{
    struct list_arg *l = arena_new_obj(c->a, struct list_arg);

    n->narg = 2;
    n->extra = l;
    if (!cond_plain_args(c, n, LIST_IS_LITERAL))
        return false;
    l->constant = compile_constant(n->arg[1]);
    l->cache = arena_new_obj(c->a, struct list_cache);
    l->cache->arena = c->a;
    return true;
}

/* The list has been expanded, or is not to be: what a list compiler would expand is
 * escaped. */
static const char *protect(struct arena *a, const char *text)
{
    struct buf b = buf_init(a, EXPAND_RESULT_MAX);

    for (; *text != '\0'; text++) {
        if (*text == '\\' || *text == '$')
            buf_add_char(&b, '\\');
        buf_add_char(&b, *text);
    }
    return buf_cstr(&b);
}

static const struct match_list *get_list(struct expand_ctx *ctx, const struct list_arg *l,
                                         enum list_kind kind, const char *text)
{
    struct arena *a = l->constant != NULL ? l->cache->arena : ctx->arena;

    if (l->constant != NULL && l->cache->list != NULL)
        return l->cache->list;
    const struct match_list *list = ctx->exim->hooks->list_compile(
        a, kind, protect(a, text), ctx->exim->config, &ctx->err);
    if (l->constant != NULL)
        l->cache->list = list;
    return list;
}

static enum expand_rc match_list(struct expand_ctx *ctx, const struct cond_node *n,
                                 enum list_kind kind, bool *out)
{
    const char *v[ITEM_ARG_MAX];
    struct ip ip;
    enum expand_rc rc = condition_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    if (kind == LIST_HOST && *v[0] != '\0' && !ip_parse(v[0], &ip))
        return eval_fail(ctx, "\"%s\" is not an IP address", v[0]);
    ctx->err = (struct err){ 0 };
    const struct match_list *list = get_list(ctx, n->extra, kind, v[1]);
    if (list == NULL)
        return EXPAND_FAIL;
    enum rc matched = ctx->exim->hooks->list_match(ctx, list, v[0], true);
    if (matched == RC_DEFER) {
        eval_fail(ctx, "unable to complete match against \"%s\": %s", v[1],
                  ctx->err.msg == NULL ? "deferred" : ctx->err.msg);
        return EXPAND_DEFER;
    }
    *out = matched == RC_OK;
    return EXPAND_OK;
}

enum expand_rc cond_match_address(struct expand_ctx *ctx, const struct cond_node *n,
                                  bool *out)
{
    return match_list(ctx, n, LIST_ADDRESS, out);
}

enum expand_rc cond_match_domain(struct expand_ctx *ctx, const struct cond_node *n,
                                 bool *out)
{
    return match_list(ctx, n, LIST_DOMAIN, out);
}

enum expand_rc cond_match_ip(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    return match_list(ctx, n, LIST_HOST, out);
}

enum expand_rc cond_match_local_part(struct expand_ctx *ctx, const struct cond_node *n,
                                     bool *out)
{
    return match_list(ctx, n, LIST_LOCAL_PART, out);
}
