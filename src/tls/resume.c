/* Sessions wait in the hints database "tls", where the next process finds them: workers come and go. */
#include "tls/tls_int.h"

#include <string.h>
#include <sys/stat.h>


#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/debug.h"
#include "base/digest.h"
#include "base/openssl.h"
#include "base/tod.h"
#include "base/wire.h"
#include "exim.h"
#include "hintsdb.h"

enum { FORMAT = 1, RECORD_MAX = 256 * 1024, KEY_MAX = 1024 * 1024, AGE_MAX = 3600 };

static const char database[] = "tls";

/* What a session that arrives on an SSL belongs to. */
struct expectation {
    struct exim *exim;
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

static void add(struct buf *b, const char *s)
{
    buf_add_cstr(b, s != NULL ? s : "\001");
    buf_add_char(b, '\n');
}

/* Which state of it: what another CA has vouched for, or an older CRL, is no verdict any more. */
static void add_file(struct buf *b, const char *path)
{
    struct stat st;

    if (path != NULL && strcmp(path, "system") == 0)
        path = X509_get_default_cert_file();
    if (path != NULL && stat(path, &st) == 0)
        buf_printf(b, "%lld %lld.%09ld %llu\n", (long long)st.st_size, (long long)st.st_mtim.tv_sec,
                   (long)st.st_mtim.tv_nsec, (unsigned long long)st.st_ino);
}

/* A session verified for one name or policy serves no other. */
void tls_client_facts(struct buf *b, const struct tls_client_want *w)
{
    add(b, w->host_name);
    add(b, w->host_address);
    add(b, w->sni);
    add(b, w->certificate);
    add(b, w->privatekey);
    add(b, w->ca);
    add(b, w->crl);
    add(b, w->ciphers);
    add(b, w->names);
    add(b, w->names != NULL ? w->next_hop : NULL);
    add(b, w->alpn);
    add(b, w->eccurve);
    add(b, w->resume_label);
    buf_printf(b, "%d %ld %d%d%d%d%d%d%d\n", w->port, w->dh_min_bits, w->verify_required, w->verify_try, w->verify_names,
               w->report_only, w->request_ocsp, w->require_ocsp,
               w->require_alpn);
}

void tls_client_files(struct buf *b, const struct tls_client_want *w)
{
    add_file(b, w->ca);
    add_file(b, w->crl);
}

const char *tls_client_key(struct arena *a, const struct tls_client_want *w)
{
    struct buf b = buf_init(a, KEY_MAX);
    unsigned char md[DIGEST_MAX];

    tls_client_facts(&b, w);
    tls_client_files(&b, w);
    size_t n = digest("sha256", buf_view(&b), md);

    return hex_encode(a, md, n, false);
}

/* ---- records: the time stamp in front is for exim_tidydb ---- */

static struct str encode(struct arena *a, SSL_SESSION *session, const struct tls_remembered *facts)
{
    struct buf b = buf_init(a, RECORD_MAX);
    time_t now = tod_now().tv_sec;
    unsigned char *der = NULL;
    int len = i2d_SSL_SESSION(session, &der);

    if (len <= 0)
        return (struct str){ "", 0 };
    buf_add(&b, &now, sizeof(now));
    wire_put_u8(&b, FORMAT);
    wire_put_u8(&b, facts->verified);
    wire_put_cstr(&b, facts->verified_name);
    wire_put_cstr(&b, facts->ocsp);
    wire_put_bytes(&b, (struct str){ (char *)der, (size_t)len });
    OPENSSL_clear_free(der, (size_t)len);
    return b.full ? (struct str){ "", 0 } : buf_view(&b);
}

/* NULL: too old, or nothing that we have written. */
static SSL_SESSION *decode(struct arena *a, struct str raw, struct tls_remembered *facts)
{
    time_t stamp, now = tod_now().tv_sec;

    if (raw.len < sizeof(stamp))
        return NULL;
    memcpy(&stamp, raw.p, sizeof(stamp));
    struct wire_reader r = wire_reader((struct str){ raw.p + sizeof(stamp), raw.len - sizeof(stamp) });
    bool known = wire_get_u8(&r) == FORMAT;
    *facts = (struct tls_remembered){ .verified = wire_get_u8(&r) == 1 };
    facts->verified_name = wire_get_cstr(&r, a);
    facts->ocsp = wire_get_cstr(&r, a);
    struct str der = wire_get_bytes(&r);
    if (!known || !wire_done(&r) || stamp > now || now - stamp > AGE_MAX)
        return NULL;
    const unsigned char *p = (const unsigned char *)der.p;
    SSL_SESSION *session = d2i_SSL_SESSION(NULL, &p, (long)der.len);
    long lifetime = session != NULL ? SSL_SESSION_get_timeout(session) : 0;
    if (session == NULL || now - stamp < lifetime)
        return session;
    SSL_SESSION_free(session);
    return NULL;
}

/* Out of the database with it: a ticket is used once (RFC 8446 C.4). */
static SSL_SESSION *take(struct exim *e, struct arena *a, const char *key, struct tls_remembered *facts)
{
    struct err err = { 0 };
    struct hints_db *db = hints_open(e, database, false, &err);
    struct str raw;

    if (db == NULL)
        return NULL;
    bool found = hints_get(db, a, key, &raw);
    hints_close(db);
    if (!found || (db = hints_open(e, database, true, &err)) == NULL)
        return NULL;
    found = hints_get(db, a, key, &raw) && hints_delete(db, key); /* nobody was faster */
    hints_close(db);
    return found ? decode(a, raw, facts) : NULL;
}

bool tls_resume_offer(struct exim *e, struct arena *a, SSL *ssl, const char *key, struct tls_remembered *out)
{
    SSL_SESSION *session = take(e, a, key, out);
    bool offered = session != NULL && SSL_SESSION_is_resumable(session) && SSL_set_session(ssl, session) == 1;

    SSL_SESSION_free(session);
    DEBUG(D_TLS) debug_printf("TLS session for %s: %s\n", key, offered ? "offered" : "none");
    return offered;
}

static void keep(const struct expectation *x, SSL_SESSION *session)
{
    struct arena *a = arena_new("tls session");
    struct err err = { 0 };
    struct str raw = SSL_SESSION_is_resumable(session) ? encode(a, session, &x->facts) : (struct str){ "", 0 };
    struct hints_db *db = raw.len > 0 ? hints_open(x->exim, database, true, &err) : NULL;

    if (db != NULL) {
        (void)hints_put(db, x->key, raw.p, raw.len, &err);
        hints_close(db);
    }
    arena_destroy(&a);
}

void tls_resume_expect(struct arena *a, struct exim *e, SSL *ssl, const char *key,
                       const struct tls_remembered *facts)
{
    struct expectation *x = arena_new_obj(a, struct expectation);

    *x = (struct expectation){ e, key, *facts };
    SSL_set_ex_data(ssl, expectation_index(), x);
    /* Before TLS 1.3 the ticket came inside the handshake. */
    SSL_SESSION *now = SSL_version(ssl) < TLS1_3_VERSION ? SSL_get1_session(ssl) : NULL;

    if (now != NULL)
        keep(x, now);
    SSL_SESSION_free(now);
}

int tls_resume_callback(SSL *ssl, SSL_SESSION *session)
{
    const struct expectation *x = SSL_get_ex_data(ssl, expectation_index());

    if (x != NULL)
        keep(x, session);
    return 0; /* no reference is kept */
}
