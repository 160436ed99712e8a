#include "dsn_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver.h"
#include "exim.h"
#include "expand.h"
#include "parse.h"

enum { FOLD_AT = 76, FIELD_TEXT_MAX = 4096 };

/* One field: printable ASCII (8-bit kept in the global form), folded where there is room,
 * line breaks of a remote reply as continuation lines. */
static void add_field(struct expand_ctx *ctx, struct buf *out, bool utf8, const char *name, const char *type,
                      const char *value)
{
    size_t column = strlen(name) + 2 + (type == NULL ? 0 : strlen(type) + 1);
    size_t len = strnlen(value, FIELD_TEXT_MAX);

    buf_printf(out, "%s: %s%s", name, type == NULL ? "" : type, type == NULL ? "" : ";");
    if (type != NULL && strcmp(type, "rfc822") != 0 && strcmp(type, "utf-8") != 0)
        buf_add_char(out, ' ');
    for (size_t i = 0; i < len; i++) {
        char c = value[i];
        if (c == '\n' || (c == ' ' && column >= FOLD_AT)) {
            if (i + 1 < len)
                buf_add_cstr(out, "\n ");
            column = 1;
            continue;
        }
        bool plain = is_print(c) || (utf8 && (unsigned char)c >= 0x80);
        buf_add_cstr(out, plain ? "" : "?");
        if (plain)
            buf_add_char(out, c);
        column++;
    }
    buf_add_char(out, '\n');
    (void)ctx;
}

static bool has_8bit(const char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s >= 0x80)
            return true;
    return false;
}

/* RFC 6533 section 3: utf-8-addr-xtext for a 7-bit report. */
static const char *utf8_as_ascii(struct arena *a, const char *s)
{
    struct buf b = buf_init(a, FIELD_TEXT_MAX * 8);

    while (*s != '\0') {
        unsigned char c = (unsigned char)*s;
        int n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
        unsigned long cp = n == 1 ? c : c & (0xffu >> (n + 1));
        for (int i = 1; i < n && s[i] != '\0'; i++)
            cp = cp << 6 | ((unsigned char)s[i] & 0x3f);
        if (n == 1 && is_print(*s) && *s != '\\' && *s != '+' && *s != '=')
            buf_add_char(&b, *s);
        else
            buf_printf(&b, "\\x{%lX}", cp);
        for (; n > 0 && *s != '\0'; n--)
            s++;
    }
    return buf_cstr(&b);
}

static void add_address(struct expand_ctx *ctx, struct buf *out, bool utf8, const char *name, const char *address)
{
    if (!has_8bit(address))
        add_field(ctx, out, utf8, name, "rfc822", address);
    else
        add_field(ctx, out, utf8, name, "utf-8", utf8 ? address : utf8_as_ascii(ctx->arena, address));
}

/* ORCPT as the sender gave it, decoded; a decoded value that is no text stays as it came. */
static void add_original(struct expand_ctx *ctx, struct buf *out, bool utf8, const char *orcpt)
{
    const char *semi = strchr(orcpt, ';');
    const char *type = arena_strndup(ctx->arena, orcpt, (size_t)(semi - orcpt));
    const char *value = parse_xtext_decode(ctx->arena, semi + 1);

    add_field(ctx, out, utf8, "Original-Recipient", type, value == NULL ? semi + 1 : value);
}

static const char *date(struct expand_ctx *ctx, time_t t)
{
    return tod_print(ctx->arena, TOD_FULL, (struct timespec){ .tv_sec = t });
}

static void add_recipient(struct expand_ctx *ctx, struct buf *out, const struct dsn_report *r,
                          const struct dsn_recipient *rec)
{
    buf_add_char(out, '\n');
    if (rec->original != NULL && strchr(rec->original, ';') != NULL)
        add_original(ctx, out, r->utf8, rec->original);
    add_address(ctx, out, r->utf8, "Final-Recipient", rec->final);
    add_field(ctx, out, r->utf8, "Action", NULL, rec->action);
    add_field(ctx, out, r->utf8, "Status", NULL, rec->status);
    if (rec->remote_mta != NULL)
        add_field(ctx, out, r->utf8, "Remote-MTA", "dns", rec->remote_mta);
    if (rec->diagnostic != NULL)
        add_field(ctx, out, r->utf8, "Diagnostic-Code", rec->diagnostic_type, rec->diagnostic);
    if (rec->last_attempt != 0)
        add_field(ctx, out, r->utf8, "Last-Attempt-Date", NULL, date(ctx, rec->last_attempt));
    if (rec->log_id != NULL)
        add_field(ctx, out, r->utf8, "Final-Log-ID", NULL, rec->log_id);
    if (rec->will_retry_until != 0 && r->kind == DSN_REPORT_DELAY)
        add_field(ctx, out, r->utf8, "Will-Retry-Until", NULL, date(ctx, rec->will_retry_until));
}

void dsn_status_print(struct expand_ctx *ctx, const struct dsn_report *r, struct buf *out)
{
    if (r->envid != NULL) {
        const char *plain = parse_xtext_decode(ctx->arena, r->envid);
        add_field(ctx, out, r->utf8, "Original-Envelope-Id", NULL, plain == NULL ? r->envid : plain);
    }
    add_field(ctx, out, r->utf8, "Reporting-MTA", "dns", ctx->exim->config->primary_hostname);
    if (r->received_from_mta != NULL)
        add_field(ctx, out, r->utf8, "Received-From-MTA", "dns", r->received_from_mta);
    if (r->arrival != 0)
        add_field(ctx, out, r->utf8, "Arrival-Date", NULL, date(ctx, r->arrival));
    for (size_t i = 0; i < r->recipient_count; i++)
        add_recipient(ctx, out, r, &r->recipients[i]);
    buf_add_char(out, '\n');
}
