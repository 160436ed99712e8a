/* acl.h - access control lists: compiled once, run against a session (manual chapter 43). */
#ifndef EXIM_ACL_H
#define EXIM_ACL_H

#include <stdbool.h>

#include "base/err.h"

struct acl;
struct arena;
struct config;
struct expand_ctx;

enum acl_where {
    ACL_WHERE_RCPT, ACL_WHERE_MAIL, ACL_WHERE_PREDATA, ACL_WHERE_MIME, ACL_WHERE_DKIM,
    ACL_WHERE_DATA, ACL_WHERE_PRDR, ACL_WHERE_NOTSMTP, ACL_WHERE_AUTH, ACL_WHERE_CONNECT,
    ACL_WHERE_ETRN, ACL_WHERE_EXPN, ACL_WHERE_HELO, ACL_WHERE_MAILAUTH, ACL_WHERE_NOTSMTP_START,
    ACL_WHERE_NOTQUIT, ACL_WHERE_QUIT, ACL_WHERE_STARTTLS, ACL_WHERE_VRFY, ACL_WHERE_DELIVERY,
    ACL_WHERE_UNKNOWN, ACL_WHERE_COUNT
};
const char *acl_where_name(enum acl_where w); /* "RCPT", "MAIL", ... as in log lines */

enum acl_rc { ACL_ACCEPT, ACL_DISCARD, ACL_DENY, ACL_DROP, ACL_DEFER, ACL_ERROR };

/* What the verdict says to client and log. NULL: the caller's default. */
struct acl_verdict {
    enum acl_rc rc;
    const char *user_message; /* may begin with "xyz " or "xyz x.y.z " codes */
    const char *log_message;
    bool drop;                /* close after the reply */
    unsigned log_reject_target; /* enum log_dest set, from log_reject_target= */
};

/* One named ACL from its lines in the acl section; err with the offending line. */
struct acl *acl_parse(struct arena *a, const char *name, const char *const *lines, int nlines,
                      const struct config *cfg, struct err *err) MUST_USE;

/* Runs option text `spec` (expanded: a name, a file name or inline ACL). spec NULL/unset is the
 * caller's business. ctx->session, ctx->message as at that point; for RCPT ctx->addr is set. */
struct acl_verdict acl_check(struct expand_ctx *ctx, enum acl_where where, const char *spec);
/* For hooks: ${acl and acl= . */
enum rc acl_eval(struct expand_ctx *ctx, const char *name, const char *const *args, int narg,
                 const char **message);

#endif
