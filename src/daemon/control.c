#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fd.h"
#include "config/config.h"
#include "daemon/daemon_int.h"
#include "exim.h"

static const char socket_name[] = "exim-daemon.sock";

/* The path of a spool directory may be longer than a socket's may be: it is reached by descriptor. */
static int spool_dir_fd(const struct exim *e)
{
    return fd_open(e->config->spool_directory, O_PATH | O_DIRECTORY, 0);
}

static void fill_address(struct sockaddr_un *sa, int dir)
{
    *sa = (struct sockaddr_un){ .sun_family = AF_UNIX };
    (void)snprintf(sa->sun_path, sizeof(sa->sun_path), "/proc/self/fd/%d/%s", dir, socket_name);
}

static bool bind_there(int fd, int dir)
{
    struct sockaddr_un sa;

    fill_address(&sa, dir);
    if (unlinkat(dir, socket_name, 0) < 0 && errno != ENOENT)
        return false;
    return bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 &&
           fchmodat(dir, socket_name, 0600, 0) == 0 && listen(fd, 64) == 0;
}

int daemon_control_open(struct exim *e, struct err *err)
{
    int dir = spool_dir_fd(e);
    int fd = dir < 0 ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool ok = fd >= 0 && bind_there(fd, dir);
    int why = errno;

    if (dir >= 0)
        (void)fd_close(dir);
    if (ok)
        return fd;
    if (fd >= 0)
        (void)fd_close(fd);
    err_sys(err, e->arena, why, "cannot listen on %s/%s", e->config->spool_directory, socket_name);
    return -1;
}

void daemon_control_remove(struct exim *e)
{
    int dir = spool_dir_fd(e);

    if (dir < 0)
        return;
    (void)unlinkat(dir, socket_name, 0);
    (void)fd_close(dir);
}

static bool may_talk(const struct exim *e, int fd)
{
    struct ucred who;
    socklen_t len = sizeof(who);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
           (who.uid == 0 || who.uid == geteuid() || who.uid == e->config->exim_uid);
}

int daemon_control_accept(struct exim *e, int listening)
{
    int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0 && !may_talk(e, fd)) {
        (void)fd_close(fd);
        return -1;
    }
    return fd;
}

int daemon_queue_connect(struct exim *e)
{
    struct sockaddr_un sa;
    int dir = spool_dir_fd(e);
    int fd = dir < 0 ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (fd >= 0) {
        fill_address(&sa, dir);
        if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
            (void)fd_close(fd);
            fd = -1;
        }
    }
    if (dir >= 0)
        (void)fd_close(dir);
    return fd;
}
