#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ip.h"
#include "base/list.h"
#include "config/config.h"
#include "exim.h"
#include "host.h"
#include "match.h"
#include "transports/smtp_int.h"
#include "transports/smtp_proxy.h"

enum { KEY_MAX = 1024 * 1024 };

bool smtp_policy_in(struct smtp_attempt *at, const char *option, const struct match_list *l, bool *in)
{
    const char *const names[] = { at->host->name, NULL };
    struct match_host_subject h = { .address = at->address, .names = names };

    *in = false;
    if (l == NULL)
        return true;
    at->ctx.err = (struct err){ 0 };
    enum rc rc = match_host(&at->ctx, l, &h, NULL);

    *in = rc == RC_OK;
    /* An item that cannot be told must not switch a protection off in silence. */
    bool protects = cstr_starts(option, "hosts_require") || cstr_starts(option, "tls_verify");
    bool unsure = protects && rc == RC_FAIL && h.unknown != NULL && strstr(l->text, "+ignore_unknown") == NULL;

    if (rc != RC_DEFER && !unsure)
        return true;
    const char *why = unsure ? h.unknown : at->ctx.err.msg != NULL ? at->ctx.err.msg : "lookup deferred";

    return smtp_fault_set(at, SMTP_SCOPE_LOCAL, RC_DEFER, 0,
                          arena_printf(at->arena, "%s could not be checked for %s [%s]: %s", option,
                                       at->host->name, at->address, why));
}

bool smtp_policy_expand(struct smtp_attempt *at, const char *option, const struct expr *e, const char **out)
{
    *out = NULL;
    if (e == NULL)
        return true;
    switch (expand(&at->ctx, e, out)) {
    case EXPAND_OK:
        return true;
    case EXPAND_FORCED:
        *out = NULL;
        return true;
    default:
        return smtp_fault_expand(at, option);
    }
}

/* For options where an empty value means the same as none. */
static bool expand_set(struct smtp_attempt *at, const char *option, const struct expr *e, const char **out)
{
    if (!smtp_policy_expand(at, option, e, out))
        return false;
    if (*out != NULL && **out == '\0')
        *out = NULL;
    return true;
}

bool smtp_policy_port(struct smtp_attempt *at)
{
    static const char *const defaults[] = { "smtp", "lmtp", "smtps" };
    const char *text;

    if (at->host->port != HOST_PORT_DEFAULT) {
        at->port = at->host->port;
        return true;
    }
    if (!expand_set(at, "port", at->t->port, &text))
        return false;
    if (text == NULL)
        text = defaults[at->t->kind];
    at->port = host_port_parse(text);
    return at->port != 0 || smtp_fault_set(at, SMTP_SCOPE_LOCAL, RC_DEFER, 0,
                                           arena_printf(at->arena, "TCP port \"%s\" is not defined for %s transport",
                                                        text, at->t->base.name));
}

/* The first of the list that is of the host's family. */
static bool read_interface(struct smtp_attempt *at)
{
    const char *list;
    struct ip host, ip;

    at->interface = NULL;
    if (!expand_set(at, "interface", at->t->interface, &list))
        return false;
    if (list == NULL || !ip_parse(at->address, &host))
        return true;
    struct list_iter it = list_begin(list, ':');

    for (const char *item; (item = list_next(&it, at->arena)) != NULL;) {
        if (!ip_parse(item, &ip))
            return smtp_fault_set(at, SMTP_SCOPE_LOCAL, RC_DEFER, 0,
                                  arena_printf(at->arena, "\"%s\" is not a valid IP address for the \"interface\" "
                                                          "option for %s transport", item, at->t->base.name));
        if (ip.family == host.family) {
            at->interface = item;
            return true;
        }
    }
    return true;
}

static bool is_empty(const struct match_list *l)
{
    return l == NULL || l->text == NULL || *cstr_skip_space(l->text) == '\0';
}

static bool read_verification(struct smtp_attempt *at)
{
    const struct smtp_transport *t = at->t;
    struct tls_client_want *w = &at->want;
    bool listed;

    if (!expand_set(at, "tls_verify_certificates", t->tls_verify_certificates, &w->ca) ||
        !expand_set(at, "tls_crl", t->tls_crl, &w->crl))
        return false;
    if (w->ca == NULL) /* nothing to verify against; those that must be verified are refused then */
        return smtp_policy_in(at, "tls_verify_hosts", t->tls_verify_hosts, &w->verify_required);
    if (is_empty(t->tls_verify_hosts) && is_empty(t->tls_try_verify_hosts)) {
        w->verify_required = true; /* Exim: as it was before the two lists existed */
    } else if (!smtp_policy_in(at, "tls_verify_hosts", t->tls_verify_hosts, &w->verify_required) ||
               (!w->verify_required &&
                !smtp_policy_in(at, "tls_try_verify_hosts", t->tls_try_verify_hosts, &w->verify_try))) {
        return false;
    }
    if (!smtp_policy_in(at, "tls_verify_report_hosts", t->tls_verify_report_hosts, &w->report_only) ||
        !smtp_policy_in(at, "tls_verify_cert_hostnames", t->tls_verify_cert_hostnames, &listed) ||
        !smtp_policy_expand(at, "tls_verify_cert_hostname", t->tls_verify_cert_hostname, &w->names))
        return false;
    /* A list of names failed by force: no check of names. */
    w->verify_names = t->tls_verify_cert_hostname != NULL ? w->names != NULL : listed;
    return true;
}

static bool read_ocsp(struct smtp_attempt *at)
{
    struct tls_client_want *w = &at->want;

    if (!smtp_policy_in(at, "hosts_require_ocsp", at->t->hosts_require_ocsp, &w->require_ocsp))
        return false;
    if (w->require_ocsp)
        w->request_ocsp = true;
    else if (!smtp_policy_in(at, "hosts_request_ocsp", at->t->hosts_request_ocsp, &w->request_ocsp))
        return false;
    return true;
}

static bool read_tls(struct smtp_attempt *at)
{
    const struct smtp_transport *t = at->t;
    struct tls_client_want *w = &at->want;
    bool verify_avoid = false;

    *w = (struct tls_client_want){ .host_name = at->host->certname != NULL ? at->host->certname : at->host->name,
                                   .alias_target = at->host->certname != NULL ? at->host->name : NULL,
                                   .host_address = at->address,
                                   .next_hop = smtp_dane_next_hop(at),
                                   .port = at->port,
                                   .dh_min_bits = t->tls_dh_min_bits,
                                   .options = at->ctx.exim->config->main.openssl_options,
                                   .event_action = t->base.event_action };
    if (!smtp_policy_in(at, "hosts_avoid_tls", t->hosts_avoid_tls, &at->avoid_tls) ||
        (at->callout && !smtp_policy_in(at, "hosts_verify_avoid_tls", t->hosts_verify_avoid_tls, &verify_avoid)) ||
        !smtp_policy_in(at, "hosts_require_tls", t->hosts_require_tls, &at->require_tls))
        return false;
    at->avoid_tls = at->avoid_tls || verify_avoid;
    if (at->avoid_tls && t->kind != SMTP_TLS_ON_CONNECT)
        return true;
    if (!expand_set(at, "tls_certificate", t->tls_certificate, &w->certificate) ||
        !expand_set(at, "tls_privatekey", t->tls_privatekey, &w->privatekey) ||
        !expand_set(at, "tls_require_ciphers", t->tls_require_ciphers, &w->ciphers) ||
        !expand_set(at, "dane_require_tls_ciphers", t->dane_require_tls_ciphers, &w->dane_ciphers) ||
        !expand_set(at, "tls_eccurve", t->tls_eccurve, &w->eccurve) ||
        !expand_set(at, "tls_alpn", t->tls_alpn, &w->alpn) ||
        !smtp_policy_expand(at, "tls_sni", t->tls_sni, &w->sni))
        return false;
    if (t->tls_sni == NULL) /* hosts with many names need to be told; tls_sni = "" turns it off */
        w->sni = w->host_name;
    return read_verification(at) && read_ocsp(at) &&
           smtp_policy_in(at, "hosts_require_alpn", t->hosts_require_alpn, &w->require_alpn) &&
           smtp_policy_in(at, "tls_resumption_hosts", t->tls_resumption_hosts, &w->resumption);
}

bool smtp_policy_read(struct smtp_attempt *at)
{
    return (at->port != 0 || smtp_policy_port(at)) && read_interface(at) && read_tls(at) && smtp_proxy_read(at);
}

static void add(struct buf *b, const char *s)
{
    buf_add_cstr(b, s != NULL ? s : "\001");
    buf_add_char(b, '\n');
}

static void add_tlsa(struct buf *b, const struct dns_answer *tlsa)
{
    for (size_t i = 0; tlsa != NULL && i < tlsa->count; i++)
        buf_add_str(b, tlsa->records[i].rdata);
}

/* Equal keys: a connection made for one message may carry the other. What was verified, and how, is
 * part of it. */
struct str smtp_policy_key(struct smtp_attempt *at)
{
    const struct tls_client_want *w = &at->want;
    struct buf b = buf_init(at->arena, KEY_MAX);

    add(&b, at->t->base.name);
    add(&b, at->host->name);
    add(&b, at->interface);
    tls_client_facts(&b, w);
    buf_add_str(&b, smtp_proxy_key(at));
    add(&b, w->dane_ciphers);
    add_tlsa(&b, w->tlsa);
    for (size_t i = 0; w->dane_names != NULL && w->dane_names[i] != NULL; i++)
        add(&b, w->dane_names[i]);
    buf_printf(&b, "%d%d%d", at->avoid_tls, at->require_tls, at->dane_required);
    return b.full ? (struct str){ 0 } : buf_view(&b);
}

struct str smtp_policy_files(struct arena *a, const struct smtp_attempt *at)
{
    struct buf b = buf_init(a, KEY_MAX);

    tls_client_files(&b, &at->want);
    return buf_view(&b);
}
