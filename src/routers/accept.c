#include "routers/accept.h"

#include "route.h"

struct accept {
    struct router base;
};

static enum route_rc accept_route(const struct router *r, struct route_call *call)
{
    (void)r;
    return route_queue(call) ? ROUTE_OK : ROUTE_DEFER;
}

const struct router_driver router_accept = {
    .name = "accept",
    .instance_size = sizeof(struct accept),
    .flags = ROUTER_NEEDS_TRANSPORT,
    .route = accept_route,
};
