#include "expand/operator_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/idn2.h"
#include "base/str.h"
#include "expand/punycode.h"

/* UTF-8 to ISO-8859-1; what has no place there becomes an underscore. */
enum expand_rc op_from_utf8(struct expand_ctx *ctx, const struct operator_node *n,
                            const char *in, const char **out)
{
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);

    (void)n;
    while (*in != '\0') {
        uint32_t cp;

        in += utf8_decode(in, &cp);
        buf_add_char(&b, cp > 255 ? '_' : (char)cp);
    }
    return eval_buf(ctx, &b, out);
}

enum expand_rc op_utf8clean(struct expand_ctx *ctx, const struct operator_node *n,
                            const char *in, const char **out)
{
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);

    (void)n;
    while (*in != '\0') {
        uint32_t cp;
        size_t len = utf8_decode(in, &cp);

        if (cp == UINT32_MAX)
            buf_add_char(&b, '?');
        else
            buf_add(&b, in, len);
        in += len;
    }
    return eval_buf(ctx, &b, out);
}

static bool is_ascii(const char *s)
{
    while (*s != '\0' && (unsigned char)*s < 128)
        s++;
    return *s == '\0';
}

/* The library's string, copied into the arena. */
static enum expand_rc take(struct expand_ctx *ctx, char *text, const char **out)
{
    *out = arena_strdup(ctx->arena, text);
    idn2()->free(text);
    return EXPAND_OK;
}

static enum expand_rc failed(struct expand_ctx *ctx, const char *in, bool to_alabel,
                             const char *why)
{
    return eval_fail(ctx,
                     to_alabel ? "error converting utf8 (%s) to alabel: %s"
                               : "error converting alabel (%s) to utf8: %s",
                     cstr_printable(ctx->arena, in, false), why);
}

enum expand_rc op_utf8_domain_to_alabel(struct expand_ctx *ctx,
                                        const struct operator_node *n, const char *in,
                                        const char **out)
{
    char *text = NULL;

    (void)n;
    *out = in;
    if (is_ascii(in))
        return EXPAND_OK;
    int rc = idn2()->lookup_u8((const uint8_t *)in, (uint8_t **)&text,
                            IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    return rc == IDN2_OK ? take(ctx, text, out)
                         : failed(ctx, in, true, idn2()->strerror(rc));
}

enum expand_rc op_utf8_domain_from_alabel(struct expand_ctx *ctx,
                                          const struct operator_node *n, const char *in,
                                          const char **out)
{
    char *text = NULL;
    int rc = idn2()->to_unicode_8z8z(in, &text, 0);

    (void)n;
    return rc == IDN2_OK ? take(ctx, text, out)
                         : failed(ctx, in, false, idn2()->strerror(rc));
}

/* Local parts: the whole as one Punycode string. */
enum expand_rc op_utf8_localpart_to_alabel(struct expand_ctx *ctx,
                                           const struct operator_node *n, const char *in,
                                           const char **out)
{
    const char *why;

    (void)n;
    *out = in;
    if (is_ascii(in))
        return EXPAND_OK;
    const char *text = punycode_encode(ctx->arena, in, &why);
    if (text == NULL)
        return failed(ctx, in, true, why);
    *out = arena_printf(ctx->arena, "xn--%s", text);
    return EXPAND_OK;
}

enum expand_rc op_utf8_localpart_from_alabel(struct expand_ctx *ctx,
                                             const struct operator_node *n,
                                             const char *in, const char **out)
{
    const char *why;

    (void)n;
    if (!cstr_starts(in, "xn--"))
        return failed(ctx, in, false, "bad alabel prefix");
    *out = punycode_decode(ctx->arena, in + 4, &why);
    return *out != NULL ? EXPAND_OK : failed(ctx, in, false, why);
}
