#include "tls/tls_int.h"

#include <limits.h>
#include <string.h>


#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/digest.h"
#include "base/list.h"
#include "base/openssl.h"
#include "base/table.h"
#include "base/tod.h"

enum { DN_MAX = 255, FIELD_MAX = 1024 * 1024 };

const char *tls_dn(struct arena *a, const X509_NAME *name)
{
    char text[DN_MAX + 1];

    if (name == NULL || X509_NAME_oneline(name, text, sizeof(text)) == NULL)
        return "";
    return cstr_printable(a, arena_strdup(a, text), false);
}

/* ---- Fields of ${certextract ---- */
struct extract {
    struct arena *arena;
    X509 *cert;
    const char *modifier; /* after the comma; NULL none */
    char sep;             /* between several values */
    struct buf out;
    bool any;
};

static void put(struct extract *x, const char *p, size_t n)
{
    if (x->any)
        buf_add_char(&x->out, x->sep);
    x->any = true;
    for (size_t i = 0; i < n; i++) {
        if (p[i] == x->sep) /* as in a list: doubled */
            buf_add_char(&x->out, x->sep);
        buf_add_char(&x->out, p[i]);
    }
}

static bool put_bio(struct extract *x, BIO *bio)
{
    char *p;
    long n = BIO_get_mem_data(bio, &p);

    buf_add(&x->out, p, n > 0 ? (size_t)n : 0);
    BIO_free(bio);
    return true;
}

static bool get_version(struct extract *x)
{
    buf_printf(&x->out, "%ld", X509_get_version(x->cert)); /* 2 for v3, as Exim on OpenSSL says */
    return true;
}

static bool get_serial(struct extract *x)
{
    BIO *bio = BIO_new(BIO_s_mem());

    i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(x->cert));
    return put_bio(x, bio);
}

/* The whole name as RFC 2253 text, or the values of one kind ("CN"). */
static bool put_name(struct extract *x, X509_NAME *name)
{
    BIO *bio;

    if (x->modifier == NULL || *x->modifier == '\0') {
        bio = BIO_new(BIO_s_mem());
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253);
        return put_bio(x, bio);
    }
    int nid = OBJ_txt2nid(cstr_upper(x->arena, x->modifier));

    for (int i = -1; nid != NID_undef && (i = X509_NAME_get_index_by_NID(name, nid, i)) >= 0;) {
        unsigned char *utf8;
        int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));

        if (len < 0)
            continue;
        put(x, (char *)utf8, (size_t)len);
        OPENSSL_free(utf8);
    }
    return x->any;
}

static bool get_subject(struct extract *x)
{
    return put_name(x, X509_get_subject_name(x->cert));
}

static bool get_issuer(struct extract *x)
{
    return put_name(x, X509_get_issuer_name(x->cert));
}

static bool put_time(struct extract *x, const ASN1_TIME *when)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(when, &tm) != 1)
        return false;
    if (x->modifier != NULL && strcmp(x->modifier, "int") == 0) {
        buf_printf(&x->out, "%lld", (long long)timegm(&tm));
        return true;
    }
    if (x->modifier != NULL && strcmp(x->modifier, "raw") == 0) {
        BIO *bio = BIO_new(BIO_s_mem());

        ASN1_TIME_print(bio, when);
        return put_bio(x, bio);
    }
    struct timespec ts = { .tv_sec = timegm(&tm) };

    buf_add_cstr(&x->out, tod_print(x->arena, TOD_FULL_UTC, ts));
    return true;
}

static bool get_notbefore(struct extract *x)
{
    return put_time(x, X509_get0_notBefore(x->cert));
}

static bool get_notafter(struct extract *x)
{
    return put_time(x, X509_get0_notAfter(x->cert));
}

static bool get_signature(struct extract *x)
{
    const ASN1_BIT_STRING *sig;

    X509_get0_signature(&sig, NULL, x->cert);
    for (int i = 0; sig != NULL && i < ASN1_STRING_length(sig); i++)
        buf_printf(&x->out, "%s%02x", i == 0 ? "" : ":", ASN1_STRING_get0_data(sig)[i]);
    return sig != NULL;
}

static bool get_sig_algorithm(struct extract *x)
{
    const X509_ALGOR *alg;
    const ASN1_OBJECT *obj;
    BIO *bio = BIO_new(BIO_s_mem());

    X509_get0_signature(NULL, &alg, x->cert);
    X509_ALGOR_get0(&obj, NULL, NULL, alg);
    i2a_ASN1_OBJECT(bio, obj);
    return put_bio(x, bio);
}

static const char *kind_of(const GENERAL_NAME *n, const ASN1_STRING **value)
{
    switch (n->type) {
    case GEN_DNS:
        *value = n->d.dNSName;
        return "DNS";
    case GEN_URI:
        *value = n->d.uniformResourceIdentifier;
        return "URI";
    case GEN_EMAIL:
        *value = n->d.rfc822Name;
        return "MAIL";
    default:
        return NULL;
    }
}

/* "DNS=a,URI=b" or, for one kind, the values; separated by newlines unless asked otherwise. */
static bool get_alternatives(struct extract *x)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x->cert, NID_subject_alt_name, NULL, NULL);
    bool all = x->modifier == NULL || *x->modifier == '\0';

    for (int i = sk_GENERAL_NAME_num(names) - 1; names != NULL && i >= 0; i--) { /* Exim: last one first */
        const ASN1_STRING *value;
        const char *kind = kind_of(sk_GENERAL_NAME_value(names, i), &value);

        if (kind == NULL || (!all && !cstr_ieq(kind, x->modifier)))
            continue;
        const char *text = cstr_printable_len(x->arena, (const char *)ASN1_STRING_get0_data(value),
                                              (size_t)ASN1_STRING_length(value), true);

        text = all ? arena_printf(x->arena, "%s=%s", kind, text) : text;
        put(x, text, strlen(text));
    }
    GENERAL_NAMES_free(names);
    return x->any;
}

static bool get_ocsp_uri(struct extract *x)
{
    STACK_OF(ACCESS_DESCRIPTION) *list = X509_get_ext_d2i(x->cert, NID_info_access, NULL, NULL);

    for (int i = 0; list != NULL && i < sk_ACCESS_DESCRIPTION_num(list); i++) {
        const ACCESS_DESCRIPTION *d = sk_ACCESS_DESCRIPTION_value(list, i);
        const ASN1_STRING *value;

        if (OBJ_obj2nid(d->method) == NID_ad_OCSP && d->location->type == GEN_URI) {
            (void)kind_of(d->location, &value);
            put(x, (const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
        }
    }
    sk_ACCESS_DESCRIPTION_pop_free(list, ACCESS_DESCRIPTION_free);
    return x->any;
}

static void put_points(struct extract *x, const DIST_POINT *point)
{
    const GENERAL_NAMES *names =
        point->distpoint != NULL && point->distpoint->type == 0 ? point->distpoint->name.fullname : NULL;

    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const ASN1_STRING *value;
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

        if (n->type == GEN_URI && kind_of(n, &value) != NULL)
            put(x, (const char *)ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    }
}

static bool get_crl_uri(struct extract *x)
{
    STACK_OF(DIST_POINT) *list = X509_get_ext_d2i(x->cert, NID_crl_distribution_points, NULL, NULL);

    for (int i = 0; list != NULL && i < sk_DIST_POINT_num(list); i++)
        put_points(x, sk_DIST_POINT_value(list, i));
    sk_DIST_POINT_pop_free(list, DIST_POINT_free);
    return x->any;
}

/* clang-format off */
static const struct field {
    const char *name;
    bool (*get)(struct extract *x);
} fields[] = {
    { "crl_uri", get_crl_uri },
    { "issuer", get_issuer },
    { "notafter", get_notafter },
    { "notbefore", get_notbefore },
    { "ocsp_uri", get_ocsp_uri },
    { "serial_number", get_serial },
    { "sig_algorithm", get_sig_algorithm },
    { "signature", get_signature },
    { "subj_altname", get_alternatives },
    { "subject", get_subject },
    { "version", get_version },
};
/* clang-format on */

/* "field", "field,modifier", "field,>sep", "field,modifier,>sep". */
static const char *split_modifiers(struct extract *x, const char *spec)
{
    const char *at = strchr(spec, ',');
    const char *name = at != NULL ? arena_strndup(x->arena, spec, (size_t)(at - spec)) : spec;

    while (at != NULL) {
        const char *s = cstr_skip_space(at + 1);

        if (*s == '>' && s[1] != '\0') {
            x->sep = s[1];
            at = s[2] == ',' ? s + 2 : NULL;
            continue;
        }
        const char *end = strchr(s, ',');

        x->modifier = arena_strndup(x->arena, s, end != NULL ? (size_t)(end - s) : strlen(s));
        at = end;
    }
    return name;
}

const char *tls_cert_extract(struct arena *a, void *x509, const char *field, struct err *err)
{
    struct extract x = { .arena = a, .cert = x509, .sep = '\n', .out = buf_init(a, FIELD_MAX) };
    const char *name = cstr_lower(a, split_modifiers(&x, cstr_skip_space(field)));
    const struct field *f = TABLE_FIND(fields, name);

    *err = (struct err){ 0 };
    if (f == NULL) {
        err_set(err, a, "bad field selector for certextract: \"%s\"", field);
        return NULL;
    }
    bool found = x509 != NULL && f->get(&x) && !x.out.full;

    ERR_clear_error();
    return found ? buf_cstr(&x.out) : NULL;
}

static struct str der_of(struct arena *a, X509 *cert)
{
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    struct str s = { "", 0 };

    if (len > 0)
        s = (struct str){ arena_strndup(a, (char *)der, (size_t)len), (size_t)len };
    OPENSSL_free(der);
    return s;
}

const char *tls_cert_fingerprint(struct arena *a, void *x509, const char *name)
{
    unsigned char md[DIGEST_MAX];
    size_t n = x509 != NULL ? digest(name, der_of(a, x509), md) : 0;

    return n > 0 ? hex_encode(a, md, n, true) : NULL;
}

const char *tls_cert_pem(struct arena *a, void *x509)
{
    BIO *bio = BIO_new(BIO_s_mem());
    const char *text = NULL;
    char *p;

    if (bio != NULL && x509 != NULL && PEM_write_bio_X509(bio, x509) == 1) {
        long n = BIO_get_mem_data(bio, &p);

        text = arena_strndup(a, p, n > 0 ? (size_t)n : 0);
    }
    BIO_free(bio);
    return text;
}

static void free_cert(void *arg)
{
    X509_free(arg);
}

void *tls_cert_parse(struct arena *a, struct str der, const char **dn)
{
    const unsigned char *p = (const unsigned char *)der.p;
    X509 *cert = der.len > 0 && der.len <= LONG_MAX ? d2i_X509(NULL, &p, (long)der.len) : NULL;

    ERR_clear_error();
    if (cert == NULL)
        return NULL;
    arena_on_destroy(a, free_cert, cert);
    if (p != (const unsigned char *)der.p + der.len)
        return NULL;
    *dn = tls_dn(a, X509_get_subject_name(cert));
    return cert;
}

int tls_cipher_bits(const char *suite)
{
    static const struct {
        const char *part;
        int bits;
    } ciphers[] = { { "NULL", 0 },       { "128", 128 },      { "CHACHA20", 256 }, { "3DES", 112 },
                    { "DES-CBC3", 112 }, { "AES256", 256 },   { "AES_256", 256 },  { "ARIA256", 256 },
                    { "ARIA_256", 256 }, { "CAMELLIA256", 256 }, { "CAMELLIA_256", 256 } };

    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++)
        if (strstr(suite, ciphers[i].part) != NULL)
            return ciphers[i].bits;
    return 0;
}
