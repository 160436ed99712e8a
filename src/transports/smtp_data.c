#include <errno.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/tod.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "transports/smtp_int.h"

enum { CHUNK_FIRST = 64 * 1024, CHUNK_NEXT = 256 * 1024, CHUNK_CEILING = 512 * 1024, LATE_REPLY_MS = 1000 };

static int64_t block_deadline(const struct smtp_transaction *tx)
{
    return tod_monotonic_ms() + tx->at->t->data_timeout * 1000;
}

static int64_t final_deadline(const struct smtp_transaction *tx)
{
    return tod_monotonic_ms() + tx->at->t->final_timeout * 1000;
}

/* The message failed at this host, by a reply or for want of one. */
static bool message_fault(struct smtp_transaction *tx, const char *after)
{
    struct smtp_attempt *at = tx->at;

    (void)smtp_fault_reply(at, SMTP_SCOPE_MESSAGE, after);
    if (tx->client->code != 0 && at->fault.rc == RC_DEFER)
        at->fault.basic_errno = ERR_DATA4XX;
    return false;
}

/* ---- DATA ---- */
static bool write_block(void *arg, const void *p, size_t n)
{
    struct smtp_transaction *tx = arg;

    if (client_write(tx->client, p, n, block_deadline(tx)))
        return true;
    errno = tx->client->sys_errno != 0 ? tx->client->sys_errno : EPIPE;
    return false;
}

/* A server may have said why before it stopped reading. */
static bool read_late_reply(struct smtp_transaction *tx)
{
    struct client *c = tx->client;
    enum client_fault fault = c->fault;
    int sys_errno = c->sys_errno;

    if (fault != CLIENT_CLOSED && fault != CLIENT_IO)
        return false;
    c->fault = CLIENT_OK;
    buf_clear(&c->out);
    if (c->tls == NULL && client_read(c, tod_monotonic_ms() + LATE_REPLY_MS) >= 400)
        return true;
    c->fault = fault;
    c->sys_errno = sys_errno;
    return false;
}

/* transport_write_message gave up: our side, or the connection. */
static bool write_fault(struct smtp_transaction *tx, const struct err *err)
{
    struct smtp_attempt *at = tx->at;
    struct client *c = tx->client;

    if (c->fault == CLIENT_OK) {
        /* Cut off without the end: the server must not take what it has for the whole message. */
        c->fault = CLIENT_IO;
        return smtp_fault_set(at, SMTP_SCOPE_LOCAL, RC_DEFER, err->sys_errno,
                              err->msg != NULL ? err->msg : "failed to read the message");
    }
    if (read_late_reply(tx)) {
        (void)message_fault(tx, "sending data block");
        c->fault = CLIENT_CLOSED;
        return false;
    }
    if (c->fault == CLIENT_TIMEOUT)
        return smtp_fault_set(at, SMTP_SCOPE_HOST, RC_DEFER, ETIMEDOUT,
                              arena_printf(at->arena, "SMTP timeout while sending data block (%lld bytes written)",
                                           (long long)c->written));
    return smtp_fault_set(at, SMTP_SCOPE_HOST, RC_DEFER, c->sys_errno != 0 ? c->sys_errno : ERR_SMTPCLOSED,
                          "connection lost while sending data");
}

static bool send_by_data(struct smtp_transaction *tx)
{
    struct smtp_attempt *at = tx->at;
    struct client *c = tx->client;
    struct transport_output out = { .crlf = true, .dot_stuff = true, .write = write_block, .arg = tx };
    struct err err = { 0 };
    const char *after = tx->pipelining ? "pipelined DATA" : "DATA";

    client_put(c, "DATA");
    bool answered = smtp_envelope_drain(tx);

    if (!answered)
        return false;
    int code = client_read(c, smtp_open_deadline(at));

    if (tx->accepted == 0) {
        if (code / 100 == 3) { /* a server that goes on with no recipient: end it at once */
            client_put(c, ".");
            return client_read(c, final_deadline(tx)) != 0;
        }
        return code != 0;
    }
    if (code / 100 != 3) {
        if (code == 0) { /* RFC: a timeout here is the host's */
            (void)smtp_fault_reply(at, SMTP_SCOPE_HOST, after);
            return false;
        }
        return message_fault(tx, after);
    }
    c->written = 0;
    if (!transport_write_message(&at->t->base, tx->call, &out, &err))
        return write_fault(tx, &err);
    buf_add(&c->out, ".\r\n", 3);
    return true;
}

/* ---- BDAT ---- */
struct chunks {
    struct smtp_transaction *tx;
    struct buf data;
    size_t limit;
    size_t unanswered;
    bool begun; /* replies to the envelope have been read */
};

static bool read_chunk(struct chunks *k)
{
    struct smtp_transaction *tx = k->tx;

    if (client_read(tx->client, final_deadline(tx)) / 100 == 2) {
        k->unanswered--;
        return true;
    }
    (void)message_fault(tx, "BDAT");
    tx->chunk_failed = true;
    errno = EPROTO;
    return false;
}

static bool send_chunk(struct chunks *k, bool last)
{
    struct smtp_transaction *tx = k->tx;
    struct client *c = tx->client;

    /* Envelope replies first, when there is more than fits in one go: it may all be in vain. */
    if (!k->begun && (!last || !tx->pipelining)) {
        if (!smtp_envelope_drain(tx) || tx->accepted == 0)
            return false;
        k->begun = true;
    }
    while (k->unanswered > (tx->pipelining ? 1u : 0u))
        if (!read_chunk(k))
            return false;
    client_put(c, "BDAT %zu%s", k->data.len, last ? " LAST" : "");
    if (k->data.len > 0 && !client_write(c, k->data.p, k->data.len, block_deadline(tx))) {
        errno = c->sys_errno;
        return false;
    }
    if (!last && !client_flush(c, block_deadline(tx))) {
        errno = c->sys_errno;
        return false;
    }
    k->unanswered++;
    k->limit = CHUNK_NEXT;
    buf_clear(&k->data);
    return true;
}

static bool collect(void *arg, const void *p, size_t n)
{
    struct chunks *k = arg;

    if (k->data.len > 0 && k->data.len + n > k->limit && !send_chunk(k, false))
        return false;
    buf_add(&k->data, p, n);
    return !k->data.full;
}

/* All replies but that to the last chunk. */
static bool settle_chunks(struct chunks *k)
{
    struct smtp_transaction *tx = k->tx;

    if (!k->begun && !smtp_envelope_drain(tx))
        return false;
    if (tx->accepted == 0)
        return client_read(tx->client, final_deadline(tx)) != 0;
    while (k->unanswered > 1)
        if (!read_chunk(k))
            return false;
    return true;
}

static bool send_by_bdat(struct smtp_transaction *tx)
{
    struct smtp_attempt *at = tx->at;
    struct chunks k = { .tx = tx, .data = buf_init(at->arena, CHUNK_CEILING), .limit = CHUNK_FIRST };
    struct transport_output out = { .crlf = true, .write = collect, .arg = &k };
    struct err err = { 0 };

    tx->client->written = 0;
    at->scope = SMTP_SCOPE_NONE;
    if (transport_write_message(&at->t->base, tx->call, &out, &err) && !k.data.full && send_chunk(&k, true))
        return settle_chunks(&k);
    if (tx->chunk_failed || (k.begun && tx->accepted == 0))
        return tx->client->fault == CLIENT_OK && tx->accepted == 0;
    if (at->scope != SMTP_SCOPE_NONE) /* the envelope's replies said it */
        return false;
    return write_fault(tx, &err);
}

/* ---- After the message ---- */
/* One recipient's own verdict (LMTP, PRDR). */
static bool read_verdict(struct smtp_transaction *tx, struct smtp_rcpt *r, const char *protocol)
{
    struct smtp_attempt *at = tx->at;
    struct client *c = tx->client;
    int code = client_read(c, final_deadline(tx));

    if (code == 0)
        return message_fault(tx, "end of data");
    if (code / 100 == 2) {
        r->addr->confirmation = arena_strdup(at->arena, c->reply.p);
        return true;
    }
    (void)message_fault(tx, "end of data");
    at->fault.message = arena_printf(at->arena, "%s error after end of data: %s", protocol, c->reply.p);
    smtp_fault_apply(at, r->addr);
    r->state = SMTP_RCPT_DONE;
    tx->accepted--;
    return true;
}

static bool read_verdicts(struct smtp_transaction *tx, const char *protocol)
{
    for (size_t i = 0; i < tx->count; i++)
        if (tx->rcpts[i].state == SMTP_RCPT_ACCEPTED && !read_verdict(tx, &tx->rcpts[i], protocol))
            return false;
    return true;
}

static const char *end_of_data(const struct smtp_transaction *tx)
{
    return tx->client->fault == CLIENT_TIMEOUT
               ? arena_printf(tx->at->arena, "end of data (%lld bytes written)", (long long)tx->client->written)
               : "end of data";
}

static bool read_outcome(struct smtp_transaction *tx)
{
    struct client *c = tx->client;

    if (tx->lmtp)
        return read_verdicts(tx, "LMTP");
    int code = client_read(c, final_deadline(tx));

    if (tx->prdr && code == 353) {
        if (!read_verdicts(tx, "PRDR"))
            return false;
        code = client_read(c, final_deadline(tx));
        if (tx->accepted == 0)
            return code != 0;
    }
    if (code / 100 != 2)
        return message_fault(tx, end_of_data(tx));
    const char *said = arena_strdup(tx->at->arena, c->reply.p);

    for (size_t i = 0; i < tx->count; i++)
        if (tx->rcpts[i].state == SMTP_RCPT_ACCEPTED)
            tx->rcpts[i].addr->confirmation = said;
    return true;
}

bool smtp_data_send(struct smtp_transaction *tx)
{
    if (!tx->pipelining && tx->accepted == 0)
        return true;
    bool sent = tx->chunking ? send_by_bdat(tx) : send_by_data(tx);

    if (!sent || tx->accepted == 0)
        return sent;
    bool ok = read_outcome(tx);

    if (tx->client->fault == CLIENT_OK)
        tx->at->conn->needs_rset = false; /* the transaction is over, well or badly */
    return ok;
}
