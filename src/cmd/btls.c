#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "cmd/cmd.h"
#include "cmd/local.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "route.h"
#include "transports/smtp.h"

enum { STEPS_MAX = 1000, TEXT_MAX = 4 * 1024 * 1024 };

struct prober {
    struct expand_ctx ctx;
    struct route_results results;
    int status;
};

static void probe_routed(struct prober *p, struct address *addr)
{
    struct buf out = buf_init(p->ctx.arena, TEXT_MAX);
    struct expand_ctx ctx = p->ctx;

    printf("%s\n  router = %s, transport = %s\n", addr->address, addr->router->name,
           addr->transport != NULL ? addr->transport->name : "(none)");
    if (addr->transport == NULL || addr->transport->driver != &transport_smtp) {
        printf("  not delivered by an smtp transport\n");
        return;
    }
    ctx.addr = addr;
    ctx.router = addr->router;
    ctx.transport = addr->transport;
    addr->next = NULL;
    if (smtp_probe(&ctx, addr->transport, addr, &out) > 0)
        p->status = 2;
    fputs(buf_cstr(&out), stdout);
}

static struct address *pop(struct address **list)
{
    struct address *a = *list;

    if (a != NULL) {
        *list = a->next;
        a->next = NULL;
    }
    return a;
}

static void route_one(struct prober *p, struct address *addr)
{
    struct expand_ctx ctx = p->ctx;

    ctx.addr = addr;
    enum route_rc rc = route_address(&ctx, addr, ROUTE_TEST, &p->results);

    if (rc == ROUTE_OK || rc == ROUTE_DISCARD || rc == ROUTE_REROUTED)
        return;
    printf("%s %s: %s\n", addr->address, rc == ROUTE_DEFER ? "cannot be resolved at this time" : "is undeliverable",
           addr->result.message != NULL ? addr->result.message : "Unrouteable address");
    p->status = 2;
}

static void probe_address(struct prober *p, const char *text)
{
    struct arena *a = p->ctx.arena;
    struct address *first = address_new(a, text), *addr;

    if (!address_split(a, first))
        first = address_new(a, arena_printf(a, "%s@%s", text, p->ctx.exim->config->qualify_recipient));
    (void)address_split(a, first);
    p->results = (struct route_results){ .children = first };
    for (int i = 0; i < STEPS_MAX && (addr = pop(&p->results.children)) != NULL; i++)
        route_one(p, addr);
    while ((addr = pop(&p->results.remote)) != NULL)
        probe_routed(p, addr);
    while ((addr = pop(&p->results.local)) != NULL)
        printf("%s is delivered here, by transport %s\n", addr->address,
               addr->transport != NULL ? addr->transport->name : "(none)");
}

/* Without addresses: what the report-only mode has counted. */
static void print_counts(struct exim *e, struct arena *a)
{
    struct buf out = buf_init(a, TEXT_MAX);

    if (smtp_report_print(e, a, &out))
        fputs(buf_cstr(&out), stdout);
    else
        printf("no host of tls_verify_report_hosts would have been refused\n");
}

/* Exit status: 0 all hosts would be used, 2 some would not. Nothing is sent or logged. */
int cmd_btls(struct exim *e, const struct cmd_line *c)
{
    struct prober p = { .status = 0 };
    struct message *m = message_new("tls probe");

    if (c->nargs == 0) {
        print_counts(e, m->arena);
        message_free(&m);
        return EXIT_SUCCESS;
    }
    m->sender = "";
    e->address_test = true;
    expand_ctx_init(&p.ctx, e, m->arena);
    p.ctx.message = m;
    p.ctx.session = local_session(e, c);
    for (int i = 0; i < c->nargs; i++)
        probe_address(&p, c->args[i]);
    message_free(&m);
    return p.status;
}
