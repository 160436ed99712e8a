#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/format.h"
#include "base/str.h"
#include "exim.h"
#include "smtp/smtp_int.h"
#include "tls.h"
#include "verify.h"

bool smtp_flush(struct smtp_state *st)
{
    struct str text = buf_view(&st->out);

    if (text.len == 0 || st->out_failed)
        return !st->out_failed;
    if (st->s->tls != NULL)
        st->out_failed = !tls_write_all(st->s->tls, text.p, text.len, smtp_deadline(st));
    else if (st->out_fd >= 0)
        st->out_failed = !fd_write_all(st->out_fd, text.p, text.len);
    buf_clear(&st->out);
    return !st->out_failed;
}

static void add_line(struct smtp_state *st, const char *text, size_t len)
{
    if (st->out.len + len + 2 > SMTP_OUT_FLUSH)
        (void)smtp_flush(st);
    buf_add(&st->out, text, len);
    buf_add(&st->out, "\r\n", 2);
}

void smtp_reply_note_rcpt(struct smtp_state *st, const char *text)
{
    if (!st->in_rcpt || st->rcpt_answered)
        return;
    st->rcpt_answered = true;
    if (st->rcpt_refusal == NULL)
        st->rcpt_refusal = arena_strdup(st->s->arena, text);
    else if (strcmp(st->rcpt_refusal, text) != 0)
        st->rcpt_refusals_differ = true;
}

void smtp_reply(struct smtp_state *st, const char *fmt, ...)
{
    char small[512];
    const char *text = small;
    va_list ap;

    va_start(ap, fmt);
    int len = format_text(small, sizeof(small), fmt, ap);
    va_end(ap);
    if (len >= (int)sizeof(small)) {
        va_start(ap, fmt);
        text = arena_vprintf(st->s->arena, fmt, ap);
        va_end(ap);
    }
    if (*text == '4' || *text == '5')
        smtp_reply_note_rcpt(st, text);
    if (!st->s->batched)
        add_line(st, text, strcspn(text, "\r\n"));
    else if (*text == '4' || *text == '5')
        smtp_error_batch(st, text);
}

static bool no_multiline(const struct smtp_state *st)
{
    return st->s->multiline_off ||
           (st->s->message != NULL && st->s->message->no_multiline);
}

void smtp_reply_lines(struct smtp_state *st, const char *code, const char *extended,
                      const char *text)
{
    const char *space = extended != NULL ? " " : "";

    if (extended == NULL)
        extended = "";
    for (;;) {
        size_t len = strcspn(text, "\n");
        bool last = text[len] == '\0' || text[len + 1] == '\0';

        if (no_multiline(st) && !last) { /* one line for all */
            char *joined = arena_strdup(st->s->arena, text);

            for (char *p = joined; (p = strchr(p, '\n')) != NULL;)
                *p = ' ';
            text = joined;
            continue;
        }
        smtp_reply(st, "%s%c%s%s%.*s", code, last ? ' ' : '-', extended, space, (int)len,
                   text);
        if (last || st->done)
            return;
        text += len + 1;
        while (*text == ' ') /* Exim: continuation lines begin with text */
            text++;
    }
}

/* The length of "x.y.z " at s, 0 if it is none. */
static size_t extended_length(const char *s, char class)
{
    size_t n = 0, digits = 0, dots = 0;

    if (s[0] != class || s[1] != '.')
        return 0;
    for (; is_digit(s[n]) || s[n] == '.'; n++) {
        if (s[n] == '.') {
            if (digits == 0)
                return 0;
            dots++;
            digits = 0;
        } else if (++digits > 3) {
            return 0;
        }
    }
    return dots == 2 && digits > 0 && (s[n] == ' ' || s[n] == '\0') ? n : 0;
}

const char *smtp_reply_code(struct smtp_state *st, const char *dflt, const char *text,
                            const char **extended, const char **rest)
{
    const char *code = dflt;

    *extended = NULL;
    *rest = text;
    if (!is_digit(text[0]) || !is_digit(text[1]) || !is_digit(text[2]) ||
        (text[3] != ' ' && text[3] != '\0'))
        return dflt;
    const char *after = cstr_skip_space(text + 3);
    size_t len = extended_length(after, text[0]);
    if (text[0] == dflt[0]) {
        code = arena_strndup(st->s->arena, text, 3);
        if (len > 0)
            *extended = arena_strndup(st->s->arena, after, len);
    } else {
        smtp_log(
            st, LOG_MAIN | LOG_PANIC,
            "configured error code starts with incorrect digit (expected %c) in \"%s\"",
            dflt[0], text);
    }
    *rest = len > 0 ? cstr_skip_space(after + len) : after;
    return code;
}

void smtp_reply_accept(struct smtp_state *st, const char *code,
                       const struct acl_verdict *v, const char *dflt)
{
    const char *extended, *rest;

    if (v->user_message == NULL) {
        smtp_reply(st, "%s %s", code, dflt);
        return;
    }
    code = smtp_reply_code(st, code, v->user_message, &extended, &rest);
    smtp_reply_lines(st, code, extended, *rest != '\0' ? rest : dflt);
}

/* The code of a refusal at that point (manual 43.12). */
static const char *refusal_code(enum acl_where where, bool defer)
{
    if (defer)
        return "451";
    switch (where) {
    case ACL_WHERE_AUTH:
        return "503";
    case ACL_WHERE_ETRN:
        return "458";
    case ACL_WHERE_VRFY:
        return "252";
    default:
        return "550";
    }
}

static const char *sender_part(struct smtp_state *st, enum acl_where where)
{
    if (st->s->message == NULL || st->s->message->sender == NULL)
        return "";
    switch (where) {
    case ACL_WHERE_RCPT:
    case ACL_WHERE_DATA:
    case ACL_WHERE_MIME:
    case ACL_WHERE_DKIM:
    case ACL_WHERE_PRDR:
        return arena_printf(st->s->arena, " F=<%s>", st->s->message->sender);
    default:
        return "";
    }
}

/* What the verification of the sender found, for the log and for the client
 * (manual 43.41). */
static void say_sender_failed(struct smtp_state *st, const struct acl_verdict *v,
                              const char *code, const char *extended)
{
    const struct verify_result *r = v->sender_verified;
    bool defer = r->rc == RC_DEFER;

    if (log_wants(st->e->log, L_sender_verify_fail))
        smtp_log(st, LOG_MAIN | LOG_BY(sender_verify_fail) | LOG_REJECT,
                 "%s sender verify %s for <%s>%s%s", smtp_log_host(st),
                 defer ? "defer" : "fail", v->sender_address,
                 r->message != NULL ? ": " : "", r->message != NULL ? r->message : "");
    if (defer)
        return;
    const char *text =
        arena_printf(st->s->arena, "Verification failed for <%s>", v->sender_address);
    if (r->user_message != NULL && *r->user_message != '\0')
        text = arena_printf(st->s->arena, "%s\n%s", text, r->user_message);
    for (const char *p = text; *p != '\0' && !no_multiline(st);
         p += strcspn(p, "\n"), p += *p == '\n')
        smtp_reply(st, "%s-%s%s%.*s", code, extended != NULL ? extended : "",
                   extended != NULL ? " " : "", (int)strcspn(p, "\n"), p);
}

void smtp_reply_refused(struct smtp_state *st, enum acl_where where,
                        const struct acl_verdict *v, const char *what)
{
    bool defer = v->rc == ACL_DEFER || v->rc == ACL_ERROR;
    const char *code = refusal_code(where, defer), *extended = NULL;
    const char *text = v->user_message, *log = v->log_message;

    if (text != NULL)
        code = smtp_reply_code(st, code, text, &extended, &text);
    else
        text = defer ? "Temporary local problem - please try later"
                     : "Administrative prohibition";
    if (log == NULL)
        log = v->user_message;
    if (v->sender_address != NULL && v->sender_verified != NULL)
        say_sender_failed(st, v, code, extended);
    int log_len = log != NULL ? (int)strcspn(log, "\n") : 0;
    if (v->log_reject_target != 0)
        smtp_log(st, v->log_reject_target, "%s%s%s%s %srejected %s%s%.*s",
                 smtp_log_host(st), smtp_log_tls(st->s), sender_part(st, where),
                 smtp_log_auth(st->s), defer ? "temporarily " : "", what,
                 log_len > 0 ? ": " : "", log_len, log_len > 0 ? log : "");
    smtp_reply_lines(st, code, extended,
                     *text != '\0' ? text : "Administrative prohibition");
    if (v->rc != ACL_DROP && !v->drop)
        return;
    if (smtp_log_wants(st, L_smtp_connection))
        smtp_log(st, LOG_MAIN | LOG_BY(smtp_connection), "%s closed by DROP in ACL",
                 smtp_log_connection(st));
    smtp_notquit(st, "acl-drop", NULL, NULL);
    st->done = true;
}
