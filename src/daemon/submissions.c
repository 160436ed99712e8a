#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "cmd/submission.h"
#include "config/config.h"
#include "daemon/acceptor_int.h"
#include "exim.h"
#include "priv.h"

/* ---- the socket: bound by the broker, read by the acceptor ---- */

static bool remove_socket(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT;
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return false;
    }
    return unlink(path) == 0;
}

static int bind_there(const char *path)
{
    struct sockaddr_un sa = { .sun_family = AF_UNIX };

    if (path[0] != '/' || strlen(path) >= sizeof(sa.sun_path)) {
        errno = path[0] != '/' ? EINVAL : ENAMETOOLONG;
        return -1;
    }
    memcpy(sa.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (remove_socket(path) && bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
        chmod(path, 0666) == 0 && listen(fd, 64) == 0)
        return fd;
    int why = errno;
    (void)fd_close(fd);
    errno = why;
    return -1;
}

bool daemon_submission_listen(const struct daemon *old, struct daemon *d, struct err *err)
{
    const char *path = d->exim->config->main.submission_socket;

    d->submission_fd = -1;
    d->submission_path = path;
    if (path == NULL || !d->options->listen)
        return true;
    if (old != NULL && old->submission_fd >= 0 && strcmp(old->submission_path, path) == 0)
        d->submission_fd = old->submission_fd;
    else
        d->submission_fd = bind_there(path);
    return d->submission_fd >= 0 ||
           err_sys(err, d->exim->arena, errno, "cannot listen on %s (submission_socket)", path);
}

void daemon_submission_close(struct daemon *d)
{
    if (d->submission_fd < 0)
        return;
    (void)fd_close(d->submission_fd);
    d->submission_fd = -1;
    (void)unlink(d->submission_path);
}

/* ---- who submits: one process each ---- */

static size_t count_of(const struct acceptor *ac, uid_t uid)
{
    size_t n = 0;

    for (size_t i = 0; i < ac->submission_count; i++)
        n += ac->submissions[i].uid == uid;
    return n;
}

static NORETURN void serve(struct acceptor *ac, int fd, const struct ucred *who)
{
    struct daemon *d = ac->daemon;
    struct exim *e = d->exim;
    int keep[] = { fd, d->session_agents[1], d->notices[1] };
    struct err err = { 0 };
    sigset_t none;

    priv_close_others(e, keep, ARRAY_LEN(keep));
    (void)sigemptyset(&none);
    proc_catch(SIGTERM);
    proc_ignore(SIGINT);
    proc_default(SIGCHLD);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (!daemon_sandbox(d->session_filter, &err))
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "submission without sandbox: %s", err.msg);
    submission_serve(e, fd, who->uid, who->gid);
}

static const char *why_not(const struct acceptor *ac, const struct ucred *who)
{
    if (ac->submission_count == SUBMISSIONS_MAX)
        return "too many messages are being submitted: try again later";
    if (who->uid != 0 && count_of(ac, who->uid) >= SUBMISSIONS_PER_USER)
        return "too many messages are being submitted by you: try again later";
    return NULL;
}

static void start(struct acceptor *ac, int fd)
{
    struct ucred who;
    socklen_t len = sizeof(who);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
        return;
    const char *why = why_not(ac, &who);
    if (why != NULL) {
        log_write(ac->exim->log, LOG_MAIN, NULL, "submission by uid %ld refused: %s", (long)who.uid, why);
        submission_refuse(fd, why);
        return;
    }
    pid_t pid = proc_fork("submission");
    if (pid == 0)
        serve(ac, fd, &who);
    if (pid > 0)
        ac->submissions[ac->submission_count++] = (struct submission){ pid, who.uid };
    else
        submission_refuse(fd, "no process can be started: try again later");
}

void acceptor_take_submissions(struct acceptor *ac)
{
    enum { BURST = 16 };

    for (int i = 0; i < BURST; i++) {
        int fd = accept4(ac->daemon->submission_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            return;
        start(ac, fd);
        (void)fd_close(fd);
    }
}

bool acceptor_submission_ended(struct acceptor *ac, pid_t pid)
{
    for (size_t i = 0; i < ac->submission_count; i++)
        if (ac->submissions[i].pid == pid) {
            ac->submissions[i] = ac->submissions[--ac->submission_count];
            return true;
        }
    return false;
}

void acceptor_end_submissions(struct acceptor *ac)
{
    for (size_t i = 0; i < ac->submission_count; i++)
        (void)kill(ac->submissions[i].pid, SIGTERM);
}
