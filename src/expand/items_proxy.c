#include "expand/item_handlers.h"

#include "base/ctype.h"
#include "base/str.h"
#include "proxy.h"
#include "session.h"

/* ${proxytlv{0xEA}{yes}{no}}: the value of a TLV of the PROXY header, as $value. */
bool item_proxytlv_parse(struct compiler *c, struct item_node *n)
{
    return compile_arg(c, "type arg", "proxytlv", &n->arg[0]) &&
           branches_compile(c, n->item->name, &n->branches);
}

/* A decimal or, with 0x, hexadecimal byte. */
static bool parse_type(const char *s, uint8_t *type)
{
    int base = 10, v = 0;

    if (cstr_istarts(s, "0x")) {
        base = 16;
        s += 2;
    }
    const char *p = s;
    for (; *p != '\0' && v <= UINT8_MAX; p++) {
        int digit = hex_value(*p);

        if (digit < 0 || digit >= base)
            return false;
        v = v * base + digit;
    }
    *type = (uint8_t)v;
    return p > s && v <= UINT8_MAX;
}

enum expand_rc item_proxytlv(struct expand_ctx *ctx, const struct item_node *n,
                             const char **out)
{
    const struct proxy_state *p = ctx->session == NULL ? NULL : ctx->session->proxy;
    const char *text, *value = NULL;
    struct str tlv;
    uint8_t type;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &text);

    if (rc != EXPAND_OK)
        return rc;
    if (!parse_type(text, &type))
        return eval_fail(ctx,
                         "first argument of \"proxytlv\" must be a number from 0 to 255");
    if (p != NULL && p->ok && proxy_tlv_find(p->header.tlvs, type, &tlv))
        value = cstr_printable_len(ctx->arena, tlv.p, tlv.len, false);
    return branches_value(ctx, &n->branches, value, out);
}
