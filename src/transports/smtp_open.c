#include <errno.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/debug.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tod.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "transports/smtp_int.h"
#include "transports/smtp_proxy.h"

int64_t smtp_open_deadline(const struct smtp_attempt *at)
{
    return tod_monotonic_ms() + at->command_timeout * 1000;
}

static bool vetoed(struct smtp_attempt *at, const char *event, const char *data)
{
    const char *text = smtp_fault_event(at, event, data, 0);

    if (text == NULL)
        return false;
    (void)smtp_fault_set(at, SMTP_SCOPE_LOCAL, RC_DEFER, 0,
                         arena_printf(at->arena, "%s event: %s", event, cstr_printable(at->arena, text, true)));
    return true;
}

static bool dial(struct smtp_attempt *at)
{
    struct client *c = &at->conn->client;
    struct client_target to = { .address = at->address,
                                .port = at->port,
                                .interface = at->interface,
                                .deadline_ms = -1,
                                .dscp = -1,
                                .keepalive = at->t->keepalive };
    const char *dscp;
    struct err err = { 0 };

    if (!smtp_policy_expand(at, "dscp", at->t->dscp, &dscp) ||
        !smtp_policy_expand(at, "socks_proxy", at->t->socks_proxy, &to.socks) ||
        !smtp_policy_in(at, "hosts_try_fastopen", at->t->hosts_try_fastopen, &to.fastopen))
        return false;
    if (to.socks != NULL && *to.socks == '\0')
        to.socks = NULL;
    if (dscp != NULL)
        to.dscp = client_dscp_parse(dscp);
    if (at->connect_timeout > 0)
        to.deadline_ms = tod_monotonic_ms() + at->connect_timeout * 1000;
    if (vetoed(at, "tcp:connect", NULL))
        return false;
    DEBUG(D_TRANSPORT) debug_printf("connecting to %s [%s]:%d\n", at->host->name, at->address, at->port);
    if (client_connect(c, &to, &err))
        return smtp_proxy_send(at);
    (void)smtp_fault_set(at, SMTP_SCOPE_HOST, RC_DEFER, c->sys_errno, err.msg);
    if (c->sys_errno == ETIMEDOUT)
        at->fault.more_errno |= 0x100; /* RETRY_CONNECTING */
    return false;
}

static bool read_banner(struct smtp_attempt *at)
{
    struct client *c = &at->conn->client;

    if (client_read(c, smtp_open_deadline(at)) / 100 != 2)
        return smtp_fault_reply(at, SMTP_SCOPE_HOST, "initial connection");
    at->conn->banner = arena_strdup(at->conn->arena, c->reply.p);
    return !vetoed(at, "smtp:connect", at->conn->banner);
}

static bool say_helo(struct smtp_attempt *at, const char *name, const char *ehlo_reply)
{
    struct client *c = &at->conn->client;
    const char *command = arena_printf(at->arena, "HELO %s", name);

    c->esmtp = false;
    c->caps = (struct client_caps){ .auth = "" };
    if (client_command(c, smtp_open_deadline(at), "%s", command) / 100 == 2)
        return true;
    if (c->fault == CLIENT_CLOSED && ehlo_reply != NULL)
        command = arena_printf(at->arena, "%s (EHLO response was: %s)", command, ehlo_reply);
    return smtp_fault_reply(at, SMTP_SCOPE_HOST, command);
}

bool smtp_open_ehlo(struct smtp_attempt *at)
{
    struct client *c = &at->conn->client;
    const char *name, *verb = at->t->kind == SMTP_LMTP ? "LHLO" : "EHLO";
    bool avoid;

    if (!smtp_policy_expand(at, "helo_data", at->t->helo_data, &name) ||
        !smtp_policy_in(at, "hosts_avoid_esmtp", at->t->hosts_avoid_esmtp, &avoid))
        return false;
    if (name == NULL || *name == '\0')
        return smtp_fault_set(at, SMTP_SCOPE_LOCAL, RC_DEFER, ERR_EXPANDFAIL, "helo_data has no value");
    if (avoid && at->t->kind != SMTP_LMTP)
        return say_helo(at, name, NULL);
    const char *command = arena_printf(at->arena, "%s %s", verb, name);
    int code = client_command(c, smtp_open_deadline(at), "%s", command);

    if (code / 100 == 2) {
        c->esmtp = true;
        client_caps_parse(at->conn->arena, c->reply.p, &c->caps);
        (void)smtp_fault_event(at, "smtp:ehlo", c->reply.p, 0);
        return true;
    }
    if (code == 0 || at->t->kind == SMTP_LMTP)
        return smtp_fault_reply(at, SMTP_SCOPE_HOST, command);
    return say_helo(at, name, arena_strdup(at->arena, c->reply.p));
}

/* Which of many servers behind one name is this? For the resumption of sessions. */
static bool read_label(struct smtp_attempt *at)
{
    const char *saved = at->ctx.item, *label;

    if (at->t->host_name_extract == NULL || !at->want.resumption)
        return true;
    at->ctx.item = at->conn->client.reply.p;
    bool ok = smtp_policy_expand(at, "host_name_extract", at->t->host_name_extract, &label);

    at->ctx.item = saved;
    at->want.resume_label = label;
    return ok;
}

static bool negotiate(struct smtp_attempt *at)
{
    if (at->t->kind == SMTP_TLS_ON_CONNECT && !smtp_starttls_now(at)) {
        if (at->scope == SMTP_SCOPE_TLS)
            at->scope = SMTP_SCOPE_HOST; /* there is no clear text to fall back to */
        return false;
    }
    if (!read_banner(at) || !smtp_open_ehlo(at) || !read_label(at))
        return false;
    if (at->t->kind != SMTP_TLS_ON_CONNECT) {
        switch (smtp_starttls_try(at)) {
        case SMTP_TLS_FAULT:
            return false;
        case SMTP_TLS_ON:
            if (!smtp_open_ehlo(at)) /* RFC 3207 4.2: all that was known is forgotten */
                return false;
            break;
        case SMTP_TLS_NONE:
            break;
        }
    }
    return smtp_auth_run(at);
}

static void show_connection(struct smtp_attempt *at)
{
    const struct client *c = &at->conn->client;

    at->ctx.tls_out = &c->tls_info;
    at->ctx.sending_address = c->local_address;
    at->ctx.sending_port = c->local_port;
}

static bool may_go_clear(const struct smtp_attempt *at)
{
    return !at->probe && at->scope == SMTP_SCOPE_TLS && !at->require_tls && !at->in_clear && at->t->tls_tempfail_tryclear;
}

static bool dial_and_negotiate(struct smtp_attempt *at)
{
    at->conn = smtp_cache_new();
    show_connection(at);
    bool up = dial(at);

    if (up) {
        show_connection(at);
        if (negotiate(at))
            return true;
    }
    if (at->probe) /* its certificate is to be shown */
        return false;
    /* Before the connection goes: what its certificate was is there for msg:host:defer. */
    if (!at->callout && !may_go_clear(at))
        smtp_fault_log(at);
    at->ctx.tls_out = NULL;
    (up ? smtp_cache_quit : smtp_cache_drop)(at->conn);
    at->conn = NULL;
    return false;
}

/* One that was kept, and, with TLS, is still as good as what a new one would be verified against. */
static struct smtp_connection *kept_connection(struct smtp_attempt *at, struct str key)
{
    struct smtp_connection *c = key.len > 0 ? smtp_cache_take(key) : NULL;

    if (c == NULL || c->client.tls == NULL || str_eq(c->files, smtp_policy_files(at->arena, at)))
        return c;
    smtp_cache_quit(c);
    return NULL;
}

bool smtp_open_connection(struct smtp_attempt *at)
{
    struct str key = at->reuse ? smtp_policy_key(at) : (struct str){ "", 0 };

    at->conn = kept_connection(at, key);
    if (at->conn != NULL) {
        at->reused = true;
        show_connection(at);
        return true;
    }
    if (!dial_and_negotiate(at)) {
        if (!may_go_clear(at))
            return false;
        log_write(at->ctx.exim->log, LOG_MAIN, at->ctx.message != NULL ? at->ctx.message->id : NULL,
                  "TLS session failure: delivering unencrypted to %s [%s] (not in hosts_require_tls)",
                  at->host->name, at->address);
        at->in_clear = true;
        if (!dial_and_negotiate(at))
            return false;
    }
    /* A connection in clear only because TLS failed is not one to keep: the next may do better. */
    at->conn->nopass = at->in_clear;
    at->conn->key = (struct str){ key.len > 0 ? str_dup(at->conn->arena, key) : "", key.len };
    return true;
}
