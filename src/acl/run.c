#include "acl/acl_int.h"

#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "exim.h"
#include "message.h"
#include "session.h"

/* ---- helpers for the words ---- */

enum acl_result acl_run_error(struct acl_run *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    r->log_message = arena_vprintf(r->ctx->arena, fmt, ap);
    va_end(ap);
    return COND_ERROR;
}

enum acl_result acl_run_defer(struct acl_run *r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    r->log_message = arena_vprintf(r->ctx->arena, fmt, ap);
    va_end(ap);
    return COND_DEFER;
}

void acl_run_log(struct acl_run *r, unsigned dest, const char *fmt, ...)
{
    const struct message *m = r->ctx->message;
    va_list ap;

    va_start(ap, fmt);
    const char *text = arena_vprintf(r->ctx->arena, fmt, ap);
    va_end(ap);
    log_write(r->ctx->exim->log, dest, m == NULL ? NULL : m->id, "%s", text);
}

enum acl_result acl_run_matched(struct acl_run *r, enum rc rc)
{
    if (rc == RC_OK)
        return COND_TRUE;
    if (rc != RC_DEFER)
        return COND_FALSE;
    return acl_run_defer(r, "%s", r->ctx->err.msg == NULL ? "" : r->ctx->err.msg);
}

/* ---- statements ---- */

/* What is said when the statement ends: expanded only then. */
struct texts {
    const struct acl_item *message, *log_message;
    bool endpass;
};

/* The forbidden word's own words, as Exim says them. */
static enum acl_result misplaced(struct acl_run *r, const struct acl_item *c)
{
    return acl_run_error(r, "cannot %s %s condition in %s ACL",
                         c->row->modifier ? "use" : "test", c->row->name,
                         acl_where_name(r->where));
}

/* A forced failure makes a condition count as true, negated or not. */
static enum acl_result run_expanded(struct acl_run *r, const struct acl_item *c)
{
    const char *arg, *why;

    switch (expand(r->ctx, c->expr, &arg)) {
    case EXPAND_OK:
        DEBUG(D_ACL)
        if (strcmp(arg, c->text) != 0)
            debug_printf("%*s= %s\n", (int)strlen(c->row->name) + 7, "", arg);
        return c->row->run(r, c, arg);
    case EXPAND_FORCED:
        return c->negated ? COND_FALSE : COND_TRUE;
    case EXPAND_DEFER:
        why = r->ctx->err.msg == NULL ? "" : r->ctx->err.msg;
        return acl_run_defer(r, "failed to expand ACL string \"%s\": %s", c->text, why);
    case EXPAND_FAIL:
        break;
    }
    why = r->ctx->err.msg == NULL ? "" : r->ctx->err.msg;
    return acl_run_error(r, "failed to expand ACL string \"%s\": %s", c->text, why);
}

static enum acl_result negate(enum acl_result rc)
{
    switch (rc) {
    case COND_TRUE:
        return COND_FALSE;
    case COND_FALSE:
    case COND_DROP:
        return COND_TRUE;
    default:
        return rc;
    }
}

static enum acl_result run_item(struct acl_run *r, const struct acl_item *c,
                                struct texts *t)
{
    if (c->row->run == NULL) {
        if (c->row->argument == ARG_NONE)
            t->endpass = true;
        else
            *(strcmp(c->row->name, "message") == 0 ? &t->message : &t->log_message) = c;
        return COND_TRUE;
    }
    if ((c->row->forbidden & (1u << r->where)) != 0)
        return misplaced(r, c);
    enum acl_result rc =
        c->row->argument == ARG_EXPAND ? run_expanded(r, c) : c->row->run(r, c, NULL);
    return c->negated && !c->row->modifier ? negate(rc) : rc;
}

static enum acl_result run_items(struct acl_run *r, const struct acl_statement *s,
                                 struct texts *t)
{
    enum acl_result rc = COND_TRUE;

    for (const struct acl_item *c = s->items; rc == COND_TRUE && c != NULL; c = c->next) {
        DEBUG(D_ACL)
        debug_printf("check %s%s = %s\n", c->negated ? "!" : "", c->row->name, c->text);
        rc = run_item(r, c, t);
    }
    return rc;
}

/* Failure is ignored, as is an empty result: NULL. */
static const char *expand_message(struct acl_run *r, const struct acl_item *c)
{
    const char *text;

    if (c == NULL)
        return NULL;
    enum expand_rc rc = expand(r->ctx, c->expr, &text);
    if (rc == EXPAND_OK)
        return *text == '\0' ? NULL : text;
    if (rc != EXPAND_FORCED)
        acl_run_log(r, LOG_MAIN | LOG_PANIC, "failed to expand ACL message \"%s\": %s",
                    c->text, r->ctx->err.msg == NULL ? "" : r->ctx->err.msg);
    return NULL;
}

/* Does the outcome make the verb act with its messages? */
static bool speaks(enum acl_verb v, enum acl_result rc, bool endpass)
{
    switch (v) {
    case VERB_ACCEPT:
    case VERB_DISCARD:
        return endpass ? rc == COND_FALSE || rc == COND_DROP
                       : rc == COND_TRUE || rc == COND_DISCARD;
    case VERB_REQUIRE:
        return rc == COND_FALSE || rc == COND_DROP;
    default:
        return rc == COND_TRUE;
    }
}

static void take_messages(struct acl_run *r, const struct texts *t)
{
    r->ctx->acl_verify_message = r->user_message;
    const char *user = expand_message(r, t->message);
    const char *log = expand_message(r, t->log_message);

    if (user != NULL)
        r->user_message = user;
    if (log == NULL)
        return;
    size_t len = strcspn(log, "\n");
    r->log_message =
        r->log_message == NULL || strcmp(r->log_message, log) == 0
            ? arena_strndup(r->ctx->arena, log, len)
            : arena_printf(r->ctx->arena, "%.*s: %s", (int)len, log, r->log_message);
}

/* ---- warn ---- */

bool acl_run_first(struct expand_ctx *ctx, const char *text)
{
    struct message *m = ctx->message;
    struct session *s = ctx->session;

    if (m == NULL && s == NULL)
        return true;
    struct hash **seen = m != NULL ? &m->warned : &s->warned;
    struct arena *a = m != NULL ? m->arena : s->arena;
    if (*seen == NULL)
        *seen = hash_new(a, false);
    if (hash_find(*seen, text) != NULL)
        return false;
    char *copy = arena_strdup(a, text);
    hash_put(*seen, copy, copy);
    return true;
}

static const char *log_host(struct acl_run *r)
{
    return r->ctx->session == NULL ? ""
                                   : session_host_and_ident(r->ctx->session, true, true);
}

static void warn(struct acl_run *r, const struct texts *t)
{
    const char *header = expand_message(r, t->message);
    const char *log = expand_message(r, t->log_message);

    if (header != NULL && acl_headers_allowed(r->where))
        acl_headers_warn(r, header);
    if (log == NULL)
        return;
    if (acl_run_first(r->ctx, log))
        acl_run_log(r, LOG_MAIN, "%s Warning: %s", log_host(r), log);
}

static void warn_skipped(struct acl_run *r)
{
    if (log_wants(r->ctx->exim->log, L_acl_warn_skipped))
        acl_run_log(
            r, LOG_MAIN | LOG_BY(acl_warn_skipped),
            "%s Warning: ACL \"warn\" statement skipped: condition test deferred%s%s",
            log_host(r), r->log_message == NULL || *r->log_message == '\0' ? "" : ": ",
            r->log_message == NULL ? "" : r->log_message);
}

/* ---- verbs ---- */

static bool verb_allowed(enum acl_verb v, enum acl_where where)
{
    return v != VERB_DISCARD || ((AT_MESSAGE | AT(NOTSMTP) | AT(DKIM) | AT(PRDR)) &
                                 ~AT(PREDATA) & (1u << where)) != 0;
}

/* True: the ACL ends with *rc. */
static bool conclude(struct acl_run *r, enum acl_result got, const struct texts *t,
                     enum acl_rc *rc)
{
    if (got == COND_ERROR || (got == COND_DEFER && r->verb != VERB_WARN)) {
        *rc = got == COND_ERROR ? ACL_ERROR : ACL_DEFER;
        return true;
    }
    switch (r->verb) {
    case VERB_ACCEPT:
    case VERB_DISCARD:
        *rc = got == COND_DISCARD                          ? ACL_DISCARD
              : got == COND_TRUE && r->verb == VERB_ACCEPT ? ACL_ACCEPT
              : got == COND_TRUE                           ? ACL_DISCARD
              : got == COND_DROP                           ? ACL_DROP
                                                           : ACL_DENY;
        return got == COND_TRUE || got == COND_DISCARD || t->endpass;
    case VERB_DEFER:
        *rc = ACL_DEFER;
        return got == COND_TRUE;
    case VERB_DENY:
        *rc = ACL_DENY;
        return got == COND_TRUE;
    case VERB_DROP:
        *rc = ACL_DROP;
        return got == COND_TRUE;
    case VERB_REQUIRE:
        *rc = got == COND_DROP ? ACL_DROP : ACL_DENY;
        return got != COND_TRUE;
    case VERB_WARN:
    case VERB_NONE:
        break;
    }
    return false;
}

static enum acl_result discard_allowed(struct acl_run *r, enum acl_result got)
{
    if (got != COND_DISCARD || r->verb == VERB_ACCEPT || r->verb == VERB_DISCARD)
        return got;
    return acl_run_error(
        r,
        "nested ACL returned \"discard\" for \"%s\" command (only allowed with "
        "\"accept\" or \"discard\")",
        acl_parse_verb_name(r->verb));
}

static bool run_statement(struct acl_run *r, const struct acl_statement *s,
                          enum acl_rc *rc)
{
    struct texts t = { .endpass = false };

    r->verb = s->verb;
    r->user_message = r->log_message = NULL;
    r->sender_address = NULL;
    r->sender_verified = NULL;
    if (!verb_allowed(s->verb, r->where)) {
        acl_run_log(r, LOG_MAIN | LOG_PANIC, "\"%s\" verb not allowed in %s ACL",
                    acl_parse_verb_name(s->verb), acl_where_name(r->where));
        *rc = ACL_ERROR;
        return true;
    }
    DEBUG(D_ACL)
    debug_printf("processing \"%s\"\n", acl_parse_verb_name(s->verb));
    enum acl_result got = discard_allowed(r, run_items(r, s, &t));
    DEBUG(D_ACL)
    debug_printf("%s: condition test %s in ACL \"%s\"\n", acl_parse_verb_name(s->verb),
                 got == COND_TRUE    ? "succeeded"
                 : got == COND_DEFER ? "deferred"
                 : got == COND_ERROR ? "error"
                                     : "failed",
                 r->acl->name);
    if (s->verb == VERB_WARN) {
        r->ctx->acl_verify_message = r->user_message;
        if (got == COND_TRUE)
            warn(r, &t);
        else if (got == COND_DEFER)
            warn_skipped(r);
    } else if (speaks(s->verb, got, t.endpass)) {
        take_messages(r, &t);
    }
    r->ctx->acl_verify_message = NULL;
    r->ctx->sender_address_data = NULL;
    return conclude(r, got, &t, rc);
}

static struct acl_verdict verdict(const struct acl_run *r, enum acl_rc rc)
{
    struct acl_verdict v = { .rc = rc,
                             .user_message = r->user_message,
                             .log_message = r->log_message,
                             .drop = rc == ACL_DROP,
                             .log_reject_target = r->log_reject_target,
                             .sender_address = r->sender_address,
                             .sender_verified = r->sender_verified };

    if (v.log_message == NULL && v.user_message != NULL)
        v.log_message =
            arena_strndup(r->ctx->arena, v.user_message, strcspn(v.user_message, "\n"));
    return v;
}

static const char *rc_name(enum acl_rc rc)
{
    static const char *const names[] = {
        [ACL_ACCEPT] = "ACCEPT", [ACL_DISCARD] = "DISCARD", [ACL_DENY] = "DENY",
        [ACL_DROP] = "DROP",     [ACL_DEFER] = "DEFER",     [ACL_ERROR] = "ERROR"
    };

    return names[rc];
}

/* There is nothing left to refuse (manual 43.10); s: the statement that tried, NULL: none
 * did. */
static enum acl_rc at_the_end(struct acl_run *r, const struct acl_statement *s,
                              enum acl_rc rc)
{
    if (s == NULL)
        return ACL_ACCEPT;
    if (rc == ACL_ACCEPT || rc == ACL_ERROR || rc == ACL_DISCARD)
        return rc;
    acl_run_error(
        r, "QUIT or not-QUIT toplevel ACL may not fail ('%s' verb used incorrectly)",
        acl_parse_verb_name(s->verb));
    return ACL_ERROR;
}

struct acl_verdict acl_run_acl(struct expand_ctx *ctx, enum acl_where where,
                               const struct acl *acl)
{
    struct acl_run r = {
        .ctx = ctx, .where = where, .acl = acl, .log_reject_target = LOG_MAIN | LOG_REJECT
    };
    int outer = ctx->acl_where;
    enum acl_rc rc = ACL_DENY;

    if (ctx->acl_level >= ACL_LEVEL_MAX) {
        acl_run_error(&r, "ACL nested too deep: possible loop");
        return verdict(&r, ACL_ERROR);
    }
    ctx->acl_level++;
    ctx->acl_where = (int)where + 1;
    DEBUG(D_ACL)
    debug_printf("using ACL \"%s\"\n", acl->name);
    const struct acl_statement *s = acl->statements;
    while (s != NULL && !run_statement(&r, s, &rc))
        s = s->next;
    if (s == NULL)
        rc = ACL_DENY;
    if (ctx->acl_level == 1 && (where == ACL_WHERE_QUIT || where == ACL_WHERE_NOTQUIT))
        rc = at_the_end(&r, s, rc);
    DEBUG(D_ACL)
    debug_printf("end of ACL \"%s\": %s%s\n", acl->name, s == NULL ? "implicit " : "",
                 rc_name(rc));
    ctx->acl_where = outer;
    ctx->acl_level--;
    return verdict(&r, rc);
}
