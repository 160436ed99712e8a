#include "routers/redirect.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/ctype.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "route_int.h"
#include "routers/redirect_int.h"

/* clang-format off */
#define BOOL_(m, d) OPTION_BOOL(struct redirect, m, d)
#define EXPAND_(m)  OPTION_EXPAND(struct redirect, m, NULL)
static const struct option options[] = {
    BOOL_(allow_defer, false),
    BOOL_(allow_fail, false),
    BOOL_(allow_filter, false),
    BOOL_(allow_freeze, false),
    BOOL_(check_ancestor, false),
    BOOL_(check_group, false),
    BOOL_(check_owner, false),
    EXPAND_(data),
    EXPAND_(directory_transport),
    EXPAND_(file),
    EXPAND_(file_transport),
    BOOL_(filter_prepend_home, true),
    BOOL_(forbid_blackhole, false),
    BOOL_(forbid_exim_filter, false),
    BOOL_(forbid_file, false),
    BOOL_(forbid_filter_dlfunc, false),
    BOOL_(forbid_filter_existstest, false),
    BOOL_(forbid_filter_logwrite, false),
    BOOL_(forbid_filter_lookup, false),
    BOOL_(forbid_filter_perl, false),
    BOOL_(forbid_filter_readfile, false),
    BOOL_(forbid_filter_readsocket, false),
    BOOL_(forbid_filter_reply, false),
    BOOL_(forbid_filter_run, false),
    BOOL_(forbid_include, false),
    BOOL_(forbid_pipe, false),
    BOOL_(forbid_sieve_filter, false),
    BOOL_(forbid_smtp_code, false),
    BOOL_(hide_child_in_errmsg, false),
    BOOL_(ignore_eacces, false),
    BOOL_(ignore_enotdir, false),
    OPTION_STRING(struct redirect, include_directory, NULL),
    OPTION_OCTAL(struct redirect, modemask, 022),
    BOOL_(one_time, false),
    OPTION_UID_LIST(struct redirect, owners, NULL),
    OPTION_GID_LIST(struct redirect, owngroups, NULL),
    EXPAND_(pipe_transport),
    EXPAND_(qualify_domain),
    BOOL_(qualify_preserve_domain, false),
    BOOL_(repeat_use, true),
    EXPAND_(reply_transport),
    BOOL_(rewrite, true),
    EXPAND_(sieve_enotify_mailto_owner),
    EXPAND_(sieve_subaddress),
    EXPAND_(sieve_useraddress),
    EXPAND_(sieve_vacation_directory),
    BOOL_(skip_syntax_errors, false),
    EXPAND_(syntax_errors_text),
    OPTION_STRING(struct redirect, syntax_errors_to, NULL),
};
/* clang-format on */

/* A switch that is unset, or no for good. */
static bool is_off(const struct expr *e)
{
    return e == NULL || (e->constant != NULL && (cstr_ieq(e->constant, "false") || cstr_ieq(e->constant, "no")));
}

static bool redirect_check(struct router *base, const struct config *cfg, struct arena *a, struct err *err)
{
    struct redirect *r = (struct redirect *)base;

    (void)cfg;
    if ((r->data == NULL) == (r->file == NULL))
        return err_set(err, a, "%s one of \"file\" or \"data\" must be specified",
                       r->data == NULL ? "" : "only");
    if (r->one_time && (base->headers_add != NULL || base->headers_remove != NULL))
        return err_set(err, a, "\"headers_add\" and \"headers_remove\" are not permitted with \"one_time\"");
    if (r->one_time && !is_off(base->unseen))
        return err_set(err, a, "\"unseen\" may not be used with \"one_time\"");
    if (r->qualify_domain != NULL && r->qualify_preserve_domain)
        return err_set(err, a, "only one of \"qualify_domain\" or \"qualify_preserve_domain\" must be set");
    if (r->allow_filter && !base->check_local_user && base->user == NULL)
        return err_set(err, a, "\"user\" or \"check_local_user\" must be set with \"allow_filter\"");
    if (r->allow_filter && r->forbid_exim_filter && r->forbid_sieve_filter)
        return err_set(err, a, "\"forbid_exim_filter\" and \"forbid_sieve_filter\" leave nothing for "
                               "\"allow_filter\"");
    if (r->one_time)
        r->forbid_pipe = r->forbid_file = r->forbid_filter_reply = true;
    if (base->check_local_user || r->owners != NULL)
        r->check_owner = true;
    if ((base->check_local_user && (r->modemask & 020) == 0) || r->owngroups != NULL)
        r->check_group = true;
    base->single_use = !r->repeat_use;
    return true;
}

/* ---- the data ---- */

static enum route_rc get_data(const struct redirect *r, struct route_call *call,
                              const struct redirect_reader *who, const char **text)
{
    const struct expr *e = r->data != NULL ? r->data : r->file;
    const char *v;

    switch (expand(call->ctx, e, &v)) {
    case EXPAND_OK:
        break;
    case EXPAND_FORCED:
        return ROUTE_DECLINE;
    default:
        return route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "failed to expand \"%s\": %s",
                            e->text, call->ctx->err.msg);
    }
    if (r->file != NULL)
        return redirect_read_file(r, call, who, v, text);
    *text = v;
    return ROUTE_OK;
}

/* "# Exim filter" or "# Sieve filter" at the top. */
static const char *filter_kind(const char *text)
{
    text = cstr_skip_space(text);
    if (*text != '#')
        return NULL;
    text = cstr_skip_space(text + 1);
    if (cstr_istarts(text, "exim filter"))
        return "Exim";
    return cstr_istarts(text, "sieve filter") ? "Sieve" : NULL;
}

static enum route_rc refuse_filter(const struct redirect *r, struct route_call *call, const char *kind)
{
    const char *why = "filtering not enabled";

    if (r->allow_filter && (kind[0] == 'E' ? r->forbid_exim_filter : r->forbid_sieve_filter))
        why = arena_printf(call->ctx->arena, "%s filtering not enabled", kind);
    else if (r->allow_filter)
        why = arena_printf(call->ctx->arena, "%s filter files are not built yet", kind);
    return route_result(call, ROUTE_DEFER, ERR_BADREDIRECT, "4.3.5", "error in filter %s: %s",
                        r->file != NULL ? "file" : "data", why);
}

/* ---- what the list says ---- */

static enum route_rc discard(struct route_call *call)
{
    struct address *addr = call->addr;

    addr->outcome = OUTCOME_DISCARDED;
    addr->next = call->results->settled;
    call->results->settled = addr;
    return ROUTE_DISCARD;
}

/* Is there an SMTP code "xyz " or "xyz x.y.z " at the start? Its length, or 0. */
static size_t code_length(const char *s)
{
    if (!(is_digit(s[0]) && is_digit(s[1]) && is_digit(s[2]) && s[3] == ' '))
        return 0;
    const char *p = s + 4;
    size_t digits = strspn(p, "0123456789.");
    bool enhanced = digits >= 5 && is_digit(p[0]) && p[1] == '.' && p[digits] == ' ';
    return enhanced ? 4 + digits + 1 : 4;
}

/* :fail: and :defer: texts may begin with a code of the right class, for SMTP replies. */
static enum route_rc refuse(const struct redirect *r, struct route_call *call, enum route_rc rc,
                            const char *text)
{
    size_t code = code_length(text);
    char class = rc == ROUTE_FAIL ? '5' : '4';
    struct addr_result *res = &call->addr->result;
    const char *status = rc == ROUTE_FAIL ? "5.1.1" : "4.2.0";

    if (code > 4 && text[4] == class)
        status = arena_strndup(call->ctx->arena, text + 4, code - 5);
    if (code > 0 && r->forbid_smtp_code)
        text += code;
    route_result(call, rc, rc == ROUTE_FAIL ? ERR_NONE : ERR_UNKNOWNERROR, status, "%s", text);
    res->user_message = res->message;
    res->pass_message = true;
    return rc;
}

static enum route_rc deliver_items(const struct redirect *r, struct route_call *call,
                                   const struct redirect_list *l)
{
    if (l->errors != NULL)
        redirect_report_errors(r, call, l->errors);
    if (l->items == NULL)
        return ROUTE_DECLINE;
    if (!redirect_add_children(r, call, l->items))
        return ROUTE_DEFER;
    call->addr->outcome = OUTCOME_EXPANDED;
    call->addr->flags |= ADDR_REDIRECTED;
    return ROUTE_OK;
}

static enum route_rc act(const struct redirect *r, struct route_call *call, enum redirect_outcome o,
                         const struct redirect_list *l)
{
    switch (o) {
    case REDIRECT_ITEMS:
        return deliver_items(r, call, l);
    case REDIRECT_BLACKHOLE:
        return discard(call);
    case REDIRECT_FAIL:
        return refuse(r, call, ROUTE_FAIL, l->text);
    case REDIRECT_DEFER:
        return refuse(r, call, ROUTE_DEFER, l->text);
    case REDIRECT_UNKNOWN:
        return ROUTE_DECLINE;
    default:
        return route_result(call, ROUTE_DEFER, ERR_BADREDIRECT, "4.3.5", "error in redirect %s: %s",
                            r->file != NULL ? "file" : "data", l->text);
    }
}

struct include_arg {
    struct route_call *call;
    const struct redirect_reader *who;
};

static const char *include(void *arg, const char *path, const char **why)
{
    struct include_arg *i = arg;

    return redirect_read_include(i->call, i->who, path, why);
}

static enum route_rc redirect_route(const struct router *base, struct route_call *call)
{
    const struct redirect *r = (const struct redirect *)base;
    const struct main_options *o = &call->ctx->exim->config->main;
    struct address *addr = call->addr;
    struct redirect_reader who;
    const char *text, *errors_to;

    if (!route_get_errors_to(call, addr, &errors_to) || !route_munge_headers(call, addr) ||
        !route_set_ids(call, addr))
        return ROUTE_DEFER;
    who = (struct redirect_reader){ addr->uid_set, addr->uid, addr->gid };
    enum route_rc rc = get_data(r, call, &who, &text);
    if (rc != ROUTE_OK)
        return rc;
    const char *filter = filter_kind(text);
    if (filter != NULL)
        return refuse_filter(r, call, filter);

    struct include_arg inc = { call, &who };
    const struct redirect_rules rules = {
        .allow_defer = r->allow_defer, .allow_fail = r->allow_fail,
        .forbid_blackhole = r->forbid_blackhole, .forbid_include = r->forbid_include,
        .skip_syntax_errors = r->skip_syntax_errors, .include_directory = r->include_directory,
        .allow_domain_literals = o->allow_domain_literals, .allow_utf8 = o->allow_utf8_domains,
        .include = include, .arg = &inc,
    };
    struct redirect_list list;
    enum redirect_outcome outcome = redirect_list_parse(call->ctx->arena, text, &rules, &list);
    return act(r, call, outcome, &list);
}

const struct router_driver router_redirect = {
    .name = "redirect",
    .instance_size = sizeof(struct redirect),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .flags = ROUTER_NO_TRANSPORT,
    .check = redirect_check,
    .route = redirect_route,
};
