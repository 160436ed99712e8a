/* drtables.h - the one table of hooks (drtables.c); the driver tables are declared with their structs. */
#ifndef EXIM_DRTABLES_H
#define EXIM_DRTABLES_H

struct hooks;

extern const struct hooks drtables_hooks;

#endif
