#include "routers/ipliteral.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/ip.h"
#include "base/str.h"
#include "exim.h"
#include "expand.h"
#include "host.h"
#include "route_int.h"
#include "routers/hostlist.h"

struct ipliteral {
    struct router base;
};

/* "[10.1.1.1]", "[ipv6:::1]", "[ipv4:10.1.1.1]": the address in its usual form; NULL: none. */
static const char *literal_address(struct arena *a, const char *domain, struct ip *ip)
{
    size_t n = strlen(domain);

    if (n < 3 || domain[0] != '[' || domain[n - 1] != ']')
        return NULL;
    const char *text = arena_strndup(a, domain + 1, n - 2);
    if (cstr_istarts(text, "ipv6:") || cstr_istarts(text, "ipv4:"))
        text += strlen("ipv6:");
    return ip_parse(text, ip) ? ip_print(ip, arena_alloc(a, IP_TEXT_MAX, 1)) : NULL;
}

static enum route_rc ipliteral_route(const struct router *r, struct route_call *call)
{
    struct host_find_options o = { 0 };
    struct arena *a = call->ctx->arena;
    const char *new_domain;
    struct ip ip;
    const char *address = literal_address(a, call->addr->domain, &ip);

    (void)r;
    if (address == NULL)
        return ROUTE_DECLINE;
    if (!hostlist_options(call, &o))
        return ROUTE_DEFER;
    if (o.ignore != NULL && o.ignore(o.ignore_arg, call->addr->domain, address)) {
        call->addr->result.message = "IP literal host explicitly ignored";
        return ROUTE_DECLINE;
    }
    struct host *h = arena_new_obj(a, struct host);
    h->name = h->certname = call->addr->domain;
    h->address = address;
    h->mx = MX_NONE;
    enum route_rc rc = host_is_self(call->ctx->exim, h) ? route_self(call, h, &new_domain) : ROUTE_OK;
    if (rc != ROUTE_OK)
        return rc;
    call->addr->host_list = h;
    return hostlist_translate(call) && route_queue(call) ? ROUTE_OK : ROUTE_DEFER;
}

const struct router_driver router_ipliteral = {
    .name = "ipliteral",
    .instance_size = sizeof(struct ipliteral),
    .flags = ROUTER_NEEDS_TRANSPORT,
    .route = ipliteral_route,
};
