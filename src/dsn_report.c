#include "dsn_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver.h"
#include "dsn_language.h"
#include "exim.h"
#include "expand.h"
#include "header.h"
#include "parse.h"

enum { FAILED_PER_HEADER = 50, LINE_LIMIT = 998 };

/* ---- how much of the original goes back ---- */

struct returned {
    bool full;
    const char *info; /* X-Exim-DSN-Information when limits decided against the sender's wish */
};

static bool has_long_lines(const struct expand_ctx *ctx, const struct message *m)
{
    long limit = ctx->exim->config->main.bounce_return_linesize_limit;

    return limit > 0 && m->max_received_linelength > limit;
}

/* RET counts for failures only; options and size limits come before it (features.txt). */
static struct returned choose_returned(const struct expand_ctx *ctx, const struct dsn_report *r)
{
    const struct main_options *o = &ctx->exim->config->main;
    bool wanted = r->ret == DSN_RET_FULL || (r->ret == DSN_RET_NONE && o->bounce_return_message);
    bool too_big = o->bounce_return_size_limit > 0 && r->original->body.size > o->bounce_return_size_limit;

    if (r->kind != DSN_REPORT_FAILURE || !wanted)
        return (struct returned){ 0 };
    if (!o->bounce_return_body)
        return (struct returned){ .info = r->ret == DSN_RET_FULL
            ? "Due to administrative limits only headers are returned" : NULL };
    if (too_big || has_long_lines(ctx, r->original))
        return (struct returned){ .info = "Due to administrative limits only headers are returned" };
    return (struct returned){ .full = true };
}

/* ---- the header section ---- */

static const char *from_text(struct expand_ctx *ctx)
{
    const struct expr *from = ctx->exim->config->main.dsn_from;
    const char *s;

    if (from != NULL && expand(ctx, from, &s) == EXPAND_OK && *s != '\0')
        return s;
    return arena_printf(ctx->arena, "Mail Delivery System <Mailer-Daemon@%s>", ctx->exim->config->qualify_domain);
}

/* An address as it may stand in a header line; NULL for what may not. */
static const char *header_address(struct expand_ctx *ctx, bool utf8, const char *address)
{
    if (!utf8 && dsn_has_8bit(address, strlen(address)))
        address = parse_unitext_encode(ctx->arena, address);
    for (const char *p = address; *p != '\0';) {
        unsigned long code;
        size_t n = parse_utf8_char(p, &code);
        if (n == 0 || code < 0x20 || code == 0x7f)
            return NULL;
        p += n;
    }
    return strlen(address) < LINE_LIMIT - 30 ? address : NULL;
}

static void add_failed_recipients(struct expand_ctx *ctx, const struct dsn_report *r, struct buf *out)
{
    size_t n = 0;

    for (size_t i = 0; i < r->recipient_count; i++) {
        const char *address = header_address(ctx, r->utf8, r->recipients[i].final);
        if (address == NULL)
            continue;
        buf_printf(out, "%s%s", n == 0 ? "X-Failed-Recipients: "
                              : n % FAILED_PER_HEADER == 0 ? "\nX-Failed-Recipients: " : ",\n  ", address);
        n++;
    }
    buf_add_cstr(out, n > 0 ? "\n" : "");
}

/* The built-in subjects; a template's first part brings its own header lines. */
static void add_subject(const struct dsn_report *r, const struct dsn_template *t, struct buf *out)
{
    if (t->part[0] != NULL) {
        buf_add_cstr(out, t->part[0]);
        if (out->len > 0 && out->p[out->len - 1] != '\n')
            buf_add_char(out, '\n');
        return;
    }
    if (r->kind == DSN_REPORT_SUCCESS)
        buf_add_cstr(out, "Subject: Delivery Status Notification\n");
    else if (r->kind == DSN_REPORT_DELAY)
        buf_printf(out, "Subject: Warning: message %s delayed %s\n", r->message_id, r->delay);
    else
        buf_printf(out, "Subject: Mail delivery failed%s\n", strcmp(r->to, r->original->sender) == 0
                       ? ": returning message to sender" : "");
}

static void add_references(struct expand_ctx *ctx, const struct dsn_report *r, struct buf *out)
{
    const char *id = header_value(ctx->arena, &r->original->headers, "message-id", HEADER_RAW, NULL);
    const char *line = str_dup(ctx->arena, str_trim(str_from(id)));

    bool plain = *line == '<' && strlen(line) < LINE_LIMIT - 20;

    for (const char *p = line; *p != '\0'; p++)
        plain = plain && is_print(*p);
    if (plain)
        buf_printf(out, "References: %s\n", line);
}

static void add_headers(struct expand_ctx *ctx, const struct dsn_report *r, const struct dsn_template *t,
                        const char *boundary, struct buf *out)
{
    const char *reply_to = ctx->exim->config->main.errors_reply_to;

    if (r->kind == DSN_REPORT_FAILURE)
        add_failed_recipients(ctx, r, out);
    if (reply_to != NULL)
        buf_printf(out, "Reply-To: %s\n", reply_to);
    buf_printf(out, "Auto-Submitted: auto-%s\n", r->kind == DSN_REPORT_SUCCESS ? "generated" : "replied");
    const char *to = !r->utf8 && dsn_has_8bit(r->to, strlen(r->to)) ? NULL : header_address(ctx, true, r->to);
    buf_printf(out, "From: %s\nTo: %s\n", from_text(ctx), to == NULL ? "undisclosed-recipients:;" : to);
    add_references(ctx, r, out);
    buf_printf(out, "Content-Type: multipart/report; report-type=%sdelivery-status; boundary=%s\n"
                    "MIME-Version: 1.0\n", r->utf8 ? "global-" : "", boundary);
    if (r->copies != NULL)
        buf_printf(out, "Bcc: %s\n", r->copies);
    add_subject(r, t, out);
    buf_add_char(out, '\n');
}

/* ---- the parts ---- */

static void part_head(struct buf *out, const char *boundary, const char *type, bool eight)
{
    buf_printf(out, "--%s\nContent-type: %s\n%s\n", boundary, type, eight ? "Content-Transfer-Encoding: 8bit\n" : "");
}

static const char *return_type(const struct dsn_report *r, bool full)
{
    if (r->utf8)
        return full ? "message/global" : "message/global-headers";
    return full ? "message/rfc822" : "text/rfc822-headers";
}

/* A line that neither the text nor the message has. */
static const char *make_boundary(struct expand_ctx *ctx, const struct buf *text, const struct buf *back)
{
    const char *s;

    do
        s = arena_printf(ctx->arena, "%lld-eximdsn-%lu", (long long)tod_now().tv_sec,
                         (unsigned long)random_below(0x7fffffff));
    while (memmem(text->p, text->len, s, strlen(s)) != NULL || memmem(back->p, back->len, s, strlen(s)) != NULL);
    return s;
}

bool dsn_report_is_utf8(const struct dsn_report *r)
{
    const struct message *m = r->original;
    bool found = dsn_has_8bit(r->to, strlen(r->to)) || dsn_has_8bit(m->sender, strlen(m->sender));

    for (size_t i = 0; i < r->recipient_count && !found; i++) {
        const struct dsn_recipient *rec = &r->recipients[i];
        found = dsn_has_8bit(rec->final, strlen(rec->final)) ||
                (rec->original != NULL && dsn_has_8bit(rec->original, strlen(rec->original)));
    }
    for (const struct header *h = m->headers.first; h != NULL && !found; h = h->next)
        found = dsn_has_8bit(h->text, h->len);
    return m->smtputf8 && found;
}

bool dsn_report_print(struct expand_ctx *ctx, const struct dsn_report *report, struct buf *out, struct err *err)
{
    struct dsn_report with_language = *report, *r = &with_language;
    const struct main_options *o = &ctx->exim->config->main;
    struct dsn_template t = { 0 };
    struct returned ret = choose_returned(ctx, r);
    struct buf text = buf_init(ctx->arena, out->ceiling), back = buf_init(ctx->arena, out->ceiling);

    if (r->kind == DSN_REPORT_FAILURE)
        dsn_template_read(ctx, "bounce_message_file", o->bounce_message_file, &t);
    else if (r->kind == DSN_REPORT_DELAY)
        dsn_template_read(ctx, "warn_message_file", o->warn_message_file, &t);
    r->language = dsn_language_choose(ctx, r);
    if (r->language != NULL)
        dsn_language_apply(ctx, r->language, r, &t);
    dsn_text_print(ctx, r, &t, &text);
    if (!dsn_return_print(ctx, r, ret.full, ret.info, &back, err))
        return false;

    const char *boundary = make_boundary(ctx, &text, &back);
    add_headers(ctx, r, &t, boundary, out);
    bool eight = dsn_has_8bit(text.p, text.len);
    const char *type = eight ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii";
    if (r->language != NULL)
        type = arena_printf(ctx->arena, "%s\nContent-Language: %s", type, dsn_language_tag(r->language));
    part_head(out, boundary, type, eight);
    buf_add(out, text.p, text.len);
    part_head(out, boundary, r->utf8 ? "message/global-delivery-status" : "message/delivery-status", r->utf8);
    dsn_status_print(ctx, r, out);
    part_head(out, boundary, return_type(r, ret.full), dsn_has_8bit(back.p, back.len));
    buf_add(out, back.p, back.len);
    buf_printf(out, "\n--%s--\n", boundary);
    if (out->full || text.full || back.full)
        return err_set(err, ctx->arena, "report is too large");
    return true;
}
