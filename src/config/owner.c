#include "config/owner.h"

#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sys/stat.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "config/value.h"

static bool number(const char *name, unsigned long *out)
{
    return cstr_to_ulong(name, out) && *out < UINT_MAX;
}

bool owner_user(const char *name, uid_t *uid, gid_t *gid)
{
    unsigned long n = 0;
    bool numeric = number(name, &n);
    const struct passwd *pw = name[0] == '\0' ? NULL
                              : numeric       ? getpwuid((uid_t)n)
                                              : getpwnam(name);

    if (pw == NULL && !numeric)
        return false;
    *uid = pw != NULL ? pw->pw_uid : (uid_t)n;
    if (gid != NULL && pw != NULL)
        *gid = pw->pw_gid;
    return true;
}

bool owner_group(const char *name, gid_t *gid)
{
    unsigned long n;

    if (number(name, &n)) {
        *gid = (gid_t)n;
        return true;
    }
    const struct group *gr = name[0] == '\0' ? NULL : getgrnam(name);

    if (gr == NULL)
        return false;
    *gid = gr->gr_gid;
    return true;
}

const char *owner_user_name(struct arena *a, uid_t uid)
{
    const struct passwd *pw = getpwuid(uid);

    return pw != NULL ? arena_strdup(a, pw->pw_name)
                      : arena_printf(a, "%lu", (unsigned long)uid);
}

const char *owner_group_name(struct arena *a, gid_t gid)
{
    const struct group *gr = getgrgid(gid);

    return gr != NULL ? arena_strdup(a, gr->gr_name)
                      : arena_printf(a, "%lu", (unsigned long)gid);
}

bool owner_user_list(struct arena *a, const char *list, const uid_t **out, size_t *count,
                     struct err *err)
{
    int n = list_count(list, ':', a);
    uid_t *ids = arena_new_array(a, uid_t, n > 0 ? (size_t)n : 1);
    struct list_iter it = list_begin(list, ':');

    *count = 0;
    for (const char *item; (item = list_next(&it, a)) != NULL; (*count)++)
        if (!owner_user(item, &ids[*count], NULL))
            return err_set(err, a, "user %s was not found", item);
    *out = ids;
    return true;
}

bool owner_group_list(struct arena *a, const char *list, const gid_t **out, size_t *count,
                      struct err *err)
{
    int n = list_count(list, ':', a);
    gid_t *ids = arena_new_array(a, gid_t, n > 0 ? (size_t)n : 1);
    struct list_iter it = list_begin(list, ':');

    *count = 0;
    for (const char *item; (item = list_next(&it, a)) != NULL; (*count)++)
        if (!owner_group(item, &ids[*count]))
            return err_set(err, a, "group %s was not found", item);
    *out = ids;
    return true;
}

static bool group_of_user(struct arena *a, const struct expr **group, gid_t gid)
{
    struct expr *e = arena_new_obj(a, struct expr);

    e->text = e->constant = owner_group_name(a, gid);
    *group = e;
    return true;
}

bool owner_resolve(struct arena *a, const struct expr **user, const struct expr **group,
                   struct owner_ids *out, struct err *err)
{
    const struct expr *u = *user, *g = *group;
    const gid_t none = (gid_t)-1;

    *out = (struct owner_ids){ .gid = none };
    if (u != NULL && u->constant != NULL) {
        if (!owner_user(u->constant, &out->uid, &out->gid))
            return err_set(err, a, "user %s was not found", u->constant);
        out->uid_fixed = true;
    }
    if (g != NULL) {
        out->gid_fixed = g->constant != NULL && owner_group(g->constant, &out->gid);
        return g->constant == NULL || out->gid_fixed ||
               err_set(err, a, "group %s was not found", g->constant);
    }
    if (!out->uid_fixed || out->gid == none)
        return true; /* a number that nobody has: the driver must find a group elsewhere
                      */
    out->gid_fixed = true;
    return group_of_user(a, group, out->gid);
}

bool owner_exim(uid_t *uid, gid_t *gid)
{
    if (!owner_user(EXIM_USER, uid, gid))
        return false;
    return EXIM_GROUP[0] == '\0' || owner_group(EXIM_GROUP, gid);
}

bool owner_configure(uid_t *uid, gid_t *gid)
{
    return owner_user(CONFIGURE_OWNER, uid, NULL) &&
           (CONFIGURE_GROUP[0] == '\0' || owner_group(CONFIGURE_GROUP, gid));
}

bool owner_allowed(const struct stat *st)
{
    uid_t uid;
    gid_t gid;

    if (st->st_uid != 0 &&
        !(owner_user(CONFIGURE_OWNER, &uid, NULL) && st->st_uid == uid))
        return false;
    if ((st->st_mode & S_IWOTH) != 0)
        return false;
    return (st->st_mode & S_IWGRP) == 0 || st->st_gid == 0 ||
           (owner_group(CONFIGURE_GROUP, &gid) && st->st_gid == gid);
}
