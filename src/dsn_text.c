#include "dsn_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver.h"
#include "exim.h"
#include "expand.h"
#include "header.h"
#include "parse.h"

enum { LINE_MAX = 900 }; /* RFC 5322: 998, and folding must not be needed to keep it */

static void add_indented(struct expand_ctx *ctx, struct buf *out, const char *text)
{
    const char *safe = cstr_printable(ctx->arena, text, true);

    buf_printf(out, "    %s\n", safe);
}

/* Multi-line remote replies keep their lines. */
static void add_reason(struct expand_ctx *ctx, struct buf *out, const char *text)
{
    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, "\n");
        if (n > 0)
            add_indented(ctx, out, arena_strndup(ctx->arena, p, n));
        p += n + (p[n] == '\n');
    }
}

static void add_addresses(struct expand_ctx *ctx, const struct dsn_report *r, struct buf *out)
{
    for (size_t i = 0; i < r->recipient_count; i++) {
        const struct dsn_recipient *rec = &r->recipients[i];
        buf_printf(out, "  %s\n", rec->shown);
        if (rec->text != NULL)
            add_reason(ctx, out, rec->text);
    }
    buf_add_char(out, '\n');
}

static void failure_intro(struct expand_ctx *ctx, const struct dsn_report *r, struct buf *out)
{
    bool to_sender = r->original != NULL && strcmp(r->to, r->original->sender) == 0;

    (void)ctx;
    buf_add_cstr(out, "This message was created automatically by mail delivery software.\n\n");
    if (to_sender)
        buf_add_cstr(out, "A message that you sent could not be delivered to one or more of its\n"
                          "recipients. This is a permanent error. The following address(es) failed:\n\n");
    else
        buf_printf(out, "A message sent by\n\n  <%s>\n\ncould not be delivered to one or more of its recipients."
                        " The following\naddress(es) failed:\n\n", r->original == NULL ? "" : r->original->sender);
}

static void add_pipe_output(const struct dsn_report *r, struct buf *out)
{
    for (size_t i = 0; r->output_texts != NULL && r->output_texts[i].p != NULL; i++) {
        buf_printf(out, "The following text was generated during the delivery attempt%s:\n\n------ %s ------\n\n",
                   "", r->output_names[i]);
        buf_add_str(out, r->output_texts[i]);
        buf_add_cstr(out, "\n");
    }
}

static void failure_text(struct expand_ctx *ctx, const struct dsn_report *r, const struct dsn_template *t,
                         struct buf *out)
{
    const char *extra = ctx->exim->config->main.bounce_message_text;

    if (t->part[1] != NULL)
        buf_add_cstr(out, t->part[1]);
    else {
        failure_intro(ctx, r, out);
        if (extra != NULL && *extra != '\0')
            buf_printf(out, "%s\n\n", extra);
    }
    add_addresses(ctx, r, out);
    if (r->output_texts != NULL && t->part[2] != NULL)
        buf_add_cstr(out, t->part[2]);
    add_pipe_output(r, out);
}

static const char *header_text(struct expand_ctx *ctx, const struct dsn_report *r, const char *name)
{
    return r->original == NULL ? "" : header_value(ctx->arena, &r->original->headers, name, HEADER_DECODED, NULL);
}

static void delay_text(struct expand_ctx *ctx, const struct dsn_report *r, const struct dsn_template *t,
                       struct buf *out)
{
    if (t->part[1] != NULL)
        buf_add_cstr(out, t->part[1]);
    else {
        buf_printf(out, "This message was created automatically by mail delivery software.\n"
                        "A message that you have sent has not yet been delivered to one or more of its\n"
                        "recipients after more than %s on the queue on %s.\n\n", r->delay,
                   ctx->exim->config->primary_hostname);
        buf_printf(out, "The message identifier is:     %s\n", r->message_id);
        const char *subject = header_text(ctx, r, "subject"), *date = header_text(ctx, r, "date");
        if (*subject != '\0')
            buf_printf(out, "The subject of the message is: %s\n", cstr_printable(ctx->arena, subject, true));
        if (*date != '\0')
            buf_printf(out, "The date of the message is:    %s\n", cstr_printable(ctx->arena, date, true));
        buf_printf(out, "\nThe address%s to which the message has not yet been delivered %s:\n\n",
                   r->recipient_count == 1 ? "" : "es", r->recipient_count == 1 ? "is" : "are");
    }
    for (size_t i = 0; i < r->recipient_count; i++) {
        buf_printf(out, "  %s\n", r->recipients[i].shown);
        if (r->recipients[i].text != NULL)
            buf_printf(out, "    Delay reason: %s\n", cstr_printable(ctx->arena, r->recipients[i].text, true));
    }
    buf_add_char(out, '\n');
    if (t->part[2] != NULL)
        buf_add_cstr(out, t->part[2]);
    else
        buf_add_cstr(out, "No action is required on your part. Delivery attempts will continue for\n"
                          "some time, and this warning may be repeated at intervals if the message\n"
                          "remains undelivered. Eventually the mail delivery software will give up,\n"
                          "and when that happens, the message will be returned to you.\n\n");
}

static void success_text(const struct dsn_report *r, const struct dsn_template *t, struct buf *out)
{
    if (t->part[1] != NULL)
        buf_add_cstr(out, t->part[1]);
    else
        buf_add_cstr(out, "This message was created automatically by mail delivery software.\n"
                      " ----- The following addresses had successful delivery notifications -----\n");
    for (size_t i = 0; i < r->recipient_count; i++) {
        const struct dsn_recipient *rec = &r->recipients[i];
        buf_printf(out, "<%s>%s%s%s\n", rec->shown, rec->note == NULL ? "" : " (",
                   rec->note == NULL ? "" : rec->note, rec->note == NULL ? "" : ")");
    }
    buf_add_char(out, '\n');
}

bool dsn_has_8bit(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] >= 0x80)
            return true;
    return false;
}

/* Output of programs and words of other servers may hold anything: what comes out is lines of valid UTF-8. */
static void make_text(struct buf *out, const char *s, size_t len)
{
    size_t column = 0;

    for (size_t i = 0; i < len;) {
        unsigned long code = 0;
        size_t n = parse_utf8_char(s + i, &code);
        bool keep = n > 0 && n <= len - i && ((code >= 0x20 && code != 0x7f) || code == '\t' || code == '\n');

        if (s[i] == '\r') {
            i++;
            continue;
        }
        if (column >= LINE_MAX && s[i] != '\n') {
            buf_add_char(out, '\n');
            column = 0;
        }
        if (keep)
            buf_add(out, s + i, n);
        else
            buf_add_char(out, '?');
        column = s[i] == '\n' ? 0 : column + (keep ? n : 1);
        i += keep ? n : 1;
    }
    if (column > 0)
        buf_add_char(out, '\n');
}

void dsn_text_print(struct expand_ctx *ctx, const struct dsn_report *r, const struct dsn_template *t,
                    struct buf *out)
{
    struct buf raw = buf_init(ctx->arena, out->ceiling);

    switch (r->kind) {
    case DSN_REPORT_SUCCESS: success_text(r, t, &raw); break;
    case DSN_REPORT_DELAY: delay_text(ctx, r, t, &raw); break;
    default: failure_text(ctx, r, t, &raw); break;
    }
    make_text(out, buf_cstr(&raw), raw.len);
    out->full = out->full || raw.full;
}
