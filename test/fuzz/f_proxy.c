/* link: base proxy proxy_out */
/* Whatever is decoded is also encoded and decoded again, to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void again(const struct proxy_header *h)
{
    static unsigned char out[PROXY_HEADER_MAX + 64];
    struct proxy_header back;
    size_t len, need;
    const char *why;

    if (!proxy_encode_v2(h, true, out, sizeof(out), &len))
        return;
    if (h->kind != PROXY_KIND_INET || h->crc_verified)
        return; /* other forms of the same; a CRC is not given twice */
    require(proxy_decode(&back, out, len, sizeof(out), &need, &why) == PROXY_OK && back.used == len);
    require(ip_eq(&h->client, &back.client) && h->target_port == back.target_port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header h;
    struct proxy_ssl ssl;
    size_t need = 0;
    const char *why = NULL;

    (void)proxy_hint(data, size);
    switch (proxy_decode(&h, data, size, PROXY_HEADER_MAX, &need, &why)) {
    case PROXY_OK:
        require(h.used <= size && h.used >= 15);
        (void)proxy_ssl_parse(h.tlvs, &ssl);
        again(&h);
        break;
    case PROXY_MORE:
        require(need > size && need <= PROXY_HEADER_MAX);
        break;
    case PROXY_BAD:
        require(why != NULL);
        break;
    }
    return 0;
}
