/* config_fakes.h - hooks for tests of the configuration reader alone: expressions are checked for
 * balanced braces, lists are kept as text, there is one router driver and one transport driver. */
#ifndef TEST_CONFIG_FAKES_H
#define TEST_CONFIG_FAKES_H

#include <string.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/err.h"
#include "base/hash.h"
#include "config/config.h"
#include "config/driver.h"
#include "config/option.h"
#include "hooks.h"

static inline const struct expr *fake_expr(struct arena *a, const char *text, struct err *err)
{
    struct expr *e = arena_new_obj(a, struct expr);
    int depth = 0;

    for (const char *s = text; *s != '\0'; s++)
        depth += *s == '{' ? 1 : *s == '}' ? -1 : 0;
    if (depth != 0 && strchr(text, '$') != NULL) {
        err_set(err, a, "missing or misplaced { or }");
        return NULL;
    }
    *e = (struct expr){ .text = text, .constant = strchr(text, '$') == NULL ? text : NULL };
    return e;
}

static inline const struct match_list *fake_list(struct arena *a, enum list_kind kind, const char *text,
                                                 const struct config *cfg, struct err *err)
{
    struct match_list *l = arena_new_obj(a, struct match_list);

    if (text[0] == '+' && hash_find(cfg->named_lists[kind], text + 1) == NULL) {
        err_set(err, a, "unknown named list \"%s\"", text);
        return NULL;
    }
    *l = (struct match_list){ .text = text, .kind = kind };
    return l;
}

static inline struct acl *fake_acl(struct arena *a, const char *name, const char *const *lines, int nlines,
                                   const struct config *cfg, struct err *err)
{
    (void)cfg;
    for (int i = 0; i < nlines; i++)
        if (strncmp(lines[i], "bad", 3) == 0) {
            err_set(err, a, "unknown ACL verb in \"%s\"", lines[i]);
            return NULL;
        }
    return (struct acl *)(void *)arena_strdup(a, name);
}

/* Rules begin with their `next`. */
struct fake_rule {
    const struct fake_rule *next;
    const char *text;
};

static inline void *fake_rule(struct arena *a, const char *line, struct err *err)
{
    struct fake_rule *r = arena_new_obj(a, struct fake_rule);

    if (strncmp(line, "bad", 3) == 0) {
        err_set(err, a, "bad rule");
        return NULL;
    }
    r->text = line;
    return r;
}

static inline struct retry_rule *fake_retry(struct arena *a, const char *line, const struct config *cfg,
                                            struct err *err)
{
    (void)cfg;
    return fake_rule(a, line, err);
}

static inline struct rewrite_rule *fake_rewrite(struct arena *a, const char *line,
                                                const struct config *cfg, struct err *err)
{
    (void)cfg;
    return fake_rule(a, line, err);
}

static inline bool fake_expand(struct arena *a, const struct config *cfg, const struct expr *e,
                               const char **out, struct err *err)
{
    (void)cfg;
    if (strstr(e->text, "fail") != NULL)
        return err_set(err, a, "forced failure");
    *out = strstr(e->text, "fake") != NULL ? "/expanded" : "root";
    return true;
}

/* ---- drivers ---- */

struct fake_driver {
    const char *name;
    const struct driver_info *driver;
    const void *next;
    bool flag;
    long number;
    const struct expr *text;
    const struct router_text *condition, *headers_add, *headers_remove, *set;
    const struct expr *user, *more;
    long secret; /* private from here on */
    const char *data;
    long mode;
};

#define D struct fake_driver
/* clang-format off */
static const struct option fake_generic[] = {
    OPTION_TEXTS(KIND_CONDITION, D, condition),
    { "driver", KIND_DRIVER, 0, 0, NULL, NULL },
    OPTION_BOOL(D, flag, true),
    OPTION_TEXTS(KIND_HEADERS_ADD, D, headers_add),
    OPTION_TEXTS(KIND_HEADERS_REMOVE, D, headers_remove),
    OPTION_EXPAND_BOOL(D, more, "true"),
    OPTION_INT(D, number, 7),
    OPTION_TEXTS(KIND_SET, D, set),
    OPTION_EXPAND(D, text, NULL),
    OPTION_UID(D, user, NULL),
};
static const struct option fake_private[] = {
    OPTION_STRING(D, data, "default"),
    OPTION_OCTAL(D, mode, 0600),
    OPTION_INT(D, secret, 3),
};
/* clang-format on */
static const size_t fake_generic_count = ARRAY_LEN(fake_generic);

static const struct driver_info fake_driver_info = { "fake", sizeof(struct fake_driver), fake_private,
                                                     ARRAY_LEN(fake_private) };

static inline const struct driver_info *fake_driver(size_t i)
{
    return i == 0 ? &fake_driver_info : NULL;
}

static inline bool fake_check(void *instance, const struct driver_check *c, struct err *err)
{
    struct fake_driver *d = instance;

    if (d->number == 13)
        return err_set(err, c->arena, "13 is not possible");
    if (driver_option_set(c, "number") && !driver_option_set(c, "flag"))
        d->flag = false; /* a default that depends on another option */
    return true;
}

#define FAKE_FAMILY(s, n)                                                                          \
    {                                                                                              \
        s, n, offsetof(struct fake_driver, secret), fake_generic, &fake_generic_count, fake_driver, \
            fake_check                                     \
    }
static const struct driver_family fake_routers = FAKE_FAMILY("routers", "router");
static const struct driver_family fake_transports = FAKE_FAMILY("transports", "transport");
static const struct driver_family fake_auths = FAKE_FAMILY("authenticators", "authenticator");

static inline const char *fake_lookup(size_t i)
{
    return i == 0 ? "lsearch" : NULL;
}

static const struct hooks fake_hooks = {
    .expr_compile = fake_expr,
    .list_compile = fake_list,
    .acl_parse = fake_acl,
    .retry_rule_parse = fake_retry,
    .rewrite_rule_parse = fake_rewrite,
    .expand_at_start = fake_expand,
    .lookup_name = fake_lookup,
    .routers = &fake_routers,
    .transports = &fake_transports,
    .authenticators = &fake_auths,
};

#endif
