#include "expand/variable_getters.h"

#include "base/arena.h"
#include "base/str.h"
#include "expand/expand_int.h"
#include "proxy.h"
#include "session.h"

/* What the other side of the balancer wrote is shown with escapes: it may hold anything.
 */
static void show(struct expand_ctx *ctx, struct str s, const char **out)
{
    *out = cstr_printable_len(ctx->arena, s.p, s.len, true);
}

static void show_tlv(struct expand_ctx *ctx, struct str tlvs, uint8_t type,
                     const char **out)
{
    struct str value;

    if (proxy_tlv_find(tlvs, type, &value))
        show(ctx, value, out);
}

enum expand_rc variable_proxy(struct expand_ctx *ctx, const struct variable *v,
                              const char *suffix, const char **out)
{
    const struct proxy_state *p = ctx->session == NULL ? NULL : ctx->session->proxy;

    (void)suffix;
    if (p == NULL)
        return EXPAND_OK;
    if (v->which == PROXY_VALUE_FAILURE) {
        if (!p->ok && p->failure != NULL)
            *out = p->failure;
        return EXPAND_OK;
    }
    if (!p->ok)
        return EXPAND_OK;
    switch (v->which) {
    case PROXY_VALUE_VERSION:
        return eval_number(ctx, p->header.version, out);
    case PROXY_VALUE_COMMAND:
        *out = p->header.local_command ? "LOCAL" : "PROXY";
        break;
    case PROXY_VALUE_AUTHORITY:
        show_tlv(ctx, p->header.tlvs, PP_AUTHORITY, out);
        break;
    case PROXY_VALUE_ALPN:
        show_tlv(ctx, p->header.tlvs, PP_ALPN, out);
        break;
    case PROXY_VALUE_UNIQUE_ID:
        show_tlv(ctx, p->header.tlvs, PP_UNIQUE_ID, out);
        break;
    default:
        break;
    }
    return EXPAND_OK;
}

enum expand_rc variable_proxy_tls(struct expand_ctx *ctx, const struct variable *v,
                                  const char *suffix, const char **out)
{
    const struct proxy_state *p = ctx->session == NULL ? NULL : ctx->session->proxy;
    struct proxy_ssl ssl;

    (void)suffix;
    if (p == NULL || !p->ok || !proxy_ssl_parse(p->header.tlvs, &ssl))
        return EXPAND_OK;
    switch (v->which) {
    case PROXY_VALUE_TLS_VERSION:
        show_tlv(ctx, ssl.tlvs, PP_SSL_VERSION, out);
        break;
    case PROXY_VALUE_TLS_CIPHER:
        show_tlv(ctx, ssl.tlvs, PP_SSL_CIPHER, out);
        break;
    case PROXY_VALUE_TLS_GROUP:
        show_tlv(ctx, ssl.tlvs, PP_SSL_GROUP, out);
        break;
    case PROXY_VALUE_TLS_VERIFIED:
        *out = proxy_ssl_verified(&ssl) ? "yes" : "no";
        break;
    case PROXY_VALUE_TLS_CN:
        if (proxy_ssl_verified(&ssl))
            show_tlv(ctx, ssl.tlvs, PP_SSL_CN, out);
        break;
    default:
        break;
    }
    return EXPAND_OK;
}
