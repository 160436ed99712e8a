#include "expand/variable_getters.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand/expand_int.h"
#include "message.h"
#include "session.h"

/* Looked up when it is asked for: Exim does so too. */
enum expand_rc variable_sender_host_name(struct expand_ctx *ctx, const struct variable *v,
                                         const char *suffix, const char **out)
{
    struct session *s = ctx->session;
    const char *name = NULL;

    (void)v;
    (void)suffix;
    if (s != NULL && s->host_name == NULL && s->host_address != NULL &&
        s->host_lookup == HOST_LOOKUP_NONE)
        (void)session_host_name(s); /* no name: empty, and $host_lookup_failed says so */
    if (s != NULL)
        name = s->host_name;
    else if (ctx->message != NULL)
        name = ctx->message->sender_host_name;
    if (name != NULL)
        *out = name;
    return EXPAND_OK;
}

/* A message from the spool: a session as it was, for the same words. */
static const char *fullhost_of(struct expand_ctx *ctx, const struct message *m,
                               bool for_received)
{
    struct session s = { .arena = ctx->arena,
                         .exim = ctx->exim,
                         .host_address = m->sender_host_address,
                         .host_port = m->sender_host_port,
                         .host_name = m->sender_host_name,
                         .helo_name = m->sender_helo_name,
                         .ident = m->sender_ident };

    if (s.host_address == NULL)
        return NULL;
    session_set_fullhost(&s);
    return for_received ? s.rcvhost : s.fullhost;
}

/* which: 1 as in Received: lines. */
enum expand_rc variable_fullhost(struct expand_ctx *ctx, const struct variable *v,
                                 const char *suffix, const char **out)
{
    const char *s = NULL;

    (void)suffix;
    if (ctx->session != NULL)
        s = v->which == 1 ? ctx->session->rcvhost : ctx->session->fullhost;
    else if (ctx->message != NULL)
        s = fullhost_of(ctx, ctx->message, v->which == 1);
    if (s != NULL)
        *out = s;
    return EXPAND_OK;
}

/* which: 0 failed, 1 deferred. */
enum expand_rc variable_host_lookup(struct expand_ctx *ctx, const struct variable *v,
                                    const char *suffix, const char **out)
{
    const struct message *m = ctx->message;
    bool set = false;

    (void)suffix;
    if (ctx->session != NULL)
        set = ctx->session->host_lookup ==
              (v->which == 0 ? HOST_LOOKUP_FAILED : HOST_LOOKUP_DEFERRED);
    else if (m != NULL)
        set = v->which == 0 ? m->host_lookup_failed : m->host_lookup_deferred;
    *out = set ? "1" : "0";
    return EXPAND_OK;
}

enum expand_rc variable_active_hostname(struct expand_ctx *ctx, const struct variable *v,
                                        const char *suffix, const char **out)
{
    const struct config *cfg = ctx->exim == NULL ? NULL : ctx->exim->config;
    const char *s = NULL;

    (void)v;
    (void)suffix;
    if (ctx->session != NULL)
        s = ctx->session->active_hostname;
    else if (ctx->message != NULL)
        s = ctx->message->smtp_active_hostname;
    if (s == NULL && cfg != NULL)
        s = cfg->primary_hostname;
    if (s != NULL)
        *out = s;
    return EXPAND_OK;
}

/* Of the local end of the connection the message came by; -1: none. */
enum expand_rc variable_interface_port(struct expand_ctx *ctx, const struct variable *v,
                                       const char *suffix, const char **out)
{
    int port = 0;

    (void)v;
    (void)suffix;
    if (ctx->session != NULL)
        port = ctx->session->interface_port;
    else if (ctx->message != NULL)
        port = ctx->message->interface_port;
    return eval_number(ctx, port == 0 ? -1 : port, out);
}

enum expand_rc variable_sending_port(struct expand_ctx *ctx, const struct variable *v,
                                     const char *suffix, const char **out)
{
    (void)v;
    (void)suffix;
    return eval_number(ctx, ctx->sending_port == 0 ? -1 : ctx->sending_port, out);
}
