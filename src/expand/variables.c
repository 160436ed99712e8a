#include "expand/variables.h"

#include <inttypes.h>
#include <string.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/table.h"
#include "config/config.h"
#include "exim.h"
#include "expand/expand_int.h"
#include "expand/variable_getters.h"
#include "address.h"
#include "message.h"
#include "session.h"
#include "tls.h"

/* ---- names ---- */

static const struct variable acl_row = { .kind = VAR_GETTER, .get = variable_acl };
static const struct variable router_row = { .kind = VAR_GETTER, .get = variable_router };

/* Variables of features that are not part of this build. */
static const struct {
    const char *prefix, *why;
} unbuilt[] = {
    { "arc_", " (ARC is not built in)" },     { "bmi_", " (Brightmail is not built in)" },
    { "dcc_", " (DCC is not built in)" },     { "dkim_", " (DKIM is not built in)" },
    { "dmarc_", " (DMARC is not built in)" }, { "ldap_", " (LDAP is not built in)" },
    { "spf_", " (SPF is not built in)" },     { "srs_", " (SRS is not built in)" },
};

static bool find_acl(const char *name, struct variable_ref *out, const char **why)
{
    if (name[4] != 'c' && name[4] != 'm') {
        *why = " (user-defined ACL variables must start acl_c or acl_m)";
        return false;
    }
    if (name[5] != '\0' && name[5] != '_' && !is_digit(name[5])) {
        *why = " (6th character of a user-defined ACL variable must be a digit or "
               "underscore)";
        return false;
    }
    *out = (struct variable_ref){ &acl_row, name + 4 };
    return true;
}

bool variable_find(struct arena *a, const char *name, struct variable_ref *out,
                   const char **why)
{
    const struct variable *row =
        table_find(variable_table, variable_count, sizeof(variable_table[0]), name);

    *why = "";
    if (row != NULL) {
        *out = (struct variable_ref){ row, NULL };
        return true;
    }
    if (cstr_starts(name, "r_")) {
        *out = (struct variable_ref){ &router_row, arena_strdup(a, name + 2) };
        return true;
    }
    if (cstr_starts(name, "acl_"))
        return find_acl(arena_strdup(a, name), out, why);
    for (size_t i = 0; i < ARRAY_LEN(unbuilt); i++)
        if (cstr_starts(name, unbuilt[i].prefix))
            *why = unbuilt[i].why;
    return false;
}

/* ---- values ---- */

static const void *scope_object(const struct expand_ctx *ctx, enum variable_scope scope)
{
    switch (scope) {
    case SCOPE_CTX:
        return ctx;
    case SCOPE_EXIM:
        return ctx->exim;
    case SCOPE_CONFIG:
        return ctx->exim == NULL ? NULL : ctx->exim->config;
    case SCOPE_SESSION:
        return ctx->session;
    case SCOPE_MESSAGE:
        return ctx->message;
    case SCOPE_ADDR:
        return ctx->addr;
    case SCOPE_HOST:
        return ctx->host != NULL   ? ctx->host
               : ctx->addr != NULL ? ctx->addr->host_list
                                   : NULL;
    case SCOPE_TLS_IN:
        return ctx->session == NULL ? NULL : &ctx->session->tls_in;
    case SCOPE_TLS_OUT:
        return ctx->tls_out;
    case SCOPE_NONE:
        break;
    }
    return NULL;
}

/* Where the member is; NULL when there is no such object. */
static const void *member(const struct expand_ctx *ctx, const struct variable_place *at)
{
    const char *object = scope_object(ctx, at->scope);

    return object == NULL ? NULL : object + at->offset;
}

static const char *string_value(const struct expand_ctx *ctx, const struct variable *v)
{
    for (size_t i = 0; i < ARRAY_LEN(v->at); i++) {
        const void *p = member(ctx, &v->at[i]);
        const char *const *s = p;

        if (p != NULL && v->kind == VAR_TEXT)
            return p;
        if (p != NULL && *s != NULL)
            return *s;
    }
    return v->dflt == NULL ? "" : v->dflt;
}

static int64_t number_at(enum variable_kind kind, const void *p)
{
    switch (kind) {
    case VAR_INT:
        return *(const int *)p;
    case VAR_LONG:
        return *(const long *)p;
    case VAR_INT64:
        return *(const int64_t *)p;
    case VAR_UINT32:
        return *(const uint32_t *)p;
    case VAR_SIZE:
        return (int64_t) * (const size_t *)p;
    case VAR_ID:
        return *(const uid_t *)p;
    case VAR_FLAG:
    case VAR_YESNO:
        return *(const bool *)p;
    default:
        bug("variable of kind %d is no number", (int)kind);
    }
}

static enum expand_rc number_value(struct expand_ctx *ctx, const struct variable *v,
                                   const char **out)
{
    const void *p = member(ctx, &v->at[0]);

    if (p == NULL)
        p = member(ctx, &v->at[1]);
    if (p == NULL) {
        *out = v->dflt == NULL ? (v->kind == VAR_YESNO ? "no" : "0") : v->dflt;
        return EXPAND_OK;
    }
    int64_t n = number_at(v->kind, p);
    if (v->kind == VAR_FLAG)
        *out = n != 0 ? "1" : "0";
    else if (v->kind == VAR_YESNO)
        *out = n != 0 ? "yes" : "no";
    else
        return eval_number(ctx, n, out);
    return EXPAND_OK;
}

void *variable_cert(struct expand_ctx *ctx, const struct variable *v)
{
    const void *p = member(ctx, &v->at[0]);

    return p == NULL ? NULL : *(void *const *)p;
}

static const char *cert_value(struct expand_ctx *ctx, const struct variable *v)
{
    void *cert = variable_cert(ctx, v);
    const char *pem = cert == NULL ? NULL : tls_cert_pem(ctx->arena, cert);

    return pem == NULL ? "" : pem;
}

enum expand_rc variable_eval(struct expand_ctx *ctx, const struct variable_ref *ref,
                             const char **out)
{
    const struct variable *v = ref->row;

    switch (v->kind) {
    case VAR_STRING:
    case VAR_TEXT:
        *out = string_value(ctx, v);
        return EXPAND_OK;
    case VAR_CERT:
        *out = cert_value(ctx, v);
        return EXPAND_OK;
    case VAR_GETTER:
        *out = v->dflt == NULL ? "" : v->dflt;
        return v->get(ctx, v, ref->suffix, out);
    default:
        return number_value(ctx, v, out);
    }
}

/* ---- variables that the configuration defines ---- */

/* suffix: 'c' or 'm' and the name that stands after it. */
enum expand_rc variable_acl(struct expand_ctx *ctx, const struct variable *v,
                            const char *suffix, const char **out)
{
    const struct session *s = ctx->session;
    const struct message *m = ctx->message;
    const struct hash *vars;

    (void)v;
    if (*suffix == 'm')
        vars = m != NULL ? m->acl_m : s != NULL ? s->acl_m : NULL;
    else
        vars = s != NULL ? s->acl_c : m != NULL ? m->acl_c : NULL;
    const char *value = vars == NULL ? NULL : hash_find(vars, suffix + 1);
    if (value != NULL)
        *out = value;
    else if (ctx->exim != NULL && ctx->exim->config != NULL &&
             ctx->exim->config->main.strict_acl_vars)
        return eval_fail(ctx, "unknown variable name \"acl_%s\" (strict_acl_vars is set)",
                         suffix);
    return EXPAND_OK;
}

enum expand_rc variable_router(struct expand_ctx *ctx, const struct variable *v,
                               const char *suffix, const char **out)
{
    const struct hash *vars = ctx->addr == NULL ? NULL : ctx->addr->router_vars;
    const char *value = vars == NULL ? NULL : hash_find(vars, suffix);

    (void)v;
    if (value != NULL)
        *out = value;
    return EXPAND_OK;
}
