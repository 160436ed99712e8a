#include "dsn_int.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver.h"
#include "exim.h"
#include "expand.h"
#include "header.h"

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

static void add_failed_recipients(const struct dsn_report *r, struct buf *out)
{
    for (size_t i = 0; i < r->recipient_count; i++)
        buf_printf(out, "%s%s", i % FAILED_PER_HEADER == 0 ? (i == 0 ? "X-Failed-Recipients: "
                                                                    : "\nX-Failed-Recipients: ") : ",\n  ",
                   r->recipients[i].final);
    buf_add_char(out, '\n');
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

    if (*line == '<' && strpbrk(line, "\r\n") == NULL && strlen(line) < LINE_LIMIT - 20)
        buf_printf(out, "References: %s\n", line);
}

static void add_headers(struct expand_ctx *ctx, const struct dsn_report *r, const struct dsn_template *t,
                        const char *boundary, struct buf *out)
{
    const char *reply_to = ctx->exim->config->main.errors_reply_to;

    if (r->kind == DSN_REPORT_FAILURE)
        add_failed_recipients(r, out);
    if (reply_to != NULL)
        buf_printf(out, "Reply-To: %s\n", reply_to);
    buf_printf(out, "Auto-Submitted: auto-%s\n", r->kind == DSN_REPORT_SUCCESS ? "generated" : "replied");
    buf_printf(out, "From: %s\nTo: %s\n", from_text(ctx), r->to);
    add_references(ctx, r, out);
    buf_printf(out, "Content-Type: multipart/report; report-type=%sdelivery-status; boundary=%s\n"
                    "MIME-Version: 1.0\n", r->utf8 ? "global-" : "", boundary);
    if (r->copies != NULL)
        buf_printf(out, "Bcc: %s\n", r->copies);
    add_subject(r, t, out);
    buf_add_char(out, '\n');
}

/* ---- the parts ---- */

static bool has_8bit(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] >= 0x80)
            return true;
    return false;
}

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

bool dsn_report_print(struct expand_ctx *ctx, const struct dsn_report *r, struct buf *out, struct err *err)
{
    const struct main_options *o = &ctx->exim->config->main;
    struct dsn_template t = { 0 };
    struct returned ret = choose_returned(ctx, r);
    struct buf text = buf_init(ctx->arena, out->ceiling), back = buf_init(ctx->arena, out->ceiling);
    const char *boundary = arena_printf(ctx->arena, "%lld-eximdsn-%lu", (long long)tod_now().tv_sec,
                                        (unsigned long)random_below(0x7fffffff));

    if (r->kind == DSN_REPORT_FAILURE)
        dsn_template_read(ctx, "bounce_message_file", o->bounce_message_file, &t);
    else if (r->kind == DSN_REPORT_DELAY)
        dsn_template_read(ctx, "warn_message_file", o->warn_message_file, &t);
    dsn_text_print(ctx, r, &t, &text);
    if (!dsn_return_print(ctx, r, ret.full, ret.info, &back, err))
        return false;

    add_headers(ctx, r, &t, boundary, out);
    bool eight = has_8bit(text.p, text.len);
    part_head(out, boundary, eight ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", eight);
    buf_add(out, text.p, text.len);
    part_head(out, boundary, r->utf8 ? "message/global-delivery-status" : "message/delivery-status", r->utf8);
    dsn_status_print(ctx, r, out);
    part_head(out, boundary, return_type(r, ret.full), has_8bit(back.p, back.len));
    buf_add(out, back.p, back.len);
    buf_printf(out, "\n--%s--\n", boundary);
    if (out->full || text.full || back.full)
        return err_set(err, ctx->arena, "report is too large");
    return true;
}
