/* link: base tls_certname */
#include "tls_certname.h"

#include <openssl/x509v3.h>

#include "unit.h"

#define S(literal) literal, sizeof(literal) - 1

/* clang-format off */
static const struct {
    const char *presented;
    size_t presented_len;
    const char *reference;
    bool want;
} pairs[] = {
    { S("mx.example.test"),        "mx.example.test", true },
    { S("MX.Example.TEST"),        "mx.example.test", true },
    { S("mx.example.test"),        "MX.EXAMPLE.test", true },
    { S("mx.example.test"),        "mx.example.test.", true },   /* absolute name of a route list */
    { S("mx.example.test."),       "mx.example.test", false },
    { S("mx.example.test"),        "mx.example.test..", false },
    { S("mx.example.tes"),         "mx.example.test", false },
    { S("mx.example.testx"),       "mx.example.test", false },
    { S("x.mx.example.test"),      "mx.example.test", false },
    { S("example.test"),           "mx.example.test", false },
    { S("localhost"),              "localhost", true },
    { S("mx_1.example.test"),      "mx_1.example.test", true },
    { S(""),                       "mx.example.test", false },
    { S("mx.example.test"),        "", false },
    { S(""),                       "", false },
    { S("."),                      ".", false },
    { S(".example.test"),          ".example.test", false },
    { S("mx..test"),               "mx..test", false },
    /* NUL and what else no host name holds */
    { S("mx.example.test\0.evil.test"), "mx.example.test", false },
    { S("mx.example.test\0"),      "mx.example.test", false },
    { S("mx.example.test\n"),      "mx.example.test", false },
    { S("mx.example.test,x.test"), "mx.example.test", false },
    { S("x.test\nmx.example.test"), "mx.example.test", false },
    { S("mx.example.test:25"),     "mx.example.test", false },
    { S("mx.example.test "),       "mx.example.test", false },
    { S(" mx.example.test"),       "mx.example.test", false },
    { S("mx.ex\xe4mple.test"),     "mx.ex\xe4mple.test", false },
    { S("mx example.test"),        "mx example.test", false },
    /* Wildcards: the whole first component of a name of three or more */
    { S("*.example.test"),         "mx.example.test", true },
    { S("*.EXAMPLE.test"),         "mx.example.TEST", true },
    { S("*.example.test"),         "mx.example.test.", true },
    { S("*.a.b.c.test"),           "x.a.b.c.test", true },
    { S("*.example.test"),         "example.test", false },
    { S("*.example.test"),         "a.b.example.test", false },
    { S("*.example.test"),         "_mx.example.test", false },
    { S("*.a_b.test"),             "mx.a_b.test", true },
    /* Anything below a domain */
    { S("*.example.test"),         ".example.test", true },
    { S("a.b.EXAMPLE.test"),       ".example.test", true },
    { S("*.b.example.test"),       ".example.test.", true },
    { S("example.test"),           ".example.test", false },
    { S("xexample.test"),          ".example.test", false },
    { S("*.test"),                 ".test", false },
    { S("a.*.example.test"),       ".example.test", false },
    { S("a..example.test"),        ".example.test", false },
    { S("a.example.test\0.test"),  ".test", false },
    { S("a.example.test"),         "..example.test", false },
    { S("*.test"),                 "example.test", false },
    { S("*."),                     "test", false },
    { S("*"),                      "test", false },
    { S("*"),                      "example", false },
    { S("*.*.test"),               "a.b.test", false },
    { S("**.example.test"),        "mx.example.test", false },
    { S("*.*"),                    "a.b", false },
    { S("m*.example.test"),        "mx.example.test", false },
    { S("*x.example.test"),        "mx.example.test", false },
    { S("m*x.example.test"),       "mx.example.test", false },
    { S("mx.*.test"),              "mx.example.test", false },
    { S("mx.example.*"),           "mx.example.test", false },
    { S("*.example.test."),        "mx.example.test", false },
    { S("*.example..test"),        "mx.example..test", false },
    { S("*.example.te\0t"),        "mx.example.te\0t", false },
    { S("*.example.test"),         "*.example.test", false },    /* a reference is a host */
    { S("mx.example.test"),        "*.example.test", false },
    { S("xn--*.example.test"),     "xn--abc.example.test", false },
    { S("*.example.test"),         "xn--nxasmq6b.example.test", true },
    { S("*.xn--bcher-kva.test"),   "mx.xn--bcher-kva.test", true },
    { S("*-a.example.test"),       "x-a.example.test", false },
};
/* clang-format on */

static void pairs_of_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct str presented = { pairs[i].presented, pairs[i].presented_len };
        bool got = certname_match_dns(presented, str_from(pairs[i].reference));

        if (got != pairs[i].want)
            fail_msg("row %zu: \"%s\" for \"%s\": %d", i, pairs[i].presented, pairs[i].reference, got);
    }
}

/* ---- Certificates ---- */
struct names {
    const char *cn[3];
    const char *dns[6];
    const char *ip[3];   /* text */
    const char *email, *uri;
    const char *dir_cn, *srv; /* directoryName, otherName (SRV-ID) */
};

static void add_name(GENERAL_NAMES *list, int type, const char *text)
{
    GENERAL_NAME *n = GENERAL_NAME_new();
    ASN1_IA5STRING *s = ASN1_IA5STRING_new();

    ASN1_STRING_set(s, text, -1);
    GENERAL_NAME_set0_value(n, type, s);
    sk_GENERAL_NAME_push(list, n);
}

static void add_address(GENERAL_NAMES *list, const char *text)
{
    GENERAL_NAME *n = GENERAL_NAME_new();

    GENERAL_NAME_set0_value(n, GEN_IPADD, a2i_IPADDRESS(text));
    sk_GENERAL_NAME_push(list, n);
}

static void add_dir_name(GENERAL_NAMES *list, const char *cn)
{
    GENERAL_NAME *n = GENERAL_NAME_new();
    X509_NAME *dn = X509_NAME_new();

    X509_NAME_add_entry_by_NID(dn, NID_commonName, MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
    n->type = GEN_DIRNAME;
    n->d.directoryName = dn;
    sk_GENERAL_NAME_push(list, n);
}

static void add_other(GENERAL_NAMES *list, const char *text)
{
    GENERAL_NAME *n = GENERAL_NAME_new();
    ASN1_TYPE *value = ASN1_TYPE_new();
    ASN1_IA5STRING *s = ASN1_IA5STRING_new();

    ASN1_STRING_set(s, text, -1);
    ASN1_TYPE_set(value, V_ASN1_IA5STRING, s);
    GENERAL_NAME_set0_othername(n, OBJ_txt2obj("1.3.6.1.5.5.7.8.7", 1), value);
    sk_GENERAL_NAME_push(list, n);
}

static X509 *make(const struct names *names)
{
    X509 *x = X509_new();
    GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();

    for (size_t i = 0; i < ARRAY_LEN(names->cn) && names->cn[i] != NULL; i++)
        X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_UTF8,
                                   (const unsigned char *)names->cn[i], -1, -1, 0);
    for (size_t i = 0; i < ARRAY_LEN(names->dns) && names->dns[i] != NULL; i++)
        add_name(list, GEN_DNS, names->dns[i]);
    for (size_t i = 0; i < ARRAY_LEN(names->ip) && names->ip[i] != NULL; i++)
        add_address(list, names->ip[i]);
    if (names->email != NULL)
        add_name(list, GEN_EMAIL, names->email);
    if (names->uri != NULL)
        add_name(list, GEN_URI, names->uri);
    if (names->dir_cn != NULL)
        add_dir_name(list, names->dir_cn);
    if (names->srv != NULL)
        add_other(list, names->srv);
    if (sk_GENERAL_NAME_num(list) > 0)
        X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT);
    sk_GENERAL_NAME_pop_free(list, GENERAL_NAME_free);
    return x;
}

/* clang-format off */
static const struct {
    const char *what;
    struct names names;
    const char *want[4];   /* acceptable names */
    const char *matched;   /* NULL: refused */
    bool by_wildcard, by_cn;
} certificates[] = {
    { "a DNS name",              { .dns = { "a.test", "mx.b.test" } }, { "mx.b.test" }, "mx.b.test", false, false },
    { "any of the wanted",       { .dns = { "mx.b.test" } }, { "x.test", "y.test", "mx.b.test" }, "mx.b.test", false, false },
    { "none of the wanted",      { .dns = { "mx.b.test" } }, { "x.test", "y.test" }, NULL, false, false },
    { "nothing wanted",          { .dns = { "mx.b.test" } }, { NULL }, NULL, false, false },
    { "wildcard",                { .dns = { "*.b.test" } }, { "mx.b.test" }, "*.b.test", true, false },
    { "CN without DNS names",    { .cn = { "mx.b.test" } }, { "mx.b.test" }, "mx.b.test", false, true },
    { "CN wildcard",             { .cn = { "*.b.test" } }, { "mx.b.test" }, "*.b.test", true, true },
    { "CN wildcard too wide",    { .cn = { "*.test" } }, { "b.test" }, NULL, false, false },
    { "second CN",               { .cn = { "x.test", "mx.b.test" } }, { "mx.b.test" }, "mx.b.test", false, true },
    { "DNS name rules CN out",   { .cn = { "mx.b.test" }, .dns = { "x.test" } }, { "mx.b.test" }, NULL, false, false },
    { "bad DNS name rules CN out", { .cn = { "mx.b.test" }, .dns = { "!" } }, { "mx.b.test" }, NULL, false, false },
    { "address leaves CN",       { .cn = { "mx.b.test" }, .ip = { "1.2.3.4" } }, { "mx.b.test" }, "mx.b.test", false, true },
    { "email is no host",        { .email = "mx.b.test" }, { "mx.b.test" }, NULL, false, false },
    { "URI is no host",          { .uri = "https://mx.b.test/" }, { "mx.b.test" }, NULL, false, false },
    { "directory name",          { .dir_cn = "mx.b.test" }, { "mx.b.test" }, NULL, false, false },
    { "SRV-ID",                  { .srv = "_smtp.mx.b.test" }, { "mx.b.test", "_smtp.mx.b.test" }, NULL, false, false },
    { "IPv4",                    { .ip = { "192.0.2.1" } }, { "192.0.2.1" }, "192.0.2.1", false, false },
    { "other IPv4",              { .ip = { "192.0.2.1" } }, { "192.0.2.2" }, NULL, false, false },
    { "IPv6, written otherwise", { .ip = { "2001:db8::1" } }, { "2001:DB8:0::1" }, "2001:DB8:0::1", false, false },
    { "IPv4 as DNS text",        { .dns = { "192.0.2.1" } }, { "192.0.2.1" }, NULL, false, false },
    { "IPv4 as CN",              { .cn = { "192.0.2.1" } }, { "192.0.2.1" }, NULL, false, false },
    { "IPv4 by wildcard",        { .dns = { "*.0.2.1" } }, { "192.0.2.1" }, NULL, false, false },
    { "IPv4 in an IPv6 name",    { .ip = { "::ffff:192.0.2.1" } }, { "192.0.2.1" }, NULL, false, false },
    { "U-label wanted",          { .dns = { "mx.xn--bcher-kva.test" } }, { "mx.b\xc3\xbc" "cher.test" }, "mx.xn--bcher-kva.test", false, false },
    { "U-label, upper case",     { .dns = { "mx.xn--bcher-kva.test" } }, { "mx.B\xc3\x9c" "CHER.test" }, "mx.xn--bcher-kva.test", false, false },
    { "A-label wanted",          { .dns = { "mx.xn--bcher-kva.test" } }, { "MX.XN--BCHER-KVA.test" }, "mx.xn--bcher-kva.test", false, false },
    { "U-label in the CN",       { .cn = { "mx.b\xc3\xbc" "cher.test" } }, { "mx.b\xc3\xbc" "cher.test" }, NULL, false, false },
    { "text like CN= in the CN", { .cn = { "x/CN=mx.b.test" } }, { "mx.b.test" }, NULL, false, false },
    { "no names at all",         { .dns = { NULL } }, { "mx.b.test" }, NULL, false, false },
    { "bad UTF-8 wanted",        { .dns = { "mx.b.test" } }, { "mx.\xff.test" }, NULL, false, false },
};
/* clang-format on */

static void whole_certificates(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(certificates); i++) {
        X509 *x = make(&certificates[i].names);
        struct certname_result r = certname_check(*state, x, certificates[i].want);
        const char *row = certificates[i].what;

        X509_free(x);
        CHECK(row, r.ok == (certificates[i].matched != NULL));
        if (!r.ok) {
            CHECK(row, r.why != NULL);
            continue;
        }
        CHECK_STR(row, r.matched, certificates[i].matched);
        CHECK(row, r.by_wildcard == certificates[i].by_wildcard);
        CHECK(row, r.by_cn == certificates[i].by_cn);
    }
}

static void common_name_in_other_encodings(void **state)
{
    X509 *x = X509_new();
    const char *const want[] = { "mx.b.test", NULL };
    /* BMPString: two bytes a character. */
    static const unsigned char bmp[] = "\0m\0x\0.\0b\0.\0t\0e\0s\0t";

    X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, V_ASN1_BMPSTRING, bmp, sizeof(bmp) - 1, -1, 0);
    assert_true(certname_check(*state, x, want).ok);
    X509_free(x);

    x = X509_new();
    X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, V_ASN1_UTF8STRING,
                               (const unsigned char *)"mx.b.test\0.evil.test", 20, -1, 0);
    assert_false(certname_check(*state, x, want).ok);
    X509_free(x);
}

static void shows_the_names_for_the_log(void **state)
{
    struct names many = { .dns = { "a.test", "b.test", "c.test", "d\n,\".test" }, .ip = { "192.0.2.1" } };
    struct names only_cn = { .cn = { "mx.b.test" } };
    X509 *x = make(&many);

    assert_string_equal(certname_presented(*state, x, 10), "a.test,b.test,c.test,d\\n\\054\\042.test,192.0.2.1");
    assert_string_equal(certname_presented(*state, x, 2), "a.test,b.test,+3");
    X509_free(x);
    x = make(&only_cn);
    assert_string_equal(certname_presented(*state, x, 2), "mx.b.test");
    X509_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(pairs_of_names),
        UNIT_TEST(whole_certificates),
        UNIT_TEST(common_name_in_other_encodings),
        UNIT_TEST(shows_the_names_for_the_log),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
