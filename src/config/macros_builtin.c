#include "config/macros.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "config/driver.h"
#include "config/main_options.h"
#include "config/option.h"
#include "hooks.h"

/* clang-format off */
static const char *const have[] = {
    "_HAVE_CRYPTEQ",
    "_HAVE_DNSSEC",
    "_HAVE_ICONV",
    "_HAVE_IPV6",
    "_HAVE_OPENSSL",
    "_HAVE_TLS",
#ifdef EXPERIMENTAL_CERTNAMES
    "_HAVE_CERTNAMES",
#endif
#ifdef EXPERIMENTAL_DSN
    "_HAVE_DSN",
#endif
#ifdef EXPERIMENTAL_PROXY
    "_HAVE_PROXY",
#endif
#ifdef SUPPORT_MAILDIR
    "_HAVE_TRANSPORT_APPEND_MAILDIR",
#endif
};
/* clang-format on */

struct names {
    struct arena *arena;
    const char **v;
    size_t count, cap;
};

static void add(struct names *n, const char *prefix, const char *name)
{
    if (n->count == n->cap) {
        size_t cap = n->cap == 0 ? 256 : n->cap * 2;

        n->v = arena_realloc(n->arena, n->v, n->cap * sizeof(*n->v), cap * sizeof(*n->v));
        n->cap = cap;
    }
    n->v[n->count++] = cstr_upper(n->arena, arena_printf(n->arena, "%s%s", prefix, name));
}

static void add_options(struct names *n, const char *prefix, const struct option *o,
                        size_t count)
{
    for (size_t i = 0; i < count; i++)
        add(n, prefix, o[i].name);
}

static void add_family(struct names *n, const struct driver_family *f)
{
    const struct driver_info *d;

    if (f == NULL)
        return;
    add_options(n, arena_printf(n->arena, "_OPT_%s_", f->section), f->options,
                *f->option_count);
    for (size_t i = 0; (d = f->driver(i)) != NULL; i++) {
        add(n, arena_printf(n->arena, "_DRIVER_%s_", f->noun), d->name);
        add_options(n, arena_printf(n->arena, "_OPT_%s_%s_", f->noun, d->name),
                    d->options, d->option_count);
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *const *macros_builtin(const struct hooks *hooks, struct arena *a,
                                  size_t *count)
{
    struct names n = { .arena = a };

    for (size_t i = 0; i < ARRAY_LEN(have); i++)
        add(&n, "", have[i]);
    for (int bit = 0; bit < L_COUNT; bit++)
        add(&n, "_LOG_", log_selector_name(bit));
    add_options(&n, "_OPT_MAIN_", main_options_table, main_options_count);
    add_family(&n, hooks->routers);
    add_family(&n, hooks->transports);
    add_family(&n, hooks->authenticators);
    for (size_t i = 0; hooks->lookup_name != NULL && hooks->lookup_name(i) != NULL; i++)
        add(&n, "_HAVE_LOOKUP_", hooks->lookup_name(i));
    qsort(n.v, n.count, sizeof(*n.v), compare);
    *count = n.count;
    return n.v;
}
