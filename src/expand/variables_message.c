#include "expand/variable_getters.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver.h"
#include "exim.h"
#include "expand/expand_int.h"
#include "header.h"
#include "message.h"
#include "parse.h"

static const struct main_options *options(const struct expand_ctx *ctx)
{
    return ctx->exim == NULL || ctx->exim->config == NULL ? NULL
                                                          : &ctx->exim->config->main;
}

/* ---- header lines ---- */

static const char *charset(const struct expand_ctx *ctx)
{
    const struct main_options *o = options(ctx);

    if (ctx->message->headers_charset != NULL)
        return ctx->message->headers_charset;
    return o == NULL ? NULL : o->headers_charset;
}

/* A list item a line: colons doubled, only the final newline removed. */
static enum expand_rc header_lines(struct expand_ctx *ctx, const char *name,
                                   const char **out)
{
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);
    bool first = true;

    for (const struct header *h = ctx->message->headers.first; h != NULL; h = h->next) {
        if (!header_is(h, name))
            continue;
        const char *text = strchr(h->text, ':') + 1;
        size_t len = strlen(text);
        len -= len > 0 && text[len - 1] == '\n';
        list_append(&b, arena_strndup(ctx->arena, text, len), ':', &first);
    }
    return eval_buf(ctx, &b, out);
}

enum expand_rc variable_header(struct expand_ctx *ctx, const struct header_ref *h,
                               const char **out)
{
    static const enum header_form forms[] = { [HEADER_WANT_DECODED] = HEADER_DECODED,
                                              [HEADER_WANT_BASE64_ONLY] =
                                                  HEADER_BASE64_ONLY,
                                              [HEADER_WANT_RAW] = HEADER_RAW };

    *out = "";
    if (ctx->message == NULL)
        return EXPAND_OK;
    if (h->want == HEADER_WANT_LIST)
        return header_lines(ctx, h->name, out);
    *out = header_value(ctx->arena, &ctx->message->headers, h->name, forms[h->want],
                        charset(ctx));
    return EXPAND_OK;
}

bool variable_header_exists(const struct expand_ctx *ctx, const char *name)
{
    return ctx->message != NULL && header_exists(&ctx->message->headers, name);
}

static const char *decoded_line(struct arena *a, const struct header *h,
                                bool check_length)
{
    const char *why, *text = parse_rfc2047_decode(a, h->text, check_length, NULL, &why);

    return text == NULL ? h->text : text;
}

/* which: 1 raw. Decoded lines have no white space at their ends. */
enum expand_rc variable_message_headers(struct expand_ctx *ctx, const struct variable *v,
                                        const char *suffix, const char **out)
{
    const struct main_options *o = options(ctx);
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);

    (void)suffix;
    if (ctx->message == NULL)
        return EXPAND_OK;
    for (const struct header *h = ctx->message->headers.first; h != NULL; h = h->next) {
        if (h->type == HEADER_OLD)
            continue;
        if (v->which == 1) {
            buf_add(&b, h->text, h->len);
            continue;
        }
        const char *text =
            decoded_line(ctx->arena, h, o == NULL || o->check_rfc2047_length);
        if (b.len > 0)
            buf_add_char(&b, '\n');
        buf_add_str(&b, str_trim(str_from(text)));
    }
    return eval_buf(ctx, &b, out);
}

enum expand_rc variable_headers_added(struct expand_ctx *ctx, const struct variable *v,
                                      const char *suffix, const char **out)
{
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);

    (void)v;
    (void)suffix;
    if (ctx->message == NULL)
        return EXPAND_OK;
    for (const struct header *h = ctx->message->acl_added; h != NULL; h = h->next) {
        size_t len = h->len;

        len -= len > 0 && h->text[len - 1] == '\n';
        if (b.len > 0)
            buf_add_char(&b, '\n');
        buf_add(&b, h->text, len);
    }
    return eval_buf(ctx, &b, out);
}

/* Raw, but for white space at the ends: an empty Reply-To: does not count. */
enum expand_rc variable_reply_address(struct expand_ctx *ctx, const struct variable *v,
                                      const char *suffix, const char **out)
{
    static const char *const names[] = { "reply-to", "from" };

    (void)v;
    (void)suffix;
    for (size_t i = 0; ctx->message != NULL && i < ARRAY_LEN(names); i++) {
        const char *s =
            header_value(ctx->arena, &ctx->message->headers, names[i], HEADER_RAW, NULL);
        struct str text = str_trim(str_from(s));

        if (text.len > 0) {
            *out = str_dup(ctx->arena, text);
            break;
        }
    }
    return EXPAND_OK;
}

/* ---- body ---- */

/* which: 1 the end of it. */
enum expand_rc variable_message_body(struct expand_ctx *ctx, const struct variable *v,
                                     const char *suffix, const char **out)
{
    enum { VISIBLE_DEFAULT = 500 };
    const struct main_options *o = options(ctx);
    size_t max = o == NULL || o->message_body_visible < 0
                     ? VISIBLE_DEFAULT
                     : (size_t)o->message_body_visible;

    (void)suffix;
    if (ctx->message != NULL && body_is_there(&ctx->message->body))
        *out = message_body_text(ctx->message, max, v->which == 1,
                                 o != NULL && o->message_body_newlines);
    return EXPAND_OK;
}

enum expand_rc variable_message_body_size(struct expand_ctx *ctx,
                                          const struct variable *v, const char *suffix,
                                          const char **out)
{
    (void)v;
    (void)suffix;
    return eval_number(ctx, ctx->message == NULL ? 0 : ctx->message->body.size, out);
}

/* ---- envelope ---- */

/* which: 0 local part, 1 domain of the sender. */
enum expand_rc variable_sender_part(struct expand_ctx *ctx, const struct variable *v,
                                    const char *suffix, const char **out)
{
    const char *sender = ctx->message == NULL ? NULL : ctx->message->sender;
    const char *at = sender == NULL ? NULL : strrchr(sender, '@');

    (void)suffix;
    if (at == NULL)
        return EXPAND_OK;
    *out =
        v->which == 1 ? at + 1 : arena_strndup(ctx->arena, sender, (size_t)(at - sender));
    return EXPAND_OK;
}

/* Not for users' filters: it would tell them of Bcc recipients. */
enum expand_rc variable_recipients(struct expand_ctx *ctx, const struct variable *v,
                                   const char *suffix, const char **out)
{
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);
    const struct message *m = ctx->message;

    (void)suffix;
    if (!ctx->recipients_visible)
        return eval_fail(ctx, "unknown variable name \"%s\"", v->name);
    for (size_t i = 0; m != NULL && i < m->recipient_count; i++) {
        buf_add_cstr(&b, i == 0 ? "" : ", ");
        buf_add_cstr(&b, m->recipients[i].address);
    }
    return eval_buf(ctx, &b, out);
}

/* ---- time and scores ---- */

enum expand_rc variable_message_age(struct expand_ctx *ctx, const struct variable *v,
                                    const char *suffix, const char **out)
{
    time_t now = ctx->delivery != NULL ? ctx->delivery->now : tod_now().tv_sec;

    (void)v;
    (void)suffix;
    if (ctx->message == NULL || ctx->message->received.tv_sec == 0)
        return EXPAND_OK;
    time_t age = now - ctx->message->received.tv_sec;
    return eval_number(ctx, age < 0 ? 0 : age, out);
}

enum expand_rc variable_received_time(struct expand_ctx *ctx, const struct variable *v,
                                      const char *suffix, const char **out)
{
    (void)v;
    (void)suffix;
    return eval_number(ctx, ctx->message == NULL ? 0 : ctx->message->received.tv_sec,
                       out);
}

/* "63" becomes "6.3". */
enum expand_rc variable_spam_score(struct expand_ctx *ctx, const struct variable *v,
                                   const char *suffix, const char **out)
{
    const char *tenths = ctx->message == NULL ? NULL : ctx->message->spam_score_int;
    long n;

    (void)v;
    (void)suffix;
    if (tenths != NULL && cstr_to_long(tenths, &n))
        *out = arena_printf(ctx->arena, "%s%ld.%ld", n < 0 ? "-" : "", labs(n) / 10,
                            labs(n) % 10);
    return EXPAND_OK;
}
