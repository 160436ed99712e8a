#include "acl/verify_int.h"

#include <string.h>

#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"

enum { CALLOUT_SECONDS = 30 };

static bool callout_time(struct arena *a, const struct verify *v, const char *s,
                         long *out, struct err *err)
{
    s = cstr_skip_space(s);
    *out = tod_interval_parse(s);
    if (*s == '\0' || *out < 0)
        return err_set(err, a, "bad time value in ACL condition \"verify %s\"", v->text);
    return true;
}

/* What follows "=" after name; NULL when s is another option. */
static const char *value_of(const char *s, const char *name)
{
    size_t len = strlen(name);

    if (strncmp(s, name, len) != 0)
        return NULL;
    s = cstr_skip_space(s + len);
    return *s == '=' ? cstr_skip_space(s + 1) : NULL;
}

/* clang-format off */
static const struct { const char *name; unsigned flag; } callout_flags[] = {
    { "fullpostmaster", VERIFY_CALLOUT_POSTMASTER | VERIFY_CALLOUT_FULLPOSTMASTER },
    { "no_cache",       VERIFY_CALLOUT_NOCACHE },
    { "postmaster",     VERIFY_CALLOUT_POSTMASTER },
    { "random",         VERIFY_CALLOUT_RANDOM },
    { "use_postmaster", VERIFY_CALLOUT_USE_POSTMASTER },
    { "use_sender",     VERIFY_CALLOUT_USE_SENDER },
};
/* clang-format on */

static bool callout_option(struct arena *a, struct verify *v, const char *s,
                           struct err *err)
{
    const char *value;

    for (size_t i = 0; i < ARRAY_LEN(callout_flags); i++)
        if (strcmp(s, callout_flags[i].name) == 0) {
            v->o.flags |= callout_flags[i].flag;
            return true;
        }
    if (strcmp(s, "defer_ok") == 0)
        return v->o.callout_defer_ok = true;
    if ((value = value_of(s, "mailfrom")) != NULL) {
        if (strcmp(v->row->name, "header_sender") != 0)
            return err_set(err, a,
                           "\"mailfrom\" is allowed as a callout option only for "
                           "verify=header_sender "
                           "(detected in ACL condition \"%s\")",
                           v->text);
        v->o.mailfrom = value;
        return true;
    }
    if ((value = value_of(s, "postmaster_mailfrom")) != NULL) {
        v->o.flags |= VERIFY_CALLOUT_POSTMASTER;
        v->o.postmaster_mailfrom = value;
        return true;
    }
    if ((value = value_of(s, "maxwait")) != NULL)
        return callout_time(a, v, value, &v->o.callout_overall, err);
    if ((value = value_of(s, "connect")) != NULL)
        return callout_time(a, v, value, &v->o.callout_connect, err);
    return callout_time(a, v, s, &v->o.callout, err);
}

static bool callout_options(struct arena *a, struct verify *v, const char *s,
                            struct err *err)
{
    struct list_iter it = list_begin(s, ',');

    for (const char *item; (item = list_next(&it, a)) != NULL;)
        if (!callout_option(a, v, item, err))
            return false;
    return true;
}

static bool address_option(struct arena *a, struct verify *v, const char *s,
                           struct err *err)
{
    const char *value = "";

    if (strcmp(s, "defer_ok") == 0) {
        v->o.defer_ok = true;
    } else if (strcmp(s, "no_details") == 0) {
        v->no_details = true;
    } else if (strcmp(s, "success_on_redirect") == 0) {
        v->o.flags |= VERIFY_SUCCESS_ON_REDIRECT;
    } else if (strcmp(s, "callout_defer_ok") == 0) {
        v->o.callout_defer_ok = true;
        v->o.callout = v->o.callout > 0 ? v->o.callout : CALLOUT_SECONDS;
    } else if (strcmp(s, "check_postmaster") == 0) {
        v->o.flags |= VERIFY_CALLOUT_POSTMASTER;
    } else if (strcmp(s, "callout") == 0 || (value = value_of(s, "callout")) != NULL) {
        v->o.callout = CALLOUT_SECONDS;
        return strcmp(s, "callout") == 0 || callout_options(a, v, value, err);
    } else {
        return err_set(err, a, "unknown option \"%s\" in ACL condition \"verify %s\"", s,
                       v->text);
    }
    return true;
}

bool acl_verify_option(struct arena *a, struct verify *v, const char *s, struct err *err)
{
    switch (v->row->options) {
    case OPTIONS_ADDRESS:
        return address_option(a, v, s, err);
    case OPTIONS_DEFER_OK:
        v->o.defer_ok |= strcmp(s, "defer_ok") == 0;
        if (strcmp(s, "defer_ok") == 0)
            return true;
        break;
    case OPTIONS_BLIND:
        v->case_insensitive |= strcmp(s, "case_insensitive") == 0;
        if (strcmp(s, "case_insensitive") == 0)
            return true;
        break;
    case OPTIONS_DOMAIN:
        v->address = s;
        return true;
    case OPTIONS_NONE:
        return err_set(err, a,
                       "unexpected '/' found in \"%s\" (this verify item has no options)",
                       v->text);
    }
    return err_set(err, a, "unknown option \"%s\" in ACL condition \"verify %s\"", s,
                   v->text);
}
