#include "route.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/debug.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "message.h"
#include "route_int.h"

enum { MAX_ANCESTORS = 100 };

struct route_run *route_run_of(struct route_call *call)
{
    return CONTAINER_OF(call, struct route_run, call);
}

enum route_rc route_result(struct route_call *call, enum route_rc rc, int basic_errno,
                           const char *status, const char *fmt, ...)
{
    struct addr_result *res = &call->addr->result;
    va_list ap;

    va_start(ap, fmt);
    res->message = arena_vprintf(call->ctx->arena, fmt, ap);
    va_end(ap);
    res->rc = (enum rc)rc;
    res->basic_errno = basic_errno;
    res->status = status;
    call->err.msg = res->message;
    return rc;
}

enum route_rc route_expand_failed(struct route_call *call, const char *option, const char *text)
{
    return route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5",
                        "failed to expand \"%s\" in \"%s\" option of %s router: %s", text, option,
                        call->addr->router->name, call->ctx->err.msg);
}

bool route_expand_switch(struct route_call *call, const struct expr *e, const char *option, bool dflt,
                         bool *out)
{
    const char *v;

    *out = dflt;
    if (e == NULL)
        return true;
    switch (expand(call->ctx, e, &v)) {
    case EXPAND_OK:
        break;
    case EXPAND_FORCED:
        return true;
    default:
        route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "failed to expand \"%s\" in %s router: %s",
                     e->text, call->addr->router->name, call->ctx->err.msg);
        return false;
    }
    if (cstr_ieq(v, "true") || cstr_ieq(v, "yes"))
        *out = true;
    else if (cstr_ieq(v, "false") || cstr_ieq(v, "no"))
        *out = false;
    else {
        route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5",
                     "\"%s\" is not a valid value for the \"%s\" option in the %s router", v, option,
                     call->addr->router->name);
        return false;
    }
    return true;
}

/* Anti-loop rules: an ancestor of the same name went through this router, or any ancestor did and
 * the router may be used once only (repeat_use of redirect). */
static bool was_here(const struct router *r, const struct address *addr)
{
    for (const struct address *p = addr->parent; p != NULL; p = p->parent) {
        if (p->router != r)
            continue;
        if (r->single_use)
            return true;
        if (r->caseful_local_part ? strcmp(p->address, addr->address) == 0
                                  : cstr_ieq(p->address, addr->address))
            return true;
    }
    return false;
}

/* What the last router left behind does not count for the next. */
static void enter_router(struct route_run *run, const struct router *r)
{
    struct address *addr = run->call.addr;

    addr->router = r;
    run->ctx.router = r;
    addr->local_part = r->caseful_local_part ? addr->cc_local_part : addr->lc_local_part;
    addr->prefix = addr->suffix = addr->prefix_v = addr->suffix_v = NULL;
    addr->domain_data = addr->local_part_data = NULL;
    addr->home_dir = NULL;
    addr->transport = NULL;
    addr->host_list = addr->fallback_hosts = NULL;
    addr->local_user_name = NULL;
    addr->uid_set = addr->gid_set = false;
    run->user = (struct route_user){ 0 };
    run->router_home = NULL;
    run->prepared = false;
}

static bool set_variables(struct route_run *run)
{
    struct address *addr = run->call.addr;
    const char *v;

    for (const struct router_text *t = addr->router->set; t != NULL; t = t->next) {
        switch (expand(&run->ctx, t->value, &v)) {
        case EXPAND_OK:
            break;
        case EXPAND_FORCED:
            continue;
        default:
            route_result(&run->call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5",
                         "failed to expand \"%s\" in %s router: %s", t->value->text,
                         addr->router->name, run->ctx.err.msg);
            return false;
        }
        if (addr->router_vars == NULL)
            addr->router_vars = hash_new(run->ctx.arena, false);
        /* "set" names carry their r_; the table is keyed without it. */
        const char *name = strncmp(t->name, "r_", 2) == 0 ? t->name + 2 : t->name;
        hash_put(addr->router_vars, name, unconst(v));
    }
    return true;
}

/* ROUTE_OK: go on and run the driver. */
static enum route_rc set_address_data(struct route_run *run)
{
    struct address *addr = run->call.addr;
    const struct expr *e = addr->router->address_data;
    const char *v;

    if (e == NULL)
        return ROUTE_OK;
    switch (expand(&run->ctx, e, &v)) {
    case EXPAND_OK:
        addr->address_data = v;
        return ROUTE_OK;
    case EXPAND_FORCED:
        return ROUTE_DECLINE;
    default:
        return route_result(&run->call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5",
                            "expansion of \"%s\" failed in %s router: %s", e->text, addr->router->name,
                            run->ctx.err.msg);
    }
}

static enum route_rc run_driver(struct route_run *run)
{
    const struct router *r = run->call.addr->router;

    if (!set_variables(run))
        return ROUTE_DEFER;
    enum route_rc rc = set_address_data(run);
    if (rc != ROUTE_OK)
        return rc;
    DEBUG(D_ROUTE) debug_printf("calling %s router\nrouted by it: %s\n", r->name, run->call.addr->address);
    rc = r->driver->route(r, &run->call);
    DEBUG(D_ROUTE) debug_printf("%s router returned %d\n", r->name, (int)rc);
    return rc;
}

static bool is_verify(const struct route_run *run)
{
    return run->mode == ROUTE_VERIFY_RECIPIENT || run->mode == ROUTE_VERIFY_SENDER;
}

static struct address **find_in(struct address **list, const struct address *addr)
{
    for (; *list != NULL; list = &(*list)->next)
        if (*list == addr)
            return list;
    return NULL;
}

/* Where the driver put addr itself; NULL: nowhere, it was redirected. */
static struct address **find_queued(struct route_results *res, const struct address *addr)
{
    struct address **at = find_in(&res->local, addr);

    if (at == NULL)
        at = find_in(&res->remote, addr);
    return at != NULL ? at : find_in(&res->settled, addr);
}

/* unseen: the address becomes the parent of two. One is what this router made of it ("address/router"
 * in journals); the other goes on with the next router, with the header lines as they came. */
static void push_clone(struct route_run *run, const struct address *before)
{
    struct arena *a = run->ctx.arena;
    struct route_results *res = run->call.results;
    struct address *addr = run->call.addr, *clone = address_child(a, addr, addr->address);
    struct address **at = find_queued(res, addr);

    clone->start_router = addr->router->next;
    clone->extra_headers = NULL;
    clone->remove_headers = NULL;
    clone->errors_to = before->errors_to;
    clone->dsn_flags = before->dsn_flags;
    clone->dsn_orcpt = before->dsn_orcpt;
    clone->dsn_null_from_list = before->dsn_null_from_list;
    clone->flags = before->flags;
    (void)address_split(a, clone);
    clone->next = res->children;
    res->children = clone;
    if (at == NULL)
        return;
    struct address *copy = arena_new_obj(a, struct address);
    *copy = *addr;
    copy->parent = addr;
    copy->unique = arena_printf(a, "%s/%s", addr->address, addr->router->name);
    *at = copy;
    addr->next = NULL;
    addr->child_count++, addr->child_total++; /* delivery counts those on the list of children */
}

static enum route_rc apply_unseen(struct route_run *run, enum route_rc rc, const struct address *before)
{
    const struct router *r = run->call.addr->router;
    bool unseen;

    if (rc != ROUTE_OK && rc != ROUTE_FAIL && rc != ROUTE_DISCARD && rc != ROUTE_REROUTED)
        return rc;
    if (r->unseen == NULL)
        return rc;
    if (!route_expand_switch(&run->call, r->unseen, "unseen", false, &unseen)) {
        struct address **at = find_queued(run->call.results, run->call.addr);
        if (at != NULL)
            *at = run->call.addr->next;
        return ROUTE_DEFER;
    }
    if (unseen && r->next != NULL)
        push_clone(run, before);
    return rc;
}

/* A router that accepted while an address is being verified may still mean "no". */
static enum route_rc apply_fail_verify(struct route_run *run, enum route_rc rc)
{
    const struct router *r = run->call.addr->router;
    bool fail = run->mode == ROUTE_VERIFY_SENDER ? r->fail_verify_sender : r->fail_verify_recipient;

    if (rc != ROUTE_OK || !is_verify(run) || !fail)
        return rc;
    return route_result(&run->call, ROUTE_FAIL, ERR_NONE, "5.1.1", "%s router forced verify failure",
                        r->name);
}

static enum route_rc unrouteable(struct route_run *run, const struct router *last)
{
    const char *text = "Unrouteable address", *v;
    const struct expr *e = last == NULL ? NULL : last->cannot_route_message;

    if (e != NULL) {
        enum expand_rc rc = expand(&run->ctx, e, &v);
        if (rc == EXPAND_OK)
            text = v;
        else if (rc != EXPAND_FORCED)
            log_write(run->ctx.exim->log, LOG_MAIN | LOG_PANIC,
                      run->ctx.message == NULL ? NULL : run->ctx.message->id,
                      "failed to expand cannot_route_message in %s router: %s", last->name,
                      run->ctx.err.msg);
    }
    if (e == NULL && run->decline_message != NULL)
        text = run->decline_message;
    const char *status = run->decline_status != NULL ? run->decline_status : "5.1.1";
    enum route_rc rc = route_result(&run->call, ROUTE_FAIL, ERR_NONE, status, "%s", text);
    run->call.addr->router = NULL; /* no router took it: no R= in the log */
    return rc;
}

/* Where to go on; NULL: *rc is the end. */
static const struct router *after(struct route_run *run, const struct router *r, enum route_rc *rc)
{
    bool more;

    switch (*rc) {
    case ROUTE_DECLINE:
        if (!route_expand_switch(&run->call, r->more, "more", true, &more)) {
            *rc = ROUTE_DEFER;
            return NULL;
        }
        return more ? r->next : NULL;
    case ROUTE_PASS:
        return r->pass_to != NULL ? r->pass_to : r->next;
    default:
        return NULL;
    }
}

/* A driver may say why it declines; the last reason stands if no router takes the address. */
static void keep_reason(struct route_run *run)
{
    const struct addr_result *res = &run->call.addr->result;

    if (res->status != NULL)
        run->decline_status = res->status;
    if (res->message != NULL)
        run->decline_message = res->message;
}

static enum route_rc run_routers(struct route_run *run, const struct router *r)
{
    const struct address before = *run->call.addr;
    const struct router *last = NULL;

    while (r != NULL) {
        last = r;
        enter_router(run, r);
        enum route_check ok = was_here(r, run->call.addr) ? ROUTE_CHECK_SKIP
                                                          : route_check_preconditions(run);
        if (ok == ROUTE_CHECK_DEFER)
            return ROUTE_DEFER;
        if (ok == ROUTE_CHECK_SKIP) {
            r = r->next;
            continue;
        }
        enum route_rc rc = apply_fail_verify(run, run_driver(run));
        if (rc != ROUTE_DECLINE && rc != ROUTE_PASS)
            return apply_unseen(run, rc, &before);
        keep_reason(run);
        run->call.addr->result = (struct addr_result){ 0 };
        r = after(run, r, &rc);
        if (rc == ROUTE_DEFER)
            return rc;
    }
    return unrouteable(run, last);
}

static void set_retry_key(struct route_run *run)
{
    struct address *addr = run->call.addr;

    addr->retry_key = addr->router != NULL && addr->router->retry_use_local_part
                          ? arena_printf(run->ctx.arena, "R:%s@%s", addr->local_part, addr->domain)
                          : arena_printf(run->ctx.arena, "R:%s", addr->domain);
}

static void run_init(struct route_run *run, const struct expand_ctx *ctx, struct address *addr)
{
    run->ctx = *ctx;
    run->ctx.addr = addr;
    run->ctx.domain = run->ctx.local_part = NULL;
    run->ctx.domain_data = run->ctx.local_part_data = NULL;
    run->ctx.verify_mode = run->mode == ROUTE_VERIFY_SENDER      ? "S"
                           : run->mode == ROUTE_VERIFY_RECIPIENT ? "R"
                                                                 : "";
    run->call.ctx = &run->ctx;
    run->call.addr = addr;
    run->call.verify = is_verify(run);
    run->call.verify_sender = run->mode == ROUTE_VERIFY_SENDER;
    run->call.address_test = run->mode == ROUTE_TEST;
    run->call.expn = run->mode == ROUTE_EXPN;
}

/* Redirections that never end, by names that never repeat. */
static bool too_deep(const struct address *addr)
{
    int n = 0;

    for (const struct address *p = addr->parent; p != NULL; p = p->parent)
        n++;
    return n > MAX_ANCESTORS;
}

enum route_rc route_address(struct expand_ctx *ctx, struct address *addr, enum route_mode mode,
                            struct route_results *results)
{
    struct route_run run = { .mode = mode, .call = { .results = results } };
    const struct config *c = ctx->exim->config;
    enum route_rc rc;

    run_init(&run, ctx, addr);
    addr->result = (struct addr_result){ 0 };
    if (addr->domain == NULL && !address_split(ctx->arena, addr))
        return route_result(&run.call, ROUTE_FAIL, ERR_BADADDRESS2, "5.1.3",
                            "unqualified address not permitted");
    if (too_deep(addr))
        return route_result(&run.call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.4.6",
                            "too many levels of aliasing or forwarding");
    const struct router *first = c->router_count == 0 ? NULL : c->routers[0];
    rc = run_routers(&run, addr->start_router != NULL ? addr->start_router : first);
    if (rc == ROUTE_DEFER)
        set_retry_key(&run);
    ctx->captures = run.ctx.captures;
    ctx->err = run.ctx.err;
    return rc;
}
