/* route.h - runs an address through the routers (manual chapters 3.7-3.13, 15). */
#ifndef EXIM_ROUTE_H
#define EXIM_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "routers/router.h"

struct address;
struct expand_ctx;
struct host;
struct transport;

enum route_mode { ROUTE_DELIVER, ROUTE_VERIFY_RECIPIENT, ROUTE_VERIFY_SENDER, ROUTE_TEST /* -bt */, ROUTE_EXPN };

/* One pass: on ROUTE_OK the address stands in results->local or ->remote with its transport, or was
 * replaced by results->children, or is settled. ROUTE_FAIL, ROUTE_DEFER: addr->result is set.
 * "Unrouteable address" is a ROUTE_FAIL. */
/* addr->unique may be another afterwards: "address/router" where unseen made a copy, and
 * "address/transport" for an address that is among its own ancestors (Exim's names in -J and -H).
 * Look for duplicates and for deliveries of earlier runs once more after routing. */
enum route_rc route_address(struct expand_ctx *ctx, struct address *addr, enum route_mode mode,
                            struct route_results *results);

/* Gives addr, not routed yet and of the same domain, the routing of model (a remote one that
 * results->same_domain was set for). False: addr must be routed by itself. */
bool route_copy(struct address *model, struct address *addr, struct route_results *results);

/* ---- for drivers ---- */
/* Puts the address on the local or remote list for its router's transport, with uid, gid, home,
 * errors_to, headers. false: addr->result set. */
bool route_queue(struct route_call *call);
/* What errors_to says for addr, verified; false: addr->result set. */
bool route_get_errors_to(struct route_call *call, struct address *addr, const char **errors_to);
/* Uses self= for a host list that begins with this host. */
enum route_rc route_self(struct route_call *call, struct host *host, const char **new_domain);
/* passwd and group with retries (finduser_retries); false: there is none. Numbers are taken as they
 * are: uid only, found stays false. */
struct route_user { const char *name, *dir, *gecos; uid_t uid; gid_t gid; bool found; };
bool route_find_user(struct expand_ctx *ctx, const char *name, struct route_user *out);
bool route_find_group(struct expand_ctx *ctx, const char *name, gid_t *gid);

#endif
