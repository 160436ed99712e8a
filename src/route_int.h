/* route_int.h - the insides of the router core: one address, one router after the other. */
#ifndef EXIM_ROUTE_INT_H
#define EXIM_ROUTE_INT_H

#include <stdbool.h>

#include "base/err.h"
#include "config/value.h"
#include "expand.h"
#include "route.h"
#include "routers/router.h"

struct address;
struct arena;

/* One run of route_address; drivers see its head. */
struct route_run {
    struct route_call call;
    enum route_mode mode;
    struct expand_ctx ctx;     /* what call.ctx points to */
    struct route_user user;    /* check_local_user of the present router */
    const char *router_home;   /* router_home_directory of the present router */
    bool prepared;             /* route_prepare was done */
    const char *decline_status, *decline_message; /* why drivers said no, for when all do */
};
struct route_run *route_run_of(struct route_call *call);

/* Words the result of call->addr; returns rc. fmt without a newline. */
enum route_rc route_result(struct route_call *call, enum route_rc rc, int basic_errno,
                           const char *status, const char *fmt, ...) PRINTF_LIKE(5, 6);
/* The same for an option that could not be expanded: always ROUTE_DEFER. */
enum route_rc route_expand_failed(struct route_call *call, const char *option, const char *text);
/* A switch that is expanded: yes, no, true, false; forced failure gives dflt. */
bool route_expand_switch(struct route_call *call, const struct expr *e, const char *option, bool dflt,
                         bool *out);

/* ---- route_check.c: preconditions, in the order of manual 3.12 ---- */
enum route_check { ROUTE_CHECK_YES, ROUTE_CHECK_SKIP, ROUTE_CHECK_DEFER };
enum route_check route_check_preconditions(struct route_run *run);
/* require_files; ROUTE_CHECK_DEFER has the result set. */
enum route_check route_check_files(struct route_run *run);
/* Strips prefix and suffix off addr->local_part; false: a mandatory one is missing. */
bool route_check_affixes(struct arena *a, const struct router *r, struct address *addr);

/* ---- route_user.c ---- */
/* A login, even if its name is made of digits. */
bool route_find_login(struct expand_ctx *ctx, const char *name, struct route_user *out);

/* ---- route_queue.c ---- */
/* errors_to, header lines and transport, in this order; once. False: result set. For drivers that
 * must know the transport before they queue. */
bool route_prepare(struct route_call *call);
/* user, group, check_local_user: into addr. False: result set. */
bool route_set_ids(struct route_call *call, struct address *addr);
/* headers_add and headers_remove of the present router, onto addr. False: result set. */
bool route_munge_headers(struct route_call *call, struct address *addr);
/* The transport named by an expanded option; NULL: result set. */
const struct transport *route_get_transport(struct route_call *call, const struct expr *e,
                                            const char *option);
/* Everything redirect's pipe, file and reply addresses need before they are queued. */
bool route_queue_child(struct route_call *call, struct address *child, const struct transport *t);

#endif
