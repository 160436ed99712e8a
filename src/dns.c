#include "dns.h"

#include <netdb.h>
#include <netinet/in.h>
#include <nss.h>
#include <resolv.h>
#include <string.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/debug.h"
#include "base/tod.h"
#include "config/config.h"
#include "dns_int.h"
#include "exim.h"
#include "hooks.h"
#include "regex.h"

enum {
    CNAME_QUERIES = 10,      /* what 4.89 follows; dns_cname_loops can only raise it */
    NEGATIVE_TTL_MAX = 300,
    FAILURE_TTL = 15,        /* a server that does not answer is not asked again at once */
    RELOAD_CHECK_MS = 10000,
    NAME_LEN_MAX = 255,
};

struct resolver {
    const struct config *config;
    struct exim *exim;            /* NULL until dns_attach */
    struct arena *arena;
    const char *server; /* instead of those of resolv.conf; or NULL */
    struct __res_state state;
    bool begun, ready, on_loopback;
    int64_t checked_ms;
    struct timespec conf_mtime;
    struct dns_cache *cache;
    const struct regex *name_check; /* NULL: no check */
    unsigned char *reply; /* DNS_PACKET_MAX bytes */
};

/* Are all name servers on this host, so that their AD bit can be believed (RFC 7672 1.3.3)? */
static bool servers_on_loopback(const struct __res_state *s)
{
    for (int i = 0; i < s->nscount; i++) {
        struct ip ip;
        uint16_t port;

        if (s->nsaddr_list[i].sin_family == AF_INET)
            ip = ip_from_sockaddr((const struct sockaddr *)&s->nsaddr_list[i], &port);
        else if (s->_u._ext.nsaddrs[i] != NULL)
            ip = ip_from_sockaddr((const struct sockaddr *)s->_u._ext.nsaddrs[i], &port);
        else
            return false;
        if (!ip_is_loopback(&ip))
            return false;
    }
    return s->nscount > 0;
}

static void set_options(struct resolver *r)
{
    const struct main_options *m = r->config != NULL ? &r->config->main : NULL;

    r->on_loopback = servers_on_loopback(&r->state);
    if (r->on_loopback)
        r->state.options |= RES_TRUSTAD; /* or glibc hides the AD bit */
    r->state.options |= RES_USE_EDNS0;
    if (m == NULL)
        return;
    if (m->dns_retrans > 0)
        r->state.retrans = (int)m->dns_retrans;
    if (m->dns_retry > 0)
        r->state.retry = (int)m->dns_retry;
    if (m->dns_use_edns0 == 0)
        r->state.options &= ~(unsigned long)RES_USE_EDNS0;
}

static void start(struct resolver *r)
{
    struct stat st;

    r->checked_ms = tod_monotonic_ms();
    if (stat(_PATH_RESCONF, &st) == 0)
        r->conf_mtime = st.st_mtim;
    memset(&r->state, 0, sizeof(r->state));
    r->ready = res_ninit(&r->state) == 0;
    if (r->ready)
        set_options(r);
}

/* "127.0.0.1:5353": that server alone, no search list, and host names from files only. */
static void override_server(struct resolver *r, const char *server)
{
    const char *colon = strrchr(server, ':');
    char text[IP_TEXT_MAX];
    struct ip ip;
    struct sockaddr_storage ss;
    long port;

    if (colon == NULL || (size_t)(colon - server) >= sizeof(text) || !cstr_to_long(colon + 1, &port) ||
        port < 1 || port > 65535)
        die("bad name server \"%s\": want IPv4 address:port", server);
    memcpy(text, server, (size_t)(colon - server));
    text[colon - server] = '\0';
    if (!ip_parse(text, &ip) || ip.family != 4)
        die("bad name server \"%s\": want IPv4 address:port", server);
    ip_to_sockaddr(&ip, (uint16_t)port, &ss);
    r->state.nscount = 1;
    memcpy(&r->state.nsaddr_list[0], &ss, sizeof(struct sockaddr_in));
    r->state.dnsrch[0] = NULL;
    r->state.defdname[0] = '\0';
    set_options(r);
}

void dns_prepare(struct resolver *r)
{
    if (r->begun)
        return;
    r->begun = true;
    r->reply = (unsigned char *)arena_new_buffer(r->arena, DNS_PACKET_MAX);
    start(r);
    if (r->server != NULL && r->ready)
        override_server(r, r->server);
}

/* A daemon outlives changes of resolv.conf. */
static void reload_if_changed(struct resolver *r)
{
    struct stat st;
    int64_t now = tod_monotonic_ms();

    dns_prepare(r);
    if (r->server != NULL || now - r->checked_ms < RELOAD_CHECK_MS)
        return;
    r->checked_ms = now;
    if (stat(_PATH_RESCONF, &st) == 0 && st.st_mtim.tv_sec == r->conf_mtime.tv_sec &&
        st.st_mtim.tv_nsec == r->conf_mtime.tv_nsec && r->ready)
        return;
    if (r->ready)
        res_nclose(&r->state);
    start(r);
}

static void resolver_close(void *arg)
{
    struct resolver *r = arg;

    if (r->ready)
        res_nclose(&r->state);
    r->ready = false;
}

struct resolver *dns_open(struct arena *a, const struct config *cfg, const char *server)
{
    struct resolver *r = arena_new_obj(a, struct resolver);
    const char *pattern = cfg != NULL ? cfg->main.dns_check_names_pattern : NULL;
    struct err err;

    r->config = cfg;
    r->arena = a;
    r->cache = dns_cache_new(a);
    arena_on_destroy(a, resolver_close, r);
    if (server != NULL) {
        r->server = arena_strdup(a, server);
        (void)__nss_configure_lookup("hosts", "files");
    }
    if (pattern != NULL && *pattern != '\0') {
        r->name_check = regex_compile(a, pattern, REGEX_BRIEF | REGEX_LATER, &err);
        if (r->name_check == NULL)
            die("dns_check_names_pattern: %s", err.msg);
    }
    return r;
}

void dns_attach(struct resolver *r, struct exim *e)
{
    r->exim = e;
}

bool dns_is_overridden(const struct resolver *r)
{
    return r->server != NULL;
}

static bool domain_listed(const struct resolver *r, const struct match_list *l, const char *domain)
{
    const struct hooks *h = r->exim != NULL ? r->exim->hooks : NULL;

    return l != NULL && h != NULL && h->domain_match != NULL &&
           h->domain_match(r->exim, l, domain) == RC_OK;
}

/* dns_check_names_pattern; the "_service._proto." of SRV and TLSA is not part of a host name. */
static bool name_is_acceptable(const struct resolver *r, const char *name, int type)
{
    if (r->name_check == NULL || type == DNS_T_TXT || type == DNS_T_PTR || type == DNS_T_SPF)
        return true;
    if (type == DNS_T_SRV || type == DNS_T_TLSA)
        for (int i = 0; i < 2 && *name == '_'; i++) {
            const char *dot = strchr(name, '.');

            if (dot == NULL)
                return false;
            name = dot + 1;
        }
    return regex_test(r->name_check, str_from(name));
}

/* An OPT record (RFC 6891): room for 1232 bytes over UDP, and whether DNSSEC is wanted. */
static size_t add_opt(unsigned char *query, size_t len, bool dnssec)
{
    static const unsigned char opt[] = { 0, 0, 41, 1232 >> 8, 1232 & 0xff, 0, 0, 0, 0, 0, 0 };

    memcpy(query + len, opt, sizeof(opt));
    if (dnssec)
        query[len + 7] = 0x80;
    query[11]++; /* additional records */
    return len + sizeof(opt);
}

/* One exchange, over TCP too if need be. The reply's length; 0 when none came. */
static size_t exchange(struct resolver *r, const char *name, int type, bool edns, bool dnssec)
{
    unsigned char query[512 + 16];
    int len = res_nmkquery(&r->state, ns_o_query, name, ns_c_in, type, NULL, 0, NULL, query, 512);

    if (len < NS_HFIXEDSZ)
        return 0;
    if (edns)
        len = (int)add_opt(query, (size_t)len, dnssec);
    memset(r->reply, 0, NS_HFIXEDSZ);
    int got = res_nsend(&r->state, query, len, r->reply, DNS_PACKET_MAX);

    if (got >= NS_HFIXEDSZ)
        return (size_t)got < DNS_PACKET_MAX ? (size_t)got : DNS_PACKET_MAX;
    /* All servers failed: the header of the last refusal, if there was one, tells how. */
    return (r->reply[2] & 0x80) != 0 ? NS_HFIXEDSZ : 0;
}

static size_t ask(struct resolver *r, const char *name, int type, bool dnssec)
{
    long ok = r->config != NULL ? r->config->main.dns_dnssec_ok : -1;
    bool edns = (r->state.options & RES_USE_EDNS0) != 0;

    dnssec = ok > 0 || (dnssec && ok != 0);
    size_t len = exchange(r, name, type, edns || dnssec, dnssec);

    if (len > 0 && (edns || dnssec) && (r->reply[3] & 0x0f) == ns_r_formerr)
        len = exchange(r, name, type, false, false);
    return len;
}

static enum dns_rc judge(struct resolver *r, struct arena *a, size_t len, int type, struct dns_answer *out)
{
    *out = (struct dns_answer){ 0 };
    if (len < NS_HFIXEDSZ) {
        err_set(&out->err, a, "no answer from the name server");
        return DNS_AGAIN;
    }
    unsigned rcode = r->reply[3] & 0x0f;

    if (rcode == ns_r_servfail) {
        err_set(&out->err, a, "name server failure (SERVFAIL)");
        return DNS_AGAIN;
    }
    if (rcode != ns_r_noerror && rcode != ns_r_nxdomain) {
        err_set(&out->err, a, "name server refused the query (rcode %u)", rcode);
        return DNS_FAIL;
    }
    if (!dns_parse(a, r->reply, len, type, out)) {
        *out = (struct dns_answer){ 0 };
        err_set(&out->err, a, "malformed answer from the name server");
        return DNS_AGAIN;
    }
    if (out->count > 0)
        return DNS_SUCCEED;
    return rcode == ns_r_nxdomain ? DNS_NOMATCH : DNS_NODATA;
}

static void remember(struct resolver *r, const char *key, size_t len, enum dns_rc rc,
                     const struct dns_answer *ans)
{
    if (rc == DNS_AGAIN || rc == DNS_FAIL) {
        dns_cache_put(r->cache, key, (struct str){ "", 0 }, FAILURE_TTL);
        return;
    }
    uint32_t ttl = ans->ttl;

    if (rc != DNS_SUCCEED && ttl > NEGATIVE_TTL_MAX)
        ttl = NEGATIVE_TTL_MAX;
    dns_cache_put(r->cache, key, (struct str){ (const char *)r->reply, len }, ttl);
}

static enum dns_rc query_once(struct resolver *r, struct arena *a, const char *name, int type, bool dnssec,
                              struct dns_answer *out)
{
    const char *key = arena_printf(a, "%d/%d/%s", type, dnssec, name);
    struct str kept;
    size_t len;

    reload_if_changed(r);
    bool cached = dns_cache_get(r->cache, key, &kept);

    if (cached) {
        len = kept.len;
        memcpy(r->reply, kept.p, len);
    } else {
        len = r->ready ? ask(r, name, type, dnssec) : 0;
    }
    enum dns_rc rc = judge(r, a, len, type, out);

    if (!cached)
        remember(r, key, len, rc, out);
    if (!r->on_loopback || !dnssec)
        out->ad = false;
    if (!out->ad && dnssec && out->aa && out->authority != NULL && r->config != NULL &&
        domain_listed(r, r->config->main.dns_trust_aa, out->authority))
        out->ad = true;
    DEBUG(D_DNS)
        debug_printf("DNS lookup of %s (type %d)%s: rc=%d, %zu records%s\n", name, type,
                     cached ? " [cached]" : "", rc, out->count, out->ad ? ", AD" : "");
    return rc;
}

static bool moved(const struct dns_answer *ans, const char *name)
{
    return ans->canonical != NULL && !cstr_ieq(ans->canonical, name);
}

enum dns_rc dns_query(struct resolver *r, struct arena *a, const char *name, int type, bool want_dnssec,
                      struct dns_answer *out)
{
    long loops = r->config != NULL ? r->config->main.dns_cname_loops : 0;
    const char *at = name;
    bool ad = true;
    enum dns_rc rc = DNS_NOMATCH;

    *out = (struct dns_answer){ 0 };
    if (*name == '\0' || strlen(name) > NAME_LEN_MAX || !name_is_acceptable(r, name, type))
        return DNS_NOMATCH;
    for (long i = loops > CNAME_QUERIES ? loops : CNAME_QUERIES; i >= 0; i--) {
        rc = query_once(r, a, at, type, want_dnssec, out);
        ad = ad && out->ad;
        /* A resolver that does not chase CNAMEs leaves that to us. */
        if (rc != DNS_NODATA || !moved(out, at))
            break;
        at = out->canonical;
        if (i == 0) {
            err_set(&out->err, a, "too many CNAMEs");
            rc = DNS_FAIL;
        }
    }
    out->ad = ad;
    if (rc == DNS_AGAIN && type != DNS_T_TLSA && r->config != NULL &&
        domain_listed(r, r->config->main.dns_again_means_nonexist, name))
        return DNS_NOMATCH;
    return rc;
}

enum dns_rc dns_search(struct resolver *r, struct arena *a, const struct dns_search_request *rq,
                       struct dns_answer *out, const char **full)
{
    size_t len = strlen(rq->name);
    bool single = strchr(rq->name, '.') == NULL;
    bool absolute = len > 0 && rq->name[len - 1] == '.';

    dns_prepare(r);
    *full = absolute ? arena_strndup(a, rq->name, len - 1) : rq->name;
    if (single && rq->qualify_single && r->state.defdname[0] != '\0') {
        const char *try = arena_printf(a, "%s.%s", rq->name, r->state.defdname);
        enum dns_rc rc = dns_query(r, a, try, rq->type, rq->want_dnssec, out);

        if (rc != DNS_NOMATCH) {
            *full = try;
            return rc;
        }
    }
    enum dns_rc rc = dns_query(r, a, *full, rq->type, rq->want_dnssec, out);

    if (rc != DNS_NOMATCH || absolute || single || !rq->search_parents)
        return rc;
    for (int i = 0; i < MAXDNSRCH && r->state.dnsrch[i] != NULL; i++) {
        const char *try = arena_printf(a, "%s.%s", rq->name, r->state.dnsrch[i]);
        enum dns_rc found = dns_query(r, a, try, rq->type, rq->want_dnssec, out);

        if (found != DNS_NOMATCH) {
            *full = try;
            return found;
        }
    }
    return rc;
}

const char *dns_reverse_name(struct arena *a, const struct ip *ip)
{
    static const char digits[] = "0123456789abcdef";
    char text[64];
    char *at = text;

    if (ip->family == 4)
        return arena_printf(a, "%u.%u.%u.%u.in-addr.arpa", ip->bytes[3], ip->bytes[2], ip->bytes[1],
                            ip->bytes[0]);
    for (int i = 15; i >= 0; i--) {
        *at++ = digits[ip->bytes[i] & 15];
        *at++ = '.';
        *at++ = digits[ip->bytes[i] >> 4];
        *at++ = '.';
    }
    return arena_printf(a, "%.*sip6.arpa", (int)(at - text), text);
}

void dns_swap_patience(struct resolver *r, int *retrans, int *retry)
{
    dns_prepare(r);
    int old_retrans = r->state.retrans, old_retry = r->state.retry;

    r->state.retrans = *retrans;
    r->state.retry = *retry;
    *retrans = old_retrans;
    *retry = old_retry;
}
