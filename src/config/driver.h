/* driver.h - what the reader must know of routers, transports and authenticators to read them.
 *
 * Their structs belong to upper layers; each family describes itself here (routers/generic.c,
 * transports/generic.c, auths/generic.c). An instance begins with the family's generic struct. */
#ifndef EXIM_CONFIG_DRIVER_H
#define EXIM_CONFIG_DRIVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "config/option.h"

struct arena;
struct config;
struct hooks;

/* A driver begins with these members, an instance with those of struct driver_instance. The unions let the
 * reader see them where the families' own structs name them. */
#define DRIVER_INFO_MEMBERS                                                              \
    const char *name;                                                                    \
    size_t instance_size;                                                                \
    const struct option *options; /* private ones */                                     \
    size_t option_count;

struct driver_info {
    DRIVER_INFO_MEMBERS
};
#define DRIVER_INFO                                                                      \
    union {                                                                              \
        struct driver_info info;                                                         \
        struct {                                                                         \
            DRIVER_INFO_MEMBERS                                                          \
        };                                                                               \
    }

struct driver_instance {
    const char *name; /* as in the configuration */
    const struct driver_info *driver;
    const void *next;
};
#define DRIVER_INSTANCE(family, of)                                                      \
    union {                                                                              \
        struct driver_instance instance;                                                 \
        struct {                                                                         \
            const char *name;                                                            \
            const of *driver;                                                            \
            const family *next;                                                          \
        };                                                                               \
    }

struct driver_check;

struct driver_family {
    const char *section; /* "routers" */
    const char *noun;    /* "router" */
    size_t base_size;    /* of the generic struct */
    const struct option *options;
    const size_t *option_count;
    const struct driver_info *(*driver)(size_t i); /* those built in; NULL beyond the last */
    /* After the whole file is read: links names to instances, works out derived members and calls the
     * driver's own check. */
    bool (*check)(void *instance, const struct driver_check *c, struct err *err);
};

/* What check() may ask. */
struct driver_check {
    struct arena *arena;
    const struct config *cfg;
    const struct hooks *hooks;
    const void *set; /* opaque: which options the file set */
};
/* Did the file set this option of the instance being checked? */
bool driver_option_set(const struct driver_check *c, const char *name);

#endif
