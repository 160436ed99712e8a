#include "tls/tls_int.h"

#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/debug.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/tod.h"
#include "exim.h"

enum { CONTEXTS_MAX = 64, FILES_MAX = 32, SELF_SIGNED_SECONDS = 3600, LOOK_AGAIN_MS = 50 };

struct stamp {
    const char *path;
    bool there;
    struct timespec mtime;
    off_t size;
    ino_t inode;
};

struct tls_context {
    SSL_CTX *ssl;
    bool has_ca;
    struct stamp stamps[FILES_MAX];
    size_t stamp_count;
    int64_t looked_ms;  /* when they were compared last: a connection asks more than once */
    int64_t expires_ms; /* self-signed certificates; 0: never */
    struct str alpn;
};

SSL_CTX *tls_context_ssl(const struct tls_context *c)
{
    return c->ssl;
}

bool tls_context_has_ca(const struct tls_context *c)
{
    return c->has_ca;
}

static void free_ctx(void *arg)
{
    SSL_CTX_free(arg);
}

static void empty(struct tls_cache *c)
{
    arena_destroy(&c->arena);
    c->arena = arena_new("tls contexts");
    c->contexts = hash_new(c->arena, false);
    c->count = 0;
}

static void release(void *arg)
{
    arena_destroy(&((struct tls_cache *)arg)->arena);
}

struct tls_cache *tls_cache_of(struct exim *e)
{
    if (e->tls == NULL) {
        e->tls = arena_new_obj(e->arena, struct tls_cache);
        empty(e->tls);
        arena_on_destroy(e->arena, release, e->tls);
    }
    return e->tls;
}

/* ---- Files that the values name ---- */
static void read_stamp(struct stamp *s)
{
    struct stat st;

    s->there = stat(s->path, &st) == 0;
    if (s->there) {
        s->mtime = st.st_mtim;
        s->size = st.st_size;
        s->inode = st.st_ino;
    }
}

static bool has_stamp(const struct tls_context *c, const char *path)
{
    for (size_t i = 0; i < c->stamp_count; i++)
        if (strcmp(c->stamps[i].path, path) == 0)
            return true;
    return false;
}

static void add_stamps(struct tls_context *c, struct arena *a, const char *list)
{
    struct list_iter it;

    if (list == NULL)
        return;
    it = list_begin(list, ':');
    for (const char *item; (item = list_next(&it, a)) != NULL && c->stamp_count < FILES_MAX;) {
        if (strncmp(item, "DER ", 4) == 0 || strncmp(item, "PEM ", 4) == 0)
            item += 4;
        if (*item != '/' || has_stamp(c, item))
            continue;
        c->stamps[c->stamp_count].path = item;
        read_stamp(&c->stamps[c->stamp_count++]);
    }
}

static bool is_current(struct tls_context *c)
{
    int64_t now_ms = tod_monotonic_ms();

    if (c->expires_ms != 0 && now_ms >= c->expires_ms)
        return false;
    if (now_ms < c->looked_ms + LOOK_AGAIN_MS)
        return true;
    for (size_t i = 0; i < c->stamp_count; i++) {
        const struct stamp *old = &c->stamps[i];
        struct stamp now = { .path = old->path };

        read_stamp(&now);
        if (now.there != old->there || now.mtime.tv_sec != old->mtime.tv_sec ||
            now.mtime.tv_nsec != old->mtime.tv_nsec || now.size != old->size || now.inode != old->inode)
            return false;
    }
    c->looked_ms = now_ms;
    return true;
}

/* ---- Making one ---- */
static const char *text_or(const char *s)
{
    return s != NULL ? s : "\001";
}

static const char *key_of(struct arena *a, const struct tls_params *p)
{
    return arena_printf(a, "%d%d%ld\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s", p->server, p->dane, p->dh_bits,
                        text_or(p->certificate), text_or(p->privatekey), text_or(p->ca), text_or(p->crl),
                        text_or(p->ciphers), text_or(p->dhparam), text_or(p->eccurve),
                        text_or(p->ocsp_file), text_or(p->alpn), text_or(p->options), text_or(p->self_name));
}

static bool load_pair(SSL_CTX *ctx, const char *certificate, const char *key, struct arena *a, struct err *err)
{
    if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
        return err_set(err, a, "(SSL_CTX_use_certificate_chain_file file=%s): %s", certificate,
                       tls_queued_error(a));
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return err_set(err, a, "(SSL_CTX_use_PrivateKey_file file=%s): %s", key, tls_queued_error(a));
    if (SSL_CTX_check_private_key(ctx) != 1)
        return err_set(err, a, "(SSL_CTX_check_private_key file=%s): %s", key, tls_queued_error(a));
    return true;
}

static bool load_certificates(SSL_CTX *ctx, const struct tls_params *p, struct arena *a, struct err *err)
{
    if (p->certificate == NULL || *p->certificate == '\0')
        return !p->server || tls_self_signed(ctx, p->self_name, a, err);
    bool own_keys = p->privatekey != NULL && *p->privatekey != '\0';
    struct list_iter certs = list_begin(p->certificate, ':');
    struct list_iter keys = list_begin(own_keys ? p->privatekey : p->certificate, ':');

    for (const char *cert; (cert = list_next(&certs, a)) != NULL;) {
        const char *key = list_next(&keys, a);

        if (key == NULL)
            return err_set(err, a, "fewer files in tls_privatekey than in tls_certificate");
        if (!load_pair(ctx, cert, key, a, err))
            return false;
    }
    return true;
}

static bool set_options(SSL_CTX *ctx, const struct tls_params *p, struct arena *a, struct err *err)
{
    uint64_t set, clear;
    const char *bad;

    if (p->options == NULL)
        return true;
    if (!tls_options_parse(p->options, &set, &clear, &bad, a))
        return err_set(err, a, "openssl_options: unknown item \"%s\"", bad);
    SSL_CTX_clear_options(ctx, clear);
    SSL_CTX_set_options(ctx, set);
    return true;
}

static bool set_ciphers(SSL_CTX *ctx, const char *ciphers, struct arena *a, struct err *err)
{
    if (ciphers == NULL || *ciphers == '\0')
        return true;
    char *list = arena_strdup(a, ciphers);

    for (char *s = list; *s != '\0'; s++)
        if (*s == '_') /* GnuTLS spelling */
            *s = '-';
    if (SSL_CTX_set_cipher_list(ctx, list) != 1)
        return err_set(err, a, "(SSL_CTX_set_cipher_list): %s", tls_queued_error(a));
    return true;
}

static bool set_server_extras(struct tls_cache *cache, struct tls_context *c, const struct tls_params *p,
                              struct arena *a, struct err *err)
{
    if (p->alpn != NULL && *p->alpn != '\0') {
        c->alpn = tls_alpn_wire(cache->arena, p->alpn);
        SSL_CTX_set_alpn_select_cb(c->ssl, tls_alpn_callback, &c->alpn);
    }
    if (p->ocsp_file != NULL && *p->ocsp_file != '\0') {
        struct tls_staples *staples = tls_staples_read(cache->arena, p->ocsp_file, err);

        if (staples == NULL)
            return false;
        SSL_CTX_set_tlsext_status_cb(c->ssl, tls_staples_callback);
        SSL_CTX_set_tlsext_status_arg(c->ssl, staples);
    }
    (void)a;
    return true;
}

static void set_client_extras(struct tls_context *c, const struct tls_params *p, struct tls_cache *cache)
{
    SSL_CTX_set_cert_verify_callback(c->ssl, tls_verify_record, NULL);
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ssl, tls_resume_callback);
    if (p->dane)
        SSL_CTX_dane_enable(c->ssl);
    if (p->alpn != NULL && *p->alpn != '\0') {
        c->alpn = tls_alpn_wire(cache->arena, p->alpn);
        SSL_CTX_set_alpn_protos(c->ssl, (const unsigned char *)c->alpn.p, (unsigned)c->alpn.len);
    }
}

static bool fill(struct tls_cache *cache, struct tls_context *c, const struct tls_params *p, struct arena *a,
                 struct err *err)
{
    SSL_CTX_set_read_ahead(c->ssl, 1); /* one read a record, and not one for its header, too */
    SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
    if (!set_options(c->ssl, p, a, err) || !load_certificates(c->ssl, p, a, err) ||
        !set_ciphers(c->ssl, p->ciphers, a, err) || !tls_set_dh(c->ssl, p, a, err) ||
        !tls_set_curves(c->ssl, p->eccurve, a, err) || !tls_set_trust(c->ssl, p, a, err))
        return false;
    c->has_ca = p->ca != NULL && *p->ca != '\0';
    if (!p->server) {
        set_client_extras(c, p, cache);
        return true;
    }
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_OFF);
    return set_server_extras(cache, c, p, a, err);
}

static struct tls_context *make(struct tls_cache *cache, const struct tls_params *p, struct arena *a,
                                struct err *err)
{
    struct tls_context *c = arena_new_obj(cache->arena, struct tls_context);

    /* Before reading them: a file that changes meanwhile is read again next time. */
    add_stamps(c, cache->arena, p->certificate);
    add_stamps(c, cache->arena, p->privatekey);
    add_stamps(c, cache->arena, p->ca);
    add_stamps(c, cache->arena, p->crl);
    add_stamps(c, cache->arena, p->dhparam);
    add_stamps(c, cache->arena, p->ocsp_file);
    DEBUG(D_TLS) debug_printf("TLS: reads %s\n", p->certificate != NULL ? p->certificate : "no certificate");
    c->ssl = SSL_CTX_new(p->server ? TLS_server_method() : TLS_client_method());
    if (c->ssl == NULL) {
        err_set(err, a, "(SSL_CTX_new): %s", tls_queued_error(a));
        return NULL;
    }
    arena_on_destroy(cache->arena, free_ctx, c->ssl);
    if (p->server && (p->certificate == NULL || *p->certificate == '\0'))
        c->expires_ms = tod_monotonic_ms() + SELF_SIGNED_SECONDS * 1000;
    return fill(cache, c, p, a, err) ? c : NULL;
}

struct tls_context *tls_context_get(struct exim *e, const struct tls_params *p, struct err *err, struct arena *a)
{
    struct tls_cache *cache = tls_cache_of(e);
    const char *key = key_of(a, p);
    struct tls_context *c = hash_find(cache->contexts, key);

    if (c != NULL && is_current(c))
        return c;
    /* Sessions hold their own references, so that emptying the cache ends none. */
    if (++cache->count > CONTEXTS_MAX)
        empty(cache);
    c = make(cache, p, a, err);
    if (c != NULL)
        hash_put(cache->contexts, arena_strdup(cache->arena, key), c);
    return c;
}
