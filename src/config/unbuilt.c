#include "config/unbuilt.h"

#include "base/attr.h"
#include "base/table.h"

/* clang-format off */
static const struct unbuilt {
    const char *name;
    const char *part; /* what the option belongs to */
} options[] = {
    { "authenticator/cyrus_sasl", "authenticator" },
    { "authenticator/gsasl", "authenticator" },
    { "authenticator/heimdal_gssapi", "authenticator" },
    { "authenticator/spa", "authenticator" },
    { "main/acl_not_smtp_mime", "content scanning" },
    { "main/acl_smtp_atrn", "ATRN" },
    { "main/acl_smtp_dkim", "DKIM" },
    { "main/acl_smtp_mime", "content scanning" },
    { "main/acl_smtp_wellknown", "WELLKNOWN" },
    { "main/av_scanner", "content scanning" },
    { "main/bmi_config_file", "Brightmail" },
    { "main/dcc_direct_add_header", "DCC" },
    { "main/dccifd_address", "DCC" },
    { "main/dccifd_options", "DCC" },
    { "main/debug_store", "Exim's memory allocator" },
    { "main/dkim_verify_hashes", "DKIM" },
    { "main/dkim_verify_keytypes", "DKIM" },
    { "main/dkim_verify_min_keysizes", "DKIM" },
    { "main/dkim_verify_minimal", "DKIM" },
    { "main/dkim_verify_signers", "DKIM" },
    { "main/dmarc_forensic_sender", "DMARC" },
    { "main/dmarc_history_file", "DMARC" },
    { "main/dmarc_tld_file", "DMARC" },
    { "main/gnutls_allow_auto_pkcs11", "GnuTLS" },
    { "main/gnutls_compat_mode", "GnuTLS" },
    { "main/ibase_servers", "InterBase lookups" },
    { "main/ldap_ca_cert_dir", "LDAP lookups" },
    { "main/ldap_ca_cert_file", "LDAP lookups" },
    { "main/ldap_cert_file", "LDAP lookups" },
    { "main/ldap_cert_key", "LDAP lookups" },
    { "main/ldap_cipher_suite", "LDAP lookups" },
    { "main/ldap_default_servers", "LDAP lookups" },
    { "main/ldap_require_cert", "LDAP lookups" },
    { "main/ldap_start_tls", "LDAP lookups" },
    { "main/ldap_version", "LDAP lookups" },
    { "main/limits_advertise_hosts", "LIMITS" },
    { "main/local_scan_timeout", "local_scan()" },
    { "main/log_ports", "Exim 4.99" },
#ifndef SUPPORT_MOVE_FROZEN_MESSAGES
    { "main/move_frozen_messages", "SUPPORT_MOVE_FROZEN_MESSAGES" },
#endif
    { "main/mua_wrapper", "the MUA wrapper mode" },
    { "main/mysql_servers", "MySQL lookups" },
    { "main/notifier_socket", "the daemon's notifier socket" },
    { "main/oracle_servers", "Oracle lookups" },
    { "main/panic_coredump", "core dumps on a panic" },
    { "main/perl_at_start", "embedded Perl" },
    { "main/perl_startup", "embedded Perl" },
    { "main/perl_taintmode", "embedded Perl" },
    { "main/pgsql_servers", "PostgreSQL lookups" },
    { "main/pipelining_connect_advertise_hosts", "early pipelining" },
    { "main/queue_fast_ramp", "the fast-ramp queue run" },
    { "main/redis_servers", "Redis lookups" },
    { "main/slow_lookup_log", "logging of slow lookups" },
    { "main/smtp_backlog_monitor", "monitoring of the listen backlog" },
    { "main/spamd_address", "content scanning" },
    { "main/spf_guess", "SPF" },
    { "main/spf_smtp_comment_template", "SPF" },
    { "main/spool_wireformat", "the wire format of the spool" },
    { "main/sqlite_dbfile", "SQLite lookups" },
#ifndef LOOKUP_SQLITE
    { "main/sqlite_lock_timeout", "SQLite lookups" },
#endif
    { "main/srs_config", "SRS" },
    { "main/srs_hashlength", "SRS" },
    { "main/srs_hashmin", "SRS" },
    { "main/srs_maxage", "SRS" },
    { "main/srs_secrets", "SRS" },
    { "main/srs_usehash", "SRS" },
    { "main/srs_usetimestamp", "SRS" },
    { "main/system_filter", "system filters" },
    { "main/system_filter_directory_transport", "system filters" },
    { "main/system_filter_file_transport", "system filters" },
    { "main/system_filter_group", "system filters" },
    { "main/system_filter_pipe_transport", "system filters" },
    { "main/system_filter_reply_transport", "system filters" },
    { "main/system_filter_user", "system filters" },
    { "main/tcp_wrappers_daemon_name", "TCP wrappers" },
    { "main/tls_early_banner_hosts", "early banners" },
    { "main/wellknown_advertise_hosts", "WELLKNOWN" },
    { "router/bmi_deliver_alternate", "Brightmail" },
    { "router/bmi_deliver_default", "Brightmail" },
    { "router/bmi_dont_deliver", "Brightmail" },
    { "router/bmi_rule", "Brightmail" },
    { "router/redirect/sieve_inbox", "Sieve filters" },
    { "router/redirect/srs", "SRS" },
    { "router/redirect/srs_alias", "SRS" },
    { "router/redirect/srs_condition", "SRS" },
    { "router/redirect/srs_dbinsert", "SRS" },
    { "router/redirect/srs_dbselect", "SRS" },
    { "transport/appendfile/mbx_format", "mbx mailboxes" },
    { "transport/appendfile/use_mbx_lock", "mbx mailboxes" },
    { "transport/pipe/use_classresources", "login classes" },
    { "transport/queuefile", "transport" },
    { "transport/smtp/arc_sign", "ARC" },
    { "transport/smtp/dkim_canon", "DKIM" },
    { "transport/smtp/dkim_domain", "DKIM" },
    { "transport/smtp/dkim_hash", "DKIM" },
    { "transport/smtp/dkim_identity", "DKIM" },
    { "transport/smtp/dkim_private_key", "DKIM" },
    { "transport/smtp/dkim_selector", "DKIM" },
    { "transport/smtp/dkim_sign_headers", "DKIM" },
    { "transport/smtp/dkim_strict", "DKIM" },
    { "transport/smtp/dkim_timestamps", "DKIM" },
    { "transport/smtp/gnutls_compat_mode", "GnuTLS" },
    { "transport/smtp/gnutls_require_kx", "GnuTLS" },
    { "transport/smtp/gnutls_require_mac", "GnuTLS" },
    { "transport/smtp/gnutls_require_protocols", "GnuTLS" },
    { "transport/smtp/hosts_pipe_connect", "early pipelining" },
};
/* clang-format on */

const char *unbuilt_option(const char *name)
{
    const struct unbuilt *u = TABLE_FIND(options, name);

    return u == NULL ? NULL : u->part;
}

const char *unbuilt_at(size_t i)
{
    return i < ARRAY_LEN(options) ? options[i].name : NULL;
}
