#include "auths/generic.h"

#include <string.h>

#include "auths/auth.h"
#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "config/config.h"

#define A struct authenticator
/* clang-format off */
const struct option auth_options[] = {
    OPTION_EXPAND(A, client_condition, NULL),
    OPTION_EXPAND(A, client_set_id, NULL),
    { "driver", KIND_DRIVER, 0, 0, NULL, NULL },
    OPTION_STRING(A, public_name, NULL),
    OPTION_EXPAND(A, server_advertise_condition, NULL),
    OPTION_EXPAND(A, server_condition, NULL),
    OPTION_EXPAND(A, server_debug_print, NULL),
    OPTION_EXPAND(A, server_mail_auth_condition, NULL),
    OPTION_EXPAND(A, server_set_id, NULL),
};
/* clang-format on */
const size_t auth_option_count = ARRAY_LEN(auth_options);

/* ---- Checks ---- */

static bool check(void *instance, const struct driver_check *c, struct err *err)
{
    struct authenticator *au = instance;

    if (au->public_name == NULL || au->public_name[0] == '\0')
        au->public_name = cstr_upper(c->arena, au->name);
    for (const char *s = au->public_name; *s != '\0'; s++)
        if (!is_print(*s) || *s == ' ')
            return err_set(err, c->arena, "%s authenticator: public name is malformed",
                           au->name);
    return au->driver->check == NULL || au->driver->check(au, c->cfg, err);
}

static bool no_two_alike(const struct config *cfg, const struct authenticator *au)
{
    for (size_t i = 0; i < cfg->authenticator_count; i++) {
        const struct authenticator *other = cfg->authenticators[i];

        if (other == au)
            return true;
        if ((other->client && au->client) || (other->server && au->server))
            if (cstr_ieq(other->public_name, au->public_name))
                return false;
    }
    return true;
}

static bool check_all(void *instance, const struct driver_check *c, struct err *err)
{
    const struct authenticator *au = instance;

    if (!check(instance, c, err))
        return false;
    return no_two_alike(c->cfg, au) ||
           err_set(err, c->arena, "two %s authenticators have the same public name (%s)",
                   au->server ? "server" : "client", au->public_name);
}

/* ---- The family ---- */

static const struct driver_info *driver(size_t i)
{
    size_t count;
    const struct auth_driver *const *all = auth_drivers(&count);

    return i < count ? &all[i]->info : NULL;
}

const struct driver_family generic_authenticators = {
    .section = "authenticators",
    .noun = "authenticator",
    .base_size = sizeof(struct authenticator),
    .options = auth_options,
    .option_count = &auth_option_count,
    .driver = driver,
    .check = check_all,
};
