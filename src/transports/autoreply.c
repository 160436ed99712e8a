#include "transports/autoreply.h"

#include <stdarg.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "match.h"
#include "parse.h"
#include "transports/autoreply_int.h"

enum { RECIPIENTS_MAX = 1000, MESSAGE_MAX = 64 * 1024 * 1024 };

/* clang-format off */
#define T struct autoreply
static const struct option options[] = {
    OPTION_EXPAND(T, bcc, NULL),
    OPTION_EXPAND(T, cc, NULL),
    OPTION_EXPAND(T, file, NULL),
    OPTION_BOOL(T, file_expand, false),
    OPTION_BOOL(T, file_optional, false),
    OPTION_EXPAND(T, from, NULL),
    OPTION_EXPAND(T, headers, NULL),
    OPTION_EXPAND(T, log, NULL),
    OPTION_OCTAL(T, mode, 0600),
    OPTION_ADDRESS_LIST(T, never_mail, NULL),
    OPTION_EXPAND(T, once, NULL),
    OPTION_SIZE(T, once_file_size, 0),
    OPTION_EXPAND(T, once_repeat, NULL),
    OPTION_EXPAND(T, reply_to, NULL),
    OPTION_BOOL(T, return_message, false),
    OPTION_EXPAND(T, subject, NULL),
    OPTION_EXPAND(T, text, NULL),
    OPTION_EXPAND(T, to, NULL),
};
/* clang-format on */

static bool autoreply_check(struct transport *base, const struct config *cfg, struct arena *a, struct err *err)
{
    (void)cfg;
    base->retry_use_local_part = true;
    if (base->body_only && base->headers_only)
        return err_set(err, a, "headers_only and body_only are mutually exclusive");
    return true;
}

bool autoreply_defer(struct autoreply_run *run, int basic_errno, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const char *text = arena_vprintf(run->arena, fmt, ap);
    va_end(ap);
    transport_set_all(run->call, RC_DEFER, basic_errno, "4.3.5", text);
    return false;
}

/* ---- what the options say ---- */

/* Header values hold no control characters; a newline only where the line goes on. */
static bool is_printable(const struct autoreply_run *run, const char *s)
{
    bool top_bit = run->call->ctx->exim->config->main.print_topbitchars;

    for (; *s != '\0'; s++) {
        bool ok = is_print(*s) || *s == '\t' || (top_bit && (unsigned char)*s > 127) ||
                  (*s == '\n' && is_blank(s[1]));
        if (!ok)
            return false;
    }
    return true;
}

struct field {
    const char *name;
    const struct expr *e;
    const char **out;
    bool header;
};

static bool expand_field(struct autoreply_run *run, const struct field *f)
{
    const char *v;

    if (f->e == NULL)
        return true;
    if (expand(run->call->ctx, f->e, &v) != EXPAND_OK)
        return autoreply_defer(run, ERR_EXPANDFAIL, "Expansion of \"%s\" failed in %s transport: %s", f->e->text,
                               run->t->base.name, run->call->ctx->err.msg);
    if (f->header && !is_printable(run, v))
        return autoreply_defer(run, ERR_EXPANDFAIL,
                               "Expansion of \"%s\" in %s transport contains non-printing character", f->e->text,
                               run->t->base.name);
    if (v[0] != '\0')
        *f->out = v;
    return true;
}

static bool read_options(struct autoreply_run *run)
{
    const struct autoreply *t = run->t;
    const char *repeat = NULL;
    const struct field fields[] = {
        { "from", t->from, &run->r.from, true },          { "reply_to", t->reply_to, &run->r.reply_to, true },
        { "to", t->to, &run->r.to, true },                { "cc", t->cc, &run->r.cc, true },
        { "bcc", t->bcc, &run->r.bcc, true },             { "subject", t->subject, &run->r.subject, true },
        { "headers", t->headers, &run->r.headers, false }, { "text", t->text, &run->r.text, false },
        { "file", t->file, &run->r.file, false },         { "log", t->log, &run->r.log, false },
        { "once", t->once, &run->r.once, false },         { "once_repeat", t->once_repeat, &repeat, false },
    };

    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!expand_field(run, &fields[i]))
            return false;
    run->r.file_expand = t->file_expand;
    run->r.once_repeat = repeat == NULL ? 0 : tod_interval_parse(repeat);
    if (run->r.once_repeat < 0)
        return autoreply_defer(run, ERR_EXPANDFAIL, "Invalid time value \"%s\" for \"once_repeat\" in %s transport",
                               repeat, t->base.name);
    return true;
}

/* ---- recipients ---- */

struct collect {
    struct autoreply_run *run;
    struct buf kept; /* the header, without those in never_mail */
    bool removed;
};

static bool collect_one(void *arg, const struct parsed_address *p, const char *raw)
{
    struct collect *c = arg;
    struct autoreply_run *run = c->run;
    const struct config *cfg = run->call->ctx->exim->config;

    if (p->address == NULL || p->address[0] == '\0')
        return true;
    const char *address = p->domain != NULL
                              ? p->address
                              : arena_printf(run->arena, "%s@%s", p->address, cfg->qualify_recipient);
    if (run->t->never_mail != NULL && match_address(run->call->ctx, run->t->never_mail, address, true, NULL) == RC_OK) {
        c->removed = true;
        return true;
    }
    if (run->recipient_count < RECIPIENTS_MAX)
        run->recipients[run->recipient_count++] = address;
    buf_printf(&c->kept, "%s%s", c->kept.len > 0 ? ", " : "", raw);
    return true;
}

/* Takes the addresses of one field; never_mail takes some out of it. */
static void take_recipients(struct autoreply_run *run, const char **field)
{
    struct collect c = { .run = run, .kept = buf_init(run->arena, MESSAGE_MAX) };

    if (*field == NULL)
        return;
    (void)parse_each_address(run->arena, *field, PARSE_ALLOW_DOMAIN_LITERAL, collect_one, &c);
    if (c.removed)
        *field = c.kept.len > 0 ? buf_cstr(&c.kept) : NULL;
}

/* ---- delivery ---- */

static void submit(struct autoreply_run *run, const char *text)
{
    struct transport_submission *s = arena_new_obj(run->arena, struct transport_submission);
    struct address *addr = run->call->addrs;

    s->recipients = run->recipients;
    s->recipient_count = run->recipient_count;
    s->text = text;
    s->next = addr->submissions;
    addr->submissions = s;
}

static void autoreply_deliver(const struct transport *base, struct transport_call *call)
{
    struct autoreply_run run = { .t = (const struct autoreply *)base, .call = call, .arena = call->ctx->arena };
    struct buf text = buf_init(run.arena, MESSAGE_MAX);
    bool sent = false;

    call->ctx->return_path = call->return_path;
    if (call->addrs->reply != NULL)
        run.r = *call->addrs->reply;
    else if (!read_options(&run))
        return;
    run.r.return_message = run.r.return_message || run.t->return_message;
    run.recipients = arena_new_array(run.arena, const char *, RECIPIENTS_MAX);
    take_recipients(&run, &run.r.to);
    take_recipients(&run, &run.r.cc);
    take_recipients(&run, &run.r.bcc);
    /* Nobody to answer, as for a bounce: nothing is done, and that is right. */
    if (run.recipient_count > 0) {
        if (!autoreply_once(&run, &sent))
            return;
        if (!sent && !autoreply_print(&run, &text))
            return;
        if (!sent)
            submit(&run, buf_cstr(&text));
        autoreply_log(&run, sent);
    }
    transport_set_all(call, RC_OK, 0, "2.0.0", NULL);
}

const struct transport_driver transport_autoreply = {
    .name = "autoreply",
    .instance_size = sizeof(struct autoreply),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .flags = TRANSPORT_LOCAL,
    .check = autoreply_check,
    .deliver = autoreply_deliver,
};
