#include "expand/condition_handlers.h"

#include <sys/stat.h>

#include "deliver.h"
#include "exim.h"
#include "hooks.h"
#include "message.h"

bool cond_no_args_parse(struct compiler *c, struct cond_node *n)
{
    (void)c;
    (void)n;
    return true;
}

enum expand_rc cond_first_delivery(struct expand_ctx *ctx, const struct cond_node *n,
                                   bool *out)
{
    (void)n;
    *out = ctx->message != NULL && ctx->message->deliver_firsttime;
    return EXPAND_OK;
}

enum expand_rc cond_queue_running(struct expand_ctx *ctx, const struct cond_node *n,
                                  bool *out)
{
    (void)n;
    *out = ctx->delivery != NULL && ctx->delivery->options != NULL &&
           ctx->delivery->options->queue_run;
    return EXPAND_OK;
}

enum expand_rc cond_exists(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    const char *path;
    struct stat st;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &path);

    if (rc != EXPAND_OK)
        return rc;
    if (!eval_permitted(ctx, FORBID_EXISTS, "File existence tests are not permitted"))
        return EXPAND_FAIL;
    *out = stat(path, &st) == 0;
    return EXPAND_OK;
}

/* ---- acl {{name}{arg}...} ---- */

bool cond_acl_parse(struct compiler *c, struct cond_node *n)
{
    return cond_braced_args(c, n, 1, ITEM_ARG_MAX);
}

enum expand_rc cond_acl(struct expand_ctx *ctx, const struct cond_node *n, bool *out)
{
    const char *v[ITEM_ARG_MAX], *message = NULL;
    enum expand_rc rc = condition_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    switch (ctx->exim->hooks->acl_eval(ctx, v[0], &v[1], n->narg - 1, &message)) {
    case RC_OK:
        *out = true;
        break;
    case RC_FAIL:
        *out = false;
        break;
    case RC_DEFER:
        return eval_forced(ctx, "DEFER from acl \"%s\"", v[0]);
    default:
        return eval_fail(ctx, "ERROR from acl \"%s\"", v[0]);
    }
    ctx->value = message == NULL ? "" : message;
    return EXPAND_OK;
}
