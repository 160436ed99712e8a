#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "hooks.h"
#include "message.h"
#include "rewrite.h"
#include "route_int.h"
#include "routers/redirect_int.h"

enum { REPORT_MAX = 1024 * 1024 };

/* What all children of one redirection have in common. */
struct family {
    const struct redirect *r;
    struct route_call *call;
    const char *errors_to, *qualify_domain;
    struct address **tail; /* children go to the end: the first item is routed first */
};

static bool get_qualify_domain(struct family *f)
{
    const struct expr *e = f->r->qualify_domain;

    f->qualify_domain = f->r->qualify_preserve_domain ? f->call->addr->domain
                                                      : f->call->ctx->exim->config->qualify_recipient;
    if (e == NULL)
        return true;
    if (expand(f->call->ctx, e, &f->qualify_domain) == EXPAND_OK)
        return true;
    route_expand_failed(f->call, "qualify_domain", e->text);
    return false;
}

/* The address itself, if it leads back to where it came from. */
static const char *replace_ancestor(const struct redirect *r, const struct address *addr, const char *text)
{
    if (!r->check_ancestor)
        return text;
    for (const struct address *p = addr->parent; p != NULL; p = p->parent)
        if (cstr_ieq(p->address, text))
            return addr->address;
    return text;
}

static const char *full_address(const struct family *f, const struct redirect_item *i)
{
    const struct address *addr = f->call->addr;
    struct expand_ctx *ctx = f->call->ctx;
    const char *text = i->text;

    if (strrchr(text, '@') == NULL)
        text = arena_printf(ctx->arena, "%s@%s", text, i->backslash ? addr->domain : f->qualify_domain);
    if (f->r->rewrite && ctx->exim->config->rewrite_rules != NULL)
        text = rewrite_address(ctx, ctx->exim->config->rewrite_rules, text, REWRITE_ENV_TO, NULL);
    return replace_ancestor(f->r, addr, text);
}

/* A redirection with an errors address of its own makes a list: its members inherit no report wish. */
static void set_reports(const struct family *f, struct address *child)
{
    const struct address *addr = f->call->addr;

    child->errors_to = f->errors_to;
    if (f->errors_to != NULL && (addr->errors_to == NULL || strcmp(f->errors_to, addr->errors_to) != 0)) {
        child->list_child = true;
        child->dsn_flags = 0;
    }
    if (f->r->hide_child_in_errmsg)
        child->flags |= ADDR_HIDE_CHILD;
    if (f->r->one_time)
        child->flags |= ADDR_ONETIME;
}

static void push(struct family *f, struct address *child)
{
    child->next = *f->tail;
    *f->tail = child;
    f->tail = &child->next;
}

static void add_address(struct family *f, const struct redirect_item *i)
{
    struct arena *a = f->call->ctx->arena;
    struct address *child = address_child(a, f->call->addr, full_address(f, i));

    set_reports(f, child);
    child->start_router = f->r->base.redirect_to;
    (void)address_split(a, child);
    push(f, child);
}

/* This child has its result already; its siblings go on. */
static void settle(struct family *f, struct address *child, struct addr_result result)
{
    child->result = result;
    child->router = &f->r->base;
    child->next = f->call->results->settled;
    f->call->results->settled = child;
}

static void forbidden(struct family *f, struct address *child, int basic_errno, const char *what)
{
    settle(f, child, (struct addr_result){ .rc = RC_FAIL, .basic_errno = basic_errno, .status = "5.7.1",
                                           .message = what });
}

/* Something of the router is wrong for this child only. */
static void misconfigured(struct family *f, struct address *child)
{
    struct addr_result *res = &f->call->addr->result;

    res->basic_errno = ERR_BADTRANSPORT;
    settle(f, child, *res);
    *res = (struct addr_result){ 0 };
}

static void add_delivery(struct family *f, const struct redirect_item *i)
{
    struct route_call *call = f->call;
    struct address *addr = call->addr, *child = address_child(call->ctx->arena, addr, i->text);
    const struct redirect *r = f->r;
    bool pipe = i->kind == REDIRECT_PIPE, dir = !pipe && cstr_ends(i->text, "/");

    set_reports(f, child);
    child->flags |= ADDR_PIPE_FILE_REPLY | (unsigned)(pipe ? ADDR_PIPE : ADDR_FILE) |
                    (unsigned)(dir ? ADDR_DIRECTORY : 0);
    child->unique = arena_printf(call->ctx->arena, "%s:%s", i->text, addr->unique);
    child->local_part = addr->local_part;
    child->cc_local_part = addr->cc_local_part;
    child->lc_local_part = addr->lc_local_part;
    child->domain = addr->domain;
    addr->child_count++, addr->child_total++; /* delivery counts those on the list of children */
    if (pipe ? r->forbid_pipe : r->forbid_file) {
        forbidden(f, child, pipe ? ERR_FORBIDPIPE : ERR_FORBIDFILE,
                  pipe ? "delivery to pipe forbidden" : "delivery to file forbidden");
        return;
    }
    const char *option = pipe ? "pipe_transport" : dir ? "directory_transport" : "file_transport";
    const struct expr *e = pipe ? r->pipe_transport : dir ? r->directory_transport : r->file_transport;
    const struct transport *t = route_get_transport(call, e, option);
    if (t == NULL || !route_queue_child(call, child, t))
        misconfigured(f, child);
}

bool redirect_add_children(const struct redirect *r, struct route_call *call, const struct redirect_item *items)
{
    struct family f = { .r = r, .call = call, .tail = &call->results->children };

    if (!get_qualify_domain(&f) || !route_get_errors_to(call, call->addr, &f.errors_to))
        return false;
    for (; items != NULL; items = items->next) {
        if (items->kind == REDIRECT_ADDRESS)
            add_address(&f, items);
        else
            add_delivery(&f, items);
    }
    return true;
}

static void mail_errors(const struct redirect *r, struct route_call *call, const struct redirect_error *errors)
{
    struct expand_ctx *ctx = call->ctx;
    const struct exim *e = ctx->exim;
    struct buf b = buf_init(ctx->arena, REPORT_MAX);
    const char *head = NULL, *to = r->syntax_errors_to;
    struct err err = { 0 };
    char id[17];

    if (r->syntax_errors_text != NULL && expand(ctx, r->syntax_errors_text, &head) != EXPAND_OK)
        log_write(e->log, LOG_MAIN | LOG_PANIC, ctx->message->id, "Failed to expand \"%s\" in %s router: %s",
                  r->syntax_errors_text->text, r->base.name, ctx->err.msg);
    buf_printf(&b, "From: Mail Delivery System <Mailer-Daemon@%s>\nTo: %s\n", e->config->qualify_domain, to);
    buf_add_cstr(&b, "Auto-Submitted: auto-generated\nSubject: error(s) in forwarding or filtering\n\n");
    if (head != NULL)
        buf_printf(&b, "%s%s\n", head, cstr_ends(head, "\n") ? "" : "\n");
    buf_printf(&b, "The address <%s> was redirected with these errors:\n\n", call->addr->address);
    for (; errors != NULL; errors = errors->next)
        buf_printf(&b, "  %s\n", cstr_printable(ctx->arena, errors->message, true));
    if (!e->hooks->submit(ctx->exim, "", &to, 1, buf_view(&b), ctx->message->id, id, &err))
        log_write(e->log, LOG_MAIN | LOG_PANIC, ctx->message->id,
                  "syntax_errors_to of %s router: message was not sent: %s", r->base.name, err.msg);
}

void redirect_report_errors(const struct redirect *r, struct route_call *call, const struct redirect_error *errors)
{
    const struct message *m = call->ctx->message;

    for (const struct redirect_error *i = errors; i != NULL; i = i->next)
        log_write(call->ctx->exim->log, LOG_MAIN, m == NULL ? NULL : m->id, "%s router: skipped error: %s",
                  r->base.name, i->message);
    if (r->syntax_errors_to != NULL && m != NULL && route_run_of(call)->mode == ROUTE_DELIVER)
        mail_errors(r, call, errors);
}
