#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "address.h"
#include "exim.h"
#include "expand.h"
#include "parse.h"
#include "route.h"
#include "smtp/smtp_int.h"
#include "verify.h"

enum { EXPN_MAX = 1000, EXPN_BYTES = 64 * 1024 };

void smtp_cmd_rset(struct smtp_state *st)
{
    smtp_reset(st, "RSET");
    smtp_reply(st, "250 Reset OK");
}

void smtp_cmd_noop(struct smtp_state *st)
{
    smtp_reply(st, "250 OK");
}

void smtp_cmd_help(struct smtp_state *st)
{
    const struct main_options *o = st->o;

    if (st->s->batched)
        return;
    smtp_reply(st, "214-Commands supported:");
    smtp_reply(st, "214 AUTH%s HELO EHLO MAIL RCPT DATA BDAT NOOP QUIT RSET HELP%s%s%s",
               st->s->tls_advertised || st->s->tls_in.active ? " STARTTLS" : "",
               o->acl_smtp_etrn != NULL ? " ETRN" : "",
               o->acl_smtp_expn != NULL ? " EXPN" : "",
               o->acl_smtp_vrfy != NULL ? " VRFY" : "");
}

void smtp_cmd_quit(struct smtp_state *st)
{
    struct acl_verdict v = { .rc = ACL_ACCEPT };

    if (!st->s->proxy_failed && !st->s->batched)
        v = smtp_acl(st, ACL_WHERE_QUIT, st->o->acl_smtp_quit);
    if (v.rc == ACL_ERROR && v.log_message != NULL)
        smtp_log(st, LOG_MAIN | LOG_PANIC, "ACL for QUIT returned ERROR: %s",
                 v.log_message);
    smtp_reset(st, "QUIT");
    if (v.user_message != NULL)
        smtp_reply_lines(st, "221", NULL, v.user_message);
    else
        smtp_reply(st, "221 %s closing connection", st->s->active_hostname);
    (void)smtp_flush(st);
    if (smtp_log_wants(st, L_smtp_connection) && !st->s->batched)
        smtp_log(st, LOG_MAIN | LOG_BY(smtp_connection), "%s closed by QUIT",
                 smtp_log_connection(st));
    st->done = true;
}

/* The ACL of VRFY, EXPN and ETRN: unset means no. */
bool smtp_acl_allows(struct smtp_state *st, enum acl_where where, const struct expr *acl,
                     const char *what)
{
    struct acl_verdict v = { .rc = ACL_DENY, .log_reject_target = LOG_MAIN | LOG_REJECT };

    if (acl != NULL)
        v = smtp_acl(st, where, acl);
    if (v.rc == ACL_ACCEPT)
        return true;
    smtp_reply_refused(st, where, &v, what);
    return false;
}

/* The address of VRFY, qualified when the host may leave the domain out. */
static const char *subject_address(struct smtp_state *st)
{
    struct parsed_address p;
    struct arena *a = st->s->arena;
    unsigned flags = st->o->allow_domain_literals ? PARSE_ALLOW_DOMAIN_LITERAL : 0;

    if (!parse_address(a, st->argument, flags, &p)) {
        smtp_reply(st, "501 %s", cstr_printable(a, p.err, false));
        return NULL;
    }
    if (p.domain != NULL)
        return p.address;
    if (st->s->recipient_unqualified_ok || cstr_ieq(p.address, "postmaster"))
        return arena_printf(a, "%s@%s", p.address, st->e->config->qualify_recipient);
    smtp_log(st, LOG_MAIN | LOG_REJECT, "unqualified verify rejected: <%s> %s",
             cstr_printable(a, p.address, false), smtp_log_host(st));
    smtp_reply(st, "501 %s: recipient address must contain a domain",
               cstr_printable(a, st->argument, false));
    return NULL;
}

void smtp_cmd_vrfy(struct smtp_state *st)
{
    struct expand_ctx ctx;
    struct verify_options options = { 0 };

    if (st->s->batched)
        return;
    const char *address = subject_address(st);
    if (address == NULL ||
        !smtp_acl_allows(st, ACL_WHERE_VRFY, st->o->acl_smtp_vrfy,
                         arena_printf(st->s->arena, "VRFY %s", st->argument)))
        return;
    smtp_context(st, &ctx);
    struct verify_result r = verify_address(&ctx, address, &options);
    if (r.rc == RC_OK) {
        smtp_reply(st, "250 <%s> is deliverable", address);
    } else if (r.rc == RC_DEFER) {
        if (r.user_message != NULL)
            smtp_reply(st, "451 <%s> %s", address, r.user_message);
        else
            smtp_reply(st, "451 Cannot resolve <%s> at this time", address);
    } else {
        smtp_reply(st, "550 <%s> %s", address,
                   r.user_message != NULL ? r.user_message : "Unrouteable address");
        smtp_log(st, LOG_MAIN, "VRFY failed for %s %s",
                 cstr_printable(st->s->arena, st->argument, false), smtp_log_host(st));
    }
}

/* What became of the addresses of a list, in order; children stand in their parent's
 * place. */
static void expand_list(struct expand_ctx *ctx, struct address *first, struct buf *lines,
                        enum rc *rc)
{
    struct address *todo = first;

    for (unsigned n = 0; todo != NULL && n < EXPN_MAX; n++) {
        struct address *addr = todo;
        struct route_results res = { 0 };
        bool top = addr == first;

        todo = addr->next;
        addr->next = NULL;
        (void)address_split(ctx->arena, addr);
        enum route_rc got = (addr->flags & ADDR_PIPE_FILE_REPLY) != 0
                                ? ROUTE_OK
                                : route_address(ctx, addr, ROUTE_EXPN, &res);
        if (top && (got == ROUTE_FAIL || got == ROUTE_DEFER)) {
            *rc = got == ROUTE_DEFER ? RC_DEFER : RC_FAIL;
            return;
        }
        if (res.children == NULL) {
            buf_printf(lines, "%s<%s>", lines->len > 0 ? "\n" : "", addr->address);
            continue;
        }
        struct address *last = res.children;
        while (last->next != NULL)
            last = last->next;
        last->next = todo;
        todo = res.children;
    }
}

void smtp_cmd_expn(struct smtp_state *st)
{
    struct expand_ctx ctx;
    enum rc rc = RC_OK;

    if (st->s->batched ||
        !smtp_acl_allows(st, ACL_WHERE_EXPN, st->o->acl_smtp_expn,
                         arena_printf(st->s->arena, "EXPN %s", st->argument)))
        return;
    const char *address = st->argument; /* Exim: not parsed, and any host may leave the
                                           domain out */
    if (strchr(address, '@') == NULL)
        address = arena_printf(st->s->arena, "%s@%s", address,
                               st->e->config->qualify_recipient);
    smtp_context(st, &ctx);
    struct buf lines = buf_init(ctx.arena, EXPN_BYTES);
    expand_list(&ctx, address_new(ctx.arena, address), &lines, &rc);
    if (rc == RC_OK)
        smtp_reply_lines(st, "250", NULL, buf_cstr(&lines));
    else
        smtp_reply(st, "553 %s %s", cstr_printable(st->s->arena, address, false),
                   rc == RC_DEFER ? "cannot be resolved at this time"
                                  : "is undeliverable");
}
