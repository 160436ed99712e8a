/* generic.h - routers as the configuration reader sees them, with the options that all of them have. */
#ifndef EXIM_ROUTERS_GENERIC_H
#define EXIM_ROUTERS_GENERIC_H

#include "config/driver.h"

extern const struct driver_family generic_routers;

#endif
