#include "auths/certificate.h"

#include "expand.h"

enum auth_rc certificate_params(struct auth_server_call *call,
                                const struct expr *const params[3], int first)
{
    struct expand_ctx *ctx = call->ctx;

    for (int i = 0; i < 3; i++) {
        const char *value;

        if (params[i] == NULL)
            continue;
        switch (expand(ctx, params[i], &value)) {
        case EXPAND_OK:
            auth_set_value(ctx, first + i, str_from(value));
            break;
        case EXPAND_FORCED:
            return AUTH_FAIL;
        default:
            call->err = ctx->err;
            return AUTH_DEFER;
        }
    }
    return AUTH_OK;
}
