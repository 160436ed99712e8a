/* change_domain.h - gives the address another domain: self = reroute, widened names. */
#ifndef EXIM_ROUTER_CHANGE_DOMAIN_H
#define EXIM_ROUTER_CHANGE_DOMAIN_H

#include <stdbool.h>

#include "routers/router.h"

/* Puts a child with the new domain on the list of children, to be routed from the start. rewrite:
 * the old domain is replaced in the address header lines of the message, too. */
void change_domain(struct route_call *call, const char *domain, bool rewrite);

#endif
