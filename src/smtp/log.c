#include <stdarg.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/tod.h"
#include "exim.h"
#include "smtp/smtp_int.h"

void smtp_log(struct smtp_state *st, unsigned dest, const char *fmt, ...)
{
    const char *id = st->s->message != NULL ? st->s->message->id : NULL;
    va_list ap;

    va_start(ap, fmt);
    const char *text = arena_vprintf(st->s->arena, fmt, ap);
    va_end(ap);
    log_write(st->e->log, dest, id, "%s", text);
}

bool smtp_log_wants(const struct smtp_state *st, int bit)
{
    return log_wants(st->e->log, bit) &&
           !(bit == L_smtp_connection && st->connection_unlogged);
}

const char *smtp_log_host(struct smtp_state *st)
{
    return session_host_and_ident(st->s, true, true);
}

const char *smtp_log_connection(struct smtp_state *st)
{
    return arena_printf(st->s->arena, "SMTP connection from %s",
                        session_host_and_ident(st->s, false, true));
}

const char *smtp_log_duration(struct smtp_state *st)
{
    int64_t ms = tod_monotonic_ms() - st->s->started_ms;

    if (log_wants(st->e->log, L_millisec))
        return arena_printf(st->s->arena, "D=%lld.%03llds", (long long)(ms / 1000),
                            (long long)(ms % 1000));
    return arena_printf(st->s->arena, "D=%s",
                        tod_interval_print(st->s->arena, (long)(ms / 1000)));
}

const char *smtp_log_tls(struct session *s)
{
    const struct tls_info *t = &s->tls_in;
    struct log *l = s->exim->log;
    struct buf all = buf_init(s->arena, BUF_DEFAULT_CEILING), *b = &all;

    if (!t->active)
        return "";
    if (log_wants(l, L_tls_cipher) && t->cipher != NULL)
        buf_printf(b, " X=%s", t->cipher);
    if (log_wants(l, L_tls_certificate_verified))
        buf_printf(b, " CV=%s", t->certificate_verified ? "yes" : "no");
    if (log_wants(l, L_tls_peerdn) && t->peerdn != NULL)
        buf_printf(b, " DN=\"%s\"", cstr_printable(s->arena, t->peerdn, true));
    if (log_wants(l, L_tls_sni) && t->sni != NULL)
        buf_printf(b, " SNI=\"%s\"", cstr_printable(s->arena, t->sni, true));
    return buf_cstr(b);
}

const char *smtp_log_auth(struct session *s)
{
    if (s->host_authenticated == NULL)
        return "";
    return arena_printf(s->arena, " A=%s%s%s", s->host_authenticated,
                        s->authenticated_id != NULL ? ":" : "",
                        s->authenticated_id != NULL ? s->authenticated_id : "");
}

void smtp_log_no_mail(struct smtp_state *st)
{
    struct buf b = buf_init(st->s->arena, BUF_DEFAULT_CEILING);
    unsigned first =
        st->history_count > SMTP_HISTORY ? st->history_count - SMTP_HISTORY : 0;

    if (st->mails > 0 || st->s->batched || !log_wants(st->e->log, L_smtp_no_mail))
        return;
    buf_add_cstr(&b, smtp_log_auth(st->s));
    buf_add_cstr(&b, smtp_log_tls(st->s));
    const char *separator = first > 0 ? " C=...," : " C=";
    for (unsigned i = first; i < st->history_count; i++) {
        buf_printf(&b, "%s%s", separator, smtp_verb_name(st->history[i % SMTP_HISTORY]));
        separator = ",";
    }
    smtp_log(st, LOG_MAIN | LOG_BY(smtp_no_mail), "no MAIL in %s %s%s",
             smtp_log_connection(st), smtp_log_duration(st), buf_cstr(&b));
}

void smtp_log_incomplete(struct smtp_state *st, const char *what)
{
    struct message *m = st->s->message;

    if (m == NULL || !st->mail_done ||
        !log_wants(st->e->log, L_smtp_incomplete_transaction) || what == NULL)
        return;
    struct buf b = buf_init(st->s->arena, BUF_DEFAULT_CEILING);
    for (size_t i = 0; i < m->recipient_count; i++)
        buf_printf(&b, "%s%s", i == 0 ? " for " : " ", m->recipients[i].address);
    smtp_log(st, LOG_MAIN | LOG_BY(smtp_incomplete_transaction),
             "%s incomplete transaction (%s) from <%s>%s", smtp_log_host(st), what,
             m->sender, buf_cstr(&b));
}
