/* router.h - what a router driver gives to the router core (route.c), and gets from it. */
#ifndef EXIM_ROUTER_H
#define EXIM_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "config/driver.h"
#include "config/option.h"
#include "config/value.h"

struct address;
struct arena;
struct config;
struct expand_ctx;
struct header;
struct host;
struct transport;
struct router_driver;

/* What self= says to do with a host that is this host. */
enum self_action { SELF_FREEZE, SELF_DEFER, SELF_FAIL, SELF_SEND, SELF_PASS, SELF_REROUTE };

/* The generic part, first member of every driver's own instance struct. Members are named after the
 * options (manual chapter 15). */
struct router {
    DRIVER_INSTANCE(struct router, struct router_driver);

    const struct expr *address_data;
    bool address_test;
    const struct expr *cannot_route_message;
    bool caseful_local_part;
    bool check_local_user;
    const struct expr *debug_print;
    bool disable_logging;
    const struct match_list *dnssec_request_domains;
    const struct match_list *dnssec_require_domains;
    const struct match_list *domains;
    bool dsn_lasthop;
    const struct expr *errors_to;
    bool expn;
    bool fail_verify;
    bool fail_verify_recipient;
    bool fail_verify_sender;
    const struct match_list *ignore_target_hosts;
    bool initgroups;
    const char *local_part_prefix;
    bool local_part_prefix_optional;
    const char *local_part_suffix;
    bool local_part_suffix_optional;
    bool log_as_local;
    const struct expr *more;
    bool pass_on_timeout;
    bool retry_use_local_part;
    const struct expr *router_home_directory;
    const struct match_list *senders;
    const struct expr *translate_ip_address;
    const struct expr *transport_current_directory;
    const struct expr *transport_home_directory;
    const struct expr *unseen;
    bool verify;
    bool verify_only;
    bool verify_recipient;
    bool verify_sender;
    const struct match_list *local_parts;
    const struct expr *require_files;      /* a list, expanded item by item */
    const struct router_text *condition;   /* all must be true */
    const struct router_text *headers_add, *headers_remove; /* cumulative */
    const struct router_text *set;         /* $r_xxx */
    const struct expr *user, *group;       /* names or numbers; driver `user` */
    const char *self, *pass_router, *redirect_router, *fallback_hosts;
    const struct expr *transport;          /* its name; constant ones are resolved below */

    /* Worked out by the reader. */
    enum self_action self_action;
    const char *self_reroute_domain;
    bool self_rewrite;
    const struct transport *transport_instance; /* when the name is constant */
    const struct router *pass_to, *redirect_to;
    struct host *fallback_list;
    bool single_use;                       /* redirect's no_repeat_use: set by its check */
    bool uid_fixed, gid_fixed;             /* user, group constant: */
    uid_t uid;
    gid_t gid;
};

/* Where new addresses and finished ones go; lists are prepended to. */
struct route_results {
    struct address *children;  /* to be routed in turn */
    struct address *local, *remote;
    struct address *settled;   /* result set: discarded, expanded */
    bool same_domain;          /* same_domain_copy_routing: route_copy serves others of that domain */
};

/* One call: what to route, and where the results go. */
struct route_call {
    struct expand_ctx *ctx;    /* ctx->arena: results live there; ctx->addr is addr */
    struct address *addr;
    struct route_results *results;
    bool verify, verify_sender, address_test, expn;
    struct err err;            /* set with RC_FAIL and RC_DEFER; also into addr->result */
};

/* Beyond enum rc. */
enum route_rc {
    ROUTE_OK = RC_OK, ROUTE_DECLINE = RC_DECLINE, ROUTE_FAIL = RC_FAIL, ROUTE_DEFER = RC_DEFER,
    ROUTE_PASS,      /* next: pass_router */
    ROUTE_REROUTED,  /* a child with another domain stands in children */
    ROUTE_DISCARD,   /* :blackhole: */
};

enum { ROUTER_NEEDS_TRANSPORT = 1 << 0, ROUTER_NO_TRANSPORT = 1 << 1 };

struct router_driver {
    DRIVER_INFO;
    unsigned flags;
    /* Optional. Checks one instance once its options are read; may work out derived members. */
    bool (*check)(struct router *r, const struct config *cfg, struct arena *a, struct err *err);
    enum route_rc (*route)(const struct router *r, struct route_call *call);
};

const struct router_driver *router_driver_find(const char *name); /* drtables.c */
const struct router_driver *const *router_drivers(size_t *count);
extern const struct option router_options[]; /* generic ones, sorted; routers/generic.c */
extern const size_t router_option_count;

#endif
