#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/tod.h"
#include "smtp/smtp_int.h"
#include "tls.h"

enum { OVERLONG_SHOWN = 512 };

int64_t smtp_deadline(const struct smtp_state *st)
{
    return st->timeout > 0 ? tod_monotonic_ms() + st->timeout * 1000 : -1;
}

static bool fail(struct smtp_state *st, int how, int sys_errno)
{
    st->input = how;
    st->input_errno = sys_errno;
    return false;
}

static bool take(struct smtp_state *st, ssize_t got)
{
    if (got < 0)
        return fail(st, SMTP_IN_EOF, errno);
    if (got == 0)
        return fail(st, SMTP_IN_EOF, 0);
    st->len += (size_t)got;
    return true;
}

static bool fill_tls(struct smtp_state *st)
{
    int64_t deadline = smtp_deadline(st);
    ssize_t got =
        tls_read(st->s->tls, st->in + st->len, st->in_size - st->len, deadline);

    if (got < 0 && deadline >= 0 && tod_monotonic_ms() >= deadline)
        return fail(st, SMTP_IN_TIMEOUT, 0);
    return take(st, got);
}

static bool fill_polled(struct smtp_state *st)
{
    int ready = st->timeout > 0 || st->peer->client.family != 0
                    ? fd_wait_read_signal(st->in_fd, smtp_deadline(st))
                    : 1;
    while (ready < 0 && errno == EINTR && !proc_got_term)
        ready = fd_wait_read_signal(st->in_fd, smtp_deadline(st));
    if (ready == 0)
        return fail(st, SMTP_IN_TIMEOUT, 0);
    if (ready < 0)
        return fail(st, errno == EINTR ? SMTP_IN_TERM : SMTP_IN_EOF, errno);
    return take(st, fd_read(st->in_fd, st->in + st->len, st->in_size - st->len));
}

/* The kernel keeps the time: one call for each command instead of two. */
static bool has_timeout(struct smtp_state *st)
{
    if (st->read_timeout == st->timeout + 1)
        return true;
    if (st->peer->client.family == 0 || st->read_timeout < 0 ||
        !fd_set_read_timeout(st->in_fd, st->timeout > 0 ? st->timeout * 1000 : -1)) {
        st->read_timeout = -1; /* no socket */
        return false;
    }
    st->read_timeout = st->timeout + 1;
    return true;
}

static bool fill_socket(struct smtp_state *st)
{
    ssize_t got;

    do
        got = fd_read_signal(st->in_fd, st->in + st->len, st->in_size - st->len);
    while (got < 0 && errno == EINTR && !proc_got_term);
    if (got < 0 && errno == EAGAIN)
        return fail(st, SMTP_IN_TIMEOUT, 0);
    if (got < 0 && errno == EINTR)
        return fail(st, SMTP_IN_TERM, errno);
    return take(st, got);
}

void smtp_input_grow(struct smtp_state *st)
{
    char *in;

    if (st->in_size == SMTP_IN_SIZE)
        return;
    in = arena_new_buffer(st->s->arena, SMTP_IN_SIZE);
    st->len -= st->at;
    memcpy(in, st->in + st->at, st->len);
    st->at = 0;
    st->in = in;
    st->in_size = SMTP_IN_SIZE;
}

bool smtp_input_fill(struct smtp_state *st)
{
    if (st->input != SMTP_IN_OK)
        return false;
    if (!smtp_flush(st))
        return fail(st, SMTP_IN_EOF, errno);
    if (st->len > 0)
        smtp_input_grow(st);
    if (st->at == st->len)
        st->at = st->len = 0;
    else if (st->at > 0 && st->len == st->in_size) {
        memmove(st->in, st->in + st->at, st->len - st->at);
        st->len -= st->at;
        st->at = 0;
    }
    if (st->s->tls != NULL)
        return fill_tls(st);
    return has_timeout(st) ? fill_socket(st) : fill_polled(st);
}

/* The line [at, end) as a string in place; NULs become '?', as they would end it. */
static char *cut_line(struct smtp_state *st, size_t end, size_t next)
{
    char *line = st->in + st->at;
    size_t len = end - st->at;

    if (len > 0 && line[len - 1] == '\r')
        len--;
    for (char *p = line; (p = memchr(p, '\0', len - (size_t)(p - line))) != NULL;)
        *p = '?';
    line[len] = '\0';
    st->at = next;
    st->line++;
    return line;
}

/* No command is that long: its beginning is kept for the log, the rest of the line is
 * dropped. */
static char *overlong_line(struct smtp_state *st)
{
    char *lf = NULL,
         *start = arena_strndup(st->s->arena, st->in + st->at, OVERLONG_SHOWN);

    while (lf == NULL) {
        st->at = st->len;
        if (!smtp_input_fill(st))
            return NULL;
        lf = memchr(st->in + st->at, '\n', st->len - st->at);
    }
    st->at = (size_t)(lf - st->in) + 1;
    st->line++;
    st->overlong = true;
    return start;
}

char *smtp_input_line(struct smtp_state *st)
{
    size_t seen = 0;

    st->overlong = false;
    for (;;) {
        char *from = st->in + st->at,
             *lf = memchr(from + seen, '\n', st->len - st->at - seen);

        if (lf != NULL && lf - from > SMTP_COMMAND_MAX)
            st->overlong = true;
        if (lf != NULL)
            return cut_line(st, (size_t)(lf - st->in), (size_t)(lf - st->in) + 1);
        seen = st->len - st->at;
        if (seen >= SMTP_COMMAND_MAX)
            return overlong_line(st);
        if (!smtp_input_fill(st)) {
            bool partial = seen > 0 && st->s->batched && st->input == SMTP_IN_EOF;

            return partial && st->len < st->in_size ? cut_line(st, st->len, st->len)
                                                     : NULL;
        }
    }
}

bool smtp_input_waiting(struct smtp_state *st)
{
    if (st->at < st->len || (st->s->tls != NULL && tls_pending(st->s->tls)))
        return true;
    if (fd_wait_read(st->in_fd, 0) <= 0)
        return false;
    if (st->s->tls != NULL)
        return true;
    /* Readable: bytes, or the end, which is no input. */
    st->at = st->len = 0;
    return take(st, fd_read(st->in_fd, st->in, st->in_size));
}

void smtp_input_swallow(struct smtp_state *st, size_t n)
{
    while (n > 0) {
        if (st->at == st->len && !smtp_input_fill(st))
            return;
        size_t got = st->len - st->at < n ? st->len - st->at : n;
        st->at += got;
        n -= got;
    }
}
