#include "expand/operator_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/ctype.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "parse.h"

enum { ADDRESS_FLAGS = PARSE_ALLOW_DOMAIN_LITERAL | PARSE_ALLOW_UTF8 };

static bool parse_one(struct expand_ctx *ctx, const char *in, struct parsed_address *p)
{
    return parse_address(ctx->arena, in, ADDRESS_FLAGS, p);
}

enum expand_rc op_address(struct expand_ctx *ctx, const struct operator_node *n,
                          const char *in, const char **out)
{
    struct parsed_address p;

    (void)n;
    *out = parse_one(ctx, in, &p) ? p.address : "";
    return EXPAND_OK;
}

enum expand_rc op_domain(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    struct parsed_address p;

    (void)n;
    *out = parse_one(ctx, in, &p) && p.domain != NULL ? p.domain : "";
    return EXPAND_OK;
}

enum expand_rc op_local_part(struct expand_ctx *ctx, const struct operator_node *n,
                             const char *in, const char **out)
{
    struct parsed_address p;

    (void)n;
    *out = "";
    if (!parse_one(ctx, in, &p))
        return EXPAND_OK;
    *out = p.domain == NULL
               ? p.address
               : arena_strndup(ctx->arena, p.address, (size_t)(p.domain - p.address) - 1);
    return EXPAND_OK;
}

struct collected {
    struct buf b;
    char sep;
    bool first;
};

static bool collect(void *arg, const struct parsed_address *p, const char *raw)
{
    struct collected *c = arg;

    (void)raw;
    if (p->err == NULL && p->address != NULL && *p->address != '\0')
        list_append(&c->b, p->address, c->sep, &c->first);
    return true;
}

enum expand_rc op_addresses(struct expand_ctx *ctx, const struct operator_node *n,
                            const char *in, const char **out)
{
    struct collected c = { buf_init(ctx->arena, EXPAND_RESULT_MAX), ':', true };

    (void)n;
    in = cstr_skip_space(in);
    if (*in == '>' && in[1] != '\0') {
        c.sep = in[1];
        in += 2;
    }
    parse_each_address(ctx->arena, in, ADDRESS_FLAGS, collect, &c);
    return eval_buf(ctx, &c.b, out);
}

/* ---- RFC 2047 and RFC 3461 ---- */

static const char *charset(const struct expand_ctx *ctx)
{
    return ctx->exim == NULL || ctx->exim->config == NULL
               ? NULL
               : ctx->exim->config->main.headers_charset;
}

enum expand_rc op_rfc2047(struct expand_ctx *ctx, const struct operator_node *n,
                          const char *in, const char **out)
{
    (void)n;
    *out = parse_rfc2047_encode(ctx->arena, in, charset(ctx), false);
    return EXPAND_OK;
}

enum expand_rc op_rfc2047d(struct expand_ctx *ctx, const struct operator_node *n,
                           const char *in, const char **out)
{
    bool check = ctx->exim == NULL || ctx->exim->config == NULL ||
                 ctx->exim->config->main.check_rfc2047_length;
    const char *why = NULL;

    (void)n;
    *out = parse_rfc2047_decode(ctx->arena, in, check, charset(ctx), &why);
    return *out != NULL ? EXPAND_OK : eval_fail(ctx, "%s", why);
}

enum expand_rc op_xtextd(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    (void)n;
    *out = parse_xtext_decode(ctx->arena, in);
    return *out != NULL ? EXPAND_OK : eval_fail(ctx, "bad xtext \"%s\"", in);
}
