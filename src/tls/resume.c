#include "tls/tls_int.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/base64.h"
#include "base/hash.h"

enum { SESSIONS_MAX = 512 };

struct kept {
    SSL_SESSION *session;
    struct tls_remembered facts;
};

struct tls_resume {
    struct arena *arena; /* replaced when full */
    struct hash *sessions;
};

/* What a session that arrives on an SSL belongs to. */
struct expectation {
    struct tls_resume *resume;
    const char *key;
    struct tls_remembered facts;
};

static int expectation_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return index;
}

static void free_session(void *arg)
{
    struct kept *k = arg;

    SSL_SESSION_free(k->session);
}

static void empty(struct tls_resume *r)
{
    arena_destroy(&r->arena);
    r->arena = arena_new("tls sessions");
    r->sessions = hash_new(r->arena, false);
}

static void release(void *arg)
{
    arena_destroy(&((struct tls_resume *)arg)->arena);
}

struct tls_resume *tls_resume_new(struct arena *a)
{
    struct tls_resume *r = arena_new_obj(a, struct tls_resume);

    empty(r);
    arena_on_destroy(a, release, r);
    return r;
}

static void add(struct buf *b, const char *s)
{
    buf_add_cstr(b, s != NULL ? s : "\001");
    buf_add_char(b, '\n');
}

/* Everything that a verdict depends on: a session verified for one name or policy serves no other. */
const char *tls_client_key(struct arena *a, const struct tls_client_want *w)
{
    struct buf b = buf_init(a, 1024 * 1024);
    unsigned char md[DIGEST_MAX];

    add(&b, w->host_name);
    add(&b, w->host_address);
    add(&b, w->sni);
    add(&b, w->certificate);
    add(&b, w->privatekey);
    add(&b, w->ca);
    add(&b, w->crl);
    add(&b, w->ciphers);
    add(&b, w->names);
    add(&b, w->alpn);
    add(&b, w->eccurve);
    add(&b, w->resume_label);
    buf_printf(&b, "%d %ld %d%d%d%d%d%d%d", w->port, w->dh_min_bits, w->verify_required, w->verify_try, w->verify_names,
               w->report_only, w->request_ocsp, w->require_ocsp,
               w->require_alpn);
    size_t n = digest("sha256", buf_view(&b), md);

    return hex_encode(a, md, n, false);
}

bool tls_resume_offer(struct tls_resume *r, SSL *ssl, const char *key, struct tls_remembered *out)
{
    struct kept *k = hash_find(r->sessions, key);

    if (k == NULL || k->session == NULL || !SSL_SESSION_is_resumable(k->session))
        return false;
    *out = k->facts;
    bool offered = SSL_set_session(ssl, k->session) == 1;

    SSL_SESSION_free(k->session); /* a ticket is used once: RFC 8446 C.4 */
    k->session = NULL;
    return offered;
}

static const char *dup_or_null(struct arena *a, const char *s)
{
    return s != NULL ? arena_strdup(a, s) : NULL;
}

static bool keep(struct expectation *x, SSL_SESSION *session)
{
    struct tls_resume *r = x->resume;

    if (!SSL_SESSION_is_resumable(session))
        return false;
    if (hash_count(r->sessions) >= SESSIONS_MAX)
        empty(r);
    struct kept *k = hash_find(r->sessions, x->key);

    if (k == NULL) {
        k = arena_new_obj(r->arena, struct kept);
        arena_on_destroy(r->arena, free_session, k);
        hash_put(r->sessions, arena_strdup(r->arena, x->key), k);
    } else {
        SSL_SESSION_free(k->session);
    }
    k->facts = x->facts;
    k->facts.verified_name = dup_or_null(r->arena, x->facts.verified_name);
    k->facts.ocsp = dup_or_null(r->arena, x->facts.ocsp);
    k->session = session;
    return true;
}

void tls_resume_expect(struct arena *a, struct tls_resume *r, SSL *ssl, const char *key,
                       const struct tls_remembered *facts)
{
    struct expectation *x = arena_new_obj(a, struct expectation);

    *x = (struct expectation){ r, key, *facts };
    SSL_set_ex_data(ssl, expectation_index(), x);
    /* Before TLS 1.3 the ticket came inside the handshake. */
    SSL_SESSION *now = SSL_version(ssl) < TLS1_3_VERSION ? SSL_get1_session(ssl) : NULL;

    if (now != NULL && !keep(x, now))
        SSL_SESSION_free(now);
}

int tls_resume_callback(SSL *ssl, SSL_SESSION *session)
{
    struct expectation *x = SSL_get_ex_data(ssl, expectation_index());

    return x != NULL && keep(x, session); /* 1: the reference is ours now */
}
