#include "match/match_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "exim.h"

enum { CHAIN_MAX = 50 };

static struct match_subject domain_subject(const struct match_subject *s,
                                           const char *domain)
{
    struct match_subject d = *s;

    d.kind = LIST_DOMAIN;
    d.text = d.folded = d.kept = domain;
    return d;
}

/* The local part of an item may begin with an asterisk. */
static bool match_local(struct match_subject *s, const char *pattern, const char *local,
                        size_t len)
{
    bool wild = *pattern == '*';
    size_t n = strlen(pattern += wild);

    if (n > len || (!wild && n != len))
        return false;
    const char *tail = local + len - n;
    struct str a = { tail, n }, b = { pattern, n };
    if (!(s->caseless ? str_ieq(a, b) : str_eq(a, b)))
        return false;
    if (wild)
        match_item_capture(s, local, len - n);
    return true;
}

static enum match_rc match_domain_part(struct match_subject *s,
                                       const struct match_item *item, const char *domain,
                                       bool caseless)
{
    struct match_subject d = domain_subject(s, domain);

    d.caseless = caseless;
    enum match_rc rc = match_item_string(&d, item);
    s->data = d.data;
    s->expanded |= d.expanded;
    return rc;
}

/* ---- "@@lookup": the domain's data is a list of local parts ---- */

static struct match_subject local_subject(const struct match_subject *s,
                                          const char *local)
{
    struct match_subject l = *s;

    l.kind = LIST_LOCAL_PART;
    l.text = l.folded = l.kept = local;
    l.captured = -1;
    return l;
}

static enum match_rc test_local(struct match_subject *l, const char *text)
{
    struct match_item item = { .negated = false };

    if (!match_compile_item(l->ctx->arena, LIST_LOCAL_PART, text, &item, &l->ctx->err))
        return MATCH_DEFER;
    return match_item_string(l, &item);
}

/* One list of local parts; *next is the key to go on with, or NULL. *decided: an item
 * said yes or no. Found at the end, the last item's sign counts as in every list. */
static enum match_rc scan_locals(struct match_subject *l, const char *list,
                                 const char **next, bool *decided)
{
    struct list_iter it = list_begin(list, ':');
    bool negated = false;

    *next = NULL;
    *decided = true;
    for (const char *item; (item = list_next(&it, l->ctx->arena)) != NULL;) {
        if (*item == '>') {
            *next = item + 1;
            continue;
        }
        negated = *item == '!';
        if (negated)
            item = cstr_skip_space(item + 1);
        enum match_rc rc = test_local(l, item);
        if (rc == MATCH_YES)
            return negated ? MATCH_NO : MATCH_YES;
        if (rc == MATCH_DEFER)
            return rc;
    }
    *decided = false;
    return negated ? MATCH_YES : MATCH_NO;
}

static enum match_rc match_by_domain(struct match_subject *s,
                                     const struct match_item *item, const char *local,
                                     const char *domain)
{
    struct match_subject d = domain_subject(s, domain), l = local_subject(s, local);
    const char *key = domain;

    d.captured = -1;
    for (int i = 0; i < CHAIN_MAX; i++) {
        const char *next;
        bool decided;
        enum match_rc rc = match_item_lookup(&d, item, key);

        if (rc != MATCH_YES)
            return rc;
        rc = scan_locals(&l, d.data, &next, &decided);
        if (decided || next == NULL ||
            (item->u.lookup.type.driver->flags & LOOKUP_QUERY) != 0)
            return rc;
        key = next;
    }
    err_set(&s->ctx->err, s->ctx->arena,
            "Loop detected in lookup of local part of %s in %s", s->text, item->text);
    return MATCH_DEFER;
}

/* ---- items ---- */

static enum match_rc match_whole(struct match_subject *s, const struct match_item *item,
                                 const char *subject)
{
    struct match_item whole = *item;

    whole.u.lookup.type.partial = -1; /* the manual: no partial matching of addresses */
    return match_item_lookup(s, &whole, subject);
}

static enum match_rc match_parts(struct match_subject *s, const struct match_item *item,
                                 const char *subject)
{
    const char *at = strrchr(subject, '@');

    if (at == NULL) {
        if (*subject != '\0')
            log_write(s->ctx->exim->log, LOG_MAIN | LOG_PANIC, NULL,
                      "no @ found in the subject of an address list match: "
                      "subject=\"%s\" pattern=\"%s\"",
                      s->text, item->text);
        return MATCH_NO;
    }
    if (item->kind == ITEM_DOMAIN)
        return match_domain_part(s, item->u.address.domain, at + 1, true);
    if (item->kind == ITEM_BY_DOMAIN)
        return match_by_domain(
            s, item, arena_strndup(s->ctx->arena, subject, (size_t)(at - subject)),
            at + 1);
    if (!match_local(s, item->u.address.local, subject, (size_t)(at - subject)))
        return MATCH_NO;
    return match_domain_part(s, item->u.address.domain, at + 1, s->caseless);
}

enum match_rc match_address_item(struct match_subject *s, const struct match_item *item)
{
    const char *subject = match_subject_text(s);

    switch (item->kind) {
    case ITEM_LITERAL: /* the empty item */
        return strcmp(subject, item->text) == 0 ? MATCH_YES : MATCH_NO;
    case ITEM_REGEX:
        return match_item_regex(s, item, subject);
    case ITEM_LOOKUP:
        return match_whole(s, item, subject);
    case ITEM_NAMED:
        return match_item_named(s, item);
    case ITEM_ADDRESS:
    case ITEM_DOMAIN:
    case ITEM_BY_DOMAIN:
        return match_parts(s, item, subject);
    default:
        return MATCH_NO;
    }
}
