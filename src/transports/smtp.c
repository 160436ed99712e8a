#include "transports/smtp.h"

#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "config/config.h"
#include "host.h"
#include "transports/smtp_int.h"

#define T struct smtp_transport
/* clang-format off */
static const struct option options[] = {
    OPTION_BOOL(T, address_retry_include_sender, true),
    OPTION_BOOL(T, allow_localhost, false),
    OPTION_EXPAND(T, authenticated_sender, NULL),
    OPTION_BOOL(T, authenticated_sender_force, false),
    OPTION_TIME(T, command_timeout, 300),
    OPTION_TIME(T, connect_timeout, 300),
    OPTION_INT(T, connection_max_messages, 500),
    OPTION_EXPAND(T, dane_require_tls_ciphers, NULL),
    OPTION_TIME(T, data_timeout, 300),
    OPTION_BOOL(T, delay_after_cutoff, true),
    OPTION_BOOL(T, dns_qualify_single, true),
    OPTION_BOOL(T, dns_search_parents, false),
    OPTION_DOMAIN_LIST(T, dnssec_request_domains, NULL),
    OPTION_DOMAIN_LIST(T, dnssec_require_domains, NULL),
    OPTION_EXPAND(T, dscp, NULL),
#ifdef EXPERIMENTAL_DSN
    OPTION_BOOL(T, dsn_never_null_sender, false),
#endif
    OPTION_STRING(T, fallback_hosts, NULL),
    OPTION_TIME(T, final_timeout, 600),
    OPTION_BOOL(T, gethostbyname, false),
    OPTION_EXPAND(T, helo_data, "$primary_hostname"),
    OPTION_EXPAND(T, host_name_extract, NULL),
    OPTION_EXPAND(T, hosts, NULL),
    OPTION_HOST_LIST(T, hosts_avoid_esmtp, NULL),
    OPTION_HOST_LIST(T, hosts_avoid_pipelining, NULL),
    OPTION_HOST_LIST(T, hosts_avoid_tls, NULL),
    OPTION_INT(T, hosts_max_try, 5),
    OPTION_INT(T, hosts_max_try_hardlimit, 50),
    OPTION_HOST_LIST(T, hosts_nopass_tls, NULL),
    OPTION_HOST_LIST(T, hosts_noproxy_tls, NULL),
    OPTION_BOOL(T, hosts_override, false),
    OPTION_BOOL(T, hosts_randomize, false),
    OPTION_HOST_LIST(T, hosts_request_ocsp, "*"),
    OPTION_HOST_LIST(T, hosts_require_alpn, NULL),
    OPTION_HOST_LIST(T, hosts_require_auth, NULL),
    OPTION_HOST_LIST(T, hosts_require_dane, NULL),
    OPTION_HOST_LIST(T, hosts_require_ocsp, NULL),
    OPTION_HOST_LIST(T, hosts_require_tls, NULL),
#ifdef EXPERIMENTAL_PROXY
    OPTION_HOST_LIST(T, hosts_send_proxy, NULL),
    OPTION_HOST_LIST(T, hosts_send_proxy_v1, NULL),
#endif
    OPTION_HOST_LIST(T, hosts_try_auth, NULL),
    OPTION_HOST_LIST(T, hosts_try_chunking, "*"),
    OPTION_HOST_LIST(T, hosts_try_dane, "*"),
    OPTION_HOST_LIST(T, hosts_try_fastopen, NULL),
    OPTION_HOST_LIST(T, hosts_try_prdr, "*"),
    OPTION_HOST_LIST(T, hosts_verify_avoid_tls, NULL),
    OPTION_EXPAND(T, interface, NULL),
    OPTION_BOOL(T, keepalive, true),
    OPTION_BOOL(T, lmtp_ignore_quota, false),
    OPTION_INT(T, max_rcpt, 100),
    OPTION_INT(T, message_linelength_limit, 0),
    OPTION_EXPAND_BOOL(T, multi_domain, "true"),
    OPTION_EXPAND(T, port, NULL),
    OPTION_STRING(T, protocol, "smtp"),
    OPTION_EXPAND_BOOL(T, retry_include_ip_address, "true"),
    OPTION_HOST_LIST(T, serialize_hosts, NULL),
    OPTION_INT(T, size_addition, 1024),
    OPTION_EXPAND(T, socks_proxy, NULL),
    OPTION_EXPAND(T, tls_alpn, NULL),
    OPTION_EXPAND(T, tls_certificate, NULL),
    OPTION_EXPAND(T, tls_crl, NULL),
    OPTION_INT(T, tls_dh_min_bits, 1024),
    OPTION_EXPAND(T, tls_eccurve, NULL),
    OPTION_EXPAND(T, tls_privatekey, NULL),
    OPTION_EXPAND(T, tls_require_ciphers, NULL),
    OPTION_HOST_LIST(T, tls_resumption_hosts, NULL),
    OPTION_EXPAND(T, tls_sni, NULL),
    OPTION_BOOL(T, tls_tempfail_tryclear, true),
    OPTION_HOST_LIST(T, tls_try_verify_hosts, "*"),
#ifdef EXPERIMENTAL_CERTNAMES
    OPTION_EXPAND(T, tls_verify_cert_hostname, NULL),
    OPTION_HOST_LIST(T, tls_verify_cert_hostnames, "*"),
#endif
    OPTION_EXPAND(T, tls_verify_certificates, "system"),
    OPTION_STRING(T, tls_verify_fail, "clear"),
    OPTION_HOST_LIST(T, tls_verify_hosts, NULL),
    OPTION_HOST_LIST(T, tls_verify_report_hosts, NULL),
    OPTION_EXPAND(T, utf8_downconvert, NULL),
};
/* clang-format on */

static bool check_timeouts(const struct smtp_transport *t, struct arena *a, struct err *err)
{
    const char *zero = t->command_timeout == 0 ? "command_timeout"
                       : t->data_timeout == 0  ? "data_timeout"
                       : t->final_timeout == 0 ? "final_timeout"
                                               : NULL;

    return zero == NULL || err_set(err, a, "%s transport: %s must not be zero", t->base.name, zero);
}

static bool check_words(struct smtp_transport *t, struct arena *a, struct err *err)
{
    static const char *const kinds[] = { "smtp", "lmtp", "smtps" };
    static const char *const fails[] = { "clear", "unverified", "defer" };
    size_t i = 0;

    while (i < ARRAY_LEN(kinds) && strcmp(t->protocol, kinds[i]) != 0)
        i++;
    if (i == ARRAY_LEN(kinds))
        return err_set(err, a, "invalid setting for \"protocol\" in %s transport: \"smtp\", \"lmtp\" or "
                               "\"smtps\" is expected", t->base.name);
    t->kind = (enum smtp_protocol)i;
    for (i = 0; i < ARRAY_LEN(fails) && strcmp(t->tls_verify_fail, fails[i]) != 0;)
        i++;
    if (i == ARRAY_LEN(fails))
        return err_set(err, a, "invalid setting for \"tls_verify_fail\" in %s transport: \"clear\", "
                               "\"unverified\" or \"defer\" is expected", t->base.name);
    t->verify_fail = (enum smtp_verify_fail)i;
    return true;
}

static bool check(struct transport *base, const struct config *cfg, struct arena *a, struct err *err)
{
    struct smtp_transport *t = (struct smtp_transport *)base;

    (void)cfg;
    if (!check_timeouts(t, a, err) || !check_words(t, a, err))
        return false;
    base->max_addresses = t->max_rcpt;
    /* What depends on an address is settled before it is known: then each domain goes alone. */
    base->multi_domain = t->multi_domain == NULL ||
                         (t->multi_domain->constant != NULL &&
                          strcmp(t->multi_domain->constant, "false") != 0 &&
                          strcmp(t->multi_domain->constant, "no") != 0);
    if (t->fallback_hosts != NULL)
        t->fallback_list = host_list_parse(a, t->fallback_hosts, false);
    return true;
}

static void deliver(const struct transport *base, struct transport_call *call)
{
    smtp_hosts_deliver((const struct smtp_transport *)base, call);
}

const struct transport_driver transport_smtp = {
    .name = "smtp",
    .instance_size = sizeof(struct smtp_transport),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .check = check,
    .deliver = deliver,
    .note_waiting = smtp_wait_note_hosts,
    .tidy = smtp_cache_tidy,
};
