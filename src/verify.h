/* verify.h - address, host and header verification (manual 43.40 on), callouts (43.45). */
#ifndef EXIM_VERIFY_H
#define EXIM_VERIFY_H

#include <stdbool.h>

#include "base/err.h"

struct address;
struct expand_ctx;
struct hash;

enum verify_flag {
    VERIFY_SENDER = 1 << 0,     /* else recipient */
    VERIFY_EXPN = 1 << 1, VERIFY_FAKE = 1 << 2 /* -bv */, VERIFY_QUALIFY = 1 << 3,
    VERIFY_SUCCESS_ON_REDIRECT = 1 << 4, VERIFY_CALLOUT_NOCACHE = 1 << 5,
    VERIFY_CALLOUT_RANDOM = 1 << 6, VERIFY_CALLOUT_POSTMASTER = 1 << 7,
    VERIFY_CALLOUT_FULLPOSTMASTER = 1 << 8, VERIFY_CALLOUT_USE_SENDER = 1 << 9,
    VERIFY_CALLOUT_USE_POSTMASTER = 1 << 10, VERIFY_ADDRESS_TEST = 1 << 11 /* -bt */,
};

struct verify_options {
    unsigned flags;
    long callout, callout_overall, callout_connect; /* seconds; callout 0: none */
    const char *mailfrom, *postmaster_mailfrom;
    bool defer_ok, callout_defer_ok;
};

struct verify_result {
    enum rc rc;
    const char *message;       /* log form */
    const char *user_message;  /* for the client */
    const char *failure;       /* $sender/recipient_verify_failure: qualify route mail recipient postmaster */
    const char *address_data;
    bool routed;               /* routed, though a callout failed */
    struct address *addr;      /* as routed, in ctx->arena */
};

struct verify_result verify_address(struct expand_ctx *ctx, const char *address,
                                    const struct verify_options *o);
/* Header checks: RC_OK, or RC_FAIL/RC_DEFER with messages. */
enum rc verify_header_syntax(struct expand_ctx *ctx, const char **log_msg, const char **user_msg);
enum rc verify_header_names_ascii(struct expand_ctx *ctx, const char **log_msg);
enum rc verify_not_blind(struct expand_ctx *ctx, bool case_sensitive);
enum rc verify_header_sender(struct expand_ctx *ctx, const struct verify_options *o,
                             const char **log_msg, const char **user_msg, const char **which);
/* Prints routing as -bt (VERIFY_ADDRESS_TEST) and -bv do; 0 all went well, 1 something deferred, 2
 * something failed. full: every generated address is looked at, as -bt and -bv with -v do. details:
 * the caller may see why. seen: deliveries printed so far, for "duplicate". */
struct verify_print {
    bool full, details;
    struct hash *seen;
};
int verify_print(struct expand_ctx *ctx, const char *address, const struct verify_options *o,
                 const struct verify_print *how);

#endif
