#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/base64.h"
#include "base/fd.h"
#include "base/str.h"
#include "deliver.h"
#include "dsn_int.h"
#include "header.h"
#include "message.h"
#include "parse.h"

enum { REPORT_MAX = 256 * 1024 * 1024, BASE64_LINE = 76, LINE_HARD = 900 };

struct seven {
    struct arena *a;
    struct buf *out;
    const char *boundary;
};

/* A line whose characters beyond ASCII become \x{...}, or "?" where that form has no meaning. */
static void add_ascii(struct seven *s, struct str line, bool unitext)
{
    const char *text = str_dup(s->a, line);

    for (const char *p = text; *p != '\0';) {
        unsigned long code;
        size_t n = parse_utf8_char(p, &code);
        if (n == 1)
            buf_add_char(s->out, *p);
        else if (n > 0 && unitext)
            buf_printf(s->out, "\\x{%lX}", code);
        else
            buf_add_char(s->out, '?');
        p += n == 0 ? 1 : n;
    }
}

static void add_base64(struct seven *s, struct str text)
{
    const char *p = base64_encode(s->a, text.p, text.len);

    for (size_t left = strlen(p); left > 0;) {
        size_t n = left < BASE64_LINE ? left : BASE64_LINE;
        buf_add(s->out, p, n);
        buf_add_char(s->out, '\n');
        p += n;
        left -= n;
    }
}

/* ---- the header section ---- */

static void add_header(struct seven *s, const struct header *h)
{
    static const char type[] = "Content-Type:", global[] = "global-delivery-status";
    const char *colon = strchr(h->text, ':'), *at = cstr_istarts(h->text, type) ? strstr(h->text, global) : NULL;

    if (at != NULL)
        buf_printf(s->out, "%.*s%s", (int)(at - h->text), h->text, at + strlen("global-"));
    else if (!dsn_has_8bit(h->text, h->len) || colon == NULL)
        buf_add(s->out, h->text, h->len);
    else if (cstr_istarts(h->text, "X-Failed-Recipients:"))
        add_ascii(s, (struct str){ h->text, h->len }, true);
    else
        buf_printf(s->out, "%.*s: %s\n", (int)(colon - h->text), h->text,
                   parse_rfc2047_encode(s->a, str_dup(s->a, str_trim(str_from(colon + 1))), "utf-8", true));
}

/* ---- parts ---- */

/* Where a field was folded there is nothing, or what the fold stood for. */
static const char *unfold(struct arena *a, struct str field, const char *fold)
{
    struct buf b = buf_init(a, field.len + 1);

    for (size_t i = 0; i < field.len; i++) {
        if (field.p[i] != '\n') {
            buf_add_char(&b, field.p[i]);
            continue;
        }
        buf_add_cstr(&b, fold);
        i++;
    }
    return buf_cstr(&b);
}

static void add_status_address(struct seven *s, struct str name, struct str value)
{
    const char *p = parse_unitext_encode(s->a, unfold(s->a, value, ""));

    buf_printf(s->out, "%.*s%.*s", (int)name.len, name.p, LINE_HARD, p);
    for (size_t at = LINE_HARD; at < strlen(p); at += LINE_HARD)
        buf_printf(s->out, "\n %.*s", LINE_HARD, p + at);
    buf_add_char(s->out, '\n');
}

/* Its text in encoded words, after the language tag. */
static void add_localized(struct seven *s, struct str field)
{
    const char *text = unfold(s->a, field, " "), *semi = strchr(text, ';');
    size_t tag = semi == NULL ? strlen(text) : (size_t)(semi - text) + 1;
    const char *words = parse_rfc2047_encode(s->a, str_dup(s->a, str_trim(str_from(text + tag))), "utf-8", true);

    buf_printf(s->out, "%.*s %s\n", (int)tag, text, words);
}

static void add_status_field(struct seven *s, struct str field)
{
    static const char *const addresses[] = { "Final-Recipient: utf-8;", "Original-Recipient: utf-8;",
                                             "SMTP-Remote-Recipient: utf-8;" };
    const char *text = str_dup(s->a, field);

    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        if (cstr_istarts(text, addresses[i])) {
            size_t n = strlen(addresses[i]);
            add_status_address(s, (struct str){ field.p, n }, (struct str){ field.p + n, field.len - n });
            return;
        }
    if (cstr_istarts(text, "Localized-Diagnostic:") && dsn_has_8bit(field.p, field.len)) {
        add_localized(s, field);
        return;
    }
    add_ascii(s, field, false);
    buf_add_char(s->out, '\n');
}

/* A line and those that continue it. */
static size_t field_length(struct str content)
{
    size_t n = 0;

    do {
        const char *nl = memchr(content.p + n, '\n', content.len - n);
        if (nl == NULL)
            return content.len;
        n = (size_t)(nl - content.p) + 1;
    } while (n < content.len && content.p[n] == ' ');
    return n;
}

static void add_status(struct seven *s, struct str content)
{
    buf_add_cstr(s->out, "Content-type: message/delivery-status\n\n");
    while (content.len > 0) {
        size_t n = field_length(content);
        add_status_field(s, (struct str){ content.p, content.p[n - 1] == '\n' ? n - 1 : n });
        content.p += n;
        content.len -= n;
    }
}

static void add_part(struct seven *s, struct str part)
{
    const char *blank = memmem(part.p, part.len, "\n\n", 2);
    size_t head = blank == NULL ? part.len : (size_t)(blank - part.p) + 1;
    struct str content = { part.p + head + 1, blank == NULL ? 0 : part.len - head - 1 };
    const char *type_end = memchr(part.p, '\n', part.len);

    if (memmem(part.p, head, "global-delivery-status", 22) != NULL)
        add_status(s, content);
    else if (!dsn_has_8bit(content.p, content.len) || type_end == NULL)
        buf_add_str(s->out, part);
    else {
        buf_add(s->out, part.p, (size_t)(type_end - part.p) + 1);
        buf_add_cstr(s->out, "Content-Transfer-Encoding: base64\n\n");
        add_base64(s, content);
    }
}

static void add_parts(struct seven *s, struct str body)
{
    const char *mark = arena_printf(s->a, "--%s", s->boundary);
    size_t n = strlen(mark);

    while (body.len > 0) {
        const char *next = memmem(body.p, body.len, mark, n);
        struct str part = { body.p, next == NULL ? body.len : (size_t)(next - body.p) };
        if (part.len > 0 && part.p[0] == '\n' && part.len > 1) {
            buf_add_char(s->out, '\n');
            add_part(s, (struct str){ part.p + 1, part.len - 1 });
        } else
            buf_add_str(s->out, part);
        if (next == NULL)
            return;
        if (s->out->len > 0 && s->out->p[s->out->len - 1] != '\n')
            buf_add_char(s->out, '\n');
        buf_add(s->out, mark, n);
        body.len -= part.len + n;
        body.p = next + n;
    }
}

static const char *boundary_of(struct arena *a, const struct message *m)
{
    const struct header *h = header_find(&m->headers, "Content-Type");
    const char *p = h == NULL ? NULL : strstr(h->text, "boundary=");

    return p == NULL ? NULL : arena_strndup(a, p + 9, strcspn(p + 9, "; \n"));
}

bool dsn_7bit_print(struct arena *a, const struct message *m, struct buf *out, struct err *err)
{
    struct seven s = { .a = a, .out = out, .boundary = boundary_of(a, m) };
    size_t size = m->body.size > REPORT_MAX ? REPORT_MAX : (size_t)m->body.size;
    char *body = arena_alloc(a, size + 1, 1);

    if (s.boundary == NULL || fd_pread_full(m->body.fd, body, size, m->body.start) != (ssize_t)size)
        return err_set(err, a, "the report cannot be put into ASCII");
    for (const struct header *h = m->headers.first; h != NULL; h = h->next)
        if (h->type != HEADER_OLD && h->type != HEADER_RECEIVED)
            add_header(&s, h);
    buf_add_char(out, '\n');
    add_parts(&s, (struct str){ body, size });
    return !out->full || err_set(err, a, "report is too large");
}

bool dsn_7bit_is_wanted(const struct delivery *d, const struct address *addr)
{
    const struct message *m = d->message;

    return m->report_of != NULL && m->smtputf8 && addr->result.basic_errno == ERR_UTF8FWD &&
           !dsn_has_8bit(addr->address, strlen(addr->address));
}
