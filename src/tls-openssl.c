#include "tls/tls_int.h"

#include <errno.h>
#include <string.h>


#include "base/arena.h"
#include "base/debug.h"
#include "base/openssl.h"
#include "base/tod.h"

enum { CLOSE_WAIT_MS = 2000, LIBRARY_ERROR_MAX = 200 };

const char *tls_queued_error(struct arena *a)
{
    char text[LIBRARY_ERROR_MAX];
    unsigned long code = ERR_get_error();

    if (code == 0)
        return "no further information";
    ERR_error_string_n(code, text, sizeof(text));
    ERR_clear_error();
    return arena_strdup(a, text);
}

const char *tls_library_version(struct arena *a, bool runtime)
{
    return runtime ? arena_strdup(a, OpenSSL_version(OPENSSL_VERSION)) : OPENSSL_VERSION_TEXT;
}

static void free_ssl(void *arg)
{
    struct tls_session *t = arg;

    SSL_free(t->ssl);
    t->ssl = NULL;
}

struct tls_session *tls_session_new(struct arena *a, SSL_CTX *ctx, int fd, struct err *err)
{
    struct tls_session *t = arena_new_obj(a, struct tls_session);

    t->fd = fd;
    t->ssl = SSL_new(ctx);
    if (t->ssl == NULL || !tls_attach(t)) {
        err_set(err, a, "(SSL_new): %s", tls_queued_error(a));
        SSL_free(t->ssl);
        return NULL;
    }
    arena_on_destroy(a, free_ssl, t);
    return t;
}

static void begin(struct tls_session *t, int64_t deadline_ms)
{
    t->deadline_ms = deadline_ms;
    ERR_clear_error();
    errno = 0;
}

/* After a call that failed: 0 the peer closed, -1 with t->error worded and errno. */
static int failed(struct tls_session *t, int ret)
{
    int saved = errno, why = SSL_get_error(t->ssl, ret);
    unsigned long code = ERR_get_error();

    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    t->broken = true;
    if (t->timed_out)
        snprintf(t->error, sizeof(t->error), "timed out");
    else if (code != 0)
        ERR_error_string_n(code, t->error, sizeof(t->error));
    else if (why == SSL_ERROR_SYSCALL && saved != 0)
        snprintf(t->error, sizeof(t->error), "%s", strerror(saved));
    else
        snprintf(t->error, sizeof(t->error), "the peer closed the connection");
    errno = t->timed_out ? ETIMEDOUT : code == 0 && saved != 0 ? saved : EPROTO;
    ERR_clear_error();
    return -1;
}

bool tls_handshake(struct tls_session *t, bool server, int64_t deadline_ms, struct arena *a, struct err *err)
{
    begin(t, deadline_ms);
    int ret = server ? SSL_accept(t->ssl) : SSL_connect(t->ssl);

    if (ret == 1)
        return true;
    bool closed = failed(t, ret) == 0;

    t->broken = true;
    err_set(err, a, "(%s): %s", server ? "SSL_accept" : "SSL_connect",
            closed ? "the peer closed the connection" : t->error);
    err->sys_errno = errno;
    return false;
}

static void free_x509(void *arg)
{
    X509_free(arg);
}

void tls_session_describe(struct tls_session *t, struct arena *a, struct tls_info *info)
{
    const SSL_CIPHER *c = SSL_get_current_cipher(t->ssl);
    X509 *peer = SSL_get1_peer_certificate(t->ssl), *own = SSL_get_certificate(t->ssl);
    int bits = 0;

    info->active = true;
    SSL_CIPHER_get_bits(c, &bits);
    info->bits = bits;
    info->version = SSL_get_version(t->ssl);
    info->cipher = arena_printf(a, "%s:%s:%d", info->version, SSL_CIPHER_get_name(c), bits);
    info->cipher_std = c != NULL ? SSL_CIPHER_standard_name(c) : NULL;
    info->resumed = SSL_session_reused(t->ssl) == 1;
    if (peer != NULL) {
        arena_on_destroy(a, free_x509, peer);
        info->peercert = peer;
        info->peerdn = tls_dn(a, X509_get_subject_name(peer));
    }
    if (own != NULL && X509_up_ref(own) == 1) {
        arena_on_destroy(a, free_x509, own);
        info->ourcert = own;
    }
    DEBUG(D_TLS) debug_printf("TLS: %s peer %s\n", info->cipher, info->peerdn != NULL ? info->peerdn : "-");
}

ssize_t tls_read(struct tls_session *t, void *p, size_t n, int64_t deadline_ms)
{
    size_t got = 0;

    begin(t, deadline_ms);
    return SSL_read_ex(t->ssl, p, n, &got) == 1 ? (ssize_t)got : failed(t, 0);
}

bool tls_write_all(struct tls_session *t, const void *p, size_t n, int64_t deadline_ms)
{
    const char *from = p;

    while (n > 0) {
        size_t wrote = 0;

        begin(t, deadline_ms);
        if (SSL_write_ex(t->ssl, from, n, &wrote) == 1) {
            from += wrote;
            n -= wrote;
            continue;
        }
        if (failed(t, 0) == 0) {
            snprintf(t->error, sizeof(t->error), "the peer closed the connection");
            errno = EPIPE;
        }
        return false;
    }
    return true;
}

bool tls_pending(const struct tls_session *t)
{
    return SSL_has_pending(t->ssl) == 1;
}

const char *tls_error(const struct tls_session *t)
{
    return t->error;
}

void tls_close(struct tls_session **tp, bool shutdown_wait)
{
    struct tls_session *t = *tp;
    int64_t deadline = tod_monotonic_ms() + CLOSE_WAIT_MS;

    *tp = NULL;
    if (t == NULL || t->ssl == NULL)
        return;
    begin(t, deadline);
    if (!t->broken && SSL_is_init_finished(t->ssl)) {
        int done = SSL_shutdown(t->ssl);

        while (shutdown_wait && done == 0) {
            char rest[512];

            /* Until the peer's close_notify: what it still sends is of no use. */
            if (tls_read(t, rest, sizeof(rest), deadline) <= 0)
                break;
        }
    }
    ERR_clear_error();
    SSL_free(t->ssl);
    t->ssl = NULL;
}
