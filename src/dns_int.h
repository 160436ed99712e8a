/* dns_int.h - the insides of dns.c: walking a packet, the cache. */
#ifndef EXIM_DNS_INT_H
#define EXIM_DNS_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct arena;

enum { DNS_NAME_MAX = 1025 /* presentation form, with escapes */, DNS_PACKET_MAX = 65535 };
enum dns_section { DNS_ANSWER = 1, DNS_AUTHORITY = 2 };

struct dns_packet {
    const unsigned char *start, *end, *at;
    unsigned rcode;
    bool aa, ad, tc, response;
    unsigned left[4]; /* records not read yet, by section; [0]: questions */
    char qname[DNS_NAME_MAX];
};
struct dns_rr {
    char owner[DNS_NAME_MAX]; /* lower case, no final dot; "" for the root */
    uint16_t type, class;
    uint32_t ttl;
    const unsigned char *rdata;
    size_t rdlen;
};

/* Reads the header and the questions. False when malformed. */
bool dns_packet_open(struct dns_packet *p, const unsigned char *bytes, size_t len);
/* The next record of a section (ask them in order): 1, 0 at its end, -1 when malformed. */
int dns_packet_next(struct dns_packet *p, enum dns_section section, struct dns_rr *rr);
/* A name inside rdata. Bytes it takes there, or 0 when it does not fit before end. */
size_t dns_packet_name(const struct dns_packet *p, const unsigned char *at, const unsigned char *end,
                       char out[DNS_NAME_MAX]);

/* Answers of this process, as packets, until their TTL is over; emptied when it grows too big. */
struct dns_cache;
struct dns_cache *dns_cache_new(struct arena *a);
/* The packet (empty: a lookup that failed, not to be repeated yet); false when not there. */
bool dns_cache_get(struct dns_cache *c, const char *key, struct str *packet);
void dns_cache_put(struct dns_cache *c, const char *key, struct str packet, uint32_t ttl);

#endif
