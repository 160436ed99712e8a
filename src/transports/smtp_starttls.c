#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/tod.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "transports/smtp_int.h"

static const char *message_id(const struct smtp_attempt *at)
{
    return at->ctx.message != NULL ? at->ctx.message->id : NULL;
}

/* Exim: "[ip] SSL verify error: ..."; what is ours comes at the end of the line. */
static void log_verify_error(struct smtp_attempt *at, const char *text)
{
    const char *note = at->want.report_only && at->want.verify_required ? " (report only: not refused)" : "";
    bool event = cstr_starts(text, "verify denied");

    if (at->probe)
        return;
    (void)smtp_fault_event(at, "tls:verify", text, 0); /* nothing that it says changes the decision */
    if (*note != '\0')
        smtp_report_note(at, text);
    log_write(at->ctx.exim->log, LOG_MAIN, message_id(at), "[%s] SSL %s%s%s", at->address,
              event ? "" : "verify error: ", text, note);
}

static bool tls_fault(struct smtp_attempt *at, enum tls_client_rc rc, const char *why)
{
    enum smtp_scope scope = SMTP_SCOPE_TLS;
    const char *kind = "failure while setting up TLS session";

    if (!at->probe)
        log_write(at->ctx.exim->log, LOG_MAIN, message_id(at), "H=%s [%s] TLS error on connection %s",
                  at->host->name, at->address, why);
    if (at->want.tlsa != NULL && rc == TLS_CLIENT_VERIFY_FAILED)
        (void)smtp_fault_event(at, "dane:fail", why, 0);
    if (rc == TLS_CLIENT_CONFIG) /* ours: nothing that clear text would cure */
        scope = SMTP_SCOPE_LOCAL;
    else if (rc == TLS_CLIENT_VERIFY_FAILED && at->t->verify_fail == SMTP_VERIFY_FAIL_DEFER)
        scope = SMTP_SCOPE_HOST;
    return smtp_fault_set(at, scope, RC_DEFER, ERR_TLSFAILURE, arena_printf(at->arena, "%s: %s", kind, why));
}

bool smtp_starttls_now(struct smtp_attempt *at)
{
    struct client *c = &at->conn->client;
    struct tls_client_want want = at->want;
    struct err err = { 0 };

    if (want.verify_required && at->t->verify_fail == SMTP_VERIFY_FAIL_UNVERIFIED && !at->require_tls) {
        want.verify_required = false;
        want.verify_try = true;
    }
    at->conn->files = smtp_policy_files(at->conn->arena, at);
    enum tls_client_rc rc = tls_client_start(&at->ctx, at->conn->arena, c->fd, smtp_open_deadline(at), &want,
                                             &c->tls, &c->tls_info, &err);

    if (c->tls_info.verify_error != NULL)
        log_verify_error(at, c->tls_info.verify_error);
    if (rc != TLS_CLIENT_OK)
        return tls_fault(at, rc, err.msg != NULL ? err.msg : "(unknown)");
    return true;
}

static bool required(struct smtp_attempt *at, const char *what)
{
    return smtp_fault_set(at, SMTP_SCOPE_HOST, RC_DEFER, ERR_TLSREQUIRED,
                          arena_printf(at->arena, "a TLS session is required, but %s", what));
}

/* An answer to STARTTLS other than "go ahead". */
static enum smtp_tls_result refused(struct smtp_attempt *at)
{
    const struct client *c = &at->conn->client;
    bool permanent = c->code / 100 == 5;

    if (c->code == 0) {
        (void)smtp_fault_reply(at, SMTP_SCOPE_TLS, "STARTTLS");
        return SMTP_TLS_FAULT;
    }
    if (at->require_tls) {
        (void)required(at, "an attempt to start TLS failed");
        return SMTP_TLS_FAULT;
    }
    if (!permanent && !at->t->tls_tempfail_tryclear) {
        (void)smtp_fault_reply(at, SMTP_SCOPE_HOST, "STARTTLS");
        at->fault.rc = RC_DEFER;
        return SMTP_TLS_FAULT;
    }
    return SMTP_TLS_NONE;
}

enum smtp_tls_result smtp_starttls_try(struct smtp_attempt *at)
{
    struct client *c = &at->conn->client;

    if (at->avoid_tls || at->in_clear || (c->caps.set & CLIENT_STARTTLS) == 0) {
        if (!at->require_tls)
            return SMTP_TLS_NONE;
        (void)required(at, at->avoid_tls ? "the host is in hosts_avoid_tls"
                                         : "the server did not offer TLS support");
        return SMTP_TLS_FAULT;
    }
    if (client_command(c, smtp_open_deadline(at), "STARTTLS") / 100 != 2)
        return refused(at);
    /* Plain text behind the reply would be read as if it had come through TLS. */
    if (client_has_input(c)) {
        (void)smtp_fault_set(at, SMTP_SCOPE_TLS, RC_DEFER, ERR_TLSFAILURE,
                             "the server sent data after its reply to STARTTLS");
        return SMTP_TLS_FAULT;
    }
    return smtp_starttls_now(at) ? SMTP_TLS_ON : SMTP_TLS_FAULT;
}
