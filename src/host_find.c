#include "host.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/digest.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "host_int.h"

enum { MX_MAX = 512, HOST_LIST_MAX = 2048 };

struct finder {
    struct exim *exim;
    struct arena *arena;
    const struct host_find_options *o;
    struct err *err;
    bool any_deferred, any_ignored, any_insecure, any_literal;
};

struct found_list {
    struct host *first, **tail;
    size_t count;
};

static void append(struct finder *f, struct found_list *l, const struct host *model, const struct ip *ip)
{
    char text[IP_TEXT_MAX];

    if (l->count == HOST_LIST_MAX)
        return;
    struct host *h = arena_new_obj(f->arena, struct host);

    *h = *model;
    h->next = NULL;
    if (ip != NULL)
        h->address = arena_strdup(f->arena, ip_print(ip, text));
    *l->tail = h;
    l->tail = &h->next;
    l->count++;
}

static bool is_ignored(struct finder *f, const char *name, const struct ip *ip)
{
    char text[IP_TEXT_MAX];

    return f->o->ignore != NULL && f->o->ignore(f->o->ignore_arg, name, ip_print(ip, text));
}

/* Random order, IPv6 before IPv4 (or after it with ipv4_prefer). */
static void order_addresses(struct ip *ips, size_t n, uint8_t first_family)
{
    struct ip sorted[HOST_ADDRESSES_MAX];
    size_t at = 0;

    host_shuffle(ips, n, sizeof(*ips));
    for (size_t i = 0; i < n; i++)
        if (ips[i].family == first_family)
            sorted[at++] = ips[i];
    for (size_t i = 0; i < n; i++)
        if (ips[i].family != first_family)
            sorted[at++] = ips[i];
    memcpy(ips, sorted, n * sizeof(*ips));
}

static enum host_find add_addresses(struct finder *f, struct found_list *l, const struct host *model,
                                    const struct ip_list *ips)
{
    size_t before = l->count;

    for (size_t i = 0; i < ips->count; i++)
        if (!is_ignored(f, model->name, &ips->ips[i]))
            append(f, l, model, &ips->ips[i]);
    if (l->count > before)
        return HOST_FOUND;
    f->any_ignored = true;
    return HOST_IGNORED;
}

static bool literal_address(const char *name, struct ip_list *out, struct ip *one)
{
    if (!ip_parse(name, one))
        return false;
    *out = (struct ip_list){ one, 1 };
    return true;
}

static enum host_find by_system(struct finder *f, struct found_list *l, struct host *model)
{
    struct ip_list ips;
    const char *canonical;
    enum rc rc = host_system_addresses(f->exim, f->arena, model->name, &ips, &canonical, f->err);

    if (rc != RC_OK)
        return rc == RC_DEFER ? HOST_FIND_AGAIN : HOST_FIND_FAILED;
    if (f->o->require_dnssec)
        return HOST_FIND_SECURITY;
    model->name = canonical;
    return add_addresses(f, l, model, &ips);
}

/* Appends the addresses of model's name, one host each. */
static enum host_find find_addresses(struct finder *f, struct found_list *l, struct host *model,
                                     const char **full)
{
    const struct host_find_options *o = f->o;
    struct host_dns_request rq = { model->name, o->qualify_single, o->search_parents,
                                   o->request_dnssec || o->require_dnssec, o->ipv4_only };
    struct host_dns_addresses dns;
    struct ip_list one;
    struct ip ip;

    *full = model->name;
    if (literal_address(model->name, &one, &ip))
        return add_addresses(f, l, model, &one);
    if (o->by_name)
        return by_system(f, l, model);
    enum rc rc = host_dns_addresses(f->exim, f->arena, &rq, &dns, f->err);

    if (rc == RC_DEFER)
        return HOST_FIND_AGAIN;
    if (rc == RC_FAIL)
        return o->by_dns ? HOST_FIND_FAILED : by_system(f, l, model);
    if (o->require_dnssec && !dns.ad)
        return HOST_FIND_SECURITY;
    *full = dns.full;
    model->certname = dns.full;
    model->name = dns.canonical;
    model->dnssec_used = rq.want_dnssec;
    model->dnssec_ok = model->dnssec_ok && dns.ad;
    order_addresses(unconst(dns.ips.ips), dns.ips.count, o->ipv4_prefer ? 4 : 6);
    return add_addresses(f, l, model, &dns.ips);
}

/* Puts the list in the place of h, before what followed it. */
static void replace(struct host *h, struct found_list *l)
{
    struct host *after = h->next;

    *l->tail = after;
    *h = *l->first;
}

/* Drops the local host and all that is not preferred to it; it may only lead the list. */
static enum host_find remove_local(struct exim *e, struct found_list *l)
{
    struct host *last_better = NULL, *self = l->first;

    for (; self != NULL; self = self->next)
        if (self->address != NULL && host_is_self(e, self))
            break;
    if (self == NULL)
        return HOST_FOUND;
    for (struct host *h = l->first; h != self; h = h->next)
        if (h->mx < self->mx)
            last_better = h;
    if (last_better == NULL) {
        struct host copy = *self;

        self->next = NULL;
        copy.next = NULL;
        *l->first = copy;
        l->tail = &l->first->next;
        return HOST_FOUND_LOCAL;
    }
    last_better->next = NULL;
    l->tail = &last_better->next;
    return HOST_FOUND;
}

static enum host_find finish(struct finder *f, struct host *h, struct found_list *l)
{
    if (l->first == NULL)
        return f->any_deferred   ? HOST_FIND_AGAIN
               : f->any_insecure ? HOST_FIND_SECURITY
               : f->any_ignored  ? HOST_IGNORED
                                 : HOST_FIND_FAILED;
    bool usable = false;

    for (const struct host *i = l->first; i != NULL; i = i->next)
        usable = usable || i->address != NULL;
    if (!usable)
        return HOST_FIND_AGAIN;
    struct host **end = l->tail;
    enum host_find rc = remove_local(f->exim, l);

    if (rc == HOST_FOUND && l->tail != end && f->o->self_removed != NULL)
        *f->o->self_removed = true;
    replace(h, l);
    return rc;
}

enum host_find host_find_address(struct exim *e, struct arena *a, struct host *h,
                                 const struct host_find_options *o, const char **fqdn, struct err *err)
{
    struct finder f = { .exim = e, .arena = a, .o = o, .err = err };
    struct found_list l = { .tail = &l.first };
    struct host model = *h;
    const char *full;

    model.dnssec_ok = true;
    if (model.certname == NULL)
        model.certname = model.name;
    if (host_domain_listed(e, e->config->main.hosts_treat_as_local, h->name))
        return HOST_FOUND_LOCAL;
    enum host_find rc = find_addresses(&f, &l, &model, &full);

    if (!model.dnssec_used)
        for (struct host *i = l.first; i != NULL; i = i->next)
            i->dnssec_ok = false;
    if (fqdn != NULL)
        *fqdn = full;
    return rc == HOST_FOUND ? finish(&f, h, &l) : rc;
}

/* RFC 2782: within a priority, records are drawn with a probability by weight. */
static void order_by_weight(struct dns_record *recs, size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        uint32_t sum = 0, run = 0;
        size_t pick = i;

        for (size_t j = i; j < n; j++)
            sum += recs[j].weight;
        uint32_t aim = random_below(sum + 1);

        for (size_t j = i; j < n; j++) {
            run += recs[j].weight;
            if (run >= aim) {
                pick = j;
                break;
            }
        }
        struct dns_record spare = recs[pick];

        memmove(&recs[i + 1], &recs[i], (pick - i) * sizeof(*recs));
        recs[i] = spare;
    }
}

static int by_priority(const void *a, const void *b)
{
    const struct dns_record *x = a, *y = b;

    return (int)x->priority - (int)y->priority;
}

static void order_records(struct dns_record *recs, size_t n, bool srv)
{
    host_shuffle(recs, n, sizeof(*recs));
    qsort(recs, n, sizeof(*recs), by_priority);
    for (size_t from = 0, to; srv && from < n; from = to) {
        for (to = from; to < n && recs[to].priority == recs[from].priority; to++)
            ;
        order_by_weight(recs + from, to - from);
    }
    /* qsort need not be stable: draw equal ones again. */
    for (size_t from = 0, to; !srv && from < n; from = to) {
        for (to = from; to < n && recs[to].priority == recs[from].priority; to++)
            ;
        host_shuffle(recs + from, to - from, sizeof(*recs));
    }
}

static void add_target(struct finder *f, struct found_list *l, const struct dns_answer *ans,
                       const struct dns_record *rec, const struct host *h)
{
    struct host model = { .name = rec->name, .certname = rec->name, .mx = rec->priority,
                          .sort_key = rec->priority, .port = h->port, .dnssec_used = h->dnssec_used,
                          .dnssec_ok = ans->ad };
    struct ip literal;
    const char *full;

    if (rec->type == DNS_T_SRV)
        model.port = rec->port;
    if (ip_parse(rec->name, &literal) && !f->exim->config->main.allow_mx_to_ip) {
        f->any_literal = true;
        return;
    }
    if (host_domain_listed(f->exim, f->exim->config->main.hosts_treat_as_local, rec->name)) {
        model.address = "0.0.0.0"; /* whatever it resolves to, it is this host */
        append(f, l, &model, NULL);
        return;
    }
    switch (find_addresses(f, l, &model, &full)) {
    case HOST_FIND_AGAIN:
        f->any_deferred = true;
        model.status = HOST_UNUSABLE;
        model.why = HWHY_DEFER;
        append(f, l, &model, NULL);
        break;
    case HOST_FIND_SECURITY:
        f->any_insecure = true;
        break;
    default:
        break;
    }
}

static bool is_null_record(const struct dns_answer *ans)
{
    return ans->count == 1 && ans->records[0].name[0] == '\0';
}

static enum host_find use_records(struct finder *f, struct host *h, struct dns_answer *ans, bool srv)
{
    struct found_list l = { .tail = &l.first };
    size_t n = ans->count < MX_MAX ? ans->count : MX_MAX;

    if (is_null_record(ans)) { /* RFC 7505, RFC 2782: no service here */
        if (f->o->null_record != NULL)
            *f->o->null_record = true;
        err_set(f->err, f->arena, srv ? "an SRV record says that there is no such service"
                                      : "an MX record says that the domain takes no mail");
        return HOST_FIND_FAILED;
    }
    if (f->o->require_dnssec && !ans->ad)
        return HOST_FIND_SECURITY;
    h->dnssec_used = f->o->request_dnssec || f->o->require_dnssec;
    order_records(ans->records, n, srv);
    for (size_t i = 0; i < n; i++)
        if (ans->records[i].name[0] != '\0')
            add_target(f, &l, ans, &ans->records[i], h);
    if (l.first == NULL && !f->any_deferred)
        err_set(f->err, f->arena, "all relevant %s records point to %s hosts%s", srv ? "SRV" : "MX",
                f->any_ignored ? "ignored" : "non-existent",
                f->any_literal ? " or (invalidly) to IP addresses" : "");
    return finish(f, h, &l);
}

enum looked { LOOKED_NONE, LOOKED_DONE };

/* Looks for one kind of record: LOOKED_DONE when *rc decides. */
static enum looked look_for(struct finder *f, struct host *h, bool srv, const char **fqdn,
                            enum host_find *rc)
{
    const struct host_find_options *o = f->o;
    struct dns_answer ans;
    const char *full;
    const struct dns_search_request ask = {
        .name = srv ? arena_printf(f->arena, "_%s._tcp.%s", o->srv_service, h->name) : h->name,
        .type = srv ? DNS_T_SRV : DNS_T_MX,
        .qualify_single = o->qualify_single && !srv,
        .search_parents = o->search_parents && !srv,
        .want_dnssec = o->request_dnssec || o->require_dnssec,
    };
    enum dns_rc found = dns_search(f->exim->resolver, f->arena, &ask, &ans, &full);

    switch (found) {
    case DNS_SUCCEED:
        if (!srv && fqdn != NULL)
            *fqdn = full;
        *rc = use_records(f, h, &ans, srv);
        return LOOKED_DONE;
    case DNS_NODATA:
        if (!srv && fqdn != NULL)
            *fqdn = full;
        return LOOKED_NONE;
    case DNS_NOMATCH:
        if (srv)
            return LOOKED_NONE;
        err_set(f->err, f->arena, "%s does not exist", h->name);
        *rc = HOST_FIND_FAILED;
        /* The system may know a name that the DNS does not; MX lookups never ask it. */
        return LOOKED_DONE;
    default:
        if (srv ? o->srv_fail_is_none : o->mx_fail_is_none)
            return LOOKED_NONE;
        err_set(f->err, f->arena, "%s", ans.err.msg != NULL ? ans.err.msg : "DNS failure");
        *rc = HOST_FIND_AGAIN;
        return LOOKED_DONE;
    }
}

enum host_find host_find_mx(struct exim *e, struct arena *a, struct host *h, const struct host_find_options *o,
                            const char **fqdn, struct err *err)
{
    struct finder f = { .exim = e, .arena = a, .o = o, .err = err };
    enum host_find rc = HOST_FIND_FAILED;

    if (fqdn != NULL)
        *fqdn = h->name;
    if (o->use_srv && o->srv_service != NULL &&
        look_for(&f, h, true, fqdn, &rc) == LOOKED_DONE)
        return rc;
    if (o->use_mx && look_for(&f, h, false, fqdn, &rc) == LOOKED_DONE)
        return rc;
    if (o->mx_must || !o->use_addresses) {
        err_set(err, a, "no MX records for %s", h->name);
        return HOST_FIND_FAILED;
    }
    struct host_find_options plain = *o;

    plain.by_dns = true;
    return host_find_address(e, a, h, &plain, fqdn, err);
}
