#include "match.h"
#include "match/match_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/log.h"
#include "base/str.h"
#include "exim.h"
#include "session.h"

/* ---- running a list ---- */

/* How the end of the list is reached, and what is to be done about missing data. */
struct run {
    bool last_negated;
    bool include_unknown, ignore_unknown, include_defer, ignore_defer;
};

static enum match_rc run_items(struct match_subject *s, const struct match_program *p,
                               struct run *run, bool inverted);

static void set_switch(struct run *run, enum item_switch sw)
{
    switch (sw) {
    case SWITCH_INCLUDE_UNKNOWN:
    case SWITCH_IGNORE_UNKNOWN:
        run->include_unknown = sw == SWITCH_INCLUDE_UNKNOWN;
        run->ignore_unknown = !run->include_unknown;
        break;
    case SWITCH_INCLUDE_DEFER:
    case SWITCH_IGNORE_DEFER:
        run->include_defer = sw == SWITCH_INCLUDE_DEFER;
        run->ignore_defer = !run->include_defer;
        break;
    }
}

static enum match_rc test_item(struct match_subject *s, const struct match_item *item)
{
    if (s->kind == LIST_ADDRESS)
        return match_address_item(s, item);
    if (s->kind == LIST_HOST)
        return match_host_item(s, item);
    return match_item_string(s, item);
}

static void note(struct match_subject *s, const char *before, const char *after)
{
    if (log_wants(s->ctx->exim->log, L_unknown_in_list))
        log_write(s->ctx->exim->log, LOG_MAIN | LOG_BY(unknown_in_list), NULL, "%s: %s",
                  before, after);
}

/* What an item of unknown outcome does to the list: MATCH_NO means go on. */
static enum match_rc settle(struct match_subject *s, const struct run *run,
                            enum match_rc rc, bool *decided)
{
    bool deferred = rc == MATCH_DEFER;
    const char *why = deferred ? s->ctx->err.msg : s->why;

    *decided = true;
    if (deferred ? run->include_defer : run->include_unknown) {
        note(s, why == NULL ? "lookup deferred" : why,
             deferred ? "accepted by +include_defer" : "accepted by +include_unknown");
        return MATCH_YES;
    }
    if (deferred ? run->ignore_defer : run->ignore_unknown) {
        DEBUG(D_LISTS)
        debug_printf("%s: item ignored\n", why);
        *decided = false;
        return MATCH_NO;
    }
    if (!deferred)
        note(s, "list matching forced to fail", why);
    return deferred ? MATCH_DEFER : MATCH_NO;
}

/* One item; *decided when the whole list is. */
static enum match_rc run_item(struct match_subject *s, const struct match_item *item,
                              struct run *run, bool inverted, bool *decided)
{
    bool negated = item->negated != inverted;

    *decided = false;
    if (s->captured >= 0)
        s->ctx->captures.count = s->captured;
    if (item->kind == ITEM_SWITCH) {
        set_switch(run, item->u.sw);
        return MATCH_NO;
    }
    if (item->kind == ITEM_CASEFUL) {
        s->caseless = false;
        return MATCH_NO;
    }
    run->last_negated = negated;
    if (item->kind == ITEM_FILE) {
        const struct match_program *lines = match_file_program(s, item->text);

        *decided = true;
        if (lines == NULL)
            return MATCH_DEFER;
        enum match_rc rc = run_items(s, lines, run, negated);
        *decided = rc != MATCH_UNKNOWN; /* UNKNOWN: the end of the file */
        return rc;
    }
    enum match_rc rc = test_item(s, item);
    if (rc == MATCH_NO)
        return rc;
    *decided = true;
    if (rc != MATCH_YES)
        return settle(s, run, rc, decided);
    s->matched = item;
    return negated ? MATCH_NO : MATCH_YES;
}

/* MATCH_UNKNOWN: no item decided. */
static enum match_rc run_items(struct match_subject *s, const struct match_program *p,
                               struct run *run, bool inverted)
{
    for (size_t i = 0; i < p->count; i++) {
        bool decided;
        enum match_rc rc = run_item(s, &p->items[i], run, inverted, &decided);

        if (decided)
            return rc;
    }
    return MATCH_UNKNOWN;
}

static enum rc run_program(struct match_subject *s, const struct match_program *p)
{
    struct run run = { .last_negated = false };
    bool caseless = s->caseless;
    int captured = s->captured;

    if (captured >= 0)
        s->captured = s->ctx->captures.count;
    enum match_rc rc = run_items(s, p, &run, false);
    if (rc == MATCH_UNKNOWN)
        rc = run.last_negated ? MATCH_YES : MATCH_NO;
    s->caseless = caseless;
    s->captured = captured;
    if (rc != MATCH_YES)
        s->data = NULL;
    return rc == MATCH_YES ? RC_OK : rc == MATCH_DEFER ? RC_DEFER : RC_FAIL;
}

static const struct match_program *expand_list(struct match_subject *s,
                                               const struct match_list *l, enum rc *rc)
{
    struct expand_ctx *ctx = s->ctx;
    const char *text;
    enum expand_rc erc = expand(ctx, l->expr, &text);

    s->expanded = true;
    *rc = RC_DEFER;
    if (erc == EXPAND_FORCED) {
        DEBUG(D_LISTS)
        debug_printf("expansion of \"%s\" forced failure: assume not in this list\n",
                     l->text);
        *rc = RC_FAIL;
        return NULL;
    }
    if (erc != EXPAND_OK) {
        const char *why = ctx->err.msg;

        err_set(&ctx->err, ctx->arena,
                "failed to expand \"%s\" while checking a list: %s", l->text,
                why == NULL ? "" : why);
        return NULL;
    }
    return match_compile_program(ctx->arena, l->kind, text, &ctx->err);
}

/* For -bh and -d, as Exim says it. */
static void explain(const struct match_subject *s, const struct match_list *l, enum rc rc)
{
    debug_printf("%s in \"%s\"? ", s->kind == LIST_HOST ? "host" : s->text, l->text);
    if (rc == RC_DEFER)
        debug_printf("deferred (%s)\n", s->ctx->err.msg == NULL ? "" : s->ctx->err.msg);
    else if (s->matched != NULL)
        debug_printf("%s (matched \"%s%s\")\n", rc == RC_OK ? "yes" : "no",
                     s->matched->negated ? "!" : "", s->matched->text);
    else
        debug_printf("%s (%s)\n", rc == RC_OK ? "yes" : "no",
                     s->why != NULL ? s->why : "end of list");
}

enum rc match_list_run(struct match_subject *s, const struct match_list *l)
{
    const struct match_program *p = l->program;
    enum rc rc;

    if (s->ctx->depth >= MATCH_DEPTH_MAX) {
        err_set(&s->ctx->err, s->ctx->arena, "lists are nested too deep at \"%s\"",
                l->text);
        return RC_DEFER;
    }
    s->ctx->depth++;
    s->matched = NULL;
    s->why = NULL;
    if (p == NULL)
        p = expand_list(s, l, &rc);
    if (p != NULL)
        rc = run_program(s, p);
    s->ctx->depth--;
    DEBUG(D_LISTS)
    if (s->kind != LIST_HOST ||
        s->ctx->acl_level > 0) /* host options are shown by name elsewhere */
        explain(s, l, rc);
    return rc;
}

/* ---- the four kinds ---- */

/* Captures of a list that did not match, or that has none to offer, are those before it.
 */
static enum rc run_capturing(struct match_subject *s, const struct match_list *l,
                             const char **data)
{
    struct captures before = s->ctx->captures;

    s->ctx->captures.count = 0;
    if (s->captured > 0)
        s->ctx->captures.v[s->ctx->captures.count++] = s->text;
    enum rc rc = match_list_run(s, l);
    if (rc != RC_OK || s->ctx->captures.count <= s->captured)
        s->ctx->captures = before;
    if (data != NULL)
        *data = rc == RC_OK ? s->data : NULL;
    return rc;
}

enum rc match_domain(struct expand_ctx *ctx, const struct match_list *l,
                     const char *domain, const char **data)
{
    const char *lower = cstr_lower(ctx->arena, domain);
    struct match_subject s = { .ctx = ctx,
                               .kind = LIST_DOMAIN,
                               .text = domain,
                               .folded = lower,
                               .kept = lower,
                               .caseless = true };

    return run_capturing(&s, l, data);
}

enum rc match_local_part(struct expand_ctx *ctx, const struct match_list *l,
                         const char *lp, bool caseless, const char **data)
{
    struct match_subject s = { .ctx = ctx,
                               .kind = LIST_LOCAL_PART,
                               .text = lp,
                               .folded = caseless ? cstr_lower(ctx->arena, lp) : lp,
                               .kept = lp,
                               .caseless = caseless };

    return run_capturing(&s, l, data);
}

static const char *fold_domain(struct arena *a, const char *address)
{
    const char *at = strrchr(address, '@');

    if (at == NULL)
        return address;
    return arena_printf(a, "%.*s%s", (int)(at - address), address, cstr_lower(a, at));
}

static struct match_subject address_subject(struct expand_ctx *ctx, const char *address,
                                            bool caseless)
{
    return (struct match_subject){ .ctx = ctx,
                                   .kind = LIST_ADDRESS,
                                   .text = address,
                                   .folded = cstr_lower(ctx->arena, address),
                                   .kept = fold_domain(ctx->arena, address),
                                   .caseless = caseless,
                                   .captured = -1 };
}

enum rc match_address(struct expand_ctx *ctx, const struct match_list *l,
                      const char *address, bool caseless_local, const char **data)
{
    struct match_subject s = address_subject(ctx, address, caseless_local);
    enum rc rc = match_list_run(&s, l);

    if (data != NULL)
        *data = rc == RC_OK ? s.data : NULL;
    return rc;
}

enum rc match_address_capture(struct expand_ctx *ctx, const struct match_list *l,
                              const char *address, bool caseless_local)
{
    struct match_subject s = address_subject(ctx, address, caseless_local);

    ctx->captures.count = 1;
    ctx->captures.v[0] = address;
    s.captured = 1;
    return match_list_run(&s, l);
}

static struct match_subject host_subject(struct expand_ctx *ctx,
                                         struct match_host_subject *h)
{
    struct match_subject s = {
        .ctx = ctx, .kind = LIST_HOST, .host = h, .caseless = true, .captured = -1
    };

    s.text = s.folded = s.kept = h->address == NULL ? "" : h->address;
    if (ip_parse(s.text, &s.ip))
        s.ip = ip_unmap(s.ip);
    return s;
}

enum rc match_host(struct expand_ctx *ctx, const struct match_list *l,
                   struct match_host_subject *h, const char **data)
{
    struct match_subject s = host_subject(ctx, h);
    enum rc rc = match_list_run(&s, l);

    h->unknown = rc == RC_FAIL ? s.why : NULL;
    if (data != NULL)
        *data = rc == RC_OK ? s.data : NULL;
    return rc;
}

/* host_name and aliases as one array. */
static void take_session_names(struct expand_ctx *ctx, struct match_host_subject *h)
{
    const struct session *c = ctx->session;
    size_t n = 0;

    if (c->host_name == NULL)
        return;
    while (c->host_aliases != NULL && c->host_aliases[n] != NULL)
        n++;
    const char **names = arena_new_array(ctx->arena, const char *, n + 2);
    names[0] = c->host_name;
    for (size_t i = 0; i < n; i++)
        names[i + 1] = c->host_aliases[i];
    h->names = names;
}

static enum rc lookup_session_names(struct expand_ctx *ctx, struct match_host_subject *h)
{
    enum rc rc = session_host_name(ctx->session);

    if (rc == RC_OK)
        take_session_names(ctx, h);
    return rc;
}

enum rc match_session_host(struct expand_ctx *ctx, const struct match_list *l,
                           const char **data)
{
    struct session *c = ctx->session;
    struct match_host_subject h = { .address = c == NULL ? NULL : c->host_address,
                                    .lookup_names = lookup_session_names };

    if (c != NULL)
        take_session_names(ctx, &h);
    struct match_subject s = host_subject(ctx, &h);
    s.session_host = c != NULL;
    enum rc rc = match_list_run(&s, l);
    if (data != NULL)
        *data = rc == RC_OK ? s.data : NULL;
    return rc;
}

enum rc match_outgoing_host(struct expand_ctx *ctx, const struct match_list *l,
                            const char *name, const char *address)
{
    const char *const names[] = { name, NULL };
    struct match_host_subject h = { .address = address, .names = names };

    return match_host(ctx, l, &h, NULL);
}

enum rc match_ip(struct expand_ctx *ctx, const char *address, const char *list)
{
    struct match_host_subject h = { .address = address };
    struct match_list l = { .text = list, .kind = LIST_HOST };
    struct match_subject s = host_subject(ctx, &h);

    if (*s.text != '\0' && s.ip.family == 0) {
        err_set(&ctx->err, ctx->arena, "\"%s\" is not an IP address", address);
        return RC_DEFER;
    }
    s.ip_only = true;
    l.program = match_compile_program(ctx->arena, LIST_HOST, list, &ctx->err);
    return l.program == NULL ? RC_DEFER : match_list_run(&s, &l);
}

enum rc match_list_text(struct expand_ctx *ctx, const struct match_list *l,
                        const char *subject, bool caseless)
{
    struct match_host_subject h = { .address = subject };
    const char *data = NULL;
    enum rc rc = RC_DEFER;

    switch (l->kind) {
    case LIST_DOMAIN:
        rc = match_domain(ctx, l, subject, &data);
        break;
    case LIST_LOCAL_PART:
        rc = match_local_part(ctx, l, subject, caseless, &data);
        break;
    case LIST_ADDRESS:
        rc = match_address(ctx, l, subject, caseless, &data);
        break;
    case LIST_HOST: {
        struct match_subject s = host_subject(ctx, &h);

        s.ip_only = true;
        rc = match_list_run(&s, l);
        data = s.data;
        break;
    }
    }
    if (rc == RC_OK && data != NULL)
        ctx->value = data;
    return rc;
}

/* Only "*", "^" and lookups are wild there; what else a list knows stands for itself. */
static bool compile_pattern(struct expand_ctx *ctx, const char *pattern,
                            struct match_item *item)
{
    item->negated = *pattern == '!';
    if (item->negated)
        pattern = cstr_skip_space(pattern + 1);
    if (*pattern == '@' || *pattern == '+' || *pattern == '/') {
        item->kind = ITEM_LITERAL;
        item->text = pattern;
        return true;
    }
    return match_compile_item(ctx->arena, LIST_DOMAIN, pattern, item, &ctx->err);
}

enum rc match_pattern(struct expand_ctx *ctx, const char *pattern, bool expanded,
                      const char *subject)
{
    struct captures before = ctx->captures;
    struct match_item item = { .negated = false };
    const char *lower = cstr_lower(ctx->arena, subject);
    struct match_subject s = { .ctx = ctx,
                               .kind = LIST_DOMAIN,
                               .text = subject,
                               .folded = lower,
                               .kept = lower,
                               .caseless = true,
                               .captured = -1 };

    if (expanded && expand_text(ctx, pattern, &pattern) != EXPAND_OK)
        return RC_FAIL;
    if (!compile_pattern(ctx, pattern, &item))
        return RC_DEFER;
    enum match_rc rc = match_item_string(&s, &item);
    ctx->captures = before;
    if (rc == MATCH_DEFER)
        return RC_DEFER;
    return (rc == MATCH_YES) != item.negated ? RC_OK : RC_FAIL;
}
