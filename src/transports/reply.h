/* reply.h - a message that autoreply makes: from its options, or from a filter's mail or vacation
 * command (address.reply). */
#ifndef EXIM_TRANSPORT_REPLY_H
#define EXIM_TRANSPORT_REPLY_H

#include <stdbool.h>

/* Texts are expanded already; NULL: not given. */
struct transport_reply {
    const char *from, *reply_to, *to, *cc, *bcc, *subject, *headers;
    const char *text, *file;   /* both: the text comes first */
    const char *log, *once;    /* files */
    long once_repeat;          /* seconds; 0: never again */
    bool file_expand, return_message;
    unsigned expand_forbid;    /* enum expand_forbid, for file_expand */
};

#endif
