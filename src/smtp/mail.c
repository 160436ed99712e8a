#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/hash.h"
#include "base/str.h"
#include "exim.h"
#include "match.h"
#include "parse.h"
#include "rewrite.h"
#include "smtp/dsn_params.h"
#include "smtp/envelope.h"
#include "smtp/smtp_int.h"
#include "spool.h"

static const char *param_size(struct smtp_state *st, struct recipient *r,
                              const char *value)
{
    unsigned long size;

    (void)r;
    /* A number that is none, or twenty digits long, only means that the size is not
     * known. */
    st->announced_size =
        cstr_to_ulong(value, &size) && size <= INT64_MAX ? (int64_t)size : -1;
    return NULL;
}

static const char *param_body(struct smtp_state *st, struct recipient *r,
                              const char *value)
{
    (void)r;
    if (!st->o->accept_8bitmime)
        return NULL; /* Exim: taken whatever it says, and means nothing */
    if (cstr_ieq(value, "8BITMIME"))
        st->s->message->body_8bitmime = 8;
    else if (cstr_ieq(value, "7BIT"))
        st->s->message->body_8bitmime = 7;
    else
        return "invalid data for BODY";
    return NULL;
}

/* ACL and mail_auth_condition decide whether the client may name the submitter (RFC 4954
 * section 5). */
static const char *why_ignored(struct smtp_state *st, const char *who)
{
    struct expand_ctx ctx;
    bool allowed = true;

    if (st->s->host_authenticated == NULL)
        return "client not authenticated";
    const char *before = st->s->message->authenticated_sender;
    st->s->message->authenticated_sender = who;
    struct acl_verdict v = smtp_acl(st, ACL_WHERE_MAILAUTH, st->o->acl_smtp_mailauth);
    smtp_context(st, &ctx);
    if (st->authenticator != NULL && v.rc == ACL_ACCEPT &&
        expand_bool(&ctx, st->authenticator->server_mail_auth_condition, true,
                    &allowed) != EXPAND_OK)
        allowed = false;
    st->s->message->authenticated_sender = before;
    if (v.rc == ACL_DEFER || v.rc == ACL_ERROR)
        return "temporarily rejected by ACL";
    if (v.rc != ACL_ACCEPT)
        return "rejected by ACL";
    return allowed ? NULL : "rejected by server_mail_auth_condition";
}

static const char *param_auth(struct smtp_state *st, struct recipient *r,
                              const char *value)
{
    struct message *m = st->s->message;

    (void)r;
    if (strcmp(value, "<>") == 0)
        return NULL;
    const char *who = parse_xtext_decode(m->arena, value);
    if (who == NULL || *who == '\0')
        return "invalid data for AUTH";
    const char *why = why_ignored(st, who);
    if (why == NULL)
        m->authenticated_sender = who;
    else
        smtp_log(st, LOG_MAIN, "ignoring AUTH=%s from %s (%s)",
                 cstr_printable(m->arena, value, false), smtp_log_host(st), why);
    return NULL;
}

static const char *param_prdr(struct smtp_state *st, struct recipient *r,
                              const char *value)
{
    (void)r;
    (void)value;
    st->s->message->prdr_requested = true;
    return NULL;
}

static bool offers_prdr(const struct smtp_state *st)
{
    return st->s->prdr_advertised;
}

static const char *param_smtputf8(struct smtp_state *st, struct recipient *r,
                                  const char *value)
{
    (void)r;
    (void)value;
    st->s->message->smtputf8 = true;
    return NULL;
}

static bool offers_smtputf8(const struct smtp_state *st)
{
    return st->s->smtputf8_advertised;
}

/* clang-format off */
static const struct smtp_param mail_params[] = {
    { "SIZE",     true,  NULL,            param_size },
    { "BODY",     true,  NULL,            param_body },
    { "AUTH",     true,  NULL,            param_auth },
    { "PRDR",     false, offers_prdr,     param_prdr },
    { "SMTPUTF8", false, offers_smtputf8, param_smtputf8 },
#ifdef EXPERIMENTAL_DSN
    { "RET",      true,  smtp_dsn_offered, smtp_dsn_ret },
    { "ENVID",    true,  smtp_dsn_offered, smtp_dsn_envid },
#endif
};
/* clang-format on */

static bool check_state(struct smtp_state *st)
{
    if (st->s->helo_required && !st->s->helo_seen) {
        smtp_log(st, LOG_MAIN | LOG_REJECT, "rejected MAIL from %s: no HELO/EHLO given",
                 session_host_and_ident(st->s, false, true));
        smtp_reply(st, "503 HELO or EHLO required");
        return false;
    }
    if (st->mail_done) {
        smtp_error(st, SMTP_PROTOCOL, 503, "sender already given");
        return false;
    }
    if (*st->argument == '\0') {
        smtp_error(st, SMTP_PROTOCOL, 501, "MAIL must have an address operand");
        return false;
    }
    return true;
}

static bool check_count(struct smtp_state *st)
{
    struct expand_ctx ctx;

    if (st->mail_limit < 0) {
        smtp_context(st, &ctx);
        st->mail_limit = 0;
        if (expand_int(&ctx, st->o->smtp_accept_max_per_connection, &st->mail_limit) !=
            EXPAND_OK)
            st->mail_limit = 1000;
    }
    st->mails++;
    if (st->mail_limit <= 0 || st->mails <= (unsigned long)st->mail_limit ||
        st->s->host_address == NULL)
        return true;
    smtp_reply(st, "421 too many messages in this connection");
    smtp_log(st, LOG_MAIN | LOG_REJECT,
             "rejected MAIL command %s: too many messages in one connection",
             smtp_log_host(st));
    return false;
}

static bool check_size(struct smtp_state *st, const char *address)
{
    if (st->size_limit > 0 && st->announced_size > st->size_limit) {
        smtp_reply(st, "552 Message size exceeds maximum permitted");
        if (smtp_log_wants(st, L_size_reject))
            smtp_log(st, LOG_MAIN | LOG_BY(size_reject) | LOG_REJECT,
                     "rejected MAIL FROM:<%s> %s: message too big: size=%lld max=%ld",
                     address, smtp_log_host(st), (long long)st->announced_size,
                     st->size_limit);
        return false;
    }
    if (!st->o->smtp_check_spool_space ||
        spool_check_space(st->e, st->announced_size > 0 ? st->announced_size : 0) ==
            SPOOL_SPACE_OK)
        return true;
    smtp_reply(st, "452 Space shortage, please try later");
    return false;
}

/* The envelope address of text, with SMTP-time rewriting, qualified when that is allowed.
 */
const char *smtp_envelope_address(struct smtp_state *st, char *text, unsigned flags,
                                  bool qualify, const char *domain)
{
    struct message *m = st->s->message;
    const struct main_options *o = st->o;
    struct parsed_address p;
    struct expand_ctx ctx;
    bool whole = false;

    smtp_context(st, &ctx);
    const char *work =
        rewrite_address(&ctx, st->e->config->rewrite_rules, text, REWRITE_SMTP, &whole);
    flags |= (o->allow_domain_literals ? PARSE_ALLOW_DOMAIN_LITERAL : 0) |
             (o->allow_utf8_domains || m->smtputf8 ? PARSE_ALLOW_UTF8 : 0) |
             (o->strip_excess_angle_brackets ? PARSE_STRIP_BRACKETS : 0) |
             (o->strip_trailing_dot ? PARSE_STRIP_DOT : 0);
    if (!parse_address(m->arena, work, flags, &p)) {
        smtp_error_in(st, text, p.err);
        return NULL;
    }
    bool is_postmaster =
        (flags & PARSE_ALLOW_EMPTY) == 0 && cstr_ieq(p.address, "postmaster");
    if (p.domain != NULL || p.address[0] == '\0')
        return p.address;
    if (qualify || is_postmaster)
        return arena_printf(m->arena, "%s@%s", p.address, domain);
    const char *kind = (flags & PARSE_ALLOW_EMPTY) != 0 ? "sender" : "recipient";
    smtp_reply(st, "501 %s: %s address must contain a domain",
               cstr_printable(m->arena, text, false), kind);
    smtp_log(st, LOG_MAIN | LOG_REJECT, "unqualified %s rejected: <%s> %s", kind,
             cstr_printable(m->arena, p.address, false), smtp_log_host(st));
    return NULL;
}

/* -bs of an ordinary user: the sender is the user, whatever MAIL says (manual 5.2). */
static const char *believed_sender(struct smtp_state *st, const char *given)
{
    struct expand_ctx ctx;

    if (st->s->host_address != NULL || st->e->trusted || *given == '\0')
        return given;
    smtp_context(st, &ctx);
    if (st->o->untrusted_set_sender != NULL &&
        match_address(&ctx, st->o->untrusted_set_sender, given, true, NULL) == RC_OK)
        return given;
    return arena_printf(st->s->message->arena, "%s@%s", st->e->originator_login,
                        st->e->config->qualify_domain);
}

static void begin_message(struct smtp_state *st)
{
    struct message *m = message_new("message");
    struct hash_iter it = { 0 };
    const char *name;
    void *value;

    m->acl_m = hash_new(m->arena, false);
    while (st->s->acl_m != NULL && hash_next(st->s->acl_m, &it, &name, &value))
        (void)hash_put(m->acl_m, name, value);
    st->s->message = m;
    st->transaction_line = st->line;
}

static void accepted(struct smtp_state *st, const struct acl_verdict *v)
{
    const char *text = st->s->message->prdr_requested ? "OK, PRDR Requested" : "OK";

    st->mail_done = true;
    st->mail_refused = false;
    st->mail_discarded = v->rc == ACL_DISCARD;
    st->free_once |= SMTP_ONCE_RSET | SMTP_ONCE_HELO | SMTP_ONCE_TLS;
    st->s->acl_m = NULL;
    smtp_reply_accept(st, "250", v, text);
}

static bool take_sender(struct smtp_state *st)
{
    struct message *m = st->s->message;
    char *text = arena_strdup(m->arena, st->argument);

    if (!smtp_params_run(st, mail_params, ARRAY_LEN(mail_params), NULL, text))
        return false;
    const char *sender =
        smtp_envelope_address(st, text, PARSE_ALLOW_EMPTY, st->s->sender_unqualified_ok,
                              st->e->config->qualify_domain);
    if (sender == NULL || !check_size(st, sender))
        return false;
    m->sender = believed_sender(st, sender);
    if (m->authenticated_sender == NULL)
        m->authenticated_sender = st->peer->authenticated_sender;
    smtp_ratelimit(st, SMTP_RATELIMIT_MAIL);
    struct acl_verdict v = smtp_acl(st, ACL_WHERE_MAIL, st->o->acl_smtp_mail);
    if (v.rc != ACL_ACCEPT && v.rc != ACL_DISCARD) {
        smtp_reply_refused(st, ACL_WHERE_MAIL, &v,
                           arena_printf(m->arena, "MAIL %s", text));
        return false;
    }
    accepted(st, &v);
    return true;
}

void smtp_cmd_mail(struct smtp_state *st)
{
    st->mail_refused = true;
    if (!check_state(st) || !check_count(st))
        return;
    begin_message(st);
    st->rcpt_refusal = NULL;
    st->rcpt_refusals_differ = false;
    if (!take_sender(st))
        smtp_reset(st, NULL);
}
