/* accept.h - takes every address that meets the preconditions (manual chapter 16). */
#ifndef EXIM_ROUTER_ACCEPT_H
#define EXIM_ROUTER_ACCEPT_H

#include "routers/router.h"

extern const struct router_driver router_accept;

#endif
