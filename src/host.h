/* host.h - hosts by name and by address: lists of mail hosts, local interfaces, client names. */
#ifndef EXIM_HOST_H
#define EXIM_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "dns.h"

struct arena;
struct config;
struct exim;

enum { HOST_PORT_DEFAULT = 0, MX_NONE = -1 };
enum host_status { HOST_USABLE, HOST_UNUSABLE, HOST_UNUSABLE_EXPIRED };
enum host_why { HWHY_UNKNOWN, HWHY_RETRY, HWHY_INSECURE, HWHY_FAILED, HWHY_IGNORED, HWHY_DEFER };

struct host {
    struct host *next;
    const char *name;          /* $host: as in MX or route list, after CNAME */
    const char *certname;      /* name before CNAME: the reference for TLS names */
    const char *address;       /* text; NULL until found */
    int port;                  /* 0: transport's */
    int mx;                    /* MX preference; -1: from a route list */
    int sort_key;
    enum host_status status;
    enum host_why why;
    bool last_try;
    bool dnssec_used, dnssec_ok;
    bool mx_plus;              /* route_list "/MX" */
    const char *retry_host_key, *retry_message_key; /* see retry.h */
};

enum host_find { HOST_FOUND, HOST_FOUND_LOCAL, HOST_FIND_FAILED, HOST_FIND_AGAIN, HOST_FIND_SECURITY, HOST_IGNORED };

struct host_find_options {
    bool use_mx, use_srv, use_addresses; /* what to look for, in that order */
    const char *srv_service;
    bool qualify_single, search_parents;
    bool request_dnssec, require_dnssec;
    bool mx_must, ipv4_only, ipv4_prefer;
    bool mx_fail_is_none, srv_fail_is_none; /* a lookup that fails or times out: as "no such record" */
    /* Out, if not NULL: the local host, not the best of the list, was removed with what follows it;
     * a null MX or SRV says that there is no such service. */
    bool *self_removed, *null_record;
    bool by_name, by_dns;  /* addresses from the system's resolver only, the DNS only; neither: DNS, then system */
    /* true: this address is to be left out (ignore_target_hosts). */
    bool (*ignore)(void *arg, const char *name, const char *address);
    void *ignore_arg;
};
/* Fills h (name given) with addresses, inserting further hosts after it: for MX the whole sorted
 * list, equal preferences shuffled, hosts from the local one on removed. *fqdn: the full name. */
enum host_find host_find_mx(struct exim *e, struct arena *a, struct host *h, const struct host_find_options *o,
                            const char **fqdn, struct err *err);
enum host_find host_find_address(struct exim *e, struct arena *a, struct host *h, const struct host_find_options *o,
                                 const char **fqdn, struct err *err);
/* True for a host listed in hosts_treat_as_local, or whose address is local. */
bool host_is_self(struct exim *e, const struct host *h);
/* "h1:h2::1234 ..." as in hosts= and route lists: names or addresses, ports, "+" groups random. */
struct host *host_list_parse(struct arena *a, const char *text, bool randomize);
struct host *host_list_copy(struct arena *a, const struct host *list);
/* Links list in a random order. Exim: not one that came from MX records, since those are in random order already. */
struct host *host_list_shuffle(struct arena *a, struct host *list);

bool host_is_local(struct exim *e, const struct ip *ip);      /* an interface of ours or extra_local_interfaces */
struct ip_list { const struct ip *ips; size_t count; };
struct ip_list host_local_interfaces(struct exim *e);
/* A port by number or service name ("smtp", "lmtp", "submissions" ...); 0 when there is none. */
uint16_t host_port_parse(const char *text);

/* Name of a client by address per host_lookup_order, forward-checked. names: NULL-terminated. */
enum rc host_name_lookup(struct exim *e, struct arena *a, const char *address, const char *const **names,
                         bool *dnssec, struct err *err);
/* Addresses of a name (A and AAAA), for hosts lists and helo verification. */
enum rc host_addresses(struct exim *e, struct arena *a, const char *name, struct ip_list *out, struct err *err);

struct listen_address { struct ip ip; uint16_t port; bool tls_on_connect; };
/* local_interfaces, daemon_smtp_ports, tls_on_connect_ports and -oX combined (manual chapter 13). */
bool host_listen_addresses(struct exim *e, struct arena *a, const char *oX, struct listen_address **out,
                           size_t *count, struct err *err);

#endif
