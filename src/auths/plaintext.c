#include <string.h>

#include "auths/auth.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/base64.h"
#include "base/list.h"
#include "config/config.h"
#include "expand.h"

struct plaintext {
    struct authenticator base;
    const struct expr *server_prompts;
    const char *client_send; /* split before its items are expanded */
    bool client_ignore_invalid_base64;
};

/* clang-format off */
static const struct option options[] = {
    OPTION_BOOL(struct plaintext, client_ignore_invalid_base64, false),
    OPTION_STRING(struct plaintext, client_send, NULL),
    OPTION_EXPAND(struct plaintext, server_prompts, NULL),
};
/* clang-format on */

static bool plaintext_check(struct authenticator *au, const struct config *cfg,
                            struct err *err)
{
    const struct plaintext *pt = (const struct plaintext *)(const void *)au;

    (void)cfg;
    (void)err;
    au->server = au->server_condition != NULL;
    au->client = pt->client_send != NULL;
    return true;
}

/* What came with the AUTH command. "=" stands for an empty string (RFC 4954). */
static enum auth_rc take_initial(struct auth_server_call *call, int *n)
{
    struct str data = { "", 0 };

    if (strcmp(call->initial, "=") != 0 &&
        !base64_decode(call->ctx->arena, str_from(call->initial), &data))
        return AUTH_BAD64;
    auth_set_values(call->ctx, data, n);
    return AUTH_OK;
}

static enum auth_rc plaintext_server(const struct authenticator *au,
                                     struct auth_server_call *call)
{
    const struct plaintext *pt = (const struct plaintext *)(const void *)au;
    struct expand_ctx *ctx = call->ctx;
    const char *prompts = "";
    int n = 0;

    if (expand(ctx, pt->server_prompts, &prompts) != EXPAND_OK) {
        call->err = ctx->err;
        return AUTH_DEFER;
    }
    enum auth_rc rc = call->initial != NULL ? take_initial(call, &n) : AUTH_OK;
    if (rc != AUTH_OK)
        return rc;
    struct list_iter it = list_begin(prompts, ':');
    const char *prompt;
    for (int i = 0; (prompt = list_next(&it, ctx->arena)) != NULL; i++) {
        struct str response;

        if (i < n)
            continue;
        rc = call->challenge(call->arg, str_from(prompt), &response);
        if (rc != AUTH_OK)
            return rc;
        auth_set_values(ctx, response, &n);
    }
    return auth_check_condition(ctx, au->server_condition, &call->err);
}

/* Circumflexes stand for NULs; two of them for one circumflex. */
static struct str with_nuls(struct arena *a, const char *text)
{
    char *out = arena_strdup(a, text);
    size_t len = 0;

    for (const char *p = text; *p != '\0'; p++) {
        if (*p != '^')
            out[len++] = *p;
        else if (p[1] == '^')
            out[len++] = *p++;
        else
            out[len++] = '\0';
    }
    return (struct str){ out, len };
}

static enum auth_rc send_item(const struct authenticator *au,
                              struct auth_client_call *call, const char *item, bool first,
                              int *code)
{
    struct expand_ctx *ctx = call->ctx;
    const char *value, *reply, *line;
    const struct expr *e = expr_compile(ctx->arena, item, &call->err);
    enum expand_rc rc = e == NULL ? EXPAND_FAIL : expand(ctx, e, &value);

    if (rc != EXPAND_OK) {
        if (rc != EXPAND_FORCED && e != NULL)
            call->err = ctx->err;
        if (!first && !call->exchange(call->arg, "*", code, &reply))
            return AUTH_ERROR;
        return rc == EXPAND_FORCED ? AUTH_CANCELLED : AUTH_DEFER;
    }
    struct str data = with_nuls(ctx->arena, value);
    const char *b64 = base64_encode(ctx->arena, data.p, data.len);
    if (first)
        line = arena_printf(ctx->arena, "AUTH %s%s%s", au->public_name,
                            data.len > 0 ? " " : "", b64);
    else
        line = b64;
    return call->exchange(call->arg, line, code, &call->err.msg) ? AUTH_OK : AUTH_ERROR;
}

static enum auth_rc plaintext_client(const struct authenticator *au,
                                     struct auth_client_call *call)
{
    const struct plaintext *pt = (const struct plaintext *)(const void *)au;
    struct expand_ctx *ctx = call->ctx;
    struct list_iter it = list_begin(pt->client_send, ':');
    const char *item;
    int code = 0;

    for (int i = 0; (item = list_next(&it, ctx->arena)) != NULL; i++) {
        enum auth_rc rc = send_item(au, call, item, i == 0, &code);

        if (rc != AUTH_OK)
            return rc;
        rc = auth_client_verdict(code);
        if (rc != AUTH_UNEXPECTED) {
            if (rc == AUTH_OK)
                call->err.msg = NULL;
            return rc;
        }
        struct str prompt = { "", 0 };
        const char *text = call->err.msg;
        if (!auth_client_prompt(ctx, text, &prompt) &&
            !pt->client_ignore_invalid_base64) {
            const char *reply;

            (void)call->exchange(call->arg, "*", &code, &reply);
            call->err.msg = arena_printf(
                ctx->arena, "Invalid base64 string in server response \"%s\"", text);
            return AUTH_CANCELLED;
        }
        auth_set_value(ctx, i + 1, prompt);
    }
    const char *reply;
    (void)call->exchange(call->arg, "*", &code, &reply);
    call->err.msg = "the server asked for more than client_send has";
    return AUTH_CANCELLED;
}

const struct auth_driver auth_plaintext = {
    .name = "plaintext",
    .instance_size = sizeof(struct plaintext),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .check = plaintext_check,
    .server = plaintext_server,
    .client = plaintext_client,
};
