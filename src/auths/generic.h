/* generic.h - authenticators as the configuration reader sees them, with the options that all of them have. */
#ifndef EXIM_AUTHS_GENERIC_H
#define EXIM_AUTHS_GENERIC_H

#include "config/driver.h"

extern const struct driver_family generic_authenticators;

#endif
