#include "deliver/deliver_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/str.h"
#include "exim.h"
#include "expand.h"
#include "header.h"
#include "message.h"
#include "routers/router.h"
#include "transports/transport.h"

void deliver_ctx(struct expand_ctx *ctx, struct delivery *d, const struct address *addr)
{
    expand_ctx_init(ctx, d->exim, d->arena);
    ctx->message = d->message;
    ctx->delivery = d;
    ctx->addr = addr;
    if (addr != NULL) {
        ctx->router = addr->router;
        ctx->transport = addr->transport;
        ctx->address_data = addr->address_data;
        ctx->domain_data = addr->domain_data;
        ctx->local_part_data = addr->local_part_data;
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool deliver_same_headers(const struct address *a, const struct address *b)
{
    const struct header *x = a->extra_headers, *y = b->extra_headers;

    for (; x != NULL && y != NULL && x != y; x = x->next, y = y->next)
        if (strcmp(x->text, y->text) != 0)
            return false;
    return x == y && same_text(a->remove_headers, b->remove_headers) &&
           same_text(a->errors_to, b->errors_to);
}

static bool refuse(struct transport_call *call, enum rc rc, const char *status, const char *message)
{
    transport_set_all(call, rc, ERR_EXPANDFAIL, status, message);
    return false;
}

/* The transport's return_path, else errors_to, else the sender. */
static bool set_return_path(struct transport_call *call, const struct transport *t)
{
    const struct address *addr = call->addrs;

    call->return_path = addr->errors_to != NULL ? addr->errors_to : call->message->sender;
    if (t->return_path == NULL)
        return true;
    const char *path;
    switch (expand(call->ctx, t->return_path, &path)) {
    case EXPAND_OK:
        call->return_path = path;
        return true;
    case EXPAND_FORCED:
        return true;
    default:
        return refuse(call, RC_DEFER, "4.3.5",
                      arena_printf(call->ctx->arena, "failed to expand return path \"%s\": %s",
                                   t->return_path->text, call->ctx->err.msg));
    }
}

static bool check_size(struct transport_call *call, const struct transport *t)
{
    long limit = 0;

    if (t->message_size_limit == NULL)
        return true;
    if (expand_int(call->ctx, t->message_size_limit, &limit) != EXPAND_OK)
        return refuse(call, RC_DEFER, "4.3.5",
                      arena_printf(call->ctx->arena, "failed to expand message_size_limit in %s transport: %s",
                                   t->name, call->ctx->err.msg));
    if (limit <= 0 || call->message->message_size <= limit)
        return true;
    transport_set_all(call, RC_FAIL, 0, "5.2.3",
                      arena_printf(call->ctx->arena, "message is too big (transport limit = %ld)", limit));
    return false;
}

static void print_debug(struct expand_ctx *ctx, const struct transport *t)
{
    const char *text;

    if (t->debug_print == NULL || debug_mask == 0)
        return;
    if (expand(ctx, t->debug_print, &text) != EXPAND_OK)
        debug_printf("failed to expand \"%s\" in debug_print: %s\n", t->debug_print->text, ctx->err.msg);
    else
        debug_printf("%s%s", text, cstr_ends(text, "\n") ? "" : "\n");
}

bool deliver_prepare(struct delivery *d, const struct transport *t, struct address *addrs,
                     struct transport_call *call, struct expand_ctx *ctx)
{
    deliver_ctx(ctx, d, addrs);
    *call = (struct transport_call){ .ctx = ctx, .message = d->message, .addrs = addrs, .delivery = d,
                                     .first_attempt = d->message->deliver_firsttime };
    if (!set_return_path(call, t) || !check_size(call, t))
        return false;
    print_debug(ctx, t);
    return true;
}
