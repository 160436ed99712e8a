/* shim - LD_PRELOAD: fails, or kills at, the nth system call of a whole tree of processes, or writes down
 * what is done to files, for the replayer of power failures.
 *
 * TORTURE_SHM names a file that the test made and mapped too (struct control below; torture.py has the
 * same layout). Every process of the tree shares the mapping; no descriptor is kept. A call counts when
 * the present fault can happen to it: a full disk cannot break a read.
 *
 * Recording (control.recording): each change below control.root is done and written down under one lock,
 * so that the order in the record is the order of the changes. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

/* Faults, and which of them a call can have. */
enum {
    KILL_ONE = 1,
    KILL_ALL = 2,
    F_EIO = 4,
    F_ENOSPC = 8,
    F_EMFILE = 16,
    F_EINTR = 32,
    F_ENOMEM = 64,
    F_SHORT = 128,
    KILLS = KILL_ONE | KILL_ALL,
    READS = KILLS | F_EIO | F_EINTR | F_ENOMEM,
    WRITES = KILLS | F_EIO | F_ENOSPC | F_EINTR | F_ENOMEM | F_SHORT,
    SYNCS = KILLS | F_EIO | F_ENOSPC | F_EINTR | F_ENOMEM,
    NAMES = KILLS | F_EIO | F_ENOSPC | F_ENOMEM,
    OPENS = KILLS | F_EIO | F_ENOSPC | F_EMFILE | F_EINTR | F_ENOMEM,
    MAKES = KILLS | F_EMFILE | F_ENOMEM,
    TALKS = KILLS | F_EINTR | F_ENOMEM, /* over sockets */
    WAITS = KILLS | F_EINTR,
};

enum { RECORD_AT = 4096, ROOT_MAX = 512 };

struct control {
    uint32_t fault, armed, sticky, recording;
    int64_t counter, target;
    int64_t activity; /* all calls, counted or not: the test sees when nothing moves */
    uint32_t fired, lock;
    int64_t used, size; /* of the record */
    double load;        /* what getloadavg says, unless negative */
    int64_t disk;       /* what fstatfs says of its type, unless 0 */
    char call[32];      /* where it fired */
    char root[ROOT_MAX];
};

static struct control *control;

__attribute__((constructor)) static void attach(void)
{
    const char *path = getenv("TORTURE_SHM");
    int fd = path == NULL ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        control = p == MAP_FAILED ? NULL : p;
    }
    (void)syscall(SYS_close, fd);
}

/* ---- faults ---- */

static int fault_errno(uint32_t fault)
{
    switch (fault) {
    case F_EIO: return EIO;
    case F_ENOSPC: return ENOSPC;
    case F_EMFILE: return EMFILE;
    case F_EINTR: return EINTR;
    default: return ENOMEM;
    }
}

/* True: the call is to fail, errno is set. Does not return where the process dies. */
static bool hit(uint32_t possible, const char *call)
{
    if (control == NULL)
        return false;
    (void)__atomic_add_fetch(&control->activity, 1, __ATOMIC_RELAXED);
    if (!control->armed || !(control->fault & possible))
        return false;
    int64_t n = __atomic_add_fetch(&control->counter, 1, __ATOMIC_SEQ_CST);
    if (n != control->target && !(control->sticky && control->target > 0 && n > control->target))
        return false;
    if (!control->fired)
        (void)snprintf(control->call, sizeof control->call, "%s", call);
    control->fired = 1;
    if (control->fault & KILLS) {
        (void)syscall(SYS_kill, control->fault == KILL_ONE ? getpid() : 0, SIGKILL);
        for (;;)
            (void)syscall(SYS_sched_yield);
    }
    errno = fault_errno(control->fault);
    return true;
}

#define FAULT(possible)                                                                                 \
    do {                                                                                                \
        if (hit(possible, __func__))                                                                    \
            return -1;                                                                                  \
    } while (0)

/* How much of a write is done: half of it when this is the one to be cut short. */
static size_t cut(size_t n, const char *call)
{
    bool short_now = control != NULL && control->fault == F_SHORT && n > 1 && hit(F_SHORT, call);

    return short_now ? n / 2 : n;
}

/* ---- the record ---- */

struct entry { /* followed by path, other path, data; all rounded up to 8 */
    uint32_t total;
    char op;
    char durable; /* written through O_DSYNC */
    uint16_t path_len, other_len;
    uint16_t unused;
    uint32_t data_len;
    uint64_t inode;
    int64_t offset;
};
_Static_assert(sizeof(struct entry) == 32, "torture.py reads this");

static bool lock_record(void)
{
    if (control == NULL || !control->recording)
        return false;
    while (__atomic_exchange_n(&control->lock, 1, __ATOMIC_ACQUIRE) != 0)
        (void)syscall(SYS_sched_yield);
    return true;
}

static void unlock_record(bool locked)
{
    int kept = errno;

    if (locked)
        __atomic_store_n(&control->lock, 0, __ATOMIC_RELEASE);
    errno = kept;
}

static void note(struct entry e, const char *path, const char *other, const struct iovec *data)
{
    e.path_len = (uint16_t)strlen(path);
    e.other_len = (uint16_t)strlen(other);
    e.data_len = data == NULL ? 0 : (uint32_t)data->iov_len;
    e.total = (uint32_t)((sizeof e + e.path_len + e.other_len + e.data_len + 7) & ~(size_t)7);
    if (control->used + e.total > control->size)
        abort(); /* the test must give more room */
    char *to = (char *)control + RECORD_AT + control->used;
    memcpy(to, &e, sizeof e);
    to += sizeof e;
    memcpy(to, path, e.path_len);
    to += e.path_len;
    memcpy(to, other, e.other_len);
    to += e.other_len;
    if (data != NULL)
        memcpy(to, data->iov_base, data->iov_len);
    control->used += e.total;
}

static bool below_root(const char *path)
{
    return strncmp(path, control->root, strlen(control->root)) == 0;
}

/* An absolute path, without following the last part. */
static void absolute(char *out, size_t size, int dirfd, const char *path)
{
    char link[64], base[PATH_MAX];

    if (*path == '/') {
        (void)snprintf(out, size, "%s", path);
        return;
    }
    (void)snprintf(link, sizeof link, dirfd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", dirfd);
    ssize_t n = readlink(link, base, sizeof base - 1);
    base[n < 0 ? 0 : n] = '\0';
    if (snprintf(out, size, "%s/%s", base, path) >= (int)size)
        abort();
}

static void path_of(int fd, char *out, size_t size)
{
    char link[64];

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, out, size - 1);
    out[n < 0 ? 0 : n] = '\0';
}

static void note_names(char op, int dirfd, const char *path, int other_dirfd, const char *other)
{
    char one[PATH_MAX], two[PATH_MAX] = "";
    struct stat st = { 0 };
    int kept = errno;

    absolute(one, sizeof one, dirfd, path);
    if (other != NULL)
        absolute(two, sizeof two, other_dirfd, other);
    if (op != 'u')
        (void)fstatat(AT_FDCWD, other != NULL ? two : one, &st, AT_SYMLINK_NOFOLLOW);
    if (below_root(one))
        note((struct entry){ .op = op, .inode = st.st_ino }, one, two, NULL);
    errno = kept;
}

/* op: 'w' data at offset, 't' size, 's' synced. Only files below the root. */
static void note_file(char op, int fd, int64_t offset, const struct iovec *data)
{
    char path[PATH_MAX];
    struct stat st;
    int kept = errno;

    path_of(fd, path, sizeof path);
    if (below_root(path) && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
        int flags = fcntl(fd, F_GETFL);
        note((struct entry){ .op = op, .durable = (flags & O_DSYNC) != 0, .inode = st.st_ino, .offset = offset },
             path, "", data);
    }
    errno = kept;
}

/* ---- descriptors ---- */

static int do_open(int dirfd, const char *path, int flags, mode_t mode, const char *call)
{
    if (hit(OPENS, call))
        return -1;
    bool locked = (flags & (O_CREAT | O_TRUNC | __O_TMPFILE)) != 0 && lock_record();
    struct stat st;
    bool made = locked && (flags & O_CREAT) && fstatat(dirfd, path, &st, 0) != 0;
    bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    int fd = (int)syscall(SYS_openat, dirfd, path, flags, mode);
    if (fd >= 0 && made)
        note_names('c', dirfd, path, 0, NULL);
    if (fd >= 0 && locked && unnamed)
        note_file('o', fd, 0, NULL);
    if (fd >= 0 && locked && !made && (flags & O_TRUNC))
        note_file('t', fd, 0, NULL);
    unlock_record(locked);
    return fd;
}

#define MODE_ARGUMENT(flags, mode)                                                                      \
    mode_t mode = 0;                                                                                    \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                            \
        va_list ap;                                                                                     \
        va_start(ap, flags);                                                                            \
        mode = va_arg(ap, mode_t);                                                                      \
        va_end(ap);                                                                                     \
    }

int open(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return do_open(AT_FDCWD, path, flags, mode, __func__);
}

int open64(const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return do_open(AT_FDCWD, path, flags, mode, __func__);
}

int openat(int dirfd, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return do_open(dirfd, path, flags, mode, __func__);
}

int openat64(int dirfd, const char *path, int flags, ...)
{
    MODE_ARGUMENT(flags, mode)
    return do_open(dirfd, path, flags, mode, __func__);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0, __func__);
}

int __openat_2(int dirfd, const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags)
{
    return do_open(dirfd, path, flags, 0, __func__);
}

/* The descriptor is gone even when close says EINTR or EIO. */
int close(int fd)
{
    int rc = (int)syscall(SYS_close, fd);

    return hit(KILLS | F_EIO | F_EINTR, __func__) ? -1 : rc;
}

int pipe2(int fds[2], int flags)
{
    FAULT(MAKES);
    return (int)syscall(SYS_pipe2, fds, flags);
}

int socketpair(int domain, int type, int protocol, int fds[2])
{
    FAULT(MAKES);
    return (int)syscall(SYS_socketpair, domain, type, protocol, fds);
}

int socket(int domain, int type, int protocol)
{
    FAULT(MAKES);
    return (int)syscall(SYS_socket, domain, type, protocol);
}

int accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
    FAULT(MAKES | F_EINTR);
    return (int)syscall(SYS_accept4, fd, sa, len, flags);
}

int memfd_create(const char *name, unsigned flags)
{
    FAULT(MAKES);
    return (int)syscall(SYS_memfd_create, name, flags);
}

pid_t fork(void)
{
    static pid_t (*real)(void);

    FAULT(KILLS | F_ENOMEM);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "fork");
    return real();
}

pid_t _Fork(void)
{
    static pid_t (*real)(void);

    FAULT(KILLS | F_ENOMEM);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "_Fork");
    return real();
}

/* ---- bytes ---- */

static ssize_t do_write(int fd, const void *p, size_t n, off_t at, const char *call)
{
    if (control == NULL || control->fault != F_SHORT) {
        if (hit(WRITES, call))
            return -1;
    } else {
        n = cut(n, call);
    }
    bool locked = lock_record();
    ssize_t done = at < 0 ? syscall(SYS_write, fd, p, n) : syscall(SYS_pwrite64, fd, p, n, at);
    if (locked && done > 0) {
        struct iovec data = { .iov_base = (void *)(uintptr_t)p, .iov_len = (size_t)done };
        note_file('w', fd, at < 0 ? lseek(fd, 0, SEEK_CUR) - done : at, &data);
    }
    unlock_record(locked);
    return done;
}

ssize_t write(int fd, const void *p, size_t n)
{
    return do_write(fd, p, n, -1, __func__);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return do_write(fd, p, n, at, __func__);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return do_write(fd, p, n, at, __func__);
}

/* One piece after another; atomic enough for files that have one writer or a lock. */
static ssize_t do_writev(int fd, const struct iovec *v, int count, off_t at, const char *call)
{
    struct stat st;

    if (control == NULL || !control->recording || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (hit(WRITES, call))
            return -1;
        return at < 0 ? syscall(SYS_writev, fd, v, count) : syscall(SYS_pwritev, fd, v, count, at, 0);
    }
    ssize_t sum = 0;
    for (int i = 0; i < count; i++) {
        ssize_t n = do_write(fd, v[i].iov_base, v[i].iov_len, at < 0 ? at : at + sum, call);
        if (n < 0)
            return sum > 0 ? sum : n;
        sum += n;
        if ((size_t)n < v[i].iov_len)
            break;
    }
    return sum;
}

ssize_t writev(int fd, const struct iovec *v, int count)
{
    return do_writev(fd, v, count, -1, __func__);
}

ssize_t pwritev(int fd, const struct iovec *v, int count, off_t at)
{
    return do_writev(fd, v, count, at, __func__);
}

ssize_t read(int fd, void *p, size_t n)
{
    FAULT(READS);
    return syscall(SYS_read, fd, p, n);
}

ssize_t pread(int fd, void *p, size_t n, off_t at)
{
    FAULT(READS);
    return syscall(SYS_pread64, fd, p, n, at);
}

ssize_t pread64(int fd, void *p, size_t n, off_t at)
{
    FAULT(READS);
    return syscall(SYS_pread64, fd, p, n, at);
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
    FAULT(TALKS);
    return syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);
}

ssize_t __recv_chk(int fd, void *p, size_t n, size_t room, int flags);
ssize_t __recv_chk(int fd, void *p, size_t n, size_t room, int flags)
{
    if (n > room)
        abort();
    FAULT(TALKS);
    return syscall(SYS_recvfrom, fd, p, n, flags, NULL, NULL);
}

ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    FAULT(TALKS);
    return syscall(SYS_recvmsg, fd, m, flags);
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    FAULT(TALKS);
    return syscall(SYS_sendto, fd, p, n, flags, NULL, 0);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    FAULT(TALKS);
    return syscall(SYS_sendmsg, fd, m, flags);
}

/* ---- durability ---- */

static int do_sync(int fd, long call, const char *name)
{
    if (hit(SYNCS, name))
        return -1;
    bool locked = lock_record();
    int rc = (int)syscall(call, fd);
    if (locked && rc == 0)
        note_file('s', fd, 0, NULL);
    unlock_record(locked);
    return rc;
}

int fsync(int fd)
{
    return do_sync(fd, SYS_fsync, __func__);
}

int fdatasync(int fd)
{
    return do_sync(fd, SYS_fdatasync, __func__);
}

static int do_truncate(int fd, off_t size, const char *name)
{
    if (hit(SYNCS, name))
        return -1;
    bool locked = lock_record();
    int rc = (int)syscall(SYS_ftruncate, fd, size);
    if (locked && rc == 0)
        note_file('t', fd, size, NULL);
    unlock_record(locked);
    return rc;
}

int ftruncate(int fd, off_t size)
{
    return do_truncate(fd, size, __func__);
}

int ftruncate64(int fd, off_t size)
{
    return do_truncate(fd, size, __func__);
}

static int do_allocate(int fd, int mode, off_t at, off_t len, const char *name)
{
    struct stat st;

    if (hit(SYNCS, name))
        return -1;
    bool locked = lock_record();
    int rc = (int)syscall(SYS_fallocate, fd, mode, at, len);
    if (locked && rc == 0 && fstat(fd, &st) == 0)
        note_file('t', fd, st.st_size, NULL);
    unlock_record(locked);
    return rc;
}

int fallocate(int fd, int mode, off_t at, off_t len)
{
    return do_allocate(fd, mode, at, len, __func__);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    return do_allocate(fd, 0, at, len, __func__) == 0 ? 0 : errno;
}

/* ---- names ---- */

static int do_rename(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    if (hit(NAMES, "rename"))
        return -1;
    bool locked = lock_record();
    int rc = (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
    if (locked && rc == 0)
        note_names('r', from_dir, from, to_dir, to);
    unlock_record(locked);
    return rc;
}

int rename(const char *from, const char *to)
{
    return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return do_rename(from_dir, from, to_dir, to, 0);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return do_rename(from_dir, from, to_dir, to, flags);
}

/* With these flags it is an open file that is named, by itself or by its link in /proc. */
int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    FAULT(NAMES);
    bool locked = lock_record();
    int rc = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (locked && rc == 0 && (flags & (AT_EMPTY_PATH | AT_SYMLINK_FOLLOW)))
        note_names('n', to_dir, to, 0, NULL);
    else if (locked && rc == 0)
        note_names('l', from_dir, from, to_dir, to);
    unlock_record(locked);
    return rc;
}

int link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int unlinkat(int dirfd, const char *path, int flags)
{
    FAULT(NAMES);
    bool locked = lock_record();
    int rc = (int)syscall(SYS_unlinkat, dirfd, path, flags);
    if (locked && rc == 0)
        note_names('u', dirfd, path, 0, NULL);
    unlock_record(locked);
    return rc;
}

int unlink(const char *path)
{
    return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int dirfd, const char *path, mode_t mode)
{
    FAULT(NAMES);
    bool locked = lock_record();
    int rc = (int)syscall(SYS_mkdirat, dirfd, path, mode);
    if (locked && rc == 0)
        note_names('d', dirfd, path, 0, NULL);
    unlock_record(locked);
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    return mkdirat(AT_FDCWD, path, mode);
}

/* ---- waiting: only a signal can disturb it ---- */

int poll(struct pollfd *p, nfds_t n, int ms)
{
    FAULT(WAITS);
    return (int)syscall(SYS_poll, p, n, ms);
}

int epoll_pwait(int fd, struct epoll_event *e, int max, int ms, const sigset_t *mask)
{
    FAULT(WAITS);
    return (int)syscall(SYS_epoll_pwait, fd, e, max, ms, mask, _NSIG / 8);
}

int epoll_wait(int fd, struct epoll_event *e, int max, int ms)
{
    return epoll_pwait(fd, e, max, ms, NULL);
}

int flock(int fd, int op)
{
    FAULT(KILLS | F_EINTR | F_ENOMEM);
    return (int)syscall(SYS_flock, fd, op);
}

pid_t waitpid(pid_t pid, int *status, int options)
{
    FAULT(WAITS);
    return (pid_t)syscall(SYS_wait4, pid, status, options, NULL);
}

/* ---- what the machine seems to be ---- */

int fstatfs(int fd, struct statfs *fs)
{
    int rc = (int)syscall(SYS_fstatfs, fd, fs);

    if (rc == 0 && control != NULL && control->disk != 0)
        fs->f_type = (__typeof__(fs->f_type))control->disk;
    return rc;
}

int getloadavg(double load[], int n)
{
    static int (*real)(double *, int);

    if (control == NULL || control->load < 0) {
        if (real == NULL)
            *(void **)&real = dlsym(RTLD_NEXT, "getloadavg");
        return real(load, n);
    }
    for (int i = 0; i < n; i++)
        load[i] = control->load;
    return n;
}
