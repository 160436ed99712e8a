/* readconf.h - reads the configuration file into a const struct config (manual chapter 6). */
#ifndef EXIM_READCONF_H
#define EXIM_READCONF_H

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"

struct arena;
struct config;
struct hooks;

struct readconf_macro { const struct readconf_macro *next; const char *name, *value; };
struct readconf_request {
    const char *filenames;               /* colon list; the first that exists is read */
    const struct readconf_macro *macros; /* -D */
    const struct hooks *hooks;
    const char *text;                    /* read this instead of a file (embedded default); or NULL */
    bool skip_drivers;                   /* only the main section is wanted */
    bool exim_user_unasked;              /* who that is, says $exim_uid when it is used: without root, for runs
                                            that change nothing, as looking for a name that does not exist is slow */
    bool check_owner;                    /* the file must be owned by root or CONFIGURE_OWNER, not writable */
};
/* NULL with err worded "Exim configuration error in line N of FILE:\n  ..." ready for stderr. All in a. */
const struct config *readconf(struct arena *a, const struct readconf_request *rq, struct err *err);

/* How a log is to be opened for c; strings are those of c. */
struct log_config readconf_log_config(const struct config *c);

/* -bP: option, "all", "config", "router_list", "routers", "router NAME", "macros", ... ; exit status. */
int readconf_print(const struct config *c, const char *what, const char *kind, bool admin, bool no_labels);

#endif
