#include "cmd/local.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/hash.h"
#include "base/str.h"
#include "cmd/be_message.h"
#include "cmd/cmd.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "match.h"
#include "parse.h"
#include "session.h"
#include "smtp_in.h"

bool local_host_options(const struct exim *e, const struct cmd_line *c)
{
    return e->trusted &&
           (c->oMa != NULL || c->oMi != NULL || c->oMs != NULL || c->oMt != NULL ||
            c->oMaa != NULL || c->oMai != NULL || c->oMas != NULL || c->oMr != NULL);
}

const char *local_originator(struct exim *e, struct arena *a)
{
    return arena_printf(a, "%s@%s", parse_quote_local_part(a, e->originator_login),
                        e->config->qualify_domain);
}

struct session *local_session(struct exim *e, const struct cmd_line *c)
{
    struct session *s = session_new(e);

    s->ident = e->originator_login;
    s->received_protocol = "local";
    s->authenticated_id = e->originator_login;
    s->acl_c = hash_new(s->arena, false);
    s->active_hostname = e->config->primary_hostname;
    s->sender_unqualified_ok = s->recipient_unqualified_ok = !c->no_qualify;
    if (!local_host_options(e, c))
        return s;
    be_split_address(s->arena, c->oMa, &s->host_address, &s->host_port);
    be_split_address(s->arena, c->oMi, &s->interface_address, &s->interface_port);
    if (c->oMt != NULL)
        s->ident = c->oMt;
    s->host_name = c->oMs;
    s->host_authenticated = c->oMaa;
    if (c->oMai != NULL)
        s->authenticated_id = c->oMai;
    if (c->oMr != NULL)
        s->received_protocol = c->oMr;
    session_set_fullhost(s);
    return s;
}

/* Anybody may send with a null sender; another one must be allowed. */
static bool may_set(struct exim *e, struct arena *a, const struct cmd_line *c,
                    const char *sender)
{
    struct expand_ctx ctx;

    if (e->trusted || *sender == '\0')
        return true;
    if (e->config->main.untrusted_set_sender == NULL)
        return false;
    struct session *s = local_session(e, c); /* $sender_ident */

    expand_ctx_init(&ctx, e, a);
    ctx.session = s;
    bool allowed = match_address(&ctx, e->config->main.untrusted_set_sender, sender, true,
                                 NULL) == RC_OK;
    session_free(&s);
    return allowed;
}

bool local_sender(struct exim *e, struct arena *a, const struct cmd_line *c,
                  const char **sender, const char **why)
{
    const struct main_options *o = &e->config->main;
    struct parsed_address p;

    *sender = NULL;
    if (c->sender == NULL)
        return true;
    if (*c->sender == '\0' || strcmp(c->sender, "<>") == 0) {
        *sender = "";
        return true;
    }
    unsigned flags = PARSE_ALLOW_EMPTY | PARSE_ALLOW_DOMAIN_LITERAL |
                     (o->allow_utf8_domains ? PARSE_ALLOW_UTF8 : 0) |
                     (o->strip_trailing_dot ? PARSE_STRIP_DOT : 0);
    if (!parse_address(a, c->sender, flags, &p)) {
        *why = arena_printf(a, "bad -f address \"%s\": %s", c->sender, p.err);
        return false;
    }
    const char *full =
        p.domain != NULL || *p.address == '\0' || c->no_qualify
            ? p.address
            : arena_printf(a, "%s@%s", p.address, e->config->qualify_domain);
    if (may_set(e, a, c, full))
        *sender = full;
    return true;
}

static void set_end(struct arena *a, const char *text, struct ip *ip, uint16_t *port)
{
    const char *address = NULL;
    int number = 0;

    be_split_address(a, text, &address, &number);
    if (address == NULL || !ip_parse(address, ip))
        return;
    *port = (uint16_t)number;
}

static void set_from_socket(struct smtp_peer *peer)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof(sa);

    if (getpeername(STDIN_FILENO, (struct sockaddr *)&sa, &len) < 0)
        return;
    peer->client = ip_from_sockaddr((struct sockaddr *)&sa, &peer->client_port);
    if (peer->client.family == 0)
        return;
    len = sizeof(sa);
    peer->out_fd = STDIN_FILENO;
    if (getsockname(STDIN_FILENO, (struct sockaddr *)&sa, &len) == 0)
        peer->local = ip_from_sockaddr((struct sockaddr *)&sa, &peer->local_port);
}

void local_peer(struct exim *e, struct arena *a, const struct cmd_line *c,
                struct smtp_peer *peer)
{
    peer->in_fd = STDIN_FILENO;
    peer->out_fd = STDOUT_FILENO;
    set_from_socket(peer);
    if (peer->client.family == 0) {
        peer->sender_ident = peer->authenticated_id = e->originator_login;
        peer->authenticated_sender = local_originator(e, a);
    }
    if (!local_host_options(e, c))
        return;
    set_end(a, c->oMa, &peer->client, &peer->client_port);
    set_end(a, c->oMi, &peer->local, &peer->local_port);
    if (c->oMt != NULL)
        peer->sender_ident = c->oMt;
    if (c->oMai != NULL)
        peer->authenticated_id = c->oMai;
    peer->host_name = c->oMs;
    peer->host_authenticated = c->oMaa;
    peer->authenticated_sender = c->oMas;
    peer->protocol = c->oMr;
}
