/* ip.h - IP addresses and networks as values. Pure. */
#ifndef EXIM_IP_H
#define EXIM_IP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/attr.h"

struct arena;

struct ip {
    uint8_t family;    /* 0 = none, 4 or 6 */
    uint8_t bytes[16]; /* network order; 4 or 16 used */
};

enum { IP_TEXT_MAX = 46 };
/* Strict: four decimal octets without leading zeros, or RFC 4291 text. No scope id, no mask. */
bool ip_parse(const char *s, struct ip *out) MUST_USE;
/* "a.b.c.d/n" or a bare address (full mask). False also when n is out of range. */
bool ip_parse_net(const char *s, struct ip *net, unsigned *bits) MUST_USE;
/* Canonical text: lower case, shortest form (RFC 5952). */
char *ip_print(const struct ip *ip, char out[IP_TEXT_MAX]);
bool ip_eq(const struct ip *a, const struct ip *b);
bool ip_in_net(const struct ip *ip, const struct ip *net, unsigned bits);
void ip_mask(struct ip *ip, unsigned bits);
bool ip_is_loopback(const struct ip *ip);
struct ip ip_unmap(struct ip ip); /* ::ffff:a.b.c.d becomes a.b.c.d */
/* Address (v4-mapped normalised) and port of a socket address; family 0 if neither v4 nor v6. */
struct ip ip_from_sockaddr(const struct sockaddr *sa, uint16_t *port);
socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *out);

#endif
