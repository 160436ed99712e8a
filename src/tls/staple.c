#include "tls/tls_int.h"

#include <string.h>


#include "base/arena.h"
#include "base/list.h"
#include "base/openssl.h"
#include "base/str.h"

enum { STAPLES_MAX = 8 };

struct staple {
    unsigned char *der;
    int len;
    OCSP_BASICRESP *basic;
};
struct tls_staples {
    struct staple list[STAPLES_MAX];
    size_t count;
};

static void free_staples(void *arg)
{
    struct tls_staples *s = arg;

    for (size_t i = 0; i < s->count; i++) {
        OPENSSL_free(s->list[i].der);
        OCSP_BASICRESP_free(s->list[i].basic);
    }
}

static OCSP_RESPONSE *read_response(const char *path, bool pem)
{
    BIO *bio = BIO_new_file(path, "rb");
    OCSP_RESPONSE *r = NULL;

    if (bio == NULL)
        return NULL;
    r = pem ? PEM_ASN1_read_bio((d2i_of_void *)d2i_OCSP_RESPONSE, PEM_STRING_X509 /* any */, bio, NULL,
                                NULL, NULL)
            : d2i_OCSP_RESPONSE_bio(bio, NULL);
    if (pem && r == NULL) { /* labelled "OCSP RESPONSE" */
        (void)BIO_reset(bio);
        r = PEM_ASN1_read_bio((d2i_of_void *)d2i_OCSP_RESPONSE, "OCSP RESPONSE", bio, NULL, NULL, NULL);
    }
    BIO_free(bio);
    return r;
}

static bool add(struct tls_staples *s, const char *path, bool pem, struct arena *a, struct err *err)
{
    OCSP_RESPONSE *r = read_response(path, pem);

    if (r == NULL)
        return err_set(err, a, "failed to read OCSP response from %s: %s", path, tls_queued_error(a));
    struct staple *st = &s->list[s->count];

    st->basic = OCSP_response_status(r) == OCSP_RESPONSE_STATUS_SUCCESSFUL ? OCSP_response_get1_basic(r) : NULL;
    st->len = st->basic != NULL ? i2d_OCSP_RESPONSE(r, &st->der) : 0;
    OCSP_RESPONSE_free(r);
    s->count++; /* an unsuccessful one keeps its place in the list, and is not sent */
    return true;
}

struct tls_staples *tls_staples_read(struct arena *a, const char *list, struct err *err)
{
    struct tls_staples *s = arena_new_obj(a, struct tls_staples);
    struct list_iter it = list_begin(list, ':');
    bool pem = false;

    arena_on_destroy(a, free_staples, s);
    for (const char *item; (item = list_next(&it, a)) != NULL && s->count < STAPLES_MAX;) {
        if (cstr_starts(item, "PEM ") || cstr_starts(item, "DER ")) {
            pem = *item == 'P';
            item = cstr_skip_space(item + 4);
        }
        if (!add(s, item, pem, a, err))
            return NULL;
    }
    return s;
}

/* Does the response speak of this serial number, and is it still good? */
static bool covers(const struct staple *s, X509 *cert)
{
    if (s->basic == NULL || s->len <= 0)
        return false;
    for (int i = 0; i < OCSP_resp_count(s->basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(s->basic, i);
        ASN1_GENERALIZEDTIME *this_update, *next_update;
        ASN1_INTEGER *serial;

        OCSP_single_get0_status(single, NULL, NULL, &this_update, &next_update);
        OCSP_id_get0_info(NULL, NULL, NULL, &serial, unconst(OCSP_SINGLERESP_get0_id(single)));
        if (serial != NULL && ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(cert)) == 0)
            return next_update != NULL && OCSP_check_validity(this_update, next_update, 300, -1) == 1;
    }
    return false;
}

int tls_staples_callback(SSL *ssl, void *arg)
{
    const struct tls_staples *s = arg;
    X509 *cert = SSL_get_certificate(ssl);

    for (size_t i = 0; cert != NULL && i < s->count; i++) {
        if (!covers(&s->list[i], cert))
            continue;
        unsigned char *copy = OPENSSL_memdup(s->list[i].der, (size_t)s->list[i].len); /* SSL frees it */

        if (copy == NULL)
            break;
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, s->list[i].len);
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}
