#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/ip.h"
#include "base/str.h"
#include "exim.h"
#include "host.h"
#include "match.h"
#include "smtp/smtp_int.h"

/* An address literal, or a name of letters, digits, dots, hyphens and helo_allow_chars.
 */
static bool is_valid(const struct smtp_state *st, const char *s)
{
    size_t len = strlen(s);
    struct ip ip;

    if (len == 0)
        return false;
    if (s[0] == '[') {
        if (len < 3 || len > IP_TEXT_MAX + 8 || s[len - 1] != ']')
            return false;
        const char *inner = s + (cstr_istarts(s, "[IPv6:") ? 6 : 1);
        return ip_parse(arena_strndup(st->s->arena, inner, (size_t)(s + len - 1 - inner)),
                        &ip);
    }
    for (; *s != '\0'; s++)
        if (!is_alnum(*s) && *s != '.' && *s != '-' &&
            (st->o->helo_allow_chars == NULL ||
             strchr(st->o->helo_allow_chars, *s) == NULL))
            return false;
    return true;
}

static bool check_syntax(struct smtp_state *st, const char *verb)
{
    const char *arg = st->argument;

    if (is_valid(st, arg) || (st->s->host_address != NULL &&
                              smtp_host_in(st, st->o->helo_accept_junk_hosts,
                                           "helo_accept_junk_hosts")))
        return true;
    smtp_log(st, LOG_MAIN | LOG_REJECT,
             "rejected %s from %s: syntactically invalid argument(s): %s", verb,
             session_host_and_ident(st->s, false, true),
             *arg == '\0' ? "(no argument given)"
                          : cstr_printable(st->s->arena, arg, false));
    smtp_reply(st, "501 Syntactically invalid %s argument(s)", verb);
    smtp_error_syntax_limit(st);
    return false;
}

static bool is_own_name(const struct session *s)
{
    if (s->host_name == NULL)
        return false;
    if (cstr_ieq(s->host_name, s->helo_name))
        return true;
    for (const char *const *p = s->host_aliases; p != NULL && *p != NULL; p++)
        if (cstr_ieq(*p, s->helo_name))
            return true;
    return false;
}

/* Does the name given belong to the host? By its own name, or by the name's addresses. */
static enum rc verify_name(struct session *s)
{
    struct ip_list list = { 0 };
    struct err err = { 0 };
    struct ip client;

    if (s->helo_name[0] == '[') {
        size_t len = strlen(s->host_address);

        return strncmp(s->helo_name + 1, s->host_address, len) == 0 &&
                       s->helo_name[len + 1] == ']'
                   ? RC_OK
                   : RC_FAIL;
    }
    (void)session_host_name(s);
    if (is_own_name(s))
        return RC_OK;
    enum rc rc = host_addresses(s->exim, s->arena, s->helo_name, &list, &err);
    if (rc != RC_OK || !ip_parse(s->host_address, &client))
        return rc == RC_DEFER ? RC_DEFER : RC_FAIL;
    for (size_t i = 0; i < list.count; i++)
        if (ip_eq(&list.ips[i], &client))
            return RC_OK;
    return RC_FAIL;
}

static bool verify_helo(struct smtp_state *st, const char *verb)
{
    struct session *s = st->s;
    bool required = smtp_host_in(st, st->o->helo_verify_hosts, "helo_verify_hosts");

    s->helo_verified = s->helo_verify_failed = false;
    if (!required &&
        !smtp_host_in(st, st->o->helo_try_verify_hosts, "helo_try_verify_hosts"))
        return true;
    enum rc rc = verify_name(s);
    s->helo_verified = rc == RC_OK;
    s->helo_verify_failed = !s->helo_verified;
    session_set_fullhost(s);
    if (s->helo_verified || !required)
        return true;
    bool defer = rc == RC_DEFER;
    smtp_reply(st, "%d %s argument does not match calling host", defer ? 451 : 550, verb);
    smtp_log(st, LOG_MAIN | LOG_REJECT, "%srejected \"%s %s\" from %s",
             defer ? "temporarily " : "", verb, s->helo_name,
             session_host_and_ident(s, false, true));
    return false;
}

/* A client that names one of our own domains is looked up (helo_lookup_domains). */
static void lookup_if_suspect(struct smtp_state *st)
{
    struct expand_ctx ctx;

    if (st->s->host_address == NULL || st->s->host_name != NULL ||
        st->o->helo_lookup_domains == NULL)
        return;
    smtp_context(st, &ctx);
    if (match_domain(&ctx, st->o->helo_lookup_domains, st->s->helo_name, NULL) == RC_OK)
        (void)session_host_name(st->s);
}

/* The first reply line: an ACL's message, else the greeting. */
static const char *first_line(struct smtp_state *st, const struct acl_verdict *v,
                              const char **code)
{
    struct session *s = st->s;
    const char *extended, *text,
        *name = s->host_name != NULL ? s->host_name : s->helo_name;

    *code = "250";
    if (v->user_message == NULL)
        return arena_printf(s->arena, "%s Hello %s%s%s%s%s%s", s->active_hostname,
                            s->ident != NULL ? s->ident : "",
                            s->ident != NULL ? " at " : "", name,
                            s->host_address != NULL ? " [" : "",
                            s->host_address != NULL ? s->host_address : "",
                            s->host_address != NULL ? "]" : "");
    *code = smtp_reply_code(st, "250", v->user_message, &extended, &text);
    if (strchr(text, '\n') != NULL)
        smtp_log(st, LOG_MAIN | LOG_PANIC,
                 "EHLO/HELO response must not contain newlines: message truncated: %s %s",
                 *code, cstr_printable(s->arena, text, true));
    return arena_strndup(s->arena, text, strcspn(text, "\n"));
}

static void keyword(struct smtp_state *st, const char *text)
{
    smtp_reply(st, "250-%s", text);
}

static bool offer(struct smtp_state *st, bool *flag, bool offered, const char *text)
{
    *flag = offered;
    if (offered)
        keyword(st, text);
    return offered;
}

static void say_extensions(struct smtp_state *st)
{
    struct session *s = st->s;
    const struct main_options *o = st->o;

    if (st->size_limit > 0)
        smtp_reply(st, "250-SIZE %ld", st->size_limit);
    else
        keyword(st, "SIZE");
    offer(st, &s->eightbit_advertised, o->accept_8bitmime, "8BITMIME");
    offer(st, &s->dsn_advertised,
          smtp_host_in(st, st->o->dsn_advertise_hosts, "dsn_advertise_hosts"), "DSN");
    if (o->acl_smtp_etrn != NULL)
        keyword(st, "ETRN");
    if (o->acl_smtp_vrfy != NULL)
        keyword(st, "VRFY");
    if (o->acl_smtp_expn != NULL)
        keyword(st, "EXPN");
    offer(st, &s->pipelining_advertised,
          !s->pipelining_off && smtp_host_in(st, st->o->pipelining_advertise_hosts,
                                             "pipelining_advertise_hosts"),
          "PIPELINING");
    s->auth_advertised = false;
    if (s->host_authenticated == NULL &&
        smtp_host_in(st, st->o->auth_advertise_hosts, "auth_advertise_hosts")) {
        const char *list = smtp_auth_list(st);

        s->auth_advertised = *list != '\0';
        if (s->auth_advertised)
            smtp_reply(st, "250-AUTH%s", list);
    }
    offer(st, &s->chunking_advertised,
          smtp_host_in(st, st->o->chunking_advertise_hosts, "chunking_advertise_hosts"),
          "CHUNKING");
    offer(st, &s->tls_advertised,
          !s->tls_in.active &&
              smtp_host_in(st, st->o->tls_advertise_hosts, "tls_advertise_hosts"),
          "STARTTLS");
    offer(st, &s->prdr_advertised, o->prdr_enable, "PRDR");
    offer(st, &s->smtputf8_advertised,
          smtp_host_in(st, st->o->smtputf8_advertise_hosts, "smtputf8_advertise_hosts"),
          "SMTPUTF8");
}

static void forget_extensions(struct session *s)
{
    s->dsn_advertised = s->pipelining_advertised = s->auth_advertised =
        s->chunking_advertised = false;
    s->tls_advertised = s->prdr_advertised = s->smtputf8_advertised =
        s->eightbit_advertised = false;
}

/* $received_protocol, RFC 3848. */
static const char *protocol(const struct session *s)
{
    static const char *const names[2][4] = { { "smtp", "smtp", "smtps", "smtps" },
                                             { "esmtp", "esmtpa", "esmtps", "esmtpsa" } };
    static const char *const local[2][4] = {
        { "local-smtp", "local-smtp", "local-smtps", "local-smtps" },
        { "local-esmtp", "local-esmtpa", "local-esmtps", "local-esmtpsa" }
    };
    int which = (s->tls_in.active ? 2 : 0) + (s->host_authenticated != NULL);

    return (s->host_address == NULL && !s->host_checking ? local
                                                         : names)[s->esmtp][which];
}

void smtp_set_protocol(struct smtp_state *st)
{
    if (!st->protocol_given)
        st->s->received_protocol = st->s->batched ? "local-bsmtp" : protocol(st->s);
}

static void greet(struct smtp_state *st, const char *verb, bool esmtp)
{
    struct session *s = st->s;

    if (s->batched) { /* as RSET (manual 49.11) */
        s->helo_name =
            *st->argument != '\0' ? arena_strdup(s->arena, st->argument) : NULL;
        smtp_reset(st, NULL);
        return;
    }
    if (!check_syntax(st, verb))
        return;
    bool first = !s->helo_seen;
    s->helo_name = arena_strdup(s->arena, st->argument);
    session_set_fullhost(s);
    lookup_if_suspect(st);
    if (s->host_address != NULL && !verify_helo(st, verb))
        return;
    smtp_reset(st, first ? NULL : verb);
    struct acl_verdict v = smtp_acl(st, ACL_WHERE_HELO, st->o->acl_smtp_helo);
    if (v.rc != ACL_ACCEPT) {
        smtp_reply_refused(st, ACL_WHERE_HELO, &v,
                           arena_printf(s->arena, "EHLO or HELO %s", s->helo_name));
        s->helo_name = NULL;
        session_set_fullhost(s);
        return;
    }
    const char *code, *text = first_line(st, &v, &code);
    s->helo_seen = true;
    s->esmtp = esmtp;
    forget_extensions(s);
    if (esmtp && s->tls_in.active && s->host_authenticated == NULL)
        smtp_auth_by_tls(st);
    smtp_set_protocol(st);
    if (!esmtp) {
        smtp_reply(st, "%s %s", code, text);
        return;
    }
    smtp_reply(st, "%s-%s", code, text);
    say_extensions(st);
    smtp_reply(st, "%s HELP", code);
}

void smtp_cmd_helo(struct smtp_state *st)
{
    greet(st, "HELO", false);
}

void smtp_cmd_ehlo(struct smtp_state *st)
{
    greet(st, "EHLO", true);
}
