#include "expand/operator_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/digest.h"
#include "base/str.h"
#include "tls.h"

/* ---- base64 ---- */

/* The DER form of a certificate in base64 is what stands between the lines of its PEM
 * form. */
static const char *pem_body(struct arena *a, const char *pem)
{
    struct buf b = buf_init(a, EXPAND_RESULT_MAX);

    while (*pem != '\0') {
        size_t len = strcspn(pem, "\n");

        if (*pem != '-')
            buf_add(&b, pem, len);
        pem += len + (pem[len] == '\n');
    }
    return buf_cstr(&b);
}

enum expand_rc op_base64(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    if (n->cert == NULL) {
        *out = base64_encode(ctx->arena, in, strlen(in));
        return EXPAND_OK;
    }
    void *cert = variable_cert(ctx, n->cert);
    const char *pem = cert == NULL ? "" : tls_cert_pem(ctx->arena, cert);
    *out = pem == NULL ? "" : pem_body(ctx->arena, pem);
    return EXPAND_OK;
}

enum expand_rc op_base64d(struct expand_ctx *ctx, const struct operator_node *n,
                          const char *in, const char **out)
{
    struct str raw;

    if (!base64_decode(ctx->arena, str_from(in), &raw))
        return eval_fail(ctx, "string \"%s\" is not well-formed for \"%s\" operator", in,
                         n->name);
    *out = raw.p;
    return EXPAND_OK;
}

enum expand_rc op_hex2b64(struct expand_ctx *ctx, const struct operator_node *n,
                          const char *in, const char **out)
{
    struct str raw;

    (void)n;
    if (in[strspn(in, "0123456789abcdefABCDEF")] != '\0')
        return eval_fail(ctx, "\"%s\" is not a hex string", in);
    if (strlen(in) % 2 != 0)
        return eval_fail(ctx, "\"%s\" contains an odd number of characters", in);
    if (!hex_decode(ctx->arena, str_from(in), &raw))
        return eval_fail(ctx, "\"%s\" is not a hex string", in);
    *out = base64_encode(ctx->arena, raw.p, raw.len);
    return EXPAND_OK;
}

/* ---- digests: of the string, or the fingerprint of a certificate ---- */

static enum expand_rc hash(struct expand_ctx *ctx, const struct operator_node *n,
                           const char *name, const char *in, const char **out)
{
    unsigned char sum[DIGEST_MAX];

    if (n->cert != NULL) {
        void *cert = variable_cert(ctx, n->cert);
        const char *s =
            cert == NULL ? NULL : tls_cert_fingerprint(ctx->arena, cert, name);

        *out = s == NULL ? "" : s;
        return EXPAND_OK;
    }
    size_t len = digest(name, str_from(in), sum);
    if (len == 0)
        return eval_fail(ctx, "digest \"%s\" is not available", name);
    *out = hex_encode(ctx->arena, sum, len, strcmp(name, "md5") != 0);
    return EXPAND_OK;
}

enum expand_rc op_md5(struct expand_ctx *ctx, const struct operator_node *n,
                      const char *in, const char **out)
{
    return hash(ctx, n, "md5", in, out);
}

enum expand_rc op_sha1(struct expand_ctx *ctx, const struct operator_node *n,
                       const char *in, const char **out)
{
    return hash(ctx, n, "sha1", in, out);
}

enum expand_rc op_sha256(struct expand_ctx *ctx, const struct operator_node *n,
                         const char *in, const char **out)
{
    return hash(ctx, n, "sha256", in, out);
}

static bool check_variant(struct compiler *c, struct operator_node *n,
                          const char *const known[], const char *family)
{
    const char *want = n->suffix == NULL ? "256" : n->suffix;

    for (; *known != NULL; known++)
        if (strcmp(*known, want) == 0) {
            n->extra = arena_printf(c->a, "%s%s",
                                    strcmp(family, "sha3") == 0 ? "sha3-" : "sha", want);
            return true;
        }
    return compile_fail(c, "unrecognised %s variant", family);
}

bool op_sha2_check(struct compiler *c, struct operator_node *n)
{
    static const char *const known[] = { "256", "384", "512", NULL };

    return check_variant(c, n, known, "sha2");
}

bool op_sha3_check(struct compiler *c, struct operator_node *n)
{
    static const char *const known[] = { "224", "256", "384", "512", NULL };

    return check_variant(c, n, known, "sha3");
}

enum expand_rc op_sha2(struct expand_ctx *ctx, const struct operator_node *n,
                       const char *in, const char **out)
{
    return hash(ctx, n, n->extra, in, out);
}

enum expand_rc op_sha3(struct expand_ctx *ctx, const struct operator_node *n,
                       const char *in, const char **out)
{
    return hash(ctx, n, n->extra, in, out);
}
