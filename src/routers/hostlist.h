/* hostlist.h - addresses for a list of hosts that an administrator or a program gave: manualroute
 * and queryprogram (manual 20.4-20.7). */
#ifndef EXIM_ROUTER_HOSTLIST_H
#define EXIM_ROUTER_HOSTLIST_H

#include <stdbool.h>

#include "routers/router.h"

struct host_find_options;

/* What to do when a host, or all of them, cannot be found. */
enum hostlist_action { HFF_FREEZE, HFF_DEFER, HFF_FAIL, HFF_PASS, HFF_DECLINE, HFF_IGNORE };
/* false: no such word. */
bool hostlist_action_parse(const char *word, enum hostlist_action *out);
const char *hostlist_action_name(enum hostlist_action action);

struct hostlist {
    bool by_name, by_dns, ipv4_only, ipv4_prefer;
    enum hostlist_action find_failed, all_ignored;
};
/* Fills in call->addr->host_list (names given). ROUTE_OK: every host has an address. */
enum route_rc hostlist_find(struct route_call *call, const struct hostlist *l);

/* ignore_target_hosts and DNSSEC wishes of the router, for any search for hosts. */
bool hostlist_options(struct route_call *call, struct host_find_options *o);
/* translate_ip_address for every host of the list. False: result set. */
bool hostlist_translate(struct route_call *call);
/* "/" of "a.b/MX" etc. are known to host_list_parse; this says whether a transport wants addresses. */
bool hostlist_is_remote(struct route_call *call);

#endif
