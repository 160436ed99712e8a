#include "proxy.h"

#include <stdio.h>
#include <string.h>

#include "base/ctype.h"
#include "base/digest.h"
#include "proxy_int.h"

static const char signature[12] = "\r\n\r\n\0\r\nQUIT\n"; /* without the literal's NUL */

/* clang-format off */
static const char *const reasons[PROXY_REASON_COUNT] = {
    [PROXY_REASON_SILENT] = "no header came in time",
    [PROXY_REASON_INCOMPLETE] = "incomplete header when the time was up",
    [PROXY_REASON_CLOSED] = "connection closed before a header came",
    [PROXY_REASON_CLOSED_WITHIN] = "connection closed within the header",
    [PROXY_REASON_LOST] = "connection lost during the header",
    [PROXY_REASON_NO_HEADER] = "no PROXY header",
    [PROXY_REASON_RESOURCES] = "out of resources",
    [PROXY_REASON_BARE_LF] = "bare LF in version 1 header",
    [PROXY_REASON_BARE_CR] = "bare CR in version 1 header",
    [PROXY_REASON_V1_LONG] = "version 1 header longer than 107 bytes",
    [PROXY_REASON_V1_MALFORMED] = "malformed version 1 header",
    [PROXY_REASON_V1_PROTOCOL] = "unknown protocol in version 1 header",
    [PROXY_REASON_V1_ADDRESS] = "malformed address in version 1 header",
    [PROXY_REASON_V1_MIXED] = "mixed address families in version 1 header",
    [PROXY_REASON_V1_FAMILY] = "addresses not of the family named in version 1 header",
    [PROXY_REASON_V1_PORT] = "malformed port in version 1 header",
    [PROXY_REASON_V2_VERSION] = "unknown version in version 2 header",
    [PROXY_REASON_V2_COMMAND] = "unknown command in version 2 header",
    [PROXY_REASON_V2_FAMILY] = "unknown address family or transport in version 2 header",
    [PROXY_REASON_V2_SHORT] = "address block too short in version 2 header",
    [PROXY_REASON_V2_LONG] = "version 2 header longer than proxy_protocol_max_header",
    [PROXY_REASON_TLV] = "malformed TLV in version 2 header",
    [PROXY_REASON_CRC_MALFORMED] = "malformed CRC in version 2 header",
    [PROXY_REASON_CRC_WRONG] = "wrong CRC in version 2 header",
    [PROXY_REASON_UNIQUE_ID] = "unique id longer than 128 bytes in version 2 header",
    [PROXY_REASON_TLS] = "malformed TLS statement in version 2 header",
};
/* clang-format on */

const char *proxy_reason_text(enum proxy_reason r)
{
    return reasons[r];
}

enum proxy_reason proxy_reason_of(const char *text)
{
    for (unsigned i = 0; i < PROXY_REASON_COUNT; i++)
        if (strcmp(reasons[i], text) == 0)
            return (enum proxy_reason)i;
    return PROXY_REASON_NO_HEADER;
}

static enum proxy_rc bad(const char **why, enum proxy_reason reason)
{
    *why = reasons[reason];
    return PROXY_BAD;
}

static bool is_prefix(const unsigned char *buf, size_t len, const void *whole, size_t size)
{
    return memcmp(buf, whole, len < size ? len : size) == 0;
}

/* ---- version 1 ---- */

enum { V1_SHORTEST = sizeof("PROXY UNKNOWN\r\n") - 1, V1_FIELDS = 6 };

/* Splits at single spaces; false: not exactly n fields, or an empty one. */
static bool split(struct str line, struct str *fields, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *space = line.len == 0 ? NULL : memchr(line.p, ' ', line.len);
        size_t len = space == NULL ? line.len : (size_t)(space - line.p);

        if (len == 0 || (space == NULL) != (i == n - 1))
            return false;
        fields[i] = (struct str){ line.p, len };
        if (space != NULL)
            line = (struct str){ space + 1, line.len - len - 1 };
    }
    return true;
}

static bool v1_address(struct str text, struct ip *out)
{
    char copy[IP_TEXT_MAX];

    if (text.len >= sizeof(copy) || memchr(text.p, '\0', text.len) != NULL)
        return false;
    memcpy(copy, text.p, text.len);
    copy[text.len] = '\0';
    return ip_parse(copy, out);
}

static bool v1_port(struct str text, uint16_t *out)
{
    unsigned port = 0;

    if (text.len > 5 || (text.p[0] == '0' && text.len > 1))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_digit(text.p[i]))
            return false;
        port = port * 10 + (unsigned)(text.p[i] - '0');
    }
    *out = (uint16_t)port;
    return port <= 65535;
}

static enum proxy_rc v1_line(struct proxy_header *h, struct str line, const char **why)
{
    struct str f[V1_FIELDS];

    if (line.len >= 13 && memcmp(line.p, "PROXY UNKNOWN", 13) == 0 &&
        (line.len == 13 || line.p[13] == ' ')) {
        h->kind = PROXY_KIND_LOCAL;
        return PROXY_OK;
    }
    if (!split(line, f, V1_FIELDS))
        return bad(why, PROXY_REASON_V1_MALFORMED);
    bool four = str_eq(f[1], STR("TCP4"));
    if (!four && !str_eq(f[1], STR("TCP6")))
        return bad(why, PROXY_REASON_V1_PROTOCOL);
    if (!v1_address(f[2], &h->client) || !v1_address(f[3], &h->target))
        return bad(why, PROXY_REASON_V1_ADDRESS);
    if (h->client.family != h->target.family)
        return bad(why, PROXY_REASON_V1_MIXED);
    if (h->client.family != (four ? 4 : 6))
        return bad(why, PROXY_REASON_V1_FAMILY);
    if (!v1_port(f[4], &h->client_port) || !v1_port(f[5], &h->target_port))
        return bad(why, PROXY_REASON_V1_PORT);
    h->client = ip_unmap(h->client);
    h->target = ip_unmap(h->target);
    return PROXY_OK;
}

/* The least that must still come: what is missing of CRLF, of the fields and the spaces between. */
static size_t v1_missing(const char *p, size_t len)
{
    size_t spaces = 0, least = 2;

    if (len < V1_SHORTEST)
        return V1_SHORTEST - len;
    if (p[len - 1] == '\r')
        return 1;
    for (size_t i = 0; i < len; i++)
        spaces += p[i] == ' ';
    if (p[6] == 'T' && spaces < V1_FIELDS - 1)
        least += 2 * (V1_FIELDS - 1 - spaces);
    return least;
}

static enum proxy_rc v1_decode(struct proxy_header *out, const char *p, size_t len, size_t *need,
                               const char **why)
{
    struct proxy_header h = { .version = 1 };
    size_t seen = len < PROXY_V1_MAX ? len : PROXY_V1_MAX;
    const char *cr = memchr(p, '\r', seen), *lf = memchr(p, '\n', seen);

    if (lf != NULL && (cr == NULL || lf < cr))
        return bad(why, PROXY_REASON_BARE_LF);
    if (cr != NULL && lf != NULL && lf != cr + 1)
        return bad(why, PROXY_REASON_BARE_CR);
    if (cr != NULL && lf == NULL && cr != p + seen - 1)
        return bad(why, PROXY_REASON_BARE_CR);
    if (lf == NULL) {
        if (len >= PROXY_V1_MAX)
            return bad(why, PROXY_REASON_V1_LONG);
        *need = len + v1_missing(p, len);
        if (*need > PROXY_V1_MAX)
            *need = PROXY_V1_MAX;
        return PROXY_MORE;
    }
    h.used = (size_t)(lf - p) + 1;
    enum proxy_rc rc = v1_line(&h, (struct str){ p, (size_t)(cr - p) }, why);
    if (rc == PROXY_OK)
        *out = h;
    return rc;
}

/* ---- version 2 ---- */

enum { CMD_LOCAL = 0, CMD_PROXY = 1 };
enum { BLOCK_INET = 12, BLOCK_INET6 = 36, BLOCK_UNIX = 216, CRC_SIZE = 4, UNIQUE_ID_MAX = 128 };

/* One TLV off the front; false at the end (*ok) or at a malformed one. */
static bool next_tlv(struct str *tlvs, uint8_t *type, struct str *value, bool *ok)
{
    *ok = tlvs->len == 0;
    if (tlvs->len < 3)
        return false;
    size_t n = (size_t)(unsigned char)tlvs->p[1] << 8 | (unsigned char)tlvs->p[2];
    if (n > tlvs->len - 3)
        return false;
    *type = (uint8_t)tlvs->p[0];
    *value = (struct str){ tlvs->p + 3, n };
    *tlvs = (struct str){ tlvs->p + 3 + n, tlvs->len - 3 - n };
    return true;
}

static bool tlvs_well_formed(struct str tlvs)
{
    uint8_t type;
    struct str value;
    bool ok;

    while (next_tlv(&tlvs, &type, &value, &ok))
        ;
    return ok;
}

/* The checksum is that of the whole header with its own field zero. */
static bool crc_matches(const char *header, size_t used, struct str field)
{
    static const char zero[CRC_SIZE];
    size_t at = (size_t)(field.p - header);
    uint32_t crc = crc32c(0, header, at), said = 0;

    crc = crc32c(crc, zero, sizeof(zero));
    crc = crc32c(crc, field.p + CRC_SIZE, used - at - CRC_SIZE);
    for (int i = 0; i < CRC_SIZE; i++)
        said = said << 8 | (unsigned char)field.p[i];
    return crc == said;
}

static enum proxy_rc check_tlv(struct proxy_header *h, const char *p, uint8_t type, struct str value,
                               const char **why)
{
    struct proxy_ssl ssl;

    switch (type) {
    case PP_CRC32C:
        if (value.len != CRC_SIZE || h->crc_verified)
            return bad(why, PROXY_REASON_CRC_MALFORMED);
        if (!crc_matches(p, h->used, value))
            return bad(why, PROXY_REASON_CRC_WRONG);
        h->crc_verified = true;
        break;
    case PP_UNIQUE_ID:
        if (value.len > UNIQUE_ID_MAX)
            return bad(why, PROXY_REASON_UNIQUE_ID);
        break;
    case PP_SSL:
        if (!proxy_ssl_value(value, &ssl))
            return bad(why, PROXY_REASON_TLS);
        break;
    default:
        break;
    }
    return PROXY_OK;
}

static enum proxy_rc check_tlvs(struct proxy_header *h, const char *p, const char **why)
{
    struct str rest = h->tlvs, value;
    uint8_t type;
    bool ok;

    while (next_tlv(&rest, &type, &value, &ok)) {
        enum proxy_rc rc = check_tlv(h, p, type, value, why);

        if (rc != PROXY_OK)
            return rc;
    }
    return ok ? PROXY_OK : bad(why, PROXY_REASON_TLV);
}

static void set_addresses(struct proxy_header *h, const unsigned char *block, uint8_t family, size_t size)
{
    const unsigned char *ports = block + 2 * size;

    h->client.family = h->target.family = family;
    memcpy(h->client.bytes, block, size);
    memcpy(h->target.bytes, block + size, size);
    h->client_port = (uint16_t)(ports[0] << 8 | ports[1]);
    h->target_port = (uint16_t)(ports[2] << 8 | ports[3]);
    h->client = ip_unmap(h->client);
    h->target = ip_unmap(h->target);
}

/* Bytes of the address block; -1: not a family or transport there is. */
static int block_size(unsigned char byte)
{
    static const int sizes[] = { 0, BLOCK_INET, BLOCK_INET6, BLOCK_UNIX };

    return byte >> 4 > 3 || (byte & 15) > 2 ? -1 : sizes[byte >> 4];
}

static enum proxy_rc v2_body(struct proxy_header *h, const unsigned char *buf, const char **why)
{
    int block = block_size(buf[13]);
    size_t body = h->used - PROXY_V2_FIXED;

    h->kind = PROXY_KIND_LOCAL;
    if (h->local_command)
        return PROXY_OK; /* whatever it holds: AWS puts TLVs where the addresses would be */
    if (block < 0)
        return bad(why, PROXY_REASON_V2_FAMILY);
    if (body < (size_t)block)
        return bad(why, PROXY_REASON_V2_SHORT);
    h->tlvs = (struct str){ (const char *)buf + PROXY_V2_FIXED + block, body - (size_t)block };
    if (block == 0 && !tlvs_well_formed(h->tlvs))
        h->tlvs.len = 0; /* UNSPEC: the receiver ignores what it does not understand */
    if (buf[13] == 0x11 || buf[13] == 0x21) {
        h->kind = PROXY_KIND_INET;
        set_addresses(h, buf + PROXY_V2_FIXED, buf[13] == 0x11 ? 4 : 6, buf[13] == 0x11 ? 4 : 16);
    }
    return check_tlvs(h, (const char *)buf, why);
}

static enum proxy_rc v2_decode(struct proxy_header *out, struct str in, size_t max, size_t *need,
                               const char **why)
{
    struct proxy_header h = { .version = 2 };
    const unsigned char *buf = (const unsigned char *)in.p;
    size_t len = in.len;

    if (len > 12 && buf[12] >> 4 != 2)
        return bad(why, PROXY_REASON_V2_VERSION);
    if (len > 12 && (buf[12] & 15) > CMD_PROXY)
        return bad(why, PROXY_REASON_V2_COMMAND);
    *need = PROXY_V2_FIXED;
    if (len < PROXY_V2_FIXED)
        return PROXY_MORE;
    h.local_command = (buf[12] & 15) == CMD_LOCAL;
    h.used = *need = PROXY_V2_FIXED + ((size_t)buf[14] << 8 | buf[15]);
    if (h.used > max)
        return bad(why, PROXY_REASON_V2_LONG);
    if (len < h.used)
        return PROXY_MORE;
    enum proxy_rc rc = v2_body(&h, buf, why);
    if (rc == PROXY_OK)
        *out = h;
    return rc;
}

enum proxy_rc proxy_decode(struct proxy_header *out, const unsigned char *buf, size_t len, size_t max,
                           size_t *need, const char **why)
{
    *need = V1_SHORTEST; /* the shorter of the shortest headers */
    if (len == 0)
        return PROXY_MORE;
    if (is_prefix(buf, len, signature, sizeof(signature)))
        return v2_decode(out, (struct str){ (const char *)buf, len }, max, need, why);
    if (is_prefix(buf, len, "PROXY ", 6))
        return v1_decode(out, (const char *)buf, len, need, why);
    return bad(why, PROXY_REASON_NO_HEADER);
}

static size_t v1_extent(const unsigned char *buf, size_t len, bool *complete)
{
    size_t seen = len < PROXY_V1_MAX ? len : PROXY_V1_MAX;
    const unsigned char *lf = memchr(buf, '\n', seen);

    *complete = lf != NULL || len >= PROXY_V1_MAX;
    return lf != NULL ? (size_t)(lf - buf) + 1 : seen;
}

size_t proxy_extent(const unsigned char *buf, size_t len, bool *complete)
{
    *complete = false;
    if (is_prefix(buf, len, signature, sizeof(signature))) {
        size_t whole = len < PROXY_V2_FIXED ? PROXY_V2_FIXED
                                            : PROXY_V2_FIXED + ((size_t)buf[14] << 8 | buf[15]);

        *complete = len >= whole;
        return *complete ? whole : len;
    }
    if (is_prefix(buf, len, "PROXY ", 6))
        return v1_extent(buf, len, complete);
    *complete = true;
    return 0;
}

/* ---- TLVs ---- */

bool proxy_tlv_find(struct str tlvs, uint8_t type, struct str *value)
{
    uint8_t t;
    struct str v;
    bool ok;

    while (next_tlv(&tlvs, &t, &v, &ok))
        if (t == type) {
            *value = v;
            return true;
        }
    return false;
}

bool proxy_ssl_value(struct str value, struct proxy_ssl *out)
{
    const unsigned char *p = (const unsigned char *)value.p;

    if (value.len < 5)
        return false;
    *out = (struct proxy_ssl){
        .client = p[0],
        .verify = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4],
        .tlvs = { value.p + 5, value.len - 5 },
    };
    return tlvs_well_formed(out->tlvs);
}

bool proxy_ssl_parse(struct str tlvs, struct proxy_ssl *out)
{
    struct str value;

    return proxy_tlv_find(tlvs, PP_SSL, &value) && proxy_ssl_value(value, out);
}

bool proxy_ssl_verified(const struct proxy_ssl *ssl)
{
    return (ssl->client & (PROXY_SSL_CERT_CONNECTION | PROXY_SSL_CERT_SESSION)) != 0 && ssl->verify == 0;
}
