/* tls_int.h - the OpenSSL engine behind tls.h: contexts by option values, verification, sessions.
 *
 * Works on values that are expanded already; knows nothing of expansions, hosts or logs. */
#ifndef EXIM_TLS_INT_H
#define EXIM_TLS_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/openssl.h"
#include "base/str.h"
#include "dns.h"
#include "session.h"
#include "tls.h"

struct arena;
struct exim;

/* What a context is made of; NULL: unset. Equal values share a context. */
struct tls_params {
    bool server;
    const char *certificate, *privatekey; /* lists of files */
    const char *ca, *crl, *ciphers, *dhparam, *eccurve, *ocsp_file, *alpn;
    const char *options;                  /* openssl_options */
    const char *self_name;                /* server without a certificate: makes one for this name */
    long dh_bits;                         /* server: largest; client: smallest */
    bool dane;
};
struct tls_context;
/* The context for these values, from the process's cache unless a file has changed. It stays valid until
 * the next call. NULL with err. */
struct tls_context *tls_context_get(struct exim *e, const struct tls_params *p, struct err *err, struct arena *a);
SSL_CTX *tls_context_ssl(const struct tls_context *c);
bool tls_context_has_ca(const struct tls_context *c); /* something to verify against */

/* Parts of making one. */
bool tls_options_parse(const char *text, uint64_t *set, uint64_t *clear, const char **bad, struct arena *a);
bool tls_set_dh(SSL_CTX *ctx, const struct tls_params *p, struct arena *a, struct err *err);
bool tls_set_curves(SSL_CTX *ctx, const char *curves, struct arena *a, struct err *err);
bool tls_set_trust(SSL_CTX *ctx, const struct tls_params *p, struct arena *a, struct err *err);
bool tls_self_signed(SSL_CTX *ctx, const char *name, struct arena *a, struct err *err);
/* OCSP responses to staple, in the order of the certificates; NULL when the list cannot be used. */
struct tls_staples;
struct tls_staples *tls_staples_read(struct arena *a, const char *list, struct err *err);
int tls_staples_callback(SSL *ssl, void *arg);
int tls_alpn_callback(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
                      unsigned inlen, void *arg);
/* Wire form of a list of protocol names; empty when none. */
struct str tls_alpn_wire(struct arena *a, const char *list);

/* ---- one session (tls-openssl.c, tls/socket.c) ---- */
struct tls_session {
    SSL *ssl;
    int fd;
    int64_t deadline_ms;     /* of the call under way; -1: none */
    int64_t read_timeout_ms; /* the socket's; INT64_MAX: not known */
    bool timed_out, at_end;  /* why a read or write came to nothing */
    bool broken;             /* no close_notify any more */
    char error[256];
};
struct tls_session *tls_session_new(struct arena *a, SSL_CTX *ctx, int fd, struct err *err);
/* Its socket, blocking or not; waits until deadline_ms and sets the socket's read timeout. */
bool tls_attach(struct tls_session *t) MUST_USE;
/* SSL_accept or SSL_connect until done. False with err worded "(SSL_accept): ...". */
bool tls_handshake(struct tls_session *t, bool server, int64_t deadline_ms, struct arena *a, struct err *err);
/* What was negotiated: cipher, version, certificates, names. */
void tls_session_describe(struct tls_session *t, struct arena *a, struct tls_info *info);
const char *tls_queued_error(struct arena *a); /* text of the oldest error; the queue is emptied */
const char *tls_dn(struct arena *a, const X509_NAME *name); /* "/O=x/CN=y", at most 255 bytes, escaped */

/* ---- verification of a server (tls/verify.c, tls/chain.c) ---- */
struct tls_verdict { /* of the chain, filled during the handshake */
    bool checked;      /* a chain was looked at */
    bool ok;
    int depth;
    const char *error; /* static or arena text */
    const char *dn;    /* of the certificate at fault */
    bool dane;         /* by TLSA */
    struct arena *arena;
    bool strict;       /* X509_STRICT asked for */
    const char *ocsp;
    STACK_OF(X509) *chain; /* verified; NULL when not ok */
};
/* For SSL_CTX_set_cert_verify_callback: judges, records, always goes on. */
int tls_verify_record(X509_STORE_CTX *store, void *arg);
void tls_verdict_attach(SSL *ssl, struct tls_verdict *v);
struct tls_verdict *tls_verdict_of(SSL *ssl);
/* X509_verify_cert, and what it leaves open (RFC 5280 corner cases). True: the chain holds. */
bool tls_chain_verify(X509_STORE_CTX *store, struct tls_verdict *v);
/* Is a host reached through a wildcard or CN allowed by the CAs of the chain? */
bool tls_chain_permits(STACK_OF(X509) *chain, const char *host);

/* ---- OCSP as a client (tls/ocsp.c) ---- */
enum tls_ocsp { TLS_OCSP_NOT_REQUESTED, TLS_OCSP_NO_RESPONSE, TLS_OCSP_NOT_VERIFIED, TLS_OCSP_FAILED,
                TLS_OCSP_VERIFIED };
enum tls_ocsp tls_ocsp_check(SSL *ssl, STACK_OF(X509) *chain, const char **why);

/* ---- DANE (tls/dane.c) ---- */
/* Number of usable records given to the session. */
size_t tls_dane_start(SSL *ssl, const struct tls_client_want *w);

/* ---- the client's side (tls/client.c) ---- */
struct tls_client_call {
    struct exim *exim;
    struct arena *arena;
    int fd;
    int64_t deadline_ms;
    const struct tls_client_want *want;
    /* tls:cert for one certificate of the chain: text that refuses it, or NULL. */
    const char *(*event)(void *arg, int depth, X509 *cert);
    void *event_arg;
    struct tls_info *info; /* out */
    struct err *err;       /* out */
};
enum tls_client_rc tls_client_run(struct tls_client_call *call, struct tls_session **out);

/* ---- the server's side (tls/server.c) ---- */
struct tls_server_call {
    struct exim *exim;
    struct arena *arena;
    int fd;
    int64_t deadline_ms;
    const struct tls_params *params;
    bool verify_required, verify_try, resumption, require_alpn;
    /* The client named a host: other values, or NULL for the same. False with err: refuse. */
    bool (*sni)(void *arg, const char *name, const struct tls_params **params);
    void *sni_arg;
    struct tls_info *info; /* out */
    struct err *err;       /* out */
};
bool tls_server_run(struct tls_server_call *call, struct tls_session **out);

/* ---- client sessions to resume (tls/resume.c) ---- */
struct tls_remembered { const char *verified_name, *ocsp; bool verified; };
/* Offers the session kept under key, if any; *out, in a, then says what was found when it was made. */
bool tls_resume_offer(struct exim *e, struct arena *a, SSL *ssl, const char *key, struct tls_remembered *out);
/* Sessions that arrive on ssl from now on are kept with these facts; a and key live as long as ssl. */
void tls_resume_expect(struct arena *a, struct exim *e, SSL *ssl, const char *key,
                       const struct tls_remembered *facts);
int tls_resume_callback(SSL *ssl, SSL_SESSION *session); /* SSL_CTX_sess_set_new_cb */

struct tls_cache { /* struct exim's tls */
    struct arena *arena;
    struct hash *contexts;
    size_t count;
};
struct tls_cache *tls_cache_of(struct exim *e);

#endif
