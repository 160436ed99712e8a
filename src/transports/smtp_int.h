/* smtp_int.h - the insides of the smtp transport. */
#ifndef EXIM_TRANSPORTS_SMTP_INT_H
#define EXIM_TRANSPORTS_SMTP_INT_H

#include <stdint.h>
#include <sys/types.h>

#include "expand.h"
#include "smtp/client.h"
#include "tls.h"
#include "transports/smtp.h"

struct address;
struct match_list;

enum smtp_protocol { SMTP_PLAIN, SMTP_LMTP, SMTP_TLS_ON_CONNECT };
enum smtp_verify_fail { SMTP_VERIFY_FAIL_CLEAR, SMTP_VERIFY_FAIL_UNVERIFIED, SMTP_VERIFY_FAIL_DEFER };

struct smtp_transport {
    struct transport base;
    bool address_retry_include_sender, allow_localhost, authenticated_sender_force;
    const struct expr *authenticated_sender;
    long command_timeout, connect_timeout, connection_max_messages, data_timeout;
    const struct expr *dane_require_tls_ciphers;
    bool delay_after_cutoff, dns_qualify_single, dns_search_parents, dsn_never_null_sender;
    const struct match_list *dnssec_request_domains, *dnssec_require_domains;
    const struct expr *dscp;
    const char *fallback_hosts;
    long final_timeout;
    bool gethostbyname;
    const struct expr *helo_data, *host_name_extract, *hosts;
    const struct match_list *hosts_avoid_esmtp, *hosts_avoid_pipelining, *hosts_avoid_tls;
    long hosts_max_try, hosts_max_try_hardlimit;
    const struct match_list *hosts_nopass_tls, *hosts_noproxy_tls;
    bool hosts_override, hosts_randomize;
    const struct match_list *hosts_request_ocsp, *hosts_require_alpn, *hosts_require_auth,
        *hosts_require_dane, *hosts_require_ocsp, *hosts_require_tls, *hosts_send_proxy,
        *hosts_send_proxy_v1, *hosts_try_auth,
        *hosts_try_chunking, *hosts_try_dane, *hosts_try_fastopen, *hosts_try_prdr,
        *hosts_verify_avoid_tls;
    const struct expr *interface;
    bool keepalive, lmtp_ignore_quota;
    long max_rcpt, message_linelength_limit;
    const struct expr *multi_domain, *port;
    const char *protocol;
    const struct expr *retry_include_ip_address;
    const struct match_list *serialize_hosts;
    long size_addition;
    const struct expr *socks_proxy;
    const struct expr *tls_alpn, *tls_certificate, *tls_crl;
    long tls_dh_min_bits;
    const struct expr *tls_eccurve, *tls_privatekey, *tls_require_ciphers;
    const struct match_list *tls_resumption_hosts;
    const struct expr *tls_sni;
    bool tls_tempfail_tryclear;
    const struct match_list *tls_try_verify_hosts;
    const struct expr *tls_verify_cert_hostname;
    const struct match_list *tls_verify_cert_hostnames;
    const struct expr *tls_verify_certificates;
    const char *tls_verify_fail;
    const struct match_list *tls_verify_hosts, *tls_verify_report_hosts;
    const struct expr *utf8_downconvert;
    /* Worked out by check(). */
    enum smtp_protocol kind;
    enum smtp_verify_fail verify_fail;
    const struct host *fallback_list;
};

enum smtp_scope {
    SMTP_SCOPE_NONE,
    SMTP_SCOPE_HOST,    /* a host error: no message goes there until it is due again */
    SMTP_SCOPE_MESSAGE, /* this message at this host */
    SMTP_SCOPE_LOCAL,   /* ours: an expansion, a lookup */
    SMTP_SCOPE_TLS,     /* worth another try without TLS */
};

/* A connection, perhaps kept from an earlier message. */
struct smtp_connection {
    struct smtp_connection *next;
    struct arena *arena;
    struct client client;
    struct str key;       /* empty: not to be kept */
    struct str files;     /* with TLS: smtp_policy_files when it was made */
    pid_t owner;          /* a child must not talk on its parent's connection */
    int64_t last_used_ms;
    long messages;        /* begun on it */
    bool needs_rset, esmtp_off, authenticated, nopass;
    const char *auth_name, *auth_id; /* A= */
    const char *banner;
};

/* One attempt at one host. */
struct smtp_attempt {
    const struct smtp_transport *t;
    struct expand_ctx ctx; /* host, tls_out and sending_* set */
    struct arena *arena;
    struct host *host;
    const char *address;   /* host->address */
    int port;
    const char *interface;
    long connect_timeout, command_timeout;
    bool callout, reuse;
    bool probe;            /* -btls: no second try in clear, no lines in the log; conn stays after a fault */
    bool avoid_tls, require_tls, dane_required;
    int send_proxy;        /* version of the PROXY header; 0: none */
    bool in_clear;         /* second try, after TLS failed */
    struct tls_client_want want;
    struct smtp_connection *conn;
    bool reused;
    enum smtp_scope scope;
    struct smtp_fault fault;
};

/* ---- smtp_fault.c: wording ---- */
bool smtp_fault_set(struct smtp_attempt *at, enum smtp_scope scope, enum rc rc, int basic_errno,
                    const char *message); /* false */
/* After a reply (or none) to `after`. */
bool smtp_fault_reply(struct smtp_attempt *at, enum smtp_scope scope, const char *after);
bool smtp_fault_expand(struct smtp_attempt *at, const char *option); /* ctx->err tells why */
/* Sets the fault as the result of an address, with the host if it said so. */
void smtp_fault_apply(struct smtp_attempt *at, struct address *addr);
/* "H=host [ip]..." as Exim logs what went wrong with a host, and msg:host:defer. */
void smtp_fault_log(struct smtp_attempt *at);
/* Raises an event of the transport: its text, or NULL for none. */
const char *smtp_fault_event(struct smtp_attempt *at, const char *name, const char *data, int defer_errno);

/* ---- smtp_policy.c: options for one host ---- */
bool smtp_policy_in(struct smtp_attempt *at, const char *option, const struct match_list *l, bool *in);
/* NULL in *out when unset or failed by force. False with the fault set. */
bool smtp_policy_expand(struct smtp_attempt *at, const char *option, const struct expr *e, const char **out);
/* What the retry times of the host are kept by; all the rest is for one that is tried. */
bool smtp_policy_port(struct smtp_attempt *at);
/* Port, interface and everything about TLS. */
bool smtp_policy_read(struct smtp_attempt *at);
/* Empty: the connection is for this message alone. */
struct str smtp_policy_key(struct smtp_attempt *at);
/* The state of the files that TLS was verified against. */
struct str smtp_policy_files(struct arena *a, const struct smtp_attempt *at);

/* ---- smtp_open.c, smtp_starttls.c, smtp_auth.c ---- */
bool smtp_open_connection(struct smtp_attempt *at); /* or one that was kept */
bool smtp_open_ehlo(struct smtp_attempt *at);
int64_t smtp_open_deadline(const struct smtp_attempt *at);
enum smtp_tls_result { SMTP_TLS_ON, SMTP_TLS_NONE, SMTP_TLS_FAULT };
bool smtp_starttls_now(struct smtp_attempt *at);               /* handshake */
enum smtp_tls_result smtp_starttls_try(struct smtp_attempt *at); /* after EHLO */
bool smtp_auth_run(struct smtp_attempt *at);
bool smtp_dane_find(struct smtp_attempt *at);
const char *smtp_dane_next_hop(const struct smtp_attempt *at); /* NULL: more than one */

/* ---- smtp_cache.c ---- */
struct smtp_connection *smtp_cache_take(struct str key);
void smtp_cache_keep(struct smtp_connection *c);
void smtp_cache_tidy(void);
void smtp_cache_quit(struct smtp_connection *c); /* QUIT, close, free */
struct smtp_connection *smtp_cache_new(void);
void smtp_cache_drop(struct smtp_connection *c); /* close and free without a word */

/* ---- smtp_send.c, smtp_envelope.c, smtp_data.c: one transaction ---- */
struct smtp_rcpt {
    struct address *addr;
    enum { SMTP_RCPT_UNASKED, SMTP_RCPT_ASKED, SMTP_RCPT_ACCEPTED, SMTP_RCPT_DONE /* result set */ } state;
};
struct smtp_transaction {
    struct smtp_attempt *at;
    struct transport_call *call;
    struct client *client;
    const char *return_path; /* the call's, or empty for recipients with NOTIFY=NEVER */
    struct smtp_rcpt *rcpts;
    size_t count, answered, accepted;
    bool pipelining, chunking, prdr, dsn, utf8, downconvert, lmtp;
    const char *mail;        /* the MAIL command */
    bool rset_pending, mail_pending, mail_ok;
    struct smtp_fault mail_fault;
    bool redo;               /* a kept connection had died: nothing was said, try a new one */
    bool chunk_failed;
};
/* Sets results on all addresses of list. False: the connection is of no more use. *redo: see above. */
bool smtp_send_transaction(struct smtp_attempt *at, struct transport_call *call, struct address *list,
                           bool *redo);
bool smtp_envelope_build(struct smtp_transaction *tx);
const char *smtp_envelope_rcpt(struct smtp_transaction *tx, const struct address *addr);
/* Sends MAIL and all RCPTs; with PIPELINING replies may still be due. */
bool smtp_envelope_send(struct smtp_transaction *tx);
/* Reads all replies to the envelope that are still due. */
bool smtp_envelope_drain(struct smtp_transaction *tx);
/* The message itself and the replies after it. */
bool smtp_data_send(struct smtp_transaction *tx);
/* The attempt's fault becomes the result of all recipients without one. */
void smtp_send_settle(struct smtp_transaction *tx);

/* ---- smtp_hosts.c: which hosts, in which order, how many ---- */
void smtp_hosts_deliver(const struct smtp_transport *t, struct transport_call *call);

/* ---- smtp_report.c ---- */
void smtp_report_note(struct smtp_attempt *at, const char *reason);

/* The hosts that a delivery of addr would try, with their addresses; or why there are none. */
struct smtp_hosts_list { struct host *hosts; const char *error; };
struct smtp_hosts_list smtp_hosts_find(const struct smtp_transport *t, struct expand_ctx *ctx,
                                       struct address *addr);

/* ---- smtp_wait.c ---- */
void smtp_wait_note(struct smtp_attempt *at, const struct address *list);
void smtp_wait_note_hosts(const struct transport *t, const struct delivery *d, const struct address *addr);
bool smtp_wait_serialize(struct smtp_attempt *at, bool *mine); /* false: another process has the host */
void smtp_wait_release(struct smtp_attempt *at);

#endif
