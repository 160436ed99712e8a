/* tls.h - TLS on a connected socket, server and client side (tls-openssl.c).
 *
 * Contexts are built once per set of option values and kept in the process (server context: built
 * by the daemon before it forks). All waiting honours the deadline (monotonic ms). */
#ifndef EXIM_TLS_H
#define EXIM_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"
#include "dns.h"

struct arena;
struct buf;
struct exim;
struct expand_ctx;
struct host;
struct session;
struct tls_info;
struct tls_session;
struct transport;

/* Server: builds the context ahead when the options are constant; cheap when nothing has changed (the
 * daemon calls it again now and then, so that its children inherit a new certificate). False with err
 * (worded for the log) when the set-up of the options fails. */
bool tls_server_prepare(struct exim *e, struct err *err);
/* Before "220 go ahead": can TLS be started for the client of ctx->session? False with err: 454. */
bool tls_server_setup(struct expand_ctx *ctx, struct arena *a, struct err *err) MUST_USE;
/* Handshake on fd; on success *out and *info are set. Lives in a; closed with it. */
bool tls_server_start(struct expand_ctx *ctx, struct arena *a, int fd, int64_t deadline_ms,
                      struct tls_session **out, struct tls_info *info, struct err *err) MUST_USE;
/* After "TLS error on connection from H ": err->msg is "(SSL_accept): ...". info->verify_error: what was
 * wrong with a client certificate that need not be right, for "[ip] SSL verify error: ...". */

/* What the client side wants; values already expanded for this host. NULL = unset. */
struct tls_client_want {
    const char *host_name;         /* reference name: host->certname */
    const char *alias_target;      /* what it is an alias of, for the log; NULL: it is none */
    const char *host_address;
    int port;
    const char *sni;
    const char *certificate, *privatekey, *ca, *crl, *ciphers;
    const char *eccurve, *alpn;
    const char *options;           /* openssl_options */
    long dh_min_bits;
    bool verify_required;          /* in tls_verify_hosts */
    bool verify_try;               /* in tls_try_verify_hosts */
    bool require_alpn;             /* hosts_require_alpn */
    bool verify_names;             /* check the name (tls_verify_cert_hostnames) */
    const char *names;             /* tls_verify_cert_hostname, expanded list of acceptable names; NULL: the host's */
    const char *next_hop;          /* the recipients' domain, if they share one; for items of names */
    bool report_only;              /* count and log what would be refused */
    bool request_ocsp, require_ocsp;
    bool resumption;
    const char *resume_label;      /* host_name_extract: which of many servers behind the name */
    const struct dns_answer *tlsa; /* DANE: usable set, or NULL */
    const char *const *dane_names; /* base and next-hop domains, NULL-terminated */
    const char *dane_ciphers;
    const struct expr *event_action; /* tls:cert */
};
/* What a verdict on the connection depends on, as text: the settings, and the state of the files that they name. */
void tls_client_facts(struct buf *b, const struct tls_client_want *w);
void tls_client_files(struct buf *b, const struct tls_client_want *w);
/* A digest of both. */
const char *tls_client_key(struct arena *a, const struct tls_client_want *w);
enum tls_client_rc { TLS_CLIENT_OK, TLS_CLIENT_FAILED, TLS_CLIENT_VERIFY_FAILED, TLS_CLIENT_CONFIG };
enum tls_client_rc tls_client_start(struct expand_ctx *ctx, struct arena *a, int fd, int64_t deadline_ms,
                                    const struct tls_client_want *w, struct tls_session **out,
                                    struct tls_info *info, struct err *err) MUST_USE;

/* As read(2)/write(2) on the session: 0 closed, -1 with err worded in tls_error(). Both end at deadline_ms (monotonic;
 * -1: none), a read at most a second later: the session sets the read timeout of its socket, and it stays so. */
ssize_t tls_read(struct tls_session *t, void *p, size_t n, int64_t deadline_ms);
bool tls_write_all(struct tls_session *t, const void *p, size_t n, int64_t deadline_ms);
bool tls_pending(const struct tls_session *t); /* decrypted bytes wait */
const char *tls_error(const struct tls_session *t);
/* Sends close_notify; waits for the peer's if shutdown_wait. The fd stays open. */
void tls_close(struct tls_session **tp, bool shutdown_wait);

/* ${certextract: field of an X509 *; NULL with err. */
const char *tls_cert_extract(struct arena *a, void *x509, const char *field, struct err *err);
const char *tls_cert_fingerprint(struct arena *a, void *x509, const char *digest);
const char *tls_cert_pem(struct arena *a, void *x509);
/* X509 * from DER, as long as a, with its name as in the log; NULL: not a certificate. */
void *tls_cert_parse(struct arena *a, struct str der, const char **dn);
/* Strength of a cipher suite by its OpenSSL or IANA name; 0: not known. */
int tls_cipher_bits(const char *suite);
const char *tls_library_version(struct arena *a, bool runtime); /* for -bV */

#endif
