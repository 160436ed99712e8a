#include "expand/item_handlers.h"

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "search.h"

static const char *type_name(struct compiler *c)
{
    const char *start = c->p;

    while (*c->p != '\0' && *c->p != '{' && !is_space(*c->p))
        c->p++;
    return arena_strndup(c->a, start, (size_t)(c->p - start));
}

static bool check_style(struct compiler *c, const struct search_type *t, const char *name,
                        bool keyed)
{
    unsigned flags = t->driver->flags;

    if (keyed && (flags & (LOOKUP_QUERY | LOOKUP_ABSFILEQUERY)) != 0)
        return compile_fail(
            c,
            "a single key was given for lookup type \"%s\", which is not a "
            "single-key lookup type",
            name);
    if (!keyed && (flags & (LOOKUP_QUERY | LOOKUP_ABSFILEQUERY)) == 0)
        return compile_fail(c, "missing {key} for single-key \"%s\" lookup", name);
    return true;
}

static bool file_or_query(struct compiler *c, const struct expr_node **out)
{
    compile_skip_space(c);
    if (*c->p != '{')
        return compile_fail(c, "missing '{' for lookup file-or-query arg");
    return compile_braced(c, false, out);
}

/* arg[0]: file name or query; arg[1]: key of a single-key lookup. */
bool item_lookup_parse(struct compiler *c, struct item_node *n)
{
    struct search_type *t = arena_new_obj(c->a, struct search_type);

    compile_skip_space(c);
    bool keyed = *c->p == '{';
    if (keyed && !compile_braced(c, false, &n->arg[1]))
        return false;
    compile_skip_space(c);
    const char *name = type_name(c);
    if (*name == '\0' || *name == '}')
        return compile_fail(c, "missing lookup type");
    if (!search_type_parse(c->a, name, t, c->err) || !check_style(c, t, name, keyed) ||
        !file_or_query(c, &n->arg[0]))
        return false;
    n->narg = keyed ? 2 : 1;
    n->extra = t;
    return branches_compile(c, n->item->name, &n->branches);
}

static enum expand_rc deferred(struct expand_ctx *ctx, const char *key)
{
    const char *why = ctx->err.msg == NULL ? "" : ctx->err.msg;

    if (cstr_starts(why, "failed to open "))
        return EXPAND_FAIL;
    eval_fail(ctx, "lookup of \"%s\" gave DEFER: %s", key, why);
    return EXPAND_DEFER;
}

/* $1 and $2 of a partial match are there for the yes string. */
static enum expand_rc use_answer(struct expand_ctx *ctx, const struct item_node *n,
                                 const char *value, const char *const captured[2],
                                 const char **out)
{
    struct captures saved = ctx->captures;

    if (value != NULL && captured[0] != NULL)
        ctx->captures =
            (struct captures){ .count = 3, .v = { "", captured[0], captured[1] } };
    enum expand_rc rc = branches_value(ctx, &n->branches, value, out);
    ctx->captures = saved;
    return rc;
}

enum expand_rc item_lookup(struct expand_ctx *ctx, const struct item_node *n,
                           const char **out)
{
    const char *v[ITEM_ARG_MAX], *value = NULL, *captured[2] = { NULL, NULL };
    enum expand_rc rc = item_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    if (!eval_permitted(ctx, FORBID_LOOKUP, "lookup expansions are not permitted"))
        return EXPAND_FAIL;
    const char *file = n->narg == 2 ? v[0] : NULL, *key = n->narg == 2 ? v[1] : v[0];
    switch (search_find(ctx, n->extra, file, key, &value, captured)) {
    case RC_OK:
        break;
    case RC_DEFER:
        return deferred(ctx, key);
    default:
        value = NULL;
    }
    return use_answer(ctx, n, value, captured, out);
}
