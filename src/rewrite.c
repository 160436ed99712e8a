#include "rewrite.h"

#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/debug.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "header.h"
#include "match.h"
#include "message.h"
#include "parse.h"

enum { REPEAT_MAX = 10, HEADER_BODY_MAX = 16 * 1024 * 1024 };

/* Where an address stands, as in log lines. */
static const struct {
    unsigned flag;
    const char *name;
} places[] = {
    { REWRITE_SENDER_HDR, "sender:" },
    { REWRITE_FROM, "from:" },
    { REWRITE_TO, "to:" },
    { REWRITE_CC, "cc:" },
    { REWRITE_BCC, "bcc:" },
    { REWRITE_REPLY_TO, "reply-to:" },
    { REWRITE_ENV_FROM, "env-from" },
    { REWRITE_ENV_TO, "env-to" },
    { REWRITE_SMTP, "smtp recipient" },
};

static const char *place_name(unsigned which)
{
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        if ((which & places[i].flag) != 0)
            return places[i].name;
    return "?";
}

/* ---- one address ---- */

enum outcome { GO_ON, REWRITTEN, STOP, ABANDON };

struct job {
    struct expand_ctx ctx; /* a copy: captures, $local_part and $domain are its own */
    unsigned which;
    const char *address, *whole;
    int number; /* of the rule, from 1 */
};

static void complain(const struct job *j, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void complain(const struct job *j, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    const char *text = arena_vprintf(j->ctx.arena, fmt, ap);
    va_end(ap);
    const char *id = j->ctx.message == NULL ? NULL : j->ctx.message->id;
    log_write(j->ctx.exim->log, LOG_MAIN | LOG_PANIC, id, "%s", text);
}

static void set_parts(struct job *j)
{
    const char *at = strrchr(j->address, '@');

    if (j->which == REWRITE_SMTP || at == NULL)
        return;
    j->ctx.local_part =
        arena_strndup(j->ctx.arena, j->address, (size_t)(at - j->address));
    j->ctx.domain = at + 1;
}

static enum rc matches(struct job *j, const struct rewrite_rule *r)
{
    if ((r->flags & REWRITE_SMTP) != 0) {
        j->ctx.captures = (struct captures){ .count = 1, .v = { j->address } };
        return match_local_part(&j->ctx, r->pattern, j->address, false, NULL);
    }
    return match_address_capture(&j->ctx, r->pattern, j->address, false);
}

/* The working part of a replacement, qualified if the rule allows. */
static const char *working_part(struct job *j, const struct rewrite_rule *r,
                                const char *text)
{
    struct parsed_address p;
    struct arena *a = j->ctx.arena;

    if (!parse_address(a, text, PARSE_ALLOW_DOMAIN_LITERAL | PARSE_ALLOW_UTF8, &p)) {
        complain(j, "Rewrite of %s yielded unparseable address: %s in address %s",
                 j->address, p.err, text);
        return NULL;
    }
    if (p.domain != NULL && *p.domain != '\0')
        return p.address;
    if ((r->flags & REWRITE_QUALIFY) != 0)
        return arena_printf(a, "%s@%s", p.address,
                            j->ctx.exim->config->qualify_recipient);
    complain(j, "Rewrite of %s yielded unqualified address \"%s\"", j->address,
             p.address);
    return NULL;
}

static void log_change(const struct job *j, const char *new)
{
    const struct message *m = j->ctx.message;

    if (log_wants(j->ctx.exim->log, L_address_rewrite))
        log_write(j->ctx.exim->log, LOG_MAIN | LOG_BY(address_rewrite),
                  m == NULL ? NULL : m->id,
                  "\"%s\" from %s rewritten as \"%s\" by rule %d", j->address,
                  place_name(j->which), new, j->number);
    DEBUG(D_REWRITE)
    debug_printf("%s: %s rewritten as %s by rule %d\n", place_name(j->which), j->address,
                 new, j->number);
}

static enum outcome replace(struct job *j, const struct rewrite_rule *r)
{
    const char *new;

    if (r->replacement->constant != NULL && strcmp(r->replacement->constant, "*") == 0)
        return STOP;
    set_parts(j);
    enum expand_rc rc = expand(&j->ctx, r->replacement, &new);
    if (rc == EXPAND_FORCED)
        return (r->flags & REWRITE_QUIT) != 0 ? STOP : GO_ON;
    if (rc != EXPAND_OK) {
        complain(j, "Expansion of %s failed while rewriting: %s", r->replacement->text,
                 j->ctx.err.msg == NULL ? "" : j->ctx.err.msg);
        return ABANDON;
    }
    if (j->which == REWRITE_SMTP) {
        log_change(j, new);
        j->address = new;
        return REWRITTEN;
    }
    const char *address = working_part(j, r, new);
    if (address == NULL)
        return ABANDON;
    bool whole = (r->flags & REWRITE_WHOLE) != 0 && (j->which & REWRITE_ALL_HEADERS) != 0;
    log_change(j, whole ? new : address);
    j->address = address;
    if (whole)
        j->whole = new;
    return REWRITTEN;
}

/* A rule as often as it wants to. */
static enum outcome apply(struct job *j, const struct rewrite_rule *r)
{
    bool matched = false;

    for (int i = 0; matches(j, r) == RC_OK; i++) {
        enum outcome o = replace(j, r);

        if (o == STOP || o == ABANDON || o == GO_ON)
            return o;
        matched = true;
        if ((r->flags & REWRITE_REPEAT) == 0)
            break;
        if (i == REPEAT_MAX) {
            complain(j, "rewrite rule repeat ignored after %d times", REPEAT_MAX);
            break;
        }
    }
    return matched && (r->flags & REWRITE_QUIT) != 0 ? STOP : GO_ON;
}

/* NULL: nothing applied. *whole: text of an item to be replaced with its phrase, or NULL.
 */
static const char *rewrite(struct expand_ctx *ctx, const struct rewrite_rule *rules,
                           const char *address, unsigned which, const char **whole)
{
    struct job j = { .ctx = *ctx, .which = which, .address = address };

    *whole = NULL;
    for (const struct rewrite_rule *r = rules; r != NULL; r = r->next) {
        j.number++;
        /* S rules are for that moment only; the others never see it. */
        if ((r->flags & which) == 0)
            continue;
        enum outcome o = apply(&j, r);
        if (o == ABANDON)
            return NULL;
        if (o == STOP)
            break;
    }
    *whole = j.whole;
    return j.address == address ? NULL : j.address;
}

const char *rewrite_address(struct expand_ctx *ctx, const struct rewrite_rule *rules,
                            const char *address, unsigned which, bool *whole)
{
    const char *text, *new = *address == '\0' && which != REWRITE_SMTP
                                 ? NULL
                                 : rewrite(ctx, rules, address, which, &text);

    if (whole != NULL)
        *whole = new != NULL &&text != NULL;
    if (new == NULL)
        return address;
    return (which & REWRITE_ALL_HEADERS) != 0 && text != NULL && whole != NULL ? text
                                                                               : new;
}

/* ---- header lines ---- */

static unsigned place_of(const struct header *h)
{
    switch (h->type) {
    case HEADER_BCC:
        return REWRITE_BCC;
    case HEADER_CC:
        return REWRITE_CC;
    case HEADER_FROM:
        return REWRITE_FROM;
    case HEADER_REPLY_TO:
        return REWRITE_REPLY_TO;
    case HEADER_SENDER:
        return REWRITE_SENDER_HDR;
    case HEADER_TO:
        return REWRITE_TO;
    default:
        break;
    }
    static const struct {
        const char *name;
        unsigned place;
    } resent[] = {
        { "Resent-Bcc", REWRITE_BCC },   { "Resent-Cc", REWRITE_CC },
        { "Resent-From", REWRITE_FROM }, { "Resent-Reply-To", REWRITE_REPLY_TO },
        { "Resent-To", REWRITE_TO },     { "Resent-Sender", REWRITE_SENDER_HDR }
    };
    for (size_t i = 0; i < ARRAY_LEN(resent); i++)
        if (header_is(h, resent[i].name))
            return resent[i].place;
    return 0;
}

/* One header while it is rebuilt. */
struct line {
    struct expand_ctx *ctx;
    const struct rewrite_rule *rules;
    const struct message *m;
    unsigned which;
    const char *body;
    size_t copied; /* of body */
    struct buf new;
    bool changed;
};

static bool is_sender_place(unsigned which)
{
    return (which & (REWRITE_FROM | REWRITE_SENDER_HDR | REWRITE_REPLY_TO)) != 0;
}

/* The domain that this host adds to an unqualified address there; NULL: none. */
static const char *qualifier(const struct line *l)
{
    const struct config *cfg = l->ctx->exim->config;

    if (is_sender_place(l->which))
        return l->m->local || l->m->allow_unqualified_sender ? cfg->qualify_domain : NULL;
    return l->m->local || l->m->allow_unqualified_recipient ? cfg->qualify_recipient
                                                            : NULL;
}

/* An item with a phrase of its own: its text may need encoding (RFC 2047). */
static const char *encode_whole(struct line *l, const char *whole)
{
    struct arena *a = l->ctx->arena;
    const char *angle = strchr(whole, '<');
    const char *charset = l->ctx->exim->config->main.headers_charset;

    if (angle == NULL)
        return whole;
    size_t len = (size_t)(angle - whole);
    while (len > 0 && is_space(whole[len - 1]))
        len--;
    const char *phrase = arena_strndup(a, whole, len);
    for (const char *s = phrase; *s != '\0'; s++)
        if ((unsigned char)*s > 126 || ((unsigned char)*s < ' ' && *s != '\t'))
            return arena_printf(a, "%s %s",
                                parse_rfc2047_encode(a, phrase, charset, true), angle);
    return whole;
}

static void put(struct line *l, size_t upto, const char *text, size_t resume)
{
    buf_add(&l->new, l->body + l->copied, upto - l->copied);
    buf_add_cstr(&l->new, text);
    l->copied = resume;
    l->changed = true;
}

static bool rewrite_item(void *arg, const struct parsed_address *p, const char *raw)
{
    struct line *l = arg;
    const char *address = p->address, *whole;

    if (address == NULL || *address == '\0')
        return true;
    if (p->domain == NULL) {
        const char *domain = qualifier(l);

        if (domain == NULL)
            return true;
        address = arena_printf(l->ctx->arena, "%s@%s", address, domain);
    }
    const char *new = rewrite(l->ctx, l->rules, address, l->which, &whole);
    if (new == NULL && address == p->address)
        return true;
    if (new == NULL || whole == NULL) {
        put(l, p->start, new == NULL ? address : new, p->end);
        return true;
    }
    /* The item as it stands in the body: raw is a copy of it, without the white space
     * around. */
    size_t at = p->start, len = strlen(raw);
    while (at > l->copied && strncmp(l->body + at, raw, len) != 0)
        at--;
    if (strncmp(l->body + at, raw, len) == 0)
        put(l, at, encode_whole(l, whole), at + len);
    else
        put(l, p->start, new, p->end);
    return true;
}

static struct header *insert_copy(struct message *m, struct header *old, const char *text)
{
    struct header *h = arena_new_obj(m->arena, struct header);

    *h = (struct header){
        .next = old->next, .type = old->type, .len = strlen(text), .text = text
    };
    old->next = h;
    old->type = HEADER_OLD;
    if (h->next == NULL)
        m->headers.tail = &h->next;
    m->headers.count++;
    m->headers.bytes += h->len;
    return h;
}

static struct header *rewrite_header(struct expand_ctx *ctx,
                                     const struct rewrite_rule *rules, struct message *m,
                                     struct header *h)
{
    const char *body = header_body(h);
    struct line l = {
        .ctx = ctx, .rules = rules, .m = m, .which = place_of(h), .body = body
    };

    if (l.which == 0)
        return h;
    l.new = buf_init(m->arena, HEADER_BODY_MAX);
    (void)parse_each_address(ctx->arena, body,
                             PARSE_ALLOW_DOMAIN_LITERAL | PARSE_ALLOW_UTF8, rewrite_item,
                             &l);
    if (!l.changed)
        return h;
    buf_add_cstr(&l.new, body + l.copied);
    if (l.new.full)
        return h;
    const char *text = arena_printf(m->arena, "%.*s%s", (int)(body - h->text), h->text,
                                    buf_cstr(&l.new));
    return insert_copy(m, h, text);
}

void rewrite_headers(struct expand_ctx *ctx, const struct rewrite_rule *rules,
                     struct message *m)
{
    for (struct header *h = m->headers.first; h != NULL; h = h->next)
        if (h->type != HEADER_OLD)
            h = rewrite_header(ctx, rules, m, h);
}
