#include "expand/item_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/digest.h"
#include "base/str.h"
#include "expand/strings.h"
#include "regex.h"

/* ${name{number}{number}{string}}, the second number optional. */
struct counted {
    long n, m; /* m -1: not given */
    const char *s;
};

static enum expand_rc counted_args(struct expand_ctx *ctx, const struct item_node *n,
                                   bool may_be_negative, struct counted *out)
{
    const char *v[ITEM_ARG_MAX];
    const char *name = n->item->name;
    enum expand_rc rc = item_args(ctx, n, v);

    *out = (struct counted){ .m = -1, .s = v[n->narg - 1] };
    if (rc == EXPAND_OK)
        rc = strings_number(ctx, v[0], may_be_negative, name, &out->n);
    if (rc == EXPAND_OK && n->narg == 3)
        rc = strings_number(ctx, v[1], false, name, &out->m);
    return rc;
}

enum expand_rc item_substr(struct expand_ctx *ctx, const struct item_node *n,
                           const char **out)
{
    struct counted c;
    enum expand_rc rc = counted_args(ctx, n, true, &c);

    if (rc == EXPAND_OK)
        *out = strings_substr(ctx, c.s, c.n, c.m, c.m >= 0);
    return rc;
}

enum expand_rc item_length(struct expand_ctx *ctx, const struct item_node *n,
                           const char **out)
{
    struct counted c;
    enum expand_rc rc = counted_args(ctx, n, false, &c);

    if (rc == EXPAND_OK)
        *out = strings_length(ctx, c.s, c.n);
    return rc;
}

enum expand_rc item_hash(struct expand_ctx *ctx, const struct item_node *n,
                         const char **out)
{
    struct counted c;
    enum expand_rc rc = counted_args(ctx, n, false, &c);

    return rc != EXPAND_OK ? rc : strings_hash(ctx, c.s, c.n, c.m, out);
}

enum expand_rc item_nhash(struct expand_ctx *ctx, const struct item_node *n,
                          const char **out)
{
    struct counted c;
    enum expand_rc rc = counted_args(ctx, n, false, &c);

    return rc != EXPAND_OK ? rc : strings_nhash(ctx, c.s, c.n, c.m, out);
}

enum expand_rc item_hmac(struct expand_ctx *ctx, const struct item_node *n,
                         const char **out)
{
    const char *v[ITEM_ARG_MAX];
    unsigned char mac[DIGEST_MAX];
    enum expand_rc rc = item_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    if (strcmp(v[0], "md5") != 0 && strcmp(v[0], "sha1") != 0)
        return eval_fail(ctx, "hmac algorithm \"%s\" is not recognised", v[0]);
    size_t len = digest_hmac(v[0], str_from(v[1]), str_from(v[2]), mac);
    if (len == 0)
        return eval_fail(ctx, "hmac algorithm \"%s\" is not available", v[0]);
    *out = hex_encode(ctx->arena, mac, len, false);
    return EXPAND_OK;
}

/* An empty item is written as a space: it would not be an item otherwise. */
enum expand_rc item_listquote(struct expand_ctx *ctx, const struct item_node *n,
                              const char **out)
{
    const char *v[ITEM_ARG_MAX];
    enum expand_rc rc = item_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);
    for (const char *p = v[1]; *p != '\0'; p++) {
        if (*p == *v[0])
            buf_add_char(&b, *p);
        buf_add_char(&b, *p);
    }
    if (*v[1] == '\0')
        buf_add_char(&b, ' ');
    return eval_buf(ctx, &b, out);
}

enum expand_rc item_tr(struct expand_ctx *ctx, const struct item_node *n,
                       const char **out)
{
    const char *v[ITEM_ARG_MAX];
    char map[256];
    enum expand_rc rc = item_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    const char *from = v[1], *to = v[2];
    size_t to_len = strlen(to);
    for (int i = 0; i < 256; i++)
        map[i] = (char)i;
    for (size_t i = 0; from[i] != '\0' && to_len > 0; i++)
        map[(unsigned char)from[i]] = to[i < to_len ? i : to_len - 1];
    char *s = arena_strdup(ctx->arena, v[0]);
    for (char *p = s; *p != '\0'; p++)
        *p = map[(unsigned char)*p];
    *out = s;
    return EXPAND_OK;
}

/* ---- sg ---- */

struct sg {
    const void *regex;
    const struct expr *replacement; /* compiled when its text is constant, else NULL */
};

bool item_sg_parse(struct compiler *c, struct item_node *n)
{
    struct sg *sg = arena_new_obj(c->a, struct sg);

    if (!item_plain_args(c, n))
        return false;
    sg->regex = regex_arg_compile(c, n->arg[1]);
    const char *text = compile_constant(n->arg[2]);
    if (text != NULL)
        sg->replacement = expr_compile(c->a, text, NULL); /* bad ones fail when used */
    n->extra = sg;
    return sg->regex != NULL;
}

/* One run of a substitution: what is matched, and where the result goes. */
struct substitution {
    const struct regex *re;
    const struct expr *replacement;
    struct str subject;
    struct buf out;
    size_t at;        /* subject before this is dealt with */
    bool after_empty; /* the last match was empty: the next one there must not be */
};

static void set_captures(struct expand_ctx *ctx, struct str subject,
                         const struct regex_spans *m)
{
    ctx->captures = (struct captures){ .count = m->count };
    for (int i = 0; i < m->count; i++) {
        struct regex_span s = m->v[i];

        ctx->captures.v[i] = s.from < 0 ? ""
                                        : arena_strndup(ctx->arena, subject.p + s.from,
                                                        (size_t)(s.to - s.from));
    }
}

static enum expand_rc replace(struct expand_ctx *ctx, struct substitution *s,
                              const struct regex_spans *m)
{
    const char *text;

    set_captures(ctx, s->subject, m);
    enum expand_rc rc = expand(ctx, s->replacement, &text);
    if (rc != EXPAND_OK)
        return rc;
    size_t from = m->v[0].from < 0 ? s->at : (size_t)m->v[0].from;
    size_t to = m->v[0].to < 0 ? from : (size_t)m->v[0].to;
    if (from < s->at) /* \K and look-behind may reach back */
        from = s->at;
    if (to < from)
        to = from;
    buf_add(&s->out, s->subject.p + s->at, from - s->at);
    buf_add_cstr(&s->out, text);
    s->after_empty = to == from;
    s->at = to;
    return EXPAND_OK;
}

static enum expand_rc substitute(struct expand_ctx *ctx, struct substitution *s)
{
    while (!s->out.full) {
        const struct regex_search at = { s->subject, s->at, s->after_empty };
        struct regex_spans m;
        enum rc rc = regex_find(s->re, &at, &m, ctx->arena, &ctx->err);

        if (rc == RC_DEFER)
            return EXPAND_FAIL;
        if (rc == RC_OK) {
            enum expand_rc erc = replace(ctx, s, &m);

            if (erc != EXPAND_OK)
                return erc;
            continue;
        }
        if (!s->after_empty || s->at >= s->subject.len)
            break;
        buf_add_char(&s->out, s->subject.p[s->at++]);
        s->after_empty = false;
    }
    buf_add(&s->out, s->subject.p + s->at, s->subject.len - s->at);
    return EXPAND_OK;
}

enum expand_rc item_sg(struct expand_ctx *ctx, const struct item_node *n,
                       const char **out)
{
    const struct sg *sg = n->extra;
    const char *v[ITEM_ARG_MAX];
    struct eval_saved saved;
    enum expand_rc rc = item_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    struct substitution s = { .re = regex_arg_get(ctx, sg->regex, v[1]),
                              .replacement = sg->replacement,
                              .subject = str_from(v[0]),
                              .out = buf_init(ctx->arena, EXPAND_RESULT_MAX) };
    if (s.re == NULL)
        return EXPAND_FAIL;
    if (!regex_test(s.re, s.subject)) {
        *out = v[0];
        return EXPAND_OK;
    }
    if (s.replacement == NULL)
        s.replacement = expr_compile(ctx->arena, v[2], &ctx->err);
    if (s.replacement == NULL)
        return EXPAND_FAIL;
    eval_save(ctx, &saved);
    rc = substitute(ctx, &s);
    eval_restore(ctx, &saved);
    return rc != EXPAND_OK ? rc : eval_buf(ctx, &s.out, out);
}
