#include "spool_int.h"

#include "base/attr.h"
#include "message.h"

/* clang-format off */
#define AT(m) offsetof(struct message, m)
#define FLAG(n, m)        { n, FIELD_FLAG, AT(m), 0 }
#define TEXT(n, m)        { n, FIELD_TEXT, AT(m), 0 }
#define COUNT(n, m)       { n, FIELD_COUNT, AT(m), 0 }
#define ENDPOINT(n, m, p) { n, FIELD_ENDPOINT, AT(m), AT(p) }

/* Exim's order, so that a spool file of ours differs from its only where the message does. */
const struct spool_field spool_fields[] = {
    { "received_time_usec", FIELD_USEC, AT(received), 0 },
    { "received_time_complete", FIELD_DROPPED, 0, 0 },
    TEXT("helo_name", sender_helo_name),
    ENDPOINT("host_address", sender_host_address, sender_host_port),
    TEXT("host_name", sender_host_name),
    TEXT("host_auth", sender_host_authenticated),
    ENDPOINT("interface_address", interface_address, interface_port),
    TEXT("active_hostname", smtp_active_hostname),
    TEXT("ident", sender_ident),
    TEXT("received_protocol", received_protocol),
    { "aclc", FIELD_ACL, AT(acl_c), 0 },
    { "aclm", FIELD_ACL, AT(acl_m), 0 },
    FLAG("spool_file_wireformat", spool_file_wireformat),
    { "body_linecount", FIELD_LINES, AT(body_linecount), 0 },
    COUNT("max_received_linelength", max_received_linelength),
    COUNT("body_zerocount", body_zerocount),
    TEXT("auth_id", authenticated_id),
    TEXT("auth_sender", authenticated_sender),
    FLAG("allow_unqualified_recipient", allow_unqualified_recipient),
    FLAG("allow_unqualified_sender", allow_unqualified_sender),
    FLAG("deliver_firsttime", deliver_firsttime),
    { "frozen", FIELD_TIME, AT(frozen_at), 0 },
    FLAG("N", dont_deliver),
    FLAG("host_lookup_deferred", host_lookup_deferred),
    FLAG("host_lookup_failed", host_lookup_failed),
    FLAG("local", sender_local),
    FLAG("localerror", local_error_message),
    TEXT("local_scan", local_scan_data),
    FLAG("manual_thaw", manually_thawed),
    FLAG("sender_set_untrusted", sender_set_untrusted),
    TEXT("spam_bar", spam_bar),
    { "spam_score", FIELD_SCORE, AT(spam_score_int), 0 },
    TEXT("spam_score_int", spam_score_int),
    TEXT("spam_action", spam_action),
    FLAG("tls_certificate_verified", tls_in_certificate_verified),
    TEXT("tls_cipher", tls_in_cipher),
    TEXT("tls_peerdn", tls_in_peerdn),
    TEXT("tls_sni", tls_in_sni),
    TEXT("tls_ocsp", tls_in_ocsp),
    TEXT("tls_ver", tls_in_ver),
    FLAG("smtputf8", smtputf8),
    FLAG("utf8_downcvt", utf8_downconvert),
    TEXT("dsn_envid", dsn_envid),
    { "dsn_ret", FIELD_RET, AT(dsn_ret), 0 },
    TEXT("dsn_report_of", report_of), /* ours: Exim passes over what it does not know */
};
/* clang-format on */
const size_t spool_field_count = ARRAY_LEN(spool_fields);
