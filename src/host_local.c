#include "host_int.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"

enum { INTERFACES_MAX = 1024, REFRESH_MS = 30000 };

/* Interfaces come and go while a daemon runs; asking the kernel for each host would be slow. */
struct interface_cache {
    const struct config *config;
    int64_t read_ms;
    struct ip ips[INTERFACES_MAX];
    size_t count;
};

static void add(struct interface_cache *c, const struct ip *ip)
{
    for (size_t i = 0; i < c->count; i++)
        if (ip_eq(&c->ips[i], ip))
            return;
    if (c->count < INTERFACES_MAX)
        c->ips[c->count++] = *ip;
}

static void add_system(struct interface_cache *c, uint8_t family)
{
    struct ifaddrs *list;
    uint16_t port;

    if (getifaddrs(&list) < 0)
        return;
    for (const struct ifaddrs *i = list; i != NULL; i = i->ifa_next) {
        if (i->ifa_addr == NULL || (i->ifa_flags & IFF_UP) == 0)
            continue;
        struct ip ip = ip_from_sockaddr(i->ifa_addr, &port);

        if (ip.family == family)
            add(c, &ip);
    }
    freeifaddrs(list);
}

static bool is_any(const struct ip *ip)
{
    static const uint8_t zero[16];

    return memcmp(ip->bytes, zero, ip->family == 4 ? 4 : 16) == 0;
}

/* Items as in local_interfaces; ports do not matter here. */
static bool item_address(struct arena *a, const char *item, struct ip *ip)
{
    const char *end;

    if (*item == '[' && (end = strchr(item, ']')) != NULL)
        return ip_parse(arena_strndup(a, item + 1, (size_t)(end - item - 1)), ip);
    if (ip_parse(item, ip))
        return true;
    end = strrchr(item, '.');
    return end != NULL && ip_parse(arena_strndup(a, item, (size_t)(end - item)), ip);
}

static void add_list(struct interface_cache *c, struct arena *a, const char *list, bool use_ipv6)
{
    struct list_iter it = list_begin(list, ':');
    struct ip ip;

    for (const char *item; (item = list_next(&it, a)) != NULL;) {
        if (!item_address(a, item, &ip) || (ip.family == 6 && !use_ipv6))
            continue;
        if (is_any(&ip))
            add_system(c, ip.family);
        else
            add(c, &ip);
    }
}

static struct interface_cache *interfaces(struct exim *e)
{
    const struct main_options *m = &e->config->main;
    int64_t now = tod_monotonic_ms();

    if (e->interfaces == NULL)
        e->interfaces = arena_new_obj(e->arena, struct interface_cache);
    struct interface_cache *c = e->interfaces;

    if (c->config == e->config && now - c->read_ms < REFRESH_MS)
        return c;
    struct arena *a = arena_new("interfaces");

    c->config = e->config;
    c->read_ms = now;
    c->count = 0;
    add_list(c, a, m->local_interfaces != NULL ? m->local_interfaces : "<; ::0 ; 0.0.0.0", !m->disable_ipv6);
    if (m->extra_local_interfaces != NULL)
        add_list(c, a, m->extra_local_interfaces, !m->disable_ipv6);
    arena_destroy(&a);
    return c;
}

struct ip_list host_local_interfaces(struct exim *e)
{
    const struct interface_cache *c = interfaces(e);

    return (struct ip_list){ c->ips, c->count };
}

bool host_is_local(struct exim *e, const struct ip *ip)
{
    const struct interface_cache *c = interfaces(e);
    struct ip plain = ip_unmap(*ip);

    if (is_any(&plain)) /* connects to this host */
        return true;
    for (size_t i = 0; i < c->count; i++)
        if (ip_eq(&c->ips[i], &plain))
            return true;
    return false;
}

bool host_is_self(struct exim *e, const struct host *h)
{
    struct ip ip;

    if (h->address != NULL && ip_parse(h->address, &ip) && host_is_local(e, &ip))
        return true;
    return host_domain_listed(e, e->config->main.hosts_treat_as_local, h->name);
}
