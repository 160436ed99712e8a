#include "dns_int.h"

#include <string.h>

#include <arpa/nameser.h>
#include <resolv.h>

#include "base/ctype.h"

static unsigned get16(const unsigned char *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static uint32_t get32(const unsigned char *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

/* Lower case without the final dot, in place. */
static void normalise(char *name)
{
    size_t len = strlen(name);

    if (len > 0 && name[len - 1] == '.' && (len < 2 || name[len - 2] != '\\'))
        name[len - 1] = '\0';
    for (char *s = name; *s != '\0'; s++)
        *s = to_lower(*s);
}

size_t dns_packet_name(const struct dns_packet *p, const unsigned char *at, const unsigned char *end,
                       char out[DNS_NAME_MAX])
{
    int used = ns_name_uncompress(p->start, p->end, at, out, DNS_NAME_MAX);

    if (used <= 0 || used > end - at)
        return 0;
    normalise(out);
    return (size_t)used;
}

bool dns_packet_open(struct dns_packet *p, const unsigned char *bytes, size_t len)
{
    if (len < NS_HFIXEDSZ || len > DNS_PACKET_MAX)
        return false;
    *p = (struct dns_packet){
        .start = bytes,
        .end = bytes + len,
        .at = bytes + NS_HFIXEDSZ,
        .rcode = bytes[3] & 0x0f,
        .response = (bytes[2] & 0x80) != 0,
        .aa = (bytes[2] & 0x04) != 0,
        .tc = (bytes[2] & 0x02) != 0,
        .ad = (bytes[3] & 0x20) != 0,
    };
    for (int i = 0; i < 4; i++)
        p->left[i] = get16(bytes + 4 + 2 * i);
    for (; p->left[0] > 0; p->left[0]--) {
        size_t used = dns_packet_name(p, p->at, p->end, p->qname);

        if (used == 0 || (size_t)(p->end - p->at) < used + NS_QFIXEDSZ)
            return false;
        p->at += used + NS_QFIXEDSZ;
    }
    return true;
}

static bool read_rr(struct dns_packet *p, struct dns_rr *rr)
{
    size_t used = dns_packet_name(p, p->at, p->end, rr->owner);

    if (used == 0 || (size_t)(p->end - p->at) < used + NS_RRFIXEDSZ)
        return false;
    p->at += used;
    rr->type = (uint16_t)get16(p->at);
    rr->class = (uint16_t)get16(p->at + 2);
    rr->ttl = get32(p->at + 4);
    if (rr->ttl > INT32_MAX) /* RFC 2181 section 8 */
        rr->ttl = 0;
    rr->rdlen = get16(p->at + 8);
    p->at += NS_RRFIXEDSZ;
    if ((size_t)(p->end - p->at) < rr->rdlen)
        return false;
    rr->rdata = p->at;
    p->at += rr->rdlen;
    return true;
}

int dns_packet_next(struct dns_packet *p, enum dns_section section, struct dns_rr *rr)
{
    for (unsigned s = DNS_ANSWER; s < section; s++)
        for (; p->left[s] > 0; p->left[s]--)
            if (!read_rr(p, rr))
                return -1;
    if (p->left[section] == 0)
        return 0;
    p->left[section]--;
    return read_rr(p, rr) ? 1 : -1;
}
