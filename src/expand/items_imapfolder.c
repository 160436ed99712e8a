#include "expand/item_handlers.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "message.h"

/* A folder name as Courier names Maildirs: modified UTF-7 (RFC 2060, 5.1.3) with the
 * separator written as a dot. */
struct folder {
    struct buf out;
    uint32_t bits; /* of UTF-16 not yet written */
    unsigned nbits;
    bool shifted;   /* within &...- */
    bool after_sep; /* one dot is enough */
    char sep;
    const char *specials;
};

static const char *charset_of(const struct expand_ctx *ctx)
{
    const char *s = ctx->message == NULL ? NULL : ctx->message->headers_charset;

    if (s == NULL && ctx->exim != NULL && ctx->exim->config != NULL)
        s = ctx->exim->config->main.headers_charset;
    return s == NULL ? "ISO-8859-1" : s;
}

static bool to_utf16(struct expand_ctx *ctx, const char *in, struct str *out)
{
    iconv_t cd = iconv_open("UTF-16BE", charset_of(ctx));
    size_t left = strlen(in), room = left * 4 + 4;
    char *text = arena_strdup(ctx->arena, in),
         *to = arena_new_array(ctx->arena, char, room);

    if (cd == (iconv_t)-1)
        return eval_fail(ctx, "imapfolder: iconv_open(\"UTF-16BE\", \"%s\") failed: %s",
                         charset_of(ctx), strerror(errno)),
               false;
    out->p = to;
    bool ok = iconv(cd, &text, &left, &to, &room) != (size_t)-1;
    (void)iconv_close(cd);
    out->len = (size_t)(to - out->p);
    if (!ok)
        eval_fail(ctx, "imapfolder: \"%s\" is not valid in %s", in, charset_of(ctx));
    return ok;
}

static void put_base64(struct folder *f, bool flush)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

    if (flush && f->nbits > 0 && f->nbits < 6) {
        f->bits <<= 6 - f->nbits;
        f->nbits = 6;
    }
    while (f->nbits >= 6) {
        f->nbits -= 6;
        buf_add_char(&f->out, digits[f->bits >> f->nbits & 63]);
    }
}

static void put_plain(struct folder *f, char c)
{
    if (f->shifted) {
        put_base64(f, true);
        buf_add_char(&f->out, '-');
        f->nbits = 0;
        f->shifted = false;
    }
    if (c == '\0')
        return;
    buf_add_char(&f->out, c);
    if (c == '&')
        buf_add_char(&f->out, '-');
}

static void put_shifted(struct folder *f, unsigned unit)
{
    if (!f->shifted)
        buf_add_char(&f->out, '&');
    f->shifted = true;
    f->bits = f->bits << 16 | unit;
    f->nbits += 16;
    put_base64(f, false);
}

/* One UTF-16 unit; false with ctx->err when there is no way to write it. */
static bool put_unit(struct expand_ctx *ctx, struct folder *f, unsigned unit)
{
    bool ascii = unit >= ' ' && unit < 127;
    char c = ascii ? (char)unit : '\0';
    bool is_sep = ascii && c == f->sep, special = ascii && strchr(f->specials, c) != NULL;

    if (is_sep && !f->after_sep)
        put_plain(f, '.');
    else if (!is_sep && (c == '.' || c == '/') && !special)
        return eval_fail(ctx, "imapfolder: illegal character '%c'", c), false;
    else if (!is_sep && ascii && !special)
        put_plain(f, c);
    else if (!is_sep)
        put_shifted(f, unit);
    f->after_sep = is_sep;
    return true;
}

enum expand_rc item_imapfolder(struct expand_ctx *ctx, const struct item_node *n,
                               const char **out)
{
    const char *v[ITEM_ARG_MAX];
    struct str utf16;
    enum expand_rc rc = item_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    if (v[1] != NULL && strlen(v[1]) != 1)
        return eval_fail(ctx, "IMAP folder separator must be one character, found \"%s\"",
                         v[1]);
    struct folder f = { .out = buf_init(ctx->arena, EXPAND_RESULT_MAX),
                        .sep = v[1] == NULL ? '/' : *v[1],
                        .specials = v[2] == NULL ? "" : v[2] };
    if (!to_utf16(ctx, v[0], &utf16))
        return EXPAND_FAIL;
    for (size_t i = 0; i + 1 < utf16.len; i += 2) {
        unsigned unit =
            (unsigned)(unsigned char)utf16.p[i] << 8 | (unsigned char)utf16.p[i + 1];

        if (!put_unit(ctx, &f, unit))
            return EXPAND_FAIL;
    }
    put_plain(&f, '\0');
    return eval_buf(ctx, &f.out, out);
}
