#include "match/match_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "regex.h"
#include "session.h"

enum { REMEMBERED_MAX = 4096 };

/* ---- captures ---- */

void match_item_capture(struct match_subject *s, const char *text, size_t len)
{
    struct captures *c = &s->ctx->captures;

    if (s->captured < 0 || c->count >= CAPTURE_MAX)
        return;
    if (c->count == 0)
        c->v[c->count++] = s->text;
    c->v[c->count++] = arena_strndup(s->ctx->arena, text, len);
}

static void capture_regex(struct match_subject *s, const struct captures *found)
{
    struct captures *c = &s->ctx->captures;

    if (c->count <= 1 && s->kind != LIST_ADDRESS) {
        *c = *found;
        return;
    }
    for (int i = 1; i < found->count && c->count < CAPTURE_MAX; i++)
        c->v[c->count++] = found->v[i];
}

/* ---- plain comparisons ---- */

static bool same(const char *a, const char *b, bool caseless)
{
    return caseless ? cstr_ieq(a, b) : strcmp(a, b) == 0;
}

static enum match_rc match_suffix(struct match_subject *s, const struct match_item *item,
                                  const char *subject)
{
    const char *suffix = item->text + 1;
    size_t len = strlen(subject), n = strlen(suffix);

    if (n > len || !same(subject + len - n, suffix, s->caseless))
        return MATCH_NO;
    match_item_capture(s, subject, len - n);
    return MATCH_YES;
}

enum match_rc match_item_regex(struct match_subject *s, const struct match_item *item,
                               const char *subject)
{
    const struct regex *re = s->caseless || item->u.regex.caseful == NULL
                                 ? item->u.regex.caseless
                                 : item->u.regex.caseful;
    struct captures found = { 0 };
    enum rc rc = regex_match(re, s->ctx->arena, str_from(subject), &found, &s->ctx->err);

    if (rc == RC_OK && s->captured >= 0)
        capture_regex(s, &found);
    return rc == RC_OK ? MATCH_YES : rc == RC_DEFER ? MATCH_DEFER : MATCH_NO;
}

enum match_rc match_item_lookup(struct match_subject *s, const struct match_item *item,
                                const char *key)
{
    const struct search_type *type = &item->u.lookup.type;
    bool query = (type->driver->flags & LOOKUP_QUERY) != 0;
    const char *captured[2] = { NULL, NULL };
    enum rc rc = search_find(s->ctx, type, query ? NULL : item->u.lookup.data,
                             query ? item->u.lookup.data : key, &s->data, captured);

    if (rc != RC_OK)
        return rc == RC_FAIL ? MATCH_NO : MATCH_DEFER;
    if (type->partial >= 0 && captured[0] != NULL) {
        match_item_capture(s, captured[0], strlen(captured[0]));
        match_item_capture(s, captured[1], strlen(captured[1]));
    }
    return MATCH_YES;
}

/* ---- this host ---- */

static enum match_rc match_literal_address(struct match_subject *s, const char *subject)
{
    size_t len = strlen(subject);
    struct ip ip;

    if (len < 3 || subject[0] != '[' || subject[len - 1] != ']')
        return MATCH_NO;
    const char *text = arena_strndup(s->ctx->arena, subject + 1, len - 2);
    if (cstr_istarts(text, "ipv6:"))
        text += 5;
    return ip_parse(text, &ip) && host_is_local(s->ctx->exim, &ip) ? MATCH_YES : MATCH_NO;
}

static bool is_ignored(struct match_subject *s, const struct match_item *item,
                       const char *address)
{
    return item->u.mx.ignore != NULL &&
           match_outgoing_host(s->ctx, item->u.mx.ignore, NULL, address) == RC_OK;
}

/* Does the name stand for this host, by hosts_treat_as_local or by its addresses? */
static enum rc name_is_local(struct match_subject *s, const struct match_item *item,
                             const char *name)
{
    struct exim *x = s->ctx->exim;
    struct ip_list ips = { 0 };
    struct err err = { 0 };
    const struct match_list *treat = x->config->main.hosts_treat_as_local;

    if (treat != NULL && match_domain(s->ctx, treat, name, NULL) == RC_OK)
        return RC_OK;
    enum rc rc = host_addresses(x, s->ctx->arena, name, &ips, &err);
    if (rc != RC_OK) {
        s->ctx->err = err;
        return rc;
    }
    for (size_t i = 0; i < ips.count; i++) {
        char text[IP_TEXT_MAX];

        if (host_is_local(x, &ips.ips[i]) &&
            !is_ignored(s, item, ip_print(&ips.ips[i], text)))
            return RC_OK;
    }
    return RC_FAIL;
}

static enum match_rc match_mx(struct match_subject *s, const struct match_item *item,
                              const char *domain)
{
    struct expand_ctx *ctx = s->ctx;
    struct dns_answer mx = { 0 };
    bool primary = false, secondary = false, deferred = false;
    unsigned best = UINT16_MAX;
    enum dns_rc rc =
        dns_query(ctx->exim->resolver, ctx->arena, domain, DNS_T_MX, false, &mx);

    if (rc == DNS_AGAIN) {
        err_set(&ctx->err, ctx->arena, "host lookup deferred for MX of %s", domain);
        return MATCH_DEFER;
    }
    if (rc != DNS_SUCCEED)
        return MATCH_NO;
    for (size_t i = 0; i < mx.count; i++)
        if (mx.records[i].priority < best)
            best = mx.records[i].priority;
    for (size_t i = 0; i < mx.count; i++) {
        enum rc local = name_is_local(s, item, mx.records[i].name);

        deferred |= local == RC_DEFER;
        if (local == RC_OK)
            *(mx.records[i].priority == best ? &primary : &secondary) = true;
    }
    bool yes = item->u.mx.which == MX_ANY       ? primary || secondary
               : item->u.mx.which == MX_PRIMARY ? primary
                                                : secondary && !primary;
    return yes ? MATCH_YES : deferred && !primary ? MATCH_DEFER : MATCH_NO;
}

/* ---- named lists ---- */

/* What a named list said about one subject while this message (or session) is handled. */
struct remembered {
    enum match_rc rc;
    const char *data;
    struct captures captures;
};

static struct hash **memory_of(const struct expand_ctx *ctx, struct arena **a)
{
    if (ctx->message != NULL) {
        *a = ctx->message->arena;
        return &ctx->message->list_cache;
    }
    if (ctx->session != NULL) {
        *a = ctx->session->arena;
        return &ctx->session->list_cache;
    }
    return NULL;
}

static const char *memory_key(const struct match_subject *s, const struct named_list *nl)
{
    return arena_printf(s->ctx->arena, "%d %s%c%s", (int)nl->list->kind, nl->name,
                        s->caseless ? '\n' : '\t', match_subject_text(s));
}

static void remember(struct match_subject *s, const char *key, enum match_rc rc)
{
    struct arena *a;
    struct hash **memory = memory_of(s->ctx, &a);

    if (*memory == NULL)
        *memory = hash_new(a, false);
    if (hash_count(*memory) >= REMEMBERED_MAX)
        return;
    struct remembered *r = arena_new_obj(a, struct remembered);
    r->rc = rc;
    r->data = s->data == NULL ? NULL : arena_strdup(a, s->data);
    if (s->captured >= 0 && rc == MATCH_YES) {
        r->captures = s->ctx->captures;
        for (int i = 0; i < r->captures.count; i++)
            r->captures.v[i] = arena_strdup(a, r->captures.v[i]);
    }
    hash_put(*memory, arena_strdup(a, key), r);
}

static bool recall(struct match_subject *s, const char *key, enum match_rc *rc)
{
    struct arena *a;
    struct hash **memory = memory_of(s->ctx, &a);
    const struct remembered *r =
        memory == NULL || *memory == NULL ? NULL : hash_find(*memory, key);

    if (r == NULL)
        return false;
    *rc = r->rc;
    s->data = r->data;
    if (s->captured >= 0 && r->captures.count > 0)
        s->ctx->captures = r->captures;
    return true;
}

static enum match_rc run_named(struct match_subject *s, const struct named_list *nl)
{
    enum rc rc = match_list_run(s, nl->list);

    return rc == RC_OK ? MATCH_YES : rc == RC_DEFER ? MATCH_DEFER : MATCH_NO;
}

/* Only what costs something is remembered; one with captures of its own before it is not
 * alone. */
static bool worth_remembering(const struct match_subject *s, const struct named_list *nl)
{
    const struct match_program *p = nl->list->program;
    struct arena *a;

    return (s->kind != LIST_HOST || s->session_host) && s->captured <= 0 &&
           (p != NULL ? p->costly : nl->cache) && memory_of(s->ctx, &a) != NULL;
}

enum match_rc match_item_named(struct match_subject *s, const struct match_item *item)
{
    static const char *const kinds[] = { [LIST_DOMAIN] = "domain",
                                         [LIST_HOST] = "host",
                                         [LIST_ADDRESS] = "address",
                                         [LIST_LOCAL_PART] = "local part" };
    const struct hash *lists =
        s->ctx->exim->config == NULL ? NULL : s->ctx->exim->config->named_lists[s->kind];
    const struct named_list *nl = lists == NULL ? NULL : hash_find(lists, item->text + 1);
    enum match_rc rc;

    if (nl == NULL) {
        err_set(&s->ctx->err, s->ctx->arena, "unknown named %s list \"%s\"",
                kinds[s->kind], item->text);
        return MATCH_DEFER;
    }
    if (!worth_remembering(s, nl))
        return run_named(s, nl);
    const char *key = memory_key(s, nl);
    if (recall(s, key, &rc))
        return rc;
    bool expanded = s->expanded;
    s->expanded = false;
    rc = run_named(s, nl);
    if (rc != MATCH_DEFER && (nl->cache || !s->expanded))
        remember(s, key, rc);
    s->expanded |= expanded;
    return rc;
}

enum match_rc match_item_string(struct match_subject *s, const struct match_item *item)
{
    const char *subject = match_subject_text(s);

    switch (item->kind) {
    case ITEM_LITERAL:
        return same(subject, item->text, s->caseless) ? MATCH_YES : MATCH_NO;
    case ITEM_NAMES:
        return hash_find(item->u.names, subject) != NULL ? MATCH_YES : MATCH_NO;
    case ITEM_ANY:
    case ITEM_SUFFIX:
        return match_suffix(s, item, subject);
    case ITEM_REGEX:
        return match_item_regex(s, item, subject);
    case ITEM_LOOKUP:
        return match_item_lookup(s, item, subject);
    case ITEM_NAMED:
        return match_item_named(s, item);
    case ITEM_PRIMARY:
        return cstr_ieq(subject, s->ctx->exim->config->primary_hostname) ? MATCH_YES
                                                                         : MATCH_NO;
    case ITEM_LITERALS:
        return match_literal_address(s, subject);
    case ITEM_MX:
        return match_mx(s, item, subject);
    default:
        return MATCH_NO;
    }
}
