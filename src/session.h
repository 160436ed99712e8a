/* session.h - one SMTP connection, or one local submission.
 *
 * Owned by a session process; everything it points to lives in its arena. The smtp/ module keeps
 * its protocol state in struct smtp_state behind it. */
#ifndef EXIM_SESSION_H
#define EXIM_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

struct arena;
struct exim;
struct hash;
struct message;
struct proxy_state;
struct smtp_state;
struct tls_session;

/* What a TLS connection turned out to be: $tls_in_* and $tls_out_*. Strings or NULL. */
struct tls_info {
    bool active, certificate_verified, on_connect, resumed;
    int bits;
    const char *cipher;      /* TLS1.3:TLS_AES_256_GCM_SHA384:256, as Exim logs it */
    const char *cipher_std, *version, *peerdn, *sni, *ocsp;
    void *ourcert, *peercert; /* X509 *, owned by the session's or delivery's arena */
    const char *verified_name, *verify_error;
    bool dane_verified;
    int tlsa_usage;          /* bit set */
};

enum host_lookup_state { HOST_LOOKUP_NONE, HOST_LOOKUP_OK, HOST_LOOKUP_FAILED, HOST_LOOKUP_DEFERRED };

struct session {
    struct arena *arena;
    struct exim *exim;
    struct smtp_state *smtp;       /* smtp/smtp_int.h */
    struct tls_session *tls;       /* tls.h; NULL in clear */
    struct message *message;       /* current one; NULL between transactions of a connection */

    const char *host_address;      /* $sender_host_address: the client's; NULL: local submission */
    int host_port;
    const char *interface_address; /* $received_ip_address: local end */
    int interface_port;
    const char *host_name;         /* $sender_host_name, verified by DNS; NULL not known */
    const char *const *host_aliases; /* further names, NULL-terminated; or NULL */
    enum host_lookup_state host_lookup;
    bool host_dnssec;
    const char *helo_name, *ident;
    bool helo_seen, esmtp, helo_verified, helo_verify_failed;
    const char *rcvhost, *fullhost; /* $sender_rcvhost, $sender_fullhost: session_fullhost() */
    bool sender_host_unknown, sender_host_notsocket; /* -bs from a shell */

    struct tls_info tls_in;
    const char *host_authenticated; /* $sender_host_authenticated: driver instance name */
    const char *authenticated_id, *authenticated_fail_id;
    bool authentication_failed;
    const char *auth_public_name;

    struct proxy_state *proxy;      /* NULL: this host need not speak PROXY */
    bool proxy_session;             /* $proxy_session */
    bool proxy_failed;              /* only QUIT is allowed */
    const char *proxy_host_address, *proxy_target_address; /* set on success only, all at once */
    int proxy_host_port, proxy_target_port;
    const char *proxy_unique_id;    /* printable, for +proxy_id; NULL: none */

    const char *active_hostname;    /* smtp_active_hostname, expanded */
    struct hash *acl_c;             /* name without "acl_c" -> value */
    const char *received_protocol;
    bool smtp_input, batched;       /* -bs/-bS/network; -bS */
    bool host_checking;             /* -bh */
    uint32_t count_at_start;        /* $smtp_count_at_connection_start */
    bool dsn_advertised, pipelining_advertised, tls_advertised, auth_advertised, chunking_advertised;
    bool prdr_advertised, smtputf8_advertised, eightbit_advertised, helo_required;
    bool recipient_unqualified_ok, sender_unqualified_ok;
    bool delay_flush_off, pipelining_off, multiline_off, enforce_sync_off, callout_flush_off;
    const char *sender_rate, *sender_rate_limit, *sender_rate_period;
    const char *sender_verify_failure, *recipient_verify_failure;
    struct hash *list_cache;        /* match: results of named lists; NULL it when the client changes */
    struct hash *warned;            /* acl: texts of "warn log_message" written without a message */
    void (*flush)(struct session *s); /* set by the SMTP server: writes pending replies; or NULL */
    int fd;                         /* the connection (0: standard input), for control = dscp */
    bool allow_auth_unadvertised;   /* control */
    const char *csa_status;         /* $csa_status; NULL: not tested */
    struct hash *acl_m;             /* $acl_m set while there is no message (connect, HELO) */
    struct hash *dnslist_cache, *verify_cache, *ratelimit_conn, *ratelimit_mail; /* filled by acl */
    bool queue_only_connection;     /* control=queue_only with smtp_accept_queue etc. */
    int64_t started_ms;
    const char *notquit_reason;     /* $smtp_notquit_reason */
    unsigned messages_received;     /* taken in on this connection */
};

struct session *session_new(struct exim *e) NONNULL_RET; /* with an arena of its own */
void session_free(struct session **sp);                  /* the message too */
/* Fills fullhost and rcvhost from what is known; call again when names, HELO or ident change. */
void session_set_fullhost(struct session *s);
/* Looks up the client's name once (host_name, aliases, dnssec). RC_OK, RC_FAIL, RC_DEFER. */
enum rc session_host_name(struct session *s);
/* Does the HELO name belong to the client? Once: helo_verified, helo_verify_failed. */
enum rc session_helo_verify(struct session *s);
/* "H=... U=..." for log lines, "U=login" for local submission; with "H=" and "U=" only if flags.
 * With interface: " I=[...]:port" is appended when the selector is on. */
const char *session_host_and_ident(struct session *s, bool flags, bool interface) NONNULL_RET;

#endif
