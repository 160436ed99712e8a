/* The socket under a session, as a BIO: every wait has the session's deadline. On a socket that blocks the kernel keeps
 * it, so that a record takes one call: no read in vain before it, and no poll. */
#include <errno.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/openssl.h"
#include "base/tod.h"
#include "tls/tls_int.h"

/* A timeout of the socket that is no more than this too long is left as it is. */
enum { SLACK_MS = 1000 };

static bool fail_timeout(struct tls_session *t)
{
    t->timed_out = true;
    errno = ETIMEDOUT;
    return false;
}

static bool is_ready(struct tls_session *t, int ready)
{
    return ready > 0 || (ready == 0 && fail_timeout(t));
}

/* Before a read that may block: it will come back in time. */
static bool in_time(struct tls_session *t)
{
    if (t->deadline_ms < 0)
        return true;
    int64_t left = t->deadline_ms - tod_monotonic_ms();

    if (left <= 0)
        return fail_timeout(t);
    if (t->read_timeout_ms <= left + SLACK_MS)
        return true;
    if (fd_set_read_timeout(t->fd, left)) {
        t->read_timeout_ms = left;
        return true;
    }
    return is_ready(t, fd_wait_read(t->fd, t->deadline_ms)); /* no socket */
}

static int on_read(BIO *b, char *p, int n)
{
    struct tls_session *t = BIO_get_data(b);

    while (in_time(t)) {
        ssize_t got = fd_read(t->fd, p, (size_t)n);

        t->at_end = got == 0;
        if (got >= 0 || errno != EAGAIN)
            return (int)got;
        if (!is_ready(t, fd_wait_read(t->fd, t->deadline_ms)))
            break;
    }
    return -1;
}

static int on_write(BIO *b, const char *p, int n)
{
    struct tls_session *t = BIO_get_data(b);

    for (;;) {
        ssize_t put = send(t->fd, p, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (put < 0 && errno == ENOTSOCK)
            put = fd_write(t->fd, p, (size_t)n);
        if (put >= 0 || errno != EAGAIN)
            return (int)put;
        if (!is_ready(t, fd_wait_write(t->fd, t->deadline_ms)))
            return -1;
    }
}

static long on_ctrl(BIO *b, int cmd, long arg, void *p)
{
    const struct tls_session *t = BIO_get_data(b);

    (void)arg;
    (void)p;
    if (cmd == BIO_CTRL_FLUSH)
        return 1;
    return cmd == BIO_CTRL_EOF && t->at_end;
}

static const BIO_METHOD *method(void)
{
    static BIO_METHOD *m;

    if (m == NULL)
        m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket with a deadline");
    if (m == NULL || BIO_meth_set_read(m, on_read) != 1 || BIO_meth_set_write(m, on_write) != 1 ||
        BIO_meth_set_ctrl(m, on_ctrl) != 1)
        return NULL;
    return m;
}

bool tls_attach(struct tls_session *t)
{
    const BIO_METHOD *m = method();
    BIO *b = m != NULL ? BIO_new(m) : NULL;

    if (b == NULL)
        return false;
    t->read_timeout_ms = INT64_MAX; /* not known */
    BIO_set_data(b, t);
    BIO_set_init(b, 1);
    SSL_set_bio(t->ssl, b, b);
    return true;
}
