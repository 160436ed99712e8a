/* autoreply_int.h - the insides of autoreply. */
#ifndef EXIM_TRANSPORT_AUTOREPLY_INT_H
#define EXIM_TRANSPORT_AUTOREPLY_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/buf.h"
#include "transports/reply.h"
#include "transports/transport.h"

struct autoreply {
    struct transport base;
    const struct expr *bcc, *cc, *file;
    bool file_expand, file_optional;
    const struct expr *from, *headers, *log;
    long mode;
    const struct match_list *never_mail;
    const struct expr *once;
    long once_file_size;
    const struct expr *once_repeat, *reply_to;
    bool return_message;
    const struct expr *subject, *text, *to;
};

/* One answer. */
struct autoreply_run {
    const struct autoreply *t;
    struct transport_call *call;
    struct arena *arena;
    struct transport_reply r;
    const char **recipients;
    size_t recipient_count;
};

/* Sets all results to a deferral; false. */
bool autoreply_defer(struct autoreply_run *run, int basic_errno, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* ---- autoreply_once.c: who has had an answer ---- */
/* *sent: not again. The answer that is about to go out is noted. False: result set. */
bool autoreply_once(struct autoreply_run *run, bool *sent);

/* ---- autoreply_text.c ---- */
/* The whole message. False: result set. */
bool autoreply_print(struct autoreply_run *run, struct buf *out);
/* One entry in the log file; trouble with it is none of the message's. */
void autoreply_log(struct autoreply_run *run, bool sent_before);

#endif
