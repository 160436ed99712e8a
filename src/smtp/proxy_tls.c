#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "match.h"
#include "proxy.h"
#include "session.h"
#include "smtp/proxy_session.h"
#include "tls.h"

/* Tested with a session of its own: what is found for the balancer must not be remembered
 * for the client. */
static bool believed(const struct session *s)
{
    const struct match_list *list = s->exim->config->main.proxy_tls_hosts;
    struct match_host_subject host = { .address = s->proxy_host_address };
    struct session balancer = { .arena = s->arena,
                                .exim = s->exim,
                                .host_address = s->proxy_host_address,
                                .host_port = s->proxy_host_port };
    struct expand_ctx ctx;

    if (list == NULL)
        return false;
    expand_ctx_init(&ctx, s->exim, s->arena);
    ctx.session = &balancer;
    enum rc rc = match_host(&ctx, list, &host, NULL);
    if (rc == RC_DEFER)
        log_write(s->exim->log, LOG_MAIN | LOG_PANIC, NULL,
                  "proxy_tls_hosts for [%s]: %s", host.address,
                  ctx.err.msg == NULL ? "cannot be told" : ctx.err.msg);
    return rc == RC_OK;
}

static const char *text_of(const struct session *s, struct str tlvs, uint8_t type)
{
    struct str value;

    return proxy_tlv_find(tlvs, type, &value)
               ? cstr_printable_len(s->arena, value.p, value.len, true)
               : NULL;
}

static void take_client_certificate(const struct session *s, const struct proxy_ssl *ssl,
                                    struct tls_info *t)
{
    struct str der;

    t->certificate_verified = proxy_ssl_verified(ssl);
    if (!t->certificate_verified)
        return;
    if (proxy_tlv_find(ssl->tlvs, PP_SSL_CLIENT_CERT, &der))
        t->peercert = tls_cert_parse(s->arena, der, &t->peerdn);
    const char *cn = text_of(s, ssl->tlvs, PP_SSL_CN);
    if (t->peerdn == NULL && cn != NULL)
        t->peerdn = arena_printf(s->arena, "/CN=%s", cn);
}

void smtp_proxy_believe_tls(struct session *s)
{
    const struct proxy_header *h = &s->proxy->header;
    struct tls_info *t = &s->tls_in;
    struct proxy_ssl ssl;

    if (h->kind != PROXY_KIND_INET || !proxy_ssl_parse(h->tlvs, &ssl) ||
        (ssl.client & PROXY_SSL_TLS) == 0 || !believed(s))
        return;
    const char *suite = text_of(s, ssl.tlvs, PP_SSL_CIPHER);
    t->active = t->on_connect = true;
    t->version = text_of(s, ssl.tlvs, PP_SSL_VERSION);
    if (t->version == NULL)
        t->version = "TLS";
    if (suite == NULL) /* HAProxy adds it only if asked to */
        suite = "unknown";
    t->bits = tls_cipher_bits(suite);
    t->cipher = arena_printf(s->arena, "%s:%s:%d", t->version, suite, t->bits);
    t->sni = text_of(s, h->tlvs, PP_AUTHORITY);
    take_client_certificate(s, &ssl, t);
}
