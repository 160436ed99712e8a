#include "acl/acl_int.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "match.h"
#include "message.h"
#include "session.h"

/* ---- acl ---- */

static enum acl_result expand_word(struct acl_run *r, const struct acl_item *c, int i,
                                   const char **out)
{
    enum expand_rc rc = expand(r->ctx, c->words[i], out);

    if (rc == EXPAND_OK)
        return COND_TRUE;
    if (rc == EXPAND_FORCED)
        return COND_FALSE;
    const char *why = r->ctx->err.msg == NULL ? "" : r->ctx->err.msg;
    return acl_run_error(r, "failed to expand ACL string \"%s\": %s", c->words[i]->text,
                         why);
}

static enum acl_result of_verdict(struct acl_run *r, const struct acl_verdict *v)
{
    r->user_message = v->user_message;
    r->log_message = v->log_message;
    r->sender_address = v->sender_address;
    r->sender_verified = v->sender_verified;
    switch (v->rc) {
    case ACL_ACCEPT:
        return COND_TRUE;
    case ACL_DISCARD:
        return COND_DISCARD;
    case ACL_DENY:
        return COND_FALSE;
    case ACL_DROP:
        return COND_DROP;
    case ACL_DEFER:
        return COND_DEFER;
    case ACL_ERROR:
        break;
    }
    return COND_ERROR;
}

/* A name with arguments, or an inline ACL in as many words. */
static bool is_inline(struct acl_run *r, const char *first)
{
    struct err ignored = { 0 };
    const struct acl *acl = *first == '/' ? NULL : acl_find(r->ctx, first, &ignored);

    return *first != '/' && (acl == NULL || strcmp(acl->name, "inline") == 0);
}

enum acl_result acl_condition_acl(struct acl_run *r, const struct acl_item *c,
                                  const char *arg)
{
    const char *words[ACL_ARG_MAX + 1] = { "" };

    (void)arg;
    for (int i = 0; i < c->nwords; i++) {
        enum acl_result rc = expand_word(r, c, i, &words[i]);

        if (rc ==
            COND_FALSE) /* forced failure: the condition is ignored, negated or not */
            return c->negated ? COND_FALSE : COND_TRUE;
        if (rc != COND_TRUE)
            return rc;
    }
    const char *text = words[0];
    int narg = c->nwords > 0 ? c->nwords - 1 : 0;
    if (narg > 0 && is_inline(r, text)) {
        for (int i = 1; i < c->nwords; i++)
            text = arena_printf(r->ctx->arena, "%s %s", text, words[i]);
        narg = 0;
    }
    struct acl_verdict v = acl_run_named(r->ctx, r->where, text, words + 1, narg);
    return of_verdict(r, &v);
}

/* ---- strings ---- */

enum acl_result acl_condition_condition(struct acl_run *r, const struct acl_item *c,
                                        const char *arg)
{
    (void)c;
    size_t digits = strspn(*arg == '-' ? arg + 1 : arg, "0123456789");

    if (*arg == '\0' || cstr_ieq(arg, "no") || cstr_ieq(arg, "false"))
        return COND_FALSE;
    if (cstr_ieq(arg, "yes") || cstr_ieq(arg, "true"))
        return COND_TRUE;
    if (digits > 0 && (*arg == '-' ? arg + 1 : arg)[digits] == '\0')
        return arg[strspn(arg, "-0")] == '\0' ? COND_FALSE : COND_TRUE;
    return acl_run_defer(r, "invalid \"condition\" value \"%s\"", arg);
}

enum acl_result acl_condition_authenticated(struct acl_run *r, const struct acl_item *c,
                                            const char *arg)
{
    const struct session *s = r->ctx->session;

    (void)arg;
    if (s == NULL || s->host_authenticated == NULL)
        return COND_FALSE;
    return acl_run_matched(
        r, match_local_part(r->ctx, c->list, s->host_authenticated, true, NULL));
}

/* The name of the suite: what stands between the colons of "TLS1.3:suite:bits". */
static const char *suite_name(struct arena *a, const char *cipher)
{
    const char *colon = strchr(cipher, ':');

    if (colon == NULL)
        return cipher;
    return arena_strndup(a, colon + 1, strcspn(colon + 1, ":"));
}

enum acl_result acl_condition_encrypted(struct acl_run *r, const struct acl_item *c,
                                        const char *arg)
{
    const struct session *s = r->ctx->session;

    (void)arg;
    if (s == NULL || !s->tls_in.active || s->tls_in.cipher == NULL)
        return COND_FALSE;
    return acl_run_matched(
        r, match_local_part(r->ctx, c->list, suite_name(r->ctx->arena, s->tls_in.cipher),
                            true, NULL));
}

/* ---- lists ---- */

static const char *text_or_empty(const char *s)
{
    return s == NULL ? "" : s;
}

static const char *current_domain(const struct expand_ctx *ctx)
{
    return ctx->domain != NULL ? ctx->domain
           : ctx->addr == NULL ? ""
                               : text_or_empty(ctx->addr->domain);
}

static const char *current_local_part(const struct expand_ctx *ctx)
{
    return ctx->local_part != NULL ? ctx->local_part
           : ctx->addr == NULL     ? ""
                                   : text_or_empty(ctx->addr->local_part);
}

static const char *sender(const struct expand_ctx *ctx)
{
    return ctx->message == NULL ? "" : text_or_empty(ctx->message->sender);
}

enum acl_result acl_condition_domains(struct acl_run *r, const struct acl_item *c,
                                      const char *arg)
{
    (void)arg;
    r->ctx->domain_data = NULL;
    return acl_run_matched(
        r, match_domain(r->ctx, c->list, current_domain(r->ctx), &r->ctx->domain_data));
}

enum acl_result acl_condition_local_parts(struct acl_run *r, const struct acl_item *c,
                                          const char *arg)
{
    (void)arg;
    r->ctx->local_part_data = NULL;
    return acl_run_matched(r,
                           match_local_part(r->ctx, c->list, current_local_part(r->ctx),
                                            true, &r->ctx->local_part_data));
}

enum acl_result acl_condition_hosts(struct acl_run *r, const struct acl_item *c,
                                    const char *arg)
{
    const char *data = NULL;
    enum rc rc = match_session_host(r->ctx, c->list, &data);

    (void)arg;
    if (rc == RC_OK)
        r->ctx->host_data = data;
    return acl_run_matched(r, rc);
}

enum acl_result acl_condition_recipients(struct acl_run *r, const struct acl_item *c,
                                         const char *arg)
{
    const char *address =
        r->ctx->addr == NULL ? "" : text_or_empty(r->ctx->addr->address);

    (void)arg;
    r->ctx->recipient_data = NULL;
    return acl_run_matched(
        r, match_address(r->ctx, c->list, address, true, &r->ctx->recipient_data));
}

enum acl_result acl_condition_senders(struct acl_run *r, const struct acl_item *c,
                                      const char *arg)
{
    (void)arg;
    r->ctx->sender_data = NULL;
    return acl_run_matched(
        r, match_address(r->ctx, c->list, sender(r->ctx), true, &r->ctx->sender_data));
}

enum acl_result acl_condition_sender_domains(struct acl_run *r, const struct acl_item *c,
                                             const char *arg)
{
    const char *at = strrchr(sender(r->ctx), '@');

    (void)arg;
    return acl_run_matched(r,
                           match_domain(r->ctx, c->list, at == NULL ? "" : at + 1, NULL));
}
