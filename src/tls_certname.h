/* tls_certname.h - does a certificate speak for this name? (features.txt, RFC 6125, 9525)
 *
 * Pure: looks at the bytes of the certificate's names with their lengths; no I/O, no logging.
 * Subject CN counts only when there is no DNS subjectAltName; a wildcard only as the whole first
 * component of a name of three or more components, standing for exactly one. */
#ifndef EXIM_TLS_CERTNAME_H
#define EXIM_TLS_CERTNAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct arena;
struct x509_st;

/* One presented name against one reference; both as bytes. A reference ".example.com": anything below. Exposed for unit tests and fuzzing. */
bool certname_match_dns(struct str presented, struct str reference);

struct certname_result {
    bool ok;
    const char *matched;   /* presented name that matched, in a */
    const char *reference; /* the one of names it matched; for one that begins with a dot as matched */
    bool by_wildcard, by_cn;
    const char *why;       /* static text when not ok */
};
/* names: the acceptable names, NULL-terminated (DNS names, A- or U-labels, or IP literals). */
struct certname_result certname_check(struct arena *a, struct x509_st *cert, const char *const *names);
/* The names a certificate presents, comma-separated and escaped: "a.test,b.test,+3" (max shown). */
const char *certname_presented(struct arena *a, struct x509_st *cert, size_t max);

#endif
