#include "routers/manualroute.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "exim.h"
#include "expand.h"
#include "host.h"
#include "match.h"
#include "message.h"
#include "route_int.h"
#include "routers/hostlist.h"
#include "transports/transport.h"

/* One rule of route_list, ready to run. */
struct rule {
    const struct rule *next;
    const struct match_list *pattern;
    const char *hosts, *options;
};

struct manualroute {
    struct router base;
    const char *host_all_ignored, *host_find_failed;
    bool hosts_randomize;
    const struct expr *route_data;
    const char *route_list;
    bool same_domain_copy_routing;

    const struct rule *rules;
    enum hostlist_action all_ignored, find_failed;
};

/* clang-format off */
static const struct option options[] = {
    OPTION_STRING(struct manualroute, host_all_ignored, "defer"),
    OPTION_STRING(struct manualroute, host_find_failed, "freeze"),
    OPTION_BOOL(struct manualroute, hosts_randomize, false),
    OPTION_EXPAND(struct manualroute, route_data, NULL),
    OPTION_STRING(struct manualroute, route_list, NULL),
    OPTION_BOOL(struct manualroute, same_domain_copy_routing, false),
};
/* clang-format on */

/* ---- rules ---- */

/* What a backslash in a quoted part stands for; moves *p to its last character. */
static char escaped(const char **p)
{
    static const char names[] = "n\nr\rt\tb\bf\f";
    int value = 0;

    for (const char *n = names; *n != '\0'; n += 2)
        if (**p == n[0])
            return n[1];
    if (**p < '0' || **p > '7')
        return **p;
    for (int i = 0; i < 3 && **p >= '0' && **p <= '7'; i++)
        value = value * 8 + *(*p)++ - '0';
    (*p)--;
    return (char)value;
}

/* The next part: up to white space, or quoted. */
static const char *next_part(struct arena *a, const char **s)
{
    const char *p = cstr_skip_space(*s);
    char *out = arena_strdup(a, p), *t = out;

    if (*p != '"') {
        while (*p != '\0' && !is_space(*p))
            *t++ = *p++;
    } else {
        for (p++; *p != '\0' && *p != '"'; p++) {
            if (*p == '\\' && p[1] != '\0')
                p++, *t++ = escaped(&p);
            else
                *t++ = *p;
        }
        p += *p == '"';
    }
    *t = '\0';
    *s = cstr_skip_space(p);
    return out;
}

void manualroute_parse_rule(struct arena *a, const char *text, bool with_pattern,
                            struct manualroute_rule *out)
{
    out->pattern = with_pattern ? next_part(a, &text) : "";
    out->hosts = next_part(a, &text);
    out->options = arena_strdup(a, text);
}

static bool known_option(const char *word, struct manualroute_options *o)
{
    if (strcmp(word, "randomize") == 0)
        o->randomize = true;
    else if (strcmp(word, "no_randomize") == 0)
        o->randomize = false;
    else if (strcmp(word, "byname") == 0)
        o->by_name = true, o->by_dns = false;
    else if (strcmp(word, "bydns") == 0)
        o->by_dns = true, o->by_name = false;
    else if (strcmp(word, "ipv4_only") == 0)
        o->ipv4_only = true;
    else if (strcmp(word, "ipv4_prefer") == 0)
        o->ipv4_prefer = true;
    else
        return false;
    return true;
}

bool manualroute_parse_options(struct arena *a, const struct config *cfg, const char *text,
                               struct manualroute_options *o, const char **bad)
{
    while (*(text = cstr_skip_space(text)) != '\0') {
        size_t n = strcspn(text, " \t\r\n\f\v");
        const char *word = arena_strndup(a, text, n);
        const struct transport *t = NULL;

        if (!known_option(word, o) && (t = transport_find(cfg, word)) == NULL) {
            *bad = text;
            return false;
        }
        if (t != NULL)
            o->transport = t;
        text += n;
    }
    return true;
}

/* ---- reading ---- */

static bool compile_rules(struct manualroute *mr, const struct config *cfg, struct arena *a, struct err *err)
{
    const struct rule **tail = &mr->rules;
    struct list_iter it = list_begin(mr->route_list, ';');

    for (const char *item; (item = list_next(&it, a)) != NULL;) {
        struct manualroute_rule text;
        if (item[0] == '\0')
            continue;
        manualroute_parse_rule(a, item, true, &text);
        struct rule *r = arena_new_obj(a, struct rule);
        /* A list of one item: a separator that no pattern holds. */
        const struct match_list *list = match_compile(a, LIST_DOMAIN, arena_printf(a, "<\n%s", text.pattern), cfg, err);
        if (list == NULL)
            return false;
        struct match_list *shown = arena_new_obj(a, struct match_list);
        *shown = *list;
        shown->text = text.pattern; /* as debug output is to show it */
        r->pattern = shown;
        r->hosts = text.hosts;
        r->options = text.options;
        *tail = r;
        tail = (const struct rule **)&r->next;
    }
    return true;
}

static bool manualroute_check(struct router *r, const struct config *cfg, struct arena *a, struct err *err)
{
    struct manualroute *mr = (struct manualroute *)r;

    if ((mr->route_data == NULL) == (mr->route_list == NULL))
        return err_set(err, a, "route_list or route_data (but not both) must be specified");
    if (!hostlist_action_parse(mr->host_find_failed, &mr->find_failed))
        return err_set(err, a, "unrecognized setting for host_find_failed option");
    if (!hostlist_action_parse(mr->host_all_ignored, &mr->all_ignored) || mr->all_ignored == HFF_IGNORE)
        return err_set(err, a, "unrecognized setting for host_all_ignored option");
    return mr->route_list == NULL || compile_rules(mr, cfg, a, err);
}

/* ---- routing ---- */

/* ROUTE_OK: *out is expanded. */
static enum route_rc expand_part(struct route_call *call, enum expand_rc rc, const char *text)
{
    if (rc == EXPAND_OK)
        return ROUTE_OK;
    if (rc == EXPAND_FORCED)
        return ROUTE_DECLINE;
    return route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "failed to expand \"%s\": %s",
                        text, call->ctx->err.msg);
}

/* $0 is the domain while the hosts of a rule are expanded; $value what a lookup pattern found. */
static void set_captures(struct expand_ctx *ctx, const char *domain, const char *data)
{
    if (ctx->captures.count == 0)
        ctx->captures.count = 1;
    ctx->captures.v[0] = domain;
    if (data != NULL)
        ctx->value = data;
}

static enum route_rc find_in_list(const struct manualroute *mr, struct route_call *call, const char **hosts,
                                  const char **opts)
{
    for (const struct rule *r = mr->rules; r != NULL; r = r->next) {
        const char *data = NULL;
        call->ctx->captures.count = 0;
        enum rc rc = match_domain(call->ctx, r->pattern, call->addr->domain, &data);
        if (rc == RC_DEFER)
            return route_result(call, ROUTE_DEFER, ERR_DNSDEFER, "4.4.3",
                                "lookup defer in route_list of %s router: %s", call->addr->router->name,
                                call->ctx->err.msg == NULL ? "" : call->ctx->err.msg);
        if (rc != RC_OK)
            continue;
        set_captures(call->ctx, call->addr->domain, data);
        *opts = r->options;
        return expand_part(call, expand_text(call->ctx, r->hosts, hosts), r->hosts);
    }
    return ROUTE_DECLINE;
}

static enum route_rc find_in_data(const struct manualroute *mr, struct route_call *call, const char **hosts,
                                  const char **opts)
{
    struct manualroute_rule rule;
    const char *v;
    enum route_rc rc = expand_part(call, expand(call->ctx, mr->route_data, &v), mr->route_data->text);

    if (rc != ROUTE_OK)
        return rc;
    if (*(v = cstr_skip_space(v)) == '\0')
        return ROUTE_DECLINE;
    manualroute_parse_rule(call->ctx->arena, v, false, &rule);
    *opts = rule.options;
    return expand_part(call, expand_text(call->ctx, rule.hosts, hosts), rule.hosts);
}

static enum route_rc log_error(struct route_call *call, const char *logged)
{
    const struct message *m = call->ctx->message;

    log_write(call->ctx->exim->log, LOG_MAIN, m == NULL ? NULL : m->id, "%s", logged);
    return ROUTE_DEFER;
}

static enum route_rc to_remote(const struct manualroute *mr, struct route_call *call, const char *hosts,
                               const struct manualroute_options *o)
{
    const struct hostlist l = { .by_name = o->by_name, .by_dns = o->by_dns, .ipv4_only = o->ipv4_only,
                                .ipv4_prefer = o->ipv4_prefer, .find_failed = mr->find_failed,
                                .all_ignored = mr->all_ignored };

    if (hosts[0] == '\0' && !call->verify) {
        route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5",
                     "error in %s router: no host(s) specified for domain %s", call->addr->router->name,
                     call->addr->domain);
        return log_error(call, call->addr->result.message);
    }
    call->addr->host_list = host_list_parse(call->ctx->arena, hosts, o->randomize);
    if (call->addr->host_list != NULL) {
        enum route_rc rc = hostlist_find(call, &l);
        if (rc != ROUTE_OK)
            return rc;
    }
    if (!route_queue(call))
        return ROUTE_DEFER;
    call->results->same_domain = mr->same_domain_copy_routing;
    return ROUTE_OK;
}

/* A local transport is not interested in addresses: the list is $host as it stands. */
static enum route_rc to_local(struct route_call *call, const char *hosts)
{
    if (hosts[0] != '\0') {
        struct host *h = arena_new_obj(call->ctx->arena, struct host);
        h->name = hosts;
        h->mx = MX_NONE;
        call->addr->host_list = h;
    }
    return route_queue(call) ? ROUTE_OK : ROUTE_DEFER;
}

static enum route_rc manualroute_route(const struct router *r, struct route_call *call)
{
    const struct manualroute *mr = (const struct manualroute *)r;
    struct manualroute_options o = { .randomize = mr->hosts_randomize };
    const char *hosts, *opts = "", *bad;
    enum route_rc rc = mr->route_list != NULL ? find_in_list(mr, call, &hosts, &opts)
                                              : find_in_data(mr, call, &hosts, &opts);

    if (rc != ROUTE_OK)
        return rc;
    if (!manualroute_parse_options(call->ctx->arena, call->ctx->exim->config, opts, &o, &bad)) {
        route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5",
                     "error in router: unknown routing option or transport name \"%s\"", bad);
        return log_error(call, arena_printf(call->ctx->arena,
                                            "Error in %s router: unknown routing option or transport name \"%s\"",
                                            r->name, bad));
    }
    call->addr->transport = o.transport;
    if (!route_prepare(call))
        return ROUTE_DEFER;
    return hostlist_is_remote(call) ? to_remote(mr, call, hosts, &o) : to_local(call, hosts);
}

const struct router_driver router_manualroute = {
    .name = "manualroute",
    .instance_size = sizeof(struct manualroute),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .check = manualroute_check,
    .route = manualroute_route,
};
