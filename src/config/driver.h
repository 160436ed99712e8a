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

struct driver_info {
    const char *name;
    size_t instance_size;
    const struct option *options; /* private ones */
    size_t option_count;
};

struct driver_check;

struct driver_family {
    const char *section; /* "routers" */
    const char *noun;    /* "router" */
    size_t base_size;    /* of the generic struct */
    const struct option *options;
    const size_t *option_count;
    /* The i-th driver that was built in; false beyond the last. */
    bool (*driver)(size_t i, struct driver_info *out);
    /* Fills the head of a new instance: its name, and its driver (the i-th). */
    void (*init)(void *instance, const char *name, size_t i);
    const char *(*name)(const void *instance);
    const char *(*driver_name)(const void *instance);
    /* After the whole file is read: makes `next` of the list, links names to instances, works out
     * derived members and calls the driver's own check. */
    bool (*check)(void *instance, void *next, const struct driver_check *c, struct err *err);
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
