#include "base/ip.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/ctype.h"
#include "base/format.h"

bool ip_parse(const char *s, struct ip *out)
{
    struct ip ip = { .family = strchr(s, ':') == NULL ? 4 : 6 };

    if (inet_pton(ip.family == 4 ? AF_INET : AF_INET6, s, ip.bytes) != 1)
        return false;
    *out = ip;
    return true;
}

static unsigned width(const struct ip *ip)
{
    return ip->family == 4 ? 32 : ip->family == 6 ? 128 : 0;
}

/* One to three digits, nothing else. */
static bool parse_bits(const char *s, unsigned max, unsigned *bits)
{
    unsigned v = 0, n = 0;

    for (; is_digit(s[n]) && n < 3; n++)
        v = v * 10 + (unsigned)(s[n] - '0');
    if (n == 0 || s[n] != '\0' || v > max)
        return false;
    *bits = v;
    return true;
}

bool ip_parse_net(const char *s, struct ip *net, unsigned *bits)
{
    const char *slash = strchr(s, '/');
    char text[IP_TEXT_MAX];
    struct ip ip;

    if (slash == NULL) {
        if (!ip_parse(s, net))
            return false;
        *bits = width(net);
        return true;
    }
    size_t len = (size_t)(slash - s);
    if (len >= sizeof(text))
        return false;
    memcpy(text, s, len);
    text[len] = '\0';
    if (!ip_parse(text, &ip) || !parse_bits(slash + 1, width(&ip), bits))
        return false;
    *net = ip;
    return true;
}

char *ip_print(const struct ip *ip, char out[IP_TEXT_MAX])
{
    const unsigned char *b = ip->bytes;

    out[0] = '\0';
    if (ip->family == 4)
        (void)format(out, IP_TEXT_MAX, "%d.%d.%d.%d", b[0], b[1], b[2], b[3]);
    else if (ip->family == 6)
        (void)inet_ntop(AF_INET6, b, out, IP_TEXT_MAX);
    return out;
}

bool ip_eq(const struct ip *a, const struct ip *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, width(a) / 8) == 0;
}

bool ip_in_net(const struct ip *ip, const struct ip *net, unsigned bits)
{
    if (ip->family != net->family || bits > width(ip))
        return false;
    size_t whole = bits / 8;
    unsigned rest = bits % 8;
    if (memcmp(ip->bytes, net->bytes, whole) != 0)
        return false;
    return rest == 0 || ((ip->bytes[whole] ^ net->bytes[whole]) >> (8 - rest)) == 0;
}

void ip_mask(struct ip *ip, unsigned bits)
{
    for (unsigned i = 0; i < width(ip) / 8; i++) {
        unsigned keep = bits >= 8 ? 8 : bits;

        ip->bytes[i] &= (uint8_t)(0xff00U >> keep);
        bits -= keep;
    }
}

bool ip_is_loopback(const struct ip *ip)
{
    static const uint8_t one[16] = { [15] = 1 };
    struct ip plain = ip_unmap(*ip);

    return plain.family == 4 ? plain.bytes[0] == 127
                             : plain.family == 6 && memcmp(plain.bytes, one, 16) == 0;
}

struct ip ip_unmap(struct ip ip)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

    if (ip.family != 6 || memcmp(ip.bytes, mapped, sizeof(mapped)) != 0)
        return ip;
    struct ip v4 = { .family = 4 };
    memcpy(v4.bytes, ip.bytes + sizeof(mapped), 4);
    return v4;
}

struct ip ip_from_sockaddr(const struct sockaddr *sa, uint16_t *port)
{
    struct ip ip = { 0 };

    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, sa, sizeof(in));
        ip.family = 4;
        memcpy(ip.bytes, &in.sin_addr, 4);
        *port = ntohs(in.sin_port);
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sa, sizeof(in6));
        ip.family = 6;
        memcpy(ip.bytes, &in6.sin6_addr, 16);
        *port = ntohs(in6.sin6_port);
    } else {
        *port = 0;
    }
    return ip_unmap(ip);
}

socklen_t ip_to_sockaddr(const struct ip *ip, uint16_t port, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (ip->family == 4) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };

        memcpy(&in.sin_addr, ip->bytes, 4);
        memcpy(out, &in, sizeof(in));
        return sizeof(in);
    }
    if (ip->family == 6) {
        struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

        memcpy(&in6.sin6_addr, ip->bytes, 16);
        memcpy(out, &in6, sizeof(in6));
        return sizeof(in6);
    }
    return 0;
}
