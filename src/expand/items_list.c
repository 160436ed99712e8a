#include "expand/item_handlers.h"

#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"

/* ---- filter ---- */

bool item_filter_parse(struct compiler *c, struct item_node *n)
{
    const struct cond_node *cond;

    if (!compile_arg(c, "first arg", "filter", &n->arg[0]))
        return false;
    compile_skip_space(c);
    if (*c->p != '{')
        return compile_fail(c, "missing '{' for last arg of filter");
    c->p++;
    if (!condition_compile(c, &cond))
        return compile_more(c, " inside \"filter\" item");
    n->extra = cond;
    compile_skip_space(c);
    if (*c->p != '}')
        return compile_fail(c, "missing } at end of condition inside \"filter\"");
    c->p++;
    return compile_close(c, "filter");
}

static enum expand_rc filter_list(struct expand_ctx *ctx, const struct cond_node *cond,
                                  const char *list, const char **out)
{
    struct list_iter it = list_begin(list, ':');
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);
    bool first = true;

    while ((ctx->item = list_next(&it, ctx->arena)) != NULL) {
        bool keep;
        enum expand_rc rc = condition_eval(ctx, cond, &keep);

        if (rc != EXPAND_OK)
            return eval_more(ctx, rc, " inside \"filter\" item");
        if (keep)
            list_append(&b, ctx->item, it.sep, &first);
    }
    return eval_buf(ctx, &b, out);
}

enum expand_rc item_filter(struct expand_ctx *ctx, const struct item_node *n,
                           const char **out)
{
    const char *list;
    struct eval_saved saved;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &list);

    if (rc != EXPAND_OK)
        return rc;
    eval_save(ctx, &saved);
    rc = filter_list(ctx, n->extra, list, out);
    eval_restore(ctx, &saved);
    return rc;
}

/* ---- map ---- */

bool item_map_parse(struct compiler *c, struct item_node *n)
{
    return compile_arg(c, "first arg", "map", &n->arg[0]) &&
           compile_arg(c, "last arg", "map", &n->arg[1]) && compile_close(c, "map");
}

static enum expand_rc map_list(struct expand_ctx *ctx, const struct expr_node *fn,
                               const char *list, const char **out)
{
    struct list_iter it = list_begin(list, ':');
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);
    bool first = true;

    while ((ctx->item = list_next(&it, ctx->arena)) != NULL) {
        const char *s;
        enum expand_rc rc = eval_nodes(ctx, fn, &s);

        if (rc != EXPAND_OK)
            return rc;
        list_append(&b, s, it.sep, &first);
    }
    return eval_buf(ctx, &b, out);
}

enum expand_rc item_map(struct expand_ctx *ctx, const struct item_node *n,
                        const char **out)
{
    const char *list;
    struct eval_saved saved;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &list);

    if (rc != EXPAND_OK)
        return rc;
    eval_save(ctx, &saved);
    rc = map_list(ctx, n->arg[1], list, out);
    eval_restore(ctx, &saved);
    return rc;
}

/* ---- reduce ---- */

bool item_reduce_parse(struct compiler *c, struct item_node *n)
{
    return compile_arg(c, "first arg", "reduce", &n->arg[0]) &&
           compile_arg(c, "second arg", "reduce", &n->arg[1]) &&
           compile_arg(c, "last arg", "reduce", &n->arg[2]) && compile_close(c, "reduce");
}

static enum expand_rc reduce_list(struct expand_ctx *ctx, const struct expr_node *fn,
                                  const char *list)
{
    struct list_iter it = list_begin(list, ':');

    while ((ctx->item = list_next(&it, ctx->arena)) != NULL) {
        const char *value; /* not &ctx->value: what is evaluated may put that back */
        enum expand_rc rc = eval_nodes(ctx, fn, &value);

        if (rc != EXPAND_OK)
            return rc;
        ctx->value = value;
    }
    return EXPAND_OK;
}

enum expand_rc item_reduce(struct expand_ctx *ctx, const struct item_node *n,
                           const char **out)
{
    const char *list, *start;
    struct eval_saved saved;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &list);

    if (rc == EXPAND_OK)
        rc = eval_nodes(ctx, n->arg[1], &start);
    if (rc != EXPAND_OK)
        return rc;
    eval_save(ctx, &saved);
    ctx->value = start;
    rc = reduce_list(ctx, n->arg[2], list);
    *out = ctx->value;
    eval_restore(ctx, &saved);
    return rc;
}
