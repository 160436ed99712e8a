#include "auths/auth.h"
#include "auths/certificate.h"
#include "base/attr.h"
#include "config/config.h"
#include "expand.h"

/* No exchange of its own: a TLS session is taken for an authentication as soon as EHLO is
 * given. */
struct tls_auth {
    struct authenticator base;
    const struct expr *server_param1, *server_param2, *server_param3;
};

/* clang-format off */
static const struct option options[] = {
    { "server_param", KIND_EXPAND, offsetof(struct tls_auth, server_param1), OPTION_ALIAS, NULL, NULL },
    OPTION_EXPAND(struct tls_auth, server_param1, NULL),
    OPTION_EXPAND(struct tls_auth, server_param2, NULL),
    OPTION_EXPAND(struct tls_auth, server_param3, NULL),
};
/* clang-format on */

static bool tls_check(struct authenticator *au, const struct config *cfg, struct err *err)
{
    const struct tls_auth *t = (const struct tls_auth *)(const void *)au;

    (void)cfg;
    (void)err;
    au->server = t->server_param1 != NULL && au->server_condition != NULL;
    return true;
}

static enum auth_rc tls_server(const struct authenticator *au,
                               struct auth_server_call *call)
{
    const struct tls_auth *t = (const struct tls_auth *)(const void *)au;
    const struct expr *const params[3] = { t->server_param1, t->server_param2,
                                           t->server_param3 };
    enum auth_rc rc = certificate_params(call, params, 1);

    return rc == AUTH_OK
               ? auth_check_condition(call->ctx, au->server_condition, &call->err)
               : rc;
}

const struct auth_driver auth_tls = {
    .name = "tls",
    .instance_size = sizeof(struct tls_auth),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .check = tls_check,
    .server = tls_server,
};
