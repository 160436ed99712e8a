#include "expand/operator_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand/strings.h"
#include "search.h"

static struct buf result(struct expand_ctx *ctx)
{
    return buf_init(ctx->arena, EXPAND_RESULT_MAX);
}

enum expand_rc op_lc(struct expand_ctx *ctx, const struct operator_node *n,
                     const char *in, const char **out)
{
    (void)n;
    *out = cstr_lower(ctx->arena, in);
    return EXPAND_OK;
}

enum expand_rc op_uc(struct expand_ctx *ctx, const struct operator_node *n,
                     const char *in, const char **out)
{
    (void)n;
    *out = cstr_upper(ctx->arena, in);
    return EXPAND_OK;
}

enum expand_rc op_strlen(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    (void)n;
    return eval_number(ctx, (int64_t)strlen(in), out);
}

/* ---- counted ones ---- */

enum expand_rc op_hash(struct expand_ctx *ctx, const struct operator_node *n,
                       const char *in, const char **out)
{
    return strings_hash(ctx, in, n->n1, n->n2, out);
}

enum expand_rc op_nhash(struct expand_ctx *ctx, const struct operator_node *n,
                        const char *in, const char **out)
{
    return strings_nhash(ctx, in, n->n1, n->n2, out);
}

enum expand_rc op_length(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    *out = strings_length(ctx, in, n->n1);
    return EXPAND_OK;
}

enum expand_rc op_substr(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    *out = strings_substr(ctx, in, n->n1, n->n2, n->has_n2);
    return EXPAND_OK;
}

/* ---- expand ---- */

enum expand_rc op_expand(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    enum expand_rc rc = expand_text(ctx, in, out);

    (void)n;
    if (rc == EXPAND_FAIL)
        return eval_fail(ctx, "internal expansion of \"%s\" failed: %s", in,
                         ctx->err.msg);
    return rc;
}

/* ---- quoting ---- */

static enum expand_rc quoted(struct expand_ctx *ctx, const char *in, const char **out)
{
    struct buf b = result(ctx);

    buf_add_char(&b, '"');
    for (; *in != '\0'; in++) {
        if (*in == '\n' || *in == '\r') {
            buf_add_cstr(&b, *in == '\n' ? "\\n" : "\\r");
            continue;
        }
        if (*in == '\\' || *in == '"')
            buf_add_char(&b, '\\');
        buf_add_char(&b, *in);
    }
    buf_add_char(&b, '"');
    return eval_buf(ctx, &b, out);
}

enum expand_rc op_quote(struct expand_ctx *ctx, const struct operator_node *n,
                        const char *in, const char **out)
{
    const char *p = in;

    if (n->suffix != NULL)
        return op_quote_lookup(ctx, n, in, out);
    while (is_alnum(*p) || *p == '_' || *p == '-' || *p == '.')
        p++;
    if (*p == '\0' && *in != '\0') {
        *out = in;
        return EXPAND_OK;
    }
    return quoted(ctx, in, out);
}

/* A dot-atom needs no quotes; two dots in a row are let through, as in Exim. */
static bool is_dot_atom(const char *s)
{
    size_t len = strlen(s);

    if (len == 0 || s[0] == '.' || s[len - 1] == '.')
        return false;
    while (is_alnum(*s) || (*s != '\0' && strchr("!#$%&'*+-/=?^_`{|}~.", *s) != NULL))
        s++;
    return *s == '\0';
}

enum expand_rc op_quote_local_part(struct expand_ctx *ctx, const struct operator_node *n,
                                   const char *in, const char **out)
{
    (void)n;
    if (is_dot_atom(in)) {
        *out = in;
        return EXPAND_OK;
    }
    return quoted(ctx, in, out);
}

struct lookup_quote {
    const struct lookup_driver *driver;
    const char *option;
};

/* quote_<lookup type> and, after another underscore, what the type makes of it. */
bool op_quote_lookup_check(struct compiler *c, struct operator_node *n)
{
    if (n->suffix == NULL)
        return true;
    struct lookup_quote *q = arena_new_obj(c->a, struct lookup_quote);
    const char *underscore = strchr(n->suffix, '_');
    const char *type = n->suffix;
    if (underscore != NULL) {
        type = arena_strndup(c->a, type, (size_t)(underscore - type));
        q->option = underscore + 1;
    }
    q->driver = lookup_driver_find(type);
    if (q->driver == NULL)
        return compile_fail(c, "unknown lookup type \"%s\"", type);
    n->extra = q;
    return true;
}

enum expand_rc op_quote_lookup(struct expand_ctx *ctx, const struct operator_node *n,
                               const char *in, const char **out)
{
    const struct lookup_quote *q = n->extra;

    *out = in;
    if (q->driver->quote != NULL)
        *out = q->driver->quote(ctx->arena, in, q->option);
    if (*out == NULL || (q->driver->quote == NULL && q->option != NULL))
        return eval_fail(ctx, "\"%s\" unrecognized after \"${quote_%s\"",
                         q->option == NULL ? "" : q->option, q->driver->name);
    return EXPAND_OK;
}

enum expand_rc op_rxquote(struct expand_ctx *ctx, const struct operator_node *n,
                          const char *in, const char **out)
{
    struct buf b = result(ctx);

    (void)n;
    for (; *in != '\0'; in++) {
        if (!is_alnum(*in))
            buf_add_char(&b, '\\');
        buf_add_char(&b, *in);
    }
    return eval_buf(ctx, &b, out);
}

enum expand_rc op_hexquote(struct expand_ctx *ctx, const struct operator_node *n,
                           const char *in, const char **out)
{
    struct buf b = result(ctx);

    (void)n;
    for (; *in != '\0'; in++)
        if (*in > ' ' && *in < 127)
            buf_add_char(&b, *in);
        else
            buf_printf(&b, "\\x%02x", (unsigned)(unsigned char)*in);
    return eval_buf(ctx, &b, out);
}

/* Tabs are left alone. */
enum expand_rc op_escape(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    bool keep8 = ctx->exim != NULL && ctx->exim->config != NULL &&
                 ctx->exim->config->main.print_topbitchars;
    struct buf b = result(ctx);

    (void)n;
    while (*in != '\0') {
        size_t len = strcspn(in, "\t");

        buf_add_cstr(&b, cstr_printable_len(ctx->arena, in, len, keep8));
        in += len;
        for (; *in == '\t'; in++)
            buf_add_char(&b, '\t');
    }
    return eval_buf(ctx, &b, out);
}

enum expand_rc op_escape8bit(struct expand_ctx *ctx, const struct operator_node *n,
                             const char *in, const char **out)
{
    struct buf b = result(ctx);

    (void)n;
    for (; *in != '\0'; in++)
        if (*in < 127 && *in != '\\')
            buf_add_char(&b, *in);
        else
            buf_printf(&b, "\\%03o", (unsigned)(unsigned char)*in);
    return eval_buf(ctx, &b, out);
}
