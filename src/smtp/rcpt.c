#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/str.h"
#include "exim.h"
#include "parse.h"
#include "smtp/dsn_params.h"
#include "smtp/envelope.h"
#include "smtp/smtp_int.h"

#ifdef EXPERIMENTAL_DSN
static const struct smtp_param rcpt_params[] = {
    { "NOTIFY", true, smtp_dsn_offered, smtp_dsn_notify },
    { "ORCPT", true, smtp_dsn_offered, smtp_dsn_orcpt },
};
enum { RCPT_PARAMS = ARRAY_LEN(rcpt_params) };
#else
static const struct smtp_param *const rcpt_params = NULL;
enum { RCPT_PARAMS = 0 };
#endif

static bool check_state(struct smtp_state *st)
{
    if (!st->mail_done && st->after_refused_mail && st->s->pipelining_advertised) {
        st->mail_refused = true; /* it could not know */
        smtp_reply(st, "503 sender not yet given");
        return false;
    }
    if (!st->mail_done) {
        smtp_error(st, SMTP_PROTOCOL, 503, "sender not yet given");
        st->in_rcpt = false;
        return false;
    }
    if (*st->argument == '\0') {
        smtp_error(st, SMTP_SYNTAX, 501, "RCPT must have an address operand");
        return false;
    }
    return true;
}

static bool check_count(struct smtp_state *st)
{
    const struct message *m = st->s->message;
    long max = st->o->recipients_max;
    bool reject = st->o->recipients_max_reject;

    if (max <= 0 || m->rcpt_count < (unsigned long)max)
        return true;
    if (!st->too_many_recipients)
        smtp_log(st, LOG_MAIN | LOG_REJECT, "too many recipients: %s: sender=<%s> %s",
                 reject ? "message rejected" : "excess temporarily rejected", m->sender,
                 smtp_log_host(st));
    st->too_many_recipients = true;
    smtp_reply(st, "%d too many recipients", reject ? 552 : 452);
    return false;
}

static struct acl_verdict check_acl(struct smtp_state *st, const char *address, const struct recipient *params)
{
    struct message *m = st->s->message;
    struct expand_ctx ctx;

    if (st->mail_discarded)
        return (struct acl_verdict){ .rc = ACL_DISCARD };
    if (st->s->batched)
        return (struct acl_verdict){ .rc = ACL_ACCEPT };
    if (st->o->acl_smtp_rcpt == NULL) /* nobody relays by default */
        return (struct acl_verdict){ .rc = ACL_DENY,
                                     .log_reject_target = LOG_MAIN | LOG_REJECT };
    smtp_context(st, &ctx);
    struct address *addr = address_new(m->arena, address);
    (void)address_split(m->arena, addr);
    addr->dsn_flags = params->dsn_flags;
    addr->dsn_orcpt = params->orcpt;
    m->no_dsn_success_rcpt = false;
    ctx.addr = addr;
    ctx.domain = addr->domain;
    ctx.local_part =
        addr->local_part != NULL ? cstr_lower(m->arena, addr->local_part) : NULL;
    return acl_check_option(&ctx, ACL_WHERE_RCPT, st->o->acl_smtp_rcpt);
}

static void note_refusal(struct smtp_state *st, const struct acl_verdict *v)
{
    bool defer = v->rc == ACL_DEFER || v->rc == ACL_ERROR;
    const char *extended, *text = v->user_message;

    if (text != NULL)
        (void)smtp_reply_code(st, defer ? "451" : "550", text, &extended, &text);
    else
        text = defer ? "Temporary local problem - please try later"
                     : "Administrative prohibition";
    if (defer)
        st->s->message->rcpt_defer_count++;
    else
        st->s->message->rcpt_fail_count++;
    smtp_reply_note_rcpt(st, text);
}

/* Reports name what the client gave, never what it was rewritten to at SMTP time. */
static void note_given(struct message *m, struct recipient *r, const char *text)
{
    struct parsed_address p;
    unsigned flags = PARSE_ALLOW_DOMAIN_LITERAL | PARSE_STRIP_BRACKETS | PARSE_STRIP_DOT | PARSE_ALLOW_UTF8;

    if (parse_address(m->arena, text, flags, &p) && p.domain != NULL &&
        strcmp(p.address, r->address) != 0)
        r->given = p.address;
}

static void take_recipient(struct smtp_state *st, char *text, struct recipient *params)
{
    struct message *m = st->s->message;
    const char *given = arena_strdup(m->arena, text), *address = smtp_envelope_address(
        st, text, 0, st->s->recipient_unqualified_ok, st->e->config->qualify_recipient);

    if (address == NULL) {
        m->rcpt_fail_count++;
        return;
    }
    if (!check_count(st)) {
        m->rcpt_defer_count++;
        return;
    }
    smtp_ratelimit(st, SMTP_RATELIMIT_RCPT);
    m->rcpt_count++;
    struct acl_verdict v = check_acl(st, address, params);
    if (v.rc == ACL_ACCEPT) {
        struct recipient *r = message_add_recipient(m, address, -1);

        r->orcpt = params->orcpt;
        r->dsn_flags =
            m->no_dsn_success_rcpt ? message_notify_without_success(params->dsn_flags) : params->dsn_flags;
        note_given(m, r, given);
        smtp_reply_accept(st, "250", &v, "Accepted");
    } else if (v.rc == ACL_DISCARD) {
        st->discarded_by = st->mail_discarded ? "MAIL" : "RCPT";
        smtp_reply_accept(st, "250", &v, "Accepted");
        smtp_log(st, LOG_MAIN, "%s F=<%s> RCPT %s: discarded by %s ACL%s%s",
                 smtp_log_host(st), m->sender, text, st->discarded_by,
                 v.log_message != NULL ? ": " : "",
                 v.log_message != NULL ? v.log_message : "");
    } else {
        note_refusal(st, &v);
        smtp_reply_refused(st, ACL_WHERE_RCPT, &v,
                           arena_printf(m->arena, "RCPT %s", text));
    }
}

void smtp_cmd_rcpt(struct smtp_state *st)
{
    struct recipient params = { .parent = -1 };

    if (!check_state(st))
        return;
    char *text = arena_strdup(st->s->message->arena, st->argument);
    if (smtp_params_run(st, rcpt_params, RCPT_PARAMS, &params, text))
        take_recipient(st, text, &params);
    else
        st->s->message->rcpt_fail_count++;
}
