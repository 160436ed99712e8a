#include "route_int.h"

#include <errno.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/debug.h"
#include "base/list.h"
#include "base/log.h"
#include "base/str.h"
#include "exim.h"
#include "match.h"
#include "message.h"

static size_t prefix_length(const char *pattern, const char *lp, size_t *wild)
{
    size_t n = strlen(pattern), len = strlen(lp);

    *wild = 0;
    if (pattern[0] != '*')
        return cstr_istarts(lp, pattern) ? n : 0;
    n--;
    for (size_t at = len >= n ? len - n + 1 : 0; at-- > 0;)
        if (strncasecmp(lp + at, pattern + 1, n) == 0) {
            *wild = at;
            return at + n;
        }
    return 0;
}

static size_t suffix_length(const char *pattern, const char *lp, size_t *wild)
{
    size_t n = strlen(pattern), len = strlen(lp);

    *wild = 0;
    if (n == 0 || pattern[n - 1] != '*')
        return cstr_iends(lp, pattern) ? n : 0;
    n--;
    for (size_t at = 0; at + n <= len; at++)
        if (strncasecmp(lp + at, pattern, n) == 0) {
            *wild = len - at - n;
            return len - at;
        }
    return 0;
}

static bool strip_prefix(struct arena *a, const struct router *r, struct address *addr)
{
    if (r->local_part_prefix == NULL)
        return true;
    struct list_iter it = list_begin(r->local_part_prefix, ':');
    for (const char *item; (item = list_next(&it, a)) != NULL;) {
        size_t wild, n = prefix_length(item, addr->local_part, &wild);
        if (n == 0)
            continue;
        addr->prefix = arena_strndup(a, addr->local_part, n);
        addr->prefix_v = arena_strndup(a, addr->local_part, wild);
        addr->local_part += n;
        return true;
    }
    return r->local_part_prefix_optional;
}

static bool strip_suffix(struct arena *a, const struct router *r, struct address *addr)
{
    if (r->local_part_suffix == NULL)
        return true;
    struct list_iter it = list_begin(r->local_part_suffix, ':');
    for (const char *item; (item = list_next(&it, a)) != NULL;) {
        size_t wild, n = suffix_length(item, addr->local_part, &wild), len = strlen(addr->local_part);
        if (n == 0)
            continue;
        addr->suffix = arena_strdup(a, addr->local_part + len - n);
        addr->suffix_v = arena_strdup(a, addr->local_part + len - wild);
        addr->local_part = arena_strndup(a, addr->local_part, len - n);
        return true;
    }
    return r->local_part_suffix_optional;
}

bool route_check_affixes(struct arena *a, const struct router *r, struct address *addr)
{
    return strip_prefix(a, r, addr) && strip_suffix(a, r, addr);
}

/* Is this router for this kind of work? */
static bool fits_mode(const struct router *r, enum route_mode mode)
{
    switch (mode) {
    case ROUTE_VERIFY_RECIPIENT:
        return r->verify_recipient;
    case ROUTE_VERIFY_SENDER:
        return r->verify_sender;
    case ROUTE_TEST:
        return r->address_test && !r->verify_only;
    case ROUTE_EXPN:
        return r->expn && !r->verify_only;
    default:
        return !r->verify_only;
    }
}

static enum route_check list_deferred(struct route_run *run, const char *option)
{
    route_result(&run->call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "%s check lookup or other defer%s%s",
                 option, run->ctx.err.msg == NULL ? "" : ": ",
                 run->ctx.err.msg == NULL ? "" : run->ctx.err.msg);
    return ROUTE_CHECK_DEFER;
}

static enum route_check check_result(struct route_run *run, enum rc rc, const char *option)
{
    if (rc == RC_DEFER)
        return list_deferred(run, option);
    DEBUG(D_ROUTE)
    if (rc != RC_OK)
        debug_printf("%s router skipped: %s mismatch\n", run->call.addr->router->name, option);
    return rc == RC_OK ? ROUTE_CHECK_YES : ROUTE_CHECK_SKIP;
}

static enum route_check check_domains(struct route_run *run)
{
    struct address *addr = run->call.addr;
    const struct match_list *l = addr->router->domains;

    if (l == NULL)
        return ROUTE_CHECK_YES;
    return check_result(run, match_domain(&run->ctx, l, addr->domain, &addr->domain_data), "domains");
}

static enum route_check check_local_parts(struct route_run *run)
{
    struct address *addr = run->call.addr;
    const struct match_list *l = addr->router->local_parts;

    if (l == NULL)
        return ROUTE_CHECK_YES;
    return check_result(run,
                        match_local_part(&run->ctx, l, addr->local_part,
                                         !addr->router->caseful_local_part, &addr->local_part_data),
                        "local_parts");
}

static enum route_check check_user(struct route_run *run)
{
    struct address *addr = run->call.addr;

    if (!addr->router->check_local_user)
        return ROUTE_CHECK_YES;
    if (!route_find_login(&run->ctx, addr->local_part, &run->user))
        return ROUTE_CHECK_SKIP;
    addr->local_user_name = run->user.name;
    addr->uid = run->user.uid;
    addr->gid = run->user.gid;
    addr->uid_set = addr->gid_set = true;
    addr->home_dir = run->user.dir;
    if (addr->local_part_data == NULL)
        addr->local_part_data = addr->local_part;
    return ROUTE_CHECK_YES;
}

static enum route_check set_home(struct route_run *run)
{
    struct address *addr = run->call.addr;
    const struct expr *e = addr->router->router_home_directory;
    const char *v;

    if (e == NULL)
        return ROUTE_CHECK_YES;
    switch (expand(&run->ctx, e, &v)) {
    case EXPAND_OK:
        run->router_home = addr->home_dir = v;
        return ROUTE_CHECK_YES;
    case EXPAND_FORCED:
        return ROUTE_CHECK_YES;
    default:
        route_result(&run->call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5",
                     "failed to expand \"%s\" for router_home_directory: %s", e->text,
                     run->ctx.err.msg);
        return ROUTE_CHECK_DEFER;
    }
}

/* Shown with -d and under -bt. */
static enum route_check print_debug(struct route_run *run)
{
    const struct expr *e = run->call.addr->router->debug_print;
    const char *v;

    if (e == NULL || (debug_mask == 0 && run->mode != ROUTE_TEST))
        return ROUTE_CHECK_YES;
    if (expand(&run->ctx, e, &v) != EXPAND_OK)
        debug_printf("failed to expand \"%s\" in debug_print: %s\n", e->text, run->ctx.err.msg);
    else
        debug_printf("%s%s", v, cstr_ends(v, "\n") ? "" : "\n");
    return ROUTE_CHECK_YES;
}

static enum route_check check_senders(struct route_run *run)
{
    const struct match_list *l = run->call.addr->router->senders;
    const char *sender = run->ctx.message == NULL ? "" : run->ctx.message->sender;

    if (l == NULL)
        return ROUTE_CHECK_YES;
    /* While a sender is verified there is none yet. */
    if (run->mode == ROUTE_VERIFY_SENDER || sender == NULL)
        sender = "";
    return check_result(run, match_address(&run->ctx, l, sender, true, NULL), "senders");
}

static enum route_check check_conditions(struct route_run *run)
{
    for (const struct router_text *t = run->call.addr->router->condition; t != NULL; t = t->next) {
        bool yes = true;
        enum expand_rc rc = expand_bool(&run->ctx, t->value, true, &yes);
        if (rc == EXPAND_FORCED || (rc == EXPAND_OK && !yes))
            return ROUTE_CHECK_SKIP;
        if (rc == EXPAND_DEFER) {
            route_result(&run->call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "condition check lookup defer");
            return ROUTE_CHECK_DEFER;
        }
        if (rc != EXPAND_OK) {
            log_write(run->ctx.exim->log, LOG_MAIN | LOG_PANIC,
                      run->ctx.message == NULL ? NULL : run->ctx.message->id,
                      "failed to expand condition \"%s\" for %s router: %s", t->value->text,
                      run->call.addr->router->name, run->ctx.err.msg);
            return ROUTE_CHECK_SKIP;
        }
    }
    return ROUTE_CHECK_YES;
}

enum route_check route_check_preconditions(struct route_run *run)
{
    static enum route_check (*const checks[])(struct route_run *) = {
        check_domains, check_local_parts, check_user,        set_home,
        print_debug,   check_senders,     route_check_files, check_conditions,
    };
    struct address *addr = run->call.addr;

    if (!route_check_affixes(run->ctx.arena, addr->router, addr) || !fits_mode(addr->router, run->mode))
        return ROUTE_CHECK_SKIP;
    for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
        enum route_check ok = checks[i](run);
        if (ok != ROUTE_CHECK_YES)
            return ok;
    }
    return ROUTE_CHECK_YES;
}
