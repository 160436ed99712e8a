#include "routers/generic.h"

#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "config/config.h"
#include "config/custom.h"
#include "config/owner.h"
#include "host.h"
#include "routers/router.h"
#include "transports/transport.h"

/* ---- Options that set two members ---- */

static bool read_verify(const struct option_value *v, struct err *err)
{
    struct router *r = v->target;

    if (!option_bool_parse(v, &r->verify_recipient, err))
        return false;
    r->verify = r->verify_sender = r->verify_recipient;
    return true;
}

static bool read_fail_verify(const struct option_value *v, struct err *err)
{
    struct router *r = v->target;

    if (!option_bool_parse(v, &r->fail_verify_recipient, err))
        return false;
    r->fail_verify = r->fail_verify_sender = r->fail_verify_recipient;
    return true;
}

static const struct option_custom verify = { .boolean = true, .read = read_verify };
static const struct option_custom fail_verify = { .boolean = true,
                                                  .read = read_fail_verify };

#define R struct router
/* clang-format off */
const struct option router_options[] = {
    OPTION_EXPAND(R, address_data, NULL),
    OPTION_BOOL(R, address_test, true),
    OPTION_EXPAND(R, cannot_route_message, NULL),
    OPTION_BOOL(R, caseful_local_part, false),
    OPTION_BOOL(R, check_local_user, false),
    OPTION_TEXTS(KIND_CONDITION, R, condition),
    OPTION_EXPAND(R, debug_print, NULL),
    OPTION_BOOL(R, disable_logging, false),
    OPTION_DOMAIN_LIST(R, dnssec_request_domains, NULL),
    OPTION_DOMAIN_LIST(R, dnssec_require_domains, NULL),
    OPTION_DOMAIN_LIST(R, domains, NULL),
    { "driver", KIND_DRIVER, 0, 0, NULL, NULL },
#ifdef EXPERIMENTAL_DSN
    OPTION_BOOL(R, dsn_lasthop, false),
#endif
    OPTION_EXPAND(R, errors_to, NULL),
    OPTION_BOOL(R, expn, true),
    OPTION_CUSTOM("fail_verify", &fail_verify, OPTION_ALIAS),
    OPTION_BOOL(R, fail_verify_recipient, false),
    OPTION_BOOL(R, fail_verify_sender, false),
    OPTION_STRING(R, fallback_hosts, NULL),
    OPTION_GID(R, group, NULL),
    OPTION_TEXTS(KIND_HEADERS_ADD, R, headers_add),
    OPTION_TEXTS(KIND_HEADERS_REMOVE, R, headers_remove),
    OPTION_HOST_LIST(R, ignore_target_hosts, NULL),
    OPTION_BOOL(R, initgroups, false),
    OPTION_STRING(R, local_part_prefix, NULL),
    OPTION_BOOL(R, local_part_prefix_optional, false),
    OPTION_STRING(R, local_part_suffix, NULL),
    OPTION_BOOL(R, local_part_suffix_optional, false),
    OPTION_LOCAL_PART_LIST(R, local_parts, NULL),
    OPTION_BOOL(R, log_as_local, false),
    OPTION_EXPAND_BOOL(R, more, "true"),
    OPTION_BOOL(R, pass_on_timeout, false),
    OPTION_STRING(R, pass_router, NULL),
    OPTION_STRING(R, redirect_router, NULL),
    OPTION_EXPAND(R, require_files, NULL),
    OPTION_BOOL(R, retry_use_local_part, false),
    OPTION_EXPAND(R, router_home_directory, NULL),
    OPTION_STRING(R, self, "freeze"),
    OPTION_ADDRESS_LIST(R, senders, NULL),
    OPTION_TEXTS(KIND_SET, R, set),
    OPTION_EXPAND(R, translate_ip_address, NULL),
    OPTION_EXPAND(R, transport, NULL),
    OPTION_EXPAND(R, transport_current_directory, NULL),
    OPTION_EXPAND(R, transport_home_directory, NULL),
    OPTION_EXPAND_BOOL(R, unseen, "false"),
    OPTION_UID(R, user, NULL),
    OPTION_CUSTOM("verify", &verify, OPTION_ALIAS),
    OPTION_BOOL(R, verify_only, false),
    OPTION_BOOL(R, verify_recipient, true),
    OPTION_BOOL(R, verify_sender, true),
};
/* clang-format on */
const size_t router_option_count = ARRAY_LEN(router_options);

/* ---- Checks ---- */

static bool check_self(struct router *r, struct arena *a, struct err *err)
{
    /* clang-format off */
    static const struct { const char *word; enum self_action action; } words[] = {
        { "freeze", SELF_FREEZE }, { "defer", SELF_DEFER }, { "fail", SELF_FAIL },
        { "send", SELF_SEND }, { "pass", SELF_PASS },
    };
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strcmp(r->self, words[i].word) == 0) {
            r->self_action = words[i].action;
            return true;
        }
    if (!cstr_starts(r->self, "reroute:"))
        return err_set(err, a, "%s is not valid for the self option", r->self);
    const char *domain = cstr_skip_space(r->self + strlen("reroute:"));

    r->self_rewrite = cstr_starts(domain, "rewrite:");
    r->self_action = SELF_REROUTE;
    r->self_reroute_domain =
        r->self_rewrite ? cstr_skip_space(domain + strlen("rewrite:")) : domain;
    return true;
}

static const struct router *find(const struct config *cfg, const char *name)
{
    for (size_t i = 0; i < cfg->router_count; i++)
        if (strcmp(cfg->routers[i]->name, name) == 0)
            return cfg->routers[i];
    return NULL;
}

static bool follows(const struct config *cfg, const struct router *first,
                    const struct router *second)
{
    size_t i = 0;

    while (cfg->routers[i] != first && cfg->routers[i] != second)
        i++;
    return cfg->routers[i] == first && first != second;
}

static bool link_routers(struct router *r, const struct driver_check *c, struct err *err)
{
    if (r->pass_router != NULL) {
        r->pass_to = find(c->cfg, r->pass_router);
        if (r->pass_to == NULL)
            return err_set(err, c->arena, "new_router \"%s\" not found for \"%s\" router",
                           r->pass_router, r->name);
        if (!follows(c->cfg, r, r->pass_to))
            return err_set(err, c->arena,
                           "new_router \"%s\" does not follow \"%s\" router",
                           r->pass_router, r->name);
    }
    if (r->redirect_router != NULL) {
        r->redirect_to = find(c->cfg, r->redirect_router);
        if (r->redirect_to == NULL)
            return err_set(err, c->arena,
                           "redirect_router \"%s\" not found for \"%s\" router",
                           r->redirect_router, r->name);
    }
    return true;
}

static bool check_transport(struct router *r, const struct driver_check *c,
                            struct err *err)
{
    unsigned flags = r->driver->flags;

    if (r->transport == NULL && (flags & ROUTER_NEEDS_TRANSPORT) != 0 && !r->verify_only)
        return err_set(err, c->arena, "a transport is required for this router");
    return r->transport == NULL || (flags & ROUTER_NO_TRANSPORT) == 0 ||
           err_set(err, c->arena, "a transport must not be set for this router");
}

static bool find_transport(struct router *r, const struct driver_check *c,
                           struct err *err)
{
    if (r->transport == NULL || r->transport->constant == NULL)
        return true;
    r->transport_instance = transport_find(c->cfg, r->transport->constant);
    return r->transport_instance != NULL ||
           err_set(err, c->arena, "transport \"%s\" not found", r->transport->constant);
}

static bool check(void *instance, const struct driver_check *c, struct err *err)
{
    struct router *r = instance;

    if (!driver_option_set(c, "retry_use_local_part"))
        r->retry_use_local_part =
            r->check_local_user; /* 4.93 looks at more preconditions */
    if (!driver_option_set(c, "log_as_local"))
        r->log_as_local = strcmp(r->driver->name, "accept") == 0;
    if (r->fallback_hosts != NULL)
        r->fallback_list = host_list_parse(c->arena, r->fallback_hosts, false);
    struct owner_ids ids;

    if (!check_self(r, c->arena, err) || !link_routers(r, c, err) ||
        !check_transport(r, c, err) ||
        !owner_resolve(c->arena, &r->user, &r->group, &ids, err))
        return false;
    r->uid_fixed = ids.uid_fixed;
    r->gid_fixed = ids.gid_fixed;
    r->uid = ids.uid;
    r->gid = ids.gid;
    if (r->driver->check != NULL && !r->driver->check(r, c->cfg, c->arena, err))
        return false;
    return find_transport(r, c, err);
}

/* ---- The family ---- */

static const struct driver_info *driver(size_t i)
{
    size_t count;
    const struct router_driver *const *all = router_drivers(&count);

    return i < count ? &all[i]->info : NULL;
}

const struct driver_family generic_routers = {
    .section = "routers",
    .noun = "router",
    .base_size = sizeof(struct router),
    .options = router_options,
    .option_count = &router_option_count,
    .driver = driver,
    .check = check,
};
