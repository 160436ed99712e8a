#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "match.h"
#include "parse.h"
#include "receive_int.h"
#include "regex.h"
#include "spool.h"

/* Is there a header name and a colon at the start of the line? Exim allows white space
 * before the colon. */
static bool is_header_line(const char *p, size_t n)
{
    size_t i = 0;

    while (i < n && p[i] > ' ' && p[i] < 127 && p[i] != ':')
        i++;
    if (i == 0)
        return false;
    while (i < n && is_blank(p[i]))
        i++;
    return i < n && p[i] == ':';
}

/* Header lines collected so far and where the last complete one began. */
struct collector {
    struct buf text;   /* whole lines */
    size_t from, scan; /* of the line in hand: its start; how far it was looked at */
    bool ended;
    size_t body; /* where the body starts in text, once ended */
};

static void add_header(struct receive *r, const char *p, size_t n)
{
    char *text = arena_strndup(r->m->arena, p, n);

    for (char *q = text; (q = memchr(q, '\0', n - (size_t)(q - text))) != NULL;)
        *q++ = '?';
    for (const char *q = text, *lf; (lf = strchr(q, '\n')) != NULL; q = lf + 1)
        if (lf - q > r->m->max_received_linelength)
            r->m->max_received_linelength = lf - q;
    (void)header_append(&r->m->headers, r->m->arena, HEADER_OTHER, text);
}

static bool may_have_from_line(struct receive *r)
{
    struct expand_ctx ctx;
    const struct main_options *o = &r->e->config->main;

    if (!r->interactive && !r->s->batched)
        return true;
    if (r->s->host_address == NULL)
        return o->ignore_fromline_local;
    if (o->ignore_fromline_hosts == NULL)
        return false;
    receive_context(r, &ctx);
    return match_session_host(&ctx, o->ignore_fromline_hosts, NULL) == RC_OK;
}

/* "From address date" before the header (manual 48.4). */
static bool take_from_line(struct receive *r, const char *p, size_t n)
{
    const struct main_options *o = &r->e->config->main;
    struct expand_ctx ctx;
    const char *sender;

    if (n < 5 ||
        (memcmp(p, "From ", 5) != 0 && memcmp(p, ">From ", 6 < n ? 6 : n) != 0) ||
        o->uucp_from_pattern == NULL || !may_have_from_line(r))
        return false;
    receive_context(r, &ctx);
    const char *line = arena_strndup(r->m->arena, p, n);
    const struct regex *re =
        regex_compile(r->m->arena, o->uucp_from_pattern, 0, &ctx.err);
    if (re == NULL ||
        regex_match(re, r->m->arena, str_from(line), &ctx.captures, NULL) != RC_OK)
        return false;
    if (r->interactive || r->s->batched || !r->e->trusted || r->m->sender_forced ||
        expand(&ctx, o->uucp_from_sender, &sender) != EXPAND_OK)
        return true;
    struct parsed_address a;
    if (!parse_address(r->m->arena, sender,
                       PARSE_ALLOW_EMPTY | PARSE_ALLOW_DOMAIN_LITERAL, &a))
        return true;
    r->m->sender =
        a.domain == NULL && a.address[0] != '\0'
            ? arena_printf(r->m->arena, "%s@%s", a.address, r->e->config->qualify_domain)
            : a.address;
    r->e->originator_name = "";
    r->m->local = r->m->sender_local = false;
    r->m->authenticated_sender = NULL;
    return true;
}

/* A complete line [from, end): more of the header? */
static bool take_line(struct receive *r, struct collector *c, size_t end)
{
    const char *line = c->text.p + c->scan;
    size_t len = end - c->scan;
    bool folded = c->scan > c->from && is_blank(*line);

    if (c->scan > c->from && !folded) {
        add_header(r, c->text.p + c->from, c->scan - c->from);
        c->from = c->scan;
    }
    if (folded) {
        c->scan = end;
        return true;
    }
    if (len == 1) {
        c->ended = true;
        c->body = end;
        return false;
    }
    if (r->m->headers.count == 0 && c->from == 0 && c->scan == 0 &&
        take_from_line(r, line, len)) {
        c->from = c->scan = end;
        return true;
    }
    if (!is_header_line(line, len)) { /* it is the first line of the body */
        c->ended = true;
        c->body = c->from;
        return false;
    }
    c->scan = end;
    return true;
}

/* `end`: of the bytes of the header that are in, the line in hand included. */
static enum receive_read check_limits(struct receive *r, const struct collector *c,
                                      size_t end)
{
    const struct main_options *o = &r->e->config->main;

    if (o->header_line_maxsize > 0 && end - c->from > (size_t)o->header_line_maxsize &&
        (end == c->scan || c->scan == c->from || is_blank(c->text.p[c->scan])))
        return RECEIVE_READ_LINE_TOO_LONG;
    if (o->header_maxsize > 0 && end > (size_t)o->header_maxsize)
        return RECEIVE_READ_TOO_LONG;
    return RECEIVE_READ_OK;
}

static enum receive_read scan(struct receive *r, struct collector *c, size_t had)
{
    size_t look = had > c->scan ? had : c->scan;

    while (!c->ended) {
        char *lf = memchr(c->text.p + look, '\n', c->text.len - look);

        if (lf == NULL)
            return check_limits(r, c, c->text.len);
        (void)take_line(r, c, (size_t)(lf + 1 - c->text.p));
        look = c->scan;
        enum receive_read rc = check_limits(r, c, c->scan);
        if (rc != RECEIVE_READ_OK)
            return rc;
    }
    return RECEIVE_READ_OK;
}

/* At the end of the input what was collected is the whole header, maybe without a last
 * newline. */
static void finish(struct receive *r, struct collector *c)
{
    if (c->ended)
        return;
    if (c->text.len > c->scan) {
        buf_add_char(&c->text, '\n');
        if (!take_line(r, c, c->text.len) && c->ended)
            return;
    }
    if (c->scan > c->from)
        add_header(r, c->text.p + c->from, c->scan - c->from);
    c->ended = true;
    c->body = c->text.len;
}

enum receive_read receive_read_header(struct receive *r)
{
    struct collector c = { .text = buf_init(r->m->arena, BUF_DEFAULT_CEILING) };
    enum receive_read rc = RECEIVE_READ_OK;

    while (!c.ended && rc == RECEIVE_READ_OK) {
        ssize_t got = r->src->read(r->src->arg, r->chunk, RECEIVE_CHUNK, &r->err);

        if (got < 0)
            return RECEIVE_READ_LOST;
        if (got == 0) {
            finish(r, &c);
            break;
        }
        size_t had = c.text.len;
        buf_add(&c.text, r->chunk, (size_t)got);
        rc = scan(r, &c, had);
    }
    if (rc != RECEIVE_READ_OK)
        return rc;
    r->rest = buf_cstr(&c.text) + c.body;
    r->rest_len = c.text.len - c.body;
    return RECEIVE_READ_OK;
}

/* Lines, longest line and NULs of what goes by. */
static void count(struct receive *r, const char *p, size_t n)
{
    const char *end = p + n;

    for (const char *z = p; (z = memchr(z, '\0', (size_t)(end - z))) != NULL; z++)
        r->m->body_zerocount++;
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));

        if (lf == NULL) {
            r->line_length += end - p;
            return;
        }
        r->line_length += lf - p;
        if (r->line_length > r->m->max_received_linelength)
            r->m->max_received_linelength = r->line_length;
        r->line_length = 0;
        r->m->body_linecount++;
        p = lf + 1;
    }
}

static bool put(struct receive *r, const char *p, size_t n)
{
    count(r, p, n);
    r->body_size += (int64_t)n;
    r->last = n > 0 ? p[n - 1] : r->last;
    return spool_write(r->writer, p, n, &r->err);
}

enum receive_read receive_read_body(struct receive *r, int64_t limit)
{
    int64_t room = limit > 0 ? limit - receive_log_size(r->m) : INT64_MAX;
    ssize_t got = (ssize_t)r->rest_len;
    const char *p = r->rest;

    if (got == 0) {
        p = r->chunk;
        got = r->src->read(r->src->arg, r->chunk, RECEIVE_CHUNK, &r->err);
    }
    while (got > 0) {
        if (r->body_size + got > room) {
            r->body_size += got;
            while (got > 0) { /* how much there was is logged */
                got = r->src->read(r->src->arg, r->chunk, RECEIVE_CHUNK, &r->err);
                r->body_size += got > 0 ? got : 0;
            }
            return got < 0 ? RECEIVE_READ_LOST : RECEIVE_READ_TOO_BIG;
        }
        if (!put(r, p, (size_t)got))
            return RECEIVE_READ_SPOOL;
        p = r->chunk;
        got = r->src->read(r->src->arg, r->chunk, RECEIVE_CHUNK, &r->err);
    }
    if (got < 0)
        return RECEIVE_READ_LOST;
    /* A last line without its end gets one, as the spool and all transports count in
     * lines. */
    if (r->body_size > 0 && r->last != '\n' && !put(r, "\n", 1))
        return RECEIVE_READ_SPOOL;
    return RECEIVE_READ_OK;
}
