#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "retry.h"
#include "transports/envelope.h"
#include "transports/smtp_int.h"

static bool is_never(const struct address *a)
{
    return (a->dsn_flags & DSN_NEVER) != 0;
}

/* Which recipients a transaction is for. */
enum part { PART_ALL, PART_NEVER, PART_OTHERS };

static bool belongs(const struct address *a, enum part part)
{
    return part == PART_ALL || is_never(a) == (part == PART_NEVER);
}

static struct smtp_transaction begin(struct smtp_attempt *at, struct transport_call *call, struct address *list,
                                     enum part part)
{
    struct smtp_transaction tx = { .at = at, .call = call, .client = &at->conn->client,
                                   .return_path = part == PART_NEVER ? "" : call->return_path };
    size_t i = 0;

    for (struct address *a = list; a != NULL; a = a->next)
        tx.count += belongs(a, part);
    tx.rcpts = arena_new_array(at->arena, struct smtp_rcpt, tx.count);
    for (struct address *a = list; a != NULL; a = a->next)
        if (belongs(a, part))
            tx.rcpts[i++].addr = a;
    return tx;
}

void smtp_send_settle(struct smtp_transaction *tx)
{
    for (size_t i = 0; i < tx->count; i++)
        if (tx->rcpts[i].state != SMTP_RCPT_DONE) {
            smtp_fault_apply(tx->at, tx->rcpts[i].addr);
            tx->rcpts[i].state = SMTP_RCPT_DONE;
        }
}

static const char *dup(struct arena *a, const char *s)
{
    return s != NULL ? arena_strdup(a, s) : NULL;
}

/* What => lines show of the connection; the strings must outlive it. */
struct shown {
    const char *cipher, *peerdn, *sni, *auth, *name;
    int cv;
};

static struct shown show(const struct smtp_attempt *at)
{
    const struct tls_info *i = &at->conn->client.tls_info;
    struct arena *a = at->arena;
    struct shown s = { .cv = -1 };

    if (at->conn->authenticated)
        s.auth = arena_printf(a, "%s%s%s", at->conn->auth_name, at->conn->auth_id != NULL ? ":" : "",
                              at->conn->auth_id != NULL ? at->conn->auth_id : "");
    if (!i->active)
        return s;
    s.cipher = dup(a, i->cipher);
    s.peerdn = dup(a, i->peerdn);
    s.sni = dup(a, i->sni);
    s.name = dup(a, i->verified_name);
    s.cv = i->dane_verified ? 2 : i->certificate_verified ? 1 : 0;
    return s;
}

/* Nothing waits any longer. */
static void note_success(struct smtp_transaction *tx, struct address *addr)
{
    struct smtp_attempt *at = tx->at;
    struct exim *e = at->ctx.exim;

    if (retry_knows_nothing(e))
        return;
    const char *key = at->t->address_retry_include_sender
                          ? arena_printf(at->arena, "R:%s:<%s>", addr->address, tx->call->return_path)
                          : arena_printf(at->arena, "R:%s", addr->address);

    retry_done(e, at->arena, addr, at->host->retry_host_key, true);
    retry_done(e, at->arena, addr, at->host->retry_message_key, true);
    retry_done(e, at->arena, addr, key, false);
}

static void deliver_one(struct smtp_transaction *tx, struct address *addr, const struct shown *s)
{
    struct smtp_attempt *at = tx->at;

    addr->result = (struct addr_result){ .rc = RC_OK,
                                         .status = "2.0.0",
                                         .remote_mta = at->host->name,
                                         .remote_address = at->address,
                                         .remote_port = at->port,
                                         .diagnostic = addr->confirmation };

    addr->outcome = tx->dsn && envelope_passes_dsn(addr) ? OUTCOME_PASSED_ON : OUTCOME_RELAYED;
    addr->remote_dsn = tx->dsn;
    addr->host_used = at->host;
    addr->log_tls_cipher = s->cipher;
    addr->log_tls_peerdn = s->peerdn;
    addr->log_tls_sni = s->sni;
    addr->log_verified_name = s->name;
    addr->log_cv = s->cv;
    addr->log_auth = s->auth;
    addr->log_chunking = tx->chunking;
    addr->log_prdr = tx->prdr;
    addr->log_dnssec = at->host->dnssec_ok;
    addr->log_reused = at->reused || at->conn->messages > 1;
    note_success(tx, addr);
    if (tx->call->settled != NULL)
        tx->call->settled(tx->call->settled_arg, addr);
}

static void deliver_accepted(struct smtp_transaction *tx)
{
    struct shown s = show(tx->at);

    for (size_t i = 0; i < tx->count; i++)
        if (tx->rcpts[i].state == SMTP_RCPT_ACCEPTED) {
            deliver_one(tx, tx->rcpts[i].addr, &s);
            tx->rcpts[i].state = SMTP_RCPT_DONE;
        }
}

/* Retry data as the kind of error asks for (manual 49.2). */
static void note_retry(struct smtp_transaction *tx)
{
    struct smtp_attempt *at = tx->at;
    const char *key = at->scope == SMTP_SCOPE_HOST      ? at->host->retry_host_key
                      : at->scope == SMTP_SCOPE_MESSAGE ? at->host->retry_message_key
                                                        : NULL;

    for (size_t i = 0; i < tx->count; i++) {
        struct address *addr = tx->rcpts[i].addr;

        if (addr->result.rc != RC_DEFER)
            continue;
        if (addr->retry_key != NULL)
            retry_add(at->arena, addr, addr->retry_key, false, false);
        else
            retry_add(at->arena, addr, key, true, false);
    }
}

static bool run(struct smtp_transaction *tx)
{
    if (!smtp_envelope_build(tx))
        return false;
    tx->at->conn->messages++;
    if (smtp_envelope_send(tx))
        return smtp_data_send(tx);
    return false;
}

static bool transact(struct smtp_attempt *at, struct transport_call *call, struct address *list, enum part part,
                     bool *redo)
{
    struct smtp_transaction tx = begin(at, call, list, part);

    at->scope = SMTP_SCOPE_NONE;
    at->fault = (struct smtp_fault){ 0 };
    for (size_t i = 0; i < tx.count; i++)
        tx.rcpts[i].addr->retry_key = NULL;
    bool ok = run(&tx);

    *redo = tx.redo;
    if (tx.redo)
        return false;
    if (tx.mail_fault.message != NULL && tx.client->fault == CLIENT_OK) {
        at->fault = tx.mail_fault;
        at->scope = SMTP_SCOPE_MESSAGE;
        ok = false;
    }
    if (ok)
        deliver_accepted(&tx);
    bool unsettled = false;

    for (size_t i = 0; i < tx.count; i++)
        unsettled = unsettled || tx.rcpts[i].state != SMTP_RCPT_DONE;
    if (unsettled && at->fault.message == NULL && at->fault.basic_errno == 0)
        (void)smtp_fault_set(at, SMTP_SCOPE_LOCAL, RC_DEFER, ERR_UNKNOWNERROR, "delivery not completed");
    smtp_send_settle(&tx);
    if (unsettled && (at->scope == SMTP_SCOPE_HOST || (at->scope == SMTP_SCOPE_MESSAGE && at->fault.rc == RC_DEFER)))
        smtp_fault_log(at);
    note_retry(&tx);
    return tx.client->fault == CLIENT_OK && tx.client->code != 421;
}

/* Nobody may report on these recipients, and a host without DSN cannot be told so but by an empty sender
 * (RFC 3461 5.2.2 c). */
static bool sends_never_apart(const struct smtp_attempt *at, const struct transport_call *call,
                              const struct address *list)
{
    const struct client *c = &at->conn->client;

    if (!at->t->dsn_never_null_sender || call->return_path[0] == '\0' ||
        (c->esmtp && (c->caps.set & CLIENT_DSN) != 0))
        return false;
    while (list != NULL && !is_never(list))
        list = list->next;
    return list != NULL;
}

/* The connection was lost after the first of two transactions. */
static void fail_part(struct smtp_attempt *at, struct transport_call *call, struct address *list, enum part part)
{
    struct smtp_transaction tx = begin(at, call, list, part);

    (void)smtp_fault_set(at, SMTP_SCOPE_HOST, RC_DEFER, ERR_SMTPCLOSED,
                         "Remote host closed connection between two transactions");
    smtp_send_settle(&tx);
}

bool smtp_send_transaction(struct smtp_attempt *at, struct transport_call *call, struct address *list,
                           bool *redo)
{
    if (!sends_never_apart(at, call, list))
        return transact(at, call, list, PART_ALL, redo);
    struct address *others = list;

    while (others != NULL && is_never(others))
        others = others->next;
    bool usable = transact(at, call, list, PART_NEVER, redo);

    if (*redo || others == NULL)
        return usable;
    if (!usable) {
        fail_part(at, call, list, PART_OTHERS);
        return false;
    }
    at->reused = false; /* no second start from the beginning: some have the message */
    return transact(at, call, list, PART_OTHERS, redo);
}
