/* custom.h - options with a reader of their own: rows of KIND_CUSTOM.
 *
 * Used where one setting fills several members, or none that a kind of option.h describes. */
#ifndef EXIM_CONFIG_CUSTOM_H
#define EXIM_CONFIG_CUSTOM_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "config/option.h"

struct arena;
struct buf;
struct config;
struct hooks;

/* One setting as it stands in the file. */
struct option_value {
    struct arena *arena; /* of the configuration */
    const struct config *cfg;
    const struct hooks *hooks;
    const struct option *option;
    void *target;        /* the instance */
    const char *text;    /* after the "=", quotes resolved; NULL: only the name was given */
    bool negated;        /* no_name or not_name */
};

struct option_custom {
    bool boolean; /* the name alone, no_ and not_ are allowed */
    bool (*read)(const struct option_value *v, struct err *err);
    /* The value as -bP shows it after "name = "; NULL: the row is not shown. */
    void (*print)(const struct option *o, const void *target, struct buf *out);
};

/* yes, no, true or false in any case, or nothing; err otherwise. */
bool option_bool_parse(const struct option_value *v, bool *out, struct err *err) MUST_USE;

#endif
