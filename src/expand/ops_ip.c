#include "expand/operator_handlers.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/ip.h"
#include "base/str.h"

/* ---- IPv6 forms ---- */

/* IPv4 addresses become ::ffff:a.b.c.d. */
static bool parse_ipv6(struct expand_ctx *ctx, const char *in, struct ip *ip)
{
    if (!ip_parse(in, ip))
        return eval_fail(ctx, "\"%s\" is not an IP address", in), false;
    if (ip->family == 4) {
        struct ip six = { .family = 6 };

        six.bytes[10] = six.bytes[11] = 0xff;
        memcpy(six.bytes + 12, ip->bytes, 4);
        *ip = six;
    }
    return true;
}

static unsigned group(const struct ip *ip, int i)
{
    return (unsigned)ip->bytes[2 * i] << 8 | ip->bytes[2 * i + 1];
}

enum expand_rc op_ipv6denorm(struct expand_ctx *ctx, const struct operator_node *n,
                             const char *in, const char **out)
{
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);
    struct ip ip;

    (void)n;
    if (!parse_ipv6(ctx, in, &ip))
        return EXPAND_FAIL;
    for (int i = 0; i < 8; i++)
        buf_printf(&b, "%s%04x", i == 0 ? "" : ":", group(&ip, i));
    return eval_buf(ctx, &b, out);
}

/* Exim shortens even a single zero group, and never writes dots. */
static void print_short(struct buf *b, const struct ip *ip)
{
    int best = 8, best_len = 0;

    for (int i = 0, len = 0; i < 8; i++) {
        len = group(ip, i) == 0 ? len + 1 : 0;
        if (len > best_len) {
            best_len = len;
            best = i - len + 1;
        }
    }
    for (int i = 0; i < 8; i++) {
        if (i == best) {
            buf_add_cstr(b, "::");
            i += best_len - 1;
            continue;
        }
        buf_printf(b, "%s%x", i == 0 || i == best + best_len ? "" : ":", group(ip, i));
    }
}

enum expand_rc op_ipv6norm(struct expand_ctx *ctx, const struct operator_node *n,
                           const char *in, const char **out)
{
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);
    struct ip ip;

    (void)n;
    if (!parse_ipv6(ctx, in, &ip))
        return EXPAND_FAIL;
    print_short(&b, &ip);
    return eval_buf(ctx, &b, out);
}

/* ---- mask ---- */

static enum expand_rc print_masked(struct expand_ctx *ctx, const struct ip *ip,
                                   unsigned bits, bool normal, const char **out)
{
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);
    char text[IP_TEXT_MAX];

    if (ip->family == 4)
        buf_add_cstr(&b, ip_print(ip, text));
    else if (normal)
        print_short(&b, ip);
    else /* dots: a colon would end the key in an lsearch file */
        for (int i = 0; i < 8; i++)
            buf_printf(&b, "%s%04x", i == 0 ? "" : ".", group(ip, i));
    buf_printf(&b, "/%u", bits);
    return eval_buf(ctx, &b, out);
}

enum expand_rc op_mask(struct expand_ctx *ctx, const struct operator_node *n,
                       const char *in, const char **out)
{
    const char *slash = strchr(in, '/');
    struct ip ip;
    unsigned bits = 0;

    if (slash == NULL)
        return eval_fail(ctx,
                         ip_parse(in, &ip) ? "missing mask value in \"%s\""
                                           : "\"%s\" is not an IP address",
                         in);
    const char *digits = slash + 1, *end = digits + strspn(digits, "0123456789");
    if (!ip_parse(arena_strndup(ctx->arena, in, (size_t)(slash - in)), &ip) ||
        *digits == '\0' || *end != '\0')
        return eval_fail(ctx, "\"%s\" is not an IP address", in);
    for (const char *p = digits; p < end && bits <= 128; p++)
        bits = bits * 10 + (unsigned)(*p - '0');
    if (bits > (ip.family == 4 ? 32U : 128U))
        return eval_fail(ctx, "mask value too big in \"%s\"", in);
    ip_mask(&ip, bits);
    return print_masked(ctx, &ip, bits, n->suffix != NULL && strcmp(n->suffix, "n") == 0,
                        out);
}

/* ---- reverse_ip ---- */

enum expand_rc op_reverse_ip(struct expand_ctx *ctx, const struct operator_node *n,
                             const char *in, const char **out)
{
    struct buf b = buf_init(ctx->arena, EXPAND_RESULT_MAX);
    struct ip ip;

    (void)n;
    if (!ip_parse(in, &ip))
        return eval_fail(ctx, "reverse_ip() not given an IP address [%s]", in);
    for (int i = (ip.family == 4 ? 4 : 16) - 1; i >= 0; i--)
        if (ip.family == 4)
            buf_printf(&b, "%u%s", ip.bytes[i], i > 0 ? "." : "");
        else
            buf_printf(&b, "%x.%x%s", ip.bytes[i] & 15, ip.bytes[i] >> 4,
                       i > 0 ? "." : "");
    return eval_buf(ctx, &b, out);
}
