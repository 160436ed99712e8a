#include "retry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "hooks.h"
#include "match.h"
#include "message.h"

enum { FIELD_MAX = 64 * 1024 };

/* The names of the error field (manual 32.5), but for the 4xx and quota_<time> families. */
static const struct error_name {
    const char *name;
    int basic_errno, more_errno;
    bool connecting;
} error_names[] = {
    /* clang-format off */
    { "*",                  0, 0, false },
    { "auth_failed",        ERR_AUTHFAIL, 0, false },
    { "lookup",             ERR_DNSDEFER, 0, false },
    { "lost_connection",    ERR_SMTPCLOSED, 0, false },
    { "quota",              ERR_EXIMQUOTA, 0, false },
    { "refused",            ECONNREFUSED, 0, false },
    { "refused_A",          ECONNREFUSED, 'A', false },
    { "refused_MX",         ECONNREFUSED, 'M', false },
    { "timeout",            ETIMEDOUT, 0, false },
    { "timeout_A",          ETIMEDOUT, 'A', false },
    { "timeout_MX",         ETIMEDOUT, 'M', false },
    { "timeout_connect",    ETIMEDOUT, 0, true },
    { "timeout_connect_A",  ETIMEDOUT, 'A', true },
    { "timeout_connect_MX", ETIMEDOUT, 'M', true },
    { "tls_required",       ERR_TLSREQUIRED, 0, false },
    /* clang-format on */
};

/* mail_4xx, rcpt_45x, data_452 */
static bool parse_4xx(const char *s, struct retry_rule *rule)
{
    static const struct { const char *prefix; int basic_errno; } kinds[] = {
        { "mail_4", ERR_MAIL4XX }, { "rcpt_4", ERR_RCPT4XX }, { "data_4", ERR_DATA4XX } };

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (!cstr_starts(s, kinds[i].prefix))
            continue;
        char a = s[6], b = a == '\0' ? '\0' : s[7];
        if (a == '\0' || b == '\0' || s[8] != '\0' || (!is_digit(a) && a != 'x') || (!is_digit(b) && b != 'x') ||
            (a == 'x' && b != 'x'))
            return false;
        rule->basic_errno = kinds[i].basic_errno;
        rule->more_errno = a == 'x' ? RETRY_ANY_CODE
            : b == 'x' ? RETRY_TENS + (a - '0') * 10 : (a - '0') * 10 + (b - '0');
        return true;
    }
    return false;
}

bool retry_error_parse(const char *s, struct retry_rule *rule)
{
    for (size_t i = 0; i < ARRAY_LEN(error_names); i++)
        if (strcmp(s, error_names[i].name) == 0) {
            rule->basic_errno = error_names[i].basic_errno;
            rule->more_errno = error_names[i].more_errno;
            rule->connecting = error_names[i].connecting;
            return true;
        }
    if (cstr_starts(s, "quota_")) {
        long t = tod_interval_parse(s + 6);
        rule->basic_errno = ERR_EXIMQUOTA;
        rule->more_errno = (int)t;
        return t > 0 && t <= 0x7fffffff;
    }
    return parse_4xx(s, rule);
}

/* One white-space separated field, or one in double quotes with "" inside for a quote. */
static const char *next_field(struct arena *a, const char **at)
{
    struct buf b = buf_init(a, FIELD_MAX);
    const char *p = cstr_skip_space(*at);

    if (*p == '\0')
        return NULL;
    if (*p != '"') {
        while (*p != '\0' && !is_space(*p))
            buf_add_char(&b, *p++);
    } else
        for (p++; *p != '\0' && *p++ != '"';) {
            if (p[-1] == '\\' && *p != '\0')
                p++;
            buf_add_char(&b, p[-1]);
        }
    *at = p;
    return buf_cstr(&b);
}

static bool parse_step(struct arena *a, const char *text, struct retry_step *step, struct err *err)
{
    struct list_iter it = list_begin(text, ',');
    const char *letter = list_next(&it, a), *cutoff = list_next(&it, a);
    const char *interval = list_next(&it, a), *factor = list_next(&it, a);

    if (letter == NULL || letter[0] == '\0' || letter[1] != '\0' || strchr("FGH", letter[0]) == NULL)
        return err_set(err, a, "unknown retry rule letter in \"%s\": F, G or H expected", text);
    step->rule = letter[0];
    step->timeout = cutoff == NULL ? -1 : tod_interval_parse(cutoff);
    step->interval = interval == NULL ? -1 : tod_interval_parse(interval);
    if (step->timeout < 0 || step->interval <= 0)
        return err_set(err, a, "bad parameters for retry rule \"%s\": times such as 2h,15m expected", text);
    if (step->rule == 'F')
        return factor == NULL || err_set(err, a, "too many parameters for retry rule \"%s\"", text);
    char *end;
    step->multiplier = factor == NULL ? 0 : strtod(factor, &end);
    if (factor == NULL || *end != '\0' || step->multiplier <= 1.0 || step->multiplier > 1000.0)
        return err_set(err, a, "bad parameters for retry rule \"%s\": a multiplier greater than 1 expected", text);
    return true;
}

static bool parse_steps(struct arena *a, const char *text, struct retry_rule *rule, struct err *err)
{
    struct list_iter it = list_begin(text, ';');
    const char *item;
    struct retry_step *steps = arena_new_array(a, struct retry_step, strlen(text) / 2 + 1);

    while ((item = list_next(&it, a)) != NULL) {
        if (*item == '\0')
            continue;
        if (!parse_step(a, item, &steps[rule->step_count], err))
            return false;
        rule->step_count++;
    }
    rule->steps = steps;
    return true;
}

/* Exim: -brt shows the 4xx families as an asterisk. */
static const char *rule_error_shown(const char *error)
{
    struct retry_rule r = { 0 };

    return parse_4xx(error, &r) ? "*" : error;
}

struct retry_rule *retry_rule_parse(struct arena *a, const char *line, const struct config *cfg, struct err *err)
{
    struct retry_rule *rule = arena_new_obj(a, struct retry_rule);
    const char *at = line, *pattern = next_field(a, &at), *error = next_field(a, &at);
    const struct hooks *h = cfg->hooks;

    if (pattern == NULL || error == NULL) {
        err_set(err, a, "too few fields in retry rule: a pattern and an error name expected");
        return NULL;
    }
    rule->text = arena_printf(a, "%s  %s", pattern, rule_error_shown(error));
    rule->pattern = h->list_compile(a, LIST_ADDRESS, pattern, cfg, err);
    if (rule->pattern == NULL)
        return NULL;
    if (!retry_error_parse(error, rule)) {
        err_set(err, a, "unknown or malformed retry error name \"%s\"", error);
        return NULL;
    }
    at = cstr_skip_space(at);
    if (cstr_starts(at, "senders=")) {
        at += 8;
        const char *senders = next_field(a, &at);
        rule->senders = h->list_compile(a, LIST_ADDRESS, senders == NULL ? "" : senders, cfg, err);
        if (rule->senders == NULL)
            return NULL;
    }
    return parse_steps(a, cstr_skip_space(at), rule, err) ? rule : NULL;
}

/* ---- choosing ---- */

static bool error_matches(const struct retry_rule *r, int basic_errno, int more_errno)
{
    if (r->basic_errno == 0)
        return true;
    if (r->basic_errno == ERR_EXIMQUOTA)
        return (basic_errno == ERR_EXIMQUOTA || basic_errno == ENOSPC || basic_errno == EDQUOT) &&
               (r->more_errno == 0 || r->more_errno <= more_errno);
    if (r->basic_errno == ERR_TLSREQUIRED && basic_errno == ERR_TLSFAILURE)
        return true;
    if (r->basic_errno != basic_errno || (r->connecting && !(more_errno & RETRY_CONNECTING)))
        return false;
    if (r->more_errno == 0 || r->more_errno == RETRY_ANY_CODE)
        return true;
    if (r->more_errno >= RETRY_TENS)
        return more_errno / 10 == (r->more_errno - RETRY_TENS) / 10;
    return r->more_errno == (more_errno & ~RETRY_CONNECTING);
}

/* A key is a domain or host (then the local part is "*"), or an address. */
static bool key_matches(struct expand_ctx *ctx, const struct retry_rule *r, const char *key)
{
    const char *address = strchr(key, '@') != NULL ? key : arena_printf(ctx->arena, "*@%s", key);

    return match_address(ctx, r->pattern, address, true, NULL) == RC_OK;
}

const struct retry_rule *retry_rule_find(struct expand_ctx *ctx, const char *key, const char *alternate,
                                         int basic_errno, int more_errno)
{
    const struct retry_rule *r = ctx->exim->config->retry_rules;

    for (; r != NULL; r = r->next) {
        if (!error_matches(r, basic_errno, more_errno))
            continue;
        if (!key_matches(ctx, r, key) && (alternate == NULL || !key_matches(ctx, r, alternate)))
            continue;
        if (r->senders == NULL)
            return r;
        if (ctx->message != NULL && match_address(ctx, r->senders, ctx->message->sender, true, NULL) == RC_OK)
            return r;
    }
    return NULL;
}
