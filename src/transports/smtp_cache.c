#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/fd.h"
#include "base/tod.h"
#include "transports/smtp_int.h"

enum { KEPT_MAX = 8, IDLE_MAX_MS = 60 * 1000, QUIT_WAIT_MS = 500 };

/* The kept connections of this process, newest first: one of the few mutable objects at file scope,
 * since a driver is const and its connections outlive every delivery. */
static struct smtp_connection *kept;

struct smtp_connection *smtp_cache_new(void)
{
    struct arena *a = arena_new("smtp connection");
    struct smtp_connection *c = arena_new_obj(a, struct smtp_connection);

    c->arena = a;
    c->owner = getpid();
    client_init(&c->client, a);
    return c;
}

void smtp_cache_drop(struct smtp_connection *c)
{
    struct arena *a = c->arena;

    client_close(&c->client);
    arena_destroy(&a);
}

void smtp_cache_quit(struct smtp_connection *c)
{
    struct client *cl = &c->client;

    if (cl->fd >= 0 && cl->fault == CLIENT_OK) {
        int64_t deadline = tod_monotonic_ms() + QUIT_WAIT_MS;

        /* The reply is of no interest, but closing over it would make it a reset at the other end. */
        if (client_command(cl, deadline, "QUIT") != 0 && cl->tls == NULL)
            (void)shutdown(cl->fd, SHUT_WR);
    }
    smtp_cache_drop(c);
}

/* After a fork the connections belong to the parent: no word on them from here. */
static void forget_inherited(void)
{
    if (kept == NULL)
        return;
    pid_t self = getpid();

    while (kept != NULL && kept->owner != self) {
        struct smtp_connection *c = kept;

        kept = c->next;
        if (c->client.tls != NULL)
            c->client.tls = NULL; /* freed with the arena, without a close_notify */
        smtp_cache_drop(c);
    }
}

struct smtp_connection *smtp_cache_take(struct str key)
{
    int64_t now = tod_monotonic_ms();

    forget_inherited();
    for (struct smtp_connection **p = &kept; *p != NULL; p = &(*p)->next) {
        struct smtp_connection *c = *p;

        if (!str_eq(c->key, key))
            continue;
        *p = c->next;
        c->next = NULL;
        if (now - c->last_used_ms < IDLE_MAX_MS && client_is_quiet(&c->client)) {
            client_used_again(&c->client);
            DEBUG(D_TRANSPORT) debug_printf("using a kept connection (%ld messages so far)\n", c->messages);
            return c;
        }
        smtp_cache_drop(c);
        return NULL;
    }
    return NULL;
}

void smtp_cache_keep(struct smtp_connection *c)
{
    size_t n = 1;

    forget_inherited();
    c->last_used_ms = tod_monotonic_ms();
    c->next = kept;
    kept = c;
    for (struct smtp_connection **p = &kept->next; *p != NULL;) {
        if (++n <= KEPT_MAX) {
            p = &(*p)->next;
            continue;
        }
        struct smtp_connection *old = *p;

        *p = old->next;
        smtp_cache_quit(old);
    }
}

void smtp_cache_tidy(void)
{
    forget_inherited();
    while (kept != NULL) {
        struct smtp_connection *c = kept;

        kept = c->next;
        smtp_cache_quit(c);
    }
}
