/* dns_csa.h - Client SMTP Authorization (draft-ietf-marid-csv-csa): may this host send mail?
 *
 * Looks for SRV records at _client._smtp.<domain>, then at parent domains that may demand explicit
 * authorization of all below them. Addresses of authorized clients come with the verdict. */
#ifndef EXIM_DNS_CSA_H
#define EXIM_DNS_CSA_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/ip.h"

struct arena;
struct exim;

enum dns_csa {
    CSA_UNKNOWN, CSA_OK, CSA_DEFER_SRV, CSA_DEFER_ADDR,
    CSA_FAIL_EXPLICIT, /* said so for the domain itself */
    CSA_FAIL_DOMAIN,   /* a parent wants it said, nothing is said */
    CSA_FAIL_NOADDR, CSA_FAIL_MISMATCH,
};

/* The record that decided: 'Y', 'N', 'X' or '?', and the target of "Y". */
struct dns_csa_record { char code; const char *target; };
/* False when nothing was found; *deferred when DNS had trouble. */
bool dns_csa_find(struct exim *e, struct arena *a, const char *domain, struct dns_csa_record *out,
                  bool *deferred) MUST_USE;
/* Is address (of the client) authorized by domain, which may itself be an address (literal)? */
enum dns_csa dns_csa_verify(struct exim *e, struct arena *a, const char *domain, const char *address);

#endif
