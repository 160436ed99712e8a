/* dnslookup.h - hosts from SRV, MX and address records (manual chapter 17). */
#ifndef EXIM_ROUTER_DNSLOOKUP_H
#define EXIM_ROUTER_DNSLOOKUP_H

#include "routers/router.h"

extern const struct router_driver router_dnslookup;

#endif
