#include "tls/tls_int.h"


#include "base/openssl.h"
#include "dns.h"

enum { USAGE_TA = 2, USAGE_EE = 3 };

size_t tls_dane_start(SSL *ssl, const struct tls_client_want *w)
{
    const char *base = w->dane_names != NULL && w->dane_names[0] != NULL ? w->dane_names[0] : w->host_name;
    size_t usable = 0;

    if (SSL_dane_enable(ssl, base) <= 0)
        return 0;
    SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS); /* RFC 7672 3.1.1 */
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    /* Next-hop domain beside the base name: RFC 7672 3.2.2. */
    for (size_t i = 1; w->dane_names != NULL && w->dane_names[0] != NULL && w->dane_names[i] != NULL; i++)
        SSL_add1_host(ssl, w->dane_names[i]);
    for (size_t i = 0; i < w->tlsa->count; i++) {
        const struct dns_record *r = &w->tlsa->records[i];

        /* PKIX-TA and PKIX-EE are not for SMTP: RFC 7672 3.1.3. */
        if (r->tlsa.usage != USAGE_TA && r->tlsa.usage != USAGE_EE)
            continue;
        if (SSL_dane_tlsa_add(ssl, r->tlsa.usage, r->tlsa.selector, r->tlsa.matching,
                              (const unsigned char *)r->tlsa.data.p, r->tlsa.data.len) > 0)
            usable++;
    }
    ERR_clear_error();
    return usable;
}
