/* expand.h - string expansion: compile once, evaluate against a context (manual chapter 11).
 *
 * Results live in ctx->arena (or are constants of the program). A failure is worded in ctx->err;
 * EXPAND_FORCED is the manual's forced failure ({fail}); EXPAND_DEFER a lookup that deferred. */
#ifndef EXIM_EXPAND_H
#define EXIM_EXPAND_H

#include <stdbool.h>

#include "base/err.h"
#include "config/value.h"
#include "regex.h" /* struct captures */

struct address;
struct arena;
struct delivery;
struct exim;
struct hash;
struct host;
struct message;
struct router;
struct session;
struct str;
struct tls_info;
struct transport;

enum expand_rc { EXPAND_OK, EXPAND_FAIL, EXPAND_FORCED, EXPAND_DEFER };

enum { ACL_ARG_MAX = 9 };

/* Everything a $variable may look at. Made on the stack by whoever evaluates; all pointers but
 * exim and arena may be NULL. Nothing is copied in, saved or restored: a nested scope copies the
 * struct and changes its copy. */
struct expand_ctx {
    struct exim *exim;
    struct arena *arena;
    struct session *session;
    struct message *message;
    const struct address *addr;        /* address being routed, verified or delivered */
    const struct router *router;
    const struct transport *transport;
    const struct host *host;           /* $host, $host_address, $host_port */
    struct delivery *delivery;

    struct captures captures;
    const char *value;                 /* $value: lookup, extract, reduce ... */
    const char *item;                  /* $item: map, filter, forany ... */
    const char *thisaddress;           /* foranyaddress */
    const char *sn[10], *n[10];        /* filters: $sn0.., $n0.. */
    const char *acl_arg[ACL_ARG_MAX];
    int acl_narg;
    const char *domain, *local_part;   /* override those of addr (ACLs: the RCPT address) */
    const char *domain_data, *local_part_data;
    const char *sender_data, *recipient_data, *host_data;
    const char *address_data, *sender_address_data;
    const char *acl_verify_message;
    const char *verify_mode;           /* "R", "S" or "" */
    const char *dnslist_domain, *dnslist_matched, *dnslist_text, *dnslist_value;
    const char *runrc;
    const char *router_name, *transport_name; /* when router/transport are NULL */
    const char *auth[4];               /* $auth1.. */
    const char *event_name, *event_data;
    int event_defer_errno;
    const char *smtp_command, *smtp_command_argument;
    const char *warn_message_delay, *warn_message_recipients, *bounce_recipient;
    const char *prvscheck_address, *prvscheck_keynum, *prvscheck_result;
    const char *callout_address;
    const char *regex_match_string;
    const char *address_file, *address_pipe; /* also set from addr */
    const char *local_scan_data;
    const char *lookup_dnssec_authenticated;
    bool sender_rate_set;
    const char *sender_rate, *sender_rate_limit, *sender_rate_period;
    const struct tls_info *tls_out;    /* $tls_out_*; NULL: no outgoing connection */
    const char *sending_address;       /* $sending_ip_address; NULL: no outgoing connection */
    int sending_port;                  /* 0: none */
    const char *inode, *mailstore_basename; /* appendfile: file names */
    const char *return_path;           /* $return_path while a transport runs; NULL: errors_to, else the sender */
    const char *received_for;          /* while Received: is built */
    const char *regex_capture[10];     /* $regex1..9 of the regex ACL condition */
    bool recipients_visible;           /* $recipients: system filter, DATA and non-SMTP ACLs, -be */
    int acl_where, acl_level;          /* in an ACL: enum acl_where + 1, nesting */
    struct hash *ratelimit_cmd;        /* acl: rates measured once a command */
    int depth;                         /* nesting of expansions, lists and ACLs; has a limit */
    unsigned forbid;                   /* RDO-style: lookups, run, perl ... refused (filters) */
    struct err err;
};

enum expand_forbid {
    FORBID_LOOKUP = 1 << 0, FORBID_RUN = 1 << 1, FORBID_PERL = 1 << 2, FORBID_READFILE = 1 << 3,
    FORBID_READSOCKET = 1 << 4, FORBID_DLFUNC = 1 << 5, FORBID_EXISTS = 1 << 6,
};

void expand_ctx_init(struct expand_ctx *ctx, struct exim *exim, struct arena *a);

/* NULL and err when text cannot parse; text is copied into a. */
const struct expr *expr_compile(struct arena *a, const char *text, struct err *err) MUST_USE;
/* *out is never NULL on EXPAND_OK. e NULL: EXPAND_OK and "". */
enum expand_rc expand(struct expand_ctx *ctx, const struct expr *e, const char **out) MUST_USE;
/* Compile and evaluate text that only now exists. */
enum expand_rc expand_text(struct expand_ctx *ctx, const char *text, const char **out) MUST_USE;
/* As a condition (condition=, server_condition ...): "", 0, no, false are false; unset e: dflt.
 * EXPAND_FORCED counts as false for callers through *out=false and EXPAND_OK. */
enum expand_rc expand_bool(struct expand_ctx *ctx, const struct expr *e, bool dflt, bool *out) MUST_USE;
enum expand_rc expand_int(struct expand_ctx *ctx, const struct expr *e, long *out) MUST_USE;

/* $name for filters, -be and logs: false if there is no such variable; *out may be "". */
bool expand_variable(struct expand_ctx *ctx, const char *name, const char **out) MUST_USE;

#endif
