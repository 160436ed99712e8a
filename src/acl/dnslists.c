#include "acl/acl_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/debug.h"
#include "base/hash.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tod.h"
#include "dns.h"
#include "exim.h"
#include "session.h"

enum { QUERY_MAX = 253, NEGATIVE_SECONDS = 300, CACHED_MAX = 2000 };

/* domain[,domain2][condition]/keys */
struct dnslist {
    const char *domain; /* $dnslist_domain, TXT */
    const char *check;  /* where addresses are compared: domain, or the second name */
    const char *values; /* comma-separated; NULL: any answer will do */
    bool mask, all, negated;
    const char *keys; /* NULL: the client's address */
};

enum on_defer { DEFER_EXCLUDE, DEFER_INCLUDE, DEFER_RETURN };

/* What one name gave, for the rest of the session within its TTL. */
struct cached {
    int64_t expires_ms;
    enum dns_rc rc;
    const struct ip *ips;
    size_t count;
    bool text_known;
    const char *text;
};

/* ---- queries ---- */

static bool is_usable(const char *name)
{
    if (strlen(name) > QUERY_MAX)
        return false;
    for (const char *s = name; *s != '\0'; s++)
        if (!is_print(*s) || *s == ' ' || (*s == '.' && (s == name || s[1] == '.')))
            return false;
    return *name != '\0';
}

static void store_answer(struct cached *c, struct arena *a,
                         const struct dns_answer *answer)
{
    struct ip *ips = arena_new_array(a, struct ip, answer->count);
    int64_t ttl = NEGATIVE_SECONDS;

    for (size_t i = 0; i < answer->count; i++) {
        ips[i] = answer->records[i].ip;
        if (i == 0 || answer->records[i].ttl < ttl)
            ttl = answer->records[i].ttl;
    }
    c->ips = ips;
    c->count = answer->count;
    c->expires_ms = tod_monotonic_ms() + ttl * 1000;
}

static struct cached *query(struct acl_run *r, const char *name)
{
    struct session *s = r->ctx->session;
    struct arena *a = s != NULL ? s->arena : r->ctx->arena;
    struct dns_answer answer = { 0 };
    struct cached *c =
        s == NULL || s->dnslist_cache == NULL ? NULL : hash_find(s->dnslist_cache, name);

    if (c != NULL && c->expires_ms > tod_monotonic_ms())
        return c;
    c = arena_new_obj(a, struct cached);
    c->rc = is_usable(name) ? dns_query(r->ctx->exim->resolver, r->ctx->arena, name,
                                        DNS_T_A, false, &answer)
                            : DNS_NOMATCH;
    if (c->rc != DNS_SUCCEED)
        answer.count = 0;
    else if (answer.count == 0)
        c->rc = DNS_NODATA;
    store_answer(c, a, &answer);
    DEBUG(D_DNSBL)
    debug_printf("DNS list: %s: %zu addresses\n", name, c->count);
    if (s == NULL)
        return c;
    if (s->dnslist_cache == NULL)
        s->dnslist_cache = hash_new(a, true);
    if (hash_count(s->dnslist_cache) < CACHED_MAX)
        hash_put(s->dnslist_cache, arena_strdup(a, name), c);
    return c;
}

/* The first string of the first TXT record. */
static const char *text_of(struct acl_run *r, struct cached *c, const char *name)
{
    struct session *s = r->ctx->session;
    struct dns_answer answer = { 0 };

    if (c->text_known)
        return c->text;
    c->text_known = true;
    if (dns_query(r->ctx->exim->resolver, r->ctx->arena, name, DNS_T_TXT, false,
                  &answer) == DNS_SUCCEED &&
        answer.count > 0 && answer.records[0].text_part_count > 0)
        c->text = str_dup(s != NULL ? s->arena : r->ctx->arena,
                          answer.records[0].text_parts[0]);
    return c->text;
}

/* ---- values ---- */

static bool has_bits(const struct ip *ip, const struct ip *mask)
{
    size_t n = mask->family == 4 ? 4 : 16;

    for (size_t i = 0; i < n; i++)
        if ((ip->bytes[i] & mask->bytes[i]) != mask->bytes[i])
            return false;
    return true;
}

static bool is_listed(struct arena *a, const struct dnslist *d, const struct ip *ip)
{
    struct list_iter it = { d->values, ',' };
    struct ip want;

    for (const char *v; (v = list_next(&it, a)) != NULL;)
        if (ip_parse(v, &want) && want.family == ip->family &&
            (d->mask ? has_bits(ip, &want) : ip_eq(ip, &want)))
            return true;
    return false;
}

static bool values_match(struct arena *a, const struct dnslist *d, const struct cached *c)
{
    size_t listed = 0;

    if (d->values == NULL)
        return true;
    for (size_t i = 0; i < c->count; i++)
        listed += is_listed(a, d, &c->ips[i]);
    return (d->all ? listed == c->count : listed > 0) != d->negated;
}

/* ---- one key ---- */

static void set_variables(struct acl_run *r, const struct dnslist *d, const char *key,
                          struct cached *c, const char *name)
{
    struct expand_ctx *ctx = r->ctx;
    struct buf b = buf_init(ctx->arena, 64 * 1024);

    for (size_t i = 0; i < c->count; i++) {
        char text[IP_TEXT_MAX];

        buf_printf(&b, "%s%s", i == 0 ? "" : ", ", ip_print(&c->ips[i], text));
    }
    ctx->dnslist_domain = d->domain;
    ctx->dnslist_matched = key;
    ctx->dnslist_value = c->rc == DNS_SUCCEED ? buf_cstr(&b) : NULL;
    ctx->dnslist_text = c->rc == DNS_SUCCEED ? text_of(r, c, name) : NULL;
}

static enum acl_result deferred(struct acl_run *r, const struct dnslist *d,
                                const char *key, struct cached *c, const char *name,
                                enum on_defer how)
{
    static const char *const words[] = { [DEFER_EXCLUDE] = "assumed not in list",
                                         [DEFER_INCLUDE] = "assumed in list",
                                         [DEFER_RETURN] = "returned DEFER" };

    if (log_wants(r->ctx->exim->log, L_dnslist_defer))
        acl_run_log(r, LOG_MAIN | LOG_BY(dnslist_defer),
                    "DNS list lookup defer (probably timeout) for %s: %s", name,
                    words[how]);
    if (how == DEFER_INCLUDE)
        set_variables(r, d, key, c, name);
    return how == DEFER_INCLUDE  ? COND_TRUE
           : how == DEFER_RETURN ? COND_DEFER
                                 : COND_FALSE;
}

/* prefix: the key, reversed if it is an address. */
static enum acl_result test_key(struct acl_run *r, const struct dnslist *d,
                                const char *key, const char *prefix, enum on_defer how)
{
    const char *name = arena_printf(r->ctx->arena, "%s.%s", prefix, d->check);
    struct cached *c = query(r, name);

    if (c->rc == DNS_AGAIN)
        return deferred(r, d, key, c, name, how);
    if (c->rc != DNS_SUCCEED || !values_match(r->ctx->arena, d, c))
        return COND_FALSE;
    if (d->domain != d->check) {
        name = arena_printf(r->ctx->arena, "%s.%s", prefix, d->domain);
        c = query(r, name);
        if (c->rc == DNS_AGAIN)
            return deferred(r, d, key, c, name, how);
        if (c->rc != DNS_SUCCEED)
            return COND_FALSE;
    }
    set_variables(r, d, key, c, name);
    return COND_TRUE;
}

static const char *reversed(struct arena *a, const struct ip *ip)
{
    const char *name = dns_reverse_name(a, ip);
    const char *zone = strstr(name, ip->family == 4 ? ".in-addr.arpa" : ".ip6.arpa");

    return zone == NULL ? name : arena_strndup(a, name, (size_t)(zone - name));
}

static enum acl_result test_text_key(struct acl_run *r, const struct dnslist *d,
                                     const char *key, enum on_defer how)
{
    struct ip ip;

    if (!ip_parse(key, &ip))
        return test_key(r, d, key, key, how);
    ip = ip_unmap(ip);
    return test_key(r, d, key, reversed(r->ctx->arena, &ip), how);
}

/* A defer counts only if no other key is listed. */
static enum acl_result test_keys(struct acl_run *r, const struct dnslist *d,
                                 enum on_defer how)
{
    const struct session *s = r->ctx->session;
    enum acl_result result = COND_FALSE;

    if (d->keys == NULL) {
        if (s == NULL || s->host_address == NULL)
            return COND_FALSE;
        return test_text_key(r, d, s->host_address, how);
    }
    struct list_iter it = list_begin(d->keys, ':');
    for (const char *key; (key = list_next(&it, r->ctx->arena)) != NULL;) {
        enum acl_result rc = *key == '\0' ? COND_FALSE : test_text_key(r, d, key, how);

        if (rc == COND_TRUE)
            return rc;
        if (rc == COND_DEFER)
            result = rc;
    }
    return result;
}

/* ---- items ---- */

/* "!=&values" and the like at s. */
static void parse_values(struct dnslist *d, const char *s)
{
    d->negated = *s == '!';
    s += d->negated;
    if (s[0] == '=' && (s[1] == '=' || s[1] == '&')) {
        d->all = true;
        d->mask = s[1] == '&';
        s += 2;
    } else {
        d->mask = *s == '&';
        s++;
    }
    d->values = cstr_skip_space(s);
}

static const char *trimmed(struct arena *a, const char *s, size_t len)
{
    return str_dup(a, str_trim((struct str){ s, len }));
}

static struct dnslist parse_item(struct arena *a, const char *item)
{
    struct dnslist d = { 0 };
    const char *slash = strchr(item, '/');

    if (slash != NULL) {
        d.keys = slash + 1;
        item = arena_strndup(a, item, (size_t)(slash - item));
    }
    size_t len = strcspn(item, "=&");
    if (item[len] != '\0') {
        size_t at = len > 0 && item[len - 1] == '!' ? len - 1 : len;

        parse_values(&d, item + at);
        len = at;
    }
    size_t comma = strcspn(item, ",");
    if (comma < len) {
        d.domain = trimmed(a, item, comma);
        d.check = trimmed(a, item + comma + 1, len - comma - 1);
    } else {
        d.domain = d.check = trimmed(a, item, len);
    }
    return d;
}

static bool is_odd(const char *domain)
{
    for (const char *s = domain; *s != '\0'; s++)
        if (!is_alnum(*s) && *s != '-' && *s != '.' && *s != '_')
            return true;
    return false;
}

static enum acl_result test_item(struct acl_run *r, const char *item, enum on_defer how)
{
    struct dnslist d = parse_item(r->ctx->arena, item);

    if (is_odd(d.domain) || is_odd(d.check))
        acl_run_log(r, LOG_MAIN | LOG_PANIC,
                    "dnslists domain \"%s\" contains strange characters - is this right?",
                    is_odd(d.domain) ? d.domain : d.check);
    return test_keys(r, &d, how);
}

enum acl_result acl_dnslists(struct acl_run *r, const struct acl_item *c, const char *arg)
{
    struct list_iter it = list_begin(arg, ':');
    enum on_defer how = DEFER_EXCLUDE;

    (void)c;
    for (const char *item; (item = list_next(&it, r->ctx->arena)) != NULL;) {
        if (strcmp(item, "+include_unknown") == 0) {
            how = DEFER_INCLUDE;
        } else if (strcmp(item, "+exclude_unknown") == 0) {
            how = DEFER_EXCLUDE;
        } else if (strcmp(item, "+defer_unknown") == 0) {
            how = DEFER_RETURN;
        } else if (*item == '+') {
            acl_run_log(r, LOG_MAIN | LOG_PANIC, "unknown item in dnslist (ignored): %s",
                        item);
        } else if (*item != '\0') {
            enum acl_result rc = test_item(r, item, how);

            if (rc != COND_FALSE)
                return rc;
        }
    }
    return COND_FALSE;
}
