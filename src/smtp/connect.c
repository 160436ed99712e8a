#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "exim.h"
#include "smtp/ident.h"
#include "smtp/proxy_session.h"
#include "smtp/smtp_int.h"

static const char *who(struct smtp_state *st)
{
    return session_host_and_ident(st->s, false, true);
}

static bool refuse(struct smtp_state *st, const char *reason, const char *reply)
{
    smtp_reply(st, "%s", reply);
    smtp_notquit(st, reason, NULL, NULL);
    return false;
}

static bool rejected_host(struct smtp_state *st)
{
    if (!smtp_host_in(st, st->o->host_reject_connection, "host_reject_connection"))
        return false;
    if (smtp_log_wants(st, L_connection_reject))
        smtp_log(st, LOG_MAIN | LOG_BY(connection_reject) | LOG_REJECT,
                 "refused connection from %s (host_reject_connection)", who(st));
    return !refuse(st, "host-rejected", "554 SMTP service not available");
}

static bool is_reserved_for(struct smtp_state *st)
{
    return smtp_host_in(st, st->o->smtp_reserve_hosts, "smtp_reserve_hosts");
}

static bool refuse_for_now(struct smtp_state *st, const char *reason, const char *why)
{
    return refuse(st, reason,
                  arena_printf(st->s->arena, "421 %s: %s; please try again later",
                               st->s->active_hostname, why));
}

/* Hosts outside smtp_reserve_hosts make room when slots or the processor run short. */
static bool has_room(struct smtp_state *st)
{
    const struct main_options *o = st->o;
    long count = (long)st->s->count_at_start,
         slots = o->smtp_accept_max - o->smtp_accept_reserve;
    double load = 0;

    if (o->smtp_accept_max > 0 && o->smtp_accept_reserve > 0 && count > slots &&
        !is_reserved_for(st)) {
        smtp_log(
            st, LOG_MAIN | LOG_REJECT,
            "temporarily refused connection from %s: not in reserve list: connected=%ld "
            "max=%ld reserve=%ld",
            who(st), count - 1, o->smtp_accept_max, o->smtp_accept_reserve);
        return refuse_for_now(st, "too-many-connections",
                              "Too many concurrent SMTP connections");
    }
    if (o->smtp_load_reserve >= 0 && getloadavg(&load, 1) == 1 &&
        load * 1000 > o->smtp_load_reserve && !is_reserved_for(st)) {
        smtp_log(st, LOG_MAIN | LOG_REJECT,
                 "temporarily refused connection from %s: not in reserve list and load "
                 "average = %.2f",
                 who(st), load);
        return refuse_for_now(st, "too-much-load", "Too much load");
    }
    return true;
}

static bool test_host(struct smtp_state *st)
{
    struct session *s = st->s;

    if (s->host_address == NULL) {
        s->sender_unqualified_ok = s->recipient_unqualified_ok = true;
        return true;
    }
    if (rejected_host(st) || !has_room(st))
        return false;
    if (smtp_host_in(st, st->o->host_lookup, "host_lookup"))
        (void)session_host_name(s);
    if (!s->host_checking && st->o->rfc1413_query_timeout > 0 &&
        smtp_host_in(st, st->o->rfc1413_hosts, "rfc1413_hosts"))
        smtp_ident_query(s, &st->peer->local, st->peer->local_port,
                         st->o->rfc1413_query_timeout);
    s->sender_unqualified_ok =
        smtp_host_in(st, st->o->sender_unqualified_hosts, "sender_unqualified_hosts");
    s->recipient_unqualified_ok = smtp_host_in(st, st->o->recipient_unqualified_hosts,
                                               "recipient_unqualified_hosts");
    s->helo_required = smtp_host_in(st, st->o->helo_verify_hosts, "helo_verify_hosts") ||
                       smtp_host_in(st, st->o->hosts_require_helo, "hosts_require_helo");
    return true;
}

/* Input before the greeting is a client that does not listen. */
static bool silent_client(struct smtp_state *st)
{
    const struct session *s = st->s;
    bool tested = st->o->smtp_enforce_sync && !s->enforce_sync_off &&
                  s->host_address != NULL && !s->sender_host_notsocket &&
                  !s->host_checking;

    if (!tested || !smtp_input_waiting(st) || st->at == st->len)
        return true;
    size_t shown = st->len - st->at < 150 ? st->len - st->at : 150;
    smtp_log(st, LOG_MAIN | LOG_REJECT,
             "SMTP protocol synchronization error (input sent without waiting for "
             "greeting): rejected connection "
             "from %s input=\"%s\"",
             smtp_log_host(st),
             cstr_printable_len(st->s->arena, st->in + st->at, shown, false));
    return refuse(st, "synchronization-error", "554 SMTP synchronization error");
}

static void greet(struct smtp_state *st, const struct acl_verdict *v)
{
    struct expand_ctx ctx;
    const char *text = "", *extended = NULL, *code = "220";

    if (v->user_message != NULL) {
        code = smtp_reply_code(st, "220", v->user_message, &extended, &text);
    } else {
        smtp_context(st, &ctx);
        if (expand(&ctx, st->o->smtp_banner, &text) != EXPAND_OK) {
            smtp_log(st, LOG_MAIN | LOG_PANIC,
                     "Expansion of \"%s\" (smtp_banner) failed: %s",
                     st->o->smtp_banner->text, ctx.err.msg != NULL ? ctx.err.msg : "");
            text = st->s->active_hostname;
        }
    }
    smtp_reply_lines(st, code, extended, text);
}

bool smtp_connect(struct smtp_state *st)
{
    struct session *s = st->s;

    if (s->batched) {
        s->sender_unqualified_ok = s->recipient_unqualified_ok = true;
        if (smtp_log_wants(st, L_smtp_connection))
            smtp_log(st, LOG_MAIN | LOG_BY(smtp_connection), "%s",
                     smtp_log_connection(st));
        return true;
    }
    st->connection_unlogged =
        s->host_address != NULL && smtp_log_wants(st, L_smtp_connection) &&
        smtp_host_in(st, st->o->hosts_connection_nolog, "hosts_connection_nolog");
    if (s->count_at_start == 0 && smtp_log_wants(st, L_smtp_connection))
        smtp_log(st, LOG_MAIN | LOG_BY(smtp_connection), "%s%s", smtp_log_connection(st),
                 s->host_address != NULL && st->in_fd == st->out_fd ? " (via inetd)"
                                                                    : "");
    smtp_proxy_begin(s);
    if (st->peer->tls_on_connect && !smtp_tls_on_connect(st))
        return false;
    if (!test_host(st))
        return false;
    struct acl_verdict v = smtp_acl(st, ACL_WHERE_CONNECT, st->o->acl_smtp_connect);
    if (v.rc != ACL_ACCEPT) {
        smtp_reply_refused(st, ACL_WHERE_CONNECT, &v, "connection in \"connect\" ACL");
        smtp_notquit(st, "acl-drop", NULL, NULL);
        return false;
    }
    if (!silent_client(st))
        return false;
    greet(st, &v);
    return true;
}
