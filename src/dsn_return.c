#include "dsn_int.h"

#include "base/fd.h"
#include "deliver.h"
#include "exim.h"
#include "expand.h"
#include "header.h"

enum { CHUNK = 64 * 1024 };

static bool add_body(const struct body *body, struct buf *out)
{
    for (off_t at = 0; at < body->size;) {
        size_t want = body->size - at > CHUNK ? CHUNK : (size_t)(body->size - at);
        char *p = buf_reserve(out, want);
        ssize_t n = p == NULL ? -1 : fd_pread_full(body->fd, p, want, body->start + at);
        if (n <= 0)
            return false;
        buf_commit(out, (size_t)n);
        at += n;
    }
    return true;
}

bool dsn_return_print(struct expand_ctx *ctx, const struct dsn_report *r, bool full, const char *info,
                      struct buf *out, struct err *err)
{
    const struct message *m = r->original;

    if (info != NULL)
        buf_printf(out, "X-Exim-DSN-Information: %s\n", info);
    buf_printf(out, "Return-path: <%s>\n", m->sender);
    for (const struct header *h = m->headers.first; h != NULL; h = h->next)
        if (h->type != HEADER_OLD)
            buf_add(out, h->text, h->len);
    buf_add_char(out, '\n');
    if (full && !add_body(&m->body, out))
        return err_set(err, ctx->arena, "failed to copy the body of the message into its report");
    return true;
}
