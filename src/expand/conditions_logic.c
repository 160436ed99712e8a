#include "expand/condition_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/str.h"
#include "expand/json.h"

/* ---- and, or ---- */

static bool bad_group(struct compiler *c, const char *name)
{
    return compile_fail(
        c, "each subcondition inside an \"%s{...}\" condition must be in its own {}",
        name);
}

static bool parse_member(struct compiler *c, const char *name,
                         const struct cond_node **out)
{
    if (*c->p != '{')
        return bad_group(c, name);
    c->p++;
    if (!condition_compile(c, out))
        return compile_more(c, arena_printf(c->a, " inside \"%s{...}\" condition", name));
    compile_skip_space(c);
    if (*c->p != '}')
        return compile_fail(c, "missing } at end of condition inside \"%s\" group", name);
    c->p++;
    return true;
}

bool cond_group_parse(struct compiler *c, struct cond_node *n)
{
    const struct cond_node **tail = &n->sub;
    const char *name = n->cond->name;

    compile_skip_space(c);
    if (*c->p != '{')
        return compile_fail(c, "missing { after \"%s\"", name);
    c->p++;
    for (compile_skip_space(c); *c->p != '}'; compile_skip_space(c)) {
        struct cond_node *copy = arena_new_obj(c->a, struct cond_node);
        const struct cond_node *member;

        if (!parse_member(c, name, &member))
            return false;
        *copy = *member;
        *tail = copy;
        tail = &copy->next;
    }
    c->p++;
    return true;
}

/* Evaluates members until one is `stop`. */
static enum expand_rc group(struct expand_ctx *ctx, const struct cond_node *n, bool stop,
                            bool *out)
{
    *out = !stop;
    for (const struct cond_node *m = n->sub; m != NULL && *out != stop; m = m->next) {
        enum expand_rc rc = condition_eval(ctx, m, out);

        if (rc != EXPAND_OK)
            return eval_more(ctx, rc, " inside \"%s{...}\" condition", n->cond->name);
    }
    return EXPAND_OK;
}

enum expand_rc cond_and(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    return group(ctx, n, false, out);
}

enum expand_rc cond_or(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    *out = false;
    return n->sub == NULL ? EXPAND_OK : group(ctx, n, true, out);
}

/* ---- forall, forany ---- */

bool cond_each_parse(struct compiler *c, struct cond_node *n)
{
    const char *name = n->cond->name;

    compile_skip_space(c);
    if (*c->p != '{')
        return compile_fail(c, "missing { after \"%s\"", name);
    if (!compile_braced(c, false, &n->arg[0]))
        return false;
    compile_skip_space(c);
    if (*c->p != '{')
        return compile_fail(c, "missing { after \"%s\"", name);
    c->p++;
    if (!condition_compile(c, &n->sub))
        return compile_more(c, arena_printf(c->a, " inside \"%s\" condition", name));
    compile_skip_space(c);
    if (*c->p != '}')
        return compile_fail(c, "missing } at end of condition inside \"%s\"", name);
    c->p++;
    return true;
}

enum elements { ELEMENTS_LIST, ELEMENTS_JSON, ELEMENTS_JSON_STRINGS };

struct walk {
    enum elements kind;
    struct list_iter it;
    const char *json; /* NULL: at the end */
};

/* NULL at the end, or with ctx->err. */
static const char *next_element(struct expand_ctx *ctx, struct walk *w)
{
    if (w->kind == ELEMENTS_LIST)
        return list_next(&w->it, ctx->arena);
    if (w->json == NULL)
        return NULL;
    const char *v = json_next(ctx->arena, &w->json, &ctx->err);
    return v == NULL || w->kind == ELEMENTS_JSON ? v
                                                 : json_unquote(ctx->arena, v, &ctx->err);
}

/* Exim: an empty list makes neither true. */
static enum expand_rc walk_list(struct expand_ctx *ctx, const struct cond_node *n,
                                struct walk *w, bool stop, bool *out)
{
    *out = false;
    ctx->err = (struct err){ 0 };
    while ((ctx->item = next_element(ctx, w)) != NULL) {
        enum expand_rc rc = condition_eval(ctx, n->sub, out);

        if (rc != EXPAND_OK || *out == stop)
            return eval_more(ctx, rc, " inside \"%s\" condition", n->cond->name);
    }
    return ctx->err.msg == NULL ? EXPAND_OK : EXPAND_FAIL;
}

static enum expand_rc each(struct expand_ctx *ctx, const struct cond_node *n,
                           enum elements kind, bool stop, bool *out)
{
    const char *list, *item = ctx->item;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &list);

    if (rc != EXPAND_OK)
        return rc;
    struct walk w = { kind, list_begin(list, ':'), list };
    rc = walk_list(ctx, n, &w, stop, out);
    ctx->item = item;
    return rc;
}

enum expand_rc cond_forall(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    return each(ctx, n, ELEMENTS_LIST, false, out);
}

enum expand_rc cond_forany(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    return each(ctx, n, ELEMENTS_LIST, true, out);
}

enum expand_rc cond_forall_json(struct expand_ctx *ctx, const struct cond_node *n,
                                bool *out)
{
    return each(ctx, n, ELEMENTS_JSON, false, out);
}

enum expand_rc cond_forany_json(struct expand_ctx *ctx, const struct cond_node *n,
                                bool *out)
{
    return each(ctx, n, ELEMENTS_JSON, true, out);
}

enum expand_rc cond_forall_jsons(struct expand_ctx *ctx, const struct cond_node *n,
                                 bool *out)
{
    return each(ctx, n, ELEMENTS_JSON_STRINGS, false, out);
}

enum expand_rc cond_forany_jsons(struct expand_ctx *ctx, const struct cond_node *n,
                                 bool *out)
{
    return each(ctx, n, ELEMENTS_JSON_STRINGS, true, out);
}

/* ---- def ---- */

struct def {
    struct variable_ref variable;
    const char *header; /* def:h_name */
};

bool cond_def_parse(struct compiler *c, struct cond_node *n)
{
    struct def *d = arena_new_obj(c->a, struct def);
    const char *why = "";
    enum header_want want;

    n->extra = d;
    if (*c->p != ':')
        return compile_fail(c, "\":\" expected after \"def\"");
    c->p++;
    size_t prefix = compile_header_prefix(c->p, &want);
    if (prefix > 0) {
        c->p += prefix;
        d->header = compile_header_name(c);
        if (c->malformed_header)
            return compile_misplaced(c);
        return true;
    }
    const char *name = compile_name(c, "");
    if (*name == '\0')
        return compile_fail(c, "variable name omitted after \"def:\"");
    if (!variable_find(c->a, name, &d->variable, &why))
        return compile_fail(c, "unknown variable \"%s\" after \"def:\"%s", name, why);
    return true;
}

enum expand_rc cond_def(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    const struct def *d = n->extra;
    const char *s;

    if (d->header != NULL) {
        *out = variable_header_exists(ctx, d->header);
        return EXPAND_OK;
    }
    enum expand_rc rc = variable_eval(ctx, &d->variable, &s);
    *out = rc == EXPAND_OK && *s != '\0';
    return rc;
}
