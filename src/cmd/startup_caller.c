#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "cmd/startup.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "regex.h"

enum { GROUP_LIMIT = 1024 };

struct groups {
    gid_t ids[GROUP_LIMIT];
    int count;
};

static void get_groups(const struct exim *e, struct groups *g)
{
    int n = getgroups(GROUP_LIMIT - 1, g->ids);

    g->count = n < 0 ? 0 : n;
    g->ids[g->count++] = e->real_gid;
}

static bool is_member(const struct groups *g, const gid_t *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (int j = 0; j < g->count; j++)
            if (g->ids[j] == wanted[i])
                return true;
    return false;
}

static bool is_listed(uid_t uid, const uid_t *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (list[i] == uid)
            return true;
    return false;
}

static bool has_only_callers_rights(void)
{
    return geteuid() != 0 && geteuid() == getuid() && getegid() == getgid();
}

/* Manual 5.2. A process that has no rights beyond its caller's can do no more than he
 * could. */
static void set_rights(struct exim *e)
{
    const struct config *c = e->config;
    bool exim =
        has_only_callers_rights() || e->real_uid == 0 || e->real_uid == c->exim_uid;
    struct groups g;

    get_groups(e, &g);
    e->admin = exim || is_member(&g, &c->exim_gid, 1) ||
               is_member(&g, c->admin_groups, c->admin_group_count);
    e->trusted = exim ||
                 is_listed(e->real_uid, c->trusted_users, c->trusted_user_count) ||
                 is_member(&g, c->trusted_groups, c->trusted_group_count);
}

/* ---- Name ---- */

/* The usual meaning of the gecos field: up to the comma, with & for the capitalised
 * login. */
static const char *plain_gecos(struct arena *a, const char *gecos, const char *login)
{
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);

    for (const char *s = gecos; *s != '\0' && *s != ','; s++) {
        if (*s != '&') {
            buf_add_char(&b, *s);
            continue;
        }
        buf_add_char(&b, to_upper(login[0]));
        buf_add_cstr(&b, login[0] == '\0' ? "" : login + 1);
    }
    return buf_cstr(&b);
}

/* gecos_pattern and gecos_name, if both are set and match; else NULL. */
static const char *matched_gecos(struct exim *e, const char *gecos)
{
    const struct main_options *m = &e->config->main;
    struct expand_ctx ctx;
    const char *name;

    if (m->gecos_pattern == NULL || m->gecos_name == NULL)
        return NULL;
    const struct regex *re = regex_compile(e->arena, m->gecos_pattern, 0, NULL);

    expand_ctx_init(&ctx, e, e->arena);
    if (re == NULL ||
        regex_match(re, e->arena, str_from(gecos), &ctx.captures, NULL) != RC_OK ||
        expand(&ctx, m->gecos_name, &name) != EXPAND_OK)
        return NULL;
    return name;
}

static bool known_caller(struct exim *e, const struct passwd *pw)
{
    const char *name = matched_gecos(e, pw->pw_gecos);

    e->originator_login = arena_strdup(e->arena, pw->pw_name);
    e->originator_name =
        name != NULL ? name : plain_gecos(e->arena, pw->pw_gecos, pw->pw_name);
    return true;
}

/* unknown_login and unknown_username stand in for a uid that nobody has. */
static bool unknown_caller(struct exim *e, struct err *err)
{
    const struct main_options *m = &e->config->main;
    struct expand_ctx ctx;

    if (m->unknown_login == NULL)
        return err_set(err, e->arena, "Failed to get user name for uid %ld",
                       (long)e->real_uid);
    expand_ctx_init(&ctx, e, e->arena);
    if (expand(&ctx, m->unknown_login, &e->originator_login) != EXPAND_OK)
        return err_set(err, e->arena, "failed to expand unknown_login: %s", ctx.err.msg);
    e->originator_name = m->unknown_username != NULL ? m->unknown_username : "";
    return true;
}

static bool set_originator(struct exim *e, const struct cmd_line *c, struct err *err)
{
    const struct passwd *pw = getpwuid(e->real_uid);

    if (!(pw != NULL ? known_caller(e, pw) : unknown_caller(e, err)))
        return false;
    if (c->sender_name != NULL)
        e->originator_name = c->sender_name;
    return true;
}

bool startup_caller(struct exim *e, const struct cmd_line *c, struct err *err)
{
    set_rights(e);
    return set_originator(e, c, err);
}

bool startup_submitter(struct exim *e, const struct cmd_line *c, uid_t uid, gid_t gid,
                       struct err *err)
{
    const struct config *cfg = e->config;

    e->real_uid = uid;
    e->real_gid = gid;
    e->admin = false;
    e->trusted = uid == 0 || uid == cfg->exim_uid ||
                 is_listed(uid, cfg->trusted_users, cfg->trusted_user_count);
    for (size_t i = 0; i < cfg->trusted_group_count; i++)
        e->trusted = e->trusted || cfg->trusted_groups[i] == gid;
    return set_originator(e, c, err);
}
