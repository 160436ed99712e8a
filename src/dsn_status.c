#include "dsn_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver.h"
#include "dsn_language.h"
#include "exim.h"
#include "expand.h"
#include "parse.h"

enum { FOLD_AT = 76, LINE_HARD = 900, FIELD_TEXT_MAX = 4096 };

/* One line of a remote reply, or a whole value: printable ASCII, valid UTF-8 kept in the global form; folded where
 * there is room, cut where there is none for too long. */
static size_t add_words(struct buf *out, bool utf8, const char *value, size_t len, size_t column)
{
    for (size_t i = 0; i < len;) {
        unsigned long code;
        size_t n = parse_utf8_char(value + i, &code);
        bool plain = n > 0 && n <= len - i && code >= 0x20 && code != 0x7f && (code < 0x80 || utf8);

        if (value[i] == ' ' && column >= FOLD_AT && i + 1 < len && value[i + 1] != ' ') {
            buf_add_cstr(out, "\n ");
            column = 1;
            i++;
            continue;
        }
        if (column >= LINE_HARD) {
            buf_add_cstr(out, "\n ");
            column = 1;
        }
        if (plain)
            buf_add(out, value + i, n);
        else
            buf_add_char(out, '?');
        column += plain ? n : 1;
        i += plain ? n : 1;
    }
    return column;
}

/* Line breaks of a remote reply become continuation lines; blank ones would end the field. */
static void add_field(struct buf *out, bool utf8, const char *name, const char *type, const char *value)
{
    struct str rest = str_trim((struct str){ value, strnlen(value, FIELD_TEXT_MAX) });
    size_t column = strlen(name) + 2 + (type == NULL ? 0 : strlen(type) + 1);
    bool is_address = type != NULL && (strcmp(type, "rfc822") == 0 || strcmp(type, "utf-8") == 0);

    if (rest.len == 0)
        return;
    buf_printf(out, "%s: %s%s%s", name, type == NULL ? "" : type, type == NULL ? "" : ";",
               type == NULL || is_address ? "" : " ");
    for (bool first = true; rest.len > 0;) {
        const char *nl = memchr(rest.p, '\n', rest.len);
        size_t n = nl == NULL ? rest.len : (size_t)(nl - rest.p);
        struct str line = str_trim((struct str){ rest.p, n });
        rest.p += n + (nl != NULL);
        rest.len -= n + (nl != NULL);
        if (line.len == 0)
            continue;
        if (!first)
            buf_add_cstr(out, "\n ");
        (void)add_words(out, utf8, line.p, line.len, first ? column : 1);
        first = false;
    }
    buf_add_char(out, '\n');
}

static void add_address(struct expand_ctx *ctx, struct buf *out, bool utf8, const char *name, const char *address)
{
    if (!dsn_has_8bit(address, strlen(address)))
        add_field(out, utf8, name, "rfc822", address);
    else
        add_field(out, utf8, name, "utf-8", utf8 ? address : parse_unitext_encode(ctx->arena, address));
}

/* ORCPT as the sender gave it, decoded; a value that is no text stays as it came. RFC 6533: UTF-8 where the report
 * is, else the form in ASCII. */
static void add_original(struct expand_ctx *ctx, struct buf *out, bool utf8, const char *orcpt)
{
    const char *semi = strchr(orcpt, ';');
    const char *type = arena_strndup(ctx->arena, orcpt, (size_t)(semi - orcpt));
    bool is_utf8 = cstr_ieq(type, "utf-8");
    const char *value = is_utf8 ? parse_unitext_decode(ctx->arena, semi + 1, true)
                                : parse_xtext_decode(ctx->arena, semi + 1);

    if (value != NULL && is_utf8 && !utf8)
        value = parse_unitext_encode(ctx->arena, value);
    bool atom = *type != '\0' && strlen(type) < LINE_HARD / 2;
    for (const char *p = type; *p != '\0'; p++)
        atom = atom && is_print(*p) && *p != ' ';
    if (atom)
        add_field(out, utf8, "Original-Recipient", type, value == NULL ? semi + 1 : value);
}

/* Digits as RFC 3463 wants them; statuses come from other servers too. */
static bool is_status(const char *s)
{
    for (int part = 0; part < 3; part++, s++) {
        size_t n = strspn(s, "0123456789");
        if (n == 0 || n > (part == 0 ? 1 : 3) || (n > 1 && *s == '0') || s[n] != (part == 2 ? '\0' : '.'))
            return false;
        s += n;
    }
    return true;
}

static const char *date(struct expand_ctx *ctx, time_t t)
{
    return tod_print(ctx->arena, TOD_FULL, (struct timespec){ .tv_sec = t });
}

/* RFC 6533: language tag and text, next to the diagnostic that it is about; in UTF-8, or in encoded words where the
 * report is in ASCII. */
static void add_localized(struct expand_ctx *ctx, struct buf *out, const struct dsn_report *r,
                          const struct dsn_recipient *rec)
{
    const char *text = r->language == NULL || rec->status == NULL
                           ? NULL : dsn_language_status(ctx, r->language, rec->status);

    if (text != NULL && !r->utf8)
        text = parse_rfc2047_encode(ctx->arena, cstr_printable(ctx->arena, text, true), "utf-8", true);
    if (text != NULL)
        add_field(out, r->utf8, "Localized-Diagnostic", dsn_language_tag(r->language), text);
}

static void add_diagnostic(struct expand_ctx *ctx, struct buf *out, const struct dsn_report *r,
                           const struct dsn_recipient *rec)
{
    if (rec->diagnostic == NULL)
        return;
    add_field(out, r->utf8, "Diagnostic-Code", rec->diagnostic_type, rec->diagnostic);
    add_localized(ctx, out, r, rec);
}

static void add_recipient(struct expand_ctx *ctx, struct buf *out, const struct dsn_report *r,
                          const struct dsn_recipient *rec)
{
    buf_add_char(out, '\n');
    if (rec->original != NULL && strchr(rec->original, ';') != NULL)
        add_original(ctx, out, r->utf8, rec->original);
    add_address(ctx, out, r->utf8, "Final-Recipient", rec->final);
    add_field(out, r->utf8, "Action", NULL, rec->action);
    add_field(out, r->utf8, "Status", NULL, rec->status != NULL && is_status(rec->status)
                                                ? rec->status : dsn_status_default(rec->outcome));
    if (rec->remote_mta != NULL)
        add_field(out, r->utf8, "Remote-MTA", "dns", rec->remote_mta);
    add_diagnostic(ctx, out, r, rec);
    if (rec->last_attempt != 0)
        add_field(out, r->utf8, "Last-Attempt-Date", NULL, date(ctx, rec->last_attempt));
    if (rec->log_id != NULL)
        add_field(out, r->utf8, "Final-Log-ID", NULL, rec->log_id);
    if (rec->will_retry_until != 0 && r->kind == DSN_REPORT_DELAY)
        add_field(out, r->utf8, "Will-Retry-Until", NULL, date(ctx, rec->will_retry_until));
    if (rec->remote_recipient != NULL) /* an extension field: after those of RFC 3464 */
        add_address(ctx, out, r->utf8, "SMTP-Remote-Recipient", rec->remote_recipient);
}

void dsn_status_print(struct expand_ctx *ctx, const struct dsn_report *r, struct buf *out)
{
    if (r->envid != NULL) {
        const char *plain = parse_xtext_decode(ctx->arena, r->envid);
        add_field(out, r->utf8, "Original-Envelope-Id", NULL, plain == NULL ? r->envid : plain);
    }
    add_field(out, r->utf8, "Reporting-MTA", "dns", ctx->exim->config->primary_hostname);
    if (r->received_from_mta != NULL)
        add_field(out, r->utf8, "Received-From-MTA", "dns", r->received_from_mta);
    if (r->arrival != 0)
        add_field(out, r->utf8, "Arrival-Date", NULL, date(ctx, r->arrival));
    for (size_t i = 0; i < r->recipient_count; i++)
        add_recipient(ctx, out, r, &r->recipients[i]);
    buf_add_char(out, '\n');
}
