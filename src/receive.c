#include "receive.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "acl.h"
#include "base/arena.h"
#include "base/debug.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "dsn_once.h"
#include "exim.h"
#include "header.h"
#include "receive_int.h"
#include "rewrite.h"
#include "smtp/smtp_int.h"
#include "spool.h"

void receive_context(struct receive *r, struct expand_ctx *ctx)
{
    expand_ctx_init(ctx, r->e, r->m->arena);
    ctx->session = r->s;
    ctx->message = r->m;
}

void receive_log(struct receive *r, unsigned dest, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const char *text = arena_vprintf(r->m->arena, fmt, ap);
    va_end(ap);
    log_write(r->e->log, dest, r->m->id, "%s", text);
}

const char *receive_who(struct receive *r)
{
    return session_host_and_ident(r->s, true, true);
}

static const char *from_whom(struct receive *r)
{
    return arena_printf(r->m->arena, "from <%s> %s", r->m->sender,
                        session_host_and_ident(r->s, true, false));
}

const char *receive_reply_lines(struct receive *r, const char *code, const char *text)
{
    struct buf b = buf_init(r->m->arena, BUF_DEFAULT_CEILING);
    const char *extended = NULL, *space = "";

    if (r->s->smtp != NULL)
        code = smtp_reply_code(r->s->smtp, code, text, &extended, &text);
    if (extended != NULL)
        space = " ";
    bool one = r->m->no_multiline || r->s->multiline_off;
    for (;;) {
        size_t len = one ? strlen(text) : strcspn(text, "\n");
        bool last = text[len] == '\0' || text[len + 1] == '\0';

        buf_printf(&b, "%s%c%s%s%.*s", code, last ? ' ' : '-',
                   extended != NULL ? extended : "", space, (int)len, text);
        if (last)
            break;
        buf_add_char(&b, '\n');
        text += len + 1;
    }
    if (one)
        for (char *p = buf_cstr(&b); (p = strchr(p, '\n')) != NULL;)
            *p = ' ';
    return buf_cstr(&b);
}

struct receive_result receive_refuse(struct receive *r, enum receive_rc rc,
                                     const char *code, const char *text)
{
    return (struct receive_result){ .rc = rc,
                                    .error = text,
                                    .reply = receive_reply_lines(r, code, text) };
}

static void copy_tls(struct message *m, const struct tls_info *t)
{
    if (!t->active)
        return;
    m->tls_in_certificate_verified = t->certificate_verified;
    m->tls_in_cipher = t->cipher;
    m->tls_in_peerdn = t->peerdn;
    m->tls_in_sni = t->sni;
    m->tls_in_ver = t->version;
    m->tls_in_ocsp = t->ocsp;
}

static struct hash *copy_variables(struct arena *a, const struct hash *from)
{
    struct hash *to = hash_new(a, false);
    struct hash_iter it = { 0 };
    const char *name;
    void *value;

    while (from != NULL && hash_next(from, &it, &name, &value))
        (void)hash_put(to, name, value);
    return to;
}

static void fill_message(struct receive *r)
{
    struct message *m = r->m;
    const struct session *s = r->s;

    m->received = r->started;
    m->originator_login = r->e->originator_login;
    m->originator_uid = r->e->real_uid;
    m->originator_gid = r->e->real_gid;
    m->sender_host_address = s->host_address;
    m->sender_host_port = s->host_port;
    m->sender_host_name = s->host_name;
    m->host_lookup_failed = s->host_lookup == HOST_LOOKUP_FAILED;
    m->host_lookup_deferred = s->host_lookup == HOST_LOOKUP_DEFERRED;
    m->sender_helo_name = s->helo_name;
    m->sender_ident = s->ident;
    m->interface_address = s->interface_address;
    m->interface_port = s->interface_port;
    m->received_protocol = s->received_protocol;
    if (s->active_hostname != NULL &&
        strcmp(s->active_hostname, r->e->config->primary_hostname) != 0)
        m->smtp_active_hostname = s->active_hostname;
    m->sender_host_authenticated = s->host_authenticated;
    m->authenticated_id = s->authenticated_id;
    m->local = m->sender_local =
        (r->local || !s->smtp_input) && !s->batched && !m->sender_forced;
    m->allow_unqualified_sender = s->sender_unqualified_ok;
    m->allow_unqualified_recipient = s->recipient_unqualified_ok;
    m->acl_c = copy_variables(m->arena, s->acl_c);
    copy_tls(m, &s->tls_in);
}

static struct receive_result spool_failed(struct receive *r)
{
    bool full = r->err.sys_errno == ENOSPC || r->err.sys_errno == EDQUOT;

    receive_log(r, LOG_MAIN | LOG_PANIC, "spool file error: %s",
                r->err.msg != NULL ? r->err.msg : "unknown");
    if (r->writer != NULL)
        spool_abandon(r->writer);
    r->writer = NULL;
    return receive_refuse(r, RECEIVE_DEFERRED, full ? "452" : "451",
                          full ? "Space shortage, please try later"
                               : "Error while writing spool file");
}

static const char *host_only(struct receive *r)
{
    return r->s->fullhost != NULL ? r->s->fullhost
                                  : session_host_and_ident(r->s, false, false);
}

static struct receive_result lost(struct receive *r, bool after_header)
{
    const char *sender = r->m->sender != NULL ? r->m->sender : "";

    if (r->err.msg != NULL && strcmp(r->err.msg, "timeout") == 0) {
        if (r->s->smtp_input)
            receive_log(
                r, LOG_MAIN,
                "SMTP data timeout (message abandoned) on connection from %s F=<%s>",
                host_only(r), sender);
        else
            receive_log(r, LOG_MAIN, "timed out while reading local message");
    } else if (r->err.msg != NULL && strcmp(r->err.msg, "SIGTERM") == 0) {
        receive_log(r, LOG_MAIN, "%s closed after SIGTERM",
                    r->s->smtp_input ? "SMTP connection" : "reading of a local message");
    } else if (r->err.msg != NULL && strcmp(r->err.msg, "aborted") == 0) {
        DEBUG(D_RECEIVE) debug_printf("message given up by the client between chunks\n");
    } else if (r->s->smtp_input && log_wants(r->e->log, L_lost_incoming_connection)) {
        r->m->id[0] = '\0'; /* there is no message */
        receive_log(r, LOG_MAIN | LOG_BY(lost_incoming_connection),
                    "SMTP connection from %s lost while reading message data (%sheader)",
                    session_host_and_ident(r->s, false, true),
                    after_header ? "after " : "");
    }
    if (r->writer != NULL)
        spool_abandon(r->writer);
    r->writer = NULL;
    return (struct receive_result){ .rc = RECEIVE_LOST, .error = r->err.msg };
}

static struct receive_result header_refused(struct receive *r, enum receive_read rc)
{
    const struct main_options *o = &r->e->config->main;
    bool line = rc == RECEIVE_READ_LINE_TOO_LONG;
    const char *text = line ? "A message header line is too long"
                            : "Message header is ridiculously long";

    if (line)
        receive_log(
            r, LOG_MAIN,
            "overlong message header line received from %s (more than %ld characters): "
            "message abandoned",
            host_only(r), o->header_line_maxsize);
    else
        receive_log(r, LOG_MAIN,
                    "ridiculously long message header received from %s (more than %ld "
                    "characters): "
                    "message abandoned",
                    host_only(r), o->header_maxsize);
    return receive_refuse(r, RECEIVE_REJECTED, "552", text);
}

static struct receive_result too_big(struct receive *r, int64_t limit)
{
    if (log_wants(r->e->log, L_size_reject))
        log_write_reject(r->e->log, LOG_MAIN | LOG_BY(size_reject) | LOG_REJECT, r->m->id,
                         NULL, "rejected %s: message too big: read=%lld max=%lld",
                         from_whom(r), (long long)(receive_log_size(r->m) + r->body_size),
                         (long long)limit);
    spool_abandon(r->writer);
    r->writer = NULL;
    return receive_refuse(r, RECEIVE_REJECTED, "552",
                          "Message size exceeds maximum permitted");
}

static int64_t size_limit(struct receive *r)
{
    struct expand_ctx ctx;
    long limit = 50 * 1024 * 1024;

    if (r->s->smtp != NULL)
        return r->s->smtp->size_limit;
    if (r->e->config->main.message_size_limit == NULL)
        return limit;
    receive_context(r, &ctx);
    return expand_int(&ctx, r->e->config->main.message_size_limit, &limit) == EXPAND_OK
               ? limit
               : 50 * 1024 * 1024;
}

/* Envelope addresses by the F and T rules; header lines by the others, which also
 * qualifies. */
static void rewrite_all(struct receive *r)
{
    const struct rewrite_rule *rules = r->e->config->rewrite_rules;
    struct message *m = r->m;
    struct expand_ctx ctx;
    bool whole;

    receive_context(r, &ctx);
    if (rules != NULL && *m->sender != '\0' && !m->sender_rewritten)
        m->sender = rewrite_address(&ctx, rules, m->sender, REWRITE_ENV_FROM, &whole);
    for (size_t i = 0; rules != NULL && i < m->recipient_count; i++) {
        struct recipient *to = &m->recipients[i];
        const char *new = rewrite_address(&ctx, rules, to->address, REWRITE_ENV_TO, &whole);
        if (to->given == NULL && strcmp(new, to->address) != 0)
            to->given = to->address;
        to->address = new;
    }
    rewrite_headers(&ctx, rules, m);
}

static bool make_header(struct receive *r, bool extract, struct receive_result *out)
{
    const char *why, *bad = NULL;

    receive_header_sort_out(r);
    if (extract && !receive_recipients_extract(r, &why, &bad)) {
        receive_log(r, LOG_MAIN, "%s", why);
        *out = receive_refuse(r, RECEIVE_REJECTED, "550", why);
        out->bad_addresses = bad;
        return false;
    }
    if (extract)
        out->bad_addresses = bad;
    receive_header_fix(r);
    receive_sender_fix(r);
    rewrite_all(r);
    return true;
}

/* Who was told that the message is rejected is not told that it arrived. */
static void settle_notify(struct message *m)
{
    bool no_success = m->no_dsn_success || m->fake_response != NULL;

    for (size_t i = 0; i < m->recipient_count; i++) {
        struct recipient *r = &m->recipients[i];

        if (r->dsn_flags == 0)
            r->dsn_flags = m->dsn_notify_default;
        if (r->given != NULL)
            dsn_once_note_given(m, i, r->given);
        if (no_success)
            r->dsn_flags = message_notify_without_success(r->dsn_flags);
    }
}

static struct receive_result commit(struct receive *r)
{
    struct message *m = r->m;

    if (m->freeze)
        m->frozen_at = tod_now().tv_sec;
    receive_header_stamp(r);
    m->message_size = receive_log_size(m) + r->body_size;
    settle_notify(m);
    bool keep = m->recipient_count > 0 && !r->e->host_checking;
    struct spool_writer *w = r->writer;
    r->writer = NULL;
    if (!keep)
        spool_abandon(w);
    else if (!spool_commit(w, m, &r->err))
        return spool_failed(r);
    receive_log_arrival(r);
    if (m->fake_response != NULL) {
        static const char text[] =
            "Your message has been rejected but is being kept for evaluation.\n"
            "If it was a legitimate message, it may still be delivered to the target\n"
            "recipient(s).";
        struct receive_result fake =
            receive_refuse(r, keep ? RECEIVE_OK : RECEIVE_DISCARDED, m->fake_response,
                           m->fake_response_text != NULL ? m->fake_response_text : text);
        return fake;
    }
    struct receive_result ok = { .rc = keep ? RECEIVE_OK : RECEIVE_DISCARDED };
    ok.reply = r->accept_message != NULL
                   ? receive_reply_lines(r, "250", r->accept_message)
                   : arena_printf(m->arena, "250 OK id=%s", m->id);
    return ok;
}

static struct receive_result receive_body(struct receive *r)
{
    struct receive_result out = { 0 };
    int64_t limit = size_limit(r);

    switch (receive_read_body(r, limit)) {
    case RECEIVE_READ_OK:
        break;
    case RECEIVE_READ_TOO_BIG:
        return too_big(r, limit);
    case RECEIVE_READ_SPOOL:
        return spool_failed(r);
    default:
        return lost(r, true);
    }
    r->m->message_linecount = r->m->body_linecount + (long)r->m->headers.count;
    receive_header_received(r);
    r->m->message_size = receive_log_size(r->m) + r->body_size;
    if (!receive_acl_run(r, &out)) {
        if (r->writer != NULL)
            spool_abandon(r->writer);
        r->writer = NULL;
        return out;
    }
    struct receive_result done = commit(r);
    done.bad_addresses = out.bad_addresses;
    if (out.reply != NULL && done.reply != NULL) /* of PRDR, before the final one */
        done.reply = arena_printf(r->m->arena, "%s\n%s", out.reply, done.reply);
    return done;
}

struct receive_result receive_message(struct session *s, struct message *m,
                                      struct receive_source *src, bool extract_recipients)
{
    struct receive r = { .s = s, .e = s->exim, .m = m, .src = src, .started = tod_now() };
    struct receive_result out = { 0 };

    r.local = s->host_address == NULL;
    r.interactive = s->smtp_input && !s->batched;
    r.chunk = arena_new_buffer(m->arena, RECEIVE_CHUNK);
    fill_message(&r);
    r.raw_sender = m->sender;
    enum receive_read rc = receive_read_header(&r);
    if (rc == RECEIVE_READ_LOST)
        return lost(&r, false);
    if (rc != RECEIVE_READ_OK)
        return header_refused(&r, rc);
    r.writer = spool_begin(s->exim, m, &r.err);
    if (r.writer == NULL)
        return spool_failed(&r);
    if (!make_header(&r, extract_recipients, &out)) {
        spool_abandon(r.writer);
        return out;
    }
    struct receive_result done = receive_body(&r);
    if (done.bad_addresses == NULL)
        done.bad_addresses = out.bad_addresses;
    return done;
}
