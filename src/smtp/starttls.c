#include <string.h>

#include "base/arena.h"
#include "base/tod.h"
#include "exim.h"
#include "smtp/smtp_int.h"
#include "tls.h"

enum { HANDSHAKE_SECONDS = 5 * 60 };

/* RFC 3207 section 4.2: what was said in clear is forgotten, and nothing of it stays in
 * the buffer. */
static void forget_clear(struct smtp_state *st)
{
    struct session *s = st->s;

    smtp_reset(st, "STARTTLS");
    if (!st->o->tls_remember_esmtp)
        s->esmtp = false;
    s->auth_advertised = s->tls_advertised = s->pipelining_advertised =
        s->dsn_advertised = false;
    s->chunking_advertised = s->prdr_advertised = s->smtputf8_advertised =
        s->eightbit_advertised = false;
    s->helo_seen = false;
    s->helo_name = NULL;
    s->helo_verified = s->helo_verify_failed = false;
    s->host_authenticated = s->authenticated_id = s->auth_public_name = NULL;
    st->authenticator = NULL;
    st->at = st->len = 0;
    st->free_once |= SMTP_ONCE_HELO | SMTP_ONCE_AUTH;
    session_set_fullhost(s);
}

static bool start(struct smtp_state *st)
{
    struct session *s = st->s;
    struct expand_ctx ctx;
    struct err err = { 0 };
    int64_t deadline =
        tod_monotonic_ms() + (st->timeout > 0 ? st->timeout : HANDSHAKE_SECONDS) * 1000;

    smtp_context(st, &ctx);
    if (st->read_timeout > 0)
        st->read_timeout = 0; /* TLS sets the socket's, too */
    if (tls_server_start(&ctx, s->arena, st->in_fd, deadline, &s->tls, &s->tls_in,
                         &err)) {
        smtp_set_protocol(st);
        return true;
    }
    smtp_log(st, LOG_MAIN, "TLS error on connection from %s %s",
             session_host_and_ident(s, false, true),
             err.msg != NULL ? err.msg : "(handshake)");
    return false;
}

bool smtp_tls_on_connect(struct smtp_state *st)
{
    st->s->tls_in.on_connect = true;
    if (!start(st)) {
        smtp_notquit(st, "tls-failed", NULL, NULL);
        return false;
    }
    st->s->tls_in.on_connect = true;
    return true;
}

void smtp_cmd_starttls(struct smtp_state *st)
{
    struct session *s = st->s;

    if (!s->tls_advertised) {
        smtp_error(st, SMTP_PROTOCOL, 503, "STARTTLS command used when not advertised");
        return;
    }
    struct acl_verdict v = smtp_acl(st, ACL_WHERE_STARTTLS, st->o->acl_smtp_starttls);
    if (v.rc != ACL_ACCEPT) {
        smtp_reply_refused(st, ACL_WHERE_STARTTLS, &v, "STARTTLS");
        return;
    }
    struct err err = { 0 };
    struct expand_ctx ctx;

    smtp_context(st, &ctx);
    if (!tls_server_setup(&ctx, s->arena, &err)) {
        smtp_log(st, LOG_MAIN | LOG_PANIC, "%s",
                 err.msg != NULL ? err.msg : "TLS cannot be set up");
        smtp_reply(st, "454 TLS currently unavailable");
        return;
    }
    smtp_reply(st, "220 TLS go ahead");
    if (!smtp_flush(st))
        return;
    forget_clear(st);
    if (start(st))
        return;
    /* The stream is in an unknown state: nothing can be said on it any more. */
    smtp_notquit(st, "tls-failed", NULL, NULL);
    st->done = true;
}
