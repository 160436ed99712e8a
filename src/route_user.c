#include "route_int.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"

enum { ENTRY_MAX = 1024 * 1024 };

/* A name of digits only is a number, never looked up. */
static bool is_number(const char *name, unsigned long *n)
{
    return is_digit(name[0]) && cstr_to_ulong(name, n) && *n < (unsigned long)(uid_t)-1;
}

static void copy_user(struct arena *a, struct route_user *out, const struct passwd *pw)
{
    out->name = arena_strdup(a, pw->pw_name);
    out->dir = arena_strdup(a, pw->pw_dir);
    out->gecos = arena_strdup(a, pw->pw_gecos == NULL ? "" : pw->pw_gecos);
    out->uid = pw->pw_uid;
    out->gid = pw->pw_gid;
    out->found = true;
}

static bool get_user(struct arena *a, const char *name, struct route_user *out)
{
    struct passwd pw, *found = NULL;
    struct arena_mark m = arena_mark(a);
    int rc = ERANGE;

    for (size_t size = 4096; rc == ERANGE && size <= ENTRY_MAX; size *= 4) {
        arena_reset(a, m);
        rc = getpwnam_r(name, &pw, arena_new_array(a, char, size), size, &found);
    }
    if (found != NULL)
        copy_user(a, out, found);
    return found != NULL;
}

bool route_find_login(struct expand_ctx *ctx, const char *name, struct route_user *out)
{
    const struct main_options *o = &ctx->exim->config->main;

    *out = (struct route_user){ 0 };
    if (o->max_username_length > 0 && strlen(name) > (size_t)o->max_username_length)
        return false;
    for (long i = 0; !get_user(ctx->arena, name, out) && i < o->finduser_retries; i++)
        sleep(1);
    return out->found;
}

bool route_find_user(struct expand_ctx *ctx, const char *name, struct route_user *out)
{
    unsigned long n;

    if (!is_number(name, &n))
        return route_find_login(ctx, name, out);
    *out = (struct route_user){ .name = name, .uid = (uid_t)n };
    return true;
}

bool route_find_group(struct expand_ctx *ctx, const char *name, gid_t *gid)
{
    struct group gr, *found = NULL;
    struct arena *a = ctx->arena;
    unsigned long n;

    if (is_number(name, &n)) {
        *gid = (gid_t)n;
        return true;
    }
    for (long i = 0;; i++) {
        int rc = ERANGE;
        for (size_t size = 4096; rc == ERANGE && size <= ENTRY_MAX; size *= 4)
            rc = getgrnam_r(name, &gr, arena_new_array(a, char, size), size, &found);
        if (found != NULL || i >= ctx->exim->config->main.finduser_retries)
            break;
        sleep(1);
    }
    if (found == NULL)
        return false;
    *gid = found->gr_gid;
    return true;
}
