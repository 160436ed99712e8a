/* priv_int.h - becoming somebody: what the halves of priv share. */
#ifndef EXIM_PRIV_INT_H
#define EXIM_PRIV_INT_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"

/* For good. errno on false. */
bool priv_set_ids(uid_t uid, gid_t gid) MUST_USE;
/* The supplementary groups of that user, or (NULL) gid alone. */
bool priv_set_groups(const char *user, gid_t gid) MUST_USE;

#endif
