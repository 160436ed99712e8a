#include "expand/item_handlers.h"

bool item_if_parse(struct compiler *c, struct item_node *n)
{
    const struct cond_node *cond;

    if (!condition_compile(c, &cond))
        return false;
    n->extra = cond;
    return branches_compile(c, n->item->name, &n->branches);
}

/* $1.. and $value that the condition set are there for the strings, and gone after them.
 */
enum expand_rc item_if(struct expand_ctx *ctx, const struct item_node *n,
                       const char **out)
{
    struct eval_saved saved;
    bool yes;

    eval_save(ctx, &saved);
    enum expand_rc rc = condition_eval(ctx, n->extra, &yes);
    if (rc == EXPAND_OK)
        rc = branches_eval(ctx, &n->branches, yes, "true", out);
    eval_restore(ctx, &saved);
    return rc;
}
