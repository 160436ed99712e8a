#include "transports/generic.h"

#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "config/owner.h"
#include "rewrite.h"
#include "transports/transport.h"

#define T struct transport
/* clang-format off */
const struct option transport_options[] = {
    OPTION_BOOL(T, body_only, false),
    OPTION_EXPAND(T, current_directory, NULL),
    OPTION_EXPAND(T, debug_print, NULL),
    OPTION_BOOL(T, delivery_date_add, false),
    OPTION_BOOL(T, disable_logging, false),
    { "driver", KIND_DRIVER, 0, 0, NULL, NULL },
    OPTION_BOOL(T, envelope_to_add, false),
    OPTION_EXPAND(T, event_action, NULL),
    OPTION_GID(T, group, NULL),
    OPTION_TEXTS(KIND_HEADERS_ADD, T, headers_add),
    OPTION_BOOL(T, headers_only, false),
    OPTION_TEXTS(KIND_HEADERS_REMOVE, T, headers_remove),
    OPTION_STRING(T, headers_rewrite, NULL),
    OPTION_EXPAND(T, home_directory, NULL),
    OPTION_BOOL(T, initgroups, false),
    OPTION_EXPAND(T, max_parallel, NULL),
    OPTION_EXPAND(T, message_size_limit, NULL),
    OPTION_BOOL(T, rcpt_include_affixes, false),
    OPTION_BOOL(T, retry_use_local_part, false),
    OPTION_EXPAND(T, return_path, NULL),
    OPTION_BOOL(T, return_path_add, false),
    OPTION_EXPAND(T, shadow_condition, NULL),
    OPTION_STRING(T, shadow_transport, NULL),
    OPTION_OTHER("tpda_event_action", KIND_EXPAND, const struct expr *, T, event_action),
    OPTION_EXPAND(T, transport_filter, NULL),
    OPTION_TIME(T, transport_filter_timeout, 300),
    OPTION_UID(T, user, NULL),
};
/* clang-format on */
const size_t transport_option_count = ARRAY_LEN(transport_options);

const struct transport *transport_find(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->transport_count; i++)
        if (strcmp(c->transports[i]->name, name) == 0)
            return c->transports[i];
    return NULL;
}

/* ---- Checks ---- */

static bool check_shadow(struct transport *t, const struct driver_check *c,
                         struct err *err)
{
    if (t->shadow_transport == NULL)
        return true;
    if ((t->driver->flags & TRANSPORT_LOCAL) == 0)
        return err_set(err, c->arena,
                       "shadow transport not allowed on non-local transport %s", t->name);
    t->shadow_instance = transport_find(c->cfg, t->shadow_transport);
    return t->shadow_instance != NULL ||
           err_set(err, c->arena, "shadow transport \"%s\" not found",
                   t->shadow_transport);
}

static bool check_rewrite(struct transport *t, const struct driver_check *c,
                          struct err *err)
{
    const struct rewrite_rule **end = &t->rewrite_rules;

    if (t->headers_rewrite == NULL)
        return true;
    struct list_iter it = list_begin(t->headers_rewrite, ':');

    for (const char *item; (item = list_next(&it, c->arena)) != NULL;) {
        struct rewrite_rule *rule = rewrite_rule_parse(c->arena, item, c->cfg, err);

        if (rule == NULL)
            return false;
        *end = rule;
        end = &rule->next;
    }
    return true;
}

/* Does any string of the transport, private or generic, depend on this variable? */
static bool option_mentions(const struct option *rows, size_t n, const void *instance,
                            const char *word)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i].kind != KIND_EXPAND && rows[i].kind != KIND_EXPAND_BOOL)
            continue;
        const struct expr *e =
            *(const struct expr *const *)((const char *)instance + rows[i].offset);
        if (e != NULL && e->constant == NULL && strstr(e->text, word) != NULL)
            return true;
    }
    return false;
}

static bool mentions(const struct transport *t, const char *word)
{
    return option_mentions(t->driver->options, t->driver->option_count, t, word) ||
           option_mentions(transport_options, transport_option_count, t, word);
}

static bool check(void *instance, const struct driver_check *c, struct err *err)
{
    struct transport *t = instance;
    struct owner_ids ids;

    t->uses_local_part = mentions(t, "local_part");
    t->uses_domain = mentions(t, "domain");

    if (!driver_option_set(c, "retry_use_local_part"))
        t->retry_use_local_part = (t->driver->flags & TRANSPORT_LOCAL) != 0;
    if (t->body_only && t->headers_only)
        return err_set(err, c->arena,
                       "%s transport: body_only and headers_only are mutually exclusive",
                       t->name);
    if (!check_shadow(t, c, err) || !check_rewrite(t, c, err) ||
        !owner_resolve(c->arena, &t->user, &t->group, &ids, err))
        return false;
    t->uid_fixed = ids.uid_fixed;
    t->gid_fixed = ids.gid_fixed;
    t->uid = ids.uid;
    t->gid = ids.gid;
    return t->driver->check == NULL || t->driver->check(t, c->cfg, c->arena, err);
}

/* ---- The family ---- */

static const struct driver_info *driver(size_t i)
{
    size_t count;
    const struct transport_driver *const *all = transport_drivers(&count);

    return i < count ? &all[i]->info : NULL;
}

const struct driver_family generic_transports = {
    .section = "transports",
    .noun = "transport",
    .base_size = sizeof(struct transport),
    .options = transport_options,
    .option_count = &transport_option_count,
    .driver = driver,
    .check = check,
};
