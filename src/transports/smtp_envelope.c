#include <errno.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "host.h"
#include "match.h"
#include "message.h"
#include "parse.h"
#include "transports/envelope.h"
#include "transports/smtp_int.h"

enum { COMMAND_MAX = 4096, PIPELINE_MAX = 32 * 1024 };

/* ---- What may be used with this host ---- */
static bool read_downconvert(struct smtp_transaction *tx)
{
    struct smtp_attempt *at = tx->at;
    const char *text;

    tx->downconvert = tx->call->message->utf8_downconvert;
    if (!smtp_policy_expand(at, "utf8_downconvert", at->t->utf8_downconvert, &text))
        return false;
    if (text != NULL && *text != '\0')
        tx->downconvert = strcmp(text, "1") == 0 || strcmp(text, "-1") == 0;
    return true;
}

static bool read_extensions(struct smtp_transaction *tx)
{
    struct smtp_attempt *at = tx->at;
    const struct client *c = tx->client;
    unsigned caps = c->esmtp ? c->caps.set : 0;
    bool no_pipelining, try_chunking, try_prdr;

    if (!smtp_policy_in(at, "hosts_avoid_pipelining", at->t->hosts_avoid_pipelining, &no_pipelining) ||
        !smtp_policy_in(at, "hosts_try_chunking", at->t->hosts_try_chunking, &try_chunking) ||
        !smtp_policy_in(at, "hosts_try_prdr", at->t->hosts_try_prdr, &try_prdr) || !read_downconvert(tx))
        return false;
    tx->lmtp = at->t->kind == SMTP_LMTP;
    tx->pipelining = (caps & CLIENT_PIPELINING) != 0 && !no_pipelining;
    /* With a filter the size is not known beforehand, and it may fail half way. */
    tx->chunking = (caps & CLIENT_CHUNKING) != 0 && try_chunking && at->t->base.transport_filter == NULL &&
                   !tx->lmtp;
    tx->prdr = (caps & CLIENT_PRDR) != 0 && try_prdr && tx->count > 1 && !tx->lmtp;
    tx->dsn = (caps & CLIENT_DSN) != 0;
    if (!envelope_needs_utf8(tx->call))
        return true;
    tx->utf8 = (caps & CLIENT_SMTPUTF8) != 0;
    if (tx->utf8 || tx->downconvert)
        return true;
    (void)smtp_fault_set(at, SMTP_SCOPE_MESSAGE, RC_FAIL, ERR_UTF8FWD,
                         "utf8 support required but not offered for forwarding");
    return false;
}

static const char *wire_address(struct smtp_transaction *tx, const char *address)
{
    return !tx->utf8 && tx->downconvert ? envelope_to_ascii(tx->at->arena, address) : address;
}

/* ---- MAIL ---- */
static bool add_auth(struct smtp_transaction *tx, struct buf *b)
{
    struct smtp_attempt *at = tx->at;
    const char *sender = tx->call->message->authenticated_sender, *text;

    if (!smtp_policy_expand(at, "authenticated_sender", at->t->authenticated_sender, &text))
        return false;
    if (text != NULL && *text != '\0')
        sender = text;
    if (tx->call->return_path[0] == '\0' && at->ctx.exim->config->main.bounce_sender_authentication != NULL)
        sender = at->ctx.exim->config->main.bounce_sender_authentication;
    if (sender != NULL && (at->conn->authenticated || at->t->authenticated_sender_force))
        buf_printf(b, " AUTH=%s", parse_xtext_encode(at->arena, sender));
    return true;
}

bool smtp_envelope_build(struct smtp_transaction *tx)
{
    struct smtp_attempt *at = tx->at;
    struct buf b = buf_init(at->arena, COMMAND_MAX);

    if (!read_extensions(tx))
        return false;
    const char *sender = wire_address(tx, tx->return_path);

    if (sender == NULL)
        return smtp_fault_set(at, SMTP_SCOPE_MESSAGE, RC_FAIL, ERR_UTF8FWD,
                              "the sender address cannot be converted to ASCII");
    buf_printf(&b, "MAIL FROM:<%s>", sender);
    if ((tx->client->caps.set & CLIENT_SIZE) != 0 && tx->client->esmtp && at->t->size_addition >= 0)
        buf_printf(&b, " SIZE=%lld",
                   (long long)(transport_message_size(&at->t->base, tx->call, true) + at->t->size_addition));
    if (tx->prdr)
        buf_add_cstr(&b, " PRDR");
    if (tx->utf8)
        buf_add_cstr(&b, " SMTPUTF8");
    if (tx->dsn && envelope_passes_dsn(tx->rcpts[0].addr))
        envelope_add_mail_dsn(&b, tx->call->message);
    if (!add_auth(tx, &b))
        return false;
    if (b.full)
        return smtp_fault_set(at, SMTP_SCOPE_MESSAGE, RC_FAIL, 0, "the MAIL command would be too long");
    tx->mail = buf_cstr(&b);
    return true;
}

/* ---- RCPT ---- */
static const char *bare_address(struct smtp_transaction *tx, const struct address *addr)
{
    bool affixed = addr->prefix != NULL || addr->suffix != NULL;

    if (!affixed || tx->at->t->base.rcpt_include_affixes || addr->domain == NULL)
        return addr->address;
    const char *at_sign = strrchr(addr->address, '@');
    size_t prefix = addr->prefix != NULL ? strlen(addr->prefix) : 0;
    size_t suffix = addr->suffix != NULL ? strlen(addr->suffix) : 0;
    size_t len = at_sign != NULL ? (size_t)(at_sign - addr->address) : 0;

    if (len <= prefix + suffix)
        return addr->address;
    return arena_printf(tx->at->arena, "%.*s%s", (int)(len - prefix - suffix), addr->address + prefix, at_sign);
}

const char *smtp_envelope_rcpt(struct smtp_transaction *tx, const struct address *addr)
{
    return bare_address(tx, addr);
}

static void put_rcpt(struct smtp_transaction *tx, const struct address *addr, const char *wire)
{
    struct buf b = buf_init(tx->at->arena, COMMAND_MAX);

    buf_printf(&b, "RCPT TO:<%s>", wire);
    if (tx->dsn && envelope_passes_dsn(addr))
        envelope_add_rcpt_dsn(tx->at->arena, &b, addr, tx->utf8);
    if (tx->lmtp && tx->at->t->lmtp_ignore_quota && (tx->client->caps.set & CLIENT_IGNOREQUOTA) != 0)
        buf_add_cstr(&b, " IGNOREQUOTA");
    client_put(tx->client, "%s", buf_cstr(&b));
}

/* ---- Replies ---- */
static bool read_rset(struct smtp_transaction *tx)
{
    tx->rset_pending = false;
    if (client_read(tx->client, smtp_open_deadline(tx->at)) / 100 == 2) {
        tx->at->conn->needs_rset = false;
        return true;
    }
    tx->redo = tx->at->reused;
    return smtp_fault_reply(tx->at, SMTP_SCOPE_HOST, "RSET");
}

static bool read_mail(struct smtp_transaction *tx)
{
    struct smtp_attempt *at = tx->at;
    int code = client_read(tx->client, smtp_open_deadline(at));
    const char *after = arena_printf(at->arena, "%s%s", tx->pipelining ? "pipelined " : "", tx->mail);

    tx->mail_pending = false;
    tx->mail_ok = code / 100 == 2;
    if (tx->mail_ok) {
        at->conn->needs_rset = true; /* until the transaction has come to its end */
        return true;
    }
    (void)smtp_fault_reply(at, SMTP_SCOPE_MESSAGE, after);
    if (code != 0 && at->fault.rc == RC_DEFER)
        at->fault.basic_errno = ERR_MAIL4XX;
    if (tx->client->fault == CLIENT_CLOSED || tx->client->fault == CLIENT_MALFORMED ||
        tx->client->fault == CLIENT_IO)
        at->scope = SMTP_SCOPE_HOST;
    /* Said to a connection that was kept: it may only have been idle for too long. */
    tx->redo = at->reused && (code == 421 || tx->client->fault == CLIENT_CLOSED);
    tx->mail_fault = at->fault;
    return code != 0;
}

static void note_deferred_rcpt(struct smtp_transaction *tx, struct smtp_rcpt *r)
{
    struct smtp_attempt *at = tx->at;

    at->fault.basic_errno = ERR_RCPT4XX;
    r->addr->retry_key = at->t->address_retry_include_sender
                             ? arena_printf(at->arena, "R:%s:<%s>", r->addr->address, tx->call->return_path)
                             : arena_printf(at->arena, "R:%s", r->addr->address);
}

static bool read_rcpt(struct smtp_transaction *tx, struct smtp_rcpt *r)
{
    struct smtp_attempt *at = tx->at;
    int code = client_read(tx->client, smtp_open_deadline(at));

    if (code / 100 == 2) {
        r->state = SMTP_RCPT_ACCEPTED;
        tx->accepted++;
        return true;
    }
    if (tx->mail_pending || !tx->mail_ok) /* "503 MAIL first" tells nothing about the recipient */
        return code != 0;
    const char *after = arena_printf(at->arena, "RCPT TO:<%s>", smtp_envelope_rcpt(tx, r->addr));

    (void)smtp_fault_reply(at, SMTP_SCOPE_HOST, after);
    bool timeout = tx->client->fault == CLIENT_TIMEOUT;

    if (code == 0 && !timeout)
        return false; /* of all that are left */
    if (at->fault.rc == RC_DEFER)
        note_deferred_rcpt(tx, r);
    if (timeout)
        at->fault.basic_errno = ETIMEDOUT;
    smtp_fault_apply(at, r->addr);
    if (at->fault.rc == RC_DEFER)
        (void)smtp_fault_event(at, "msg:rcpt:host:defer", at->fault.message, at->fault.basic_errno);
    r->state = SMTP_RCPT_DONE;
    return !timeout;
}

bool smtp_envelope_drain(struct smtp_transaction *tx)
{
    if (tx->rset_pending && !read_rset(tx))
        return false;
    if (tx->mail_pending && !read_mail(tx))
        return false;
    for (; tx->answered < tx->count && tx->rcpts[tx->answered].state != SMTP_RCPT_UNASKED; tx->answered++) {
        struct smtp_rcpt *r = &tx->rcpts[tx->answered];

        if (r->state == SMTP_RCPT_ASKED && !read_rcpt(tx, r))
            return false;
    }
    return true;
}

static bool send_rcpt(struct smtp_transaction *tx, struct smtp_rcpt *r)
{
    const char *wire = wire_address(tx, smtp_envelope_rcpt(tx, r->addr));

    if (wire == NULL) {
        (void)smtp_fault_set(tx->at, SMTP_SCOPE_MESSAGE, RC_FAIL, ERR_UTF8FWD,
                             "the recipient address cannot be converted to ASCII");
        smtp_fault_apply(tx->at, r->addr);
        r->state = SMTP_RCPT_DONE;
        return true;
    }
    put_rcpt(tx, r->addr, wire);
    r->state = SMTP_RCPT_ASKED;
    /* A server that waits for us to read must not wait while we wait for it to read. */
    if (tx->pipelining && tx->client->out.len < PIPELINE_MAX)
        return true;
    return smtp_envelope_drain(tx) && tx->mail_ok;
}

bool smtp_envelope_send(struct smtp_transaction *tx)
{
    if (tx->at->conn->needs_rset) {
        client_put(tx->client, "RSET");
        tx->rset_pending = true;
        if (!tx->pipelining && !smtp_envelope_drain(tx))
            return false;
    }
    client_put(tx->client, "%s", tx->mail);
    tx->mail_pending = true;
    if (!tx->pipelining && (!smtp_envelope_drain(tx) || !tx->mail_ok))
        return false;
    for (size_t i = 0; i < tx->count; i++)
        if (!send_rcpt(tx, &tx->rcpts[i]))
            return false;
    return true;
}
