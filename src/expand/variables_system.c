#include "expand/variable_getters.h"

#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/tod.h"
#include "build_info.h"
#include "config/config.h"
#include "config/owner.h"
#include "exim.h"
#include "expand/expand_int.h"
#include "os/load.h"
#include "session.h"

static const struct config *config_of(const struct expand_ctx *ctx)
{
    return ctx->exim == NULL ? NULL : ctx->exim->config;
}

/* which: enum tod_style. */
enum expand_rc variable_tod(struct expand_ctx *ctx, const struct variable *v,
                            const char *suffix, const char **out)
{
    (void)suffix;
    *out = tod_print(ctx->arena, (enum tod_style)v->which, tod_now());
    return EXPAND_OK;
}

enum expand_rc variable_pid(struct expand_ctx *ctx, const struct variable *v,
                            const char *suffix, const char **out)
{
    (void)v;
    (void)suffix;
    return eval_number(ctx, getpid(), out);
}

enum expand_rc variable_load(struct expand_ctx *ctx, const struct variable *v,
                             const char *suffix, const char **out)
{
    (void)v;
    (void)suffix;
    return eval_number(ctx, load_average(), out);
}

/* ---- free space ---- */

static const char *log_directory(struct expand_ctx *ctx, const struct config *cfg)
{
    const char *path = cfg->log_file_path;
    const char *slash = path == NULL || *path != '/' ? NULL : strrchr(path, '/');

    if (slash == NULL)
        return cfg->spool_directory;
    return slash == path ? "/" : arena_strndup(ctx->arena, path, (size_t)(slash - path));
}

/* which: SPACE_ bits. Kilobytes or inodes; -1 when unknown. */
enum expand_rc variable_space(struct expand_ctx *ctx, const struct variable *v,
                              const char *suffix, const char **out)
{
    const struct config *cfg = config_of(ctx);
    struct statvfs st;

    (void)suffix;
    if (cfg == NULL || cfg->spool_directory == NULL)
        return eval_number(ctx, -1, out);
    const char *dir =
        (v->which & SPACE_SPOOL) != 0 ? cfg->spool_directory : log_directory(ctx, cfg);
    if (statvfs(dir, &st) < 0)
        return eval_number(ctx, -1, out);
    if ((v->which & SPACE_INODES) != 0)
        return eval_number(ctx, st.f_files == 0 ? -1 : (int64_t)st.f_favail, out);
    return eval_number(ctx, (int64_t)((double)st.f_bavail * (double)st.f_frsize / 1024.0),
                       out);
}

/* ---- configuration and build ---- */

enum expand_rc variable_config_dir(struct expand_ctx *ctx, const struct variable *v,
                                   const char *suffix, const char **out)
{
    const struct config *cfg = config_of(ctx);
    const char *file = cfg == NULL ? NULL : cfg->filename;
    const char *slash = file == NULL ? NULL : strrchr(file, '/');

    (void)v;
    (void)suffix;
    if (file != NULL)
        *out =
            slash == NULL ? "." : arena_strndup(ctx->arena, file, (size_t)(slash - file));
    return EXPAND_OK;
}

enum expand_rc variable_exim_user(struct expand_ctx *ctx, const struct variable *v,
                                  const char *suffix, const char **out)
{
    const struct config *cfg = config_of(ctx);
    uid_t uid;
    gid_t gid;

    (void)suffix;
    if (cfg == NULL)
        return eval_number(ctx, 0, out);
    if (!cfg->exim_user_unasked || !owner_exim(&uid, &gid)) {
        uid = cfg->exim_uid;
        gid = cfg->exim_gid;
    }
    return eval_number(ctx, v->which == 0 ? (long)uid : (long)gid, out);
}

enum expand_rc variable_localhost_number(struct expand_ctx *ctx, const struct variable *v,
                                         const char *suffix, const char **out)
{
    const struct config *cfg = config_of(ctx);

    (void)v;
    (void)suffix;
    return eval_number(
        ctx, cfg == NULL || cfg->localhost_number < 0 ? 0 : cfg->localhost_number, out);
}

/* which: 0 number, 1 date. */
enum expand_rc variable_compiled(struct expand_ctx *ctx, const struct variable *v,
                                 const char *suffix, const char **out)
{
    (void)ctx;
    (void)suffix;
    *out = v->which == 0 ? build_info_number : build_info_date;
    return EXPAND_OK;
}

/* ---- rows with a number in their name ---- */

enum expand_rc variable_acl_arg(struct expand_ctx *ctx, const struct variable *v,
                                const char *suffix, const char **out)
{
    (void)suffix;
    if (v->which <= ctx->acl_narg && ctx->acl_arg[v->which - 1] != NULL)
        *out = ctx->acl_arg[v->which - 1];
    return EXPAND_OK;
}

enum expand_rc variable_auth(struct expand_ctx *ctx, const struct variable *v,
                             const char *suffix, const char **out)
{
    (void)suffix;
    if (ctx->auth[v->which - 1] != NULL)
        *out = ctx->auth[v->which - 1];
    return EXPAND_OK;
}

enum expand_rc variable_regex(struct expand_ctx *ctx, const struct variable *v,
                              const char *suffix, const char **out)
{
    (void)suffix;
    if (ctx->regex_capture[v->which] != NULL)
        *out = ctx->regex_capture[v->which];
    return EXPAND_OK;
}

/* which: 0..9 $n0.., 10..19 $sn0..: only filters have them. */
enum expand_rc variable_filter_counter(struct expand_ctx *ctx, const struct variable *v,
                                       const char *suffix, const char **out)
{
    const char *s = v->which < 10 ? ctx->n[v->which] : ctx->sn[v->which - 10];

    (void)suffix;
    if (s == NULL)
        return eval_fail(ctx, "unknown variable name \"%s\"", v->name);
    *out = s;
    return EXPAND_OK;
}

/* ---- TLS ---- */

enum expand_rc variable_tls_out_dane(struct expand_ctx *ctx, const struct variable *v,
                                     const char *suffix, const char **out)
{
    (void)v;
    (void)suffix;
    *out = ctx->tls_out != NULL && ctx->tls_out->dane_verified ? "yes" : "no";
    return EXPAND_OK;
}
