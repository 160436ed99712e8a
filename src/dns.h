/* dns.h - DNS queries through glibc's resolver library, answers as values.
 *
 * Honours dns_retrans, dns_retry, dns_use_edns0, dns_again_means_nonexist, dns_check_names_pattern
 * and dns_dnssec_ok of the configuration. Answers are cached in the process for their TTL (bounded). The
 * AD bit counts only from a resolver on loopback. For tests and sites without DNS the
 * environment-independent resolv.conf of the host is used, with `EXIM_RESOLV_SERVER=ip:port` read
 * by main only when not privileged. Every answer is checked before use. */
#ifndef EXIM_DNS_H
#define EXIM_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ip.h"
#include "base/str.h"

struct arena;
struct config;
struct exim;
struct resolver;

enum dns_rc { DNS_SUCCEED, DNS_NODATA, DNS_NOMATCH, DNS_AGAIN, DNS_FAIL };
enum { DNS_T_A = 1, DNS_T_NS = 2, DNS_T_CNAME = 5, DNS_T_SOA = 6, DNS_T_PTR = 12, DNS_T_MX = 15,
       DNS_T_TXT = 16, DNS_T_AAAA = 28, DNS_T_SRV = 33, DNS_T_TLSA = 52, DNS_T_SPF = 99 };

struct dns_record {
    const char *owner;
    uint16_t type;
    uint32_t ttl;
    struct str rdata;      /* raw, names not expanded */
    struct ip ip;          /* A, AAAA */
    const char *name;      /* CNAME, NS, PTR, MX, SRV target, SOA mname: lower case, no final dot */
    uint16_t priority, weight, port; /* MX, SRV */
    struct str text;       /* SOA: mailbox name; TXT, SPF: strings joined; each string in text_parts for dnsdb */
    const struct str *text_parts;
    size_t text_part_count;
    struct { uint8_t usage, selector, matching; struct str data; } tlsa;
    uint32_t soa[5];
};

struct dns_answer {
    struct dns_record *records; /* those of the type asked, in answer order */
    size_t count;
    const char *canonical;      /* end of the CNAME chain (owner of the records) */
    bool ad;                    /* authenticated data from a trusted resolver */
    bool aa;
    const char *authority;      /* owner of the first NS (or SOA) of the authority section; or NULL */
    uint32_t ttl;               /* smallest of the records used; of the SOA when there are none */
    struct err err;             /* for DNS_AGAIN and DNS_FAIL */
};

struct resolver *dns_open(struct arena *a, const struct config *cfg, const char *server);
/* Reads resolv.conf, which is else done for the first query: for what forks. */
void dns_prepare(struct resolver *r);
/* Gives the resolver what domain lists need (dns_again_means_nonexist, dns_trust_aa); until then they
 * match nothing. */
void dns_attach(struct resolver *r, struct exim *e);
/* As dns_query, for a name that may be relative: a single label gets the default domain
 * (qualify_single), others the search list (search_parents), when found there. *full: the name found. */
struct dns_search_request {
    const char *name;
    int type;
    bool qualify_single, search_parents, want_dnssec;
};
enum dns_rc dns_search(struct resolver *r, struct arena *a, const struct dns_search_request *rq,
                       struct dns_answer *out, const char **full);
bool dns_is_overridden(const struct resolver *r); /* a test server is in use */
/* Looks up name (absolute), following CNAMEs; the answer lives in a. */
enum dns_rc dns_query(struct resolver *r, struct arena *a, const char *name, int type,
                      bool want_dnssec, struct dns_answer *out);
/* Exchanges the time-out (seconds) and the number of tries with those given: for dnsdb's modifiers. */
void dns_swap_patience(struct resolver *r, int *retrans, int *retry);
/* Parses one packet; what the fuzzer drives. False when malformed. */
bool dns_parse(struct arena *a, const unsigned char *packet, size_t len, int type, struct dns_answer *out);
const char *dns_reverse_name(struct arena *a, const struct ip *ip); /* in-addr.arpa, ip6.arpa */

#endif
