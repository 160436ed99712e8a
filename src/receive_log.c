#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "parse.h"
#include "receive_int.h"
#include "smtp/smtp_int.h"

enum { LINE_MAX_LENGTH = 64 * 1024 };

int64_t receive_log_size(const struct message *m)
{
    int64_t size = 1; /* the empty line */

    for (const struct header *h = m->headers.first; h != NULL; h = h->next)
        if (h->type != HEADER_OLD)
            size += (int64_t)h->len;
    return size;
}

static bool wants(const struct receive *r, int bit)
{
    return log_wants(r->e->log, bit);
}

static void add_auth(struct receive *r, struct buf *b)
{
    const struct session *s = r->s;

    buf_add_cstr(b, smtp_log_auth(r->s));
    if (s->host_authenticated != NULL && s->authenticated_id != NULL &&
        wants(r, L_smtp_mailauth) && r->m->authenticated_sender != NULL)
        buf_printf(b, ":%s", r->m->authenticated_sender);
}

/* The Message-ID that came with the message. */
static const char *message_id(struct receive *r)
{
    const char *rest, *id;
    struct header *h =
        header_find(&r->m->headers, r->resent ? "Resent-Message-ID" : "Message-ID");

    if (h == NULL || r->msgid_made)
        return NULL;
    id = parse_message_id(r->m->arena, header_body(h), &rest);
    if (id == NULL)
        return NULL;
    return cstr_printable(r->m->arena, arena_strndup(r->m->arena, id + 1, strlen(id) - 2),
                          true);
}

static const char *duration(struct receive *r)
{
    struct timespec now = tod_now();
    int64_t ms = (now.tv_sec - r->started.tv_sec) * 1000 +
                 (now.tv_nsec - r->started.tv_nsec) / 1000000;

    if (ms < 0)
        ms = 0;
    if (wants(r, L_millisec))
        return arena_printf(r->m->arena, "%lld.%03llds", (long long)(ms / 1000),
                            (long long)(ms % 1000));
    return tod_interval_print(r->m->arena, (long)(ms / 1000));
}

static void add_subject(struct receive *r, struct buf *b)
{
    const char *charset = r->e->config->main.headers_charset, *s;

    if (!wants(r, L_subject) || !header_exists(&r->m->headers, "subject"))
        return;
    s = header_value(r->m->arena, &r->m->headers, "subject", HEADER_DECODED, charset);
    buf_add_cstr(b, " T=\"");
    for (s = cstr_printable(r->m->arena, s, true); *s != '\0'; s++) {
        if (*s == '"')
            buf_add_char(b, '\\');
        buf_add_char(b, *s);
    }
    buf_add_char(b, '"');
}

static void add_envelope(struct receive *r, struct buf *b)
{
    const struct message *m = r->m;

    if (wants(r, L_received_sender))
        buf_printf(b, " from <%s>", r->raw_sender);
    if (!wants(r, L_received_recipients))
        return;
    for (size_t i = 0; i < r->shown_recipients; i++)
        buf_printf(b, "%s%s", i == 0 ? " for " : " ", m->recipients[i].address);
}

static const char *arrival(struct receive *r)
{
    const struct message *m = r->m;
    const struct session *s = r->s;
    struct buf b = buf_init(r->m->arena, LINE_MAX_LENGTH);

    buf_printf(&b, "%s %s", m->fake_response != NULL && !m->fake_defer ? "(=" : "<=",
               *m->sender == '\0' ? "<>" : m->sender);
    if (r->e->message_reference != NULL)
        buf_printf(&b, " R=%s", r->e->message_reference);
    if (s->fullhost != NULL) {
        buf_printf(&b, " H=%s", s->fullhost);
        if (s->interface_address != NULL && wants(r, L_incoming_interface))
            buf_printf(&b, " I=[%s]:%d", s->interface_address, s->interface_port);
    }
    if (s->ident != NULL)
        buf_printf(&b, " U=%s", s->ident);
    if (m->received_protocol != NULL)
        buf_printf(&b, " P=%s", m->received_protocol);
    buf_add_cstr(&b, smtp_log_tls(r->s));
    add_auth(r, &b);
    if (m->prdr_requested)
        buf_add_cstr(&b, " PRDR");
    if (m->chunked)
        buf_add_cstr(&b, " K");
    if (s->proxy_host_address != NULL && wants(r, L_proxy))
        buf_printf(&b, " PRX=%s", s->proxy_host_address);
    if (s->proxy_unique_id != NULL && wants(r, L_proxy_id))
        buf_printf(&b, " PRXID=%s", s->proxy_unique_id);
    buf_printf(&b, " S=%lld", (long long)m->message_size);
    if (wants(r, L_8bitmime))
        buf_printf(&b, " M8S=%d", m->body_8bitmime);
    if (wants(r, L_receive_time))
        buf_printf(&b, " RT=%s", duration(r));
    const char *id = message_id(r);
    if (id != NULL)
        buf_printf(&b, " id=%s", id);
    add_subject(r, &b);
    add_envelope(r, &b);
    return buf_cstr(&b);
}

void receive_log_arrival(struct receive *r)
{
    const struct message *m = r->m;

    receive_log(r, LOG_MAIN, "%s", arrival(r));
    if (m->recipient_count == 0) {
        receive_log(r, LOG_MAIN, "=> blackhole (%s ACL discarded recipients)",
                    m->discarded_by != NULL ? m->discarded_by : "DATA");
        receive_log(r, LOG_MAIN, "Completed");
        return;
    }
    if (m->frozen_at != 0)
        receive_log(r, LOG_MAIN, "frozen by %s",
                    m->frozen_by != NULL ? m->frozen_by : "ACL");
    if (m->queue_only)
        receive_log(r, LOG_MAIN, "no immediate delivery: queued by %s",
                    m->queued_by != NULL ? m->queued_by : "ACL");
}
