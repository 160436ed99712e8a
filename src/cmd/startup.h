/* startup.h - what main does before a mode runs: who called us, which configuration is trusted, and
 * the environment that everything else sees. */
#ifndef EXIM_CMD_STARTUP_H
#define EXIM_CMD_STARTUP_H

#include <stdbool.h>

#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

struct cmd_line;
struct exim;

/* -C and -D by others than root: may root's rights be kept (manual 6.1)? *system: it is the built-in
 * configuration file. err: the options are refused. */
bool startup_config_trusted(const struct exim *e, const struct cmd_line *c, bool *keep_root,
                            bool *system, struct err *err) MUST_USE;
/* Sets e->admin, e->trusted and the originator, from the configuration and the real uid. */
bool startup_caller(struct exim *e, const struct cmd_line *c, struct err *err) MUST_USE;
/* The same for a user at the other end of the daemon's socket: the submitter is (uid, gid), no admin, and
 * trusted only as trusted_users and trusted_groups (by that gid alone) say. */
bool startup_submitter(struct exim *e, const struct cmd_line *c, uid_t uid, gid_t gid, struct err *err) MUST_USE;
/* keep_environment and add_environment. */
bool startup_environment(struct exim *e, struct err *err) MUST_USE;

#endif
