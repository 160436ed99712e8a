#include "acl/verify_int.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/hash.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "dns_csa.h"
#include "exim.h"
#include "message.h"
#include "rewrite.h"
#include "session.h"

/* ---- address verification ---- */

static void note_failure(struct acl_run *r, const struct verify_result *res,
                         bool is_sender)
{
    struct session *s = r->ctx->session;

    r->log_message = res->message;
    r->user_message = res->user_message;
    if (s != NULL)
        *(is_sender ? &s->sender_verify_failure : &s->recipient_verify_failure) =
            res->failure;
}

static enum acl_result of_rc(struct acl_run *r, enum rc rc, bool defer_ok)
{
    if (rc != RC_OK)
        r->ctx->acl_verify_message =
            r->user_message != NULL ? r->user_message : r->log_message;
    if (rc == RC_DEFER && defer_ok) {
        r->user_message = r->log_message = NULL;
        r->sender_verified = NULL;
        rc = RC_OK;
    }
    if (rc == RC_OK)
        return COND_TRUE;
    return rc == RC_DEFER ? COND_DEFER : COND_FALSE;
}

static enum acl_result verify_recipient(struct acl_run *r, const struct verify *v)
{
    struct expand_ctx *ctx = r->ctx;

    if (ctx->addr == NULL)
        return COND_FALSE;
    struct verify_result res = verify_address(ctx, ctx->addr->address, &v->o);
    if (res.address_data != NULL || res.rc == RC_OK)
        ctx->address_data = res.address_data;
    if (res.rc != RC_OK)
        note_failure(r, &res, false);
    else if (ctx->session != NULL)
        ctx->session->recipient_verify_failure = res.failure;
    return of_rc(r, res.rc, v->o.defer_ok);
}

static struct verify_result *copy_result(struct arena *a,
                                         const struct verify_result *from)
{
    struct verify_result *to = arena_new_obj(a, struct verify_result);

    *to = *from;
    to->message = from->message == NULL ? NULL : arena_strdup(a, from->message);
    to->user_message =
        from->user_message == NULL ? NULL : arena_strdup(a, from->user_message);
    to->address_data =
        from->address_data == NULL ? NULL : arena_strdup(a, from->address_data);
    to->addr = NULL; /* lives in the context of the first time */
    return to;
}

/* Once for each address and set of options while the message is received. */
static const struct verify_result *verify_once(struct acl_run *r, const struct verify *v,
                                               const char *address)
{
    struct message *m = r->ctx->message;
    const char *options = strchr(v->text, '/');
    const char *key =
        arena_printf(r->ctx->arena, "%s %s", address, options == NULL ? "" : options);
    const struct verify_result *known =
        m->verified == NULL ? NULL : hash_find(m->verified, key);

    if (known != NULL)
        return known;
    struct verify_options o = v->o;
    o.flags |= VERIFY_SENDER;
    struct verify_result res = verify_address(r->ctx, address, &o);
    struct verify_result *kept = copy_result(m->arena, &res);
    if (m->verified == NULL)
        m->verified = hash_new(m->arena, false);
    hash_put(m->verified, arena_strdup(m->arena, key), kept);
    return kept;
}

/* The sender is rewritten before it is verified, and stays so (manual 31.2). */
static void rewrite_sender(struct acl_run *r)
{
    struct message *m = r->ctx->message;
    const struct config *cfg = r->ctx->exim->config;

    if (m->sender_rewritten || cfg->rewrite_rules == NULL)
        return;
    const char *address =
        rewrite_address(r->ctx, cfg->rewrite_rules, m->sender, REWRITE_ENV_FROM, NULL);
    m->sender = arena_strdup(m->arena, address);
    m->sender_rewritten = true;
}

static enum acl_result verify_sender(struct acl_run *r, const struct verify *v)
{
    struct message *m = r->ctx->message;

    if ((v->o.flags & (VERIFY_CALLOUT_USE_SENDER | VERIFY_CALLOUT_USE_POSTMASTER)) != 0)
        return acl_run_error(
            r, "use_sender or use_postmaster cannot be used for a sender verify callout");
    if (m == NULL)
        return COND_TRUE;
    const char *address = v->address;
    if (address == NULL) {
        if (m->sender == NULL || *m->sender == '\0')
            return COND_TRUE;
        rewrite_sender(r);
        address = m->sender;
    }
    if (*address == '\0')
        return COND_TRUE;
    const struct verify_result *res = verify_once(r, v, address);
    if (res->address_data != NULL)
        r->ctx->sender_address_data = res->address_data;
    if (res->rc == RC_OK) {
        if (r->ctx->session != NULL)
            r->ctx->session->sender_verify_failure = res->failure;
        return COND_TRUE;
    }
    note_failure(r, res, true);
    bool defer = res->rc == RC_DEFER;
    r->log_message = r->user_message =
        !defer        ? "Sender verify failed"
        : res->routed ? "Could not complete sender verify callout"
                      : "Could not complete sender verify";
    /* Why it cannot be told just now is not the client's business. */
    if (defer && !res->routed && !r->ctx->exim->config->main.smtp_return_error_details)
        r->user_message = NULL;
    if (!v->no_details) {
        r->sender_address = address;
        r->sender_verified = res;
    }
    return of_rc(r, res->rc, v->o.defer_ok);
}

static enum acl_result verify_header_sender_item(struct acl_run *r,
                                                 const struct verify *v)
{
    const char *which = NULL;
    enum rc rc =
        verify_header_sender(r->ctx, &v->o, &r->log_message, &r->user_message, &which);

    if (r->ctx->session != NULL)
        r->ctx->session->sender_verify_failure = which;
    return of_rc(r, rc, v->o.defer_ok);
}

/* ---- the others ---- */

static enum acl_result verify_certificate(struct acl_run *r, const struct verify *v)
{
    const struct session *s = r->ctx->session;

    (void)v;
    if (s != NULL && s->tls_in.certificate_verified)
        return COND_TRUE;
    r->user_message = "no verified certificate";
    r->log_message = r->user_message;
    return of_rc(r, RC_FAIL, false);
}

static enum acl_result verify_helo(struct acl_run *r, const struct verify *v)
{
    (void)v;
    return r->ctx->session == NULL
               ? COND_TRUE
               : of_rc(r, session_helo_verify(r->ctx->session), false);
}

static enum acl_result verify_reverse(struct acl_run *r, const struct verify *v)
{
    struct session *s = r->ctx->session;

    if (s == NULL || s->host_address == NULL)
        return COND_TRUE;
    enum rc rc = session_host_name(s);
    if (rc == RC_OK)
        return COND_TRUE;
    r->log_message = rc == RC_DEFER ? "host lookup deferred for reverse lookup check"
                                    : "host lookup failed for reverse lookup check "
                                      "(failed to find host name from IP address)";
    return of_rc(r, rc, v->o.defer_ok);
}

static enum acl_result verify_syntax(struct acl_run *r, const struct verify *v)
{
    (void)v;
    return of_rc(r, verify_header_syntax(r->ctx, &r->log_message, &r->user_message),
                 false);
}

static enum acl_result verify_names_ascii(struct acl_run *r, const struct verify *v)
{
    (void)v;
    enum rc rc = verify_header_names_ascii(r->ctx, &r->log_message);

    if (rc != RC_OK && r->user_message == NULL)
        r->user_message = r->log_message;
    return of_rc(r, rc, false);
}

static enum acl_result verify_blind(struct acl_run *r, const struct verify *v)
{
    enum rc rc = verify_not_blind(r->ctx, !v->case_insensitive);

    if (rc != RC_OK)
        r->log_message = "bcc recipient detected";
    return of_rc(r, rc, false);
}

static enum acl_result verify_csa(struct acl_run *r, const struct verify *v)
{
    /* clang-format off */
    static const struct { const char *status, *text; bool ok; } rows[] = {
        [CSA_UNKNOWN]       = { "unknown", "unknown", true },
        [CSA_OK]            = { "ok", "ok", true },
        [CSA_DEFER_SRV]     = { "defer", "deferred (SRV lookup failed)", true },
        [CSA_DEFER_ADDR]    = { "defer", "deferred (target address lookup failed)", true },
        [CSA_FAIL_EXPLICIT] = { "fail", "failed (explicitly not authorized)", false },
        [CSA_FAIL_DOMAIN]   = { "fail", "failed (host name not explicitly authorized)", false },
        [CSA_FAIL_NOADDR]   = { "fail", "failed (no authorized IP address)", false },
        [CSA_FAIL_MISMATCH] = { "fail", "failed (client IP address mismatch)", false },
    };
    /* clang-format on */
    struct session *s = r->ctx->session;

    if (s == NULL || s->host_address == NULL)
        return COND_TRUE;
    const char *domain = v->address != NULL && *v->address != '\0' ? v->address
                         : s->helo_name != NULL                    ? s->helo_name
                                                                   : s->host_address;
    enum dns_csa csa =
        dns_csa_verify(r->ctx->exim, r->ctx->arena, domain, s->host_address);
    s->csa_status = rows[csa].status;
    r->user_message = r->log_message =
        arena_printf(r->ctx->arena, "client SMTP authorization %s", rows[csa].text);
    return of_rc(r, rows[csa].ok ? RC_OK : RC_FAIL, false);
}

/* ---- the table ---- */

#define WITH_HEADERS (AT(DATA) | AT(PRDR) | AT(MIME) | AT(DKIM) | AT(NOTSMTP))
#define WITH_SENDER  (AT(MAIL) | AT(RCPT) | AT(PREDATA) | AT(DATA) | AT(NOTSMTP))

/* clang-format off */
static const struct verify_row rows[] = {
    { "certificate",         OPTIONS_NONE,     0,                  verify_certificate },
    { "csa",                 OPTIONS_DOMAIN,   0,                  verify_csa },
    { "header_names_ascii",  OPTIONS_NONE,     ONLY(WITH_HEADERS), verify_names_ascii },
    { "header_sender",       OPTIONS_ADDRESS,  ONLY(WITH_HEADERS), verify_header_sender_item },
    { "header_syntax",       OPTIONS_NONE,     ONLY(WITH_HEADERS), verify_syntax },
    { "helo",                OPTIONS_NONE,     0,                  verify_helo },
    { "not_blind",           OPTIONS_BLIND,    ONLY(WITH_HEADERS), verify_blind },
    { "recipient",           OPTIONS_ADDRESS,  ONLY(AT(RCPT)),     verify_recipient },
    { "reverse_host_lookup", OPTIONS_DEFER_OK, 0,                  verify_reverse },
    { "sender",              OPTIONS_ADDRESS,  ONLY(WITH_SENDER),  verify_sender },
};
/* clang-format on */

static bool wrong_item(struct arena *a, const char *text, struct err *err)
{
    return err_set(
        err, a,
        "expected \"sender[=address]\", \"recipient\", \"helo\", \"header_syntax\", "
        "\"header_sender\", \"header_names_ascii\" or \"reverse_host_lookup\" at start "
        "of ACL "
        "condition \"verify %s\"",
        text);
}

/* "sender=address" and "header_sender": the word ends at "=", white space or the end. */
static bool parse_item(struct arena *a, struct verify *v, const char *item,
                       struct err *err)
{
    size_t len = strcspn(item, "= \t");
    const char *rest = cstr_skip_space(item + len);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (strlen(rows[i].name) == len && strncmp(rows[i].name, item, len) == 0)
            v->row = &rows[i];
    if (v->row == NULL)
        return wrong_item(a, v->text, err);
    if (*rest == '=' && strcmp(v->row->name, "sender") == 0)
        v->address = cstr_skip_space(rest + 1);
    else if (*rest != '\0')
        return wrong_item(a, v->text, err);
    return true;
}

static bool parse(struct arena *a, const char *text, struct verify *v, struct err *err)
{
    struct list_iter it = list_begin(text, '/');
    const char *item = list_next(&it, a);

    *v = (struct verify){ .text = text };
    if (item == NULL)
        return wrong_item(a, text, err);
    if (!parse_item(a, v, item, err))
        return false;
    while ((item = list_next(&it, a)) != NULL)
        if (!acl_verify_option(a, v, item, err))
            return false;
    return true;
}

bool acl_verify_check(struct arena *a, const char *arg, struct err *err)
{
    struct verify v;

    return parse(a, arg, &v, err);
}

enum acl_result acl_verify(struct acl_run *r, const struct acl_item *c, const char *arg)
{
    struct verify v;
    struct err err = { 0 };

    (void)c;
    if (!parse(r->ctx->arena, arg, &v, &err))
        return acl_run_error(r, "%s", err.msg);
    if ((v.row->forbidden & (1u << r->where)) != 0)
        return acl_run_error(r, "cannot verify %s in ACL for %s", v.row->name,
                             acl_where_name(r->where));
    return v.row->run(r, &v);
}
