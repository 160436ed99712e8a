/* PROXY headers to the next server: whose mail this is (proxy-protocol.txt of HAProxy).
 */
#include "transports/smtp_proxy.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "exim.h"
#include "message.h"
#include "proxy.h"
#include "transports/smtp_int.h"

enum { HEADER_MAX = 4096, TLV_MAX = 255, UNIQUE_ID_MAX = 128 };

bool smtp_proxy_read(struct smtp_attempt *at)
{
    bool first, second;

    if (!smtp_policy_in(at, "hosts_send_proxy_v1", at->t->hosts_send_proxy_v1, &first) ||
        !smtp_policy_in(at, "hosts_send_proxy", at->t->hosts_send_proxy, &second))
        return false;
    at->send_proxy = first ? 1 : second ? 2 : 0;
    return true;
}

/* A callout, a probe or a message that was made here is our own affair: LOCAL. */
static const struct message *relayed(const struct smtp_attempt *at)
{
    const struct message *m = at->ctx.message;

    return at->callout || at->probe || m == NULL || m->sender_host_address == NULL ? NULL
                                                                                   : m;
}

static void fill_ends(const struct message *m, struct proxy_header *h)
{
    h->local_command = m == NULL || !ip_parse(m->sender_host_address, &h->client);
    h->kind = h->local_command ? PROXY_KIND_LOCAL : PROXY_KIND_INET;
    if (h->local_command)
        return;
    h->client_port = (uint16_t)m->sender_host_port;
    if (m->interface_address != NULL && ip_parse(m->interface_address, &h->target))
        h->target_port = (uint16_t)m->interface_port;
    else
        h->target = (struct ip){ .family = h->client.family }; /* not known: all zero */
}

static void put_tlv(struct buf *b, uint8_t type, const char *value, size_t max)
{
    size_t n = value == NULL ? 0 : strlen(value);

    if (n == 0 || n > max)
        return;
    buf_add_char(b, (char)type);
    buf_add_char(b, (char)(n >> 8));
    buf_add_char(b, (char)n);
    buf_add(b, value, n);
}

/* Of "/O=x/CN=y" the y. */
static const char *common_name(const char *dn)
{
    const char *cn = NULL;

    for (const char *p = dn; p != NULL && (p = strstr(p, "/CN=")) != NULL;)
        cn = p += 4;
    return cn;
}

static void put_tls(struct smtp_attempt *at, const struct message *m, struct buf *b)
{
    const char *version = m->tls_in_cipher,
               *colon = version == NULL ? NULL : strchr(version, ':');
    struct buf ssl = buf_init(at->arena, HEADER_MAX);
    bool verified = m->tls_in_certificate_verified;

    if (colon == NULL)
        return;
    buf_add_char(&ssl,
                 (char)(PROXY_SSL_TLS |
                        (m->tls_in_peerdn != NULL ? PROXY_SSL_CERT_CONNECTION : 0)));
    buf_add(&ssl, verified ? "\0\0\0\0" : "\0\0\0\1", 4);
    put_tlv(&ssl, PP_SSL_VERSION,
            arena_strndup(at->arena, version, (size_t)(colon - version)), TLV_MAX);
    put_tlv(&ssl, PP_SSL_CIPHER,
            arena_strndup(at->arena, colon + 1, strcspn(colon + 1, ":")), TLV_MAX);
    if (verified)
        put_tlv(&ssl, PP_SSL_CN, common_name(m->tls_in_peerdn), TLV_MAX);
    buf_add_char(b, PP_SSL);
    buf_add_char(b, (char)(ssl.len >> 8));
    buf_add_char(b, (char)ssl.len);
    buf_add(b, ssl.p, ssl.len);
}

static struct str tlvs(struct smtp_attempt *at, const struct message *m, bool with_id)
{
    struct buf b = buf_init(at->arena, HEADER_MAX);

    if (m == NULL)
        return (struct str){ "", 0 };
    put_tlv(&b, PP_AUTHORITY, m->tls_in_sni, TLV_MAX);
    if (with_id)
        put_tlv(&b, PP_UNIQUE_ID, m->id, UNIQUE_ID_MAX);
    put_tls(at, m, &b);
    return buf_view(&b);
}

static struct str encode(struct smtp_attempt *at, bool with_id)
{
    const struct message *m = relayed(at);
    char *out = arena_alloc(at->arena, HEADER_MAX, 1);
    struct proxy_header h = { .version = at->send_proxy };
    size_t len = 0;

    fill_ends(m, &h);
    if (at->send_proxy == 2)
        h.tlvs = tlvs(at, m, with_id);
    bool fits = at->send_proxy == 1
                    ? proxy_encode_v1(&h, out, HEADER_MAX, &len)
                    : proxy_encode_v2(&h, true, (unsigned char *)out, HEADER_MAX, &len);

    return fits ? (struct str){ out, len } : (struct str){ "", 0 };
}

struct str smtp_proxy_key(struct smtp_attempt *at)
{
    return at->send_proxy == 0 ? (struct str){ "", 0 } : encode(at, false);
}

bool smtp_proxy_send(struct smtp_attempt *at)
{
    struct client *c = &at->conn->client;

    if (at->send_proxy == 0)
        return true;
    struct str header = encode(at, true);

    if (header.len == 0)
        return smtp_fault_set(at, SMTP_SCOPE_LOCAL, RC_DEFER, 0,
                              "the PROXY header is too long");
    buf_add_str(&c->out, header);
    if (client_flush(c, smtp_open_deadline(at)))
        return true;
    return smtp_fault_set(at, SMTP_SCOPE_HOST, RC_DEFER, c->sys_errno,
                          "the PROXY header could not be sent");
}
