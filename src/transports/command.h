/* command.h - command lines of pipe, lmtp, transport_filter and queryprogram: split into arguments,
 * each expanded by itself (manual 29.3). */
#ifndef EXIM_TRANSPORT_COMMAND_H
#define EXIM_TRANSPORT_COMMAND_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"

struct address;
struct arena;
struct expand_ctx;

struct command_request {
    const char *text;
    bool expand;
    const char *owner;             /* "t1 transport": for messages */
    const struct address *addrs;   /* for $pipe_addresses; NULL: it is not special */
    const char *address_pipe;      /* force_command: what $address_pipe as an argument stands for */
};
/* argv, NULL-terminated, in ctx->arena. */
bool command_parse(struct expand_ctx *ctx, const struct command_request *rq, char ***argv,
                   struct err *err) MUST_USE;
/* Split only; false: too many arguments, or an unfinished quote. */
bool command_split(struct arena *a, const char *text, char ***argv, struct err *err) MUST_USE;

#endif
