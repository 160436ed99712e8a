/* link: base dns dns_cache dns_packet dns_parse regex */
/* The first byte chooses the type asked, the rest is the packet. */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const int types[] = { DNS_T_A, DNS_T_NS, DNS_T_CNAME, DNS_T_SOA, DNS_T_PTR, DNS_T_MX,
                             DNS_T_TXT, DNS_T_AAAA, DNS_T_SRV, DNS_T_TLSA, DNS_T_SPF };

/* Everything that an answer says must be there to be read. */
static size_t touch(const struct dns_answer *ans)
{
    size_t sum = strlen(ans->canonical);

    for (size_t i = 0; i < ans->count; i++) {
        const struct dns_record *r = &ans->records[i];

        sum += strlen(r->owner) + (r->name != NULL ? strlen(r->name) : 0);
        for (size_t j = 0; j < r->rdata.len; j++)
            sum += (unsigned char)r->rdata.p[j];
        for (size_t j = 0; j < r->text.len; j++)
            sum += (unsigned char)r->text.p[j];
        for (size_t j = 0; r->type == DNS_T_TLSA && j < r->tlsa.data.len; j++)
            sum += (unsigned char)r->tlsa.data.p[j];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    struct dns_answer ans;
    if (size > 0 && dns_parse(a, data + 1, size - 1, types[data[0] % ARRAY_LEN(types)], &ans) &&
        touch(&ans) == SIZE_MAX)
        __builtin_trap();
    arena_destroy(&a);
    return 0;
}
