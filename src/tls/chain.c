#include "tls/tls_int.h"

#include <string.h>


#include "base/arena.h"
#include "base/ctype.h"
#include "base/openssl.h"

enum { REBUILDS_MAX = 8 };

static bool is_constraint_error(int error)
{
    return error == X509_V_ERR_PERMITTED_VIOLATION || error == X509_V_ERR_EXCLUDED_VIOLATION ||
           error == X509_V_ERR_SUBTREE_MINMAX || error == X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE ||
           error == X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX || error == X509_V_ERR_UNSUPPORTED_NAME_SYNTAX;
}

static void fail(struct tls_verdict *v, int depth, const char *error, X509 *cert)
{
    v->ok = false;
    v->depth = depth;
    v->error = error;
    v->dn = cert != NULL ? tls_dn(v->arena, X509_get_subject_name(cert)) : "";
}

static bool has_extension(const X509 *x, int nid)
{
    return X509_get_ext_by_NID(x, nid, -1) >= 0;
}

/* RFC 5280 4.2.1.10: "permittedSubtrees or excludedSubtrees MUST be present". */
static bool constraints_are_empty(X509 *x)
{
    NAME_CONSTRAINTS *nc = X509_get_ext_d2i(x, NID_name_constraints, NULL, NULL);
    bool empty = nc == NULL || (sk_GENERAL_SUBTREE_num(nc->permittedSubtrees) <= 0 &&
                                sk_GENERAL_SUBTREE_num(nc->excludedSubtrees) <= 0);

    NAME_CONSTRAINTS_free(nc);
    return empty;
}

static bool is_host_name(const ASN1_IA5STRING *s)
{
    const char *p = (const char *)ASN1_STRING_get0_data(s);
    size_t len = (size_t)ASN1_STRING_length(s), at = 0;

    if (len >= 2 && p[0] == '*' && p[1] == '.')
        at = 2;
    if (at == len || p[at] == '.' || p[len - 1] == '.')
        return false;
    for (; at < len; at++)
        if (!is_alnum(p[at]) && p[at] != '-' && p[at] != '_' && (p[at] != '.' || p[at - 1] == '.'))
            return false;
    return true;
}

static bool all_names_are_hosts(X509 *leaf)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    bool good = true;

    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

        if (n->type == GEN_DNS && !is_host_name(n->d.dNSName))
            good = false;
    }
    GENERAL_NAMES_free(names);
    return good;
}

static bool subject_is_absent(X509 *leaf)
{
    int at = X509_get_ext_by_NID(leaf, NID_subject_alt_name, -1);

    return X509_NAME_entry_count(X509_get_subject_name(leaf)) == 0 && at >= 0 &&
           !X509_EXTENSION_get_critical(X509_get_ext(leaf, at));
}

/* What X509_verify_cert lets pass and RFC 5280 does not. */
static bool inspect(STACK_OF(X509) *chain, struct tls_verdict *v)
{
    X509 *leaf = sk_X509_value(chain, 0);
    bool constrained = false;
    int n = sk_X509_num(chain);

    if (n > 1 && has_extension(leaf, NID_name_constraints)) {
        fail(v, 0, "name constraints in a certificate that is no CA's", leaf);
        return false;
    }
    if (subject_is_absent(leaf)) {
        fail(v, 0, "empty subject with a subjectAltName that is not critical", leaf);
        return false;
    }
    for (int i = 1; i < n; i++) {
        X509 *ca = sk_X509_value(chain, i);

        if (!has_extension(ca, NID_name_constraints))
            continue;
        constrained = true;
        if (constraints_are_empty(ca)) {
            fail(v, i, "empty name constraints", ca);
            return false;
        }
    }
    if (constrained && !all_names_are_hosts(leaf)) {
        fail(v, 0, "a DNS name that is no host name, under name constraints", leaf);
        return false;
    }
    return true;
}

static bool record_error(X509_STORE_CTX *store, struct tls_verdict *v)
{
    int error = X509_STORE_CTX_get_error(store);

    fail(v, X509_STORE_CTX_get_error_depth(store),
         error == X509_V_OK ? "verification failed" : X509_verify_cert_error_string(error),
         X509_STORE_CTX_get_current_cert(store));
    return false;
}

/* A second attempt over the same leaf, with a smaller set of intermediates. */
static bool try_without(X509_STORE_CTX *store, STACK_OF(X509) *rest, struct tls_verdict *v)
{
    X509_STORE_CTX *again = X509_STORE_CTX_new();
    bool ok = again != NULL && X509_STORE_CTX_init(again, X509_STORE_CTX_get0_store(store),
                                                   X509_STORE_CTX_get0_cert(store), rest) == 1;

    if (ok) {
        X509_VERIFY_PARAM_set1(X509_STORE_CTX_get0_param(again), X509_STORE_CTX_get0_param(store));
        X509_STORE_CTX_set_default(again, "ssl_server");
        ok = X509_verify_cert(again) == 1 && inspect(X509_STORE_CTX_get0_chain(again), v);
    }
    if (ok)
        X509_STORE_CTX_set0_verified_chain(store, X509_STORE_CTX_get1_chain(again));
    X509_STORE_CTX_free(again);
    return ok;
}

/* OpenSSL builds one chain; when an intermediate's constraints forbid it there may be another around
 * it (a cross-certificate of the same CA). Each CA of the failed chain is left out once. */
static bool rebuild(X509_STORE_CTX *store, struct tls_verdict *v)
{
    STACK_OF(X509) *failed = X509_STORE_CTX_get1_chain(store);
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(store);
    bool ok = false;

    for (int i = 1; !ok && failed != NULL && sent != NULL && i < sk_X509_num(failed) && i < REBUILDS_MAX; i++) {
        STACK_OF(X509) *rest = sk_X509_new_null();
        X509 *out = sk_X509_value(failed, i);
        bool found = false;

        for (int j = 0; rest != NULL && j < sk_X509_num(sent); j++) {
            if (X509_cmp(sk_X509_value(sent, j), out) == 0)
                found = true;
            else
                sk_X509_push(rest, sk_X509_value(sent, j));
        }
        ok = found && try_without(store, rest, v);
        sk_X509_free(rest);
    }
    sk_X509_pop_free(failed, X509_free);
    return ok;
}

bool tls_chain_verify(X509_STORE_CTX *store, struct tls_verdict *v)
{
    if (X509_verify_cert(store) == 1) {
        SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());

        v->dane = ssl != NULL && SSL_get0_dane(ssl) != NULL && SSL_get0_dane_authority(ssl, NULL, NULL) >= 0;
        /* DANE-EE matches the key alone (RFC 7672 3.1.1). */
        return v->dane || inspect(X509_STORE_CTX_get0_chain(store), v);
    }
    record_error(store, v);
    if (!is_constraint_error(X509_STORE_CTX_get_error(store)) || !rebuild(store, v))
        return false;
    v->error = NULL;
    v->dn = NULL;
    return true;
}

/* A certificate whose only name is the host. */
static X509 *stand_in(const char *host)
{
    X509 *x = X509_new();
    GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *n = GENERAL_NAME_new();
    ASN1_IA5STRING *s = ASN1_IA5STRING_new();

    if (x != NULL && names != NULL && n != NULL && s != NULL && ASN1_STRING_set(s, host, -1) == 1) {
        GENERAL_NAME_set0_value(n, GEN_DNS, s);
        s = NULL;
        if (sk_GENERAL_NAME_push(names, n) > 0)
            n = NULL;
        if (n == NULL && X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1) {
            GENERAL_NAMES_free(names);
            /* NAME_CONSTRAINTS_check sees only names that were cached, and this is what caches them. */
            (void)X509_check_purpose(x, -1, 0);
            ERR_clear_error();
            return x;
        }
    }
    ASN1_IA5STRING_free(s);
    GENERAL_NAME_free(n);
    GENERAL_NAMES_free(names);
    X509_free(x);
    return NULL;
}

bool tls_chain_permits(STACK_OF(X509) *chain, const char *host)
{
    X509 *x = stand_in(host);
    bool ok = x != NULL;

    for (int i = 1; ok && i < sk_X509_num(chain); i++) {
        NAME_CONSTRAINTS *nc = X509_get_ext_d2i(sk_X509_value(chain, i), NID_name_constraints, NULL, NULL);

        ok = nc == NULL || NAME_CONSTRAINTS_check(x, nc) == X509_V_OK;
        NAME_CONSTRAINTS_free(nc);
    }
    X509_free(x);
    return ok;
}
