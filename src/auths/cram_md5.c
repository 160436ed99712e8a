#include <string.h>
#include <unistd.h>

#include "auths/auth.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/base64.h"
#include "base/digest.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"

struct cram_md5 {
    struct authenticator base;
    const struct expr *server_secret;
    const struct expr *client_name, *client_secret;
};

/* clang-format off */
static const struct option options[] = {
    OPTION_EXPAND(struct cram_md5, client_name, "$primary_hostname"),
    OPTION_EXPAND(struct cram_md5, client_secret, NULL),
    OPTION_EXPAND(struct cram_md5, server_secret, NULL),
};
/* clang-format on */

static bool cram_md5_check(struct authenticator *au, const struct config *cfg,
                           struct err *err)
{
    const struct cram_md5 *cm = (const struct cram_md5 *)(const void *)au;

    (void)cfg;
    (void)err;
    au->server = cm->server_secret != NULL;
    au->client = cm->client_secret != NULL;
    return true;
}

/* Lower-case hex of HMAC-MD5 (RFC 2195). */
static const char *answer(struct arena *a, const char *secret, struct str challenge)
{
    unsigned char md[DIGEST_MAX];
    size_t len = digest_hmac("md5", str_from(secret), challenge, md);

    return len == 0 ? NULL : hex_encode(a, md, len, false);
}

static bool same(const char *a, const char *b, size_t len)
{
    unsigned char differ = 0;

    for (size_t i = 0; i < len; i++)
        differ |= (unsigned char)(a[i] ^ b[i]);
    return differ == 0;
}

static enum auth_rc cram_md5_server(const struct authenticator *au,
                                    struct auth_server_call *call)
{
    const struct cram_md5 *cm = (const struct cram_md5 *)(const void *)au;
    struct expand_ctx *ctx = call->ctx;
    struct arena *a = ctx->arena;
    const char *secret;
    struct str response;

    if (call->initial != NULL)
        return AUTH_UNEXPECTED;
    const char *challenge = arena_printf(
        a, "<%ld.%lld%08x@%s>", (long)getpid(), (long long)tod_now().tv_sec,
        (unsigned)random_below(UINT32_MAX), ctx->exim->config->primary_hostname);
    enum auth_rc rc = call->challenge(call->arg, str_from(challenge), &response);
    if (rc != AUTH_OK)
        return rc;
    const char *text = str_dup(a, response), *space = strrchr(text, ' ');
    size_t name_len = space != NULL ? (size_t)(space - text) : 0;
    while (name_len > 0 && text[name_len - 1] == ' ')
        name_len--;
    if (space == NULL || strlen(text) != response.len || strlen(space + 1) != 32)
        return AUTH_BAD64;
    auth_set_value(ctx, 1, (struct str){ text, name_len });
    switch (expand(ctx, cm->server_secret, &secret)) {
    case EXPAND_OK:
        break;
    case EXPAND_FORCED:
        return AUTH_FAIL;
    default:
        call->err = ctx->err;
        return AUTH_DEFER;
    }
    const char *want = answer(a, secret, str_from(challenge));
    if (want == NULL) {
        call->err.msg = "MD5 is not available";
        return AUTH_DEFER;
    }
    if (!same(want, space + 1, 32))
        return AUTH_FAIL;
    return au->server_condition != NULL
               ? auth_check_condition(ctx, au->server_condition, &call->err)
               : AUTH_OK;
}

static enum auth_rc give_up(struct auth_client_call *call, const char *why)
{
    const char *reply;
    int code;

    (void)call->exchange(call->arg, "*", &code, &reply);
    call->err.msg = why;
    return AUTH_CANCELLED;
}

static enum auth_rc cram_md5_client(const struct authenticator *au,
                                    struct auth_client_call *call)
{
    const struct cram_md5 *cm = (const struct cram_md5 *)(const void *)au;
    struct expand_ctx *ctx = call->ctx;
    struct arena *a = ctx->arena;
    const char *name, *secret, *text;
    struct str challenge;
    int code;

    enum expand_rc rc = expand(ctx, cm->client_secret, &secret);
    if (rc == EXPAND_OK)
        rc = expand(ctx, cm->client_name, &name);
    if (rc != EXPAND_OK) {
        if (rc != EXPAND_FORCED)
            call->err = ctx->err;
        return rc == EXPAND_FORCED ? AUTH_CANCELLED : AUTH_DEFER;
    }
    if (!call->exchange(call->arg, arena_printf(a, "AUTH %s", au->public_name), &code,
                        &text))
        return AUTH_ERROR;
    if (code / 100 != 3)
        return AUTH_FAIL;
    if (!auth_client_prompt(ctx, text, &challenge))
        return give_up(
            call, arena_printf(a, "bad base64 string in server challenge: %s", text));
    const char *digest = answer(a, secret, challenge);
    if (digest == NULL)
        return give_up(call, "MD5 is not available");
    const char *line = arena_printf(a, "%s %s", name, digest);
    if (!call->exchange(call->arg, base64_encode(a, line, strlen(line)), &code, &text))
        return AUTH_ERROR;
    return auth_client_verdict(code) == AUTH_OK ? AUTH_OK : AUTH_FAIL;
}

const struct auth_driver auth_cram_md5 = {
    .name = "cram_md5",
    .instance_size = sizeof(struct cram_md5),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .check = cram_md5_check,
    .server = cram_md5_server,
    .client = cram_md5_client,
};
