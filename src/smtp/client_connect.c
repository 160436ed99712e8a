#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/proc.h"
#include "base/table.h"
#include "smtp/client.h"

struct dscp {
    const char *name;
    int value; /* of the TOS byte */
};

/* clang-format off */
static const struct dscp dscps[] = { /* RFC 2474, 2597, 3246; RFC 1349 */
    { "af11", 0x28 }, { "af12", 0x30 }, { "af13", 0x38 }, { "af21", 0x48 },
    { "af22", 0x50 }, { "af23", 0x58 }, { "af31", 0x68 }, { "af32", 0x70 },
    { "af33", 0x78 }, { "af41", 0x88 }, { "af42", 0x90 }, { "af43", 0x98 },
    { "ef", 0xb8 }, { "lowcost", 0x02 }, { "lowdelay", 0x10 }, { "mincost", 0x02 },
    { "reliability", 0x04 }, { "throughput", 0x08 },
};
/* clang-format on */

int client_dscp_parse(const char *name)
{
    const struct dscp *d = TABLE_FIND(dscps, name);
    long n;

    if (d != NULL)
        return d->value;
    if (cstr_starts(name, "0x") && name[2] != '\0' &&
        strspn(name + 2, "0123456789abcdefABCDEF") == strlen(name + 2))
        n = strtol(name + 2, NULL, 16);
    else if (!cstr_to_long(name, &n))
        return -1;
    return n >= 0 && n <= 0x3f ? (int)n << 2 : -1;
}

const char *const *client_dscp_names(size_t *count)
{
    static const char *names[ARRAY_LEN(dscps)];

    for (size_t i = 0; i < ARRAY_LEN(dscps); i++)
        names[i] = dscps[i].name;
    *count = ARRAY_LEN(dscps);
    return names;
}

static void set_options(int fd, int family, const struct client_target *t)
{
    const int on = 1;

    /* We collect commands ourselves; waiting for more would only delay them. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (t->keepalive)
        (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (t->fastopen)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &on, sizeof(on));
    if (t->dscp < 0)
        return;
    if (family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_TCLASS, &t->dscp, sizeof(t->dscp));
    else
        (void)setsockopt(fd, IPPROTO_IP, IP_TOS, &t->dscp, sizeof(t->dscp));
}

static bool failed(struct client *c, int sys_errno)
{
    c->sys_errno = sys_errno;
    c->fault = sys_errno == ETIMEDOUT ? CLIENT_TIMEOUT : CLIENT_IO;
    if (c->fd >= 0)
        fd_close(c->fd);
    c->fd = -1;
    return false;
}

static bool bind_local(int fd, const char *interface)
{
    struct sockaddr_storage ss;
    struct ip ip;

    if (interface == NULL)
        return true;
    if (!ip_parse(interface, &ip)) {
        errno = EINVAL;
        return false;
    }
    socklen_t len = ip_to_sockaddr(&ip, 0, &ss);

    return bind(fd, (struct sockaddr *)&ss, len) == 0;
}

static void note_local_end(struct client *c)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    uint16_t port = 0;
    char text[IP_TEXT_MAX];

    if (getsockname(c->fd, (struct sockaddr *)&ss, &len) != 0)
        return;
    struct ip ip = ip_from_sockaddr((struct sockaddr *)&ss, &port);

    if (ip.family == 0)
        return;
    c->local_address = arena_strdup(c->arena, ip_print(&ip, text));
    c->local_port = port;
}

/* Waits for a connect that was begun. */
static bool finish(struct client *c, int64_t deadline_ms)
{
    int ready = fd_wait_write(c->fd, deadline_ms), error = 0;
    socklen_t len = sizeof(error);

    if (ready == 0)
        return failed(c, ETIMEDOUT);
    if (ready < 0 || getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
        return failed(c, errno);
    return error == 0 || failed(c, error);
}

bool client_connect(struct client *c, const struct client_target *t, struct err *err)
{
    struct sockaddr_storage ss;
    struct ip ip;

    if (t->socks != NULL)
        return client_socks(c, t, err);
    c->fault = CLIENT_OK;
    if (!ip_parse(t->address, &ip))
        return failed(c, EINVAL);
    socklen_t len = ip_to_sockaddr(&ip, (uint16_t)t->port, &ss);

    proc_ignore(SIGPIPE); /* TLS writes without MSG_NOSIGNAL */
    c->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return failed(c, errno);
    set_options(c->fd, ss.ss_family, t);
    if (!bind_local(c->fd, t->interface)) {
        int saved = errno;

        err_sys(err, c->arena, saved, "unable to bind outgoing SMTP call to %s",
                t->interface);
        return failed(c, saved);
    }
    if (connect(c->fd, (struct sockaddr *)&ss, len) != 0) {
        if (errno != EINPROGRESS && errno != EINTR)
            return failed(c, errno);
        if (!finish(c, t->deadline_ms))
            return false;
    }
    note_local_end(c);
    return true;
}
