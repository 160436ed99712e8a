/* link: base tls_certname */
/* Our matcher beside OpenSSL's, on a certificate with one DNS name. Input: reference, newline, the name.
 * We may refuse what OpenSSL accepts for reasons that are named here; never the other way round. */
#include <stdint.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "tls_certname.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NAME_MAX_LEN = 300 };

static X509 *certificate(struct str name)
{
    X509 *x = X509_new();
    GENERAL_NAMES *list = sk_GENERAL_NAME_new_null();
    GENERAL_NAME *n = GENERAL_NAME_new();
    ASN1_IA5STRING *s = ASN1_IA5STRING_new();

    ASN1_STRING_set(s, name.p, (int)name.len);
    GENERAL_NAME_set0_value(n, GEN_DNS, s);
    sk_GENERAL_NAME_push(list, n);
    X509_add1_ext_i2d(x, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT);
    sk_GENERAL_NAME_pop_free(list, GENERAL_NAME_free);
    return x;
}

static bool is_clean(const char *p, size_t len)
{
    bool good = len > 0 && p[0] != '.' && p[len - 1] != '.';

    for (size_t i = 0; i < len; i++)
        good = good && (is_alnum(p[i]) || p[i] == '-' || p[i] == '_' || (p[i] == '.' && p[i - 1] != '.'));
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nl = memchr(data, '\n', size);

    if (nl == NULL || size > NAME_MAX_LEN)
        return 0;
    struct arena *a = arena_new("fuzz");
    const char *reference = arena_strndup(a, (const char *)data, (size_t)(nl - data));
    struct str name = { (const char *)nl + 1, size - (size_t)(nl - data) - 1 };
    const char *const wanted[] = { reference, NULL };
    size_t len = strlen(reference);

    if (len != (size_t)(nl - data)) { /* a NUL in the reference cannot happen */
        arena_destroy(&a);
        return 0;
    }
    X509 *x = certificate(name);
    struct certname_result ours = certname_check(a, x, wanted);
    unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    /* OpenSSL takes the reference as it is: the one final dot that we drop is dropped for it. */
    size_t their_len = len > 1 && reference[len - 1] == '.' ? len - 1 : len;
    bool theirs = their_len > 0 && X509_check_host(x, reference, their_len, flags, NULL) == 1;

    ERR_clear_error();
    if (ours.ok && !theirs) {
        bool ascii = true;

        for (const char *s = reference; *s != '\0'; s++)
            ascii = ascii && (unsigned char)*s < 0x80;
        /* U-labels: we convert the reference, OpenSSL wants that of its caller. */
        if (ascii)
            __builtin_trap();
    }
    /* What OpenSSL accepts and we do not: references that are addresses (DNS text never matches those), names
     * with bytes that no host name has, and under references that begin with a dot wildcards of two components. */
    if (theirs && !ours.ok && is_clean(reference, their_len) && (is_clean(name.p, name.len) ||
        (name.len > 2 && name.p[0] == '*' && name.p[1] == '.' && is_clean(name.p + 2, name.len - 2)))) {
        ASN1_OCTET_STRING *ip = a2i_IPADDRESS(reference);

        if (ip == NULL)
            __builtin_trap();
        ASN1_OCTET_STRING_free(ip);
    }
    X509_free(x);
    arena_destroy(&a);
    return 0;
}
