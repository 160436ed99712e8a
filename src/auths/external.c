#include <string.h>

#include "auths/auth.h"
#include "auths/certificate.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/base64.h"
#include "config/config.h"
#include "expand.h"

/* RFC 4422 appendix A: who the client is was shown by other means, the TLS certificate.
 */
struct external {
    struct authenticator base;
    const struct expr *server_param2, *server_param3;
    const struct expr *client_send;
};

/* clang-format off */
static const struct option options[] = {
    OPTION_EXPAND(struct external, client_send, NULL),
    OPTION_EXPAND(struct external, server_param2, NULL),
    OPTION_EXPAND(struct external, server_param3, NULL),
};
/* clang-format on */

static bool external_check(struct authenticator *au, const struct config *cfg,
                           struct err *err)
{
    const struct external *ex = (const struct external *)(const void *)au;

    (void)cfg;
    (void)err;
    au->server = au->server_condition != NULL;
    au->client = ex->client_send != NULL;
    return true;
}

static enum auth_rc external_server(const struct authenticator *au,
                                    struct auth_server_call *call)
{
    const struct external *ex = (const struct external *)(const void *)au;
    const struct expr *const params[3] = { ex->server_param2, ex->server_param3, NULL };
    struct str data = { "", 0 };
    enum auth_rc rc = AUTH_OK;

    if (call->initial == NULL)
        rc = call->challenge(call->arg, data, &data);
    else if (strcmp(call->initial, "=") != 0 &&
             !base64_decode(call->ctx->arena, str_from(call->initial), &data))
        rc = AUTH_BAD64;
    if (rc != AUTH_OK)
        return rc;
    auth_set_value(call->ctx, 1, data);
    rc = certificate_params(call, params, 2);
    return rc == AUTH_OK
               ? auth_check_condition(call->ctx, au->server_condition, &call->err)
               : rc;
}

static enum auth_rc external_client(const struct authenticator *au,
                                    struct auth_client_call *call)
{
    const struct external *ex = (const struct external *)(const void *)au;
    struct arena *a = call->ctx->arena;
    const char *identity, *text;
    int code;

    enum expand_rc rc = expand(call->ctx, ex->client_send, &identity);
    if (rc != EXPAND_OK) {
        if (rc != EXPAND_FORCED)
            call->err = call->ctx->err;
        return rc == EXPAND_FORCED ? AUTH_CANCELLED : AUTH_DEFER;
    }
    const char *b64 =
        *identity != '\0' ? base64_encode(a, identity, strlen(identity)) : "=";
    if (!call->exchange(call->arg, arena_printf(a, "AUTH %s %s", au->public_name, b64),
                        &code, &text))
        return AUTH_ERROR;
    return auth_client_verdict(code) == AUTH_OK ? AUTH_OK : AUTH_FAIL;
}

const struct auth_driver auth_external = {
    .name = "external",
    .instance_size = sizeof(struct external),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .check = external_check,
    .server = external_server,
    .client = external_client,
};
