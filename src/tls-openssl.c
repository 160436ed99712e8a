#include "tls/tls_int.h"

#include <errno.h>
#include <string.h>


#include "base/arena.h"
#include "base/debug.h"
#include "base/fd.h"
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
    if (t->ssl == NULL || SSL_set_fd(t->ssl, fd) != 1) {
        err_set(err, a, "(SSL_new): %s", tls_queued_error(a));
        SSL_free(t->ssl);
        return NULL;
    }
    arena_on_destroy(a, free_ssl, t);
    (void)fd_set_nonblock(fd, true); /* every wait has its deadline */
    return t;
}

/* After an unfinished call: 1 try again, 0 the peer closed, -1 failed with t->error worded. */
static int wait_for(struct tls_session *t, int ret, int64_t deadline_ms)
{
    int saved = errno, want = SSL_get_error(t->ssl, ret), ready = 1;
    unsigned long code;

    switch (want) {
    case SSL_ERROR_WANT_READ:
        ready = fd_wait_read(t->fd, deadline_ms);
        break;
    case SSL_ERROR_WANT_WRITE:
        ready = fd_wait_write(t->fd, deadline_ms);
        break;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        t->broken = true;
        code = ERR_get_error();
        if (code != 0)
            ERR_error_string_n(code, t->error, sizeof(t->error));
        else if (want == SSL_ERROR_SYSCALL && saved != 0)
            snprintf(t->error, sizeof(t->error), "%s", strerror(saved));
        else
            snprintf(t->error, sizeof(t->error), "the peer closed the connection");
        errno = code == 0 && saved != 0 ? saved : EPROTO;
        ERR_clear_error();
        return -1;
    }
    if (ready > 0)
        return 1;
    t->broken = true;
    errno = ready == 0 ? ETIMEDOUT : errno;
    snprintf(t->error, sizeof(t->error), "%s", ready == 0 ? "timed out" : strerror(errno));
    return -1;
}

bool tls_handshake(struct tls_session *t, bool server, int64_t deadline_ms, struct arena *a, struct err *err)
{
    for (;;) {
        ERR_clear_error();
        errno = 0;
        int ret = server ? SSL_accept(t->ssl) : SSL_connect(t->ssl);

        if (ret == 1)
            return true;
        int go = wait_for(t, ret, deadline_ms);

        if (go > 0)
            continue;
        t->broken = true;
        err_set(err, a, "(%s): %s", server ? "SSL_accept" : "SSL_connect",
                go == 0 ? "the peer closed the connection" : t->error);
        err->sys_errno = errno;
        return false;
    }
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
    for (;;) {
        size_t got = 0;

        ERR_clear_error();
        errno = 0;
        if (SSL_read_ex(t->ssl, p, n, &got) == 1)
            return (ssize_t)got;
        int go = wait_for(t, 0, deadline_ms);

        if (go <= 0)
            return go;
    }
}

bool tls_write_all(struct tls_session *t, const void *p, size_t n, int64_t deadline_ms)
{
    const char *from = p;

    while (n > 0) {
        size_t wrote = 0;

        ERR_clear_error();
        errno = 0;
        if (SSL_write_ex(t->ssl, from, n, &wrote) == 1) {
            from += wrote;
            n -= wrote;
            continue;
        }
        int go = wait_for(t, 0, deadline_ms);

        if (go > 0)
            continue;
        if (go == 0) {
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
    ERR_clear_error();
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
    (void)fd_set_nonblock(t->fd, false);
    SSL_free(t->ssl);
    t->ssl = NULL;
}
