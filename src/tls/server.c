#include "tls/tls_int.h"

#include <string.h>


#include "base/arena.h"
#include "base/openssl.h"

enum { SESSION_TICKETS = 2 };

/* One handshake; found by the callbacks through the SSL. */
struct handshake {
    struct tls_server_call *call;
    bool sni_failed;
    const char *verify_error;
    struct err sni_err;
};

static int handshake_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return index;
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct handshake *h = SSL_get_ex_data(ssl, handshake_index());
    X509 *cert = X509_STORE_CTX_get_current_cert(store);

    if (ok)
        return 1;
    if (h->verify_error == NULL)
        h->verify_error = arena_printf(
            h->call->arena, "depth=%d error=%s cert=%s", X509_STORE_CTX_get_error_depth(store),
            X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)),
            cert != NULL ? tls_dn(h->call->arena, X509_get_subject_name(cert)) : "");
    return h->call->verify_required ? 0 : 1;
}

static int on_servername(SSL *ssl, int *alert, void *arg)
{
    struct handshake *h = SSL_get_ex_data(ssl, handshake_index());
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct tls_params *params = NULL;

    (void)arg;
    if (name == NULL || h == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    struct tls_server_call *call = h->call;

    call->info->sni = cstr_printable(call->arena, arena_strdup(call->arena, name), false);
    if (call->sni == NULL)
        return SSL_TLSEXT_ERR_OK;
    bool ok = call->sni(call->sni_arg, call->info->sni, &params);
    struct tls_context *c =
        ok && params != NULL ? tls_context_get(call->exim, params, &h->sni_err, call->arena) : NULL;

    if (!ok || (params != NULL && c == NULL)) {
        h->sni_failed = true;
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    if (c != NULL)
        SSL_set_SSL_CTX(ssl, tls_context_ssl(c));
    return SSL_TLSEXT_ERR_OK;
}

static void set_resumption(SSL *ssl, bool on, bool verifying)
{
    const unsigned char id = verifying ? 'v' : 'p';

    SSL_set_session_id_context(ssl, &id, 1);
    if (on) {
        SSL_clear_options(ssl, SSL_OP_NO_TICKET);
        SSL_set_num_tickets(ssl, SESSION_TICKETS);
    } else {
        SSL_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_set_num_tickets(ssl, 0);
    }
}

static void describe(struct tls_server_call *call, struct tls_session *t, const struct handshake *h)
{
    struct tls_info *info = call->info;
    const char *sni = info->sni;

    tls_session_describe(t, call->arena, info);
    info->sni = sni;
    info->verify_error = h->verify_error;
    info->certificate_verified = (call->verify_required || call->verify_try) && info->peercert != NULL &&
                                 h->verify_error == NULL && SSL_get_verify_result(t->ssl) == X509_V_OK;
    /* 0 not asked for; 4 a proof was sent (there is no more to know on this side). */
    const unsigned char *der;

    info->ocsp = SSL_get_tlsext_status_ocsp_resp(t->ssl, &der) > 0 ? "4" : "0";
}

static bool alpn_is_good(struct tls_server_call *call, struct tls_session *t)
{
    const unsigned char *name;
    unsigned len = 0;

    if (!call->require_alpn)
        return true;
    SSL_get0_alpn_selected(t->ssl, &name, &len);
    return len > 0 || err_set(call->err, call->arena, "(SSL_accept): ALPN is required, and was not negotiated");
}

bool tls_server_run(struct tls_server_call *call, struct tls_session **out)
{
    struct handshake h = { .call = call };
    struct tls_context *c = tls_context_get(call->exim, call->params, call->err, call->arena);

    *out = NULL;
    if (c == NULL)
        return false;
    SSL_CTX_set_tlsext_servername_callback(tls_context_ssl(c), on_servername);
    struct tls_session *t = tls_session_new(call->arena, tls_context_ssl(c), call->fd, call->err);

    if (t == NULL)
        return false;
    SSL_set_ex_data(t->ssl, handshake_index(), &h);
    if (call->verify_required || call->verify_try)
        SSL_set_verify(t->ssl,
                       SSL_VERIFY_PEER | (call->verify_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                       on_verify);
    set_resumption(t->ssl, call->resumption, call->verify_required || call->verify_try);
    bool ok = tls_handshake(t, true, call->deadline_ms, call->arena, call->err);

    SSL_set_ex_data(t->ssl, handshake_index(), NULL);
    call->info->verify_error = h.verify_error;
    if (!ok && h.sni_failed && h.sni_err.msg != NULL)
        *call->err = h.sni_err;
    if (!ok || !alpn_is_good(call, t)) {
        tls_close(&t, false);
        return false;
    }
    describe(call, t, &h);
    *out = t;
    return true;
}
