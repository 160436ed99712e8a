#include "routers/hostlist.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/ip.h"
#include "exim.h"
#include "expand.h"
#include "host.h"
#include "match.h"
#include "route_int.h"
#include "transports/transport.h"

static const char *const actions[] = {
    [HFF_FREEZE] = "freeze", [HFF_DEFER] = "defer",     [HFF_FAIL] = "fail",
    [HFF_PASS] = "pass",     [HFF_DECLINE] = "decline", [HFF_IGNORE] = "ignore",
};

bool hostlist_action_parse(const char *word, enum hostlist_action *out)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (strcmp(word, actions[i]) == 0) {
            *out = (enum hostlist_action)i;
            return true;
        }
    return false;
}

const char *hostlist_action_name(enum hostlist_action action)
{
    return actions[action];
}

/* $host_address is the address in question while the list is expanded. */
static bool is_ignored(void *arg, const char *name, const char *address)
{
    struct route_call *call = arg;
    struct expand_ctx ctx = *call->ctx;
    const struct host h = { .name = name, .address = address };

    ctx.host = &h;
    return match_outgoing_host(&ctx, call->addr->router->ignore_target_hosts, name, address) == RC_OK;
}

static bool domain_listed(struct route_call *call, const struct match_list *l, const char *option, bool *out)
{
    enum rc rc = l == NULL ? RC_FAIL : match_domain(call->ctx, l, call->addr->domain, NULL);

    *out = rc == RC_OK;
    if (rc == RC_DEFER)
        route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "%s check lookup or other defer", option);
    return rc != RC_DEFER;
}

bool hostlist_options(struct route_call *call, struct host_find_options *o)
{
    const struct router *r = call->addr->router;

    o->ignore = r->ignore_target_hosts == NULL ? NULL : is_ignored;
    o->ignore_arg = call;
    return domain_listed(call, r->dnssec_request_domains, "dnssec_request_domains", &o->request_dnssec) &&
           domain_listed(call, r->dnssec_require_domains, "dnssec_require_domains", &o->require_dnssec);
}

bool hostlist_is_remote(struct route_call *call)
{
    const struct transport *t = call->addr->transport;

    return t == NULL || !(t->driver->flags & TRANSPORT_LOCAL);
}

static enum route_rc act(struct route_call *call, enum hostlist_action action)
{
    static const enum route_rc rcs[] = {
        [HFF_FREEZE] = ROUTE_DEFER, [HFF_DEFER] = ROUTE_DEFER,     [HFF_FAIL] = ROUTE_FAIL,
        [HFF_PASS] = ROUTE_PASS,    [HFF_DECLINE] = ROUTE_DECLINE, [HFF_IGNORE] = ROUTE_DECLINE,
    };

    call->addr->result.rc = (enum rc)rcs[action];
    if (action == HFF_FAIL)
        call->addr->result.pass_message = true;
    call->addr->result.freeze = action == HFF_FREEZE;
    if (rcs[action] == ROUTE_PASS || rcs[action] == ROUTE_DECLINE)
        call->addr->result.message = NULL; /* what later routers say counts */
    return rcs[action];
}

/* A host that does not exist, or whose addresses are all ignored. *skip: take it off the list. */
static enum route_rc not_found(struct route_call *call, const struct hostlist *l, const struct host *h,
                               bool *skip)
{
    *skip = l->find_failed == HFF_IGNORE;
    if (*skip)
        return ROUTE_OK;
    bool fails = l->find_failed == HFF_FAIL;
    route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, fails ? "5.1.2" : "4.1.2",
                 "lookup of host \"%s\" failed in %s router", h->name, call->addr->router->name);
    return act(call, l->find_failed);
}

static enum route_rc all_ignored(struct route_call *call, const struct hostlist *l)
{
    route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, l->all_ignored == HFF_FAIL ? "5.1.2" : "4.1.2",
                 "lookup failed for all hosts in %s router: host_find_failed=%s host_all_ignored=%s",
                 call->addr->router->name, actions[l->find_failed], actions[l->all_ignored]);
    return act(call, l->all_ignored);
}

static enum route_rc try_again(struct route_call *call, const struct host *h)
{
    if (call->addr->router->pass_on_timeout)
        return ROUTE_PASS;
    return route_result(call, ROUTE_DEFER, ERR_DNSDEFER, "4.4.3", "host lookup for %s did not complete%s",
                        h->name, h->mx_plus ? " (DNS timeout?)" : "");
}

/* The list without what begins at h. */
static void cut(struct host **list, const struct host *h)
{
    while (*list != NULL && *list != h)
        list = &(*list)->next;
    *list = NULL;
}

static void remove_host(struct host **list, const struct host *h)
{
    while (*list != h)
        list = &(*list)->next;
    *list = h->next;
}

enum found { FOUND_NEXT, FOUND_END };

/* One item of the list; *rc says how it ends when that is now. */
static enum found find_one(struct route_call *call, const struct hostlist *l, struct host *h,
                           const struct host_find_options *o, enum route_rc *rc)
{
    struct expand_ctx *ctx = call->ctx;
    struct host **list = &call->addr->host_list;
    struct err err = { 0 };
    const char *new_domain;
    bool first = h == *list, skip;

    enum host_find found = h->mx_plus ? host_find_mx(ctx->exim, ctx->arena, h, o, NULL, &err)
                                      : host_find_address(ctx->exim, ctx->arena, h, o, NULL, &err);
    switch (found) {
    case HOST_FOUND:
        return FOUND_NEXT;
    case HOST_FOUND_LOCAL:
        if (!first) {
            cut(list, h);
            return FOUND_END;
        }
        *rc = route_self(call, h, &new_domain);
        return *rc == ROUTE_OK ? FOUND_NEXT : FOUND_END;
    case HOST_FIND_AGAIN:
        *rc = try_again(call, h);
        return FOUND_END;
    default:
        *rc = not_found(call, l, h, &skip);
        if (skip)
            remove_host(list, h);
        return skip ? FOUND_NEXT : FOUND_END;
    }
}

enum route_rc hostlist_find(struct route_call *call, const struct hostlist *l)
{
    struct host_find_options o = { .use_mx = true, .mx_must = false, .use_addresses = false,
                                   .by_name = l->by_name, .by_dns = l->by_dns,
                                   .ipv4_only = l->ipv4_only, .ipv4_prefer = l->ipv4_prefer };
    enum route_rc rc = ROUTE_OK;

    if (!hostlist_options(call, &o))
        return ROUTE_DEFER;
    for (struct host *h = call->addr->host_list, *next; h != NULL; h = next) {
        next = h->next;
        if (find_one(call, l, h, &o, &rc) == FOUND_END)
            break;
    }
    if (rc != ROUTE_OK)
        return rc;
    if (call->addr->host_list == NULL)
        return all_ignored(call, l);
    return hostlist_translate(call) ? ROUTE_OK : ROUTE_DEFER;
}

/* A name in place of an address: its own addresses follow. */
static bool translate_one(struct route_call *call, struct host *h, const char *to)
{
    const struct host_find_options o = { .by_name = true };
    struct err err = { 0 };
    struct ip ip;

    if (ip_parse(to, &ip)) {
        h->address = to;
        return true;
    }
    h->name = to;
    h->address = NULL;
    enum host_find rc = host_find_address(call->ctx->exim, call->ctx->arena, h, &o, NULL, &err);
    if (rc == HOST_FOUND || rc == HOST_FOUND_LOCAL)
        return true;
    route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.4.3",
                 "host %s found by translate_ip_address in %s router cannot be looked up: %s", to,
                 call->addr->router->name, err.msg == NULL ? "not found" : err.msg);
    return false;
}

bool hostlist_translate(struct route_call *call)
{
    const struct expr *e = call->addr->router->translate_ip_address;
    const char *v;

    if (e == NULL)
        return true;
    for (struct host *h = call->addr->host_list, *next; h != NULL; h = next) {
        struct expand_ctx ctx = *call->ctx;
        next = h->next;
        ctx.host = h;
        enum expand_rc rc = h->address == NULL ? EXPAND_FORCED : expand(&ctx, e, &v);
        if (rc == EXPAND_FORCED)
            continue;
        if (rc != EXPAND_OK) {
            call->ctx->err = ctx.err;
            route_expand_failed(call, "translate_ip_address", e->text);
            return false;
        }
        if (!translate_one(call, h, v))
            return false;
    }
    return true;
}
