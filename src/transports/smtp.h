/* smtp.h - the smtp transport: SMTP, LMTP and SMTPS to other hosts (manual chapter 30).
 *
 * Connections are kept in the process for the next message to the same host under the same policy, until
 * connection_max_messages, a fault, or transport_smtp.tidy (the end of a worker, or when it is idle). */
#ifndef EXIM_TRANSPORTS_SMTP_H
#define EXIM_TRANSPORTS_SMTP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "transports/transport.h"

struct arena;
struct client;
struct exim;
struct expand_ctx;
struct host;

extern const struct transport_driver transport_smtp;

/* ---- For callouts and cutthrough delivery: a conversation with the transport's real options ---- */
struct smtp_fault {
    enum rc rc;            /* RC_FAIL or RC_DEFER */
    int basic_errno, more_errno;
    const char *message;   /* without the host's name */
    const char *status;    /* RFC 3463, or NULL */
    const char *diagnostic; /* the reply, lines joined by "\n"; NULL when the host did not say it */
};
struct smtp_talk_request {
    struct expand_ctx *ctx;   /* host is set here */
    struct arena *arena;      /* the connection lives there */
    const struct transport *transport;
    struct host *host;        /* address known */
    long connect_timeout, command_timeout; /* seconds; 0: the transport's */
    bool callout;             /* hosts_verify_avoid_tls counts too; no connection is reused */
};
struct smtp_talk;
/* Connected, greeted, EHLO said, TLS and AUTH done as the transport wants. NULL with *fault. */
struct smtp_talk *smtp_talk_open(const struct smtp_talk_request *rq, struct smtp_fault *fault) MUST_USE;
struct client *smtp_talk_client(struct smtp_talk *t);
int64_t smtp_talk_deadline(const struct smtp_talk *t); /* for the next command */
/* Words what the last client_read said "after" a command. */
struct smtp_fault smtp_talk_fault(struct smtp_talk *t, const char *after);
void smtp_talk_close(struct smtp_talk **t); /* QUIT */

/* ---- For -btls ---- */
struct address;
struct buf;
/* What tls_verify_report_hosts has counted; false when that is nothing. */
bool smtp_report_print(struct exim *e, struct arena *a, struct buf *out);
/* Connects to the hosts of a routed address as a delivery would, and says for each what was wanted, what was
 * presented, and what was decided and why. The number of hosts that would be refused. */
int smtp_probe(struct expand_ctx *ctx, const struct transport *t, struct address *addr, struct buf *out);

#endif
