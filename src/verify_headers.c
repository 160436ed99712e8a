#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "header.h"
#include "message.h"
#include "parse.h"
#include "verify_int.h"

/* Walks the addresses of header lines of certain types. */
struct walk {
    struct expand_ctx *ctx;
    const struct header *h;
    const struct verify_options *o;
    const char *wanted;      /* not_blind: the recipient looked for */
    bool case_sensitive;
    enum rc rc;
    const char *text, *failure;
};

static unsigned flags_of(const struct exim *e)
{
    const struct main_options *o = &e->config->main;

    return PARSE_ALLOW_EMPTY | (o->allow_domain_literals ? PARSE_ALLOW_DOMAIN_LITERAL : 0) |
           (o->allow_utf8_domains ? PARSE_ALLOW_UTF8 : 0) |
           (o->strip_excess_angle_brackets ? PARSE_STRIP_BRACKETS : 0) |
           (o->strip_trailing_dot ? PARSE_STRIP_DOT : 0);
}

typedef bool address_fn(void *arg, const struct parsed_address *p, const char *raw);

/* False when fn stopped it. */
static bool walk_types(struct walk *w, const char *types, address_fn *fn)
{
    for (const struct header *h = w->ctx->message->headers.first; h != NULL; h = h->next) {
        if (h->type == HEADER_OLD || h->type > 127 || strchr(types, h->type) == NULL || h->type == 0)
            continue;
        w->h = h;
        const char *body = arena_strdup(w->ctx->arena, header_body(h));
        if (!parse_each_address(w->ctx->arena, body, flags_of(w->ctx->exim), fn, w))
            return false;
    }
    return true;
}

static int name_length(const struct header *h)
{
    return (int)strcspn(h->text, ": \t");
}

static bool may_lack_domain(const struct walk *w)
{
    const struct message *m = w->ctx->message;
    bool sender = strchr("FSR", w->h->type) != NULL;

    return sender ? m->allow_unqualified_sender : m->allow_unqualified_recipient;
}

/* ---- header_syntax ---- */

static bool check_syntax(void *arg, const struct parsed_address *p, const char *raw)
{
    struct walk *w = arg;
    const char *why = p->address == NULL ? p->err : NULL;

    if (p->address != NULL && p->address[0] != '\0' && p->domain == NULL && !may_lack_domain(w))
        why = "unqualified address not permitted";
    if (why == NULL || str_trim(str_from(raw)).len == 0)
        return true;
    w->text = arena_printf(w->ctx->arena, "%s: failing address in \"%.*s:\" header is: %s", why, name_length(w->h),
                           w->h->text, cstr_printable(w->ctx->arena, raw, true));
    return false;
}

enum rc verify_header_syntax(struct expand_ctx *ctx, const char **log_msg, const char **user_msg)
{
    struct walk w = { .ctx = ctx };

    if (ctx->message == NULL || walk_types(&w, "FSRTCB", check_syntax))
        return RC_OK;
    *log_msg = w.text;
    if (ctx->exim->config->main.smtp_return_error_details)
        *user_msg = w.text;
    return RC_FAIL;
}

enum rc verify_header_names_ascii(struct expand_ctx *ctx, const char **log_msg)
{
    const struct header *h = ctx->message == NULL ? NULL : ctx->message->headers.first;

    for (; h != NULL; h = h->next) {
        int n = (int)strcspn(h->text, ":");
        for (int i = 0; i < n; i++) {
            if (h->text[i] >= 33 && h->text[i] <= 126)
                continue;
            *log_msg = arena_printf(ctx->arena, "Invalid character in header \"%.*s\" found", n, h->text);
            return RC_FAIL;
        }
    }
    return RC_OK;
}

/* ---- not_blind ---- */

/* Domains without regard to case, local parts as asked. */
static bool same_address(const char *a, const char *b, bool case_sensitive)
{
    const char *at = strrchr(a, '@');
    size_t lp = at == NULL ? strlen(a) : (size_t)(at - a);

    if (!case_sensitive)
        return cstr_ieq(a, b);
    return strncmp(a, b, lp) == 0 && cstr_ieq(a + lp, b + lp);
}

static bool look_for(void *arg, const struct parsed_address *p, const char *raw)
{
    struct walk *w = arg;

    (void)raw;
    return p->address == NULL || !same_address(p->address, w->wanted, w->case_sensitive);
}

enum rc verify_not_blind(struct expand_ctx *ctx, bool case_sensitive)
{
    const struct message *m = ctx->message;

    for (size_t i = 0; m != NULL && i < m->recipient_count; i++) {
        struct walk w = { .ctx = ctx, .wanted = m->recipients[i].address, .case_sensitive = case_sensitive };
        if (walk_types(&w, "TC", look_for))
            return RC_FAIL;
    }
    return RC_OK;
}

/* ---- header_sender ---- */

/* Stops at the first that verifies, and at bad syntax. */
static bool check_sender(void *arg, const struct parsed_address *p, const char *raw)
{
    struct walk *w = arg;
    struct arena *a = w->ctx->arena;

    if (p->address == NULL) {
        w->rc = RC_FAIL;
        w->text = arena_printf(a, "syntax error in '%.*s:' header when scanning for sender: %s in \"%s\"",
                               name_length(w->h), w->h->text, p->err, cstr_printable(a, raw, true));
        return false;
    }
    if (p->address[0] == '\0' || (p->domain == NULL && !may_lack_domain(w)))
        return true;
    struct verify_options o = *w->o;
    o.flags |= VERIFY_SENDER | VERIFY_QUALIFY;
    struct verify_result r = verify_address(w->ctx, p->address, &o);
    if (r.rc == RC_OK) {
        w->rc = RC_OK;
        return false;
    }
    w->rc = w->rc == RC_DEFER ? RC_DEFER : r.rc;
    w->failure = r.failure;
    return true;
}

enum rc verify_header_sender(struct expand_ctx *ctx, const struct verify_options *o, const char **log_msg,
                             const char **user_msg, const char **which)
{
    static const char *const types[] = { "S", "R", "F" };
    struct walk w = { .ctx = ctx, .o = o, .rc = RC_FAIL };

    *which = NULL;
    for (size_t i = 0; ctx->message != NULL && i < ARRAY_LEN(types); i++) {
        if (walk_types(&w, types[i], check_sender))
            continue;
        if (w.rc == RC_OK)
            return RC_OK;
        *log_msg = w.text;
        if (ctx->exim->config->main.smtp_return_error_details)
            *user_msg = w.text;
        return RC_FAIL;
    }
    *which = w.failure;
    *log_msg = w.rc == RC_DEFER ? "all attempts to verify a sender in a header line deferred"
                                : "there is no valid sender in any header line";
    if (ctx->exim->config->main.smtp_return_error_details)
        *user_msg = *log_msg;
    return w.rc;
}
