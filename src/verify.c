#include "verify.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/debug.h"
#include "config/config.h"
#include "exim.h"
#include "transports/transport.h"
#include "verify_int.h"

enum { STEPS_MAX = 1000 };

enum route_mode verify_mode(const struct verify_options *o)
{
    if (o->flags & VERIFY_ADDRESS_TEST)
        return ROUTE_TEST;
    if (o->flags & VERIFY_EXPN)
        return ROUTE_EXPN;
    return o->flags & VERIFY_SENDER ? ROUTE_VERIFY_SENDER : ROUTE_VERIFY_RECIPIENT;
}

struct address *verify_start(struct expand_ctx *ctx, const char *text, const struct verify_options *o,
                             struct verify_result *r)
{
    const struct config *c = ctx->exim->config;
    struct address *addr;

    if (strrchr(text, '@') != NULL) {
        addr = address_new(ctx->arena, text);
    } else if (o->flags & VERIFY_QUALIFY) {
        addr = address_new(ctx->arena, arena_printf(ctx->arena, "%s@%s", text,
                                                    o->flags & VERIFY_SENDER ? c->qualify_domain
                                                                             : c->qualify_recipient));
    } else {
        *r = (struct verify_result){ .rc = RC_FAIL, .failure = "qualify" };
        r->message = arena_printf(ctx->arena, "A domain is required for \"%s\"", text);
        r->user_message = r->message;
        return NULL;
    }
    (void)address_split(ctx->arena, addr);
    return addr;
}

/* Addresses, pipes and files that a redirection gave. */
static size_t count_children(const struct route_results *res)
{
    const struct address *const lists[] = { res->local, res->settled };
    size_t n = 0;

    for (const struct address *a = res->children; a != NULL; a = a->next)
        n++;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (const struct address *a = lists[i]; a != NULL; a = a->next)
            n += (a->flags & ADDR_PIPE_FILE_REPLY) != 0;
    return n;
}

/* The router took it: onto hosts, where a callout may ask further, or into a mailbox here. */
static void accepted(struct expand_ctx *ctx, struct address *addr, const struct verify_options *o,
                     struct verify_result *r)
{
    bool remote = addr->transport == NULL || !(addr->transport->driver->flags & TRANSPORT_LOCAL);

    r->rc = RC_OK;
    r->routed = true;
    if (o->callout > 0 && (!ctx->exim->host_checking || ctx->exim->callout_checking) && remote && !(addr->flags & ADDR_PIPE_FILE_REPLY))
        verify_callout(ctx, addr, o, r);
}

static void refused(const struct address *addr, enum route_rc rc, struct verify_result *r)
{
    const struct addr_result *res = &addr->result;

    r->rc = rc == ROUTE_DEFER ? RC_DEFER : RC_FAIL;
    r->failure = "route";
    r->message = res->user_message != NULL ? res->user_message : res->message;
    /* Why an address cannot be resolved just now is for the log, unless :defer: says so. */
    r->user_message = rc == ROUTE_DEFER ? res->user_message : r->message;
}

/* One address. The next one to look at, or NULL: r is set. */
static struct address *step(struct expand_ctx *ctx, struct address *addr, const struct verify_options *o,
                            struct verify_result *r)
{
    struct route_results res = { 0 };
    enum route_rc rc = route_address(ctx, addr, verify_mode(o), &res);

    r->addr = addr;
    r->address_data = addr->address_data;
    if (rc == ROUTE_FAIL || rc == ROUTE_DEFER) {
        refused(addr, rc, r);
        return NULL;
    }
    r->rc = RC_OK;
    struct address *queued = res.remote != NULL ? res.remote : res.local;
    if (res.children == NULL) {
        if (queued != NULL)
            accepted(ctx, queued, o, r);
        return NULL;
    }
    /* A redirection to one address: that must be good. To several: a list, which is. (The copy that
     * unseen sends on is such a one, too.) */
    if (count_children(&res) != 1 || (o->flags & VERIFY_SUCCESS_ON_REDIRECT))
        return NULL;
    return res.children;
}

struct verify_result verify_address(struct expand_ctx *ctx, const char *address, const struct verify_options *o)
{
    struct verify_result r = { .rc = RC_OK };
    struct address *addr = verify_start(ctx, address, o, &r);

    DEBUG(D_VERIFY) debug_printf("verifying %s address %s\n", o->flags & VERIFY_SENDER ? "sender" : "recipient",
                                 address);
    for (int i = 0; addr != NULL && i < STEPS_MAX; i++)
        addr = step(ctx, addr, o, &r);
    DEBUG(D_VERIFY) debug_printf("verification of %s: %s\n", address,
                                 r.rc == RC_OK ? "ok" : r.rc == RC_FAIL ? "failed" : "deferred");
    return r;
}
