#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/str.h"
#include "exim.h"
#include "smtp/smtp_int.h"

enum { SYNC_SHOWN = 150 };

static const char *printable(struct smtp_state *st, const char *s)
{
    return cstr_printable(st->s->arena, s, false);
}

/* True: this one is beyond the limit, and the session is over. */
static bool count_error(struct smtp_state *st)
{
    return ++st->synprot_errors > (unsigned long)st->o->smtp_max_synprot_errors &&
           st->o->smtp_max_synprot_errors >= 0;
}

static void drop(struct smtp_state *st)
{
    smtp_notquit(st, "synprot-error", NULL, NULL);
    smtp_log(st, LOG_MAIN | LOG_REJECT,
             "SMTP call from %s dropped: too many syntax or protocol errors (last "
             "command was \"%s\")",
             session_host_and_ident(st->s, false, true), printable(st, st->command));
    st->done = true;
}

void smtp_error_syntax_limit(struct smtp_state *st)
{
    if (count_error(st))
        drop(st);
}

static void answer(struct smtp_state *st, int code, const char *reply)
{
    if (!count_error(st)) {
        smtp_reply(st, "%d %s", code, reply);
        return;
    }
    smtp_reply(st, "%d-%s", code, reply);
    smtp_reply(st, "%d Too many syntax or protocol errors", code);
    drop(st);
}

static void log_error(struct smtp_state *st, enum smtp_error kind, const char *text)
{
    if (smtp_log_wants(st,
                       kind == SMTP_SYNTAX ? L_smtp_syntax_error : L_smtp_protocol_error))
        smtp_log(st, LOG_MAIN | LOG_BY(smtp_protocol_error),
                 "SMTP %s error in \"%s\" %s %s",
                 kind == SMTP_SYNTAX ? "syntax" : "protocol", printable(st, st->command),
                 smtp_log_host(st), text);
}

void smtp_error(struct smtp_state *st, enum smtp_error kind, int code, const char *text)
{
    text = printable(st, text);
    log_error(st, kind, text);
    answer(st, code, text);
}

void smtp_error_in(struct smtp_state *st, const char *subject, const char *text)
{
    text = printable(st, text);
    log_error(st, SMTP_SYNTAX, text);
    answer(st, 501, arena_printf(st->s->arena, "%s: %s", printable(st, subject), text));
}

void smtp_error_unknown(struct smtp_state *st)
{
    if (st->unknown_commands++ < (unsigned long)st->o->smtp_max_unknown_commands) {
        smtp_error(st, SMTP_SYNTAX, 500, "unrecognized command");
        return;
    }
    if (smtp_log_wants(st, L_smtp_syntax_error))
        smtp_log(st, LOG_MAIN | LOG_BY(smtp_syntax_error),
                 "SMTP syntax error in \"%s\" %s unrecognized command",
                 printable(st, st->command), smtp_log_host(st));
    smtp_log_incomplete(st, "unrecognized command");
    smtp_reply(st, "500 Too many unrecognized commands");
    smtp_notquit(st, "bad-commands", NULL, NULL);
    smtp_log(
        st, LOG_MAIN | LOG_REJECT,
        "SMTP call from %s dropped: too many unrecognized commands (last was \"%s\")",
        session_host_and_ident(st->s, false, true), printable(st, st->command));
    st->done = true;
}

void smtp_error_timeout(struct smtp_state *st)
{
    smtp_log_incomplete(st, "command timeout");
    smtp_notquit(st, "command-timeout", "421",
                 ": SMTP command timeout - closing connection");
    smtp_log(st, LOG_MAIN, "SMTP command timeout on%s connection from %s",
             st->s->tls_in.active ? " TLS" : "",
             session_host_and_ident(st->s, false, true));
    st->done = true;
    st->status = 1;
}

void smtp_error_lost(struct smtp_state *st)
{
    bool in_mail = st->mail_done;

    smtp_log_incomplete(st, "connection lost");
    smtp_notquit(st, "connection-lost", "421", " lost input connection");
    if (in_mail && smtp_log_wants(st, L_lost_incoming_connection))
        smtp_log(st, LOG_MAIN | LOG_BY(lost_incoming_connection),
                 "unexpected %s while reading SMTP command from %s %s",
                 st->s->host_address == NULL ? "EOF" : "disconnection",
                 session_host_and_ident(st->s, false, true), smtp_log_duration(st));
    else if (smtp_log_wants(st, L_smtp_connection))
        smtp_log(st, LOG_MAIN | LOG_BY(smtp_connection), "%s %slost%s%s%s %s",
                 smtp_log_connection(st), st->s->tls_in.active ? "TLS " : "",
                 st->input_errno != 0 ? " (error: " : "",
                 st->input_errno != 0 ? strerror(st->input_errno) : "",
                 st->input_errno != 0 ? ")" : "", smtp_log_duration(st));
    st->done = true;
    st->status = in_mail ? 1 : st->status;
}

void smtp_error_sync(struct smtp_state *st)
{
    size_t left = st->len - st->at;

    if (left > SYNC_SHOWN)
        left = SYNC_SHOWN;
    smtp_log_incomplete(st, "sync failure");
    smtp_log(st, LOG_MAIN | LOG_REJECT,
             "SMTP protocol synchronization error (next input sent too soon: pipelining "
             "was%s advertised): "
             "rejected \"%s\" %s next input=\"%s\"",
             st->s->pipelining_advertised ? "" : " not", printable(st, st->command),
             smtp_log_host(st),
             cstr_printable_len(st->s->arena, st->in + st->at, left, false));
    smtp_reply(st, "554 SMTP synchronization error");
    smtp_notquit(st, "synchronization-error", NULL, NULL);
    st->done = true;
}

/* Manual 49.11: the stylised form goes to stdout, the one for people to stderr. */
void smtp_error_batch(struct smtp_state *st, const char *reply)
{
    struct buf out = buf_init(st->s->arena, BUF_DEFAULT_CEILING);
    bool at_command = st->input == SMTP_IN_OK && st->command != NULL;

    if (st->done)
        return;
    st->done = true;
    st->status = st->messages > 0 ? 1 : 2;
    buf_printf(&out, "%s\nTransaction started in line %lu\nError detected in line %lu\n",
               reply, st->transaction_line, st->line);
    if (at_command)
        buf_printf(&out, "%s\n", st->command);
    (void)!fd_write_all(st->out_fd, buf_cstr(&out), out.len);
    fprintf(stderr,
            "An error was detected while processing a file of BSMTP input.\n"
            "The error message was:\n\n  %s\n\n"
            "The SMTP transaction started in line %lu.\n"
            "The error was detected in line %lu.\n",
            reply, st->transaction_line, st->line);
    if (at_command)
        fprintf(stderr, "The SMTP command at fault was:\n\n   %s\n\n", st->command);
    fprintf(stderr,
            "%u previous message%s successfully processed.\nThe rest of the batch was "
            "abandoned.\n",
            st->messages, st->messages == 1 ? " was" : "s were");
}
