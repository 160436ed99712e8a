#include "routers/dnslookup.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "exim.h"
#include "expand.h"
#include "host.h"
#include "match.h"
#include "route_int.h"
#include "routers/change_domain.h"
#include "routers/hostlist.h"

struct dnslookup {
    struct router base;
    bool check_secondary_mx;
    const struct expr *check_srv;
    const struct match_list *fail_defer_domains;
    const struct expr *ipv4_only, *ipv4_prefer;
    const struct match_list *mx_domains, *mx_fail_domains;
    bool qualify_single, rewrite_headers, same_domain_copy_routing, search_parents;
    const struct match_list *srv_fail_domains;
    const char *widen_domains;
};

/* clang-format off */
static const struct option options[] = {
    OPTION_BOOL(struct dnslookup, check_secondary_mx, false),
    OPTION_EXPAND(struct dnslookup, check_srv, NULL),
    OPTION_DOMAIN_LIST(struct dnslookup, fail_defer_domains, NULL),
    OPTION_EXPAND(struct dnslookup, ipv4_only, NULL),
    OPTION_EXPAND(struct dnslookup, ipv4_prefer, NULL),
    OPTION_DOMAIN_LIST(struct dnslookup, mx_domains, NULL),
    OPTION_DOMAIN_LIST(struct dnslookup, mx_fail_domains, NULL),
    OPTION_BOOL(struct dnslookup, qualify_single, true),
    OPTION_BOOL(struct dnslookup, rewrite_headers, true),
    OPTION_BOOL(struct dnslookup, same_domain_copy_routing, false),
    OPTION_BOOL(struct dnslookup, search_parents, false),
    OPTION_DOMAIN_LIST(struct dnslookup, srv_fail_domains, NULL),
    OPTION_STRING(struct dnslookup, widen_domains, NULL),
};
/* clang-format on */

/* What one search is about, and what it met. */
struct search_state {
    struct host_find_options o;
    bool self_removed, null_record;
};

static bool listed(struct route_call *call, const struct match_list *l, const char *domain, bool *out)
{
    enum rc rc = l == NULL ? RC_FAIL : match_domain(call->ctx, l, domain, NULL);

    *out = rc == RC_OK;
    if (rc == RC_DEFER)
        route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "domain list check deferred in %s router: %s",
                     call->addr->router->name, call->ctx->err.msg == NULL ? "" : call->ctx->err.msg);
    return rc != RC_DEFER;
}

static bool get_switch(struct route_call *call, const struct expr *e, const char *option, bool *out)
{
    *out = false;
    if (e == NULL)
        return true;
    enum expand_rc rc = expand_bool(call->ctx, e, false, out);
    if (rc == EXPAND_OK || rc == EXPAND_FORCED)
        return true;
    route_expand_failed(call, option, e->text);
    return false;
}

static bool get_service(struct route_call *call, const struct dnslookup *d, struct host_find_options *o)
{
    const char *v;

    if (d->check_srv == NULL)
        return true;
    switch (expand(call->ctx, d->check_srv, &v)) {
    case EXPAND_OK:
        o->use_srv = v[0] != '\0';
        o->srv_service = v;
        return true;
    case EXPAND_FORCED:
        return true;
    default:
        route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "%s router: failed to expand \"%s\": %s",
                     call->addr->router->name, d->check_srv->text, call->ctx->err.msg);
        return false;
    }
}

static bool set_options(const struct dnslookup *d, struct route_call *call, struct search_state *s)
{
    struct host_find_options *o = &s->o;

    o->use_mx = o->use_addresses = true;
    o->qualify_single = d->qualify_single;
    o->search_parents = d->search_parents;
    o->self_removed = &s->self_removed;
    o->null_record = &s->null_record;
    return get_service(call, d, o) && get_switch(call, d->ipv4_only, "ipv4_only", &o->ipv4_only) &&
           get_switch(call, d->ipv4_prefer, "ipv4_prefer", &o->ipv4_prefer) && hostlist_options(call, o);
}

static bool set_domain_options(const struct dnslookup *d, struct route_call *call, const char *domain,
                               struct host_find_options *o)
{
    return listed(call, d->mx_domains, domain, &o->mx_must) &&
           listed(call, d->mx_fail_domains, domain, &o->mx_fail_is_none) &&
           listed(call, d->srv_fail_domains, domain, &o->srv_fail_is_none);
}

/* The domain as it is, then with each of widen_domains; HOST_FIND_FAILED only if all of them fail. */
static enum host_find find(const struct dnslookup *d, struct route_call *call, struct search_state *s,
                           struct host *h, const char **fqdn, bool *failed)
{
    struct expand_ctx *ctx = call->ctx;
    const char *domain = call->addr->domain;
    /* Exim: a sender's domain is not widened while headers would have to be rewritten for it. */
    bool widen = d->widen_domains != NULL && !(call->verify_sender && d->rewrite_headers);
    struct list_iter it = list_begin(widen ? d->widen_domains : "", ':');

    for (;;) {
        *h = (struct host){ .name = domain, .certname = domain, .mx = MX_NONE };
        *failed = !set_domain_options(d, call, domain, &s->o);
        if (*failed)
            return HOST_FIND_AGAIN;
        enum host_find rc = host_find_mx(ctx->exim, ctx->arena, h, &s->o, fqdn, &call->err);
        const char *more = rc == HOST_FIND_FAILED && !s->null_record ? list_next(&it, ctx->arena) : NULL;
        if (more == NULL)
            return rc;
        domain = arena_printf(ctx->arena, "%s%s%s", call->addr->domain, more[0] == '.' ? "" : ".", more);
    }
}

static enum route_rc decline(struct route_call *call, const char *status, const char *message)
{
    call->addr->result.status = status;
    call->addr->result.message = message;
    return ROUTE_DECLINE;
}

static enum route_rc not_found(const struct dnslookup *d, struct route_call *call, const struct search_state *s)
{
    bool defer;

    if (s->null_record)
        return decline(call, "5.1.10", "an MX or SRV record indicated no SMTP service");
    if (!listed(call, d->fail_defer_domains, call->addr->domain, &defer))
        return ROUTE_DEFER;
    if (defer)
        return route_result(call, ROUTE_DEFER, ERR_DNSDEFER, "4.4.3",
                            "missing MX, or all MXs point to missing A records, and defer requested");
    bool dangling = call->err.msg != NULL && cstr_starts(call->err.msg, "all relevant");
    return decline(call, "5.1.2", dangling ? call->err.msg : NULL);
}

static enum route_rc try_again(struct route_call *call)
{
    if (call->addr->router->pass_on_timeout)
        return ROUTE_PASS;
    return route_result(call, ROUTE_DEFER, ERR_DNSDEFER, "4.4.3", "host lookup did not complete");
}

/* The resolver or widen_domains made a longer name of it: it starts again with that. */
static enum route_rc widened(const struct dnslookup *d, struct route_call *call, const char *fqdn)
{
    bool rewrite = d->rewrite_headers && fqdn[0] != '*';

    change_domain(call, fqdn, rewrite);
    return ROUTE_REROUTED;
}

static enum route_rc take(const struct dnslookup *d, struct route_call *call, struct host *h)
{
    call->addr->host_list = h;
    if (!hostlist_translate(call) || !route_queue(call))
        return ROUTE_DEFER;
    call->results->same_domain = d->same_domain_copy_routing;
    return ROUTE_OK;
}

static enum route_rc dnslookup_route(const struct router *r, struct route_call *call)
{
    const struct dnslookup *d = (const struct dnslookup *)r;
    struct search_state s = { 0 };
    struct host *h = arena_new_obj(call->ctx->arena, struct host);
    const char *fqdn = call->addr->domain, *new_domain;
    bool failed;

    if (!set_options(d, call, &s))
        return ROUTE_DEFER;
    enum host_find rc = find(d, call, &s, h, &fqdn, &failed);
    if (failed)
        return ROUTE_DEFER;
    switch (rc) {
    case HOST_FOUND:
    case HOST_FOUND_LOCAL:
        break;
    case HOST_FIND_AGAIN:
        return try_again(call);
    case HOST_FIND_SECURITY:
        return decline(call, "5.4.4", "host lookup done insecurely");
    case HOST_IGNORED:
        return decline(call, "5.1.2", "all relevant MX records point to ignored hosts");
    default:
        return not_found(d, call, &s);
    }
    if (!cstr_ieq(fqdn, call->addr->domain))
        return widened(d, call, fqdn);
    if (d->check_secondary_mx && !s.self_removed)
        return decline(call, "5.4.4", NULL);
    enum route_rc self = rc == HOST_FOUND_LOCAL ? route_self(call, h, &new_domain) : ROUTE_OK;
    return self == ROUTE_OK ? take(d, call, h) : self;
}

const struct router_driver router_dnslookup = {
    .name = "dnslookup",
    .instance_size = sizeof(struct dnslookup),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .flags = ROUTER_NEEDS_TRANSPORT,
    .route = dnslookup_route,
};
