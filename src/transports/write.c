#include "transports/write_int.h"

#include <errno.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "expand.h"
#include "message.h"
#include "transports/stream.h"
#include "transports/transport.h"

enum { READ_BLOCK = 64 * 1024 };

bool write_failed(struct transport_call *call, struct err *err)
{
    return err_sys(err, call->ctx->arena, errno, "write failed");
}

/* Takes the CR out of every CRLF of a block; *cr: one is held back from the block before. Returns
 * the new length; p has room for one byte before it. */
static size_t drop_cr(char *p, size_t n, bool *cr)
{
    char *out = p;

    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\r' && (i + 1 == n || p[i + 1] == '\n')) {
            *cr = i + 1 == n;
            continue;
        }
        *out++ = p[i];
    }
    return (size_t)(out - p);
}

/* A body in wire format (spool_wireformat of Exim) is turned into lines that end in "\n". */
static bool put_wire_block(struct stream *s, char *p, size_t n, bool *cr)
{
    bool held = *cr;

    *cr = false;
    if (held && p[0] != '\n' && !stream_put(s, "\r", 1))
        return false;
    n = drop_cr(p, n, cr);
    return stream_put(s, p, n);
}

static bool put_body(struct stream *s, struct transport_call *call, struct err *err)
{
    const struct message *m = call->message;
    off_t at = 0, end = m->body.size;
    bool cr = false;

    if (m->body.text != NULL && !m->spool_file_wireformat)
        return stream_put(s, m->body.text, (size_t)end) || write_failed(call, err);
    char *buf = arena_new_buffer(call->ctx->arena, READ_BLOCK);

    while (at < end) {
        size_t want = end - at < READ_BLOCK ? (size_t)(end - at) : READ_BLOCK;
        ssize_t n = body_read(&m->body, buf, want, at);
        if (n <= 0)
            return err_sys(err, call->ctx->arena, n < 0 ? errno : EIO, "failed to read the message's data file");
        bool ok = m->spool_file_wireformat ? put_wire_block(s, buf, (size_t)n, &cr)
                                           : stream_put(s, buf, (size_t)n);
        if (!ok)
            return write_failed(call, err);
        at += n;
    }
    return true;
}

bool write_plain(struct stream *s, const struct transport *t, struct transport_call *call, struct err *err)
{
    if (!t->body_only && !s->out->body_only && !write_headers(s, t, call, err))
        return false;
    return t->headers_only || s->out->headers_only || put_body(s, call, err);
}

bool transport_write_message(const struct transport *t, struct transport_call *call,
                             struct transport_output *out, struct err *err)
{
    struct stream s;

    stream_init(&s, call->ctx->arena, out);
    bool ok = t->transport_filter != NULL ? filter_run(&s, t, call, err) : write_plain(&s, t, call, err);
    if (!ok)
        return false;
    if (out->dot_stuff && !s.ends_in_newline && !stream_put(&s, "\n", 1))
        return write_failed(call, err);
    return stream_flush(&s) || write_failed(call, err);
}

int64_t transport_message_size(const struct transport *t, struct transport_call *call, bool crlf)
{
    const struct message *m = call->message;
    int64_t bytes, lines, size = 0;

    write_headers_size(call, &bytes, &lines);
    if (!t->body_only)
        size += bytes + (crlf ? lines : 0);
    if (!t->headers_only)
        size += m->body.size + (crlf && !m->spool_file_wireformat ? m->body_linecount : 0);
    return size;
}

void transport_set_all(struct transport_call *call, enum rc rc, int basic_errno, const char *status,
                       const char *message)
{
    for (struct address *addr = call->addrs; addr != NULL; addr = addr->next)
        addr->result = (struct addr_result){ .rc = rc, .basic_errno = basic_errno, .status = status,
                                             .message = message };
}
