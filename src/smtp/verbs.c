#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "exim.h"
#include "smtp/proxy_session.h"
#include "smtp/smtp_int.h"

/* When a command must come last of a group (RFC 2920 section 3.1). */
enum sync { SYNC_NEVER, SYNC_UNLESS_PIPELINING, SYNC_ALWAYS };

enum { MAIL_COMMAND = 1, NO_ARGUMENT = 2, IN_CHUNKS = 4 };

struct verb {
    const char *name, *second;
    enum sync sync;
    unsigned flags, once;
    void (*run)(struct smtp_state *st);
};

/* clang-format off */
static const struct verb verbs[] = {
    { "AUTH", NULL,      SYNC_NEVER,             0,                          SMTP_ONCE_AUTH, smtp_cmd_auth },
    { "BDAT", NULL,      SYNC_NEVER,             MAIL_COMMAND | IN_CHUNKS,   0,              smtp_cmd_bdat },
    { "DATA", NULL,      SYNC_ALWAYS,            MAIL_COMMAND | NO_ARGUMENT, 0,              smtp_cmd_data },
    { "EHLO", NULL,      SYNC_ALWAYS,            0,                          SMTP_ONCE_HELO, smtp_cmd_ehlo },
    { "ETRN", NULL,      SYNC_ALWAYS,            0,                          0,              smtp_cmd_etrn },
    { "EXPN", NULL,      SYNC_ALWAYS,            0,                          0,              smtp_cmd_expn },
    { "HELO", NULL,      SYNC_ALWAYS,            0,                          SMTP_ONCE_HELO, smtp_cmd_helo },
    { "HELP", NULL,      SYNC_NEVER,             0,                          0,              smtp_cmd_help },
    { "MAIL", "FROM:",   SYNC_UNLESS_PIPELINING, MAIL_COMMAND,               0,              smtp_cmd_mail },
    { "NOOP", NULL,      SYNC_ALWAYS,            0,                          0,              smtp_cmd_noop },
    { "QUIT", NULL,      SYNC_NEVER,             MAIL_COMMAND | NO_ARGUMENT | IN_CHUNKS, 0,  smtp_cmd_quit },
    { "RCPT", "TO:",     SYNC_UNLESS_PIPELINING, MAIL_COMMAND,               0,              smtp_cmd_rcpt },
    { "RSET", NULL,      SYNC_UNLESS_PIPELINING, NO_ARGUMENT | IN_CHUNKS,    SMTP_ONCE_RSET, smtp_cmd_rset },
    { "STARTTLS", NULL,  SYNC_ALWAYS,            NO_ARGUMENT,                SMTP_ONCE_TLS,  smtp_cmd_starttls },
    { "VRFY", NULL,      SYNC_ALWAYS,            0,                          0,              smtp_cmd_vrfy },
};
/* clang-format on */

const char *smtp_verb_name(unsigned index)
{
    return verbs[index].name;
}

/* After p, the text of s in any case; NULL when it is not there. */
static const char *skip_text(const char *p, const char *s)
{
    for (; *s != '\0'; s++, p++)
        if (to_upper(*p) != *s)
            return NULL;
    return p;
}

/* The verb at the start of line; *argument is past it and white space. */
static const struct verb *find(const char *line, const char **argument)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        const char *p = skip_text(line, verbs[i].name);

        if (p == NULL || (*p != '\0' && !is_space(*p)))
            continue;
        if (verbs[i].second != NULL) {
            p = skip_text(cstr_skip_space(p), verbs[i].second);
            if (p == NULL)
                return NULL;
        }
        *argument = cstr_skip_space(p);
        return &verbs[i];
    }
    return NULL;
}

static bool check_sync(struct smtp_state *st, const struct verb *v)
{
    const struct session *s = st->s;
    enum sync sync = v != NULL ? v->sync : SYNC_ALWAYS;

    if (!st->o->smtp_enforce_sync || s->enforce_sync_off || s->host_address == NULL ||
        s->sender_host_notsocket || s->host_checking || s->batched)
        return true;
    if (sync == SYNC_NEVER ||
        (sync == SYNC_UNLESS_PIPELINING && s->pipelining_advertised))
        return true;
    return st->at == st->len && !(sync == SYNC_ALWAYS && smtp_input_waiting(st));
}

/* Commands that bring no mail nearer are limited (manual: smtp_accept_max_nonmail). */
static bool count_nonmail(struct smtp_state *st, const struct verb *v)
{
    if (v == NULL || (v->flags & MAIL_COMMAND) != 0 || st->s->batched)
        return true;
    if ((st->free_once & v->once) != 0) {
        st->free_once &= ~v->once;
        return true;
    }
    if (st->nonmail_commands++ < (unsigned long)st->o->smtp_accept_max_nonmail)
        return true;
    if (st->nonmail == SMTP_NONMAIL_UNKNOWN)
        st->nonmail = smtp_host_in(st, st->o->smtp_accept_max_nonmail_hosts,
                                   "smtp_accept_max_nonmail_hosts")
                          ? SMTP_NONMAIL_COUNTS
                          : SMTP_NONMAIL_FREE;
    if (st->nonmail == SMTP_NONMAIL_FREE)
        return true;
    smtp_reply(st, "554 Too many nonmail commands");
    smtp_notquit(st, "bad-commands", NULL, NULL);
    smtp_log(st, LOG_MAIN | LOG_REJECT,
             "SMTP call from %s dropped: too many nonmail commands (last was \"%.*s\")",
             session_host_and_ident(st->s, false, true), (int)strcspn(st->command, " "),
             st->command);
    st->done = true;
    return false;
}

/* After a failed negotiation nothing but QUIT, uncounted (features.txt, proxy). */
static bool proxy_allows(struct smtp_state *st, const struct verb *v)
{
    if (!st->s->proxy_failed ||
        (v != NULL && v->run == smtp_cmd_quit && *st->argument == '\0'))
        return true;
    smtp_proxy_refused(st->s, st->command);
    smtp_reply(st, "503 Command refused, required Proxy negotiation failed");
    return false;
}

static bool chunks_allow(struct smtp_state *st, const struct verb *v)
{
    if (st->chunking != SMTP_CHUNK_FAILED || (v != NULL && (v->flags & IN_CHUNKS) != 0))
        return true;
    smtp_error(st, SMTP_PROTOCOL, 503, "only RSET accepted now");
    return false;
}

static void run_command(struct smtp_state *st, char *line)
{
    const char *argument = "";

    for (size_t len = strlen(line); len > 0 && is_space(line[len - 1]); len--)
        line[len - 1] = '\0';
    st->command = line;
    const struct verb *v = st->overlong ? NULL : find(line, &argument);
    st->argument = argument;
    st->after_rcpt = st->in_rcpt;
    st->in_rcpt = v != NULL && v->run == smtp_cmd_rcpt;
    st->rcpt_answered = false;
    st->after_refused_mail = st->mail_refused;
    st->mail_refused = false;
    if (!proxy_allows(st, v))
        return;
    if (!check_sync(st, v)) {
        smtp_error_sync(st);
        return;
    }
    if (v != NULL && (v->flags & NO_ARGUMENT) != 0 && *argument != '\0') {
        smtp_error(st, SMTP_SYNTAX, 501, "unexpected argument data");
        return;
    }
    if (v == NULL) {
        smtp_error_unknown(st);
        return;
    }
    if (!count_nonmail(st, v) || !chunks_allow(st, v))
        return;
    st->history[st->history_count++ % SMTP_HISTORY] = (uint8_t)(v - verbs);
    v->run(st);
}

void smtp_reset(struct smtp_state *st, const char *reason)
{
    smtp_log_incomplete(st, reason);
    message_free(&st->s->message);
    st->mail_done = st->mail_discarded = st->too_many_recipients = false;
    st->discarded_by = NULL;
    st->announced_size = -1;
    st->chunking = SMTP_CHUNK_NONE;
    st->transaction_line = 0;
    st->rcpt_refusal = NULL;
    st->rcpt_refusals_differ = false;
    st->s->ratelimit_mail = NULL;
    st->s->sender_verify_failure = st->s->recipient_verify_failure = NULL;
}

static void end_by_signal(struct smtp_state *st)
{
    smtp_log_incomplete(st, "SIGTERM");
    smtp_log(st, LOG_MAIN, "%s closed after SIGTERM", smtp_log_connection(st));
    smtp_notquit(st, "signal-exit", "421", " Service not available - closing connection");
    st->done = true;
}

static void no_more_input(struct smtp_state *st)
{
    if (st->input == SMTP_IN_TIMEOUT)
        smtp_error_timeout(st);
    else if (st->input == SMTP_IN_TERM)
        end_by_signal(st);
    else if (!st->s->batched)
        smtp_error_lost(st);
    else if (st->mail_done)
        smtp_reply(st, "554 Unexpected end of file");
    st->done = true;
}

void smtp_verbs_serve(struct smtp_state *st)
{
    while (!st->done) {
        char *line = smtp_input_line(st);

        if (line == NULL)
            no_more_input(st);
        else if (*line != '\0' || !st->s->batched)
            run_command(st, line);
        if (st->out.len >= SMTP_OUT_FLUSH / 2)
            (void)smtp_flush(st);
    }
    smtp_reset(st, NULL);
}
