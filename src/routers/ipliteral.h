/* ipliteral.h - addresses with a domain literal: root@[192.168.1.1] (manual chapter 18). */
#ifndef EXIM_ROUTER_IPLITERAL_H
#define EXIM_ROUTER_IPLITERAL_H

#include "routers/router.h"

extern const struct router_driver router_ipliteral;

#endif
