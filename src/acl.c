#include "acl.h"
#include "acl/acl_int.h"

#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "search.h"

enum { FILE_MAX = 1024 * 1024, KEPT_MAX = 200 };

const char *acl_where_name(enum acl_where w)
{
    static const char *const names[ACL_WHERE_COUNT] = {
        [ACL_WHERE_RCPT] = "RCPT",
        [ACL_WHERE_MAIL] = "MAIL",
        [ACL_WHERE_PREDATA] = "PREDATA",
        [ACL_WHERE_MIME] = "MIME",
        [ACL_WHERE_DKIM] = "DKIM",
        [ACL_WHERE_DATA] = "DATA",
        [ACL_WHERE_PRDR] = "PRDR",
        [ACL_WHERE_NOTSMTP] = "non-SMTP",
        [ACL_WHERE_AUTH] = "AUTH",
        [ACL_WHERE_CONNECT] = "connection",
        [ACL_WHERE_ETRN] = "ETRN",
        [ACL_WHERE_EXPN] = "EXPN",
        [ACL_WHERE_HELO] = "EHLO or HELO",
        [ACL_WHERE_MAILAUTH] = "MAILAUTH",
        [ACL_WHERE_NOTSMTP_START] = "non-SMTP-start",
        [ACL_WHERE_NOTQUIT] = "NOTQUIT",
        [ACL_WHERE_QUIT] = "QUIT",
        [ACL_WHERE_STARTTLS] = "STARTTLS",
        [ACL_WHERE_VRFY] = "VRFY",
        [ACL_WHERE_DELIVERY] = "delivery",
        [ACL_WHERE_UNKNOWN] = "unknown",
    };

    return (unsigned)w < ACL_WHERE_COUNT ? names[w] : "unknown";
}

/* ---- finding: by name, from a file, inline ---- */

/* ACLs of files and inline texts, kept as long as the process. */
struct kept {
    struct hash *acls;
    size_t count;
};

static struct kept *kept_acls(struct exim *x)
{
    struct kept **slot = (struct kept **)search_slot(x->search, "ACLs");

    if (*slot == NULL) {
        *slot = arena_new_obj(x->arena, struct kept);
        (*slot)->acls = hash_new(x->arena, false);
    }
    return *slot;
}

static const char *read_file(struct expand_ctx *ctx, const char *path, struct err *err)
{
    struct str text;

    if (!file_slurp(ctx->arena, path, FILE_MAX, &text)) {
        err_sys(err, ctx->arena, errno, "failed to open ACL file \"%s\"", path);
        return NULL;
    }
    return str_dup(ctx->arena, text);
}

/* Parsed from text; kept under key while there is room. */
static const struct acl *parse(struct expand_ctx *ctx, const char *key, const char *text,
                               struct err *err)
{
    struct kept *kept = kept_acls(ctx->exim);
    const struct acl *acl = hash_find(kept->acls, key);
    bool file = *key == '/';

    if (acl != NULL)
        return acl;
    if (file && (text = read_file(ctx, key, err)) == NULL)
        return NULL;
    bool keep = file || kept->count < KEPT_MAX;
    struct arena *a = keep ? ctx->exim->arena : ctx->arena;
    struct acl *made = acl_parse_text(a, file ? key : "inline", text, err);
    if (made != NULL && keep) {
        kept->count++;
        hash_put(kept->acls, arena_strdup(a, key), made);
    }
    return made;
}

const struct acl *acl_find(struct expand_ctx *ctx, const char *text, struct err *err)
{
    const struct config *cfg = ctx->exim->config;

    text = str_dup(ctx->arena, str_trim(str_from(text)));
    if (*text != '/' && text[strcspn(text, " \t\n")] == '\0' && cfg != NULL &&
        cfg->acls != NULL) {
        const struct acl *acl = hash_find(cfg->acls, text);

        if (acl != NULL)
            return acl;
    }
    return parse(ctx, text, text, err);
}

/* ---- entry points ---- */

struct acl_verdict acl_run_named(struct expand_ctx *ctx, enum acl_where where,
                                 const char *text, const char *const *args, int narg)
{
    struct err err = { 0 };
    const char *saved[ACL_ARG_MAX];
    int saved_count = ctx->acl_narg;
    const struct acl *acl = acl_find(ctx, text, &err);

    if (acl == NULL)
        return (struct acl_verdict){ .rc = ACL_ERROR,
                                     .log_message = err.msg,
                                     .log_reject_target = LOG_MAIN | LOG_REJECT };
    memcpy(saved, ctx->acl_arg, sizeof(saved));
    ctx->acl_narg = narg > ACL_ARG_MAX ? ACL_ARG_MAX : narg;
    for (int i = 0; i < ACL_ARG_MAX; i++)
        ctx->acl_arg[i] = i < ctx->acl_narg ? args[i] : NULL;
    struct acl_verdict v = acl_run_acl(ctx, where, acl);
    memcpy(ctx->acl_arg, saved, sizeof(saved));
    ctx->acl_narg = saved_count;
    return v;
}

/* $recipients is a variable in the ACLs that see all of them (manual 11.9). */
static bool shows_recipients(enum acl_where where)
{
    return where == ACL_WHERE_PREDATA || where == ACL_WHERE_DATA ||
           where == ACL_WHERE_MIME || where == ACL_WHERE_NOTSMTP_START ||
           where == ACL_WHERE_NOTSMTP;
}

struct acl_verdict acl_check(struct expand_ctx *ctx, enum acl_where where,
                             const char *spec)
{
    struct captures before = ctx->captures;
    bool visible = ctx->recipients_visible;

    if (ctx->acl_level == 0)
        ctx->ratelimit_cmd = NULL;
    ctx->recipients_visible = visible || shows_recipients(where);
    struct acl_verdict v = acl_run_named(ctx, where, spec, NULL, 0);
    ctx->recipients_visible = visible;
    ctx->captures = before;
    if (v.rc == ACL_ACCEPT || v.rc == ACL_DISCARD ||
        (v.sender_verified != NULL &&
         !acl_run_first(ctx, arena_printf(ctx->arena, "\nsender %s", v.sender_address))))
        v.sender_verified = NULL;
    return v;
}

struct acl_verdict acl_check_option(struct expand_ctx *ctx, enum acl_where where,
                                    const struct expr *option)
{
    struct acl_verdict v = { .rc = ACL_ACCEPT,
                             .log_reject_target = LOG_MAIN | LOG_REJECT };
    const char *spec;

    switch (expand(ctx, option, &spec)) {
    case EXPAND_OK:
        return acl_check(ctx, where, spec);
    case EXPAND_FORCED:
        return v;
    default:
        break;
    }
    v.rc = ACL_ERROR;
    v.log_message = arena_printf(ctx->arena, "failed to expand ACL string \"%s\": %s",
                                 option->text, ctx->err.msg == NULL ? "" : ctx->err.msg);
    return v;
}

enum rc acl_eval(struct expand_ctx *ctx, const char *name, const char *const *args,
                 int narg, const char **message)
{
    enum acl_where where =
        ctx->acl_where > 0 ? (enum acl_where)(ctx->acl_where - 1) : ACL_WHERE_UNKNOWN;
    const char *verify_message = ctx->acl_verify_message;
    struct acl_verdict v = acl_run_named(ctx, where, name, args, narg);

    ctx->acl_verify_message = verify_message;
    if (message != NULL)
        *message = v.user_message;
    switch (v.rc) {
    case ACL_ACCEPT:
        return RC_OK;
    case ACL_DEFER:
        return RC_DEFER;
    case ACL_ERROR:
        return RC_DECLINE;
    default:
        return RC_FAIL;
    }
}
