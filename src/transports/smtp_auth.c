#include <string.h>

#include "address.h"
#include "auths/auth.h"
#include "base/arena.h"
#include "base/log.h"
#include "config/config.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "transports/smtp_int.h"

struct exchange {
    struct smtp_attempt *at;
    bool lost;
};

static bool on_exchange(void *arg, const char *line, int *code, const char **text)
{
    struct exchange *x = arg;
    struct client *c = &x->at->conn->client;

    c->secret = true;
    *code = client_command(c, smtp_open_deadline(x->at), "%s", line);
    c->secret = false;
    if (*code == 0) {
        x->lost = true;
        *text = "";
        return false;
    }
    const char *reply = arena_strdup(x->at->arena, c->reply.p);

    *text = strlen(reply) > 4 ? reply + 4 : "";
    return true;
}

static void note_success(struct smtp_attempt *at, const struct authenticator *au)
{
    struct smtp_connection *conn = at->conn;
    const char *id;

    conn->authenticated = true;
    conn->auth_name = arena_strdup(conn->arena, au->name);
    if (au->client_set_id != NULL && expand(&at->ctx, au->client_set_id, &id) == EXPAND_OK && *id != '\0')
        conn->auth_id = arena_strdup(conn->arena, id);
}

/* True: done, one way or the other, with *ok; false: let the next authenticator try. */
static bool try_one(struct smtp_attempt *at, const struct authenticator *au, bool *ok)
{
    struct exchange x = { .at = at };
    struct auth_client_call call = { .ctx = &at->ctx, .exchange = on_exchange, .arg = &x };
    const struct client *c = &at->conn->client;

    *ok = true;
    switch (au->driver->client(au, &call)) {
    case AUTH_OK:
        note_success(at, au);
        return true;
    case AUTH_CANCELLED:
        return false;
    default:
        break;
    }
    if (x.lost) {
        *ok = smtp_fault_reply(at, SMTP_SCOPE_HOST, "AUTH command");
        return true;
    }
    log_write(at->ctx.exim->log, LOG_MAIN, at->ctx.message != NULL ? at->ctx.message->id : NULL,
              "%s authenticator failed H=%s [%s] %s", au->name, at->host->name, at->address,
              c->code >= 400 ? c->reply.p : call.err.msg != NULL ? call.err.msg : "");
    (void)smtp_fault_event(at, "auth:fail", c->reply.len > 0 ? c->reply.p : "", 0);
    return false;
}

static bool run_all(struct smtp_attempt *at, bool *attempted)
{
    const struct config *cfg = at->ctx.exim->config;
    bool ok;

    *attempted = false;
    for (size_t i = 0; i < cfg->authenticator_count; i++) {
        const struct authenticator *au = cfg->authenticators[i];
        bool use;

        if (!au->client || au->driver->client == NULL || au->public_name == NULL ||
            !client_caps_has_auth(&at->conn->client.caps, au->public_name))
            continue;
        if (expand_bool(&at->ctx, au->client_condition, true, &use) != EXPAND_OK)
            return smtp_fault_expand(at, "client_condition");
        if (!use)
            continue;
        *attempted = true;
        if (try_one(at, au, &ok))
            return ok;
    }
    return true;
}

bool smtp_auth_run(struct smtp_attempt *at)
{
    bool required, try, attempted = false;

    if (!smtp_policy_in(at, "hosts_require_auth", at->t->hosts_require_auth, &required) ||
        !smtp_policy_in(at, "hosts_try_auth", at->t->hosts_try_auth, &try))
        return false;
    if (!required && !try)
        return true;
    bool offered = at->conn->client.esmtp && (at->conn->client.caps.set & CLIENT_AUTH) != 0;

    if (offered && !run_all(at, &attempted))
        return false;
    if (at->conn->authenticated || !required)
        return true;
    const char *why = !offered ? "authentication required but the server did not advertise AUTH support"
                      : attempted
                          ? "authentication required but authentication attempt(s) failed"
                          : "authentication required but no common mechanisms found";

    return smtp_fault_set(at, SMTP_SCOPE_HOST, RC_DEFER, ERR_AUTHFAIL, why);
}
