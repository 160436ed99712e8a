/* sockets.h - a question and an answer over a stream socket, within a deadline (monotonic ms). */
#ifndef EXIM_EXPAND_SOCKETS_H
#define EXIM_EXPAND_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

struct buf;
struct expand_ctx;

/* -1 with ctx->err; the caller closes it. Not blocking. */
int sockets_connect_unix(struct expand_ctx *ctx, const char *path, int64_t deadline);
bool sockets_write(struct expand_ctx *ctx, int fd, struct str data, int64_t deadline);
/* Until the end of file. */
bool sockets_read_all(struct expand_ctx *ctx, int fd, struct buf *b, int64_t deadline);

#endif
