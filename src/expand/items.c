#include "expand/expand_int.h"

#include "base/arena.h"
#include "base/table.h"
#include "expand/item_handlers.h"

/* clang-format off */
const struct item item_table[] = {
    { "acl",         1, 10, NULL,                  item_acl },
    { "certextract", 0, 0,  item_certextract_parse, item_certextract },
#ifdef EXPAND_DLFUNC
    { "dlfunc",      2, 10, NULL,                  item_dlfunc },
#else
    { "dlfunc",      0, 0,  item_dlfunc_parse,     NULL },
#endif
    { "env",         0, 0,  item_env_parse,        item_env },
    { "extract",     0, 0,  item_extract_parse,    item_extract },
    { "filter",      0, 0,  item_filter_parse,     item_filter },
    { "hash",        2, 3,  NULL,                  item_hash },
    { "hmac",        3, 3,  NULL,                  item_hmac },
    { "if",          0, 0,  item_if_parse,         item_if },
    { "imapfolder",  1, 3,  NULL,                  item_imapfolder },
    { "length",      2, 2,  NULL,                  item_length },
    { "listextract", 0, 0,  item_listextract_parse, item_listextract },
    { "listquote",   2, 2,  NULL,                  item_listquote },
    { "lookup",      0, 0,  item_lookup_parse,     item_lookup },
    { "map",         0, 0,  item_map_parse,        item_map },
    { "nhash",       2, 3,  NULL,                  item_nhash },
    { "perl",        0, 0,  item_perl_parse,       NULL },
#ifdef EXPERIMENTAL_PROXY
    { "proxytlv",    0, 0,  item_proxytlv_parse,   item_proxytlv },
#endif
    { "prvs",        2, 3,  NULL,                  item_prvs },
    { "prvscheck",   2, 3,  NULL,                  item_prvscheck },
    { "readfile",    1, 2,  NULL,                  item_readfile },
    { "readsocket",  2, 5,  NULL,                  item_readsocket },
    { "reduce",      0, 0,  item_reduce_parse,     item_reduce },
    { "run",         0, 0,  item_run_parse,        item_run },
    { "sg",          3, 3,  item_sg_parse,         item_sg },
    { "sort",        0, 0,  item_sort_parse,       item_sort },
    { "substr",      2, 3,  NULL,                  item_substr },
    { "tr",          3, 3,  NULL,                  item_tr },
};
/* clang-format on */
const size_t item_count = ARRAY_LEN(item_table);

const struct item *item_find(const char *name)
{
    return TABLE_FIND(item_table, name);
}

bool item_plain_args(struct compiler *c, struct item_node *n)
{
    const struct item *it = n->item;

    for (; n->narg < it->max; n->narg++) {
        compile_skip_space(c);
        if (*c->p != '{')
            break;
        if (!compile_braced(c, false, &n->arg[n->narg]))
            return false;
    }
    if (n->narg < it->min)
        return compile_fail(c, "Not enough arguments for '%s' (min is %d)", it->name,
                            it->min);
    compile_skip_space(c);
    if (*c->p == '{')
        return compile_fail(c, "Too many arguments for '%s' (max is %d)", it->name,
                            it->max);
    if (*c->p != '}')
        return compile_fail(c, "missing '}' after '%s'", it->name);
    c->p++;
    return true;
}

static enum expand_rc eval_item(struct expand_ctx *ctx, const struct expr_node *n,
                                const char **out)
{
    const struct item_node *in = (const struct item_node *)n;

    return in->item->eval(ctx, in, out);
}

struct expr_node *item_compile(struct compiler *c, const struct item *item)
{
    struct item_node *n = arena_new_obj(c->a, struct item_node);

    n->node.eval = eval_item;
    n->item = item;
    if (!(item->parse != NULL ? item->parse(c, n) : item_plain_args(c, n)))
        return NULL;
    return &n->node;
}

enum expand_rc item_args(struct expand_ctx *ctx, const struct item_node *n,
                         const char *v[ITEM_ARG_MAX])
{
    for (int i = 0; i < ITEM_ARG_MAX; i++)
        v[i] = NULL;
    for (int i = 0; i < n->narg; i++) {
        enum expand_rc rc = eval_nodes(ctx, n->arg[i], &v[i]);

        if (rc != EXPAND_OK)
            return rc;
    }
    return EXPAND_OK;
}
