#include "route_int.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/hash.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"

enum { ENTRY_MAX = 1024 * 1024 };

/* ---- what the name service said a moment ago: a busy process asks for the same names again and again ---- */

enum { REMEMBERED_MS = 1000, REMEMBERED_MAX = 256 };
static struct {
    struct arena *arena; /* NULL: nothing is remembered */
    struct hash *users, *groups;
    int64_t until;
} remembered;

static void start_memory(void)
{
    if (remembered.arena != NULL)
        arena_destroy(&remembered.arena);
    remembered.arena = arena_new("users and groups");
    remembered.users = hash_new(remembered.arena, false);
    remembered.groups = hash_new(remembered.arena, false);
    remembered.until = tod_monotonic_ms() + REMEMBERED_MS;
}

static bool is_fresh(void)
{
    return remembered.arena != NULL && tod_monotonic_ms() < remembered.until;
}

static bool has_room(void)
{
    if (!is_fresh())
        start_memory();
    return hash_count(remembered.users) + hash_count(remembered.groups) < REMEMBERED_MAX;
}

static bool recall_user(struct arena *a, const char *name, struct route_user *out)
{
    const struct route_user *u = is_fresh() ? hash_find(remembered.users, name) : NULL;

    if (u == NULL)
        return false;
    *out = *u;
    out->name = arena_strdup(a, u->name);
    out->dir = arena_strdup(a, u->dir);
    out->gecos = arena_strdup(a, u->gecos);
    return true;
}

static void remember_user(const char *name, const struct route_user *found)
{
    if (!has_room())
        return;
    struct arena *a = remembered.arena;
    struct route_user *u = arena_new_obj(a, struct route_user);
    *u = *found;
    u->name = arena_strdup(a, found->name);
    u->dir = arena_strdup(a, found->dir);
    u->gecos = arena_strdup(a, found->gecos);
    (void)hash_put(remembered.users, arena_strdup(a, name), u);
}

static void remember_group(const char *name, gid_t gid)
{
    if (!has_room())
        return;
    gid_t *copy = arena_new_obj(remembered.arena, gid_t);
    *copy = gid;
    (void)hash_put(remembered.groups, arena_strdup(remembered.arena, name), copy);
}

/* ---- users and groups ---- */

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
    if (recall_user(ctx->arena, name, out))
        return true;
    for (long i = 0; !get_user(ctx->arena, name, out) && i < o->finduser_retries; i++)
        sleep(1);
    if (out->found)
        remember_user(name, out);
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
    const gid_t *known = is_fresh() ? hash_find(remembered.groups, name) : NULL;
    if (known != NULL) {
        *gid = *known;
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
    remember_group(name, *gid);
    return true;
}
