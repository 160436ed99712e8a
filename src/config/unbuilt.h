/* unbuilt.h - the options of Exim that this binary does not have yet, each with what it is part of. */
#ifndef EXIM_CONFIG_UNBUILT_H
#define EXIM_CONFIG_UNBUILT_H

#include <stddef.h>

/* name: "main/x", or "router/redirect/x" and the like (the family, the driver, the option). The words
 * for the message, or NULL when the option is simply unknown. */
const char *unbuilt_option(const char *name);
/* The i-th name, sorted; NULL beyond the last. For tests. */
const char *unbuilt_at(size_t i);

#endif
