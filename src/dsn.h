/* dsn.h - delivery status notifications (RFC 3461-3464, 6522, 6533): parameters, the decision who
 * hears what, and the reports.
 *
 * One record per submitted recipient (struct dsn_recipient); dsn_decide is pure; one writer serves
 * success, failure and delay. */
#ifndef EXIM_DSN_H
#define EXIM_DSN_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buf.h"
#include "base/err.h"
#include "message.h"

struct arena;
struct delivery;
struct dsn_language;
struct expand_ctx;

/* ---- parameters of MAIL and RCPT; false: *why is the text after "501 " ---- */
bool dsn_parse_ret(const char *value, enum dsn_ret *out, const char **why);
bool dsn_parse_envid(struct arena *a, const char *value, const char **out, const char **why);
bool dsn_parse_notify(const char *value, unsigned *flags, const char **why);
bool dsn_parse_orcpt(struct arena *a, const char *value, bool smtputf8, const char **out, const char **why);

/* ---- the decision ---- */
enum dsn_outcome { DSN_DELIVERED, DSN_RELAYED, DSN_EXPANDED, DSN_PASSED_ON, DSN_FAILED, DSN_DELAYED, DSN_DISCARDED };
enum dsn_expansion { DSN_EXP_NONE, DSN_EXP_ALIAS, DSN_EXP_LIST }; /* redirect; redirect with errors_to */
enum dsn_report_kind { DSN_REPORT_NONE, DSN_REPORT_SUCCESS, DSN_REPORT_FAILURE, DSN_REPORT_DELAY };
enum dsn_report_kind dsn_decide(unsigned notify_flags, enum dsn_outcome outcome, enum dsn_expansion kind,
                                bool lasthop);

/* ---- the records ---- */
struct dsn_recipient {
    const char *original;   /* ORCPT as received, or NULL */
    const char *final;      /* as submitted; never a rewritten or hidden address */
    enum dsn_outcome outcome;
    const char *action;     /* failed delayed delivered relayed expanded */
    const char *status;     /* "5.1.1" */
    const char *remote_recipient; /* what RCPT said to remote_mta, if it is another address; or NULL */
    const char *remote_mta, *diagnostic, *diagnostic_type; /* "smtp" or "X-local" */
    time_t last_attempt, will_retry_until;
    const char *text;       /* for the human part: reason lines */
    const char *shown;      /* address as shown to humans, with "(generated from ...)" */
    const char *note;       /* success: "relayed via non DSN router" ... */
    const char *log_id;
};
struct dsn_report {
    enum dsn_report_kind kind;
    const char *to, *from, *reply_to;
    const char *envid;      /* as received */
    time_t arrival;
    const char *received_from_mta;
    const struct dsn_recipient *recipients;
    size_t recipient_count;
    enum dsn_ret ret;
    const struct message *original;
    bool utf8;              /* message/global forms are wanted */
    const struct dsn_language *language; /* NULL: English; set while it is printed */
    const char *message_id;
    const struct str *output_texts;  /* of pipes (return_output), ends with p NULL; or NULL */
    const char *const *output_names; /* the pipes' addresses, beside them */
    const char *delay;               /* "24 hours": DSN_REPORT_DELAY */
    const char *copies;              /* errors_copy: a Bcc list, or NULL */
};
/* The whole message text (headers and MIME body, "\n" line ends). ctx: options and templates. */
bool dsn_report_print(struct expand_ctx *ctx, const struct dsn_report *r, struct buf *out, struct err *err);

/* Does it need the forms of RFC 6533? The message came with SMTPUTF8, and something of it is not ASCII. */
bool dsn_report_is_utf8(const struct dsn_report *r);

/* Called by delivery at the end of a run: all reports that are due, made exactly once. */
bool dsn_send_reports(struct delivery *d);

#endif
