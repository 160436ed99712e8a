/* fd.h - system calls on descriptors with EINTR handled, here and nowhere else. */
#ifndef EXIM_FD_H
#define EXIM_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

struct arena;
struct str;
struct iovec;
struct pollfd;

bool fd_write_all(int fd, const void *p, size_t n) MUST_USE;       /* errno on false */
bool fd_writev_all(int fd, struct iovec *iov, int n) MUST_USE;     /* iov is used up */
ssize_t fd_read(int fd, void *p, size_t n) MUST_USE;               /* one read */
ssize_t fd_write(int fd, const void *p, size_t n) MUST_USE;        /* one write */
ssize_t fd_read_full(int fd, void *p, size_t n) MUST_USE;          /* until n or end of file */
ssize_t fd_pread_full(int fd, void *p, size_t n, off_t at) MUST_USE;
bool fd_pwritev_all(int fd, struct iovec *iov, int n, off_t at) MUST_USE; /* iov is used up */
bool fd_pwrite_all(int fd, const void *p, size_t n, off_t at) MUST_USE;
/* Whole file into a; false with errno, EFBIG beyond max. */
bool fd_slurp(struct arena *a, int fd, size_t max, struct str *out) MUST_USE;
bool file_slurp(struct arena *a, const char *path, size_t max, struct str *out) MUST_USE;
int fd_close(int fd);
int fd_open(const char *path, int flags, mode_t mode); /* adds O_CLOEXEC */
int fd_openat(int dir, const char *path, int flags, mode_t mode);
bool fd_sync(int fd) MUST_USE;
bool fd_sync_data(int fd) MUST_USE;                    /* fdatasync: enough when only bytes were added */
void fd_sync_begin(int fd); /* the disk may begin with what fd_sync will wait for: a hint */
bool fd_sync_dir(const char *dir) MUST_USE;            /* open, fsync, close */
bool fd_set_nonblock(int fd, bool on);
/* Waits until readable/writable: 1 ready, 0 deadline passed (monotonic ms; -1 = none), -1 errno.
 * Signals do not end the wait, except in fd_wait_read_signal: -1 and EINTR. */
int fd_wait_read(int fd, int64_t deadline_ms);
int fd_wait_write(int fd, int64_t deadline_ms);
/* A socket's read ends after so long with EAGAIN; -1: never. False: errno, ENOTSOCK if it is none. */
bool fd_set_read_timeout(int sock, int64_t ms) MUST_USE;
ssize_t fd_read_signal(int sock, void *p, size_t n); /* one recv that signals end: -1 and EINTR */
/* poll() of many until the deadline: how many are ready, 0 deadline passed, -1 errno. */
int fd_poll(struct pollfd *p, size_t n, int64_t deadline_ms);
int fd_wait_read_signal(int fd, int64_t deadline_ms);
/* Whole-file fcntl write (or read) lock. */
bool fd_lock(int fd, bool exclusive, bool wait) MUST_USE;
/* mkdir -p, each missing level with mode whatever the umask. */
bool dir_make(const char *path, mode_t mode) MUST_USE;
/* A file without a name, to be written in the directory: it is gone when it is closed before fd_name. -1: errno,
 * EOPNOTSUPP or EISDIR where that cannot be had. */
int fd_open_unnamed(const char *dir, mode_t mode) MUST_USE;
bool fd_name(int fd, const char *path) MUST_USE; /* never replaces: EEXIST */
/* fd_sync of a file that got its first name makes that durable, too; else fd_sync_dir is needed. */
bool fd_sync_covers_name(int fd) MUST_USE;
/* rename that never replaces: EEXIST. */
bool fd_rename_new(const char *from, const char *to) MUST_USE;
/* Unix sockets: send/receive one datagram (SOCK_SEQPACKET) with up to 4 descriptors. */
enum { FD_PASS_MAX = 4 };
bool fd_send_msg(int sock, const void *p, size_t n, const int *fds, int nfds) MUST_USE;
/* Returns bytes (0 = peer gone) or -1; fills fds (-1 where none), all O_CLOEXEC. */
ssize_t fd_recv_msg(int sock, void *p, size_t n, int fds[FD_PASS_MAX]) MUST_USE;
ssize_t fd_recv_parts(int sock, struct iovec *parts, size_t n, int fds[FD_PASS_MAX]) MUST_USE; /* the same into parts */

#endif
