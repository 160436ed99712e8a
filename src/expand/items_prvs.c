#include "expand/item_handlers.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/ctype.h"
#include "base/digest.h"
#include "base/str.h"
#include "base/tod.h"

/* Bounce address tags: prvs=KDDDSSSSSS=local@domain, K the number of the key, DDD the day
 * it ends, SSSSSS the start of an HMAC. */
enum { DAY = 24 * 60 * 60, VALID_DAYS = 7, DAYS_MODULO = 1000, TAG_HEX = 6 };

static long today(void)
{
    return (long)(tod_now().tv_sec / DAY % DAYS_MODULO);
}

/* The start of HMAC-SHA1 over key number, day and address. */
static const char *signature(struct expand_ctx *ctx, const char *address,
                             const char *secret, char key, const char *day)
{
    unsigned char mac[DIGEST_MAX];
    const char *text = arena_printf(ctx->arena, "%c%s%s", key, day, address);
    size_t len = digest_hmac("sha1", str_from(secret), str_from(text), mac);

    return hex_encode(ctx->arena, mac, len < TAG_HEX / 2 ? len : TAG_HEX / 2, false);
}

enum expand_rc item_prvs(struct expand_ctx *ctx, const struct item_node *n,
                         const char **out)
{
    const char *v[ITEM_ARG_MAX];
    char key = '0';
    enum expand_rc rc = item_args(ctx, n, v);

    if (rc != EXPAND_OK)
        return rc;
    const char *at = strrchr(v[0], '@');
    if (at == NULL || at == v[0] || at[1] == '\0')
        return eval_fail(ctx, "prvs first argument must be a qualified email address");
    if (v[2] != NULL) {
        if (!is_digit(*v[2]) || v[2][1] != '\0')
            return eval_fail(ctx, "prvs third argument must be a single digit");
        key = *v[2];
    }
    const char *day =
        arena_printf(ctx->arena, "%03ld", (today() + VALID_DAYS) % DAYS_MODULO);
    *out = arena_printf(ctx->arena, "prvs=%c%s%s=%s", key, day,
                        signature(ctx, v[0], v[1], key, day), v[0]);
    return EXPAND_OK;
}

/* ---- checking ---- */

struct tag {
    char key;
    const char *day, *signature, *address;
};

/* K DDD SSSSSS '=' and a qualified address. */
static bool parse_tag(struct arena *a, const char *s, struct tag *t)
{
    if (!cstr_istarts(s, "prvs="))
        return false;
    s += 5;
    for (int i = 0; i < 4; i++)
        if (!is_digit(s[i]))
            return false;
    for (int i = 4; i < 4 + TAG_HEX; i++)
        if (!is_xdigit(s[i]))
            return false;
    const char *address = s + 4 + TAG_HEX;
    if (*address++ != '=' || strchr(address, '@') == NULL)
        return false;
    *t = (struct tag){ *s, arena_strndup(a, s + 1, 3), arena_strndup(a, s + 4, TAG_HEX),
                       address };
    return true;
}

static bool expired(const struct tag *t)
{
    long left = strtol(t->day, NULL, 10) - today();

    if (left < 0)
        left += DAYS_MODULO;
    return left > VALID_DAYS;
}

static enum expand_rc check_secret(struct expand_ctx *ctx, const struct item_node *n,
                                   const struct tag *t)
{
    const char *secret;
    enum expand_rc rc = eval_nodes(ctx, n->arg[1], &secret);

    if (rc != EXPAND_OK)
        return rc;
    const char *want = signature(ctx, t->address, secret, t->key, t->day);
    ctx->prvscheck_result = strcmp(want, t->signature) == 0 && !expired(t) ? "1" : "";
    return EXPAND_OK;
}

/* $prvscheck_address and _keynum are there for the second and third argument only. */
enum expand_rc item_prvscheck(struct expand_ctx *ctx, const struct item_node *n,
                              const char **out)
{
    const char *address, *old_address = ctx->prvscheck_address,
                         *old_key = ctx->prvscheck_keynum;
    struct tag t;
    enum expand_rc rc = eval_nodes(ctx, n->arg[0], &address);

    if (rc != EXPAND_OK)
        return rc;
    *out = "";
    if (!parse_tag(ctx->arena, address, &t))
        return EXPAND_OK;
    ctx->prvscheck_address = t.address;
    ctx->prvscheck_keynum = arena_strndup(ctx->arena, &t.key, 1);
    rc = check_secret(ctx, n, &t);
    if (rc == EXPAND_OK)
        rc = eval_nodes(ctx, n->arg[2], out);
    if (rc == EXPAND_OK && **out == '\0')
        *out = t.address;
    ctx->prvscheck_address = old_address;
    ctx->prvscheck_keynum = old_key;
    return rc;
}
