/* proxy.h - decode a PROXY protocol header, version 1 or 2.
 *
 * Pure: no I/O, no allocation, no logging, no state. Source: proxy-protocol.txt of HAProxy,
 * sections 2.1 to 2.2.7. The caller reads exactly the bytes it is told to read: nothing past the header. */
#ifndef EXIM_PROXY_H
#define EXIM_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/ip.h"
#include "base/str.h"

enum { PROXY_V1_MAX = 107, PROXY_V2_FIXED = 16, PROXY_HEADER_MAX = 16 + 65535 };

enum proxy_rc { PROXY_OK, PROXY_MORE, PROXY_BAD };
enum proxy_kind {
    PROXY_KIND_INET,    /* client and target are set */
    PROXY_KIND_LOCAL,   /* v2 LOCAL, v1 UNKNOWN, UNSPEC, UNIX, UDP: the real end points count */
};

struct proxy_header {
    int version;               /* 1 or 2 */
    bool local_command;        /* v2 LOCAL */
    enum proxy_kind kind;
    struct ip client, target;  /* v4-mapped normalised */
    uint16_t client_port, target_port;
    struct str tlvs;           /* checked TLV vector of v2, view into the input; empty for LOCAL */
    bool crc_verified;
    size_t used;               /* bytes of the header */
};

/* Why a negotiation failed; what is counted. Those of no decoder come first. */
enum proxy_reason {
    PROXY_REASON_SILENT,
    PROXY_REASON_INCOMPLETE,
    PROXY_REASON_CLOSED,
    PROXY_REASON_CLOSED_WITHIN,
    PROXY_REASON_LOST,
    PROXY_REASON_NO_HEADER,
    PROXY_REASON_RESOURCES,
    PROXY_REASON_BARE_LF,
    PROXY_REASON_BARE_CR,
    PROXY_REASON_V1_LONG,
    PROXY_REASON_V1_MALFORMED,
    PROXY_REASON_V1_PROTOCOL,
    PROXY_REASON_V1_ADDRESS,
    PROXY_REASON_V1_MIXED,
    PROXY_REASON_V1_FAMILY,
    PROXY_REASON_V1_PORT,
    PROXY_REASON_V2_VERSION,
    PROXY_REASON_V2_COMMAND,
    PROXY_REASON_V2_FAMILY,
    PROXY_REASON_V2_SHORT,
    PROXY_REASON_V2_LONG,
    PROXY_REASON_TLV,
    PROXY_REASON_CRC_MALFORMED,
    PROXY_REASON_CRC_WRONG,
    PROXY_REASON_UNIQUE_ID,
    PROXY_REASON_TLS,
    PROXY_REASON_COUNT
};
const char *proxy_reason_text(enum proxy_reason r); /* static */
enum proxy_reason proxy_reason_of(const char *text);

/* PROXY_MORE: a proper prefix; *need is how many bytes in all may be asked for safely (never past
 * the header's end as far as is known). PROXY_BAD: *why is static text. *out is written on PROXY_OK only.
 * max: longest v2 header accepted (option proxy_protocol_max_header). */
MUST_USE enum proxy_rc proxy_decode(struct proxy_header *out, const unsigned char *buf, size_t len,
                                    size_t max, size_t *need, const char **why);

/* How many of these bytes belong to a header that is refused or not finished: they are dropped, the rest is
 * the client's. *complete: all of it is here. 0 and complete: no header at all. */
size_t proxy_extent(const unsigned char *buf, size_t len, bool *complete);

enum proxy_tlv {
    PP_ALPN = 0x01, PP_AUTHORITY = 0x02, PP_CRC32C = 0x03, PP_NOOP = 0x04, PP_UNIQUE_ID = 0x05,
    PP_SSL = 0x20, PP_SSL_VERSION = 0x21, PP_SSL_CN = 0x22, PP_SSL_CIPHER = 0x23, PP_SSL_SIG_ALG = 0x24,
    PP_SSL_KEY_ALG = 0x25, PP_SSL_GROUP = 0x26, PP_SSL_SIG_SCHEME = 0x27, PP_SSL_CLIENT_CERT = 0x28,
    PP_NETNS = 0x30,
};
/* First TLV of that type; false when absent. Sub-TLVs of PP_SSL: proxy_ssl. */
bool proxy_tlv_find(struct str tlvs, uint8_t type, struct str *value);
enum { PROXY_SSL_TLS = 1, PROXY_SSL_CERT_CONNECTION = 2, PROXY_SSL_CERT_SESSION = 4 };
struct proxy_ssl {
    uint8_t client;   /* bits PROXY_SSL_... */
    uint32_t verify;  /* 0: verified */
    struct str tlvs;
};
bool proxy_ssl_parse(struct str tlvs, struct proxy_ssl *out);
/* The client showed a certificate, and the balancer found it good. */
bool proxy_ssl_verified(const struct proxy_ssl *ssl);

/* Encodes a header for the sending side. False when it does not fit in size. */
MUST_USE bool proxy_encode_v1(const struct proxy_header *h, char *out, size_t size, size_t *len);
MUST_USE bool proxy_encode_v2(const struct proxy_header *h, bool with_crc, unsigned char *out,
                              size_t size, size_t *len);

/* A likely cause for the log when something else than a header came: "a TLS hello ..." or NULL. */
const char *proxy_hint(const unsigned char *buf, size_t len);

/* Result of the negotiation as it is handed from the acceptor to the session. */
struct proxy_state {
    bool ok;
    bool late; /* the header came after all, and was logged */
    const char *failure;       /* $proxy_failure: static or arena text; NULL when ok */
    struct proxy_header header; /* when ok; header.tlvs in the session's arena */
    struct str first_bytes;    /* what came instead, for +proxy_fail; at most 64 bytes */
};

#endif
