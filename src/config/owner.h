/* owner.h - users and groups by name, and who may own the configuration file. */
#ifndef EXIM_CONFIG_OWNER_H
#define EXIM_CONFIG_OWNER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

struct arena;
struct expr;
struct stat;

/* name: digits, or looked up in the passwd or group file. gid: the user's own group; may be NULL,
 * and is not set for a number that belongs to no user. */
bool owner_user(const char *name, uid_t *uid, gid_t *gid) MUST_USE;
bool owner_group(const char *name, gid_t *gid) MUST_USE;
/* "root" for 0; the number when nobody has it. */
const char *owner_user_name(struct arena *a, uid_t uid) NONNULL_RET;
const char *owner_group_name(struct arena *a, gid_t gid) NONNULL_RET;
/* A separated list of users or groups. err names the one that is not known. */
bool owner_user_list(struct arena *a, const char *list, const uid_t **out, size_t *count,
                     struct err *err) MUST_USE;
bool owner_group_list(struct arena *a, const char *list, const gid_t **out, size_t *count,
                      struct err *err) MUST_USE;

/* The user= and group= of a router or transport. A constant user brings its group with it unless
 * one is given: *group is then set, so that it shows. */
struct owner_ids {
    bool uid_fixed, gid_fixed; /* constant: */
    uid_t uid;
    gid_t gid;
};
bool owner_resolve(struct arena *a, const struct expr **user, const struct expr **group,
                   struct owner_ids *out, struct err *err) MUST_USE;

/* What was built in: EXIM_USER and so on. False: it does not exist on this system. */
bool owner_exim(uid_t *uid, gid_t *gid) MUST_USE;
bool owner_configure(uid_t *uid, gid_t *gid) MUST_USE;      /* CONFIGURE_OWNER, CONFIGURE_GROUP */
/* May a configuration file look like that? Manual, chapter 6. */
bool owner_allowed(const struct stat *st) MUST_USE;

#endif
