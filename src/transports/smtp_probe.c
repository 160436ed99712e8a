#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "dns.h"
#include "exim.h"
#include "host.h"
#include "tls_certname.h"
#include "transports/smtp_int.h"

enum { NAMES_SHOWN = 20, PROBE_TIMEOUT = 30 };

static void line(struct buf *out, const char *label, const char *value)
{
    buf_printf(out, "    %-10s %s\n", label, value);
}

static const char *policy(const struct smtp_attempt *at)
{
    const struct tls_client_want *w = &at->want;

    return w->tlsa != NULL                            ? "DANE"
           : w->verify_required && w->report_only     ? "must verify (tls_verify_hosts), reported only"
           : w->verify_required                       ? "must verify (tls_verify_hosts)"
           : w->verify_try                            ? "may fail (tls_try_verify_hosts)"
                                                      : "not verified";
}

static void show_wanted(const struct smtp_attempt *at, struct buf *out)
{
    const struct tls_client_want *w = &at->want;

    line(out, "TLS", at->require_tls ? "required" : at->avoid_tls ? "avoided (hosts_avoid_tls)" : "if offered");
    line(out, "policy", policy(at));
    if (w->tlsa != NULL)
        for (size_t i = 0; w->dane_names[i] != NULL; i++)
            line(out, "wanted", w->dane_names[i]);
    else if (w->verify_names)
        line(out, "wanted", w->names != NULL ? w->names : w->host_name);
    else if (w->verify_required || w->verify_try)
        line(out, "wanted", "any name (names are not checked)");
    if (w->sni != NULL && *w->sni != '\0')
        line(out, "SNI", w->sni);
}

#ifdef EXPERIMENTAL_CERTNAMES
static const char *names_of(const struct smtp_attempt *at, void *cert)
{
    return certname_presented(at->arena, cert, NAMES_SHOWN);
}
#else
static const char *names_of(const struct smtp_attempt *at, void *cert)
{
    struct err err;
    const char *text = tls_cert_extract(at->arena, cert, "subj_altname,dns,>,", &err);

    return text != NULL ? text : "";
}
#endif

static void show_presented(const struct smtp_attempt *at, struct buf *out)
{
    const struct tls_info *i = &at->conn->client.tls_info;
    struct err err;

    if (i->cipher == NULL)
        return;
    line(out, "cipher", i->cipher);
    if (i->peercert == NULL)
        return;
    line(out, "subject", i->peerdn);
    line(out, "presented", names_of(at, i->peercert));
    line(out, "issuer", tls_cert_extract(at->arena, i->peercert, "issuer", &err));
    line(out, "expires", tls_cert_extract(at->arena, i->peercert, "notafter", &err));
}

/* The verdict in words; true when a delivery would use the host, and with TLS if it is wanted. */
static bool show_verdict(const struct smtp_attempt *at, bool open, struct buf *out)
{
    const struct tls_info *i = at->conn != NULL ? &at->conn->client.tls_info : NULL;

    if (!open) {
        line(out, "result", arena_printf(at->arena, "refused: %s",
                                         at->fault.message != NULL ? at->fault.message
                                                                   : strerror(at->fault.basic_errno)));
        if (at->scope == SMTP_SCOPE_TLS && !at->require_tls && at->t->tls_tempfail_tryclear)
            line(out, "then", "delivery in clear (not in hosts_require_tls, tls_tempfail_tryclear)");
        return false;
    }
    if (!i->active) {
        line(out, "result", "accepted in clear: the server does not offer TLS");
        return true;
    }
    if (i->dane_verified)
        line(out, "result", "accepted: verified by DANE");
    else if (i->certificate_verified)
        line(out, "result", i->verified_name != NULL
                                ? arena_printf(at->arena, "accepted: verified as %s", i->verified_name)
                                : "accepted: verified");
    else
        line(out, "result", arena_printf(at->arena, "accepted, not verified%s%s", i->verify_error != NULL ? ": " : "",
                                         i->verify_error != NULL ? i->verify_error : ""));
    return true;
}

static bool probe_host(struct expand_ctx *ctx, const struct smtp_transport *t, struct host *h, struct buf *out)
{
    struct smtp_attempt at = { .t = t, .ctx = *ctx, .arena = ctx->arena, .host = h, .address = h->address,
                               .connect_timeout = PROBE_TIMEOUT, .command_timeout = PROBE_TIMEOUT,
                               .probe = true };

    at.ctx.host = h;
    if (!smtp_policy_read(&at) || !smtp_dane_find(&at)) {
        buf_printf(out, "  host %s [%s]\n", h->name, h->address);
        return show_verdict(&at, false, out);
    }
    buf_printf(out, "  host %s [%s]:%d%s\n", h->name, h->address, at.port, h->dnssec_ok ? " (DNSSEC)" : "");
    show_wanted(&at, out);
    bool open = smtp_open_connection(&at);

    if (at.conn != NULL)
        show_presented(&at, out);
    bool good = show_verdict(&at, open, out);

    if (at.conn != NULL)
        smtp_cache_quit(at.conn);
    return good;
}

int smtp_probe(struct expand_ctx *ctx, const struct transport *base, struct address *addr, struct buf *out)
{
    const struct smtp_transport *t = (const struct smtp_transport *)base;
    int refused = 0;
    struct smtp_hosts_list list = smtp_hosts_find(t, ctx, addr);

    if (list.error != NULL) {
        buf_printf(out, "  %s\n", list.error);
        return 1;
    }
    for (struct host *h = list.hosts; h != NULL; h = h->next) {
        if (h->address == NULL) {
            buf_printf(out, "  host %s: no address\n", h->name);
            refused++;
        } else if (!probe_host(ctx, t, h, out)) {
            refused++;
        }
    }
    return refused;
}
