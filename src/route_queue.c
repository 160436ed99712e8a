#include "route_int.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "header.h"
#include "message.h"
#include "transports/transport.h"
#include "verify.h"

enum { HEADERS_MAX = 1024 * 1024 };

/* The message as it looks to the routing of an errors address: it has the null sender. */
static bool errors_address_verifies(struct route_call *call, const char *text)
{
    struct expand_ctx ctx = *call->ctx;
    struct message m;
    const struct verify_options o = { .flags = 0 };

    if (ctx.message != NULL) {
        m = *ctx.message;
        m.sender = "";
        ctx.message = &m;
    }
    ctx.addr = NULL;
    ctx.router = NULL;
    return verify_address(&ctx, text, &o).rc == RC_OK;
}

bool route_get_errors_to(struct route_call *call, struct address *addr, const char **errors_to)
{
    const struct router *r = call->addr->router;
    const char *v;

    *errors_to = addr->errors_to;
    if (r->errors_to == NULL)
        return true;
    switch (expand(call->ctx, r->errors_to, &v)) {
    case EXPAND_OK:
        break;
    case EXPAND_FORCED:
        return true;
    default:
        route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "%s router failed to expand \"%s\": %s",
                     r->name, r->errors_to->text, call->ctx->err.msg);
        return false;
    }
    if (v[0] == '\0') {
        *errors_to = "";
        addr->flags |= ADDR_IGNORE_ERROR;
        return true;
    }
    if (call->verify || call->expn || errors_address_verifies(call, v)) {
        *errors_to = v;
        addr->flags &= ~(unsigned)ADDR_IGNORE_ERROR;
    }
    return true;
}

/* ---- header lines ---- */

/* One item of a list of texts, expanded; NULL with *failed when that is an error. */
static const char *expand_item(struct route_call *call, const char *text, const struct expr *e,
                               const char *option, bool *failed)
{
    const char *v;
    enum expand_rc rc = e != NULL ? expand(call->ctx, e, &v) : expand_text(call->ctx, text, &v);

    if (rc == EXPAND_OK)
        return v[0] == '\0' ? NULL : v;
    if (rc == EXPAND_FORCED)
        return NULL;
    *failed = true;
    route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "%s router failed to expand %s item \"%s\": %s",
                 call->addr->router->name, option, text, call->ctx->err.msg);
    return NULL;
}

/* New lines go after those that earlier routers attached; lists are shared, never changed. */
static const struct header *append_header(struct arena *a, const struct header *list, const char *text)
{
    struct header *first = NULL, **tail = &first;

    for (; list != NULL; list = list->next) {
        *tail = arena_new_obj(a, struct header);
        **tail = *list;
        tail = &(*tail)->next;
    }
    struct header *h = arena_new_obj(a, struct header);
    h->type = HEADER_OTHER;
    h->text = cstr_ends(text, "\n") ? text : arena_printf(a, "%s\n", text);
    h->len = strlen(h->text);
    *tail = h;
    return first;
}

typedef bool item_fn(struct route_call *call, struct address *addr, const char *item);

static bool add_item(struct route_call *call, struct address *addr, const char *item)
{
    addr->extra_headers = append_header(call->ctx->arena, addr->extra_headers, item);
    return true;
}

static bool remove_item(struct route_call *call, struct address *addr, const char *item)
{
    struct buf b = buf_init(call->ctx->arena, HEADERS_MAX);
    bool first = addr->remove_headers == NULL;

    if (!first)
        buf_add_cstr(&b, addr->remove_headers);
    list_append(&b, item, ':', &first);
    addr->remove_headers = buf_cstr(&b);
    return !b.full;
}

static bool each_item(struct route_call *call, struct address *addr, const struct router_text *t,
                      char sep, const char *option, item_fn *fn)
{
    struct arena *a = call->ctx->arena;
    bool failed = false;

    for (; t != NULL; t = t->next) {
        const char *text = t->value->text;
        bool single = strchr(text, sep) == NULL && text[0] != '<';
        struct list_iter it = list_begin(text, sep);
        for (const char *item = single ? text : list_next(&it, a); item != NULL;
             item = single ? NULL : list_next(&it, a)) {
            const char *v = expand_item(call, item, single ? t->value : NULL, option, &failed);
            if (v != NULL && !fn(call, addr, v))
                return true;
            if (failed)
                return false;
        }
    }
    return true;
}

bool route_munge_headers(struct route_call *call, struct address *addr)
{
    const struct router *r = call->addr->router;

    return each_item(call, addr, r->headers_add, '\n', "add_headers", add_item) &&
           each_item(call, addr, r->headers_remove, ':', "remove_headers", remove_item);
}

/* ---- transport, user, group ---- */

const struct transport *route_get_transport(struct route_call *call, const struct expr *e,
                                            const char *option)
{
    const char *name;

    if (e == NULL) {
        route_result(call, ROUTE_DEFER, ERR_BADREDIRECT, "4.3.5", "%s unset in %s router", option,
                     call->addr->router->name);
        return NULL;
    }
    if (expand(call->ctx, e, &name) != EXPAND_OK) {
        route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "failed to expand %s \"%s\" in %s router: %s",
                     option, e->text, call->addr->router->name, call->ctx->err.msg);
        return NULL;
    }
    const struct transport *t = transport_find(call->ctx->exim->config, name);
    if (t == NULL)
        route_result(call, ROUTE_DEFER, ERR_BADREDIRECT, "4.3.5", "transport \"%s\" not found in %s router",
                     name, call->addr->router->name);
    return t;
}

static bool expand_id(struct route_call *call, const struct expr *e, const char *option, const char **v)
{
    if (expand(call->ctx, e, v) == EXPAND_OK)
        return true;
    route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "failed to expand %s \"%s\" in %s router: %s",
                 option, e->text, call->addr->router->name, call->ctx->err.msg);
    return false;
}

static bool no_such(struct route_call *call, const char *what, const char *name, const char *text)
{
    const struct message *m = call->ctx->message;

    route_result(call, ROUTE_DEFER, ERR_BADUGID, "4.3.5",
                 "Failed to find %s \"%s\" from expanded string \"%s\" for the %s router", what, name, text,
                 call->addr->router->name);
    log_write(call->ctx->exim->log, LOG_MAIN | LOG_PANIC, m == NULL ? NULL : m->id, "%s",
              call->addr->result.message);
    return false;
}

static bool set_user(struct route_call *call, struct address *addr)
{
    const struct router *r = call->addr->router;
    struct route_user u;
    const char *v;

    if (r->uid_fixed) {
        addr->uid = r->uid;
        addr->uid_set = true;
        if (r->user->constant == NULL || !route_find_user(call->ctx, r->user->constant, &u) ||
            !u.found)
            return true;
        addr->gid = u.gid;
        return addr->gid_set = true;
    }
    if (!expand_id(call, r->user, "user", &v))
        return false;
    if (!route_find_user(call->ctx, v, &u))
        return no_such(call, "user", v, r->user->text);
    addr->uid = u.uid;
    addr->uid_set = true;
    if (u.found) {
        addr->gid = u.gid;
        addr->gid_set = true;
    }
    return true;
}

bool route_set_ids(struct route_call *call, struct address *addr)
{
    const struct router *r = call->addr->router;
    const struct route_user *u = &route_run_of(call)->user;
    const char *v;

    addr->uid_set = addr->gid_set = false;
    if (u->found) {
        addr->uid = u->uid;
        addr->gid = u->gid;
        addr->uid_set = addr->gid_set = true;
    }
    if (r->user != NULL && !set_user(call, addr))
        return false;
    addr->initgroups = r->initgroups;
    if (r->group == NULL)
        return true;
    if (r->gid_fixed) {
        addr->gid = r->gid;
        return addr->gid_set = true;
    }
    if (!expand_id(call, r->group, "group", &v))
        return false;
    if (!route_find_group(call->ctx, v, &addr->gid))
        return no_such(call, "group", v, r->group->text);
    return addr->gid_set = true;
}

/* ---- onto the lists ---- */

static bool expand_dir(struct route_call *call, const struct expr *e, const char *option, const char **out)
{
    if (e == NULL || call->verify || expand(call->ctx, e, out) == EXPAND_OK)
        return true;
    route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "%s \"%s\" failed to expand in %s router: %s",
                 option, e->text, call->addr->router->name, call->ctx->err.msg);
    return false;
}

/* Where the transport is at home, unless it says so itself: the login's own directory comes before
 * router_home_directory here (manual 23.3). */
static bool set_home(struct route_call *call, struct address *addr)
{
    const struct route_run *run = route_run_of(call);
    const struct router *r = call->addr->router;

    addr->home_dir = run->user.found ? run->user.dir : run->router_home;
    return expand_dir(call, r->transport_home_directory, "transport_home_directory", &addr->home_dir) &&
           expand_dir(call, r->transport_current_directory, "transport_current_directory",
                      &addr->current_dir);
}

static bool is_homonym(const struct address *addr)
{
    for (const struct address *p = addr->parent; p != NULL; p = p->parent)
        if (cstr_ieq(p->address, addr->address))
            return true;
    return false;
}

static void push(struct route_call *call, struct address *addr, const struct transport *t)
{
    struct route_results *res = call->results;
    const struct router *r = call->addr->router;
    struct address **list;

    addr->transport = t;
    if (r->log_as_local)
        addr->flags |= ADDR_LOCAL;
    if (r->dsn_lasthop)
        addr->dsn_flags |= DSN_LASTHOP;
    if (addr->fallback_hosts == NULL)
        addr->fallback_hosts = r->fallback_list;
    if (t != NULL && is_homonym(addr))
        addr->unique = arena_printf(call->ctx->arena, "%s/%s", addr->address, t->name);
    list = t != NULL && (t->driver->flags & TRANSPORT_LOCAL) ? &res->local : &res->remote;
    addr->next = *list;
    *list = addr;
}

bool route_prepare(struct route_call *call)
{
    struct route_run *run = route_run_of(call);
    struct address *addr = call->addr;
    const struct router *r = addr->router;

    if (run->prepared)
        return true;
    if (!route_get_errors_to(call, addr, &addr->errors_to) || !route_munge_headers(call, addr))
        return false;
    run->prepared = true;
    if (addr->transport == NULL)
        addr->transport = r->transport_instance;
    if (addr->transport != NULL || (r->transport == NULL && call->verify))
        return true;
    addr->transport = route_get_transport(call, r->transport, "transport");
    return addr->transport != NULL;
}

bool route_queue(struct route_call *call)
{
    struct address *addr = call->addr;

    if (!route_prepare(call) || !route_set_ids(call, addr) || !set_home(call, addr))
        return false;
    push(call, addr, addr->transport);
    return true;
}

bool route_copy(struct address *model, struct address *addr, struct route_results *results)
{
    if (addr->domain == NULL || addr->start_router != NULL || (addr->flags & ADDR_PIPE_FILE_REPLY) ||
        !cstr_ieq(addr->domain, model->domain) || model->extra_headers != NULL ||
        model->remove_headers != NULL || addr->extra_headers != NULL || addr->remove_headers != NULL)
        return false;
    addr->router = model->router;
    addr->transport = model->transport;
    addr->host_list = model->host_list;
    addr->fallback_hosts = model->fallback_hosts;
    addr->errors_to = model->errors_to;
    addr->address_data = model->address_data;
    addr->domain_data = model->domain_data;
    addr->self_hostname = model->self_hostname;
    addr->uid = model->uid;
    addr->gid = model->gid;
    addr->uid_set = model->uid_set;
    addr->gid_set = model->gid_set;
    addr->flags |= model->flags & ADDR_LOCAL;
    addr->dsn_flags |= model->dsn_flags & DSN_LASTHOP;
    addr->next = results->remote;
    results->remote = addr;
    return true;
}

bool route_queue_child(struct route_call *call, struct address *child, const struct transport *t)
{
    child->router = call->addr->router;
    if (!route_set_ids(call, child) || !set_home(call, child))
        return false;
    child->local_user_name = call->addr->local_user_name;
    child->prefix = call->addr->prefix;
    child->suffix = call->addr->suffix;
    child->prefix_v = call->addr->prefix_v;
    child->suffix_v = call->addr->suffix_v;
    child->domain_data = call->addr->domain_data;
    child->local_part_data = call->addr->local_part_data;
    push(call, child, t);
    return true;
}
