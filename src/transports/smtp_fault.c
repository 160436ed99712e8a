#include <errno.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/log.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "retry.h"
#include "spool.h"
#include "transports/smtp_int.h"

static const char *default_status(enum rc rc, int basic_errno)
{
    switch (basic_errno) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
        return "4.4.1";
    case ETIMEDOUT:
    case ECONNRESET:
    case ERR_SMTPCLOSED:
        return "4.4.2";
    case ERR_TLSFAILURE:
        return "4.7.5";
    case ERR_TLSREQUIRED:
        return "4.7.10";
    case ERR_AUTHFAIL:
        return "4.7.0";
    case ERR_DNSDEFER:
        return "4.4.3";
    case ERR_HOST_IS_LOCAL:
        return "4.4.6";
    case ERR_SMTPFORMAT:
        return "4.5.0";
    case ERR_EXPANDFAIL:
        return "4.3.5";
    case ERR_UTF8FWD:
        return "5.6.7";
    default:
        return rc == RC_FAIL ? "5.0.0" : "4.0.0";
    }
}

bool smtp_fault_set(struct smtp_attempt *at, enum smtp_scope scope, enum rc rc, int basic_errno,
                    const char *message)
{
    bool connection = basic_errno == ECONNREFUSED || basic_errno == ETIMEDOUT;

    at->scope = scope;
    at->fault = (struct smtp_fault){ .rc = rc,
                                     .basic_errno = basic_errno,
                                     .more_errno = connection && at->host != NULL && at->host->mx >= 0 ? 'M'
                                                   : connection                                        ? 'A'
                                                                                                       : 0,
                                     .message = message,
                                     .status = default_status(rc, basic_errno) };
    return false;
}

bool smtp_fault_reply(struct smtp_attempt *at, enum smtp_scope scope, const char *after)
{
    struct client *c = &at->conn->client;
    struct arena *a = at->arena;
    const char *text = c->reply.len > 0 ? c->reply.p : "";

    switch (c->fault) {
    case CLIENT_CLOSED:
        return smtp_fault_set(at, scope, RC_DEFER, ERR_SMTPCLOSED,
                              arena_printf(a, "Remote host closed connection in response to %s", after));
    case CLIENT_TIMEOUT:
        return smtp_fault_set(at, scope, RC_DEFER, ETIMEDOUT, arena_printf(a, "SMTP timeout after %s", after));
    case CLIENT_MALFORMED:
        return smtp_fault_set(at, scope, RC_DEFER, ERR_SMTPFORMAT,
                              arena_printf(a, "Malformed SMTP reply in response to %s: %s", after, text));
    case CLIENT_IO:
        return smtp_fault_set(at, scope, RC_DEFER, c->sys_errno != 0 ? c->sys_errno : EIO,
                              arena_printf(a, "SMTP input/output error after %s", after));
    case CLIENT_OK:
        break;
    }
    bool permanent = c->code / 100 == 5;

    (void)smtp_fault_set(at, scope, permanent ? RC_FAIL : RC_DEFER, 0,
                         arena_printf(a, "SMTP error from remote mail server after %s: %s", after, text));
    at->fault.diagnostic = arena_strdup(a, text);
    const char *status = client_reply_status(a, text);

    if (status != NULL)
        at->fault.status = status;
    if (!permanent)
        at->fault.more_errno = c->code % 100;
    return false;
}

bool smtp_fault_expand(struct smtp_attempt *at, const char *option)
{
    const char *why = at->ctx.err.msg != NULL ? at->ctx.err.msg : "unknown error";

    return smtp_fault_set(at, SMTP_SCOPE_LOCAL, RC_DEFER, ERR_EXPANDFAIL,
                          arena_printf(at->arena, "failed to expand \"%s\" in %s transport: %s", option,
                                       at->t->base.name, why));
}

static bool is_remote(const struct smtp_attempt *at)
{
    return at->host != NULL && at->fault.message != NULL && at->scope != SMTP_SCOPE_LOCAL;
}

void smtp_fault_apply(struct smtp_attempt *at, struct address *addr)
{
    const struct smtp_fault *f = &at->fault;

    addr->result = (struct addr_result){ .rc = f->rc,
                                         .basic_errno = f->basic_errno,
                                         .more_errno = f->more_errno,
                                         .message = f->message,
                                         .status = f->status,
                                         .diagnostic = f->diagnostic,
                                         .pass_message = true };
    addr->host_used = at->host;
    if (!is_remote(at))
        return;
    addr->result.remote_mta = at->host->name;
    addr->result.remote_address = at->address;
    addr->result.remote_port = at->port;
}

void smtp_fault_log(struct smtp_attempt *at)
{
    const struct smtp_fault *f = &at->fault;
    struct arena *a = at->arena;
    struct exim *e = at->ctx.exim;
    const char *port = log_wants(e->log, L_outgoing_port) ? arena_printf(a, ":%d", at->port) : "";
    const char *why = f->basic_errno > 0 ? strerror(f->basic_errno) : "";
    const char *line = f->message == NULL
                           ? arena_printf(a, "H=%s [%s]%s %s", at->host->name, at->address, port, why)
                           : arena_printf(a, "H=%s [%s]%s: %s%s%s", at->host->name, at->address, port, f->message,
                                          *why != '\0' ? ": " : "", why);
    const char *id = at->ctx.message != NULL ? at->ctx.message->id : NULL;

    log_write(e->log, LOG_MAIN, id, "%s", line);
    if (at->ctx.message != NULL)
        spool_msglog(e, at->ctx.message, "%s", cstr_printable(a, line, true));
    (void)smtp_fault_event(at, "msg:host:defer", f->message != NULL ? f->message : why, f->basic_errno);
}

const char *smtp_fault_event(struct smtp_attempt *at, const char *name, const char *data, int defer_errno)
{
    struct expand_ctx ctx = at->ctx;
    const char *text;

    if (at->t->base.event_action == NULL)
        return NULL;
    ctx.event_name = name;
    ctx.event_data = data;
    ctx.event_defer_errno = defer_errno;
    if (expand(&ctx, at->t->base.event_action, &text) == EXPAND_OK)
        return *text != '\0' ? text : NULL;
    return NULL;
}
