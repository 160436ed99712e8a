#include "tls/tls_int.h"
#include "base/openssl.h"


enum { CLOCK_SKEW = 300, MAX_AGE = -1 };

/* The status of the leaf in a response whose signature holds. */
static enum tls_ocsp status_of(OCSP_BASICRESP *basic, STACK_OF(X509) *chain, const char **why)
{
    X509 *leaf = sk_X509_value(chain, 0);
    X509 *issuer = sk_X509_value(chain, sk_X509_num(chain) > 1 ? 1 : 0);
    bool found = false;

    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        ASN1_GENERALIZEDTIME *this_update, *next_update;
        ASN1_OBJECT *algorithm;
        OCSP_CERTID *theirs = unconst(OCSP_SINGLERESP_get0_id(single));

        OCSP_id_get0_info(NULL, &algorithm, NULL, NULL, theirs);
        const EVP_MD *md = EVP_get_digestbyobj(algorithm);
        OCSP_CERTID *ours = md != NULL ? OCSP_cert_to_id(md, leaf, issuer) : NULL;
        bool same = ours != NULL && OCSP_id_cmp(ours, theirs) == 0;

        OCSP_CERTID_free(ours);
        if (!same)
            continue;
        found = true;
        int status = OCSP_single_get0_status(single, NULL, NULL, &this_update, &next_update);

        if (OCSP_check_validity(this_update, next_update, CLOCK_SKEW, MAX_AGE) != 1) {
            *why = "OCSP dates invalid";
            return TLS_OCSP_FAILED;
        }
        if (status == V_OCSP_CERTSTATUS_REVOKED) {
            *why = "Server certificate revoked";
            return TLS_OCSP_FAILED;
        }
        if (status != V_OCSP_CERTSTATUS_GOOD) {
            *why = "Server certificate status unknown";
            return TLS_OCSP_FAILED;
        }
    }
    if (!found)
        *why = "OCSP response is for another certificate";
    return found ? TLS_OCSP_VERIFIED : TLS_OCSP_FAILED;
}

static enum tls_ocsp check_basic(SSL *ssl, OCSP_BASICRESP *basic, STACK_OF(X509) *chain, const char **why)
{
    X509_STORE *store = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));

    if (OCSP_basic_verify(basic, chain, store, 0) != 1) {
        ERR_clear_error();
        *why = "Received TLS cert status response, itself unverifiable";
        return TLS_OCSP_FAILED;
    }
    return status_of(basic, chain, why);
}

enum tls_ocsp tls_ocsp_check(SSL *ssl, STACK_OF(X509) *chain, const char **why)
{
    const unsigned char *der;
    long len = SSL_get_tlsext_status_ocsp_resp(ssl, &der);

    *why = "Required TLS certificate status not received";
    if (len <= 0 || der == NULL)
        return TLS_OCSP_NO_RESPONSE;
    if (chain == NULL || sk_X509_num(chain) == 0) {
        *why = "TLS certificate status not verified: the certificate is not";
        return TLS_OCSP_NOT_VERIFIED;
    }
    OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &der, len);
    OCSP_BASICRESP *basic = NULL;
    enum tls_ocsp result = TLS_OCSP_FAILED;

    if (r == NULL)
        *why = "TLS certificate status response parse error";
    else if (OCSP_response_status(r) != OCSP_RESPONSE_STATUS_SUCCESSFUL ||
             (basic = OCSP_response_get1_basic(r)) == NULL)
        *why = "TLS certificate status response is not a successful one";
    else
        result = check_basic(ssl, basic, chain, why);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(r);
    ERR_clear_error();
    return result;
}
