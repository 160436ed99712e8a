#include "expand/expand_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/table.h"
#include "expand/condition_handlers.h"

/* clang-format off */
const struct condition condition_table[] = {
    { "<",               2, NULL,                  cond_num_lt },
    { "<=",              2, NULL,                  cond_num_le },
    { "=",               2, NULL,                  cond_num_eq },
    { "==",              2, NULL,                  cond_num_eq },
    { ">",               2, NULL,                  cond_num_gt },
    { ">=",              2, NULL,                  cond_num_ge },
    { "acl",             0, cond_acl_parse,        cond_acl },
    { "and",             0, cond_group_parse,      cond_and },
    { "bool",            1, NULL,                  cond_bool },
    { "bool_lax",        1, NULL,                  cond_bool_lax },
    { "crypteq",         2, NULL,                  cond_crypteq },
    { "def",             0, cond_def_parse,        cond_def },
    { "eq",              2, NULL,                  cond_eq },
    { "eqi",             2, NULL,                  cond_eqi },
    { "exists",          1, NULL,                  cond_exists },
    { "first_delivery",  0, cond_no_args_parse,    cond_first_delivery },
    { "forall",          0, cond_each_parse,       cond_forall },
    { "forall_json",     0, cond_each_parse,       cond_forall_json },
    { "forall_jsons",    0, cond_each_parse,       cond_forall_jsons },
    { "forany",          0, cond_each_parse,       cond_forany },
    { "forany_json",     0, cond_each_parse,       cond_forany_json },
    { "forany_jsons",    0, cond_each_parse,       cond_forany_jsons },
    { "ge",              2, NULL,                  cond_ge },
    { "gei",             2, NULL,                  cond_gei },
    { "gt",              2, NULL,                  cond_gt },
    { "gti",             2, NULL,                  cond_gti },
    { "inlist",          2, NULL,                  cond_inlist },
    { "inlisti",         2, NULL,                  cond_inlisti },
    { "isip",            1, NULL,                  cond_isip },
    { "isip4",           1, NULL,                  cond_isip4 },
    { "isip6",           1, NULL,                  cond_isip6 },
    { "ldapauth",        0, cond_not_built_parse,  NULL },
    { "le",              2, NULL,                  cond_le },
    { "lei",             2, NULL,                  cond_lei },
    { "lt",              2, NULL,                  cond_lt },
    { "lti",             2, NULL,                  cond_lti },
    { "match",           0, cond_match_parse,      cond_match },
    { "match_address",   0, cond_match_list_parse, cond_match_address },
    { "match_domain",    0, cond_match_list_parse, cond_match_domain },
    { "match_ip",        0, cond_match_list_parse, cond_match_ip },
    { "match_local_part", 0, cond_match_list_parse, cond_match_local_part },
    { "or",              0, cond_group_parse,      cond_or },
    { "pam",             0, cond_not_built_parse,  NULL },
    { "pwcheck",         0, cond_pwcheck_parse,    cond_pwcheck },
    { "queue_running",   0, cond_no_args_parse,    cond_queue_running },
    { "radius",          0, cond_not_built_parse,  NULL },
    { "saslauthd",       0, cond_saslauthd_parse,  cond_saslauthd },
};
/* clang-format on */
const size_t condition_count = ARRAY_LEN(condition_table);

/* "eq", ">=" ...; "" when neither is next. */
static const char *read_name(struct compiler *c)
{
    const char *start = c->p;

    if (is_alpha(*start))
        return compile_name(c, "");
    if (*c->p == '=' || *c->p == '<' || *c->p == '>') {
        c->p++;
        if (*c->p == '=')
            c->p++;
    }
    return arena_strndup(c->a, start, (size_t)(c->p - start));
}

static const struct condition *find(struct compiler *c)
{
    const char *rest = c->p, *name = read_name(c);
    const struct condition *cond = TABLE_FIND(condition_table, name);

    if (*name == '\0' && !is_digit(*rest))
        compile_fail(c, "condition name expected, but found \"%.16s\"", rest);
    else if (cond == NULL)
        compile_fail(c, "unknown condition \"%s\"",
                     *name == '\0' ? compile_name(c, "") : name);
    return cond;
}

bool cond_plain_args(struct compiler *c, struct cond_node *n, bool last_is_literal)
{
    const char *name = n->cond->name;

    for (int i = 0; i < n->narg; i++) {
        compile_skip_space(c);
        if (*c->p != '{' && i == 0)
            return compile_fail(c, "missing { after \"%s\"", name);
        if (*c->p != '{')
            return compile_fail(c, "missing 2nd string in {} after \"%s\"", name);
        if (!compile_braced(c, last_is_literal && i == n->narg - 1, &n->arg[i]))
            return false;
    }
    return true;
}

bool cond_braced_args(struct compiler *c, struct cond_node *n, int min, int max)
{
    const char *name = n->cond->name;

    compile_skip_space(c);
    if (*c->p != '{')
        return compile_fail(c, "missing { after \"%s\"", name);
    c->p++;
    for (compile_skip_space(c); *c->p == '{' && n->narg < max; compile_skip_space(c))
        if (!compile_braced(c, false, &n->arg[n->narg++]))
            return false;
    if (*c->p == '{')
        return compile_fail(c, "Too many arguments for '%s' (max is %d)", name, max);
    if (*c->p != '}' || n->narg < min)
        return compile_fail(c, "too few arguments or bracketing error for %s", name);
    c->p++;
    return true;
}

bool condition_compile(struct compiler *c, const struct cond_node **out)
{
    struct cond_node *n = arena_new_obj(c->a, struct cond_node);

    if (c->depth >= COMPILE_DEPTH_MAX)
        return compile_fail(c, "conditions are nested too deeply");
    for (compile_skip_space(c); *c->p == '!'; compile_skip_space(c)) {
        n->negate = !n->negate;
        c->p++;
    }
    n->cond = find(c);
    if (n->cond == NULL)
        return false;
    n->narg = n->cond->narg;
    *out = n;
    c->depth++;
    bool ok =
        n->cond->parse != NULL ? n->cond->parse(c, n) : cond_plain_args(c, n, false);
    c->depth--;
    return ok;
}

enum expand_rc condition_eval(struct expand_ctx *ctx, const struct cond_node *n,
                              bool *out)
{
    if (ctx->depth >= EXPAND_DEPTH_MAX)
        return eval_fail(ctx, "conditions are nested too deeply");
    ctx->depth++;
    enum expand_rc rc = n->cond->eval(ctx, n, out);
    ctx->depth--;
    if (rc == EXPAND_OK && n->negate)
        *out = !*out;
    return rc;
}

enum expand_rc condition_args(struct expand_ctx *ctx, const struct cond_node *n,
                              const char *v[ITEM_ARG_MAX])
{
    for (int i = 0; i < n->narg; i++) {
        enum expand_rc rc = eval_nodes(ctx, n->arg[i], &v[i]);

        if (rc != EXPAND_OK)
            return rc;
    }
    return EXPAND_OK;
}
