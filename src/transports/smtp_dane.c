#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "dns.h"
#include "exim.h"
#include "host.h"
#include "transports/smtp_int.h"

enum { USAGE_TA = 2, USAGE_EE = 3 };

static enum dns_rc look_up(struct smtp_attempt *at, const char *base, struct dns_answer *ans)
{
    return dns_query(at->ctx.exim->resolver, at->arena,
                     arena_printf(at->arena, "_%d._tcp.%s", at->port, base), DNS_T_TLSA, true, ans);
}

static bool has_usable(const struct dns_answer *ans)
{
    for (size_t i = 0; i < ans->count; i++) {
        uint8_t usage = ans->records[i].tlsa.usage;

        if ((usage == USAGE_TA || usage == USAGE_EE) && ans->records[i].tlsa.selector <= 1 &&
            ans->records[i].tlsa.matching <= 2)
            return true;
    }
    return false;
}

static bool dane_fault(struct smtp_attempt *at, const char *why)
{
    (void)smtp_fault_event(at, "dane:fail", why, 0);
    return smtp_fault_set(at, SMTP_SCOPE_HOST, RC_DEFER, ERR_TLSREQUIRED,
                          arena_printf(at->arena, "DANE error: %s", why));
}

/* Next-hop names count only if all recipients share the domain. */
const char *smtp_dane_next_hop(const struct smtp_attempt *at)
{
    const struct address *first = at->ctx.addr;

    for (const struct address *a = first; a != NULL; a = a->next)
        if (a->domain == NULL || strcmp(a->domain, first->domain) != 0)
            return NULL;
    return first != NULL ? first->domain : NULL;
}

static bool use_records(struct smtp_attempt *at, const char *base, const struct dns_answer *ans)
{
    struct dns_answer *kept = arena_new_obj(at->arena, struct dns_answer);
    const char **names = arena_new_array(at->arena, const char *, 4);
    size_t n = 0;
    const char *hop = smtp_dane_next_hop(at);

    at->require_tls = true; /* RFC 7672 2.2: never in clear once there are records */
    at->avoid_tls = false;
    if (!has_usable(ans))
        return !at->dane_required || dane_fault(at, "no usable TLSA records");
    *kept = *ans;
    names[n++] = base;
    if (strcmp(base, at->want.host_name) != 0)
        names[n++] = at->want.host_name;
    if (hop != NULL && strcmp(hop, base) != 0)
        names[n++] = hop;
    at->want.tlsa = kept;
    at->want.dane_names = names;
    at->want.sni = base; /* RFC 7671 section 8 */
    at->want.require_ocsp = false;
    return true;
}

bool smtp_dane_find(struct smtp_attempt *at)
{
    bool try = false;
    struct dns_answer ans;
    const char *base = at->host->name;

    if (at->t->kind == SMTP_LMTP || (at->avoid_tls && at->t->hosts_require_dane == NULL))
        return true;
    if (!smtp_policy_in(at, "hosts_require_dane", at->t->hosts_require_dane, &at->dane_required))
        return false;
    if (!at->dane_required && (at->avoid_tls || !at->host->dnssec_ok))
        return true;
    if (!at->dane_required && !smtp_policy_in(at, "hosts_try_dane", at->t->hosts_try_dane, &try))
        return false;
    if (!at->dane_required && !try)
        return true;
    if (!at->host->dnssec_ok)
        return dane_fault(at, "the host's address was not validated by DNSSEC");
    enum dns_rc rc = look_up(at, base, &ans);

    if ((rc == DNS_NODATA || rc == DNS_NOMATCH) && strcmp(base, at->want.host_name) != 0) {
        base = at->want.host_name; /* the alias itself: RFC 7672 2.2.3 */
        rc = look_up(at, base, &ans);
    }
    switch (rc) {
    case DNS_SUCCEED:
        if (ans.ad)
            return use_records(at, base, &ans);
        return !at->dane_required || dane_fault(at, "TLSA records were not validated by DNSSEC");
    case DNS_NODATA:
    case DNS_NOMATCH:
        return !at->dane_required || dane_fault(at, "no TLSA records");
    default: /* a downgrade by losing answers must not work */
        return dane_fault(at, arena_printf(at->arena, "TLSA lookup failed: %s",
                                           ans.err.msg != NULL ? ans.err.msg : "no answer"));
    }
}
