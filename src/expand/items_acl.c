#include "expand/item_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "exim.h"
#include "hooks.h"
#include "tls.h"

enum expand_rc item_acl(struct expand_ctx *ctx, const struct item_node *n,
                        const char **out)
{
    const char *v[ITEM_ARG_MAX], *message = NULL;
    enum expand_rc rc = item_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    switch (ctx->exim->hooks->acl_eval(ctx, v[0], &v[1], n->narg - 1, &message)) {
    case RC_OK:
    case RC_FAIL:
        *out = message == NULL ? "" : message;
        return EXPAND_OK;
    case RC_DEFER:
        return eval_forced(ctx, "DEFER from acl \"%s\"", v[0]);
    default:
        return eval_fail(ctx, "ERROR from acl \"%s\"", v[0]);
    }
}

/* ---- certextract ---- */

struct certextract {
    const struct variable *cert;
};

bool item_certextract_parse(struct compiler *c, struct item_node *n)
{
    struct certextract *x = arena_new_obj(c->a, struct certextract);
    struct variable_ref ref;
    const char *why;

    n->extra = x;
    if (!compile_arg(c, "field name arg", "certextract", &n->arg[0]))
        return false;
    compile_skip_space(c);
    if (*c->p != '{')
        return compile_fail(c, "missing '{' for cert variable arg of certextract");
    c->p = cstr_skip_space(c->p + 1);
    if (*c->p != '$')
        return compile_fail(
            c, "second argument of \"certextract\" must be a certificate variable");
    c->p++;
    const char *name = compile_name(c, "");
    if (!variable_find(c->a, name, &ref, &why) || ref.row->kind != VAR_CERT)
        return compile_fail(c, "\"%s\" is not a certificate", name);
    x->cert = ref.row;
    compile_skip_space(c);
    if (*c->p != '}')
        return compile_fail(c, "missing '}' closing cert variable arg of certextract");
    c->p++;
    return branches_compile(c, n->item->name, &n->branches);
}

enum expand_rc item_certextract(struct expand_ctx *ctx, const struct item_node *n,
                                const char **out)
{
    const struct certextract *x = n->extra;
    const char *field, *value = NULL;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &field);

    if (rc != EXPAND_OK)
        return rc;
    void *cert = variable_cert(ctx, x->cert);
    if (cert != NULL) {
        ctx->err = (struct err){ 0 };
        value = tls_cert_extract(ctx->arena, cert, field, &ctx->err);
        if (value == NULL && ctx->err.msg != NULL)
            return EXPAND_FAIL;
    }
    return branches_value(ctx, &n->branches, value, out);
}
