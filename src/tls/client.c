#include "tls/tls_int.h"

#include <string.h>


#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/openssl.h"
#include "tls_certname.h"

enum { NAMES_MAX = 256, NAMES_SHOWN = 10, WANTED_TEXT_MAX = 2048 };

/* Name checks are a feature of their own, which a build may leave out. */
struct name_checks {
    struct certname_result (*check)(struct arena *a, struct x509_st *cert, const char *const *names);
    const char *(*presented)(struct arena *a, struct x509_st *cert, size_t max);
};
static const struct name_checks name_checks = {
#ifdef EXPERIMENTAL_CERTNAMES
    certname_check, certname_presented,
#else
    NULL, NULL,
#endif
};

struct client {
    struct tls_client_call *call;
    const struct tls_client_want *want;
    struct arena *arena;
    struct tls_session *session;
    struct tls_verdict *verdict;
    struct tls_remembered known; /* of a resumed session */
    const char *resume_key;
    bool dane;                   /* usable TLSA records are in force */
};

static void read_params(const struct tls_client_want *w, struct tls_params *p, const char *options)
{
    *p = (struct tls_params){ .certificate = w->certificate, .privatekey = w->privatekey, .crl = w->crl,
                              .ciphers = w->ciphers, .eccurve = w->eccurve, .alpn = w->alpn,
                              .options = options };
    if (w->verify_required || w->verify_try)
        p->ca = w->ca;
    p->dane = w->tlsa != NULL;
    if (p->dane && w->dane_ciphers != NULL && *w->dane_ciphers != '\0')
        p->ciphers = w->dane_ciphers;
}

/* ---- Before the handshake ---- */
static void set_sni(struct client *c)
{
    struct ip ip;
    const char *sni = c->want->sni;

    if (sni == NULL || *sni == '\0' || ip_parse(sni, &ip)) /* RFC 6066: names only */
        return;
    if (SSL_set_tlsext_host_name(c->session->ssl, sni) == 1)
        c->call->info->sni = arena_strdup(c->arena, sni);
}

static void set_verification(struct client *c)
{
    const struct tls_client_want *w = c->want;

    c->dane = w->tlsa != NULL && tls_dane_start(c->session->ssl, w) > 0;
    if (!c->dane && !w->verify_required && !w->verify_try)
        return;
    c->verdict = arena_new_obj(c->arena, struct tls_verdict);
    c->verdict->arena = c->arena;
    tls_verdict_attach(c->session->ssl, c->verdict);
    SSL_set_verify(c->session->ssl, SSL_VERIFY_PEER, NULL);
}

static void offer_session(struct client *c)
{
    /* A resumed session shows no chain, which the event is to be asked about. */
    if (!c->want->resumption || c->dane || c->call->event != NULL)
        return;
    c->resume_key = tls_client_key(c->arena, c->want);
    (void)tls_resume_offer(c->call->exim, c->arena, c->session->ssl, c->resume_key, &c->known);
}

/* ---- After it ---- */
/* An item of tls_verify_cert_hostname: a name, or a word of Postfix for one; NULL: there is none. */
static const char *wanted_name(struct client *c, const char *item)
{
    const struct tls_client_want *w = c->want;

    if (strcmp(item, "*") == 0 || strcmp(item, "hostname") == 0)
        return w->host_name;
    if (strcmp(item, "nexthop") == 0)
        return w->next_hop;
    if (strcmp(item, "dot-nexthop") == 0)
        return w->next_hop != NULL ? arena_printf(c->arena, ".%s", w->next_hop) : NULL;
    return *item != '\0' ? item : NULL;
}

/* The acceptable names: those of the list, or the host's own. */
static const char *const *wanted_names(struct client *c)
{
    const struct tls_client_want *w = c->want;
    const char **names = arena_new_array(c->arena, const char *, NAMES_MAX + 2);
    size_t n = 0;

    if (w->names == NULL) {
        names[0] = w->host_name;
        return names;
    }
    struct list_iter it = list_begin(w->names, ':');

    for (const char *item; (item = list_next(&it, c->arena)) != NULL && n < NAMES_MAX;) {
        const char *name = wanted_name(c, item);

        if (name != NULL)
            names[n++] = name;
    }
    return names;
}

static const char *join(struct arena *a, const char *const *names)
{
    struct buf b = buf_init(a, WANTED_TEXT_MAX);

    for (size_t i = 0; names[i] != NULL; i++) {
        if (i > 0)
            buf_add_char(&b, ',');
        buf_add_cstr(&b, cstr_printable(a, names[i], true));
    }
    return buf_cstr(&b);
}

static const char *name_fault(struct client *c, const char *why)
{
    X509 *cert = c->call->info->peercert;

    const char *target = c->want->alias_target;

    if (target != NULL && strcmp(target, c->want->host_name) == 0)
        target = NULL;
    return arena_printf(c->arena, "%s: DN=\"%s\" H=\"%s\" SAN=\"%s\"%s%s%s", why,
                        tls_dn(c->arena, X509_get_subject_name(cert)), join(c->arena, wanted_names(c)),
                        name_checks.presented(c->arena, cert, NAMES_SHOWN), target != NULL ? " CNAME=\"" : "",
                        target != NULL ? cstr_printable(c->arena, target, true) : "", target != NULL ? "\"" : "");
}

/* NULL: the certificate speaks for the host. */
static const char *check_names(struct client *c)
{
    struct tls_info *info = c->call->info;

    if (!c->want->verify_names || name_checks.check == NULL)
        return NULL;
    struct certname_result r = name_checks.check(c->arena, info->peercert, wanted_names(c));

    if (!r.ok)
        return name_fault(c, r.why);
    if ((r.by_wildcard || r.by_cn) && !tls_chain_permits(c->verdict->chain, r.reference))
        return name_fault(c, "certificate name not permitted by the name constraints of its CA");
    info->verified_name = arena_strdup(c->arena, r.matched);
    return NULL;
}

static const char *run_events(struct client *c)
{
    STACK_OF(X509) *chain = c->verdict->chain;

    if (c->call->event == NULL || chain == NULL)
        return NULL;
    for (int depth = sk_X509_num(chain) - 1; depth >= 0; depth--) {
        X509 *cert = sk_X509_value(chain, depth);
        const char *veto = c->call->event(c->call->event_arg, depth, cert);

        if (veto != NULL)
            return arena_printf(c->arena, "verify denied by event-action: depth=%d cert=%s: %s", depth,
                                tls_dn(c->arena, X509_get_subject_name(cert)),
                                cstr_printable(c->arena, veto, true));
    }
    return NULL;
}

static const char *check_ocsp(struct client *c)
{
    static const char *const digits[] = { "0", "1", "2", "3", "4" };
    const char *why;

    if (!c->want->request_ocsp && !c->want->require_ocsp) {
        c->call->info->ocsp = digits[TLS_OCSP_NOT_REQUESTED];
        return NULL;
    }
    enum tls_ocsp status = tls_ocsp_check(c->session->ssl, c->verdict != NULL ? c->verdict->chain : NULL, &why);

    c->call->info->ocsp = digits[status];
    /* A proof that says "revoked" counts though none was required. */
    return status != TLS_OCSP_VERIFIED && (c->want->require_ocsp || status == TLS_OCSP_FAILED) ? why : NULL;
}

/* NULL: nothing is wrong with the certificate. */
static const char *judge_certificate(struct client *c)
{
    const struct tls_verdict *v = c->verdict;
    const char *fault;

    if (c->call->info->peercert == NULL)
        return "the server presented no certificate";
    if (!v->checked)
        return "the certificate was not verified";
    if (!v->ok)
        return arena_printf(c->arena, "depth=%d error=%s cert=%s", v->depth, v->error, v->dn);
    if (v->dane) {
        uint8_t usage = 0;

        SSL_get0_dane_tlsa(c->session->ssl, &usage, NULL, NULL, NULL, NULL);
        c->call->info->dane_verified = true;
        c->call->info->tlsa_usage = 1 << usage;
        return run_events(c);
    }
    if (c->dane)
        return "no TLSA record matches the certificate";
    fault = check_names(c);
    if (fault == NULL)
        fault = check_ocsp(c);
    return fault != NULL ? fault : run_events(c);
}

static const char *weak_dh(struct client *c)
{
    EVP_PKEY *key;
    const char *fault = NULL;

    if (c->want->dh_min_bits <= 0 || SSL_get_peer_tmp_key(c->session->ssl, &key) != 1)
        return NULL;
    if (EVP_PKEY_get_base_id(key) == EVP_PKEY_DH && EVP_PKEY_get_bits(key) < c->want->dh_min_bits)
        fault = arena_printf(c->arena, "the server's DH prime has %d bits, fewer than tls_dh_min_bits",
                             EVP_PKEY_get_bits(key));
    EVP_PKEY_free(key);
    return fault;
}

static const char *missing_alpn(struct client *c)
{
    const unsigned char *name;
    unsigned len = 0;

    SSL_get0_alpn_selected(c->session->ssl, &name, &len);
    return c->want->require_alpn && len == 0 ? "ALPN is required, and was not negotiated" : NULL;
}

static void remember(struct client *c)
{
    struct tls_info *info = c->call->info;
    struct tls_remembered facts = { info->verified_name, info->ocsp, info->certificate_verified };

    if (c->resume_key != NULL)
        tls_resume_expect(c->arena, c->call->exim, c->session->ssl, c->resume_key, &facts);
}

/* True: what was found out when the session was made still stands. */
static bool use_known(struct client *c)
{
    struct tls_info *info = c->call->info;

    if (!info->resumed)
        return false;
    info->certificate_verified = c->known.verified;
    info->verified_name = c->known.verified_name;
    info->ocsp = c->known.ocsp;
    return !c->want->verify_required || c->known.verified;
}

static enum tls_client_rc refuse(struct client *c, enum tls_client_rc rc, const char *why)
{
    c->call->info->active = false;
    err_set(c->call->err, c->arena, "(SSL_connect): %s%s",
            rc == TLS_CLIENT_VERIFY_FAILED ? "certificate verify failed: " : "", why);
    tls_close(&c->session, false);
    return rc;
}

static enum tls_client_rc judge(struct client *c)
{
    struct tls_info *info = c->call->info;
    const char *weak = weak_dh(c);

    if (weak == NULL)
        weak = missing_alpn(c);
    if (weak != NULL)
        return refuse(c, TLS_CLIENT_FAILED, weak);
    if (use_known(c)) {
        remember(c);
        return TLS_CLIENT_OK;
    }
    if (c->verdict == NULL) { /* nobody asked */
        const char *fault = check_ocsp(c);

        if (fault != NULL && c->want->require_ocsp)
            return refuse(c, TLS_CLIENT_VERIFY_FAILED, fault);
        remember(c);
        return TLS_CLIENT_OK;
    }
    info->verify_error = judge_certificate(c);
    info->certificate_verified = info->verify_error == NULL;
    if (info->verify_error != NULL) {
        info->verified_name = NULL;
        if ((c->want->verify_required || c->dane || (c->want->require_ocsp && c->verdict->ok)) &&
            !c->want->report_only)
            return refuse(c, TLS_CLIENT_VERIFY_FAILED, info->verify_error);
    }
    remember(c);
    return TLS_CLIENT_OK;
}

enum tls_client_rc tls_client_run(struct tls_client_call *call, struct tls_session **out)
{
    struct client c = { .call = call, .want = call->want, .arena = call->arena };
    struct tls_params params;

    *out = NULL;
    *call->info = (struct tls_info){ 0 };
    read_params(c.want, &params, call->want->options);
    struct tls_context *context = tls_context_get(call->exim, &params, call->err, c.arena);

    if (context == NULL)
        return TLS_CLIENT_CONFIG;
    c.session = tls_session_new(c.arena, tls_context_ssl(context), call->fd, call->err);
    if (c.session == NULL)
        return TLS_CLIENT_CONFIG;
    (void)fd_set_nonblock(call->fd, false); /* one call a record: tls/socket.c */
    set_verification(&c);
    set_sni(&c);
    if (c.want->request_ocsp || c.want->require_ocsp)
        SSL_set_tlsext_status_type(c.session->ssl, TLSEXT_STATUSTYPE_ocsp);
    offer_session(&c);
    if (!tls_handshake(c.session, false, call->deadline_ms, c.arena, call->err)) {
        tls_close(&c.session, false);
        return TLS_CLIENT_FAILED;
    }
    tls_session_describe(c.session, c.arena, call->info);
    enum tls_client_rc rc = judge(&c);

    *out = rc == TLS_CLIENT_OK ? c.session : NULL;
    return rc;
}
