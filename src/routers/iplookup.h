/* iplookup.h - asks a server over UDP or TCP for a new address (manual chapter 19). */
#ifndef EXIM_ROUTER_IPLOOKUP_H
#define EXIM_ROUTER_IPLOOKUP_H

#include "routers/router.h"

extern const struct router_driver router_iplookup;

#endif
