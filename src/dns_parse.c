#include "dns.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "dns_int.h"

enum { CNAME_LINKS_MAX = 16, RECORDS_MAX = 4096, TEXT_PARTS_MAX = 256, CLASS_IN = 1 };

struct reader {
    struct arena *arena;
    struct dns_packet packet;
    int type;
    struct dns_answer *out;
    size_t cap;
};

static bool read_name(struct reader *r, const struct dns_rr *rr, size_t skip, struct dns_record *rec)
{
    char name[DNS_NAME_MAX];

    if (rr->rdlen <= skip ||
        dns_packet_name(&r->packet, rr->rdata + skip, rr->rdata + rr->rdlen, name) == 0)
        return false;
    rec->name = arena_strdup(r->arena, name);
    return true;
}

static uint16_t get16(const unsigned char *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static bool read_address(const struct dns_rr *rr, struct dns_record *rec)
{
    size_t size = rr->type == DNS_T_A ? 4 : 16;

    if (rr->rdlen != size)
        return false;
    rec->ip.family = size == 4 ? 4 : 6;
    memcpy(rec->ip.bytes, rr->rdata, size);
    return true;
}

static bool read_srv(struct reader *r, const struct dns_rr *rr, struct dns_record *rec)
{
    if (rr->rdlen < 7)
        return false;
    rec->priority = get16(rr->rdata);
    rec->weight = get16(rr->rdata + 2);
    rec->port = get16(rr->rdata + 4);
    return read_name(r, rr, 6, rec);
}

static bool read_soa(struct reader *r, const struct dns_rr *rr, struct dns_record *rec)
{
    char name[DNS_NAME_MAX];
    const unsigned char *end = rr->rdata + rr->rdlen;
    size_t first = dns_packet_name(&r->packet, rr->rdata, end, name);

    if (first == 0 || first >= rr->rdlen)
        return false;
    rec->name = arena_strdup(r->arena, name);
    size_t second = dns_packet_name(&r->packet, rr->rdata + first, end, name);

    if (second == 0 || rr->rdlen - first - second < 20)
        return false;
    rec->text = str_from(arena_strdup(r->arena, name));
    const unsigned char *p = rr->rdata + first + second;
    for (size_t i = 0; i < 5; i++, p += 4)
        rec->soa[i] = (uint32_t)get16(p) << 16 | get16(p + 2);
    return true;
}

static bool read_text(struct reader *r, const struct dns_rr *rr, struct dns_record *rec)
{
    struct str *parts = arena_new_array(r->arena, struct str, TEXT_PARTS_MAX);
    struct buf all = buf_init(r->arena, DNS_PACKET_MAX);

    for (size_t at = 0; at < rr->rdlen;) {
        size_t len = rr->rdata[at];

        if (len > rr->rdlen - at - 1 || rec->text_part_count == TEXT_PARTS_MAX)
            return false;
        const char *p = arena_strndup(r->arena, (const char *)rr->rdata + at + 1, len);
        parts[rec->text_part_count++] = (struct str){ p, len };
        buf_add(&all, p, len);
        at += len + 1;
    }
    rec->text_parts = parts;
    (void)buf_cstr(&all);
    rec->text = buf_view(&all);
    return true;
}

static bool read_tlsa(struct dns_record *rec, const struct dns_rr *rr)
{
    if (rr->rdlen < 4)
        return false;
    rec->tlsa.usage = rr->rdata[0];
    rec->tlsa.selector = rr->rdata[1];
    rec->tlsa.matching = rr->rdata[2];
    rec->tlsa.data = (struct str){ rec->rdata.p + 3, rec->rdata.len - 3 };
    return true;
}

static bool read_rdata(struct reader *r, const struct dns_rr *rr, struct dns_record *rec)
{
    switch (rr->type) {
    case DNS_T_A:
    case DNS_T_AAAA:
        return read_address(rr, rec);
    case DNS_T_NS:
    case DNS_T_CNAME:
    case DNS_T_PTR:
        return read_name(r, rr, 0, rec);
    case DNS_T_MX:
        if (rr->rdlen < 3)
            return false;
        rec->priority = get16(rr->rdata);
        return read_name(r, rr, 2, rec);
    case DNS_T_SRV:
        return read_srv(r, rr, rec);
    case DNS_T_SOA:
        return read_soa(r, rr, rec);
    case DNS_T_TXT:
    case DNS_T_SPF:
        return read_text(r, rr, rec);
    case DNS_T_TLSA:
        return read_tlsa(rec, rr);
    default:
        return true;
    }
}

static bool add_record(struct reader *r, const struct dns_rr *rr)
{
    struct dns_answer *out = r->out;

    if (out->count == RECORDS_MAX)
        return false;
    if (out->count == r->cap) {
        size_t cap = r->cap == 0 ? 8 : r->cap * 2;

        out->records = arena_realloc(r->arena, out->records, r->cap * sizeof(*out->records),
                                     cap * sizeof(*out->records));
        r->cap = cap;
    }
    struct dns_record *rec = &out->records[out->count];

    *rec = (struct dns_record){ .type = rr->type, .ttl = rr->ttl };
    rec->owner = arena_strdup(r->arena, rr->owner);
    rec->rdata.p = arena_strndup(r->arena, (const char *)rr->rdata, rr->rdlen);
    rec->rdata.len = rr->rdlen;
    if (!read_rdata(r, rr, rec))
        return false;
    if (rr->ttl < out->ttl)
        out->ttl = rr->ttl;
    out->count++;
    return true;
}

/* One pass over the answers: those of the type asked that belong to canonical, or, when there are
 * none, the CNAME that leads on from it. 1 records, 0 nothing, 2 moved on, -1 malformed. */
static int scan(struct reader *r)
{
    struct dns_packet p = r->packet;
    struct dns_rr rr;
    struct dns_record link = { 0 };
    int more;

    while ((more = dns_packet_next(&p, DNS_ANSWER, &rr)) > 0) {
        if (rr.class != CLASS_IN || strcmp(rr.owner, r->out->canonical) != 0)
            continue;
        if (rr.type == r->type) {
            if (!add_record(r, &rr))
                return -1;
        } else if (rr.type == DNS_T_CNAME && link.name == NULL) {
            if (!read_name(r, &rr, 0, &link))
                return -1;
            link.ttl = rr.ttl;
        }
    }
    if (more < 0)
        return -1;
    if (r->out->count > 0)
        return 1;
    if (link.name == NULL)
        return 0;
    r->out->canonical = link.name;
    if (link.ttl < r->out->ttl)
        r->out->ttl = link.ttl;
    return 2;
}

/* Who speaks (for dns_trust_aa), and how long a negative answer may be kept (RFC 2308). */
static bool read_authority(struct reader *r)
{
    struct dns_packet p = r->packet;
    struct dns_rr rr;
    int more;

    while ((more = dns_packet_next(&p, DNS_AUTHORITY, &rr)) > 0) {
        if (rr.class != CLASS_IN || (rr.type != DNS_T_NS && rr.type != DNS_T_SOA))
            continue;
        if (r->out->authority == NULL)
            r->out->authority = arena_strdup(r->arena, rr.owner);
        struct dns_record soa = { 0 };

        if (rr.type == DNS_T_SOA && r->out->count == 0 && read_soa(r, &rr, &soa)) {
            uint32_t keep = rr.ttl < soa.soa[4] ? rr.ttl : soa.soa[4];

            if (keep < r->out->ttl)
                r->out->ttl = keep;
        }
    }
    return more == 0;
}

bool dns_parse(struct arena *a, const unsigned char *packet, size_t len, int type, struct dns_answer *out)
{
    struct reader r = { .arena = a, .type = type, .out = out };
    int links = 0, found;

    *out = (struct dns_answer){ .ttl = UINT32_MAX };
    if (!dns_packet_open(&r.packet, packet, len))
        return false;
    out->canonical = arena_strdup(a, r.packet.qname);
    out->ad = r.packet.ad;
    out->aa = r.packet.aa;
    while ((found = scan(&r)) == 2)
        if (type == DNS_T_CNAME || ++links > CNAME_LINKS_MAX)
            return false;
    if (found < 0 || !read_authority(&r))
        return false;
    if (out->ttl == UINT32_MAX)
        out->ttl = 0;
    return true;
}
