/* hooks.h - what a lower layer needs from a higher one, as one const table (drtables.c).
 *
 * The reader compiles strings and lists, lookups match nets, expansions run ACLs: each through
 * the row here, so that #includes still point one way. */
#ifndef EXIM_HOOKS_H
#define EXIM_HOOKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"
#include "config/value.h"

struct acl;
struct arena;
struct config;
struct driver_family;
struct exim;
struct expand_ctx;
struct retry_rule;
struct rewrite_rule;

struct hooks {
    /* expand: NULL with err when text cannot parse. */
    const struct expr *(*expr_compile)(struct arena *a, const char *text, struct err *err);
    /* match: the same for the four kinds of list; cfg resolves +named lists (may be NULL). */
    const struct match_list *(*list_compile)(struct arena *a, enum list_kind kind, const char *text,
                                             const struct config *cfg, struct err *err);
    /* match: does subject match the list? Used by ${if match_xxx, inlist, forany and lookups. */
    enum rc (*list_match)(struct expand_ctx *ctx, const struct match_list *l, const char *subject,
                          bool caseless);
    /* match: is domain in a domain list (without $variables of a message)? RC_OK, RC_FAIL, RC_DEFER. */
    enum rc (*domain_match)(struct exim *e, const struct match_list *l, const char *domain);
    /* match: subject against one domain pattern as in a list, without separators or expansion,
     * unless asked for; captures are left alone. For wildlsearch. */
    enum rc (*pattern_match)(struct expand_ctx *ctx, const char *pattern, bool expand, const char *subject);
    /* acl: run a named ACL or inline text for ${acl, acl= ; args are $acl_arg1.. */
    enum rc (*acl_eval)(struct expand_ctx *ctx, const char *name, const char *const *args, int narg,
                        const char **message);
    /* deliver: deliver_submit, for routers that report errors in lists (syntax_errors_to). */
    bool (*submit)(struct exim *e, const char *sender, const char *const *recipients, size_t n,
                   struct str text, const char *parent_id, char new_id[17], struct err *err);

    /* What the sections of the configuration file are made of; see the headers of these. */
    struct acl *(*acl_parse)(struct arena *a, const char *name, const char *const *lines, int nlines,
                             const struct config *cfg, struct err *err);
    struct retry_rule *(*retry_rule_parse)(struct arena *a, const char *line, const struct config *cfg,
                                           struct err *err);
    struct rewrite_rule *(*rewrite_rule_parse)(struct arena *a, const char *line,
                                               const struct config *cfg, struct err *err);
    const struct driver_family *routers, *transports, *authenticators; /* config/driver.h */
    /* The names of lookup types that were built in: "lsearch" ... ; NULL beyond the last. */
    const char *(*lookup_name)(size_t i);
    /* Expands an option whose value is needed as soon as the main section is read. */
    bool (*expand_at_start)(struct arena *a, const struct config *cfg, const struct expr *e,
                            const char **out, struct err *err);
};

#endif
