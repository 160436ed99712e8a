/* receive_int.h - what the files of message reception share. */
#ifndef EXIM_RECEIVE_INT_H
#define EXIM_RECEIVE_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/buf.h"
#include "expand.h"
#include "message.h"
#include "receive.h"
#include "session.h"

struct spool_writer;

enum { RECEIVE_CHUNK = 64 * 1024 };

/* One message on its way in. */
struct receive {
    struct session *s;
    struct exim *e;
    struct message *m;
    struct receive_source *src;
    struct spool_writer *writer;
    bool local;       /* not from another host: -bm, -bs, -bS */
    bool interactive; /* SMTP with replies */
    bool resent;      /* there are Resent- lines: they count for -t and fix-ups */
    bool msgid_made;
    char *chunk;      /* RECEIVE_CHUNK bytes */
    const char *rest; /* body bytes that came with the header */
    size_t rest_len;
    char last; /* byte of the body */
    int64_t body_size;
    long lines, line_length;
    const char *raw_sender;  /* before rewriting and submission mode */
    size_t shown_recipients; /* in the <= line: also those that the DATA ACL discarded */
    struct timespec started;
    const char *received_text; /* of our Received: line, without the date */
    struct header *received;
    const char *accept_message; /* of the DATA ACL */
    struct err err;
};

/* receive.c */
void receive_context(struct receive *r, struct expand_ctx *ctx);
void receive_log(struct receive *r, unsigned dest, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
const char *receive_who(struct receive *r); /* "H=..." or "U=..." */
/* A refusal worded for both kinds of client; logs nothing. code "552" etc. */
struct receive_result receive_refuse(struct receive *r, enum receive_rc rc,
                                     const char *code, const char *text);

/* receive_read.c */
enum receive_read {
    RECEIVE_READ_OK,
    RECEIVE_READ_LOST,
    RECEIVE_READ_LINE_TOO_LONG,
    RECEIVE_READ_TOO_LONG,
    RECEIVE_READ_TOO_BIG,
    RECEIVE_READ_SPOOL
};
enum receive_read receive_read_header(struct receive *r);
enum receive_read receive_read_body(struct receive *r,
                                    int64_t limit); /* limit: whole message; 0 none */

/* receive_header.c: from lines to what the message says */
void receive_header_sort_out(struct receive *r); /* types, counts, lines that must go */
void receive_header_fix(struct receive *r); /* what local and submitted messages lack */
void receive_header_received(struct receive *r); /* adds our Received: */
void receive_header_stamp(struct receive *r);    /* its date: now */
/* receive_sender.c */
void receive_sender_fix(struct receive *r);
const char *receive_sender_submitter(struct receive *r); /* NULL: not authenticated */
const char *
receive_sender_name(struct receive *r); /* "J. Bloggs" made into a phrase; "" none */

/* receive_recipients.c: -t; the text of an error in *why, the addresses that were bad as
 * lines */
bool receive_recipients_extract(struct receive *r, const char **why, const char **bad);

/* receive_acl.c: *out is the refusal on false */
bool receive_acl_run(struct receive *r, struct receive_result *out);
/* Makes whole reply lines of an ACL's or our text. */
const char *receive_reply_lines(struct receive *r, const char *code, const char *text);

/* receive_log.c */
void receive_log_arrival(struct receive *r);
int64_t receive_log_size(const struct message *m);

#endif
