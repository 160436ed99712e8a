#include <string.h>

#include "auths/auth.h"
#include "base/arena.h"
#include "base/base64.h"
#include "base/ctype.h"
#include "base/debug.h"
#include "base/debug.h"
#include "base/str.h"
#include "exim.h"
#include "smtp/smtp_int.h"

/* server_advertise_condition in the state of now: it may look at $tls_in_cipher. */
static bool is_offered(struct smtp_state *st, const struct authenticator *au)
{
    struct expand_ctx ctx;
    bool yes = true;

    if (!au->server || au->driver->server == NULL)
        return false;
    smtp_context(st, &ctx);
    enum expand_rc rc = expand_bool(&ctx, au->server_advertise_condition, true, &yes);
    if (rc == EXPAND_OK || rc == EXPAND_FORCED)
        return rc == EXPAND_OK && yes;
    smtp_log(st, LOG_MAIN | LOG_PANIC,
             "failed to expand \"%s\" for server_advertise_condition of %s: %s",
             au->server_advertise_condition->text, au->name,
             ctx.err.msg != NULL ? ctx.err.msg : "");
    return false;
}

const char *smtp_auth_list(struct smtp_state *st)
{
    struct buf b = buf_init(st->s->arena, SMTP_COMMAND_MAX);
    const struct config *c = st->e->config;

    for (size_t i = 0; i < c->authenticator_count; i++)
        if (strcmp(c->authenticators[i]->driver->name, "tls") != 0 &&
            is_offered(st, c->authenticators[i]))
            buf_printf(&b, " %s", c->authenticators[i]->public_name);
    return buf_cstr(&b);
}

static enum auth_rc challenge(void *arg, struct str text, struct str *response)
{
    struct smtp_state *st = arg;
    struct arena *a = st->s->arena;

    smtp_reply(st, "334 %s", base64_encode(a, text.p, text.len));
    char *line = smtp_input_line(st);
    if (line == NULL)
        return AUTH_UNEXPECTED;
    for (size_t len = strlen(line); len > 0 && is_space(line[len - 1]); len--)
        line[len - 1] = '\0';
    if (strcmp(line, "*") == 0)
        return AUTH_CANCELLED;
    return base64_decode(a, str_from(line), response) ? AUTH_OK : AUTH_BAD64;
}

/* $authenticated_id, from server_set_id with the driver's $auth1.. */
static const char *set_id(struct smtp_state *st, const struct authenticator *au,
                          struct expand_ctx *ctx)
{
    const char *id = "";

    if (au->server_set_id == NULL)
        return NULL;
    enum expand_rc rc = expand(ctx, au->server_set_id, &id);
    if (rc == EXPAND_FAIL || rc == EXPAND_DEFER)
        smtp_log(st, LOG_MAIN | LOG_PANIC,
                 "failed to expand \"%s\" for server_set_id of %s: %s",
                 au->server_set_id->text, au->name,
                 ctx->err.msg != NULL ? ctx->err.msg : "");
    return rc == EXPAND_OK && *id != '\0' ? cstr_printable(st->s->arena, id, true) : NULL;
}

static const char *reply_of(enum auth_rc rc)
{
    switch (rc) {
    case AUTH_OK:
        return "235 Authentication succeeded";
    case AUTH_DEFER:
        return "435 Unable to authenticate at present";
    case AUTH_BAD64:
        return "501 Invalid base64 data";
    case AUTH_CANCELLED:
        return "501 Authentication cancelled";
    case AUTH_UNEXPECTED:
        return "553 Initial data not expected";
    case AUTH_FAIL:
        return "535 Incorrect authentication data";
    default:
        return "435 Unable to authenticate at present";
    }
}

static void adopt(struct smtp_state *st, const struct authenticator *au, const char *id)
{
    struct session *s = st->s;

    s->host_authenticated = au->name;
    s->auth_public_name = au->public_name;
    s->authenticated_id = id;
    s->authenticated_fail_id = NULL;
    s->authentication_failed = false;
    st->authenticator = au;
    smtp_set_protocol(st);
}

static void failed(struct smtp_state *st, const struct authenticator *au, enum auth_rc rc,
                   const char *id, const char *why)
{
    struct session *s = st->s;
    const char *reply = reply_of(rc);

    s->authentication_failed = true;
    if (rc == AUTH_FAIL)
        s->authenticated_fail_id = id;
    smtp_reply(st, "%s", reply);
    smtp_log(st, LOG_MAIN | LOG_REJECT, "%s authenticator failed for %s: %s%s%s%s%s%s",
             au->name, session_host_and_ident(s, false, true), reply,
             id != NULL ? " (set_id=" : "", id != NULL ? id : "", id != NULL ? ")" : "",
             why != NULL ? ": " : "", why != NULL ? why : "");
}

/* server_debug_print, when authentication is debugged. */
static void show_debug(const struct authenticator *au, struct expand_ctx *ctx)
{
    const char *text;

    if ((debug_mask & D_AUTH) == 0 || au->server_debug_print == NULL)
        return;
    if (expand(ctx, au->server_debug_print, &text) == EXPAND_OK)
        debug_printf("%s authenticator debug: %s\n", au->name,
                     cstr_printable(ctx->arena, text, true));
}

static void run(struct smtp_state *st, const struct authenticator *au,
                const char *initial)
{
    struct expand_ctx ctx;

    smtp_context(st, &ctx);
    struct auth_server_call call = {
        .ctx = &ctx, .initial = initial, .challenge = challenge, .arg = st
    };
    enum auth_rc rc = au->driver->server(au, &call);
    show_debug(au, &ctx);
    if (st->input != SMTP_IN_OK)
        return; /* the client has gone: the next read says so */
    const char *id = rc == AUTH_OK || rc == AUTH_FAIL || rc == AUTH_DEFER
                         ? set_id(st, au, &ctx)
                         : NULL;
    if (rc == AUTH_OK) {
        adopt(st, au, id);
        smtp_reply(st, "%s", reply_of(AUTH_OK));
    } else {
        failed(st, au, rc, id,
               rc == AUTH_DEFER || rc == AUTH_ERROR ? call.err.msg : NULL);
    }
}

static enum auth_rc no_challenge(void *arg, struct str text, struct str *response)
{
    (void)arg;
    (void)text;
    (void)response;
    return AUTH_UNEXPECTED;
}

void smtp_auth_by_tls(struct smtp_state *st)
{
    const struct config *c = st->e->config;

    for (size_t i = 0; i < c->authenticator_count && st->s->host_authenticated == NULL;
         i++) {
        const struct authenticator *au = c->authenticators[i];
        struct expand_ctx ctx;

        if (strcmp(au->driver->name, "tls") != 0 || !is_offered(st, au))
            continue;
        smtp_context(st, &ctx);
        struct auth_server_call call = { .ctx = &ctx, .challenge = no_challenge };
        if (au->driver->server(au, &call) == AUTH_OK)
            adopt(st, au, set_id(st, au, &ctx));
    }
}

static const struct authenticator *find(struct smtp_state *st, const char *mechanism)
{
    const struct config *c = st->e->config;

    for (size_t i = 0; i < c->authenticator_count; i++) {
        const struct authenticator *au = c->authenticators[i];

        if (cstr_ieq(au->public_name, mechanism) && au->server &&
            (is_offered(st, au) || st->s->allow_auth_unadvertised))
            return au;
    }
    return NULL;
}

static bool check_state(struct smtp_state *st)
{
    struct session *s = st->s;
    const char *why = NULL;

    if (s->host_authenticated != NULL)
        why = "already authenticated";
    else if (!s->auth_advertised && !s->allow_auth_unadvertised)
        why = "AUTH command used when not advertised";
    else if (st->mail_done)
        why = "not permitted in mail transaction";
    if (why != NULL)
        smtp_error(st, SMTP_PROTOCOL, 503, why);
    return why == NULL;
}

void smtp_cmd_auth(struct smtp_state *st)
{
    struct arena *a = st->s->arena;

    if (!check_state(st))
        return;
    size_t len = strcspn(st->argument, " \t");
    const char *mechanism = arena_strndup(a, st->argument, len);
    const char *initial = arena_strdup(a, cstr_skip_space(st->argument + len));
    struct acl_verdict v = smtp_acl(st, ACL_WHERE_AUTH, st->o->acl_smtp_auth);
    if (v.rc != ACL_ACCEPT) {
        smtp_reply_refused(st, ACL_WHERE_AUTH, &v, arena_printf(a, "AUTH %s", mechanism));
        return;
    }
    const struct authenticator *au = find(st, mechanism);
    if (au == NULL) {
        smtp_error(
            st, SMTP_PROTOCOL, 504,
            arena_printf(a, "%s authentication mechanism not supported", mechanism));
        return;
    }
    run(st, au, *initial != '\0' ? initial : NULL);
}
