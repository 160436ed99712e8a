#include "tls.h"

#include <string.h>

#include "base/arena.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "match.h"
#include "session.h"
#include "tls/tls_int.h"

/* One connection of a client to us. */
struct server_call {
    struct expand_ctx *ctx;
    struct arena *arena;
    struct tls_info *info;
    struct err *err;
    struct tls_params params, sni_params;
    bool verify_required, verify_try, resumption, require_alpn;
};

/* Forced failure counts as unset. */
static bool expand_option(struct server_call *s, const char *name, const struct expr *e, const char **out)
{
    *out = NULL;
    if (e == NULL)
        return true;
    switch (expand(s->ctx, e, out)) {
    case EXPAND_OK:
        return true;
    case EXPAND_FORCED:
        *out = NULL;
        return true;
    default:
        return err_set(s->err, s->arena, "expansion of %s failed: %s", name,
                       s->ctx->err.msg != NULL ? s->ctx->err.msg : "unknown error");
    }
}

static bool expand_params(struct server_call *s, struct tls_params *p)
{
    const struct main_options *m = &s->ctx->exim->config->main;

    *p = (struct tls_params){ .server = true,
                              .options = m->openssl_options,
                              .dh_bits = m->tls_dh_max_bits,
                              .self_name = s->ctx->exim->config->primary_hostname };
    if (!expand_option(s, "tls_certificate", m->tls_certificate, &p->certificate) ||
        !expand_option(s, "tls_privatekey", m->tls_privatekey, &p->privatekey) ||
        !expand_option(s, "tls_require_ciphers", m->tls_require_ciphers, &p->ciphers) ||
        !expand_option(s, "tls_dhparam", m->tls_dhparam, &p->dhparam) ||
        !expand_option(s, "tls_eccurve", m->tls_eccurve, &p->eccurve) ||
        !expand_option(s, "tls_ocsp_file", m->tls_ocsp_file, &p->ocsp_file) ||
        !expand_option(s, "tls_alpn", m->tls_alpn, &p->alpn))
        return false;
    if (!s->verify_required && !s->verify_try)
        return true;
    return expand_option(s, "tls_verify_certificates", m->tls_verify_certificates, &p->ca) &&
           expand_option(s, "tls_crl", m->tls_crl, &p->crl);
}

static bool in_list(struct server_call *s, const char *name, const struct match_list *l, bool *in)
{
    *in = false;
    if (l == NULL)
        return true;
    enum rc rc = match_session_host(s->ctx, l, NULL);

    *in = rc == RC_OK;
    return rc != RC_DEFER || err_set(s->err, s->arena, "%s could not be checked: %s", name,
                                     s->ctx->err.msg != NULL ? s->ctx->err.msg : "lookup deferred");
}

static bool read_policy(struct server_call *s)
{
    const struct main_options *m = &s->ctx->exim->config->main;

    return in_list(s, "tls_verify_hosts", m->tls_verify_hosts, &s->verify_required) &&
           (s->verify_required ||
            in_list(s, "tls_try_verify_hosts", m->tls_try_verify_hosts, &s->verify_try)) &&
           in_list(s, "tls_resumption_hosts", m->tls_resumption_hosts, &s->resumption) &&
           in_list(s, "hosts_require_alpn", m->hosts_require_alpn, &s->require_alpn);
}

/* Exim: the other options are looked at again only if the certificate depends on the name. */
static bool depends_on_sni(const struct config *c)
{
    const struct expr *e = c->main.tls_certificate;

    return e != NULL && (strstr(e->text, "tls_in_sni") != NULL || strstr(e->text, "tls_sni") != NULL ||
                         strstr(e->text, "tls_out_sni") != NULL);
}

static bool on_sni(void *arg, const char *name, const struct tls_params **params)
{
    struct server_call *s = arg;

    if (s->ctx->session != NULL)
        s->ctx->session->tls_in.sni = name;
    if (!depends_on_sni(s->ctx->exim->config))
        return true;
    *params = &s->sni_params;
    return expand_params(s, &s->sni_params);
}

bool tls_server_setup(struct expand_ctx *ctx, struct arena *a, struct err *err)
{
    struct server_call s = { .ctx = ctx, .arena = a, .err = err };

    return read_policy(&s) && expand_params(&s, &s.params) &&
           tls_context_get(ctx->exim, &s.params, err, a) != NULL;
}

bool tls_server_start(struct expand_ctx *ctx, struct arena *a, int fd, int64_t deadline_ms,
                      struct tls_session **out, struct tls_info *info, struct err *err)
{
    struct server_call s = { .ctx = ctx, .arena = a, .info = info, .err = err };

    *out = NULL;
    if (!read_policy(&s) || !expand_params(&s, &s.params))
        return false;
    struct tls_server_call call = { .exim = ctx->exim, .arena = a, .fd = fd, .deadline_ms = deadline_ms,
                                    .params = &s.params, .verify_required = s.verify_required,
                                    .verify_try = s.verify_try, .resumption = s.resumption,
                                    .require_alpn = s.require_alpn, .sni = on_sni, .sni_arg = &s,
                                    .info = info, .err = err };

    return tls_server_run(&call, out);
}

static bool is_constant(const struct expr *e)
{
    return e == NULL || e->constant != NULL;
}

static bool lists_hosts(const struct match_list *l)
{
    return l != NULL && l->text != NULL && *cstr_skip_space(l->text) != '\0';
}

bool tls_server_prepare(struct exim *e, struct err *err)
{
    const struct main_options *m = &e->config->main;
    struct arena *a = arena_new("tls prepare");
    struct expand_ctx ctx;
    struct server_call s = { .ctx = &ctx, .arena = a, .err = err };
    bool ok = true;

    expand_ctx_init(&ctx, e, a);
    s.verify_try = lists_hosts(m->tls_verify_hosts) || lists_hosts(m->tls_try_verify_hosts);
    if (is_constant(m->tls_certificate) && is_constant(m->tls_privatekey) &&
        is_constant(m->tls_require_ciphers) && is_constant(m->tls_dhparam) && is_constant(m->tls_eccurve) &&
        is_constant(m->tls_ocsp_file) && is_constant(m->tls_alpn) &&
        (!s.verify_try || (is_constant(m->tls_verify_certificates) && is_constant(m->tls_crl))))
        ok = expand_params(&s, &s.params) && tls_context_get(e, &s.params, err, a) != NULL;
    if (ok && s.verify_try && lists_hosts(m->tls_advertise_hosts)) { /* and for clients in neither list */
        s.verify_try = false;
        ok = !is_constant(m->tls_certificate) ||
             (expand_params(&s, &s.params) && tls_context_get(e, &s.params, err, a) != NULL);
    }
    if (!ok) /* the text must outlive the arena */
        err->msg = arena_strdup(e->arena, err->msg);
    arena_destroy(&a);
    return ok;
}

/* ---- Client ---- */
struct event_call {
    const struct expand_ctx *ctx;
    const struct expr *action;
    struct tls_info *info;
    struct arena *arena;
};

static const char *on_certificate(void *arg, int depth, X509 *cert)
{
    struct event_call *ev = arg;
    struct expand_ctx ctx = *ev->ctx;
    struct tls_info shown = *ev->info;
    const char *text;

    shown.peercert = cert;
    ctx.arena = ev->arena;
    ctx.tls_out = &shown;
    ctx.event_name = "tls:cert";
    ctx.event_data = arena_printf(ev->arena, "%d", depth);
    switch (expand(&ctx, ev->action, &text)) {
    case EXPAND_OK:
        return *text != '\0' ? text : NULL;
    case EXPAND_FORCED:
        return NULL;
    default: /* an event that cannot be worked out allows nothing */
        return ctx.err.msg != NULL ? ctx.err.msg : "expansion of event_action failed";
    }
}

enum tls_client_rc tls_client_start(struct expand_ctx *ctx, struct arena *a, int fd, int64_t deadline_ms,
                                    const struct tls_client_want *w, struct tls_session **out,
                                    struct tls_info *info, struct err *err)
{
    struct event_call ev = { ctx, w->event_action, info, a };
    struct tls_client_call call = { .exim = ctx->exim, .arena = a, .fd = fd, .deadline_ms = deadline_ms,
                                    .want = w, .info = info, .err = err };

    if (w->event_action != NULL) {
        call.event = on_certificate;
        call.event_arg = &ev;
    }
    return tls_client_run(&call, out);
}
