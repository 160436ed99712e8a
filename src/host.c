#include "host.h"

#include <netdb.h>
#include <string.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/digest.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "hooks.h"
#include "host_int.h"

enum { NAMES_MAX = 64 };

void host_shuffle(void *base, size_t n, size_t size)
{
    char *p = base, spare[512];

    if (size > sizeof(spare))
        bug("host_shuffle: element of %zu bytes", size);
    for (size_t i = n; i > 1; i--) {
        size_t j = random_below((uint32_t)i);

        memcpy(spare, p + (i - 1) * size, size);
        memcpy(p + (i - 1) * size, p + j * size, size);
        memcpy(p + j * size, spare, size);
    }
}

bool host_domain_listed(struct exim *e, const struct match_list *l, const char *domain)
{
    return l != NULL && e->hooks != NULL && e->hooks->domain_match != NULL &&
           e->hooks->domain_match(e, l, domain) == RC_OK;
}

static bool want_ipv6(struct exim *e, const char *name)
{
    const struct main_options *m = &e->config->main;

    return !m->disable_ipv6 && !host_domain_listed(e, m->dns_ipv4_lookup, name);
}

enum rc host_system_addresses(struct exim *e, struct arena *a, const char *name, struct ip_list *out,
                              const char **canonical, struct err *err)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_CANONNAME };
    struct addrinfo *found, *ai;
    uint16_t port;

    *out = (struct ip_list){ 0 };
    hints.ai_family = want_ipv6(e, name) ? AF_UNSPEC : AF_INET;
    int rc = getaddrinfo(name, NULL, &hints, &found);

    if (rc == EAI_AGAIN) {
        err_set(err, a, "lookup of %s failed for now: %s", name, gai_strerror(rc));
        return host_domain_listed(e, e->config->main.dns_again_means_nonexist, name) ? RC_FAIL : RC_DEFER;
    }
    if (rc != 0) {
        err_set(err, a, "%s: %s", name, gai_strerror(rc));
        return RC_FAIL;
    }
    struct ip *ips = arena_new_array(a, struct ip, HOST_ADDRESSES_MAX);

    *canonical = name;
    if (found->ai_canonname != NULL && found->ai_canonname[0] != '\0')
        *canonical = cstr_lower(a, found->ai_canonname);
    for (ai = found; ai != NULL && out->count < HOST_ADDRESSES_MAX; ai = ai->ai_next)
        ips[out->count++] = ip_from_sockaddr(ai->ai_addr, &port);
    out->ips = ips;
    freeaddrinfo(found);
    return out->count > 0 ? RC_OK : RC_FAIL;
}

static enum dns_rc query_type(struct exim *e, struct arena *a, const struct host_dns_request *rq, int type,
                              struct host_dns_addresses *out, struct err *err)
{
    struct dns_answer ans;
    const char *full;
    const struct dns_search_request ask = { rq->name, type, rq->qualify_single, rq->search_parents,
                                            rq->want_dnssec };
    enum dns_rc rc = dns_search(e->resolver, a, &ask, &ans, &full);

    if (rc == DNS_AGAIN || rc == DNS_FAIL)
        err_set(err, a, "%s", ans.err.msg != NULL ? ans.err.msg : "DNS failure");
    if (rc != DNS_SUCCEED)
        return rc;
    struct ip *ips = unconst(out->ips.ips);

    for (size_t i = 0; i < ans.count && out->ips.count < HOST_ADDRESSES_MAX; i++)
        ips[out->ips.count++] = ans.records[i].ip;
    out->full = full;
    out->canonical = ans.canonical;
    out->ad = out->ad && ans.ad;
    return rc;
}

enum rc host_dns_addresses(struct exim *e, struct arena *a, const struct host_dns_request *rq,
                           struct host_dns_addresses *out, struct err *err)
{
    enum dns_rc v6 = DNS_NODATA;

    *out = (struct host_dns_addresses){ .full = rq->name, .canonical = rq->name, .ad = true };
    out->ips.ips = arena_new_array(a, struct ip, HOST_ADDRESSES_MAX);
    if (!rq->ipv4_only && want_ipv6(e, rq->name))
        v6 = query_type(e, a, rq, DNS_T_AAAA, out, err);
    enum dns_rc v4 = query_type(e, a, rq, DNS_T_A, out, err);

    if (out->ips.count > 0)
        return RC_OK;
    out->ad = false;
    if (v4 == DNS_AGAIN || v4 == DNS_FAIL || v6 == DNS_AGAIN || v6 == DNS_FAIL)
        return RC_DEFER;
    err_set(err, a, "no address records for %s", rq->name);
    return RC_FAIL;
}

enum rc host_addresses(struct exim *e, struct arena *a, const char *name, struct ip_list *out, struct err *err)
{
    struct host_dns_request rq = { .name = name };
    struct host_dns_addresses found;
    const char *canonical;
    struct ip literal;

    *out = (struct ip_list){ 0 };
    if (ip_parse(name, &literal)) {
        struct ip *one = arena_new_obj(a, struct ip);

        *one = literal;
        *out = (struct ip_list){ one, 1 };
        return RC_OK;
    }
    enum rc rc = host_system_addresses(e, a, name, out, &canonical, err);

    /* With a test server in use the system's resolver knows only /etc/hosts. */
    if (rc == RC_OK || !dns_is_overridden(e->resolver))
        return rc;
    rc = host_dns_addresses(e, a, &rq, &found, err);
    if (rc == RC_OK)
        *out = found.ips;
    return rc;
}

struct name_search {
    struct exim *exim;
    struct arena *arena;
    struct ip ip;
    const char *names[NAMES_MAX + 1];
    size_t count;
    bool dnssec;
};

static void add_name(struct name_search *s, const char *name)
{
    for (size_t i = 0; i < s->count; i++)
        if (cstr_ieq(s->names[i], name))
            return;
    if (*name != '\0' && s->count < NAMES_MAX)
        s->names[s->count++] = cstr_lower(s->arena, name);
}

static enum rc names_by_dns(struct name_search *s, struct err *err)
{
    struct dns_answer ans;
    enum dns_rc rc = dns_query(s->exim->resolver, s->arena, dns_reverse_name(s->arena, &s->ip), DNS_T_PTR,
                               true, &ans);

    if (rc == DNS_AGAIN || rc == DNS_FAIL) {
        err_set(err, s->arena, "%s", ans.err.msg != NULL ? ans.err.msg : "DNS failure");
        return rc == DNS_AGAIN ? RC_DEFER : RC_FAIL;
    }
    if (rc != DNS_SUCCEED)
        return RC_FAIL;
    for (size_t i = 0; i < ans.count; i++)
        add_name(s, ans.records[i].name);
    s->dnssec = ans.ad;
    return s->count > 0 ? RC_OK : RC_FAIL;
}

static enum rc names_by_system(struct name_search *s, struct err *err)
{
    struct sockaddr_storage ss;
    char host[NI_MAXHOST];
    socklen_t len = ip_to_sockaddr(&s->ip, 0, &ss);
    int rc = getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), NULL, 0, NI_NAMEREQD);

    if (rc == 0)
        add_name(s, host);
    else if (rc == EAI_AGAIN)
        err_set(err, s->arena, "%s", gai_strerror(rc));
    return rc == 0 ? RC_OK : rc == EAI_AGAIN ? RC_DEFER : RC_FAIL;
}

/* Tries the ways of host_lookup_order until one knows names. */
static enum rc find_names(struct name_search *s, struct err *err)
{
    struct list_iter it = list_begin(s->exim->config->main.host_lookup_order, ':');
    enum rc rc = RC_FAIL;

    for (const char *way; (way = list_next(&it, s->arena)) != NULL;) {
        enum rc got = RC_FAIL;

        if (strcmp(way, "bydns") == 0)
            got = names_by_dns(s, err);
        else if (strcmp(way, "byaddr") == 0)
            got = names_by_system(s, err);
        if (got == RC_OK)
            return RC_OK;
        if (got == RC_DEFER)
            rc = RC_DEFER;
    }
    return rc;
}

/* Does the name lead back to the address? */
static enum rc forward_check(struct name_search *s, const char *name, struct err *err)
{
    struct host_dns_request rq = { .name = name, .want_dnssec = true };
    struct host_dns_addresses dns;
    struct ip_list ips;
    const char *canonical;
    enum rc rc = host_dns_addresses(s->exim, s->arena, &rq, &dns, err);

    ips = dns.ips;
    if (rc != RC_OK) {
        enum rc sys = host_system_addresses(s->exim, s->arena, name, &ips, &canonical, err);

        dns.ad = false;
        rc = sys == RC_FAIL ? rc : sys;
    }
    if (rc != RC_OK)
        return rc;
    for (size_t i = 0; i < ips.count; i++)
        if (ip_eq(&ips.ips[i], &s->ip)) {
            s->dnssec = s->dnssec && dns.ad;
            return RC_OK;
        }
    return RC_FAIL;
}

enum rc host_name_lookup(struct exim *e, struct arena *a, const char *address, const char *const **names,
                         bool *dnssec, struct err *err)
{
    struct name_search s = { .exim = e, .arena = a };

    *names = NULL;
    *dnssec = false;
    *err = (struct err){ 0 };
    if (!ip_parse(address, &s.ip))
        return RC_FAIL;
    enum rc rc = find_names(&s, err);

    if (rc != RC_OK) {
        if (rc == RC_FAIL)
            err_set(err, a, "no host name found for IP address %s", address);
        return rc;
    }
    const char **good = arena_new_array(a, const char *, s.count + 1);
    size_t n = 0;
    bool deferred = false;

    for (size_t i = 0; i < s.count; i++) {
        rc = forward_check(&s, s.names[i], err);
        if (rc == RC_OK)
            good[n++] = s.names[i];
        deferred = deferred || rc == RC_DEFER;
    }
    if (n == 0 && deferred)
        return RC_DEFER;
    if (n == 0) {
        err_set(err, a, "%s does not match any IP address for %s", address, s.names[0]);
        return RC_FAIL;
    }
    *names = good;
    *dnssec = s.dnssec;
    DEBUG(D_HOST_LOOKUP) debug_printf("host name of %s is %s\n", address, good[0]);
    return RC_OK;
}
