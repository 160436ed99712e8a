#include "smtp/ident.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/debug.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tod.h"
#include "exim.h"
#include "session.h"

enum { IDENT_PORT = 113, REPLY_MAX = 512, IDENT_SHOWN = 127 };

static int connect_to(const struct ip *from, const struct ip *to, int64_t deadline)
{
    struct sockaddr_storage here, there;
    int error = 0;
    socklen_t size = sizeof(error), here_len = ip_to_sockaddr(from, 0, &here);
    socklen_t there_len = ip_to_sockaddr(to, IDENT_PORT, &there);
    int fd = socket(there.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&here, here_len) == 0 &&
        (connect(fd, (struct sockaddr *)&there, there_len) == 0 ||
         errno == EINPROGRESS)) {
        int ready = fd_wait_write(fd, deadline);

        if (ready == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
            error == 0)
            return fd;
        errno = ready == 0 ? ETIMEDOUT : error;
    }
    int why = errno;
    (void)fd_close(fd);
    errno = why;
    return -1;
}

static bool read_reply(int fd, char *reply, int64_t deadline)
{
    size_t len = 0;

    while (len < REPLY_MAX - 1 && memchr(reply, '\n', len) == NULL) {
        if (fd_wait_read(fd, deadline) <= 0)
            return false;
        ssize_t got = fd_read(fd, reply + len, REPLY_MAX - 1 - len);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    reply[len] = '\0';
    reply[strcspn(reply, "\r\n")] = '\0';
    return len > 0;
}

/* "port , port : USERID : system : user" with our two ports. */
static const char *user_of(const char *reply, int client_port, int local_port)
{
    int theirs, ours, used = -1;

    if (sscanf(reply, "%d , %d : USERID :%n", &theirs, &ours, &used) != 2 || used < 0 ||
        theirs != client_port || ours != local_port)
        return NULL;
    const char *colon = strchr(reply + used, ':');
    if (colon == NULL)
        return NULL;
    const char *user = cstr_skip_space(colon + 1);
    return *user != '\0' ? user : NULL;
}

void smtp_ident_query(struct session *s, const struct ip *local, uint16_t local_port,
                      long timeout)
{
    int64_t deadline = tod_monotonic_ms() + timeout * 1000;
    char query[32], reply[REPLY_MAX];
    struct ip to;

    if (s->proxy_host_address != NULL || !ip_parse(s->host_address, &to) ||
        to.family != local->family)
        return; /* the ports of a proxied connection mean nothing to the client's host */
    int fd = connect_to(local, &to, deadline);
    if (fd < 0) {
        if (errno == ETIMEDOUT && log_wants(s->exim->log, L_ident_timeout))
            log_write(s->exim->log, LOG_MAIN | LOG_BY(ident_timeout), NULL,
                      "ident connection to %s timed out", s->host_address);
        return;
    }
    int n = snprintf(query, sizeof(query), "%d , %d\r\n", s->host_port, local_port);
    bool ok = fd_write_all(fd, query, (size_t)n) && read_reply(fd, reply, deadline);
    (void)fd_close(fd);
    const char *user = ok ? user_of(reply, s->host_port, local_port) : NULL;
    if (user == NULL)
        return;
    size_t len = strlen(user) < IDENT_SHOWN ? strlen(user) : IDENT_SHOWN;
    s->ident = cstr_printable_len(s->arena, user, len, false);
    DEBUG(D_IDENT) debug_printf("sender_ident = %s\n", s->ident);
    session_set_fullhost(s);
}
