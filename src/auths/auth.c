#include "auths/auth.h"

#include <string.h>

#include "base/arena.h"
#include "base/base64.h"
#include "expand.h"

/* $auth1.. : the context has room for them and for one more. */
enum { AUTH_VALUES = 3 };

void auth_set_value(struct expand_ctx *ctx, int n, struct str value)
{
    if (n < 1 || n > AUTH_VALUES)
        return;
    const char *text = str_dup(ctx->arena, value);
    ctx->auth[n - 1] = text;
    ctx->captures.v[n] = text;
    if (ctx->captures.count < n + 1)
        ctx->captures.count = n + 1;
    if (ctx->captures.v[0] == NULL)
        ctx->captures.v[0] = "";
}

void auth_set_values(struct expand_ctx *ctx, struct str data, int *n)
{
    for (;;) {
        const char *nul = memchr(data.p, '\0', data.len);
        size_t len = nul != NULL ? (size_t)(nul - data.p) : data.len;

        auth_set_value(ctx, ++*n, (struct str){ data.p, len });
        if (nul == NULL)
            return;
        data.p += len + 1;
        data.len -= len + 1;
    }
}

enum auth_rc auth_check_condition(struct expand_ctx *ctx, const struct expr *condition,
                                  struct err *err)
{
    static const char *const yes[] = { "1", "yes", "true" }, *const no[] = { "", "0",
                                                                             "no",
                                                                             "false" };
    const char *text;

    switch (expand(ctx, condition, &text)) {
    case EXPAND_OK:
        break;
    case EXPAND_FORCED:
        return AUTH_FAIL;
    default:
        *err = ctx->err;
        return AUTH_DEFER;
    }
    for (size_t i = 0; i < ARRAY_LEN(yes); i++)
        if (cstr_ieq(text, yes[i]))
            return AUTH_OK;
    for (size_t i = 0; i < ARRAY_LEN(no); i++)
        if (cstr_ieq(text, no[i]))
            return AUTH_FAIL;
    err->msg = text;
    return AUTH_DEFER;
}

bool auth_client_prompt(struct expand_ctx *ctx, const char *text, struct str *out)
{
    return base64_decode(ctx->arena, str_from(text), out);
}

enum auth_rc auth_client_verdict(int code)
{
    if (code / 100 == 2)
        return AUTH_OK;
    return code / 100 == 3 ? AUTH_UNEXPECTED : AUTH_FAIL;
}
