#include "routers/change_domain.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "expand.h"
#include "message.h"
#include "parse.h"

enum { HEADER_MAX = 1024 * 1024 };

struct swap {
    struct buf out;
    const char *line; /* the whole header line */
    size_t body;      /* where its body begins */
    size_t copied;    /* bytes of it that are in out */
    const char *from, *to;
};

/* An address of the old domain: everything up to its domain, then the new one. */
static bool swap_one(void *arg, const struct parsed_address *p, const char *raw)
{
    struct swap *s = arg;
    size_t len = strlen(s->from), end = s->body + p->end;

    (void)raw;
    if (p->address == NULL || p->domain == NULL || !cstr_ieq(p->domain, s->from))
        return true;
    /* Exim: the address may end in ">" or white space; the domain stands right before. */
    while (end > s->copied && end > len && strncasecmp(s->line + end - len, s->from, len) != 0)
        end--;
    if (end < len || end - len < s->copied || strncasecmp(s->line + end - len, s->from, len) != 0)
        return true;
    buf_add(&s->out, s->line + s->copied, end - len - s->copied);
    buf_add_cstr(&s->out, s->to);
    s->copied = end;
    return true;
}

static void swap_in_header(struct arena *a, struct header *h, const char *from, const char *to)
{
    const char *body = header_body(h);
    struct swap s = { .out = buf_init(a, HEADER_MAX), .line = h->text, .body = (size_t)(body - h->text),
                      .from = from, .to = to };

    (void)parse_each_address(a, body, PARSE_ALLOW_DOMAIN_LITERAL | PARSE_ALLOW_UTF8, swap_one, &s);
    if (s.copied == 0)
        return;
    buf_add(&s.out, h->text + s.copied, h->len - s.copied);
    if (s.out.full)
        return;
    h->text = buf_cstr(&s.out);
    h->len = s.out.len;
}

static void swap_in_message(struct message *m, const char *from, const char *to)
{
    for (struct header *h = m->headers.first; h != NULL; h = h->next) {
        size_t before = h->len;
        if (h->type == HEADER_OLD || strchr("BCFRST", h->type) == NULL)
            continue;
        swap_in_header(m->arena, h, from, to);
        m->headers.bytes += h->len - before;
    }
}

void change_domain(struct route_call *call, const char *domain, bool rewrite)
{
    struct address *addr = call->addr;
    struct arena *a = call->ctx->arena;
    const char *at = strrchr(addr->address, '@');
    const char *text = arena_printf(a, "%.*s@%s", (int)(at - addr->address), addr->address, domain);
    struct address *child = address_child(a, addr, text);

    /* The same recipient by another name: what was asked for it holds on. */
    child->dsn_flags = addr->dsn_flags;
    child->dsn_orcpt = addr->dsn_orcpt;
    child->dsn_null_from_list = addr->dsn_null_from_list;
    (void)address_split(a, child);
    child->start_router = addr->router->redirect_to;
    child->next = call->results->children;
    call->results->children = child;
    if (rewrite && call->ctx->message != NULL && !call->verify)
        swap_in_message(call->ctx->message, addr->domain, domain);
}
