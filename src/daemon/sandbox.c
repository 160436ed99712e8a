#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "daemon/daemon_int.h"

#ifdef HAVE_SECCOMP
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/dynlib.h"
#include "base/fd.h"

/* What a session, its lookups, the resolver, ${run}, ${readsocket} and embedded interpreters need. Left
 * out is what only somebody who broke in has a use for: tracing, mounting, namespaces, kernel modules,
 * keys, BPF, io_uring, other processes' memory, changes of identity. */
static const int allowed[] = {
    SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(access), SCMP_SYS(alarm), SCMP_SYS(arch_prctl),
    SCMP_SYS(bind), SCMP_SYS(brk), SCMP_SYS(chdir), SCMP_SYS(chmod), SCMP_SYS(chown),
    SCMP_SYS(clock_getres), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(clone),
    SCMP_SYS(clone3), SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(connect),
    SCMP_SYS(copy_file_range), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_wait),
    SCMP_SYS(eventfd2), SCMP_SYS(execve), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(fadvise64), SCMP_SYS(fallocate), SCMP_SYS(fchdir),
    SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(fchown), SCMP_SYS(fchownat), SCMP_SYS(fcntl),
    SCMP_SYS(fdatasync), SCMP_SYS(flock), SCMP_SYS(fork), SCMP_SYS(fstat), SCMP_SYS(fstatfs),
    SCMP_SYS(fsync), SCMP_SYS(ftruncate), SCMP_SYS(futex), SCMP_SYS(getcwd), SCMP_SYS(getdents),
    SCMP_SYS(getdents64), SCMP_SYS(getegid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
    SCMP_SYS(getgroups), SCMP_SYS(getitimer), SCMP_SYS(getpeername), SCMP_SYS(getpgid),
    SCMP_SYS(getpgrp), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getrandom),
    SCMP_SYS(getresgid), SCMP_SYS(getresuid), SCMP_SYS(getrlimit), SCMP_SYS(getrusage),
    SCMP_SYS(getsid), SCMP_SYS(getsockname), SCMP_SYS(getsockopt), SCMP_SYS(gettid),
    SCMP_SYS(gettimeofday), SCMP_SYS(getuid), SCMP_SYS(getxattr), SCMP_SYS(ioctl), SCMP_SYS(kill),
    SCMP_SYS(lchown), SCMP_SYS(link), SCMP_SYS(linkat), SCMP_SYS(listen), SCMP_SYS(lseek),
    SCMP_SYS(lstat), SCMP_SYS(madvise), SCMP_SYS(membarrier), SCMP_SYS(mincore), SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat), SCMP_SYS(mlock), SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(mremap),
    SCMP_SYS(msync), SCMP_SYS(munlock), SCMP_SYS(munmap), SCMP_SYS(nanosleep),
    SCMP_SYS(newfstatat), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(pause), SCMP_SYS(pidfd_open),
    SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(prctl),
    SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(prlimit64), SCMP_SYS(pselect6),
    SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(read), SCMP_SYS(readlink),
    SCMP_SYS(readlinkat), SCMP_SYS(readv), SCMP_SYS(recvfrom), SCMP_SYS(recvmmsg),
    SCMP_SYS(recvmsg), SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2),
    SCMP_SYS(restart_syscall), SCMP_SYS(rmdir), SCMP_SYS(rseq), SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigsuspend), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_yield),
    SCMP_SYS(select), SCMP_SYS(semget), SCMP_SYS(semop), SCMP_SYS(semctl), SCMP_SYS(sendfile),
    SCMP_SYS(sendmmsg), SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(set_robust_list),
    SCMP_SYS(set_tid_address), SCMP_SYS(setitimer), SCMP_SYS(setpgid), SCMP_SYS(setrlimit),
    SCMP_SYS(setsid), SCMP_SYS(setsockopt), SCMP_SYS(shmat), SCMP_SYS(shmctl), SCMP_SYS(shmdt),
    SCMP_SYS(shmget), SCMP_SYS(shutdown), SCMP_SYS(sigaltstack), SCMP_SYS(socket),
    SCMP_SYS(socketpair), SCMP_SYS(splice), SCMP_SYS(stat), SCMP_SYS(statfs), SCMP_SYS(statx),
    SCMP_SYS(symlink), SCMP_SYS(symlinkat), SCMP_SYS(sync_file_range), SCMP_SYS(sysinfo),
    SCMP_SYS(tgkill), SCMP_SYS(time), SCMP_SYS(timer_create), SCMP_SYS(timer_delete),
    SCMP_SYS(timer_settime), SCMP_SYS(times), SCMP_SYS(truncate), SCMP_SYS(umask), SCMP_SYS(uname),
    SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(utime), SCMP_SYS(utimensat), SCMP_SYS(utimes),
    SCMP_SYS(vfork), SCMP_SYS(wait4), SCMP_SYS(waitid), SCMP_SYS(write), SCMP_SYS(writev),
};

struct libseccomp {
    __typeof__(seccomp_export_bpf) *export_bpf;
    __typeof__(seccomp_init) *init;
    __typeof__(seccomp_release) *release;
    __typeof__(seccomp_rule_add) *rule_add;
};

/* The library's tables are large: they are made once, and sessions get the program alone. */
static int export_filter(const struct libseccomp *lib, int fd)
{
    scmp_filter_ctx ctx = lib->init(SCMP_ACT_ERRNO(EPERM));
    int rc = ctx == NULL ? -ENOMEM : 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(allowed); i++) {
        rc = lib->rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
        if (rc == -EDOM || rc == -EFAULT)
            rc = 0; /* not on this architecture */
    }
    if (rc == 0)
        rc = lib->export_bpf(ctx, fd);
    if (ctx != NULL)
        lib->release(ctx);
    return rc;
}

static int read_filter(struct arena *a, int fd, struct sock_fprog *program)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return -errno;
    size_t size = (size_t)st.st_size, count = size / sizeof(struct sock_filter);
    if (count == 0 || count > BPF_MAXINSNS)
        return -E2BIG;
    program->filter = arena_new_array(a, struct sock_filter, count);
    program->len = (unsigned short)count;
    return pread(fd, program->filter, size, 0) == (ssize_t)size ? 0 : -EIO;
}

const struct sock_fprog *daemon_sandbox_new(struct arena *a, struct err *err)
{
    static const char names[] = "seccomp_export_bpf\0seccomp_init\0seccomp_release\0seccomp_rule_add\0";
    struct sock_fprog *program = arena_new_obj(a, struct sock_fprog);
    const struct libseccomp *lib = dynlib_load("libseccomp.so.2", names, err);

    if (lib == NULL)
        return NULL;
    int fd = memfd_create("filter", MFD_CLOEXEC);
    int rc = fd < 0 ? -errno : export_filter(lib, fd);

    if (rc == 0)
        rc = read_filter(a, fd, program);
    if (fd >= 0)
        (void)fd_close(fd);
    if (rc == 0)
        return program;
    *err = (struct err){ .msg = strerror(-rc), .sys_errno = -rc };
    return NULL;
}

static bool load_filter(const struct sock_fprog *program)
{
    return program == NULL || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0;
}

#else

const struct sock_fprog *daemon_sandbox_new(struct arena *a, struct err *err)
{
    (void)a;
    (void)err;
    return NULL;
}

static bool load_filter(const struct sock_fprog *program)
{
    (void)program;
    return true;
}

#endif

bool daemon_sandbox(const struct sock_fprog *filter, struct err *err)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && load_filter(filter))
        return true;
    *err = (struct err){ .msg = strerror(errno), .sys_errno = errno };
    return false;
}
