/* drtables.c - what this binary consists of: its drivers, and the hooks through which
 * lower layers reach upper ones. A driver is listed where its name in Local/Makefile says
 * yes. */
#include "drtables.h"

#include <stddef.h>
#include <string.h>

#include "acl.h"
#include "auths/auth.h"
#include "auths/generic.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/err.h"
#include "base/table.h"
#include "config/config.h"
#include "deliver.h"
#include "deliver/agent.h"
#include "exim.h"
#include "expand.h"
#include "hooks.h"
#include "lookups/lookups.h"
#include "match.h"
#include "priv.h"
#include "retry.h"
#include "rewrite.h"
#include "routers/generic.h"
#include "routers/router.h"
#include "search.h"
#include "transports/generic.h"
#include "transports/transport.h"

#ifdef ROUTER_ACCEPT
#include "routers/accept.h"
#endif
#ifdef ROUTER_DNSLOOKUP
#include "routers/dnslookup.h"
#endif
#ifdef ROUTER_IPLITERAL
#include "routers/ipliteral.h"
#endif
#ifdef ROUTER_IPLOOKUP
#include "routers/iplookup.h"
#endif
#ifdef ROUTER_MANUALROUTE
#include "routers/manualroute.h"
#endif
#ifdef ROUTER_QUERYPROGRAM
#include "routers/queryprogram.h"
#endif
#ifdef ROUTER_REDIRECT
#include "routers/redirect.h"
#endif
#ifdef TRANSPORT_APPENDFILE
#include "transports/appendfile.h"
#endif
#ifdef TRANSPORT_AUTOREPLY
#include "transports/autoreply.h"
#endif
#ifdef TRANSPORT_LMTP
#include "transports/lmtp.h"
#endif
#ifdef TRANSPORT_PIPE
#include "transports/pipe.h"
#endif
#ifdef TRANSPORT_SMTP
#include "transports/smtp.h"
#endif

/* Tables end in NULL, so that one without rows is possible; each is sorted by name. */
#define COUNT(table) (ARRAY_LEN(table) - 1)

/* clang-format off */
static const struct router_driver *const routers[] = {
#ifdef ROUTER_ACCEPT
    &router_accept,
#endif
#ifdef ROUTER_DNSLOOKUP
    &router_dnslookup,
#endif
#ifdef ROUTER_IPLITERAL
    &router_ipliteral,
#endif
#ifdef ROUTER_IPLOOKUP
    &router_iplookup,
#endif
#ifdef ROUTER_MANUALROUTE
    &router_manualroute,
#endif
#ifdef ROUTER_QUERYPROGRAM
    &router_queryprogram,
#endif
#ifdef ROUTER_REDIRECT
    &router_redirect,
#endif
    NULL,
};

static const struct transport_driver *const transports[] = {
#ifdef TRANSPORT_APPENDFILE
    &transport_appendfile,
#endif
#ifdef TRANSPORT_AUTOREPLY
    &transport_autoreply,
#endif
#ifdef TRANSPORT_LMTP
    &transport_lmtp,
#endif
#ifdef TRANSPORT_PIPE
    &transport_pipe,
#endif
#ifdef TRANSPORT_SMTP
    &transport_smtp,
#endif
    NULL,
};

static const struct auth_driver *const auths[] = {
#ifdef AUTH_CRAM_MD5
    &auth_cram_md5,
#endif
#ifdef AUTH_DOVECOT
    &auth_dovecot,
#endif
#ifdef AUTH_EXTERNAL
    &auth_external,
#endif
#ifdef AUTH_PLAINTEXT
    &auth_plaintext,
#endif
#ifdef AUTH_TLS
    &auth_tls,
#endif
    NULL,
};

static const struct lookup_driver *const lookups[] = {
#ifdef LOOKUP_CDB
    &lookup_cdb,
#endif
#ifdef LOOKUP_DBM
    &lookup_dbm,
    &lookup_dbmjz,
    &lookup_dbmnz,
#endif
#ifdef LOOKUP_DNSDB
    &lookup_dnsdb,
#endif
#ifdef LOOKUP_DSEARCH
    &lookup_dsearch,
#endif
#ifdef LOOKUP_LSEARCH
    &lookup_iplsearch,
    &lookup_lsearch,
    &lookup_nwildlsearch,
#endif
#ifdef LOOKUP_PASSWD
    &lookup_passwd,
#endif
#ifdef LOOKUP_SQLITE
    &lookup_sqlite,
#endif
#ifdef LOOKUP_LSEARCH
    &lookup_wildlsearch,
#endif
    NULL,
};
/* clang-format on */

const struct router_driver *const *router_drivers(size_t *count)
{
    *count = COUNT(routers);
    return routers;
}

const struct router_driver *router_driver_find(const char *name)
{
    for (size_t i = 0; routers[i] != NULL; i++)
        if (strcmp(routers[i]->name, name) == 0)
            return routers[i];
    return NULL;
}

const struct transport_driver *const *transport_drivers(size_t *count)
{
    *count = COUNT(transports);
    return transports;
}

const struct transport_driver *transport_driver_find(const char *name)
{
    for (size_t i = 0; transports[i] != NULL; i++)
        if (strcmp(transports[i]->name, name) == 0)
            return transports[i];
    return NULL;
}

const struct auth_driver *const *auth_drivers(size_t *count)
{
    *count = COUNT(auths);
    return auths;
}

const struct auth_driver *auth_driver_find(const char *name)
{
    for (size_t i = 0; auths[i] != NULL; i++)
        if (strcmp(auths[i]->name, name) == 0)
            return auths[i];
    return NULL;
}

const struct lookup_driver *const *lookup_drivers(size_t *count)
{
    *count = COUNT(lookups);
    return lookups;
}

const struct lookup_driver *lookup_driver_find(const char *name)
{
    for (size_t i = 0; lookups[i] != NULL; i++)
        if (strcmp(lookups[i]->name, name) == 0)
            return lookups[i];
    return NULL;
}

static const char *lookup_name(size_t i)
{
    return i < COUNT(lookups) ? lookups[i]->name : NULL;
}

/* ---- Hooks ---- */

/* There is no process context yet: one that has nothing but the configuration serves. */
static bool expand_at_start(struct arena *a, const struct config *cfg,
                            const struct expr *e, const char **out, struct err *err)
{
    struct exim exim = {
        .arena = a, .config = cfg, .hooks = &drtables_hooks, .queue_fd = -1
    };
    struct expand_ctx ctx;

    expand_ctx_init(&ctx, &exim, a);
    exim.search = search_new(&exim);
    enum expand_rc rc = expand(&ctx, e, out);

    search_tidy(exim.search);
    if (rc == EXPAND_OK)
        return true;
    *err = ctx.err;
    return rc == EXPAND_FORCED ? err_set(err, a, "forced failure") : false;
}

static enum rc domain_match(struct exim *e, const struct match_list *l,
                            const char *domain)
{
    struct arena *a = arena_new("domain_match");
    struct expand_ctx ctx;

    expand_ctx_init(&ctx, e, a);
    enum rc rc = match_domain(&ctx, l, domain, NULL);
    arena_destroy(&a);
    return rc;
}

priv_agent_main *const priv_agent_entry = agent_main;

const struct hooks drtables_hooks = {
    .expr_compile = expr_compile,
    .list_compile = match_compile,
    .expand_at_start = expand_at_start,
    .lookup_name = lookup_name,
    .routers = &generic_routers,
    .transports = &generic_transports,
    .authenticators = &generic_authenticators,
    .list_match = match_list_text,
    .domain_match = domain_match,
    .pattern_match = match_pattern,
    .submit = deliver_submit,
    .acl_parse = acl_parse,
    .acl_eval = acl_eval,
    .retry_rule_parse = retry_rule_parse,
    .rewrite_rule_parse = rewrite_rule_parse,
};
