#include "smtp_in.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/tod.h"
#include "exim.h"
#include "match.h"
#include "proxy.h"
#include "smtp/proxy_session.h"
#include "smtp/smtp_int.h"
#include "tls.h"

void smtp_context(struct smtp_state *st, struct expand_ctx *ctx)
{
    struct message *m = st->s->message;

    expand_ctx_init(ctx, st->e, m != NULL ? m->arena : st->s->arena);
    ctx->session = st->s;
    ctx->message = m;
    ctx->smtp_command = st->command;
    ctx->smtp_command_argument = st->argument;
}

bool smtp_host_in(struct smtp_state *st, const struct match_list *l, const char *option)
{
    struct expand_ctx ctx;

    if (l == NULL) {
        DEBUG(D_LISTS)
        debug_printf("host in %s? no (option unset)\n", option);
        return false;
    }
    smtp_context(st, &ctx);
    bool yes = match_session_host(&ctx, l, NULL) == RC_OK;
    DEBUG(D_LISTS)
    debug_printf(yes ? "host in %s? yes (matched \"%s\")\n"
                     : "host in %s? no (end of list)\n",
                 option, l->text);
    return yes;
}

struct acl_verdict smtp_acl(struct smtp_state *st, enum acl_where where,
                            const struct expr *option)
{
    struct expand_ctx ctx;

    if (option == NULL)
        return (struct acl_verdict){ .rc = ACL_ACCEPT };
    smtp_context(st, &ctx);
    return acl_check_option(&ctx, where, option);
}

void smtp_notquit(struct smtp_state *st, const char *reason, const char *code,
                  const char *text)
{
    struct acl_verdict v = { .rc = ACL_ACCEPT };

    if (st->s->notquit_reason != NULL || st->s->batched)
        return;
    st->s->notquit_reason = reason;
    v = smtp_acl(st, ACL_WHERE_NOTQUIT, st->o->acl_smtp_notquit);
    if (v.rc == ACL_ERROR && v.log_message != NULL)
        smtp_log(st, LOG_MAIN | LOG_PANIC, "ACL for not-QUIT returned ERROR: %s",
                 v.log_message);
    if (code != NULL && v.user_message != NULL)
        smtp_reply_accept(st, code, &v, "");
    else if (code != NULL)
        smtp_reply(st, "%s %s%s", code, st->s->active_hostname, text);
    (void)smtp_flush(st);
}

static void flush_session(struct session *s)
{
    if (s->smtp != NULL)
        (void)smtp_flush(s->smtp);
}

static const char *ip_text(struct arena *a, const struct ip *ip)
{
    char text[IP_TEXT_MAX];

    return arena_strdup(a, ip_print(ip, text));
}

static void fill_session(struct session *s, const struct smtp_peer *p)
{
    s->smtp_input = true;
    s->batched = p->batched;
    s->host_checking = p->host_checking;
    s->flush = flush_session;
    s->acl_c = hash_new(s->arena, false);
    s->count_at_start = p->connection_count;
    if (p->client.family != 0) {
        s->host_address = ip_text(s->arena, &p->client);
        s->host_port = p->client_port;
    }
    if (p->local.family != 0) {
        s->interface_address = ip_text(s->arena, &p->local);
        s->interface_port = p->local_port;
    }
    s->ident = p->sender_ident;
    s->authenticated_id = p->authenticated_id;
    s->host_name = p->host_name;
    s->host_authenticated = p->host_authenticated;
    s->fd = p->in_fd;
    s->sender_host_notsocket = p->in_fd != p->out_fd;
    smtp_proxy_adopt(s, p);
    session_set_fullhost(s);
}

/* A number of bytes or commands from an expanded option; dflt when it cannot be told. */
static long expanded_number(struct smtp_state *st, const struct expr *option,
                            const char *name, long dflt)
{
    struct expand_ctx ctx;
    long value;

    if (option == NULL)
        return dflt;
    smtp_context(st, &ctx);
    if (expand_int(&ctx, option, &value) == EXPAND_OK)
        return value;
    smtp_log(st, LOG_MAIN | LOG_PANIC, "failed to expand \"%s\" in %s option: %s",
             option->text, name, ctx.err.msg != NULL ? ctx.err.msg : "");
    return dflt;
}

static void set_timeout(struct smtp_state *st)
{
    struct expand_ctx ctx;
    const char *text = "";

    st->timeout = 5 * 60;
    if (st->receive != NULL && st->receive->smtp_timeout != 0) {
        st->timeout = st->receive->smtp_timeout > 0 ? st->receive->smtp_timeout : 0;
        return;
    }
    smtp_context(st, &ctx);
    if (st->o->smtp_receive_timeout == NULL)
        return;
    bool ok = expand(&ctx, st->o->smtp_receive_timeout, &text) == EXPAND_OK;
    long value = ok ? tod_interval_parse(text) : -1;
    if (value >= 0)
        st->timeout = value;
    else
        smtp_log(st, LOG_MAIN | LOG_PANIC, "bad value for smtp_receive_timeout: '%s'",
                 text);
}

static void set_hostname(struct smtp_state *st)
{
    struct expand_ctx ctx;
    const char *name = "";

    st->s->active_hostname = st->e->config->primary_hostname;
    if (st->o->smtp_active_hostname == NULL)
        return;
    smtp_context(st, &ctx);
    enum expand_rc rc = expand(&ctx, st->o->smtp_active_hostname, &name);
    if (rc == EXPAND_OK && *name != '\0')
        st->s->active_hostname = name;
    else if (rc == EXPAND_FAIL || rc == EXPAND_DEFER)
        smtp_log(st, LOG_MAIN | LOG_PANIC,
                 "failed to expand \"%s\" (smtp_active_hostname): %s",
                 st->o->smtp_active_hostname->text,
                 ctx.err.msg != NULL ? ctx.err.msg : "");
}

/* What was read in search of a header, and what came right behind it. */
static void take_early(struct smtp_state *st)
{
    struct str early = st->peer->early;

    if (early.len == 0 || early.len >= SMTP_IN_SIZE)
        return;
    smtp_input_grow(st);
    memcpy(st->in, early.p, early.len);
    st->len = early.len;
    if (fd_wait_read(st->in_fd, 0) <= 0)
        return;
    ssize_t got = fd_read(st->in_fd, st->in + st->len, SMTP_IN_SIZE - st->len);
    if (got > 0)
        st->len += (size_t)got;
}

static struct smtp_state *state_new(struct session *s, const struct smtp_peer *peer,
                                    const struct receive_options *o)
{
    struct smtp_state *st = arena_new_obj(s->arena, struct smtp_state);

    st->s = s;
    st->e = s->exim;
    st->o = &s->exim->config->main;
    st->peer = peer;
    st->receive = o;
    st->in_fd = peer->in_fd;
    st->out_fd = peer->out_fd;
    st->in = st->first;
    st->in_size = sizeof(st->first);
    take_early(st);
    st->out = buf_init(s->arena, 1024 * 1024);
    st->announced_size = st->mail_limit = -1;
    st->free_once = SMTP_ONCE_HELO | SMTP_ONCE_AUTH | SMTP_ONCE_TLS | SMTP_ONCE_RSET;
    st->command = st->argument = "";
    st->protocol_given = peer->batched && peer->protocol != NULL;
    if (st->protocol_given)
        s->received_protocol = peer->protocol;
    s->smtp = st;
    smtp_set_protocol(st);
    return st;
}

int smtp_serve(struct exim *e, const struct smtp_peer *peer,
               const struct receive_options *o)
{
    struct session *s = session_new(e);

    fill_session(s, peer);
    struct smtp_state *st = state_new(s, peer, o);
    set_hostname(st);
    set_timeout(st);
    st->size_limit = expanded_number(st, st->o->message_size_limit, "message_size_limit",
                                     50 * 1024 * 1024);
    if (smtp_connect(st)) {
        smtp_verbs_serve(st);
        (void)smtp_flush(st);
        smtp_log_no_mail(st);
    }
    (void)smtp_flush(st);
    if (s->tls != NULL)
        tls_close(&s->tls, false);
    int status = st->status;
    session_free(&s);
    return status;
}
