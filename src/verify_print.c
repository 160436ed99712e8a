#include <stdio.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/hash.h"
#include "config/config.h"
#include "exim.h"
#include "host.h"
#include "rewrite.h"
#include "routers/router.h"
#include "transports/transport.h"
#include "verify_int.h"

enum { STEPS_MAX = 100000, NO_ADDRESS_WIDTH = 7 };

struct printer {
    struct expand_ctx *ctx;
    const struct verify_options *o;
    const struct verify_print *how;
    struct route_results res;
    int status;
};

static void set_status(struct printer *p, int status)
{
    if (status > p->status)
        p->status = status;
}

static void print_parents(const struct address *addr)
{
    for (const struct address *p = addr->parent; p != NULL; p = p->parent)
        printf("    <-- %s\n", p->address);
}

/* Columns as wide as their widest entry. */
static void print_hosts(const struct host *list)
{
    int names = 0, addresses = 0;

    for (const struct host *h = list; h != NULL; h = h->next) {
        int n = (int)strlen(h->name), a = h->address == NULL ? NO_ADDRESS_WIDTH : (int)strlen(h->address);
        names = n > names ? n : names;
        addresses = a > addresses ? a : addresses;
    }
    for (const struct host *h = list; h != NULL; h = h->next) {
        printf("  host %-*s ", names, h->name);
        if (h->address != NULL)
            printf("[%s]%*s", h->address, addresses - (int)strlen(h->address), "");
        else
            printf("%*s", addresses + 2, "");
        if (h->mx >= 0)
            printf(" MX=%d", h->mx);
        if (h->port > 0)
            printf(" port=%d", h->port);
        if (h->status == HOST_UNUSABLE)
            printf(" ** unusable **");
        putchar('\n');
    }
}

static bool is_duplicate(const struct printer *p, const struct address *addr)
{
    const char *key = arena_strdup(p->ctx->exim->arena, addr->unique);

    return p->how->seen != NULL && hash_put(p->how->seen, key, unconst(key)) != NULL;
}

static void print_routed(const struct printer *p, const struct address *addr)
{
    printf("%s%s\n", addr->address,
           is_duplicate(p, addr) ? "   [duplicate, would not be delivered]" : "");
    print_parents(addr);
    printf("  router = %s", addr->router->name);
    if (addr->transport != NULL)
        printf(", transport = %s", addr->transport->name);
    putchar('\n');
    print_hosts(addr->host_list);
}

/* A pipe or file that a redirection gave; NULL transport: not allowed. */
static void print_generated(const struct address *addr)
{
    printf("%s -> %s", addr->parent->address, addr->address);
    if (addr->result.rc == RC_FAIL)
        printf(" *** forbidden ***\n");
    else if (addr->result.rc == RC_DEFER)
        printf(" *** %s ***\n", addr->result.message);
    else
        printf("\n  transport = %s\n", addr->transport == NULL ? "" : addr->transport->name);
}

/* The lists were built from the front: generated ones are shown as they came, the others as Exim
 * shows them, the last first. */
static void print_generated_all(const struct address *list)
{
    if (list == NULL)
        return;
    print_generated_all(list->next);
    if (list->flags & ADDR_PIPE_FILE_REPLY)
        print_generated(list);
}

static void print_list(const struct printer *p, const struct address *list)
{
    for (; list != NULL; list = list->next)
        if (!(list->flags & ADDR_PIPE_FILE_REPLY))
            print_routed(p, list);
}

static void print_refused(struct printer *p, const struct address *addr, enum route_rc rc)
{
    const char *what = rc == ROUTE_DEFER                      ? "cannot be resolved at this time"
                       : p->o->flags & VERIFY_ADDRESS_TEST ? "is undeliverable"
                                                              : "failed to verify";

    printf("%s %s", addr->address, what);
    if (p->how->details)
        printf(": %s", addr->result.message == NULL ? "" : addr->result.message);
    putchar('\n');
    print_parents(addr);
    set_status(p, rc == ROUTE_DEFER ? 1 : 2);
}

/* Routes one; its children stand before what is left. */
static struct address *route_one(struct printer *p, struct address *addr, struct address *rest)
{
    struct route_results before = p->res;

    p->res.children = NULL;
    enum route_rc rc = route_address(p->ctx, addr, verify_mode(p->o), &p->res);
    if (rc == ROUTE_FAIL || rc == ROUTE_DEFER) {
        struct address *children = p->res.children;
        p->res = before;
        p->res.children = children; /* an unseen copy goes on */
        print_refused(p, addr, rc);
    } else if (rc == ROUTE_DISCARD) {
        printf("mail to %s is discarded\n", addr->address);
    }
    struct address **tail = &p->res.children;
    while (*tail != NULL)
        tail = &(*tail)->next;
    *tail = rest;
    return p->res.children;
}

static int print_all(struct printer *p, struct address *addr)
{
    for (int i = 0; addr != NULL && i < STEPS_MAX; i++) {
        struct address *rest = addr->next;
        addr->next = NULL;
        addr = route_one(p, addr, rest);
    }
    print_generated_all(p->res.local);
    for (const struct address *a = p->res.settled; a != NULL; a = a->next)
        if (a->flags & ADDR_PIPE_FILE_REPLY)
            print_generated(a);
    print_list(p, p->res.local);
    print_list(p, p->res.remote);
    return p->status;
}

/* One line: the verdict. */
static int print_verdict(struct printer *p, const char *shown, const char *address)
{
    struct verify_result r = verify_address(p->ctx, address, p->o);
    const char *text = r.message == NULL ? "" : r.message;

    if (r.rc == RC_OK) {
        printf("%s verified\n", shown);
        return 0;
    }
    printf("%s %s", shown, r.rc == RC_DEFER ? "cannot be resolved at this time" : "failed to verify");
    if (p->how->details)
        printf(": %s", text);
    putchar('\n');
    return r.rc == RC_DEFER ? 1 : 2;
}

int verify_print(struct expand_ctx *ctx, const char *address, const struct verify_options *o,
                 const struct verify_print *how)
{
    struct printer p = { .ctx = ctx, .o = o, .how = how };
    const struct rewrite_rule *rules = ctx->exim->config->rewrite_rules;
    struct verify_result r;
    struct address *addr = verify_start(ctx, address, o, &r);

    if (addr == NULL) {
        printf("%s failed to verify: %s\n", address, r.message);
        return 2;
    }
    if (rules != NULL) {
        unsigned which = o->flags & VERIFY_SENDER ? REWRITE_ENV_FROM : REWRITE_ENV_TO;
        addr = address_new(ctx->arena, rewrite_address(ctx, rules, addr->address, which, NULL));
    }
    int status = how->full ? print_all(&p, addr) : print_verdict(&p, addr->address, addr->address);
    fflush(stdout);
    return status;
}
