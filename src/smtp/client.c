#include "smtp/client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/fd.h"
#include "base/tod.h"
#include "tls.h"

enum { OUT_CEILING = 4 * 1024 * 1024, WAIT_MS = 30 * 1000 };

void client_init(struct client *c, struct arena *a)
{
    c->arena = a;
    c->fd = -1;
    c->reply = buf_init(a, CLIENT_REPLY_MAX);
    c->out = buf_init(a, OUT_CEILING);
    c->caps.auth = "";
}

void client_close(struct client *c)
{
    if (c->tls != NULL)
        tls_close(&c->tls, false);
    if (c->fd >= 0)
        fd_close(c->fd);
    c->fd = -1;
    c->in_at = c->in_len = 0;
    buf_clear(&c->out);
}

static bool fail(struct client *c, enum client_fault fault, int sys_errno)
{
    c->fault = fault;
    c->sys_errno = sys_errno;
    return false;
}

static bool fail_errno(struct client *c, int sys_errno)
{
    switch (sys_errno) {
    case ETIMEDOUT:
        return fail(c, CLIENT_TIMEOUT, ETIMEDOUT);
    case EPIPE:
    case ECONNRESET:
        return fail(c, CLIENT_CLOSED, sys_errno);
    default:
        return fail(c, CLIENT_IO, sys_errno);
    }
}

static bool send_clear(struct client *c, const char *p, size_t n, int64_t deadline_ms)
{
    while (n > 0) {
        ssize_t wrote = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (wrote >= 0) {
            p += wrote;
            n -= (size_t)wrote;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return fail_errno(c, errno);
        int ready = fd_wait_write(c->fd, deadline_ms);

        if (ready <= 0)
            return fail_errno(c, ready == 0 ? ETIMEDOUT : errno);
    }
    return true;
}

static bool send_bytes(struct client *c, const char *p, size_t n, int64_t deadline_ms)
{
    if (c->fault != CLIENT_OK)
        return false;
    if (c->tls == NULL)
        return send_clear(c, p, n, deadline_ms);
    return tls_write_all(c->tls, p, n, deadline_ms) || fail_errno(c, errno);
}

bool client_flush(struct client *c, int64_t deadline_ms)
{
    if (c->out.full)
        return fail(c, CLIENT_IO, ENOBUFS);
    bool ok = c->out.len == 0 || send_bytes(c, c->out.p, c->out.len, deadline_ms);

    buf_clear(&c->out);
    return ok;
}

bool client_write(struct client *c, const void *p, size_t n, int64_t deadline_ms)
{
    c->written += (int64_t)n;
    /* Small pieces wait for their block; a large one goes out from where it is. */
    if (c->out.len + n <= CLIENT_OUT_BLOCK) {
        buf_add(&c->out, p, n);
        return c->fault == CLIENT_OK;
    }
    if (!client_flush(c, deadline_ms))
        return false;
    if (n < CLIENT_OUT_BLOCK / 2) {
        buf_add(&c->out, p, n);
        return true;
    }
    return send_bytes(c, p, n, deadline_ms);
}

/* Debug output is mailed around: of credentials only the mechanism is shown. */
static void show_command(struct client *c, size_t from)
{
    const char *line = buf_cstr(&c->out) + from;
    size_t shown = strlen(line);

    if (c->secret)
        shown = cstr_istarts(line, "AUTH ") ? 5 + strcspn(line + 5, " ") : 0;
    DEBUG(D_TRANSPORT)
    debug_printf("  SMTP>> %.*s%s\n", (int)shown, line, line[shown] == '\0' ? "" : shown > 0 ? " ****" : "****");
}

void client_put(struct client *c, const char *fmt, ...)
{
    size_t from = c->out.len;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&c->out, fmt, ap);
    va_end(ap);
    show_command(c, from);
    buf_add(&c->out, "\r\n", 2);
}

void client_used_again(struct client *c)
{
    if (!c->waits && c->tls == NULL)
        c->waits = fd_set_nonblock(c->fd, false) && fd_set_read_timeout(c->fd, WAIT_MS);
}

/* Is a read that waits by itself sure to come back in time? */
static bool may_wait(const struct client *c, int64_t deadline_ms)
{
    return c->waits && (deadline_ms < 0 || deadline_ms - tod_monotonic_ms() > WAIT_MS);
}

static bool fill(struct client *c, int64_t deadline_ms)
{
    ssize_t got;

    if (c->in_at == c->in_len)
        c->in_at = c->in_len = 0;
    if (c->in_at > 0) {
        memmove(c->in, c->in + c->in_at, c->in_len - c->in_at);
        c->in_len -= c->in_at;
        c->in_at = 0;
    }
    if (c->in_len == sizeof(c->in))
        return fail(c, CLIENT_MALFORMED, 0);
    do {
        /* A reply is never there yet when we begin to wait for it: asking first would be in vain. */
        bool waits = may_wait(c, deadline_ms);
        int ready = waits || c->tls != NULL ? 1 : fd_wait_read(c->fd, deadline_ms);

        if (ready <= 0)
            return fail_errno(c, ready == 0 ? ETIMEDOUT : errno);
        got = c->tls != NULL
                  ? tls_read(c->tls, c->in + c->in_len, sizeof(c->in) - c->in_len, deadline_ms)
                  : recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, waits ? 0 : MSG_DONTWAIT);
    } while (got < 0 && c->tls == NULL && (errno == EAGAIN || errno == EINTR));
    if (got < 0)
        return fail_errno(c, errno);
    if (got == 0)
        return fail(c, CLIENT_CLOSED, 0);
    c->in_len += (size_t)got;
    return true;
}

/* The next line, without its end; points into c->in. */
static bool next_line(struct client *c, struct str *line, int64_t deadline_ms)
{
    size_t searched = 0;

    for (;;) {
        const char *from = c->in + c->in_at;
        const char *end = memchr(from + searched, '\n', c->in_len - c->in_at - searched);

        if (end != NULL) {
            *line = (struct str){ from, (size_t)(end - from) };
            c->in_at += line->len + 1;
            if (line->len > 0 && from[line->len - 1] == '\r')
                line->len--;
            return true;
        }
        searched = c->in_len - c->in_at;
        if (!fill(c, deadline_ms))
            return false;
    }
}

int client_read(struct client *c, int64_t deadline_ms)
{
    struct str line;
    int code = 0;

    c->code = 0;
    buf_clear(&c->reply);
    if (!client_flush(c, deadline_ms) || c->fault != CLIENT_OK)
        return 0;
    for (;;) {
        if (!next_line(c, &line, deadline_ms))
            return 0;
        client_reply_add(&c->reply, line);
        DEBUG(D_TRANSPORT) debug_printf("  SMTP<< %.*s\n", (int)line.len, line.p);
        enum client_line kind = client_reply_line(line, &code);

        if (kind == CLIENT_LINE_BAD || c->reply.full) {
            fail(c, CLIENT_MALFORMED, 0);
            return 0;
        }
        if (kind == CLIENT_LINE_LAST)
            return c->code = code;
    }
}

int client_command(struct client *c, int64_t deadline_ms, const char *fmt, ...)
{
    size_t from = c->out.len;
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(&c->out, fmt, ap);
    va_end(ap);
    show_command(c, from);
    buf_add(&c->out, "\r\n", 2);
    return client_read(c, deadline_ms);
}

bool client_has_input(const struct client *c)
{
    return c->in_at < c->in_len;
}

bool client_is_quiet(const struct client *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLIN };

    if (c->fd < 0 || c->fault != CLIENT_OK || client_has_input(c) ||
        (c->tls != NULL && tls_pending(c->tls)))
        return false;
    return poll(&p, 1, 0) == 0;
}
