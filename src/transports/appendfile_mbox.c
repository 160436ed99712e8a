#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "address.h"
#include "base/arena.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"
#include "expand.h"
#include "transports/appendfile_int.h"

enum { RACES_MAX = 10 };

/* ---- is the existing file one we may write to? ---- */

static bool owner_ok(struct append *ap, const struct stat *st, const char *what)
{
    const struct appendfile *t = ap->t;

    if (t->check_owner && st->st_uid != geteuid())
        return append_defer(ap, ERR_BADUGID, "4.3.5", "mailbox %s%s has wrong uid (%ld != %ld)", ap->path, what,
                            (long)st->st_uid, (long)geteuid());
    if (t->check_group && st->st_gid != getegid())
        return append_defer(ap, ERR_BADUGID, "4.3.5", "mailbox %s%s has wrong gid (%ld != %ld)", ap->path, what,
                            (long)st->st_gid, (long)getegid());
    return true;
}

static bool kind_ok(struct append *ap, const struct stat *st)
{
    if (st->st_nlink > 1)
        return append_defer(ap, ERR_NOTREGULAR, "4.3.5", "mailbox %s has too many links (%lu)", ap->path,
                            (unsigned long)st->st_nlink);
    if (S_ISREG(st->st_mode) || (S_ISFIFO(st->st_mode) && ap->t->allow_fifo))
        return true;
    return append_defer(ap, ERR_NOTREGULAR, "4.3.5", "mailbox %s is not a regular file%s", ap->path,
                        ap->t->allow_fifo ? " or named pipe" : "");
}

static bool mode_ok(struct append *ap, const struct stat *st)
{
    unsigned mode = st->st_mode & 07777, want = (unsigned)ap->mode;

    if (mode == want)
        return true;
    if ((mode & want) == want) {
        if (chmod(ap->path, want) == 0)
            return true;
        return append_sys(ap, errno, "attempting to chmod mailbox %s", ap->path);
    }
    return !ap->t->mode_fail_narrower ||
           append_defer(ap, ERR_BADMODE, "4.3.5", "mailbox %s has the wrong mode %o (%o expected)", ap->path, mode, want);
}

/* lstat, and stat through a link that is allowed. False: result set. */
static bool look(struct append *ap, struct stat *st, bool *exists, bool *is_link)
{
    *is_link = false;
    *exists = lstat(ap->path, st) == 0;
    if (!*exists)
        return errno == ENOENT || append_sys(ap, errno, "attempting to stat mailbox %s", ap->path);
    if (!S_ISLNK(st->st_mode))
        return true;
    *is_link = true;
    if (!owner_ok(ap, st, " (symlink)"))
        return false;
    if (!ap->t->allow_symlink)
        return append_defer(ap, ERR_NOTREGULAR, "4.3.5", "mailbox %s is not a regular file", ap->path);
    *exists = stat(ap->path, st) == 0;
    return *exists || errno == ENOENT || append_sys(ap, errno, "attempting to stat mailbox %s", ap->path);
}

/* ---- opening ---- */

/* >= 0, -1: result set, -2: it has vanished or changed hands, look again. */
static int open_existing(struct append *ap, const struct stat *before, bool is_link)
{
    struct stat st;
    int flags = O_WRONLY | O_APPEND | O_NOCTTY;

    if (!owner_ok(ap, before, "") || !kind_ok(ap, before) || (S_ISREG(before->st_mode) && !mode_ok(ap, before)))
        return -1;
    if (S_ISFIFO(before->st_mode))
        flags |= O_NONBLOCK;
    int fd = fd_open(ap->path, flags | (is_link ? 0 : O_NOFOLLOW), 0);
    if (fd < 0) {
        if (errno == ENOENT)
            return -2;
        if (errno == ENXIO && S_ISFIFO(before->st_mode))
            append_defer(ap, ENXIO, "4.3.0", "no process is reading the named pipe %s", ap->path);
        else
            append_sys(ap, errno, "while opening mailbox %s", ap->path);
        return -1;
    }
    if (fstat(fd, &st) == 0 && st.st_ino == before->st_ino && st.st_dev == before->st_dev &&
        (st.st_mode & S_IFMT) == (before->st_mode & S_IFMT) && st.st_uid == before->st_uid)
        return fd;
    fd_close(fd);
    append_defer(ap, ERR_INODECHANGED, "4.3.5", "opened mailbox %s has changed since it was looked at", ap->path);
    ap->call->addrs->result.freeze = true;
    return -1;
}

static int open_new(struct append *ap, bool is_link)
{
    const char *slash = strrchr(ap->path, '/');
    const char *dir = slash == ap->path ? "/" : arena_strndup(ap->arena, ap->path, (size_t)(slash - ap->path));
    struct stat st;

    if (ap->t->file_must_exist) {
        append_sys(ap, ENOENT, "mailbox %s does not exist, but file_must_exist is set", ap->path);
        return -1;
    }
    if (!append_may_create(ap, ap->path) || !append_make_dirs(ap, dir))
        return -1;
    int fd = fd_open(ap->path, O_WRONLY | O_APPEND | O_CREAT | (is_link ? 0 : O_EXCL), (mode_t)ap->mode);
    if (fd < 0) {
        if (errno == EEXIST || errno == ENOENT)
            return -2;
        append_sys(ap, errno, "while creating mailbox %s", ap->path);
        return -1;
    }
    /* Whatever the umask. */
    if (fstat(fd, &st) == 0 && (st.st_mode & 07777) != (mode_t)ap->mode)
        (void)fchmod(fd, (mode_t)ap->mode);
    return fd;
}

/* A mailbox that comes and goes between our calls is not chased forever. */
static int open_mailbox(struct append *ap)
{
    for (int i = 0; i < RACES_MAX; i++) {
        struct stat st;
        bool exists, is_link;
        if (!look(ap, &st, &exists, &is_link))
            return -1;
        int fd = exists ? open_existing(ap, &st, is_link) : open_new(ap, is_link);
        if (fd != -2)
            return fd;
    }
    append_defer(ap, ERR_EXISTRACE, "4.3.5", "mailbox %s: existence unclear", ap->path);
    ap->call->addrs->result.freeze = true;
    return -1;
}

/* Opens and locks; the file is not kept open while waiting. -1: result set. */
static int open_locked(struct append *ap)
{
    int64_t deadline = append_lock_deadline(ap->t);

    do {
        int fd = open_mailbox(ap);
        if (fd < 0)
            return -1;
        int rc = append_lock_fd(ap, fd);
        if (rc == 1)
            return fd;
        fd_close(fd);
        if (rc < 0)
            return -1;
    } while (append_lock_wait(deadline));
    append_defer(ap, ERR_LOCKFAILED, "4.2.0", "failed to lock mailbox %s (%s)", ap->path,
                 ap->t->use_fcntl_lock ? "fcntl" : "flock");
    return -1;
}

/* ---- file_format ---- */

/* The transport that goes with how the file begins; ours if it is new. NULL: result set. */
static const struct transport *transport_for(struct append *ap)
{
    char head[1024];
    int fd = ap->t->file_format == NULL ? -1 : fd_open(ap->path, O_RDONLY | O_NONBLOCK, 0);
    ssize_t n = fd < 0 ? 0 : fd_read_full(fd, head, sizeof(head));

    if (fd >= 0)
        fd_close(fd);
    if (n <= 0)
        return &ap->t->base;
    struct list_iter it = list_begin(ap->t->file_format, ':');
    for (const char *test, *name; (test = list_next(&it, ap->arena)) != NULL &&
                                  (name = list_next(&it, ap->arena)) != NULL;) {
        size_t len = strlen(test);
        if ((size_t)n < len || memcmp(head, test, len) != 0)
            continue;
        const struct transport *t = transport_find(ap->call->ctx->exim->config, name);
        if (t == NULL)
            append_defer(ap, ERR_UNKNOWNERROR, "4.3.5", "%s transport (for %.*s format) not found", name, (int)len,
                         test);
        return t;
    }
    append_defer(ap, ERR_UNKNOWNERROR, "4.3.5", "mailbox file format unrecognized");
    return NULL;
}

/* ---- comsat ---- */

/* "user@offset" to the biff service; nobody minds if nobody listens. */
static void notify_comsat(struct append *ap, int64_t offset)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    const struct servent *sp = getservbyname("biff", "udp");
    const char *user = ap->call->addrs->local_part;

    if (sp == NULL || user == NULL)
        return;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    const char *text = arena_printf(ap->arena, "%s@%lld\n", user, (long long)offset);
    sin.sin_port = (in_port_t)sp->s_port;
    (void)sendto(fd, text, strlen(text), MSG_DONTWAIT, (struct sockaddr *)&sin, sizeof(sin));
    fd_close(fd);
}

/* ---- appending ---- */

static bool sync_file(struct append *ap, int fd, bool regular)
{
    if (!regular || ap->call->ctx->exim->config->main.disable_fsync || fd_sync(fd))
        return true;
    return append_sys(ap, errno, "error while syncing %s", ap->path);
}

/* As it was before us: length, and times so that no mail reader sees news. */
static void undo(int fd, const struct stat *st)
{
    const struct timespec times[2] = { st->st_atim, st->st_mtim };

    if (ftruncate(fd, st->st_size) == 0)
        (void)futimens(fd, times);
}

static void append_locked(struct append *ap, int fd)
{
    struct stat st;
    int64_t written;

    if (fstat(fd, &st) != 0) {
        append_sys(ap, errno, "while examining mailbox %s", ap->path);
        return;
    }
    bool regular = S_ISREG(st.st_mode);
    if (!regular)
        (void)fd_set_nonblock(fd, false);
    if (ap->size_before < 0)
        ap->size_before = st.st_size;
    ap->files_before = 0;
    if (!append_check_quota(ap))
        return;
    if (!append_write_all(ap, fd, &written) || !sync_file(ap, fd, regular)) {
        if (regular)
            undo(fd, &st);
        return;
    }
    transport_set_all(ap->call, RC_OK, 0, "2.0.0", NULL);
    if (ap->t->notify_comsat)
        notify_comsat(ap, st.st_size);
    append_warn(ap);
}

void append_to_file(struct append *ap)
{
    const struct transport *t = transport_for(ap);
    const char *lock = NULL;
    const char *slash = strrchr(ap->path, '/');

    if (t == NULL)
        return;
    if (t != &ap->t->base) {
        t->driver->deliver(t, ap->call);
        return;
    }
    ap->writing = ap->path;
    if (ap->t->use_lockfile && ap->t->create_directory && slash != ap->path) {
        const char *dir = arena_strndup(ap->arena, ap->path, (size_t)(slash - ap->path));
        if (access(dir, F_OK) != 0 && !ap->t->file_must_exist && !append_make_dirs(ap, dir))
            return;
    }
    if (ap->t->use_lockfile && (lock = append_dotlock(ap)) == NULL)
        return;
    int fd = open_locked(ap);
    if (fd >= 0) {
        append_locked(ap, fd);
        fd_close(fd);
    }
    append_dotunlock(lock);
}
