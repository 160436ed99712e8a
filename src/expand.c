#include "expand.h"

#include <string.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/str.h"
#include "expand/expand_int.h"

void expand_ctx_init(struct expand_ctx *ctx, struct exim *exim, struct arena *a)
{
    *ctx = (struct expand_ctx){ .exim = exim, .arena = a };
}

static bool compile(struct arena *a, const char *text, const struct expr_node **out,
                    struct err *err)
{
    struct compiler c = { .a = a, .p = text, .err = err };

    return compile_text(&c, UNTIL_END, false, out);
}

const struct expr *expr_compile(struct arena *a, const char *text, struct err *err)
{
    struct expr *e = arena_new_obj(a, struct expr);

    e->text = arena_strdup(a, text);
    if (strpbrk(text, "$\\") == NULL) {
        e->constant = e->text;
        return e;
    }
    if (!compile(a, e->text, &e->program, err))
        return NULL;
    e->constant = compile_constant(e->program);
    return e;
}

static enum expand_rc run(struct expand_ctx *ctx, const struct expr_node *program,
                          const char *text, const char **out)
{
    enum expand_rc rc = eval_nodes(ctx, program, out);

    DEBUG(D_EXPAND)
    debug_printf("expanding: %s\n   result: %s\n", text,
                 rc == EXPAND_OK ? *out : ctx->err.msg);
    return rc;
}

enum expand_rc expand(struct expand_ctx *ctx, const struct expr *e, const char **out)
{
    if (e == NULL || e->constant != NULL) {
        *out = e == NULL ? "" : e->constant;
        return EXPAND_OK;
    }
    return run(ctx, e->program, e->text, out);
}

enum expand_rc expand_text(struct expand_ctx *ctx, const char *text, const char **out)
{
    const struct expr_node *program;

    if (strpbrk(text, "$\\") == NULL) {
        *out = text;
        return EXPAND_OK;
    }
    if (!compile(ctx->arena, text, &program, &ctx->err))
        return EXPAND_FAIL;
    return run(ctx, program, text, out);
}

enum expand_rc expand_bool(struct expand_ctx *ctx, const struct expr *e, bool dflt,
                           bool *out)
{
    const char *s;

    *out = dflt;
    if (e == NULL)
        return EXPAND_OK;
    enum expand_rc rc = expand(ctx, e, &s);
    if (rc == EXPAND_FORCED)
        *out = false;
    if (rc != EXPAND_OK)
        return rc == EXPAND_FORCED ? EXPAND_OK : rc;
    *out =
        *s != '\0' && strcmp(s, "0") != 0 && !cstr_ieq(s, "no") && !cstr_ieq(s, "false");
    return EXPAND_OK;
}

enum expand_rc expand_int(struct expand_ctx *ctx, const struct expr *e, long *out)
{
    const char *s;
    int64_t v;
    enum expand_rc rc = expand(ctx, e, &s);

    if (rc == EXPAND_OK)
        rc = eval_integer(ctx, s, &v);
    if (rc == EXPAND_OK)
        *out = v;
    return rc;
}

bool expand_variable(struct expand_ctx *ctx, const char *name, const char **out)
{
    struct variable_ref ref;
    const char *why;

    return variable_find(ctx->arena, name, &ref, &why) &&
           variable_eval(ctx, &ref, out) == EXPAND_OK;
}
