#include "expand/expand_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/table.h"
#include "expand/operator_handlers.h"

/* clang-format off */
const struct operator operator_table[] = {
    { "address",                  op_address,                    NULL },
    { "addresses",                op_addresses,                  NULL },
    { "base32",                   op_base32,                     NULL },
    { "base32d",                  op_base32d,                    NULL },
    { "base62",                   op_base62,                     NULL },
    { "base62d",                  op_base62d,                    NULL },
    { "base64",                   op_base64,                     NULL },
    { "base64d",                  op_base64d,                    NULL },
    { "domain",                   op_domain,                     NULL },
    { "escape",                   op_escape,                     NULL },
    { "escape8bit",               op_escape8bit,                 NULL },
    { "eval",                     op_eval,                       NULL },
    { "eval10",                   op_eval10,                     NULL },
    { "expand",                   op_expand,                     NULL },
    { "from_utf8",                op_from_utf8,                  NULL },
    { "h",                        op_hash,                       op_numbers_check },
    { "hash",                     op_hash,                       op_numbers_check },
    { "hex2b64",                  op_hex2b64,                    NULL },
    { "hexquote",                 op_hexquote,                   NULL },
    { "ipv6denorm",               op_ipv6denorm,                 NULL },
    { "ipv6norm",                 op_ipv6norm,                   NULL },
    { "l",                        op_length,                     op_numbers_check },
    { "lc",                       op_lc,                         NULL },
    { "length",                   op_length,                     op_numbers_check },
    { "listcount",                op_listcount,                  NULL },
    { "listnamed",                op_listnamed,                  op_listnamed_check },
    { "local_part",               op_local_part,                 NULL },
    { "mask",                     op_mask,                       NULL },
    { "md5",                      op_md5,                        NULL },
    { "nh",                       op_nhash,                      op_numbers_check },
    { "nhash",                    op_nhash,                      op_numbers_check },
    { "quote",                    op_quote,                      op_quote_lookup_check },
    { "quote_local_part",         op_quote_local_part,           NULL },
    { "randint",                  op_randint,                    NULL },
    { "reverse_ip",               op_reverse_ip,                 NULL },
    { "rfc2047",                  op_rfc2047,                    NULL },
    { "rfc2047d",                 op_rfc2047d,                   NULL },
    { "rxquote",                  op_rxquote,                    NULL },
    { "s",                        op_substr,                     op_numbers_check },
    { "sha1",                     op_sha1,                       NULL },
    { "sha2",                     op_sha2,                       op_sha2_check },
    { "sha256",                   op_sha256,                     NULL },
    { "sha3",                     op_sha3,                       op_sha3_check },
    { "stat",                     op_stat,                       NULL },
    { "str2b64",                  op_base64,                     NULL },
    { "strlen",                   op_strlen,                     NULL },
    { "substr",                   op_substr,                     op_numbers_check },
    { "time_eval",                op_time_eval,                  NULL },
    { "time_interval",            op_time_interval,              NULL },
    { "uc",                       op_uc,                         NULL },
    { "utf8_domain_from_alabel",  op_utf8_domain_from_alabel,    NULL },
    { "utf8_domain_to_alabel",    op_utf8_domain_to_alabel,      NULL },
    { "utf8_localpart_from_alabel", op_utf8_localpart_from_alabel, NULL },
    { "utf8_localpart_to_alabel", op_utf8_localpart_to_alabel,   NULL },
    { "utf8clean",                op_utf8clean,                  NULL },
    { "xtextd",                   op_xtextd,                     NULL },
};
/* clang-format on */
const size_t operator_count = ARRAY_LEN(operator_table);

static enum expand_rc eval_operator(struct expand_ctx *ctx, const struct expr_node *n,
                                    const char **out)
{
    const struct operator_node *op = (const struct operator_node *)n;
    const char *in = "";

    if (op->cert == NULL) {
        enum expand_rc rc = eval_nodes(ctx, op->operand, &in);

        if (rc != EXPAND_OK)
            return rc;
    }
    return op->op->eval(ctx, op, in, out);
}

/* The whole name, or what stands before the first underscore. */
static bool find_operator(struct compiler *c, struct operator_node *n)
{
    n->op = TABLE_FIND(operator_table, n->name);
    const char *underscore = n->op == NULL ? strchr(n->name, '_') : NULL;
    if (underscore != NULL) {
        const char *base = arena_strndup(c->a, n->name, (size_t)(underscore - n->name));

        n->op = TABLE_FIND(operator_table, base);
        n->suffix = underscore + 1;
    }
    if (n->op == NULL)
        return compile_fail(c, "unknown expansion operator \"%s\"", n->name);
    return true;
}

static bool takes_certificate(const struct operator* op)
{
    return op->eval == op_base64 || op->eval == op_md5 || op->eval == op_sha1 ||
           op->eval == op_sha256;
}

struct expr_node *operator_compile(struct compiler *c, const char *name)
{
    struct operator_node *n = arena_new_obj(c->a, struct operator_node);

    n->node.eval = eval_operator;
    n->name = name;
    if (!find_operator(c, n))
        return NULL;
    c->p--; /* the operand reads like "{text}" with ':' for '{' */
    if (!compile_braced(c, false, &n->operand))
        return NULL;
    if (n->op->check != NULL && !n->op->check(c, n))
        return NULL;
    const struct variable *v = compile_lone_variable(n->operand);
    if (v != NULL && v->kind == VAR_CERT && takes_certificate(n->op))
        n->cert = v;
    return &n->node;
}

/* ---- hash_<n>_<m>, length_<n>, substr_<start>_<length> ... ---- */

static const char *read_number(const char *p, long *out)
{
    for (*out = 0; is_digit(*p); p++)
        if (*out < INT32_MAX / 10)
            *out = *out * 10 + (*p - '0');
    return p;
}

bool op_numbers_check(struct compiler *c, struct operator_node *n)
{
    bool is_substr = n->op->eval == op_substr, is_length = n->op->eval == op_length;
    const char *p = n->suffix == NULL ? "" : n->suffix;
    bool negative = is_substr && *p == '-';

    if (n->suffix == NULL)
        return compile_fail(c, "missing values after %s", n->name);
    if (*p == '_')
        return compile_fail(c, "non-digit after underscore in \"%s\"", n->name);
    n->n2 = -1;
    p = read_number(p + negative, &n->n1);
    if (negative)
        n->n1 = -n->n1;
    if (*p == '_' && !is_length && is_digit(p[1])) {
        n->has_n2 = true;
        p = read_number(p + 1, &n->n2);
    }
    if (*p != '\0')
        return compile_fail(c, "non-digit after underscore in \"%s\"", n->name);
    return true;
}
