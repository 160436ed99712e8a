#include "match/match_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "host.h"
#include "session.h"

/* ---- by address ---- */

/* "0000.1111. ..." (or with colons): an address of fixed width as a lookup key. */
static const char *key_text(struct arena *a, const struct ip *ip, char sep)
{
    char text[IP_TEXT_MAX];
    struct buf b = buf_init(a, 128);

    if (ip->family == 4)
        return arena_strdup(a, ip_print(ip, text));
    for (int i = 0; i < 16; i += 2)
        buf_printf(&b, "%s%02x%02x",
                   i == 0       ? ""
                   : sep == ':' ? ":"
                                : ".",
                   ip->bytes[i], ip->bytes[i + 1]);
    return buf_cstr(&b);
}

static enum match_rc match_net_lookup(struct match_subject *s,
                                      const struct match_item *item)
{
    struct ip ip = s->ip;
    unsigned max = ip.family == 4 ? 32 : 128;
    int bits = item->u.lookup.bits;
    char sep = strcmp(item->u.lookup.type.driver->name, "iplsearch") == 0 ? ':' : '.';

    if (bits < 0)
        return match_item_lookup(s, item, key_text(s->ctx->arena, &ip, sep));
    ip_mask(&ip, (unsigned)bits > max ? max : (unsigned)bits);
    return match_item_lookup(
        s, item,
        arena_printf(s->ctx->arena, "%s/%d", key_text(s->ctx->arena, &ip, sep), bits));
}

static enum match_rc is_interface(struct match_subject *s)
{
    const struct ip_list all = host_local_interfaces(s->ctx->exim);

    for (size_t i = 0; i < all.count; i++)
        if (ip_eq(&all.ips[i], &s->ip))
            return MATCH_YES;
    return MATCH_NO;
}

/* ---- by name ---- */

static enum match_rc unknown(struct match_subject *s, const char *fmt, const char *arg)
{
    struct buf b = buf_init(s->ctx->arena, 2048);

    buf_add_cstr(&b, fmt);
    buf_add_cstr(&b, arg);
    s->why = buf_cstr(&b);
    return MATCH_UNKNOWN;
}

static enum match_rc no_names(struct match_subject *s)
{
    return unknown(s, "cannot match host name in match_ip list", "");
}

/* Is the subject one of the addresses of this name? */
static enum match_rc match_forward(struct match_subject *s, const char *name)
{
    struct expand_ctx *ctx = s->ctx;
    struct ip_list ips = { 0 };
    struct err err = { 0 };

    if (s->ip_only)
        return no_names(s);
    enum rc rc = host_addresses(ctx->exim, ctx->arena, name, &ips, &err);
    if (rc == RC_DEFER) {
        err_set(&ctx->err, ctx->arena, "DNS lookup of \"%s\" deferred", name);
        return MATCH_DEFER;
    }
    if (rc != RC_OK) {
        if (log_wants(ctx->exim->log, L_host_lookup_failed))
            log_write(ctx->exim->log, LOG_MAIN | LOG_BY(host_lookup_failed), NULL,
                      "no IP address found for host %s (during SMTP connection from %s)",
                      name,
                      ctx->session != NULL && ctx->session->fullhost != NULL
                          ? ctx->session->fullhost
                          : arena_printf(ctx->arena, "[%s]", s->text));
        return unknown(s, "failed to find IP address for ", name);
    }
    for (size_t i = 0; i < ips.count; i++) {
        struct ip ip = ip_unmap(ips.ips[i]);

        if (ip_eq(&ip, &s->ip))
            return MATCH_YES;
    }
    return MATCH_NO;
}

static enum match_rc match_name(struct match_subject *s, const struct match_item *item,
                                const char *name)
{
    s->folded = s->kept = cstr_lower(s->ctx->arena, name);
    return match_item_string(s, item);
}

/* Patterns that are compared with the names of the host: each of them. */
static enum match_rc match_names(struct match_subject *s, const struct match_item *item)
{
    struct match_host_subject *h = s->host;

    if (s->ip_only)
        return no_names(s);
    if (h->names == NULL || h->names[0] == NULL) {
        enum rc rc = h->lookup_names == NULL ? RC_FAIL : h->lookup_names(s->ctx, h);

        if (rc == RC_DEFER) {
            err_set(&s->ctx->err, s->ctx->arena,
                    "host lookup deferred for reverse lookup of %s", s->text);
            return MATCH_DEFER;
        }
        if (rc != RC_OK || h->names == NULL)
            return unknown(s, "failed to find host name for ", s->text);
    }
    enum match_rc rc = MATCH_NO;
    for (size_t i = 0; rc == MATCH_NO && h->names[i] != NULL; i++)
        rc = match_name(s, item, h->names[i]);
    s->folded = s->kept = s->text;
    return rc;
}

static enum match_rc match_lookup(struct match_subject *s, const struct match_item *item)
{
    if ((item->u.lookup.type.driver->flags & LOOKUP_QUERY) != 0)
        return match_item_lookup(s, item, NULL);
    if (item->u.lookup.net || s->ip_only)
        return s->ip.family == 0 ? MATCH_NO : match_net_lookup(s, item);
    return match_names(s, item);
}

enum match_rc match_host_item(struct match_subject *s, const struct match_item *item)
{
    if (item->kind == ITEM_ANY)
        return MATCH_YES;
    if (item->kind == ITEM_NAMED)
        return match_item_named(s, item);
    if (item->kind == ITEM_LITERAL && *item->text == '\0')
        return *s->text == '\0' ? MATCH_YES : MATCH_NO;
    if (*s->text == '\0' && (item->kind != ITEM_LOOKUP ||
                             (item->u.lookup.type.driver->flags & LOOKUP_QUERY) == 0))
        return MATCH_NO;
    switch (item->kind) {
    case ITEM_NET:
        return ip_in_net(&s->ip, &item->u.net.ip, item->u.net.bits) ? MATCH_YES
                                                                    : MATCH_NO;
    case ITEM_NETS:
        return match_group_has_ip(item->u.nets, &s->ip) ? MATCH_YES : MATCH_NO;
    case ITEM_LITERALS:
        return is_interface(s);
    case ITEM_PRIMARY:
        return match_forward(s, s->ctx->exim->config->primary_hostname);
    case ITEM_LITERAL:
        return match_forward(s, item->text);
    case ITEM_LOOKUP:
        return match_lookup(s, item);
    case ITEM_SUFFIX:
    case ITEM_REGEX:
        return match_names(s, item);
    case ITEM_BAD:
        return unknown(s, "malformed IPv4 address or address mask", "");
    default:
        return MATCH_NO;
    }
}
