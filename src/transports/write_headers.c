#include "transports/write_int.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"
#include "expand.h"
#include "header.h"
#include "message.h"
#include "rewrite.h"
#include "transports/stream.h"
#include "transports/transport.h"

/* Header names not to be written; a name may end in '*'. */
struct removal {
    struct arena *arena;
    struct removed {
        const struct removed *next;
        const char *name;
        size_t len;
    } *first;
};

static void remove_name(struct removal *r, const char *name)
{
    size_t n = strlen(name);

    while (n > 0 && (name[n - 1] == ':' || name[n - 1] == ' '))
        n--;
    if (n == 0)
        return;
    struct removed *x = arena_new_obj(r->arena, struct removed);

    *x = (struct removed){ .next = r->first, .name = name, .len = n };
    r->first = x;
}

static void remove_names(struct removal *r, const char *list)
{
    struct list_iter it = list_begin(list == NULL ? "" : list, ':');

    for (const char *item; (item = list_next(&it, r->arena)) != NULL;)
        remove_name(r, item);
}

static bool is_removed(const struct removal *r, const struct header *h)
{
    for (const struct removed *x = r->first; x != NULL; x = x->next) {
        bool prefix = x->name[x->len - 1] == '*';
        if (strncasecmp(h->text, x->name, prefix ? x->len - 1 : x->len) != 0)
            continue;
        if (prefix || cstr_skip_space(h->text + x->len)[0] == ':')
            return true;
    }
    return false;
}

/* Calls fn for each expanded item; forced failures and empty ones are left out. */
typedef bool item_fn(void *arg, const char *item);

static bool each_item(struct transport_call *call, const struct transport *t, const struct router_text *text,
                      char sep, const char *option, item_fn *fn, void *arg, struct err *err)
{
    struct expand_ctx *ctx = call->ctx;

    for (; text != NULL; text = text->next) {
        const char *raw = text->value->text, *v;
        bool single = strchr(raw, sep) == NULL && raw[0] != '<';
        struct list_iter it = list_begin(raw, sep);
        for (const char *item = single ? raw : list_next(&it, ctx->arena); item != NULL;
             item = single ? NULL : list_next(&it, ctx->arena)) {
            enum expand_rc rc = single ? expand(ctx, text->value, &v) : expand_text(ctx, item, &v);
            if (rc == EXPAND_FORCED || (rc == EXPAND_OK && v[0] == '\0'))
                continue;
            if (rc != EXPAND_OK)
                return err_set(err, ctx->arena, "failed to expand %s \"%s\" in %s transport: %s", option, item,
                               t->name, ctx->err.msg);
            if (!fn(arg, v))
                return false;
        }
    }
    return true;
}

static bool remove_item(void *arg, const char *item)
{
    remove_name(arg, item);
    return true;
}

static bool add_item(void *arg, const char *item)
{
    struct stream *s = arg;

    return stream_puts(s, item) && (cstr_ends(item, "\n") || stream_put(s, "\n", 1));
}

/* ---- lines that only the copy of this delivery has ---- */

static bool put_envelope_to(struct stream *s, struct transport_call *call)
{
    const char *sep = "Envelope-to: ";

    for (const struct address *addr = call->addrs; addr != NULL; addr = addr->next) {
        bool again = false;
        for (const struct address *b = call->addrs; b != addr && !again; b = b->next)
            again = strcmp(b->top->address, addr->top->address) == 0;
        if (again)
            continue;
        if (!stream_puts(s, sep) || !stream_puts(s, addr->top->address))
            return false;
        sep = ",\n  ";
    }
    return stream_put(s, "\n", 1);
}

static bool put_own_lines(struct stream *s, struct transport_call *call)
{
    const struct transport_output *o = s->out;
    struct arena *a = call->ctx->arena;

    if (o->add_return_path &&
        !stream_puts(s, arena_printf(a, "Return-path: <%s>\n", call->return_path)))
        return false;
    if (o->add_envelope_to && !put_envelope_to(s, call))
        return false;
    return !o->add_delivery_date ||
           stream_puts(s, arena_printf(a, "Delivery-date: %s\n", tod_print(a, TOD_FULL, tod_now())));
}

/* headers_rewrite works on a copy: the message itself stays as it came. */
static const struct header *rewritten(const struct transport *t, struct transport_call *call)
{
    struct arena *a = call->ctx->arena;
    struct message copy = *call->message;
    struct header_list list;

    if (t->rewrite_rules == NULL)
        return call->message->headers.first;
    header_list_init(&list);
    for (const struct header *h = call->message->headers.first; h != NULL; h = h->next)
        (void)header_append(&list, a, h->type, h->text);
    copy.headers = list;
    copy.headers.tail = list.first == NULL ? &copy.headers.first : list.tail;
    copy.arena = a;
    rewrite_headers(call->ctx, t->rewrite_rules, &copy);
    return copy.headers.first;
}

bool write_headers(struct stream *s, const struct transport *t, struct transport_call *call, struct err *err)
{
    struct removal r = { .arena = call->ctx->arena };
    const struct address *addr = call->addrs;

    if (!put_own_lines(s, call))
        return write_failed(call, err);
    remove_names(&r, addr == NULL ? NULL : addr->remove_headers);
    if (!each_item(call, t, t->headers_remove, ':', "headers_remove", remove_item, &r, err))
        return false;
    for (const struct header *h = rewritten(t, call); h != NULL; h = h->next)
        if (h->type != HEADER_OLD && !is_removed(&r, h) && !stream_put(s, h->text, h->len))
            return write_failed(call, err);
    for (const struct header *h = addr == NULL ? NULL : addr->extra_headers; h != NULL; h = h->next)
        if (!stream_put(s, h->text, h->len))
            return write_failed(call, err);
    err->msg = NULL;
    if (!each_item(call, t, t->headers_add, '\n', "headers_add", add_item, s, err))
        return err->msg != NULL ? false : write_failed(call, err);
    return stream_put(s, "\n", 1) || write_failed(call, err);
}

static void count(const struct header *h, int64_t *bytes, int64_t *lines)
{
    for (; h != NULL; h = h->next) {
        if (h->type == HEADER_OLD)
            continue;
        *bytes += (int64_t)h->len;
        for (const char *p = h->text; (p = strchr(p, '\n')) != NULL; p++)
            (*lines)++;
    }
}

void write_headers_size(struct transport_call *call, int64_t *bytes, int64_t *lines)
{
    *bytes = *lines = 1; /* the blank line */
    count(call->message->headers.first, bytes, lines);
    if (call->addrs != NULL)
        count(call->addrs->extra_headers, bytes, lines);
}
