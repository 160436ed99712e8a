/* redirect.h - aliases, forward files, special items (manual chapter 22). */
#ifndef EXIM_ROUTER_REDIRECT_H
#define EXIM_ROUTER_REDIRECT_H

#include "routers/router.h"

extern const struct router_driver router_redirect;

#endif
