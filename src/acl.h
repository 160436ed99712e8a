/* acl.h - access control lists: compiled once, run against a session (manual chapter 43). */
#ifndef EXIM_ACL_H
#define EXIM_ACL_H

#include <stdbool.h>

#include "base/err.h"
#include "config/value.h"

struct acl;
struct arena;
struct message;
struct verify_result;
struct config;
struct expand_ctx;

enum acl_where {
    ACL_WHERE_RCPT, ACL_WHERE_MAIL, ACL_WHERE_PREDATA, ACL_WHERE_MIME, ACL_WHERE_DKIM,
    ACL_WHERE_DATA, ACL_WHERE_PRDR, ACL_WHERE_NOTSMTP, ACL_WHERE_AUTH, ACL_WHERE_CONNECT,
    ACL_WHERE_ETRN, ACL_WHERE_EXPN, ACL_WHERE_HELO, ACL_WHERE_MAILAUTH, ACL_WHERE_NOTSMTP_START,
    ACL_WHERE_NOTQUIT, ACL_WHERE_QUIT, ACL_WHERE_STARTTLS, ACL_WHERE_VRFY, ACL_WHERE_DELIVERY,
    ACL_WHERE_UNKNOWN, ACL_WHERE_COUNT
};
const char *acl_where_name(enum acl_where w); /* "RCPT", "MAIL", "connection", ... as in messages */

enum acl_rc { ACL_ACCEPT, ACL_DISCARD, ACL_DENY, ACL_DROP, ACL_DEFER, ACL_ERROR };

/* What the verdict says to client and log. NULL: the caller's default. */
struct acl_verdict {
    enum acl_rc rc;
    const char *user_message; /* may begin with "xyz " or "xyz x.y.z " codes */
    const char *log_message;
    bool drop;                /* close after the reply */
    unsigned log_reject_target; /* enum log_dest set, from log_reject_target=; 0: no line */
    /* The refusal is that of a failed sender verification whose details the client may see ("550-Verification
     * failed for <address>" and verified->user_message's lines first, once a message); else NULL. */
    const char *sender_address;
    const struct verify_result *sender_verified;
};

/* One named ACL from its lines in the acl section; err with the offending line. */
struct acl *acl_parse(struct arena *a, const char *name, const char *const *lines, int nlines,
                      const struct config *cfg, struct err *err) MUST_USE;

/* Runs the ACL that option text says: `spec` is the value after expansion (a name, a file name or an
 * inline ACL). NULL or empty is the caller's business. ctx->session, ctx->message as at that point; for
 * RCPT, VRFY and PRDR ctx->addr is set, ctx->domain and ctx->local_part (lower case) from it. */
struct acl_verdict acl_check(struct expand_ctx *ctx, enum acl_where where, const char *spec);
/* The same from the option as compiled; one that cannot be expanded is ACL_ERROR, forced failure accepts. */
struct acl_verdict acl_check_option(struct expand_ctx *ctx, enum acl_where where, const struct expr *option);
/* Removes and adds the header lines that ACLs asked for so far, at the places asked for. To be called before the
 * MIME and DATA ACLs and again after them. */
void acl_headers_apply(struct message *m);
/* For hooks: RC_OK accepted, RC_FAIL denied, RC_DEFER, RC_DECLINE an error. ${acl and acl= . */
enum rc acl_eval(struct expand_ctx *ctx, const char *name, const char *const *args, int narg,
                 const char **message);

#endif
