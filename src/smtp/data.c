#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "exim.h"
#include "receive.h"
#include "smtp/lines.h"
#include "smtp/smtp_int.h"

/* Bytes of one message on their way from the input buffer to receive_message. */
struct data_source {
    struct smtp_state *st;
    struct lines lines;
    bool finished;
    bool (*more)(struct data_source *d); /* BDAT: the next chunk; false: none comes */
};

enum { OUT_SLACK = 4 };

static ssize_t read_failed(struct smtp_state *st, struct err *err)
{
    err->msg = st->input == SMTP_IN_TIMEOUT ? "timeout"
               : st->input == SMTP_IN_TERM  ? "SIGTERM"
                                            : "connection lost";
    err->sys_errno = st->input_errno;
    return -1;
}

static ssize_t dot_read(void *arg, char *p, size_t n, struct err *err)
{
    struct data_source *d = arg;
    struct smtp_state *st = d->st;

    while (d->lines.state != LINES_DONE) {
        if (st->at == st->len && !smtp_input_fill(st))
            return read_failed(st, err);
        size_t used, take = st->len - st->at;
        if (take > (n - OUT_SLACK) / 2)
            take = (n - OUT_SLACK) / 2;
        size_t made = lines_feed(&d->lines, st->in + st->at, take, &used, p);
        if (st->s->batched)
            for (size_t i = 0; i < used; i++)
                st->line += st->in[st->at + i] == '\n';
        st->at += used;
        if (made > 0)
            return (ssize_t)made;
    }
    return 0;
}

static ssize_t chunk_read(void *arg, char *p, size_t n, struct err *err)
{
    struct data_source *d = arg;
    struct smtp_state *st = d->st;

    while (!d->finished) {
        if (st->chunk_left == 0) {
            if (st->chunk_last) {
                d->finished = true;
                return (ssize_t)lines_finish(&d->lines, p);
            }
            if (!d->more(d)) {
                err->msg = "aborted";
                return st->chunk_quit ? -1 : read_failed(st, err);
            }
            continue;
        }
        if (st->at == st->len && !smtp_input_fill(st))
            return read_failed(st, err);
        size_t used, take = st->len - st->at;
        if (take > (n - OUT_SLACK) / 2)
            take = (n - OUT_SLACK) / 2;
        if (take > st->chunk_left)
            take = st->chunk_left;
        size_t made = lines_feed(&d->lines, st->in + st->at, take, &used, p);
        st->at += used;
        st->chunk_left -= used;
        if (made > 0)
            return (ssize_t)made;
    }
    return 0;
}

/* Reply texts are whole lines, separated by "\n". */
static void reply_result(struct smtp_state *st, const char *text)
{
    while (*text != '\0') {
        size_t len = strcspn(text, "\n");

        smtp_reply(st, "%.*s", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static void data_lost(struct smtp_state *st)
{
    if (st->input == SMTP_IN_TIMEOUT)
        smtp_notquit(st, "data-timeout", "421",
                     " SMTP incoming data timeout - closing connection.");
    else if (st->input == SMTP_IN_TERM)
        smtp_notquit(st, "signal-exit", "421",
                     " Service not available - closing connection");
    else
        smtp_notquit(st, "connection-lost", "421", " lost input connection");
    if (st->s->batched)
        smtp_reply(st, "421 Lost incoming connection");
    st->done = true;
    st->status = st->status != 0 ? st->status : 1;
}

/* The rest of a chunk that nobody wants is still the message's, not commands. */
static void end_chunks(struct smtp_state *st)
{
    bool last = st->chunk_last;

    smtp_input_swallow(st, st->chunk_left);
    st->chunk_left = 0;
    st->chunking = last || st->chunk_quit ? SMTP_CHUNK_NONE : SMTP_CHUNK_FAILED;
}

static void take_message(struct smtp_state *st, struct data_source *d, bool chunks)
{
    struct session *s = st->s;
    struct message *m = s->message;
    struct receive_source source = { .read = chunks ? chunk_read : dot_read, .arg = d };

    d->st = st;
    if (!chunks)
        st->chunk_pending = NULL;
    struct receive_result r = receive_message(s, m, &source, false);
    if (r.rc == RECEIVE_LOST && !st->chunk_quit) {
        data_lost(st);
        return;
    }
    if (!chunks)
        for (char drop[256]; d->lines.state != LINES_DONE &&
                             dot_read(d, drop, sizeof(drop), &(struct err){ 0 }) > 0;)
            continue;
    else
        end_chunks(st);
    if (st->input != SMTP_IN_OK) {
        data_lost(st);
        return;
    }
    if (chunks && r.rc == RECEIVE_OK)
        smtp_reply(st, "250- %zu byte chunk, total %zu", st->chunk_size, st->chunk_total);
    if (r.reply != NULL)
        reply_result(st, r.reply);
    if (s->host_checking && r.rc == RECEIVE_DISCARDED) {
        static const char text[] =
            "\n**** SMTP testing: that is not a real message id!\n\n";

        buf_add(&st->out, text, sizeof(text) - 1);
    }
    if (r.drop) {
        if (smtp_log_wants(st, L_smtp_connection))
            smtp_log(st, LOG_MAIN | LOG_BY(smtp_connection), "%s closed by DROP in ACL",
                     smtp_log_connection(st));
        smtp_notquit(st, "acl-drop", NULL, NULL);
        st->done = true;
    }
    if (r.rc == RECEIVE_OK) {
        st->messages++;
        s->messages_received++;
        if (st->at == st->len)
            (void)smtp_flush(st);
        receive_dispatch(s, m, st->receive);
    }
    enum smtp_chunking chunking = st->chunking;
    st->mail_done = st->chunk_pending != NULL;
    smtp_reset(st, "RSET");
    st->chunking = chunking;
}

/* RFC 5321 4.5.4.1: no DATA without a recipient; Exim says why there is none. */
static bool has_recipients(struct smtp_state *st, const char *verb)
{
    struct message *m = st->s->message;

    if (st->mail_done && (m->recipient_count > 0 || st->discarded_by != NULL)) {
        if (!st->too_many_recipients || !st->o->recipients_max_reject)
            return true;
        smtp_reply(st, "554 Too many recipients");
        return false;
    }
    if (st->rcpt_refusal != NULL && !st->rcpt_refusals_differ) {
        smtp_reply(st, "503-All RCPT commands were rejected with this error:");
        for (const char *p = st->rcpt_refusal; *p != '\0';
             p += strcspn(p, "\n"), p += *p == '\n')
            smtp_reply(st, "503-%.*s", (int)strcspn(p, "\n"), p);
    }
    if (st->after_rcpt && st->s->pipelining_advertised) /* it could not know */
        smtp_reply(st, "503 Valid RCPT command must precede %s", verb);
    else
        smtp_error(
            st, SMTP_PROTOCOL, 503,
            arena_printf(st->s->arena, "valid RCPT command must precede %s", verb));
    return false;
}

static bool predata_allows(struct smtp_state *st, struct acl_verdict *v)
{
    *v = st->s->batched ? (struct acl_verdict){ .rc = ACL_ACCEPT }
                        : smtp_acl(st, ACL_WHERE_PREDATA, st->o->acl_smtp_predata);
    if (v->rc == ACL_ACCEPT)
        return true;
    if (v->rc == ACL_DISCARD) {
        st->discarded_by = "PREDATA";
        st->s->message->recipient_count = 0;
        return true;
    }
    smtp_reply_refused(st, ACL_WHERE_PREDATA, v, "DATA");
    return false;
}

void smtp_cmd_data(struct smtp_state *st)
{
    struct data_source d = { .lines = lines_new(st->s->batched ? LINES_END_BATCH
                                                               : LINES_END_DOT) };
    struct acl_verdict v;

    if (!has_recipients(st, "DATA") || !predata_allows(st, &v))
        return;
    st->s->message->discarded_by = st->discarded_by;
    smtp_reply_accept(st, "354", &v,
                      "Enter message, ending with \".\" on a line by itself");
    take_message(st, &d, false);
}

/* "n" or "n LAST" */
static bool parse_chunk(struct smtp_state *st, const char *arg)
{
    size_t digits = strspn(arg, "0123456789");
    unsigned long n;

    const char *rest = cstr_skip_space(arg + digits);
    bool last = cstr_ieq(rest, "LAST");
    if (digits == 0 || digits > 18 ||
        (*rest != '\0' && (!last || rest == arg + digits)) ||
        !cstr_to_ulong(arena_strndup(st->s->arena, arg, digits), &n))
        return false;
    st->chunk_left = n;
    st->chunk_last = last;
    return true;
}

static bool is_verb(const char *line, const char *verb, const char **rest)
{
    if (!cstr_istarts(line, verb))
        return false;
    *rest = line + strlen(verb);
    if (**rest != '\0' && **rest != ' ' && **rest != '\t')
        return false;
    *rest = cstr_skip_space(*rest);
    return true;
}

/* Between chunks: BDAT goes on; RSET, QUIT end it; NOOP is harmless; all else is an
 * error. */
static bool between_chunks(struct data_source *d)
{
    struct smtp_state *st = d->st;
    const char *rest;

    for (;;) {
        if (!st->chunk_replied)
            smtp_reply(st, "250 %zu byte chunk received", st->chunk_size);
        st->chunk_replied = true;
        char *line = smtp_input_line(st);
        if (line == NULL)
            return false;
        for (size_t len = strlen(line); len > 0 && line[len - 1] == ' '; len--)
            line[len - 1] = '\0';
        st->command = line;
        if (is_verb(line, "BDAT", &rest) && parse_chunk(st, rest)) {
            st->chunk_size = st->chunk_left;
            st->chunk_total += st->chunk_left;
            st->chunk_replied = false;
            return true;
        }
        if (is_verb(line, "NOOP", &rest)) {
            smtp_reply(st, "250 OK");
            continue;
        }
        st->chunk_quit = true;
        if (is_verb(line, "RSET", &rest) || is_verb(line, "QUIT", &rest)) {
            st->chunk_pending = line;
            return false;
        }
        smtp_error(st, SMTP_PROTOCOL, 503, "only BDAT permissible after non-LAST BDAT");
        st->chunk_quit_failed = true;
        return false;
    }
}

static void chunk_ended(struct smtp_state *st)
{
    if (st->chunk_quit_failed) {
        st->chunking = SMTP_CHUNK_FAILED;
        return;
    }
    if (st->chunk_pending == NULL)
        return;
    const char *rest;
    bool quit = is_verb(st->chunk_pending, "QUIT", &rest);
    st->argument = "";
    (quit ? smtp_cmd_quit : smtp_cmd_rset)(st);
}

static void start_chunks(struct smtp_state *st)
{
    struct data_source d = { .lines = lines_new(LINES_END_COUNT),
                             .more = between_chunks };

    st->chunking = SMTP_CHUNK_OPEN;
    st->chunk_size = st->chunk_total = st->chunk_left;
    st->chunk_quit = st->chunk_quit_failed = st->chunk_replied = false;
    st->chunk_pending = NULL;
    st->s->message->discarded_by = st->discarded_by;
    st->s->message->chunked = true;
    take_message(st, &d, true);
    if (st->chunk_quit)
        chunk_ended(st);
}

void smtp_cmd_bdat(struct smtp_state *st)
{
    struct acl_verdict v;

    if (!st->s->chunking_advertised) {
        smtp_error(st, SMTP_PROTOCOL, 503,
                   "BDAT command used when CHUNKING not advertised");
        return;
    }
    if (!parse_chunk(st, st->argument)) {
        smtp_error(st, SMTP_PROTOCOL, 501, "missing size for BDAT command");
        return;
    }
    if (st->chunking ==
        SMTP_CHUNK_FAILED) { /* RFC 3030 section 2: the data is read and refused */
        smtp_input_swallow(st, st->chunk_left);
        smtp_error(st, SMTP_PROTOCOL, 503, "only RSET accepted now");
        return;
    }
    bool ready = has_recipients(st, "BDAT") && predata_allows(st, &v);
    if (ready) {
        start_chunks(st);
        return;
    }
    bool last = st->chunk_last;
    smtp_input_swallow(st, st->chunk_left);
    st->chunk_left = 0;
    if (!last && !st->done)
        st->chunking = SMTP_CHUNK_FAILED;
}
