/* match.h - domain, host, address and local part lists (manual chapter 10).
 *
 * RC_OK matched, RC_FAIL not, RC_DEFER could not be told (ctx->err says why). On a match by
 * lookup *data is the looked-up text (for $domain_data and friends), else NULL. */
#ifndef EXIM_MATCH_H
#define EXIM_MATCH_H

#include <stdbool.h>

#include "base/err.h"
#include "config/value.h"

struct arena;
struct config;
struct expand_ctx;
struct ip;

const struct match_list *match_compile(struct arena *a, enum list_kind kind, const char *text,
                                       const struct config *cfg, struct err *err);

enum rc match_domain(struct expand_ctx *ctx, const struct match_list *l, const char *domain,
                     const char **data);
enum rc match_local_part(struct expand_ctx *ctx, const struct match_list *l, const char *lp,
                         bool caseless, const char **data);
/* address: local@domain, or "" for the null sender. */
enum rc match_address(struct expand_ctx *ctx, const struct match_list *l, const char *address,
                      bool caseless_local, const char **data);

/* The same, case-sensitive or not, with ctx->captures set for rewriting: $0 the address, then what
 * asterisks, a regex or a partial lookup matched. */
enum rc match_address_capture(struct expand_ctx *ctx, const struct match_list *l, const char *address,
                              bool caseless_local);

/* The host of a host list test. name may be NULL: then it is looked up when a pattern needs it,
 * through lookup_name (NULL: cannot be looked up), once. */
struct match_host_subject {
    const char *address;          /* text; NULL or "" for a local submission */
    const char *const *names;     /* NULL-terminated, known names; NULL: not looked up yet */
    /* Fills names; RC_OK, RC_FAIL (no name), RC_DEFER. */
    enum rc (*lookup_names)(struct expand_ctx *ctx, struct match_host_subject *s);
    void *arg;
    const char *unknown; /* out, with RC_FAIL: why an item could not be told (it fails the list) */
};
enum rc match_host(struct expand_ctx *ctx, const struct match_list *l, struct match_host_subject *s,
                   const char **data);
/* The host at the other end of ctx->session ("" in lists matches local submissions). */
enum rc match_session_host(struct expand_ctx *ctx, const struct match_list *l, const char **data);
/* An outgoing host by name and address (transport options hosts_xxx). */
enum rc match_outgoing_host(struct expand_ctx *ctx, const struct match_list *l, const char *name,
                            const char *address);
/* One string against one list item pattern as in ${if match_ip, isip ranges: "10.0.0.0/8", "@[]"... */
enum rc match_ip(struct expand_ctx *ctx, const char *address, const char *list);

/* For struct hooks (${if match_xxx): a list of whatever kind; hosts by address text only, as in match_ip.
 * caseless: local parts. ctx->value is the looked-up text. */
enum rc match_list_text(struct expand_ctx *ctx, const struct match_list *l, const char *subject,
                        bool caseless);
/* One domain pattern as it would stand in a list; captures are left alone. */
enum rc match_pattern(struct expand_ctx *ctx, const char *pattern, bool expanded,
                      const char *subject);

#endif
