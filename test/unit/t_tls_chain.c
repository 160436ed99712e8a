/* link: base tls/chain tls/cert */
/* What OpenSSL's chain verification leaves open, on certificates made here. */
#include "tls/tls_int.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "unit.h"

enum { CERTS_MAX = 6 };

/* One certificate to make: issued by an earlier one of the same list (0 is the root). */
struct spec {
    const char *cn; /* NULL: empty subject; equal names share a key */
    int issuer;
    bool ca;
    const char *san, *constraints; /* in the notation of openssl.cnf */
};

struct made {
    X509 *cert[CERTS_MAX];
    EVP_PKEY *key[CERTS_MAX];
    int count;
};

static void add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;

    X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
    X509V3_set_ctx_nodb(&ctx);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);

    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

static EVP_PKEY *key_for(const struct spec *specs, struct made *m, int i)
{
    for (int j = 0; j < i; j++)
        if (specs[i].cn != NULL && specs[j].cn != NULL && strcmp(specs[i].cn, specs[j].cn) == 0) {
            EVP_PKEY_up_ref(m->key[j]);
            return m->key[j];
        }
    return EVP_EC_gen("P-256");
}

static X509 *make_one(const struct spec *s, struct made *m, int i)
{
    X509 *x = X509_new();
    X509 *issuer = s->issuer == i ? x : m->cert[s->issuer];
    EVP_PKEY *signer = m->key[s->issuer == i ? i : s->issuer];

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 100 + i);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, m->key[i]);
    if (s->cn != NULL)
        X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)s->cn, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    add_ext(x, issuer, NID_basic_constraints, s->ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (s->ca)
        add_ext(x, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
    if (s->san != NULL)
        add_ext(x, issuer, NID_subject_alt_name, s->san);
    if (s->constraints != NULL)
        add_ext(x, issuer, NID_name_constraints, s->constraints);
    X509_sign(x, signer, EVP_sha256());
    return x;
}

static struct made make(const struct spec *specs, int count)
{
    struct made m = { .count = count };

    for (int i = 0; i < count; i++) {
        m.key[i] = key_for(specs, &m, i);
        m.cert[i] = make_one(&specs[i], &m, i);
    }
    return m;
}

static void release(struct made *m)
{
    for (int i = 0; i < m->count; i++) {
        X509_free(m->cert[i]);
        EVP_PKEY_free(m->key[i]);
    }
}

/* clang-format off */
static const struct {
    const char *what;
    struct spec certs[CERTS_MAX]; /* root, those the server sends, and last the leaf */
    int count;
    bool good;
    const char *error;            /* part of it */
    const char *host;             /* NULL: do not ask; else is it permitted? */
    bool permitted;
} cases[] = {
    { "plain", { { "root", 0, true, NULL, NULL }, { "leaf", 0, false, "DNS:mx.a.test", NULL } }, 2,
      true, NULL, "mx.a.test", true },
    { "stranger's", { { "root", 0, true, NULL, NULL }, { "other", 1, true, NULL, NULL },
        { "leaf", 1, false, "DNS:mx.a.test", NULL } }, 3, false, "self-signed", NULL, false },
    { "constraints permit the name", { { "root", 0, true, NULL, NULL },
        { "ca", 0, true, NULL, "critical,permitted;DNS:a.test" }, { "leaf", 1, false, "DNS:mx.a.test", NULL } }, 3,
      true, NULL, "mx.a.test", true },
    { "constraints forbid the name", { { "root", 0, true, NULL, NULL },
        { "ca", 0, true, NULL, "critical,permitted;DNS:b.test" }, { "leaf", 1, false, "DNS:mx.a.test", NULL } }, 3,
      false, "permitted subtree violation", NULL, false },
    /* A wildcard that stands for a host which its CA may not certify (CVE-2025-61727 and kin). */
    { "excluded host behind a wildcard", { { "root", 0, true, NULL, NULL },
        { "ca", 0, true, NULL, "critical,excluded;DNS:mx.a.test" }, { "leaf", 1, false, "DNS:*.a.test", NULL } }, 3,
      true, NULL, "mx.a.test", false },
    { "another host behind it", { { "root", 0, true, NULL, NULL },
        { "ca", 0, true, NULL, "critical,excluded;DNS:mx.a.test" }, { "leaf", 1, false, "DNS:*.a.test", NULL } }, 3,
      true, NULL, "www.a.test", true },
    { "constraints in the leaf", { { "root", 0, true, NULL, NULL },
        { "leaf", 0, false, "DNS:mx.a.test", "critical,permitted;DNS:a.test" } }, 2,
      false, "name constraints in a certificate that is no CA's", NULL, false },
    { "not critical ones too", { { "root", 0, true, NULL, NULL },
        { "leaf", 0, false, "DNS:mx.a.test", "permitted;DNS:a.test" } }, 2,
      false, "name constraints in a certificate that is no CA's", NULL, false },
    { "empty constraints", { { "root", 0, true, NULL, NULL }, { "ca", 0, true, NULL, "critical,DER:3000" },
        { "leaf", 1, false, "DNS:mx.a.test", NULL } }, 3, false, "empty name constraints", NULL, false },
    { "constraints with empty lists", { { "root", 0, true, NULL, NULL }, { "ca", 0, true, NULL, "critical,DER:3004A000A100" },
        { "leaf", 1, false, "DNS:mx.a.test", NULL } }, 3, false, "empty name constraints", NULL, false },
    { "a DNS name that is none, constrained", { { "root", 0, true, NULL, NULL },
        { "ca", 0, true, NULL, "critical,excluded;DNS:b.test" }, { "leaf", 1, false, "DNS:mx.a.test,DNS:-- !.test", NULL } }, 3,
      false, "", NULL, false },
    { "the same without constraints", { { "root", 0, true, NULL, NULL },
        { "leaf", 0, false, "DNS:mx.a.test,DNS:-- !.test", NULL } }, 2, true, NULL, NULL, false },
    { "empty subject, names not critical", { { "root", 0, true, NULL, NULL }, { NULL, 0, false, "DNS:mx.a.test", NULL } }, 2,
      false, "empty subject", NULL, false },
    { "empty subject, names critical", { { "root", 0, true, NULL, NULL }, { NULL, 0, false, "critical,DNS:mx.a.test", NULL } }, 2,
      true, NULL, NULL, false },
    /* Two certificates of one intermediate CA; only the second allows the name. */
    { "way around a constrained intermediate", { { "root", 0, true, NULL, NULL },
        { "ca", 0, true, NULL, "critical,permitted;DNS:b.test" }, { "ca", 0, true, NULL, NULL },
        { "leaf", 1, false, "DNS:mx.a.test", NULL } }, 4, true, NULL, "mx.a.test", true },
    { "no way around", { { "root", 0, true, NULL, NULL },
        { "ca", 0, true, NULL, "critical,permitted;DNS:b.test" }, { "ca", 0, true, NULL, "critical,permitted;DNS:c.test" },
        { "leaf", 1, false, "DNS:mx.a.test", NULL } }, 4, false, "permitted subtree violation", NULL, false },
};
/* clang-format on */

static void check_one(struct arena *a, size_t i)
{
    struct made m = make(cases[i].certs, cases[i].count);
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    STACK_OF(X509) *sent = sk_X509_new_null();
    struct tls_verdict v = { .arena = a };

    X509_STORE_add_cert(store, m.cert[0]);
    for (int j = 1; j < m.count - 1; j++)
        sk_X509_push(sent, m.cert[j]);
    X509_STORE_CTX_init(ctx, store, m.cert[m.count - 1], sent);
    X509_STORE_CTX_set_default(ctx, "ssl_server");
    bool good = tls_chain_verify(ctx, &v);

    CHECK(cases[i].what, good == cases[i].good);
    if (!good && strstr(v.error, cases[i].error) == NULL)
        fail_msg("%s: %s", cases[i].what, v.error);
    if (good && cases[i].host != NULL) {
        STACK_OF(X509) *chain = X509_STORE_CTX_get1_chain(ctx);

        CHECK(cases[i].what, tls_chain_permits(chain, cases[i].host) == cases[i].permitted);
        sk_X509_pop_free(chain, X509_free);
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    sk_X509_free(sent);
    release(&m);
}

static void chains(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        check_one(*state, i);
}

static void fields_of_a_certificate(void **state)
{
    static const struct spec specs[] = {
        { "root", 0, true, NULL, NULL },
        { "mx.a.test", 0, false, "DNS:mx.a.test,DNS:b.test,email:x@a.test,URI:http://a.test/", NULL },
    };
    struct made m = make(specs, 2);
    struct err err;
    X509 *x = m.cert[1];

    assert_string_equal(tls_cert_extract(*state, x, "version", &err), "2");
    assert_string_equal(tls_cert_extract(*state, x, "serial_number", &err), "65");
    assert_string_equal(tls_cert_extract(*state, x, "subject", &err), "CN=mx.a.test");
    assert_string_equal(tls_cert_extract(*state, x, "subject,CN", &err), "mx.a.test");
    assert_string_equal(tls_cert_extract(*state, x, "issuer", &err), "CN=root");
    assert_string_equal(tls_cert_extract(*state, x, "sig_algorithm", &err), "ecdsa-with-SHA256");
    assert_string_equal(tls_cert_extract(*state, x, "subj_altname,dns", &err), "b.test\nmx.a.test");
    assert_string_equal(tls_cert_extract(*state, x, "subj_altname,dns,>:", &err), "b.test:mx.a.test");
    assert_string_equal(tls_cert_extract(*state, x, "subj_altname,uri,>:", &err), "http:://a.test/");
    assert_non_null(strstr(tls_cert_extract(*state, x, "subj_altname", &err), "MAIL=x@a.test"));
    assert_null(tls_cert_extract(*state, x, "ocsp_uri", &err));
    assert_null(err.msg);
    assert_null(tls_cert_extract(*state, x, "nonsense", &err));
    assert_non_null(err.msg);
    assert_int_equal(strlen(tls_cert_fingerprint(*state, x, "sha256")), 64);
    assert_memory_equal(tls_cert_pem(*state, x), "-----BEGIN CERTIFICATE-----", 27);
    release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = { UNIT_TEST(chains), UNIT_TEST(fields_of_a_certificate) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
