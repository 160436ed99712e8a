#include <string.h>

#include "acl.h"
#include "address.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "receive_int.h"
#include "smtp/smtp_int.h"
#include "spool.h"

/* Envelope and header lines with their types, as the reject log shows them. */
static const char *shown_headers(struct receive *r)
{
    const struct message *m = r->m;
    struct buf b = buf_init(m->arena, BUF_DEFAULT_CEILING);

    buf_printf(&b, "Envelope-from: <%s>\n", m->sender);
    for (size_t i = 0; i < m->recipient_count; i++)
        buf_printf(&b, "%s<%s>\n", i == 0 ? "Envelope-to: " : "    ",
                   m->recipients[i].address);
    for (const struct header *h = m->headers.first; h != NULL; h = h->next)
        buf_printf(&b, "%c %s", h->type, h->text);
    return buf_cstr(&b);
}

static void log_refusal(struct receive *r, const struct acl_verdict *v, bool defer)
{
    const char *text = v->log_message != NULL ? v->log_message : v->user_message;
    int len = text != NULL ? (int)strcspn(text, "\n") : 0;

    if (v->log_reject_target == 0)
        return;
    log_write_reject(r->e->log, v->log_reject_target, r->m->id, shown_headers(r),
                     "%s%s F=<%s>%s %srejected %s%s%.*s", receive_who(r),
                     smtp_log_tls(r->s), r->m->sender, smtp_log_auth(r->s),
                     defer ? "temporarily " : "",
                     r->interactive ? "after DATA" : "by non-SMTP ACL",
                     len > 0 ? ": " : "", len, len > 0 ? text : "");
}

static struct receive_result refused(struct receive *r, const struct acl_verdict *v)
{
    bool defer = v->rc == ACL_DEFER || v->rc == ACL_ERROR;
    const char *text = v->user_message;
    enum receive_rc rc = defer ? RECEIVE_DEFERRED : RECEIVE_REJECTED;

    log_refusal(r, v, defer);
    if (text == NULL && r->e->config->main.smtp_return_error_details &&
        v->log_message != NULL)
        text = arena_printf(r->m->arena, "Rejected after DATA: %s", v->log_message);
    if (text == NULL)
        text = defer ? "Temporary local problem - please try later"
                     : "Administrative prohibition";
    struct receive_result out = receive_refuse(r, rc, defer ? "451" : "550", text);
    if (!r->interactive)
        out.error =
            arena_printf(r->m->arena, "message rejected by non-SMTP ACL: %s", text);
    out.drop = v->drop || v->rc == ACL_DROP;
    return out;
}

static struct acl_verdict prdr_verdict(struct receive *r, const struct recipient *rcpt)
{
    const struct expr *acl = r->e->config->main.acl_smtp_data_prdr;
    struct expand_ctx ctx;

    if (acl == NULL)
        return (struct acl_verdict){ .rc = ACL_ACCEPT };
    receive_context(r, &ctx);
    struct address *addr = address_new(r->m->arena, rcpt->address);
    (void)address_split(r->m->arena, addr);
    ctx.addr = addr;
    ctx.domain = addr->domain;
    ctx.local_part = addr->local_part;
    return acl_check_option(&ctx, ACL_WHERE_PRDR, acl);
}

/* Each recipient is judged for itself; those refused are taken off. Adds reply lines to
 * *out. */
static bool run_prdr(struct receive *r, struct receive_result *out)
{
    struct message *m = r->m;
    struct buf replies = buf_init(m->arena, BUF_DEFAULT_CEILING);
    size_t kept = 0;
    bool all_deferred = true;

    buf_add_cstr(&replies, "353 PRDR content analysis beginning");
    for (size_t i = 0; i < m->recipient_count; i++) {
        struct acl_verdict v = prdr_verdict(r, &m->recipients[i]);
        bool yes = v.rc == ACL_ACCEPT || v.rc == ACL_DISCARD,
             defer = v.rc == ACL_DEFER || v.rc == ACL_ERROR;
        const char *text =
            arena_printf(m->arena, "PRDR R=<%s> %s", m->recipients[i].address,
                         yes     ? "acceptance"
                         : defer ? "temporary refusal"
                                 : "refusal");

        receive_log(r, LOG_MAIN, "%s", text);
        if (v.user_message != NULL)
            text = arena_printf(m->arena, "%s (%s)", text, v.user_message);
        buf_printf(&replies, "\n%s",
                   receive_reply_lines(r,
                                       yes     ? "250"
                                       : defer ? "450"
                                               : "550",
                                       text));
        all_deferred = all_deferred && defer;
        if (yes && v.rc != ACL_DISCARD)
            m->recipients[kept++] = m->recipients[i];
    }
    bool none = kept == 0;
    out->reply = buf_cstr(&replies);
    if (none) {
        struct receive_result all =
            receive_refuse(r, all_deferred ? RECEIVE_DEFERRED : RECEIVE_REJECTED,
                           all_deferred ? "451" : "550", "no recipients accepted");
        all.reply = arena_printf(m->arena, "%s\n%s", out->reply, all.reply);
        *out = all;
        return false;
    }
    m->recipient_count = r->shown_recipients = kept;
    return true;
}

static bool judge(struct receive *r, const struct acl_verdict *v,
                  struct receive_result *out)
{
    if (v->rc == ACL_ACCEPT) {
        r->accept_message = v->user_message;
        return true;
    }
    if (v->rc == ACL_DISCARD) {
        r->m->recipient_count = 0;
        r->m->discarded_by = r->interactive ? "DATA" : "non-SMTP";
        return true;
    }
    *out = refused(r, v);
    return false;
}

bool receive_acl_run(struct receive *r, struct receive_result *out)
{
    const struct main_options *o = &r->e->config->main;
    const struct expr *acl = r->interactive ? o->acl_smtp_data : o->acl_not_smtp;
    struct expand_ctx ctx;
    bool prdr = r->interactive && r->m->prdr_requested && r->m->recipient_count > 1;

    acl_headers_apply(r->m);
    r->shown_recipients = r->m->recipient_count;
    if (r->m->recipient_count == 0 || (acl == NULL && !prdr))
        return true;
    if (!spool_flush(r->writer, r->m, &r->err)) {
        receive_log(r, LOG_MAIN | LOG_PANIC, "spool file error: %s", r->err.msg);
        *out = receive_refuse(r, RECEIVE_DEFERRED, "452",
                              "Space shortage, please try later");
        return false;
    }
    if (prdr && !run_prdr(r, out))
        return false;
    if (acl == NULL)
        return true;
    receive_context(r, &ctx);
    struct acl_verdict v =
        acl_check_option(&ctx, r->interactive ? ACL_WHERE_DATA : ACL_WHERE_NOTSMTP, acl);
    if (!judge(r, &v, out))
        return false;
    acl_headers_apply(r->m);
    return true;
}
