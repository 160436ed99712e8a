#include "tls/tls_int.h"

#include <string.h>
#include <sys/stat.h>


#include "base/arena.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/openssl.h"
#include "base/table.h"

enum { SELF_SIGNED_LIFE = 2 * 3600 };

/* ---- openssl_options ---- */
struct ssl_option {
    const char *name;
    uint64_t value; /* 0: known, without effect in this OpenSSL */
};

/* clang-format off */
static const struct ssl_option ssl_options[] = {
    { "all", SSL_OP_ALL },
    { "allow_no_dhe_kex", SSL_OP_ALLOW_NO_DHE_KEX },
    { "allow_unsafe_legacy_renegotiation", SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION },
    { "cipher_server_preference", SSL_OP_CIPHER_SERVER_PREFERENCE },
    { "cisco_anyconnect", SSL_OP_CISCO_ANYCONNECT },
    { "cookie_exchange", SSL_OP_COOKIE_EXCHANGE },
    { "cryptopro_tlsext_bug", SSL_OP_CRYPTOPRO_TLSEXT_BUG },
    { "dont_insert_empty_fragments", SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS },
    { "enable_middlebox_compat", SSL_OP_ENABLE_MIDDLEBOX_COMPAT },
    { "ephemeral_rsa", 0 },
    { "legacy_server_connect", SSL_OP_LEGACY_SERVER_CONNECT },
    { "microsoft_big_sslv3_buffer", 0 },
    { "microsoft_sess_id_bug", 0 },
    { "msie_sslv2_rsa_padding", 0 },
    { "netscape_ca_dn_bug", 0 },
    { "netscape_challenge_bug", 0 },
    { "netscape_demo_cipher_change_bug", 0 },
    { "netscape_reuse_cipher_change_bug", 0 },
    { "no_anti_replay", SSL_OP_NO_ANTI_REPLAY },
    { "no_compression", SSL_OP_NO_COMPRESSION },
    { "no_dtlsv1", SSL_OP_NO_DTLSv1 },
    { "no_dtlsv1_2", SSL_OP_NO_DTLSv1_2 },
    { "no_encrypt_then_mac", SSL_OP_NO_ENCRYPT_THEN_MAC },
    { "no_renegotiation", SSL_OP_NO_RENEGOTIATION },
    { "no_session_resumption_on_renegotiation", SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION },
    { "no_sslv2", 0 },
    { "no_sslv3", SSL_OP_NO_SSLv3 },
    { "no_ticket", SSL_OP_NO_TICKET },
    { "no_tlsv1", SSL_OP_NO_TLSv1 },
    { "no_tlsv1_1", SSL_OP_NO_TLSv1_1 },
    { "no_tlsv1_2", SSL_OP_NO_TLSv1_2 },
    { "no_tlsv1_3", SSL_OP_NO_TLSv1_3 },
    { "prioritize_chacha", SSL_OP_PRIORITIZE_CHACHA },
    { "safari_ecdhe_ecdsa_bug", SSL_OP_SAFARI_ECDHE_ECDSA_BUG },
    { "single_dh_use", SSL_OP_SINGLE_DH_USE },
    { "single_ecdh_use", SSL_OP_SINGLE_ECDH_USE },
    { "ssleay_080_client_dh_bug", 0 },
    { "sslref2_reuse_cert_type_bug", 0 },
    { "tls_block_padding_bug", 0 },
    { "tls_d5_bug", 0 },
    { "tls_rollback_bug", SSL_OP_TLS_ROLLBACK_BUG },
    { "tlsext_padding", SSL_OP_TLSEXT_PADDING },
};
/* clang-format on */

bool tls_options_parse(const char *text, uint64_t *set, uint64_t *clear, const char **bad, struct arena *a)
{
    *set = *clear = 0;
    for (const char *s = text; *(s = cstr_skip_space(s)) != '\0';) {
        size_t len = strcspn(s, " \t\n:");
        const char *word = cstr_lower(a, arena_strndup(a, s, len));
        const struct ssl_option *o =
            *word == '+' || *word == '-' ? TABLE_FIND(ssl_options, word + 1) : NULL;

        if (o == NULL) {
            *bad = word;
            return false;
        }
        if (*word == '+') {
            *set |= o->value;
            *clear &= ~o->value;
        } else {
            *clear |= o->value;
            *set &= ~o->value;
        }
        s += len;
        if (*s == ':')
            s++;
    }
    return true;
}

/* ---- Diffie-Hellman ---- */
struct dh_name {
    const char *name, *group; /* OpenSSL's name of the group; NULL: refused as too weak */
};

/* clang-format off */
static const struct dh_name dh_names[] = {
    { "default", "ffdhe2048" },
    { "ffdhe2048", "ffdhe2048" }, { "ffdhe3072", "ffdhe3072" }, { "ffdhe4096", "ffdhe4096" },
    { "ffdhe6144", "ffdhe6144" }, { "ffdhe8192", "ffdhe8192" },
    { "ike1", NULL }, { "ike14", "modp_2048" }, { "ike15", "modp_3072" }, { "ike16", "modp_4096" },
    { "ike17", "modp_6144" }, { "ike18", "modp_8192" }, { "ike2", NULL }, { "ike22", "dh_1024_160" },
    { "ike23", "dh_2048_224" }, { "ike24", "dh_2048_256" }, { "ike5", "modp_1536" },
};
/* clang-format on */

static EVP_PKEY *dh_group(const char *group)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, unconst(group), 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;

    if (ctx == NULL || EVP_PKEY_paramgen_init(ctx) <= 0 || EVP_PKEY_CTX_set_params(ctx, params) <= 0 ||
        EVP_PKEY_paramgen(ctx, &key) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *dh_file(const char *path)
{
    BIO *bio = BIO_new_file(path, "r");
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_Parameters(bio, NULL) : NULL;

    BIO_free(bio);
    return key;
}

static EVP_PKEY *dh_load(const char *name, struct arena *a, struct err *err)
{
    EVP_PKEY *key;

    if (*name == '/') {
        key = dh_file(name);
        if (key == NULL)
            err_set(err, a, "could not read dhparams file %s: %s", name, tls_queued_error(a));
        return key;
    }
    const struct dh_name *n = TABLE_FIND(dh_names, name);

    if (n == NULL || n->group == NULL) {
        err_set(err, a, n == NULL ? "Unknown standard DH prime \"%s\""
                                  : "DH prime \"%s\" is too small to be used", name);
        return NULL;
    }
    key = dh_group(n->group);
    if (key == NULL)
        err_set(err, a, "DH prime \"%s\": %s", name, tls_queued_error(a));
    return key;
}

bool tls_set_dh(SSL_CTX *ctx, const struct tls_params *p, struct arena *a, struct err *err)
{
    const char *name = p->dhparam != NULL && *p->dhparam != '\0' ? p->dhparam : "default";

    if (!p->server || strcmp(name, "none") == 0)
        return true;
    EVP_PKEY *key = dh_load(name, a, err);

    if (key == NULL)
        return false;
    if (p->dh_bits > 0 && EVP_PKEY_get_bits(key) > p->dh_bits) { /* Exim: then as with "none" */
        EVP_PKEY_free(key);
        return true;
    }
    if (SSL_CTX_set0_tmp_dh_pkey(ctx, key) != 1) {
        EVP_PKEY_free(key);
        ERR_clear_error(); /* below the security level: no DH rather than no TLS */
    }
    return true;
}

bool tls_set_curves(SSL_CTX *ctx, const char *curves, struct arena *a, struct err *err)
{
    if (curves == NULL || cstr_ieq(curves, "auto"))
        return true;
    if (*curves == '\0') { /* "no EC curves": only key exchanges without them remain */
        if (SSL_CTX_set1_groups_list(ctx, "ffdhe2048:ffdhe3072:ffdhe4096") == 1)
            return true;
    } else if (SSL_CTX_set1_groups_list(ctx, curves) == 1) {
        return true;
    }
    return err_set(err, a, "Unknown curve name tls_eccurve '%s'", curves);
}

/* ---- Trust anchors and revocation lists ---- */
static bool is_directory(const char *path, bool *there)
{
    struct stat st;

    *there = stat(path, &st) == 0;
    return *there && S_ISDIR(st.st_mode);
}

static bool add_crl(X509_STORE *store, const char *path, struct arena *a, struct err *err)
{
    bool there, dir = is_directory(path, &there);
    X509_LOOKUP *lookup = X509_STORE_add_lookup(store, dir ? X509_LOOKUP_hash_dir() : X509_LOOKUP_file());

    if (!there)
        return err_set(err, a, "failed to stat %s for certificate revocation lists", path);
    if (lookup == NULL || (dir ? X509_LOOKUP_add_dir(lookup, path, X509_FILETYPE_PEM)
                               : X509_load_crl_file(lookup, path, X509_FILETYPE_PEM)) < 1)
        return err_set(err, a, "(X509_load_crl_file file=%s): %s", path, tls_queued_error(a));
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    return true;
}

static bool add_ca(SSL_CTX *ctx, const struct tls_params *p, struct arena *a, struct err *err)
{
    bool there, dir = is_directory(p->ca, &there);

    if (!there)
        return err_set(err, a, "failed to stat %s for certificates", p->ca);
    if ((dir ? SSL_CTX_load_verify_dir(ctx, p->ca) : SSL_CTX_load_verify_file(ctx, p->ca)) != 1)
        return err_set(err, a, "(SSL_CTX_load_verify_locations file=%s): %s", p->ca, tls_queued_error(a));
    if (!dir && p->server) {
        STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(p->ca);

        if (names != NULL)
            SSL_CTX_set_client_CA_list(ctx, names);
    }
    return true;
}

bool tls_set_trust(SSL_CTX *ctx, const struct tls_params *p, struct arena *a, struct err *err)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);

    if (p->ca == NULL || *p->ca == '\0')
        return true;
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    if (SSL_CTX_set_default_verify_paths(ctx) != 1)
        return err_set(err, a, "(SSL_CTX_set_default_verify_paths): %s", tls_queued_error(a));
    if (strcmp(p->ca, "system") != 0 && !add_ca(ctx, p, a, err))
        return false;
    return p->crl == NULL || *p->crl == '\0' || add_crl(store, p->crl, a, err);
}

/* ---- A certificate of our own, when none is configured ---- */
static X509 *make_self_signed(EVP_PKEY *key, const char *name)
{
    X509 *x = X509_new();

    if (x == NULL || X509_set_version(x, X509_VERSION_3) != 1 ||
        ASN1_INTEGER_set(X509_get_serialNumber(x), 1) != 1 ||
        X509_gmtime_adj(X509_getm_notBefore(x), 0) == NULL ||
        X509_gmtime_adj(X509_getm_notAfter(x), SELF_SIGNED_LIFE) == NULL || X509_set_pubkey(x, key) != 1) {
        X509_free(x);
        return NULL;
    }
    X509_NAME *dn = X509_get_subject_name(x);

    if (X509_NAME_add_entry_by_txt(dn, "O", MBSTRING_ASC, (const unsigned char *)"Exim", -1, -1, 0) != 1 ||
        X509_NAME_add_entry_by_txt(dn, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0) != 1 ||
        X509_set_issuer_name(x, dn) != 1 || X509_sign(x, key, EVP_sha256()) <= 0) {
        X509_free(x);
        return NULL;
    }
    return x;
}

bool tls_self_signed(SSL_CTX *ctx, const char *name, struct arena *a, struct err *err)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = key != NULL ? make_self_signed(key, name) : NULL;
    bool ok = x != NULL && SSL_CTX_use_certificate(ctx, x) == 1 && SSL_CTX_use_PrivateKey(ctx, key) == 1;

    X509_free(x);
    EVP_PKEY_free(key);
    return ok || err_set(err, a, "(making a self-signed certificate): %s", tls_queued_error(a));
}

/* ---- ALPN ---- */
struct str tls_alpn_wire(struct arena *a, const char *list)
{
    struct list_iter it = list_begin(list, ':');
    char *wire = arena_new_array(a, char, strlen(list) + 2);
    size_t len = 0;

    for (const char *item; (item = list_next(&it, a)) != NULL;) {
        size_t n = strlen(item);

        if (n == 0 || n > 255)
            continue;
        wire[len++] = (char)n;
        memcpy(wire + len, item, n);
        len += n;
    }
    return (struct str){ wire, len };
}

/* A client that asks for another protocol has been led here by somebody (ALPACA). */
int tls_alpn_callback(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
                      unsigned inlen, void *arg)
{
    const struct str *ours = arg;
    unsigned char *chosen;

    (void)ssl;
    if (ours->len == 0)
        return SSL_TLSEXT_ERR_NOACK;
    if (SSL_select_next_proto(&chosen, outlen, (const unsigned char *)ours->p, (unsigned)ours->len, in,
                              inlen) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}
