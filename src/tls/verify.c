#include "tls/tls_int.h"


#include "base/arena.h"
#include "base/openssl.h"

/* Where the verdict hangs on an SSL. OpenSSL hands out the index once a process. */
static int verdict_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    return index;
}

void tls_verdict_attach(SSL *ssl, struct tls_verdict *v)
{
    SSL_set_ex_data(ssl, verdict_index(), v);
}

struct tls_verdict *tls_verdict_of(SSL *ssl)
{
    return SSL_get_ex_data(ssl, verdict_index());
}

static void free_chain(void *arg)
{
    sk_X509_pop_free(arg, X509_free);
}

int tls_verify_record(X509_STORE_CTX *store, void *arg)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_verdict *v = ssl != NULL ? tls_verdict_of(ssl) : NULL;

    (void)arg;
    if (v == NULL || v->checked) /* nothing to be judged */
        return 1;
    v->checked = true;
    v->ok = tls_chain_verify(store, v);
    if (v->ok) {
        v->chain = X509_STORE_CTX_get1_chain(store);
        if (v->chain != NULL)
            arena_on_destroy(v->arena, free_chain, v->chain);
        X509_STORE_CTX_set_error(store, X509_V_OK);
    }
    ERR_clear_error();
    return 1; /* the handshake goes on, so that there is all to log; judged after it */
}
