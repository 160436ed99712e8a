#include "acl/acl_int.h"

#include "base/table.h"
#include "base/attr.h"

/* Where Exim refuses them, found by asking it for each word at each place. */
#define NO_SENDER                                                                        \
    (AT(AUTH) | AT(CONNECT) | AT(HELO) | AT(MAILAUTH) | AT(QUIT) | AT(ETRN) | AT(EXPN) | \
     AT(STARTTLS) | AT(VRFY))
#define HEADERS (AT_MESSAGE | AT(DKIM) | AT(PRDR) | AT_NONSMTP)

/* clang-format off */
static const struct acl_row rows[] = {
    { "acl",               false, ARG_ACL,         0, acl_condition_acl, NULL },
    { "add_header",        true,  ARG_EXPAND,      ONLY(HEADERS), acl_headers_add, NULL },
    { "authenticated",     false, ARG_STRINGS,     AT(CONNECT) | AT(HELO) | AT_NONSMTP, acl_condition_authenticated, NULL },
    { "condition",         false, ARG_EXPAND,      0, acl_condition_condition, NULL },
    { "continue",          true,  ARG_EXPAND,      0, acl_modifier_continue, NULL },
    { "control",           true,  ARG_EXPAND,      0, acl_control, acl_control_check },
    { "delay",             true,  ARG_EXPAND,      AT(NOTQUIT), acl_modifier_delay, acl_modifier_delay_check },
    { "dnslists",          false, ARG_EXPAND,      AT_NONSMTP, acl_dnslists, NULL },
    { "domains",           false, ARG_DOMAINS,     ONLY(AT(RCPT) | AT(VRFY) | AT(PRDR)), acl_condition_domains, NULL },
    { "encrypted",         false, ARG_STRINGS,     AT(HELO) | AT_NONSMTP, acl_condition_encrypted, NULL },
    { "endpass",           true,  ARG_NONE,        0, NULL, NULL },
    { "hosts",             false, ARG_HOSTS,       AT_NONSMTP, acl_condition_hosts, NULL },
    { "local_parts",       false, ARG_LOCAL_PARTS, ONLY(AT(RCPT) | AT(VRFY) | AT(PRDR)), acl_condition_local_parts, NULL },
    { "log_message",       true,  ARG_TEXT,        0, NULL, NULL },
    { "log_reject_target", true,  ARG_EXPAND,      0, acl_modifier_log_reject_target, NULL },
    { "logwrite",          true,  ARG_EXPAND,      0, acl_modifier_logwrite, NULL },
    { "message",           true,  ARG_TEXT,        0, NULL, NULL },
    { "ratelimit",         false, ARG_EXPAND,      0, acl_ratelimit, acl_ratelimit_check },
    { "recipients",        false, ARG_ADDRESSES,   ONLY(AT(RCPT)), acl_condition_recipients, NULL },
    { "remove_header",     true,  ARG_EXPAND,      ONLY(HEADERS), acl_headers_remove, NULL },
    { "sender_domains",    false, ARG_DOMAINS,     NO_SENDER, acl_condition_sender_domains, NULL },
    { "senders",           false, ARG_ADDRESSES,   NO_SENDER, acl_condition_senders, NULL },
    { "set",               true,  ARG_EXPAND,      0, acl_modifier_set, NULL },
    { "udpsend",           true,  ARG_EXPAND,      0, acl_modifier_udpsend, NULL },
    { "verify",            false, ARG_EXPAND,      0, acl_verify, acl_verify_check },
};

/* Words of Exim that this server has not got: refused by name. */
static const struct {
    const char *name, *what;
} unbuilt[] = {
    { "bmi_optin",    "Brightmail" },
    { "dcc",          "DCC checks" },
    { "decode",       "content scanning" },
    { "dkim_signers", "DKIM verification" },
    { "dkim_status",  "DKIM verification" },
    { "dmarc_status", "DMARC checks" },
    { "malware",      "content scanning" },
    { "mime_regex",   "content scanning" },
    { "queue",        "named queues" },
    { "regex",        "content scanning" },
    { "seen",         "the seen condition of later releases" },
    { "spam",         "content scanning" },
    { "spf",          "SPF checks" },
    { "spf_guess",    "SPF checks" },
};
/* clang-format on */

const struct acl_row *acl_words_find(const char *name)
{
    return TABLE_FIND(rows, name);
}

const char *acl_words_unbuilt(const char *name)
{
    const void *row = TABLE_FIND(unbuilt, name);

    return row == NULL ? NULL : ((const __typeof__(unbuilt[0]) *)row)->what;
}
