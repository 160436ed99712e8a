#include <stdio.h>
#include <string.h>

#include "base/ctype.h"
#include "base/digest.h"
#include "proxy.h"

/* The address in the form of a family: version 1 and 2 cannot mix them. */
static void put_family(const struct ip *ip, uint8_t family, struct ip *out)
{
    *out = *ip;
    if (family == 4 || ip->family == 6)
        return;
    *out = (struct ip){ .family = 6 };
    out->bytes[10] = out->bytes[11] = 0xff;
    memcpy(out->bytes + 12, ip->bytes, 4);
}

static bool is_inet(const struct proxy_header *h)
{
    return h->kind == PROXY_KIND_INET && !h->local_command && h->client.family != 0 &&
           h->target.family != 0;
}

static uint8_t common_family(const struct proxy_header *h)
{
    return h->client.family == 4 && h->target.family == 4 ? 4 : 6;
}

/* ip_print shortens a mapped address as IPv6; here it must stay one. */
static void print_ip(const struct ip *ip, uint8_t family, char *out, size_t size)
{
    char text[IP_TEXT_MAX];

    (void)snprintf(out, size, "%s%s", family == 6 && ip->family == 4 ? "::ffff:" : "",
                   ip_print(ip, text));
}

bool proxy_encode_v1(const struct proxy_header *h, char *out, size_t size, size_t *len)
{
    char client[IP_TEXT_MAX + 8], target[IP_TEXT_MAX + 8];
    int n;

    if (!is_inet(h)) {
        n = snprintf(out, size, "PROXY UNKNOWN\r\n");
    } else {
        uint8_t family = common_family(h);

        print_ip(&h->client, family, client, sizeof(client));
        print_ip(&h->target, family, target, sizeof(target));
        n = snprintf(out, size, "PROXY TCP%d %s %s %d %d\r\n", family, client, target, h->client_port,
                     h->target_port);
    }
    *len = n < 0 ? 0 : (size_t)n;
    return n > 0 && (size_t)n < size;
}

static size_t put_addresses(const struct proxy_header *h, unsigned char *p)
{
    uint8_t family = common_family(h);
    size_t size = family == 4 ? 4 : 16;
    struct ip client, target;

    put_family(&h->client, family, &client);
    put_family(&h->target, family, &target);
    memcpy(p, client.bytes, size);
    memcpy(p + size, target.bytes, size);
    p += 2 * size;
    p[0] = (unsigned char)(h->client_port >> 8);
    p[1] = (unsigned char)h->client_port;
    p[2] = (unsigned char)(h->target_port >> 8);
    p[3] = (unsigned char)h->target_port;
    return 2 * size + 4;
}

static void put_crc(unsigned char *header, size_t used)
{
    unsigned char *tlv = header + used - 7;

    memcpy(tlv, "\x03\0\x04\0\0\0\0", 7);
    uint32_t crc = crc32c(0, header, used);
    for (int i = 0; i < 4; i++)
        tlv[3 + i] = (unsigned char)(crc >> (24 - 8 * i));
}

bool proxy_encode_v2(const struct proxy_header *h, bool with_crc, unsigned char *out, size_t size,
                     size_t *len)
{
    bool inet = is_inet(h);
    size_t block = !inet ? 0 : common_family(h) == 4 ? 12 : 36;
    size_t body = block + h->tlvs.len + (with_crc ? 7 : 0);

    *len = PROXY_V2_FIXED + body;
    if (body > 65535 || *len > size)
        return false;
    memcpy(out, "\r\n\r\n\0\r\nQUIT\n", 12);
    out[12] = h->local_command ? 0x20 : 0x21;
    out[13] = !inet ? 0 : block == 12 ? 0x11 : 0x21;
    out[14] = (unsigned char)(body >> 8);
    out[15] = (unsigned char)body;
    if (inet)
        (void)put_addresses(h, out + PROXY_V2_FIXED);
    if (h->tlvs.len > 0)
        memcpy(out + PROXY_V2_FIXED + block, h->tlvs.p, h->tlvs.len);
    if (with_crc)
        put_crc(out, *len);
    return true;
}

/* ---- what came instead ---- */

static bool starts(const unsigned char *buf, size_t len, const char *text)
{
    size_t n = strlen(text);

    if (len < n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (to_upper((char)buf[i]) != text[i])
            return false;
    return true;
}

static bool has_mixed_families(const unsigned char *buf, size_t len)
{
    bool colon = memchr(buf, ':', len) != NULL;

    return (starts(buf, len, "PROXY TCP4 ") && colon) ||
           (starts(buf, len, "PROXY TCP6 ") && (!colon || memchr(buf, '.', len) != NULL));
}

const char *proxy_hint(const unsigned char *buf, size_t len)
{
    static const char *const commands[] = { "EHLO", "HELO", "QUIT", "NOOP", "RSET", "MAIL", "STARTTLS" };

    if (len == 0)
        return "nothing came: is it a balancer that sends its header with the client's first data "
               "(AWS NLB: set header_placement to on_first_ack)?";
    if (len >= 2 && buf[0] == 0x16 && buf[1] == 0x03)
        return "a TLS hello where a header was due: is the header switched on at the balancer?";
    if (has_mixed_families(buf, len))
        return "mixed address families: nginx sends them when it listens on IPv6 and connects by IPv4";
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (starts(buf, len, commands[i]))
            return "an SMTP command where a header was due: does this host speak PROXY at all?";
    if (starts(buf, len, "GET ") || starts(buf, len, "HEAD ") || starts(buf, len, "OPTIONS "))
        return "an HTTP request where a header was due: is it an HTTP health check?";
    return NULL;
}
