/* receive.h - takes in a message: header lines, body, Received, fix-ups, ACLs, spool
 * (manual 3.3, 46). */
#ifndef EXIM_RECEIVE_H
#define EXIM_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct message;
struct session;

/* Bytes of the message as they come: from SMTP DATA, BDAT, or a file. */
struct receive_source {
    /* At most n bytes, "\n" line ends, end of data already recognised by the source: 0 at
     * the end, -1 when the connection is lost or timed out (err worded). */
    ssize_t (*read)(void *arg, char *p, size_t n, struct err *err);
    void *arg;
};
enum receive_rc {
    RECEIVE_OK,
    RECEIVE_REJECTED,
    RECEIVE_DEFERRED,
    RECEIVE_DISCARDED,
    RECEIVE_LOST
};
struct receive_result {
    enum receive_rc rc;
    const char *reply;         /* for SMTP: "250 OK id=..."; several whole reply lines are
                                  separated by "\n" */
    const char *bad_addresses; /* of -t: "address: reason" lines to report to the sender;
                                  NULL none */
    bool drop;                 /* an ACL wants the connection closed */
    const char *error;         /* local submission: what to tell the user */
};
/* Reads the message into the spool and runs the DATA or not-SMTP ACL. On RECEIVE_OK the
 * message is durable. Logs the <= or rejection line. */
struct receive_result receive_message(struct session *s, struct message *m,
                                      struct receive_source *src,
                                      bool extract_recipients);

/* How accepted local submissions are delivered (-od*, -N) and errors reported (-oe*). */
struct receive_options {
    bool foreground, background, queue_only, queue_smtp, dot_ends /* !-i */,
        no_delivery /* -N */;
    bool error_mail, error_stderr, error_exit2;
    bool delivery_given;  /* -odb and its kind were on the command line: may override
                             queue_only */
    long smtp_timeout;    /* -os: seconds; -1 none; 0: as smtp_receive_timeout says */
    long receive_timeout; /* -or: the same for receive_timeout */
};
/* Starts delivery of a message that was accepted: tells the queue process, or as options
 * say. */
void receive_dispatch(struct session *s, struct message *m,
                      const struct receive_options *o);

#endif
