#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/tod.h"
#include "os.h"

enum { SEND_TRIES = 8 }; /* for want of memory: a quarter of a second in all */

/* Takes what was written off the front of the parts. */
static void advance(struct iovec **iov, int *n, size_t done)
{
    for (; *n > 0 && done >= (*iov)->iov_len; (*iov)++, (*n)--)
        done -= (*iov)->iov_len;
    if (*n > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + done;
        (*iov)->iov_len -= done;
    }
}

bool fd_writev_all(int fd, struct iovec *iov, int n)
{
    while (n > 0) {
        ssize_t wrote = writev(fd, iov, n);

        if (wrote < 0 && errno != EINTR)
            return false;
        if (wrote >= 0)
            advance(&iov, &n, (size_t)wrote);
    }
    return true;
}

bool fd_pwritev_all(int fd, struct iovec *iov, int n, off_t at)
{
    while (n > 0) {
        ssize_t wrote = pwritev(fd, iov, n, at);

        if (wrote < 0 && errno != EINTR)
            return false;
        if (wrote >= 0) {
            at += wrote;
            advance(&iov, &n, (size_t)wrote);
        }
    }
    return true;
}

bool fd_write_all(int fd, const void *p, size_t n)
{
    const char *from = p;

    while (n > 0) {
        ssize_t wrote = write(fd, from, n);

        if (wrote < 0) {
            if (errno == EINTR)
                continue;
            return false;
        }
        from += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

bool fd_pwrite_all(int fd, const void *p, size_t n, off_t at)
{
    const char *from = p;

    while (n > 0) {
        ssize_t wrote = pwrite(fd, from, n, at);

        if (wrote < 0) {
            if (errno == EINTR)
                continue;
            return false;
        }
        from += wrote;
        at += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

ssize_t fd_read(int fd, void *p, size_t n)
{
    ssize_t got;

    do
        got = read(fd, p, n);
    while (got < 0 && errno == EINTR);
    return got;
}

ssize_t fd_write(int fd, const void *p, size_t n)
{
    ssize_t wrote;

    do
        wrote = write(fd, p, n);
    while (wrote < 0 && errno == EINTR);
    return wrote;
}

ssize_t fd_read_full(int fd, void *p, size_t n)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got = fd_read(fd, (char *)p + have, n - have);

        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

ssize_t fd_pread_full(int fd, void *p, size_t n, off_t at)
{
    size_t have = 0;

    while (have < n) {
        ssize_t got = pread(fd, (char *)p + have, n - have, at + (off_t)have);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        have += (size_t)got;
    }
    return (ssize_t)have;
}

/* The size is a hint only: pipes have none and files grow. */
static size_t size_hint(int fd, size_t max)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || st.st_size <= 0 || (uintmax_t)st.st_size > max)
        return 4000;
    return (size_t)st.st_size;
}

bool fd_slurp(struct arena *a, int fd, size_t max, struct str *out)
{
    size_t cap = size_hint(fd, max) + 2, len = 0; /* one to see the end, one for the NUL */
    char *p = arena_new_array(a, char, cap);

    for (;;) {
        ssize_t got = fd_read_full(fd, p + len, cap - 1 - len);

        if (got < 0)
            return false;
        len += (size_t)got;
        if (len > max) {
            errno = EFBIG;
            return false;
        }
        if (len < cap - 1)
            break;
        p = arena_realloc(a, p, cap, cap * 2);
        cap *= 2;
    }
    p[len] = '\0';
    *out = (struct str){ p, len };
    return true;
}

bool file_slurp(struct arena *a, const char *path, size_t max, struct str *out)
{
    int fd = fd_open(path, O_RDONLY, 0);

    if (fd < 0)
        return false;
    bool ok = fd_slurp(a, fd, max, out);
    int why = errno;
    (void)fd_close(fd);
    errno = why;
    return ok;
}

int fd_close(int fd)
{
    int rc = close(fd);

    return rc < 0 && errno == EINTR ? 0 : rc; /* Linux has closed it all the same */
}

int fd_openat(int dir, const char *path, int flags, mode_t mode)
{
    int fd;

    do
        fd = openat(dir, path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd;
}

int fd_open(const char *path, int flags, mode_t mode)
{
    return fd_openat(AT_FDCWD, path, flags, mode);
}

bool fd_sync(int fd)
{
    int rc;

    do
        rc = fsync(fd);
    while (rc < 0 && errno == EINTR);
    return rc == 0;
}

bool fd_sync_data(int fd)
{
    int rc;

    do
        rc = fdatasync(fd);
    while (rc < 0 && errno == EINTR);
    return rc == 0;
}

void fd_sync_begin(int fd)
{
    os_begin_sync(fd);
}

bool fd_sync_dir(const char *dir)
{
    int fd = fd_open(dir, O_RDONLY | O_DIRECTORY, 0);

    if (fd < 0)
        return false;
    bool ok = fd_sync(fd);
    int why = errno;
    (void)fd_close(fd);
    errno = why;
    return ok;
}

bool fd_set_nonblock(int fd, bool on)
{
    int value = on ? 1 : 0;

    return ioctl(fd, FIONBIO, &value) == 0;
}

static int poll_once(struct pollfd *p, size_t n, int64_t deadline_ms)
{
    int64_t left = -1;

    if (deadline_ms >= 0) {
        left = deadline_ms - tod_monotonic_ms();
        left = left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : left;
    }
    return poll(p, n, (int)left);
}

int fd_poll(struct pollfd *p, size_t n, int64_t deadline_ms)
{
    for (;;) {
        int ready = poll_once(p, n, deadline_ms);

        if (ready > 0 || (ready < 0 && errno != EINTR))
            return ready;
        if (ready == 0 && deadline_ms >= 0 && tod_monotonic_ms() >= deadline_ms)
            return 0;
    }
}

static int one_ready(int n, const struct pollfd *p)
{
    if (n > 0 && (p->revents & POLLNVAL) != 0) {
        errno = EBADF;
        return -1;
    }
    return n;
}

int fd_wait_read(int fd, int64_t deadline_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return one_ready(fd_poll(&p, 1, deadline_ms), &p);
}

int fd_wait_write(int fd, int64_t deadline_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLOUT };

    return one_ready(fd_poll(&p, 1, deadline_ms), &p);
}

int fd_wait_read_signal(int fd, int64_t deadline_ms)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return one_ready(poll_once(&p, 1, deadline_ms), &p);
}

bool fd_set_read_timeout(int sock, int64_t ms)
{
    struct timeval t = { 0 };

    if (ms > 0)
        t = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    else if (ms == 0)
        t.tv_usec = 1; /* 0 would be never */
    return setsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) == 0;
}

ssize_t fd_read_signal(int sock, void *p, size_t n)
{
    return recv(sock, p, n, 0);
}

bool fd_lock(int fd, bool exclusive, bool wait)
{
    struct flock lock = { .l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
    int rc;

    do
        rc = fcntl(fd, wait ? F_SETLKW : F_SETLK, &lock);
    while (rc < 0 && errno == EINTR);
    return rc == 0;
}

union fd_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
};

/* Records are how other processes learn of work that is done: want of memory is waited out. */
static bool try_again(ssize_t done, int *tries)
{
    if (done >= 0 || (errno != EINTR && errno != ENOMEM && errno != ENOBUFS))
        return false;
    if (errno == EINTR)
        return true;
    struct timespec wait = { .tv_nsec = 1000 * 1000L << *tries };
    return ++*tries <= SEND_TRIES && (nanosleep(&wait, NULL) == 0 || errno == EINTR);
}

bool fd_send_msg(int sock, const void *p, size_t n, const int *fds, int nfds)
{
    union fd_control control = { 0 };
    struct iovec iov = { .iov_base = unconst(p), .iov_len = n };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
    ssize_t sent;
    int tries = 0;

    if (nfds < 0 || nfds > FD_PASS_MAX) {
        errno = EINVAL;
        return false;
    }
    if (nfds > 0) {
        size_t bytes = sizeof(int) * (size_t)nfds;

        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(bytes);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(bytes);
        memcpy(CMSG_DATA(c), fds, bytes);
    }
    do
        sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
    while (try_again(sent, &tries));
    return sent >= 0 && (size_t)sent == n;
}

static int collect_fds(struct msghdr *msg, int fds[FD_PASS_MAX])
{
    int n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && n < FD_PASS_MAX; i++, n++)
            memcpy(&fds[n], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
    return n;
}

ssize_t fd_recv_msg(int sock, void *p, size_t n, int fds[FD_PASS_MAX])
{
    struct iovec iov = { .iov_base = p, .iov_len = n };

    return fd_recv_parts(sock, &iov, 1, fds);
}

ssize_t fd_recv_parts(int sock, struct iovec *parts, size_t n, int fds[FD_PASS_MAX])
{
    union fd_control control;
    struct msghdr msg = {
        .msg_iov = parts,
        .msg_iovlen = n,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t got;
    int tries = 0;

    for (int i = 0; i < FD_PASS_MAX; i++)
        fds[i] = -1;
    do
        got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
    while (try_again(got, &tries));
    if (got < 0)
        return -1;

    int count = collect_fds(&msg, fds);
    if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0)
        return got;
    for (int i = 0; i < count; i++) {
        (void)fd_close(fds[i]);
        fds[i] = -1;
    }
    errno = EMSGSIZE;
    return -1;
}
