/* redirect_int.h - the insides of the redirect router. */
#ifndef EXIM_ROUTER_REDIRECT_INT_H
#define EXIM_ROUTER_REDIRECT_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "routers/redirect_list.h"
#include "routers/router.h"

struct redirect {
    struct router base;
    bool allow_defer, allow_fail, allow_filter, allow_freeze, check_ancestor;
    bool check_group, check_owner;
    const struct expr *data, *directory_transport, *file, *file_transport;
    bool filter_prepend_home, forbid_blackhole, forbid_exim_filter, forbid_file;
    bool forbid_filter_dlfunc, forbid_filter_existstest, forbid_filter_logwrite, forbid_filter_lookup;
    bool forbid_filter_perl, forbid_filter_readfile, forbid_filter_readsocket, forbid_filter_reply;
    bool forbid_filter_run, forbid_include, forbid_pipe, forbid_sieve_filter, forbid_smtp_code;
    bool hide_child_in_errmsg, ignore_eacces, ignore_enotdir;
    const char *include_directory;
    long modemask;
    bool one_time;
    const struct expr *owners, *owngroups;
    const struct expr *pipe_transport, *qualify_domain;
    bool qualify_preserve_domain, repeat_use;
    const struct expr *reply_transport;
    bool rewrite;
    const struct expr *sieve_enotify_mailto_owner, *sieve_subaddress, *sieve_useraddress;
    const struct expr *sieve_vacation_directory;
    bool skip_syntax_errors;
    const struct expr *syntax_errors_text;
    const char *syntax_errors_to;
};

/* ---- redirect_file.c ---- */
/* As whom files are read; set is false when neither user nor check_local_user says. */
struct redirect_reader {
    bool set;
    uid_t uid;
    gid_t gid;
};
/* The file's text. ROUTE_DECLINE: it does not exist; ROUTE_DEFER: result set. */
enum route_rc redirect_read_file(const struct redirect *r, struct route_call *call,
                                 const struct redirect_reader *who, const char *path, const char **text);
/* For :include:, without checks of owner and mode. NULL: *why. */
const char *redirect_read_include(struct route_call *call, const struct redirect_reader *who, const char *path,
                                  const char **why);

/* ---- redirect_children.c ---- */
/* Makes children of the items. False: result set. */
bool redirect_add_children(const struct redirect *r, struct route_call *call, const struct redirect_item *items);
/* skip_syntax_errors: logs, and tells syntax_errors_to. */
void redirect_report_errors(const struct redirect *r, struct route_call *call, const struct redirect_error *errors);

#endif
