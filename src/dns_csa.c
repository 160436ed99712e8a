#include "dns_csa.h"

#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "config/config.h"
#include "dns.h"
#include "exim.h"
#include "host.h"

/* Of the draft, in the fields of the SRV record: priority is the version, weight the
 * answer, bit 0 of the port claims all domains below. */
enum {
    CSA_VERSION = 1,
    WEIGHT_NO = 1,
    WEIGHT_YES = 2,
    PORT_EXPLICIT = 1,
    LABEL_PARTS_MIN = 2
};

/* An address or address literal is looked for in the reverse zones. */
static const char *query_domain(struct exim *e, struct arena *a, const char *domain)
{
    size_t len = strlen(domain);
    struct ip ip;

    if (len > 2 && domain[0] == '[' && domain[len - 1] == ']')
        domain = arena_strndup(a, domain + 1, len - 2);
    if (cstr_istarts(domain, "ipv6:"))
        domain += 5;
    if (e->config->main.dns_csa_use_reverse && ip_parse(domain, &ip))
        return dns_reverse_name(a, &ip);
    return domain;
}

static const struct dns_record *usable(const struct dns_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++)
        if (answer->records[i].priority == CSA_VERSION)
            return &answer->records[i];
    return NULL;
}

/* NULL: none at this name. */
static const struct dns_record *ask(struct exim *e, struct arena *a, const char *domain,
                                    bool *deferred)
{
    struct dns_answer answer = { 0 };
    const char *name = arena_printf(a, "_client._smtp.%s", domain);

    switch (dns_query(e->resolver, a, name, DNS_T_SRV, false, &answer)) {
    case DNS_SUCCEED:
        return usable(&answer);
    case DNS_AGAIN:
        *deferred = true;
        return NULL;
    default:
        return NULL;
    }
}

static int labels(const char *domain)
{
    int n = *domain != '\0';

    for (; *domain != '\0'; domain++)
        n += *domain == '.' && domain[1] != '\0';
    return n;
}

bool dns_csa_find(struct exim *e, struct arena *a, const char *domain,
                  struct dns_csa_record *out, bool *deferred)
{
    long limit = e->config->main.dns_csa_search_limit;

    *deferred = false;
    domain = query_domain(e, a, domain);
    const struct dns_record *srv = ask(e, a, domain, deferred);
    if (srv != NULL) {
        *out = (struct dns_csa_record){ .code = srv->weight == WEIGHT_YES  ? 'Y'
                                                : srv->weight == WEIGHT_NO ? 'N'
                                                                           : '?',
                                        .target = srv->name };
        return true;
    }
    /* Not in a top-level domain. */
    for (long i = 0;
         !*deferred && srv == NULL && i < limit && labels(domain) > LABEL_PARTS_MIN;
         i++) {
        domain = strchr(domain, '.') + 1;
        srv = ask(e, a, domain, deferred);
    }
    if (srv == NULL)
        return false;
    *out = (struct dns_csa_record){ .code = (srv->port & PORT_EXPLICIT) != 0 ? 'X' : '?',
                                    .target = srv->name };
    return true;
}

enum dns_csa dns_csa_verify(struct exim *e, struct arena *a, const char *domain,
                            const char *address)
{
    struct dns_csa_record record;
    struct ip_list ips = { 0 };
    struct err err = { 0 };
    struct ip client;
    bool deferred;

    if (!dns_csa_find(e, a, domain, &record, &deferred))
        return deferred ? CSA_DEFER_SRV : CSA_UNKNOWN;
    if (record.code != 'Y')
        return record.code == 'N'   ? CSA_FAIL_EXPLICIT
               : record.code == 'X' ? CSA_FAIL_DOMAIN
                                    : CSA_UNKNOWN;
    enum rc rc = host_addresses(e, a, record.target, &ips, &err);
    if (rc == RC_DEFER)
        return CSA_DEFER_ADDR;
    if (rc != RC_OK || ips.count == 0 || !ip_parse(address, &client))
        return CSA_FAIL_NOADDR;
    client = ip_unmap(client);
    bool same_family = false;
    for (size_t i = 0; i < ips.count; i++) {
        same_family |= ips.ips[i].family == client.family;
        if (ip_eq(&ips.ips[i], &client))
            return CSA_OK;
    }
    return same_family ? CSA_FAIL_MISMATCH : CSA_FAIL_NOADDR;
}
