#include "expand/item_handlers.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"
#include "expand/files.h"
#include "expand/sockets.h"
#include "host.h"

enum { DEFAULT_SECONDS = 5, ANSWER_MAX = 16 * 1024 * 1024, READ_SIZE = 16384 };

struct socket_options {
    long seconds;
    bool keep_open; /* shutdown=no */
};

/* ---- connecting ---- */

static int connect_to(const struct sockaddr *sa, socklen_t len, int64_t deadline)
{
    int error = 0,
        fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof(error);

    if (fd < 0)
        return -1;
    if (connect(fd, sa, len) == 0)
        return fd;
    if (errno != EINPROGRESS) {
        error = errno;
    } else if (fd_wait_write(fd, deadline) != 1) {
        error = ETIMEDOUT;
    } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        error = errno;
    }
    if (error == 0)
        return fd;
    (void)fd_close(fd);
    errno = error;
    return -1;
}

int sockets_connect_unix(struct expand_ctx *ctx, const char *path, int64_t deadline)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    size_t len = strlen(path);

    if (len >= sizeof(sun.sun_path)) {
        eval_fail(ctx, "failed to connect to socket %s: the path is too long", path);
        return -1;
    }
    memcpy(sun.sun_path, path, len + 1);
    int fd = connect_to((const struct sockaddr *)&sun, sizeof(sun), deadline);
    int why = errno;
    if (fd < 0) {
        eval_fail(ctx, "failed to connect to socket %s: %s", path, strerror(why));
        ctx->err.sys_errno = why;
    }
    return fd;
}

/* "host:port" or "[address]:port". */
static bool split_target(struct expand_ctx *ctx, const char *target, const char **host,
                         uint16_t *port)
{
    const char *colon = strrchr(target, ':');

    if (colon == NULL)
        return eval_fail(ctx, "missing port number in readsocket \"inet:%s\"", target),
               false;
    size_t len = (size_t)(colon - target);
    bool brackets = len >= 2 && target[0] == '[' && target[len - 1] == ']';
    *host = arena_strndup(ctx->arena, target + brackets, len - (brackets ? 2 : 0));
    *port = host_port_parse(colon + 1);
    if (*port == 0)
        return eval_fail(ctx, "unknown port in readsocket \"inet:%s\"", target), false;
    return true;
}

static bool find_addresses(struct expand_ctx *ctx, const char *host, struct ip_list *out)
{
    struct ip *ip = arena_new_obj(ctx->arena, struct ip);

    if (ip_parse(host, ip)) {
        *out = (struct ip_list){ ip, 1 };
        return true;
    }
    if (host_addresses(ctx->exim, ctx->arena, host, out, &ctx->err) != RC_OK ||
        out->count == 0)
        return eval_fail(ctx, "no IP address found for host %s", host), false;
    return true;
}

static int connect_inet(struct expand_ctx *ctx, const char *target, int64_t deadline)
{
    const char *host;
    uint16_t port;
    struct ip_list list;

    if (!split_target(ctx, target, &host, &port) || !find_addresses(ctx, host, &list))
        return -1;
    for (size_t i = 0; i < list.count; i++) {
        struct sockaddr_storage ss;
        socklen_t len = ip_to_sockaddr(&list.ips[i], port, &ss);
        int fd = connect_to((const struct sockaddr *)&ss, len, deadline);

        if (fd >= 0)
            return fd;
    }
    eval_fail(ctx, "failed to connect to any address for %s: %s", host, strerror(errno));
    return -1;
}

/* ---- talking ---- */

bool sockets_write(struct expand_ctx *ctx, int fd, struct str data, int64_t deadline)
{
    while (data.len > 0) {
        ssize_t n = fd_wait_write(fd, deadline) == 1
                        ? send(fd, data.p, data.len, MSG_NOSIGNAL)
                        : -1;

        if (n < 0 && errno != EAGAIN)
            return eval_fail(ctx, "request write to socket failed: %s", strerror(errno)),
                   false;
        if (n > 0)
            data = (struct str){ data.p + n, data.len - (size_t)n };
    }
    return true;
}

bool sockets_read_all(struct expand_ctx *ctx, int fd, struct buf *b, int64_t deadline)
{
    for (;;) {
        if (fd_wait_read(fd, deadline) != 1)
            return eval_fail(ctx, "socket read timed out"), false;
        char *room = buf_reserve(b, READ_SIZE);
        if (room == NULL)
            return eval_fail(ctx, "the answer of the socket is too long"), false;
        ssize_t n = fd_read(fd, room, READ_SIZE);
        if (n < 0)
            return eval_fail(ctx, "failed to read from socket: %s", strerror(errno)),
                   false;
        buf_commit(b, (size_t)n);
        if (n == 0)
            return true;
    }
}

/* ---- readsocket ---- */

static bool set_option(struct expand_ctx *ctx, const char *item, struct socket_options *o)
{
    if (strcmp(item, "shutdown=no") == 0)
        o->keep_open = true;
    else if (strcmp(item, "shutdown=yes") == 0)
        o->keep_open = false;
    else if (strcmp(item, "tls=no") != 0 && strcmp(item, "cache=no") != 0 &&
             strcmp(item, "cache=yes") != 0) /* every answer is asked for: never stale */
        return eval_fail(ctx, "option \"%s\" of readsocket is not supported", item),
               false;
    return true;
}

static bool parse_options(struct expand_ctx *ctx, const char *text,
                          struct socket_options *o)
{
    struct list_iter it = list_begin(text, ':');
    const char *item = list_next(&it, ctx->arena);

    *o = (struct socket_options){ .seconds = DEFAULT_SECONDS };
    if (item == NULL || *item == '\0')
        return true;
    o->seconds = tod_interval_parse(item);
    if (o->seconds < 0)
        return eval_fail(ctx, "bad time value %s", item), false;
    while ((item = list_next(&it, ctx->arena)) != NULL)
        if (!set_option(ctx, item, o))
            return false;
    return true;
}

static bool ask(struct expand_ctx *ctx, const char *const v[], struct buf *b)
{
    struct socket_options o;

    if (!parse_options(ctx, v[2] == NULL ? "" : v[2], &o))
        return false;
    int64_t deadline = tod_monotonic_ms() + o.seconds * 1000;
    int fd = cstr_starts(v[0], "inet:") ? connect_inet(ctx, v[0] + 5, deadline)
                                        : sockets_connect_unix(ctx, v[0], deadline);
    if (fd < 0)
        return false;
    bool ok = sockets_write(ctx, fd, str_from(v[1]), deadline);
    if (ok && !o.keep_open)
        (void)shutdown(fd, SHUT_WR); /* the reader notices if that did not work */
    ok = ok && sockets_read_all(ctx, fd, b, deadline);
    (void)fd_close(fd);
    return ok;
}

enum expand_rc item_readsocket(struct expand_ctx *ctx, const struct item_node *n,
                               const char **out)
{
    const char *v[ITEM_ARG_MAX] = { NULL };
    struct buf b = buf_init(ctx->arena, ANSWER_MAX);

    if (!eval_permitted(ctx, FORBID_READSOCKET, "socket insertions are not permitted"))
        return EXPAND_FAIL;
    for (int i = 0; i < n->narg && i < 4; i++) {
        enum expand_rc rc = eval_nodes(ctx, n->arg[i], &v[i]);

        if (rc != EXPAND_OK)
            return rc;
    }
    if (ask(ctx, v, &b))
        return files_newlines(ctx, buf_view(&b), v[3], out);
    return n->narg == 5 ? eval_nodes(ctx, n->arg[4], out) : EXPAND_FAIL;
}
