/* host_int.h - shared insides of the host_*.c files. */
#ifndef EXIM_HOST_INT_H
#define EXIM_HOST_INT_H

#include "host.h"

struct match_list;

enum { HOST_ADDRESSES_MAX = 256 };

/* Addresses of a name by getaddrinfo (/etc/hosts first on usual systems), at most
 * HOST_ADDRESSES_MAX; *canonical: the official name. RC_OK, RC_FAIL, RC_DEFER. */
enum rc host_system_addresses(struct exim *e, struct arena *a, const char *name, struct ip_list *out,
                              const char **canonical, struct err *err);
/* The same in the DNS: AAAA (unless disabled) and A. */
struct host_dns_request {
    const char *name;
    bool qualify_single, search_parents, want_dnssec, ipv4_only;
};
struct host_dns_addresses {
    struct ip_list ips;
    const char *full, *canonical; /* name found; after CNAMEs */
    bool ad;
};
enum rc host_dns_addresses(struct exim *e, struct arena *a, const struct host_dns_request *rq,
                           struct host_dns_addresses *out, struct err *err);
/* Fisher and Yates on n elements of that size (at most 512 bytes). */
void host_shuffle(void *base, size_t n, size_t size);
bool host_domain_listed(struct exim *e, const struct match_list *l, const char *domain);

#endif
