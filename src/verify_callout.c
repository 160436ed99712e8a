#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "session.h"
#include "smtp/client.h"
#include "transports/bsmtp.h"
#include "transports/smtp_int.h"
#include "verify_int.h"

/* One callout: the hosts are asked in turn until one knows. */
struct callout {
    struct expand_ctx *ctx;
    struct address *addr;
    const struct verify_options *o;
    struct verify_result *r;
    struct verify_cache cache;
    const char *from, *to;   /* MAIL and RCPT */
    bool check_random, check_postmaster;
    struct host *host;
    struct smtp_talk *talk;
    const char *sent;        /* the command that the last reply belongs to */
};

/* ---- results ---- */

static const char *host_text(const struct callout *c)
{
    return arena_printf(c->ctx->arena, "%s [%s]", c->host->name, c->host->address);
}

/* "550-a\n550 b" as it stands in logs. */
static const char *in_log(struct arena *a, const char *reply)
{
    return cstr_printable(a, reply, true);
}

/* What the client is told: of a sender, whom we asked what. */
static const char *for_client(const struct callout *c, const char *reply)
{
    struct arena *a = c->ctx->arena;

    if (reply == NULL)
        return NULL;
    if (c->o->flags & VERIFY_SENDER)
        return arena_printf(a, "Called:   %s\nSent:     %s\nResponse: %s", c->host->address,
                            c->sent == NULL ? "initial connection" : c->sent, reply);
    return arena_printf(a, "Callout verification failed:\n%s", reply);
}

static void fail(struct callout *c, const char *failure, const char *message, const char *reply)
{
    struct verify_result *r = c->r;

    r->rc = RC_FAIL;
    r->failure = failure;
    r->message = arena_printf(c->ctx->arena, "%s : %s", host_text(c), message);
    r->user_message = for_client(c, reply);
}

static void defer(struct callout *c, const char *message)
{
    struct verify_result *r = c->r;
    const char *what = arena_printf(c->ctx->arena, "Could not complete %s verify callout",
                                    c->o->flags & VERIFY_SENDER ? "sender" : "recipient");

    r->rc = RC_DEFER;
    r->failure = NULL;
    r->user_message = what;
    r->message = message == NULL ? what : arena_printf(c->ctx->arena, "%s: %s", what, message);
}

static void defer_host(struct callout *c, const char *message)
{
    defer(c, arena_printf(c->ctx->arena, "%s : %s", host_text(c), message));
}

static void cached_failure(struct callout *c, const char *failure, const char *message)
{
    c->r->rc = RC_FAIL;
    c->r->failure = failure;
    c->r->message = c->r->user_message = message;
}

/* ---- what is known already ---- */

/* True: r is set, nobody need be asked. */
static bool known(struct callout *c)
{
    struct verify_cache *k = &c->cache;

    if (c->o->flags & VERIFY_CALLOUT_NOCACHE)
        return false;
    verify_cache_read(c->ctx, k);
    if (k->domain_result == CACHE_REJECT || (k->domain_result == CACHE_REJECT_MFNULL && c->from[0] == '\0')) {
        cached_failure(c, "mail", "(result of an earlier callout reused).");
        return true;
    }
    if (c->check_random && k->random == CACHE_ACCEPT) {
        c->r->rc = RC_OK;
        c->r->failure = "random";
        return true;
    }
    c->check_random = c->check_random && k->random == CACHE_UNKNOWN;
    if (c->check_postmaster && k->postmaster == CACHE_REJECT) {
        cached_failure(c, "postmaster", "(result of earlier verification reused).");
        return true;
    }
    c->check_postmaster = c->check_postmaster && k->postmaster != CACHE_ACCEPT;
    if (k->address_result == CACHE_REJECT) {
        cached_failure(c, "recipient", "Previous (cached) callout verification failure");
        return true;
    }
    return k->address_result == CACHE_ACCEPT && !c->check_postmaster;
}

/* ---- one host ---- */

static int command(struct callout *c, const char *text)
{
    c->sent = text;
    return client_command(smtp_talk_client(c->talk), smtp_talk_deadline(c->talk), "%s", text);
}

static const char *reply_text(const struct callout *c)
{
    return buf_cstr(&smtp_talk_client(c->talk)->reply);
}

enum asked { ASKED_YES, ASKED_NO, ASKED_UNSURE, ASKED_LOST };

/* Sends it: 2xx, 5xx, or neither; when the connection is gone r says so. */
static enum asked ask(struct callout *c, const char *text)
{
    int code = command(c, text);

    if (code == 0) {
        const char *why = smtp_talk_client(c->talk)->fault == CLIENT_TIMEOUT ? "timed out" : "connection dropped";
        defer(c, arena_printf(c->ctx->arena, "%s : response to \"%s\" was: %s", host_text(c), text, why));
        return ASKED_LOST;
    }
    return code / 100 == 2 ? ASKED_YES : code / 100 == 5 ? ASKED_NO : ASKED_UNSURE;
}

static const char *said(struct callout *c)
{
    return arena_printf(c->ctx->arena, "SMTP error from remote mail server after %s: %s", c->sent,
                        in_log(c->ctx->arena, reply_text(c)));
}

static const char *mail_command(struct callout *c, const char *from)
{
    return arena_printf(c->ctx->arena, "MAIL FROM:<%s>", from);
}

/* False: the answer is in r, or the next host must tell. */
static bool say_mail(struct callout *c)
{
    enum asked a = ask(c, mail_command(c, c->from));

    if (a == ASKED_YES) {
        c->cache.domain_result = CACHE_ACCEPT;
        c->cache.domain_changed = true;
        return true;
    }
    if (a == ASKED_LOST)
        return false;
    if (a == ASKED_UNSURE) {
        defer_host(c, said(c));
        return false;
    }
    if (c->from[0] == '\0') {
        c->cache.domain_result = CACHE_REJECT_MFNULL;
        c->cache.domain_changed = true;
    }
    fail(c, "mail", arena_printf(c->ctx->arena, "response to \"%s\" was: %s", c->sent, in_log(c->ctx->arena, reply_text(c))),
         arena_strdup(c->ctx->arena, reply_text(c)));
    return false;
}

/* A local part that nobody has: who takes it takes all. True: go on with the real address. */
static bool try_random(struct callout *c)
{
    struct expand_ctx *ctx = c->ctx;
    const struct expr *e = ctx->exim->config->main.callout_random_local_part;
    const char *lp;

    enum expand_rc rc = e != NULL ? expand(ctx, e, &lp) : expand_text(ctx, "$primary_hostname-$tod_epoch-testing", &lp);
    if (rc != EXPAND_OK || lp[0] == '\0')
        return true;
    enum asked a = ask(c, arena_printf(ctx->arena, "RCPT TO:<%s@%s>", lp, c->addr->domain));
    c->cache.random_stamp = tod_now().tv_sec;
    if (a == ASKED_LOST)
        return false;
    if (a == ASKED_YES) {
        c->cache.random = CACHE_ACCEPT;
        c->r->rc = RC_OK;
        c->r->failure = "random";
        return false;
    }
    if (a == ASKED_NO)
        c->cache.random = CACHE_REJECT;
    return ask(c, "RSET") == ASKED_YES && ask(c, mail_command(c, c->from)) == ASKED_YES;
}

static bool say_rcpt(struct callout *c)
{
    enum asked a = ask(c, arena_printf(c->ctx->arena, "RCPT TO:<%s>", c->to));

    if (a == ASKED_LOST)
        return false;
    if (a == ASKED_UNSURE) {
        defer_host(c, said(c));
        return false;
    }
    c->cache.address_result = a == ASKED_YES ? CACHE_ACCEPT : CACHE_REJECT;
    c->cache.address_changed = true;
    if (a == ASKED_YES) {
        c->r->rc = RC_OK;
        return true;
    }
    fail(c, "recipient", said(c), arena_strdup(c->ctx->arena, reply_text(c)));
    return false;
}

static void say_postmaster(struct callout *c)
{
    struct arena *a = c->ctx->arena;
    const char *from = c->o->postmaster_mailfrom == NULL ? "" : c->o->postmaster_mailfrom;
    enum asked got = ask(c, "RSET");

    if (got == ASKED_YES)
        got = ask(c, mail_command(c, from));
    if (got == ASKED_YES)
        got = ask(c, arena_printf(a, "RCPT TO:<postmaster@%s>", c->addr->domain));
    if (got == ASKED_NO && (c->o->flags & VERIFY_CALLOUT_FULLPOSTMASTER))
        got = ask(c, "RCPT TO:<postmaster>");
    if (got == ASKED_LOST)
        return;
    if (got == ASKED_UNSURE) {
        defer_host(c, said(c));
        return;
    }
    c->cache.postmaster = got == ASKED_YES ? CACHE_ACCEPT : CACHE_REJECT;
    c->cache.postmaster_stamp = tod_now().tv_sec;
    if (got == ASKED_NO)
        fail(c, "postmaster", said(c), arena_strdup(a, reply_text(c)));
}

/* True: r is the answer; false: try the next host (r tells why not this one). */
static bool ask_host(struct callout *c)
{
    struct smtp_fault fault = { 0 };
    const struct smtp_talk_request rq = {
        .ctx = c->ctx, .arena = c->ctx->arena, .transport = c->addr->transport, .host = c->host, .callout = true,
        .connect_timeout = c->o->callout_connect > 0 ? c->o->callout_connect : c->o->callout,
        .command_timeout = c->o->callout,
    };

    c->sent = NULL;
    c->talk = smtp_talk_open(&rq, &fault);
    if (c->talk == NULL) {
        const char *text = fault.message == NULL ? "connection failed" : in_log(c->ctx->arena, fault.message);
        if (fault.rc != RC_FAIL) {
            defer_host(c, text);
            return false;
        }
        c->cache.domain_result = CACHE_REJECT;
        c->cache.domain_changed = true;
        fail(c, "mail", text, fault.diagnostic);
        return true;
    }
    c->r->rc = RC_DEFER;
    if (say_mail(c) && (!c->check_random || try_random(c)) && say_rcpt(c) && c->check_postmaster)
        say_postmaster(c);
    smtp_talk_close(&c->talk);
    return c->r->rc != RC_DEFER;
}

/* ---- all hosts ---- */

/* Hosts of the router, or of the transport where it has its own. */
static struct host *hosts_of(struct callout *c)
{
    const struct smtp_transport *t = (const struct smtp_transport *)c->addr->transport;
    struct expand_ctx *ctx = c->ctx;
    const char *text;

    if (t->hosts == NULL || (c->addr->host_list != NULL && !t->hosts_override))
        return c->addr->host_list;
    if (expand(ctx, t->hosts, &text) != EXPAND_OK)
        return NULL;
    struct host *list = host_list_parse(ctx->arena, text, t->hosts_randomize);
    struct host_find_options o = { .use_mx = true, .by_name = t->gethostbyname,
                                   .qualify_single = t->dns_qualify_single,
                                   .search_parents = t->dns_search_parents };
    for (struct host *h = list, *next; h != NULL; h = next) {
        struct err err = { 0 };
        next = h->next;
        if (h->mx_plus)
            (void)host_find_mx(ctx->exim, ctx->arena, h, &o, NULL, &err);
        else
            (void)host_find_address(ctx->exim, ctx->arena, h, &o, NULL, &err);
    }
    return list;
}

static void ask_hosts(struct callout *c)
{
    long overall = c->o->callout_overall > 0 ? c->o->callout_overall : 4 * c->o->callout;
    int64_t deadline = tod_monotonic_ms() + overall * 1000;

    defer(c, "no host could be called");
    for (struct host *h = hosts_of(c); h != NULL; h = h->next) {
        if (h->address == NULL)
            continue;
        c->host = h;
        if (ask_host(c) || tod_monotonic_ms() >= deadline)
            return;
    }
}

static void set_sender(struct callout *c)
{
    const struct config *cfg = c->ctx->exim->config;
    const struct message *m = c->ctx->message;
    unsigned flags = c->o->flags;

    c->from = "";
    if (flags & VERIFY_SENDER)
        c->from = c->o->mailfrom == NULL ? "" : c->o->mailfrom;
    else if (flags & VERIFY_CALLOUT_USE_POSTMASTER)
        c->from = arena_printf(c->ctx->arena, "postmaster@%s", cfg->qualify_domain);
    else if ((flags & VERIFY_CALLOUT_USE_SENDER) && m != NULL && m->sender != NULL)
        c->from = m->sender;
}

void verify_callout(struct expand_ctx *ctx, struct address *addr, const struct verify_options *o,
                    struct verify_result *r)
{
    struct callout c = { .ctx = ctx, .addr = addr, .o = o, .r = r,
                         .check_random = (o->flags & VERIFY_CALLOUT_RANDOM) != 0,
                         .check_postmaster = (o->flags & VERIFY_CALLOUT_POSTMASTER) != 0 };

    if (addr->transport == NULL) {
        defer(&c, "the router has no transport to call out with");
        return;
    }
    if (strcmp(addr->transport->driver->name, "smtp") != 0)
        return; /* manual 44.46: callouts are for smtp transports only */
    set_sender(&c);
    c.to = bsmtp_recipient(ctx->arena, addr, addr->transport->rcpt_include_affixes);
    c.cache.domain = addr->domain;
    c.cache.address = c.from[0] == '\0' ? addr->address : arena_printf(ctx->arena, "%s/<%s>", addr->address, c.from);
    if (known(&c))
        return;
    ask_hosts(&c);
    if (!(o->flags & VERIFY_CALLOUT_NOCACHE))
        verify_cache_write(ctx, &c.cache);
    if (r->rc == RC_DEFER && o->callout_defer_ok)
        r->rc = RC_OK;
}
