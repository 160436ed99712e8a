#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/debug.h"
#include "base/err.h"
#include "base/log.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "host.h"
#include "match.h"
#include "message.h"
#include "retry.h"
#include "transports/smtp_int.h"

/* One walk down a host list with the addresses that still want a host. */
struct walk {
    const struct smtp_transport *t;
    struct transport_call *call;
    struct arena *arena;
    struct host *hosts;
    struct address *todo;     /* linked by next */
    long tried, counted;      /* all, and those that hosts_max_try counts */
    long total, waiting, expired, lookups_failed, lookups_deferred, busy;
    bool own_list;            /* hosts or fallback_hosts: the router has not looked for ourselves in it */
    bool last_try;            /* tried before its time because the message is too old */
    const char *lookup_error;
};

/* ---- The list ---- */
static void fail_all(struct walk *w, enum rc rc, int basic_errno, const char *status, const char *message)
{
    for (struct address *a = w->todo; a != NULL; a = a->next)
        a->result = (struct addr_result){ .rc = rc, .basic_errno = basic_errno, .status = status,
                                          .message = message };
}

static bool expand_hosts(struct walk *w)
{
    struct expand_ctx *ctx = w->call->ctx;
    const char *text;

    if (w->t->hosts == NULL) {
        fail_all(w, RC_DEFER, 0, "4.3.5",
                 arena_printf(w->arena, "%s transport called with no hosts set", w->t->base.name));
        return false;
    }
    if (expand(ctx, w->t->hosts, &text) != EXPAND_OK) {
        const char *why = arena_printf(w->arena, "failed to expand list of hosts \"%s\" in %s transport: %s",
                                       w->t->hosts->text, w->t->base.name,
                                       ctx->err.msg != NULL ? ctx->err.msg : "forced failure");

        fail_all(w, RC_DEFER, ERR_EXPANDFAIL, "4.3.5", why);
        return false;
    }
    w->hosts = host_list_parse(w->arena, text, w->t->hosts_randomize);
    w->own_list = true;
    if (w->hosts == NULL)
        fail_all(w, RC_DEFER, 0, "4.3.5",
                 arena_printf(w->arena, "%s transport called with empty hosts setting", w->t->base.name));
    return w->hosts != NULL;
}

static bool read_hosts(struct walk *w)
{
    const struct host *given = w->todo->host_list;

    if (given == NULL || (w->t->hosts_override && w->t->hosts != NULL))
        return expand_hosts(w);
    w->hosts = host_list_copy(w->arena, given);
    if (w->t->hosts_randomize)
        w->hosts = host_list_shuffle(w->arena, w->hosts);
    return true;
}

/* ---- Addresses of hosts that the transport names ---- */
static bool domain_listed(struct walk *w, const struct match_list *l, const char *name)
{
    return l != NULL && match_domain(w->call->ctx, l, name, NULL) == RC_OK;
}

static bool refuse_local(struct walk *w, struct host *h)
{
    h->status = HOST_UNUSABLE;
    w->lookups_deferred++;
    w->lookup_error = arena_printf(w->arena, "%s transport found host %s to be local", w->t->base.name, h->name);
    fail_all(w, RC_DEFER, ERR_HOST_IS_LOCAL, "4.4.6", w->lookup_error);
    return false;
}

/* h is replaced by the first of its addresses, others follow it. False: skip it. */
static bool find_address(struct walk *w, struct host *h)
{
    struct exim *e = w->call->ctx->exim;
    const struct host_find_options o = {
        .use_addresses = true,
        .qualify_single = w->t->dns_qualify_single,
        .search_parents = w->t->dns_search_parents,
        .request_dnssec = domain_listed(w, w->t->dnssec_request_domains, h->name),
        .require_dnssec = domain_listed(w, w->t->dnssec_require_domains, h->name),
        .by_name = w->t->gethostbyname,
        .by_dns = !w->t->gethostbyname,
    };
    struct err err = { 0 };
    const char *name = h->name;

    if (h->address != NULL) /* written as one */
        return !w->own_list || w->t->allow_localhost || !host_is_self(e, h) || refuse_local(w, h);
    if (h->status != HOST_USABLE) { /* the router could not find it */
        w->lookups_deferred += h->why == HWHY_DEFER;
        w->lookups_failed += h->why != HWHY_DEFER;
        return false;
    }
    switch (host_find_address(e, w->arena, h, &o, NULL, &err)) {
    case HOST_FOUND:
        return true;
    case HOST_FOUND_LOCAL:
        return w->t->allow_localhost ? h->address != NULL || refuse_local(w, h) : refuse_local(w, h);
    case HOST_FIND_FAILED:
        w->lookups_failed++;
        break;
    default:
        w->lookups_deferred++;
        break;
    }
    h->status = HOST_UNUSABLE;
    w->lookup_error = arena_printf(w->arena, "lookup of host \"%s\" failed in %s transport%s%s", name,
                                   w->t->base.name, err.msg != NULL ? ": " : "", err.msg != NULL ? err.msg : "");
    return false;
}

/* ---- May it be tried now? ---- */
static bool include_address(struct smtp_attempt *at)
{
    bool yes;

    return expand_bool(&at->ctx, at->t->retry_include_ip_address, true, &yes) != EXPAND_OK || yes;
}

static bool is_due(struct walk *w, struct smtp_attempt *at)
{
    struct host *h = at->host;
    const char *domain = w->todo->domain;
    time_t next = 0;

    if (retry_check_host(&at->ctx, h, domain, include_address(at), &next))
        return true;
    if (h->status == HOST_UNUSABLE_EXPIRED) {
        if (!at->t->delay_after_cutoff)
            return true;
        w->expired++;
        return false;
    }
    if (retry_ultimate_timeout(&at->ctx, h->name, domain, 0, tod_now().tv_sec)) {
        w->last_try = true;
        return true;
    }
    w->waiting++;
    return false;
}

/* ---- One host ---- */
static struct smtp_attempt new_attempt(struct walk *w, struct host *h)
{
    struct smtp_attempt at = { .t = w->t,
                               .ctx = *w->call->ctx,
                               .arena = w->arena,
                               .host = h,
                               .address = h->address,
                               .connect_timeout = w->t->connect_timeout,
                               .command_timeout = w->t->command_timeout,
                               .reuse = true };

    at.ctx.host = h;
    at.ctx.addr = w->todo;
    return at;
}

/* The fault of the connection is that of all. */
static void apply_to_all(struct walk *w, struct smtp_attempt *at)
{
    const char *key = at->scope == SMTP_SCOPE_HOST || at->scope == SMTP_SCOPE_TLS ? at->host->retry_host_key : NULL;

    for (struct address *a = w->todo; a != NULL; a = a->next) {
        smtp_fault_apply(at, a);
        /* Connection refused and the like: nobody said anything. */
        if (at->fault.message == NULL) {
            a->result.remote_mta = NULL;
            a->host_used = NULL;
        }
        if (at->fault.rc == RC_DEFER)
            retry_add(w->arena, a, key, true, false);
    }
}

static bool may_keep(struct smtp_attempt *at)
{
    const struct smtp_connection *c = at->conn;
    long limit = at->ctx.exim->connection_max_messages;
    long max = limit > 0 ? limit : at->t->connection_max_messages;
    bool listed = false;

    if (c->key.len == 0 || c->nopass || c->client.fault != CLIENT_OK || (max > 0 && c->messages >= max))
        return false;
    if (c->client.tls == NULL)
        return true;
    if (!smtp_policy_in(at, "hosts_nopass_tls", at->t->hosts_nopass_tls, &listed) || listed)
        return false;
    return smtp_policy_in(at, "hosts_noproxy_tls", at->t->hosts_noproxy_tls, &listed) && !listed;
}

static void part(struct smtp_attempt *at, bool usable)
{
    struct smtp_connection *c = at->conn;

    at->conn = NULL;
    at->ctx.tls_out = NULL;
    (void)smtp_fault_event(at, "tcp:close", NULL, 0);
    if (c == NULL)
        return;
    at->conn = c;
    bool keep = usable && may_keep(at);

    at->conn = NULL;
    if (keep)
        smtp_cache_keep(c);
    else
        smtp_cache_quit(c);
}

static void converse(struct walk *w, struct smtp_attempt *at)
{
    struct transport_call call = *w->call;
    bool redo = false;

    do {
        if (!smtp_open_connection(at)) {
            apply_to_all(w, at);
            return;
        }
        call.ctx = &at->ctx;
        call.addrs = w->todo;
        bool usable = smtp_send_transaction(at, &call, w->todo, &redo);

        if (redo) {
            smtp_cache_drop(at->conn);
            at->conn = NULL;
            at->reused = at->in_clear = false;
        } else {
            part(at, usable);
        }
    } while (redo);
}

/* Settled addresses leave the list. */
static void drop_settled(struct walk *w, struct address **done)
{
    for (struct address **p = &w->todo; *p != NULL;) {
        struct address *a = *p;

        if (a->result.rc == RC_DEFER) {
            p = &a->next;
            continue;
        }
        *p = a->next;
        a->next = *done;
        *done = a;
    }
}

/* False: nothing was tried, go on. */
static bool try_host(struct walk *w, struct host *h)
{
    struct host *copy = arena_new_obj(w->arena, struct host);

    *copy = *h;
    struct smtp_attempt at = new_attempt(w, copy);

    bool known = smtp_policy_port(&at);
    copy->port = at.port;
    if (known && !is_due(w, &at)) {
        h->status = copy->status;
        return false;
    }
    h->status = copy->status;
    if (!known || !smtp_policy_read(&at)) {
        apply_to_all(w, &at);
        return true;
    }
    bool serialized = false;

    if (!smtp_wait_serialize(&at, &serialized)) {
        w->busy++;
        return false;
    }
    at.reuse = !serialized;
    if (!smtp_dane_find(&at)) {
        if (at.scope == SMTP_SCOPE_HOST)
            smtp_fault_log(&at);
        apply_to_all(w, &at);
    } else {
        converse(w, &at);
    }
    if (serialized)
        smtp_wait_release(&at);
    if (at.scope == SMTP_SCOPE_HOST || at.scope == SMTP_SCOPE_TLS)
        smtp_wait_note(&at, w->todo);
    return true;
}

/* hosts_max_try (manual 30.5): the next host of a higher MX value gets its chance. */
static struct host *next_after(struct walk *w, struct host *h)
{
    if (w->t->hosts_max_try_hardlimit > 0 && w->tried >= w->t->hosts_max_try_hardlimit)
        return NULL;
    if (h->status == HOST_UNUSABLE_EXPIRED) /* does not count */
        return h->next;
    if (++w->counted < w->t->hosts_max_try || w->t->hosts_max_try <= 0)
        return h->next;
    for (struct host *n = h->next; n != NULL; n = n->next)
        if (n->mx > h->mx) {
            w->counted--;
            return n;
        }
    return NULL;
}

static void mark_untried(struct walk *w)
{
    for (struct address *a = w->todo; a != NULL; a = a->next)
        a->result = (struct addr_result){ .rc = RC_DEFER, .basic_errno = ERR_HRETRY };
}

/* What is to be said when no host was tried at all. */
static void word_untried(struct walk *w)
{
    struct arena *a = w->arena;
    const char *domain = w->todo->domain != NULL ? w->todo->domain : "";

    if (w->waiting == 0 && w->busy == 0 && w->lookups_deferred == 0 && w->expired > 0) {
        const char *why = arena_printf(a, "all hosts for '%s' have been failing for a long time and were last "
                                          "tried after this message arrived", domain);

        fail_all(w, RC_FAIL, ERR_HRETRY, "5.4.1", why);
        for (struct address *x = w->todo; x != NULL; x = x->next)
            x->flags |= ADDR_TIMED_OUT;
    } else if (w->lookups_failed == w->total && w->total > 0) {
        fail_all(w, RC_FAIL, ERR_DNSDEFER, "5.4.4",
                 w->total == 1 && w->lookup_error != NULL ? w->lookup_error
                                                          : "all host address lookups failed permanently");
    } else if (w->lookups_failed + w->lookups_deferred > 0 && w->waiting + w->busy + w->expired == 0) {
        if (w->todo->result.basic_errno != ERR_HOST_IS_LOCAL)
            fail_all(w, RC_DEFER, ERR_DNSDEFER, "4.4.3",
                     w->lookup_error != NULL ? w->lookup_error : "host address lookups failed");
    } else if (w->lookups_failed + w->lookups_deferred > 0) {
        fail_all(w, RC_DEFER, ERR_DNSDEFER, "4.4.3",
                 "some host address lookups failed and retry time not reached for other hosts or connection "
                 "limit reached");
    } else if (w->waiting == 0 && w->busy > 0) {
        fail_all(w, RC_DEFER, ERR_HRETRY, "4.4.5", "connection limit reached for all hosts");
    } else {
        fail_all(w, RC_DEFER, ERR_HRETRY, "4.4.1",
                 w->busy > 0 ? "retry time not reached for any host or connection limit reached"
                             : "retry time not reached for any host");
        for (struct address *x = w->todo; x != NULL; x = x->next)
            x->flags |= ADDR_RETRY_SKIPPED;
    }
}

/* Beyond the end of its retry rule: this was the last chance. */
static void give_up(struct walk *w)
{
    for (struct address *x = w->todo; x != NULL; x = x->next) {
        x->result.rc = RC_FAIL;
        x->flags |= ADDR_TIMED_OUT;
        x->result.message = x->result.message != NULL
                                ? arena_printf(w->arena, "%s: retry timeout exceeded", x->result.message)
                                : "retry timeout exceeded";
    }
}

static void walk_hosts(struct walk *w, struct address **done)
{
    struct host *next;

    mark_untried(w);
    for (struct host *h = w->hosts; h != NULL && w->todo != NULL; h = next) {
        next = h->next;
        w->total++;
        if (!find_address(w, h))
            continue;
        next = h->next; /* further addresses of a name that was just looked up */
        if (!try_host(w, h))
            continue;
        w->tried++;
        drop_settled(w, done);
        next = next_after(w, h);
    }
    if (w->todo == NULL)
        return;
    if (w->tried == 0)
        word_untried(w);
    else if (w->last_try && w->waiting == 0)
        give_up(w);
    drop_settled(w, done);
}

struct smtp_hosts_list smtp_hosts_find(const struct smtp_transport *t, struct expand_ctx *ctx,
                                       struct address *addr)
{
    struct transport_call call = { .ctx = ctx, .message = ctx->message, .addrs = addr };
    struct walk w = { .t = t, .call = &call, .arena = ctx->arena, .todo = addr };

    if (!read_hosts(&w))
        return (struct smtp_hosts_list){ .error = addr->result.message };
    for (struct host *h = w.hosts; h != NULL; h = h->next)
        (void)find_address(&w, h);
    return (struct smtp_hosts_list){ .hosts = w.hosts };
}

static const struct host *fallbacks(const struct smtp_transport *t, const struct address *todo)
{
    return todo->fallback_hosts != NULL ? todo->fallback_hosts : t->fallback_list;
}

void smtp_hosts_deliver(const struct smtp_transport *t, struct transport_call *call)
{
    struct arena *a = call->ctx->arena;
    struct address *done = NULL;
    struct walk w = { .t = t, .call = call, .arena = a, .todo = call->addrs };
    struct address **order = NULL;
    size_t n = 0;

    for (struct address *x = call->addrs; x != NULL; x = x->next)
        n++;
    order = arena_new_array(a, struct address *, n);
    n = 0;
    for (struct address *x = call->addrs; x != NULL; x = x->next)
        order[n++] = x;
    if (t->message_linelength_limit > 0 && call->message->max_received_linelength > t->message_linelength_limit) {
        fail_all(&w, RC_FAIL, 0, "5.6.0", "message has lines too long for transport");
        return;
    }
    if (read_hosts(&w))
        walk_hosts(&w, &done);
    const struct host *spare = w.todo != NULL ? fallbacks(t, w.todo) : NULL;

    if (spare != NULL && w.todo->result.rc == RC_DEFER) {
        struct walk second = { .t = t, .call = call, .arena = a, .todo = w.todo };

        second.hosts = host_list_copy(a, spare);
        second.own_list = true;
        if (t->hosts_randomize)
            second.hosts = host_list_shuffle(a, second.hosts);
        walk_hosts(&second, &done);
    }
    for (size_t i = 0; i < n; i++) /* as the caller linked them */
        order[i]->next = i + 1 < n ? order[i + 1] : NULL;
}
