#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "header.h"
#include "parse.h"
#include "receive_int.h"

/* Over SMTP the name of the caller goes only with the caller's own address. */
static bool is_caller(const struct receive *r)
{
    const char *sender = r->m->sender, *at = strrchr(sender, '@'),
               *login = r->m->originator_login;

    return at != NULL && login != NULL &&
           cstr_ieq(at + 1, r->e->config->qualify_domain) &&
           str_eq((struct str){ sender, (size_t)(at - sender) }, str_from(login));
}

const char *receive_sender_name(struct receive *r)
{
    const char *name = r->local ? r->e->originator_name : r->m->submission_name;
    const char *charset = r->e->config->main.headers_charset;

    if (name == NULL || *name == '\0' || (r->local && r->s->smtp_input && !is_caller(r)))
        return "";
    const char *encoded = name;
    for (const char *p = name; *p != '\0'; p++)
        if ((unsigned char)*p > 126 || (*p < ' ' && *p != '\t')) {
            encoded = parse_rfc2047_encode(r->m->arena, name,
                                           charset != NULL ? charset : "UTF-8", false);
            break;
        }
    return encoded != name ? encoded : parse_fix_phrase(r->m->arena, name);
}

/* The address that a submission stands for (manual 48.16); NULL when not authenticated.
 */
const char *receive_sender_submitter(struct receive *r)
{
    const char *id = r->s->authenticated_id, *domain = r->m->submission_domain;

    if (r->s->host_authenticated == NULL || id == NULL || *id == '\0')
        return NULL;
    if (domain != NULL && *domain == '\0')
        return id;
    return arena_printf(r->m->arena, "%s@%s", id,
                        domain != NULL ? domain : r->e->config->qualify_domain);
}

/* What is left of the local part without one of the affixes in list. */
static struct str strip(struct receive *r, struct str lp, const char *list, bool prefix)
{
    struct list_iter it = list_begin(list != NULL ? list : "", ':');

    for (const char *affix; (affix = list_next(&it, r->m->arena)) != NULL;) {
        size_t len = strlen(affix);

        if (*affix == '\0' || len >= lp.len)
            continue;
        if (prefix && strncasecmp(lp.p, affix, len) == 0)
            return (struct str){ lp.p + len, lp.len - len };
        if (!prefix && strncasecmp(lp.p + lp.len - len, affix, len) == 0)
            return (struct str){ lp.p, lp.len - len };
    }
    return lp;
}

static bool is_same_address(struct receive *r, const char *from, const char *expected)
{
    const struct main_options *o = &r->e->config->main;
    const char *at = strrchr(from, '@'), *want = strrchr(expected, '@');

    if (cstr_ieq(from, expected))
        return true;
    if (at == NULL) /* unqualified: it will get qualify_domain */
        return want != NULL && cstr_ieq(want + 1, r->e->config->qualify_domain) &&
               str_ieq(str_from(from),
                       (struct str){ expected, (size_t)(want - expected) });
    if (want == NULL || !cstr_ieq(at, want))
        return false;
    struct str lp = { from, (size_t)(at - from) };
    lp = strip(r, lp, o->local_from_prefix, true);
    lp = strip(r, lp, o->local_from_suffix, false);
    return str_ieq(lp, (struct str){ expected, (size_t)(want - expected) });
}

struct from_check {
    struct receive *r;
    const char *expected;
    unsigned count;
    bool same;
};

static bool check_one(void *arg, const struct parsed_address *p, const char *raw)
{
    struct from_check *c = arg;

    (void)raw;
    c->same = c->count++ == 0 && p->address != NULL &&
              is_same_address(c->r, p->address, c->expected);
    return true;
}

/* Is From: exactly the address that is expected? */
static bool from_is(struct receive *r, const char *prefix, const char *expected)
{
    struct header *h =
        header_find(&r->m->headers, arena_printf(r->m->arena, "%sFrom", prefix));
    struct from_check c = { .r = r, .expected = expected };

    if (h == NULL)
        return true; /* one is made from this very address */
    (void)parse_each_address(r->m->arena, header_body(h),
                             PARSE_ALLOW_DOMAIN_LITERAL | PARSE_ALLOW_UTF8, check_one,
                             &c);
    return c.same;
}

static void add_sender(struct receive *r, const char *prefix, const char *who)
{
    const char *name = receive_sender_name(r);
    struct arena *a = r->m->arena;

    (void)header_append(&r->m->headers, a, HEADER_SENDER,
                        *name != '\0'
                            ? arena_printf(a, "%sSender: %s <%s>\n", prefix, name, who)
                            : arena_printf(a, "%sSender: %s\n", prefix, who));
}

static void fix_submitted(struct receive *r, const char *prefix)
{
    const char *who = receive_sender_submitter(r);

    if (r->m->submission_sender_retain)
        return;
    (void)header_remove(&r->m->headers, arena_printf(r->m->arena, "%sSender", prefix), 0);
    if (who == NULL)
        return;
    if (!from_is(r, prefix, who))
        add_sender(r, prefix, who);
    if (*r->m->sender != '\0')
        r->m->sender = who;
}

static void fix_local(struct receive *r, const char *prefix)
{
    const struct main_options *o = &r->e->config->main;
    struct arena *a = r->m->arena;

    if (!o->local_sender_retain) {
        (void)header_remove(&r->m->headers, "Sender", 0);
        if (r->resent)
            (void)header_remove(&r->m->headers, "Resent-Sender", 0);
    }
    if (!o->local_from_check || r->m->originator_login == NULL)
        return;
    const char *who =
        arena_printf(a, "%s@%s", r->m->originator_login, r->e->config->qualify_domain);
    if (from_is(r, prefix, who))
        return;
    add_sender(r, prefix, who);
}

void receive_sender_fix(struct receive *r)
{
    const char *prefix = r->resent ? "Resent-" : "";

    if (r->m->no_fixups)
        return;
    if (r->m->submission && !r->local)
        fix_submitted(r, prefix);
    else if (r->local && !r->e->trusted)
        fix_local(r, prefix);
}
