#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "config/config.h"
#include "daemon/daemon_int.h"
#include "exim.h"

static void set_option(int fd, int level, int name, int value)
{
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* Connections inherit these, so that accepting one costs no call for them. */
static void set_options(const struct exim *e, int fd, const struct ip *ip)
{
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (e->config->main.smtp_accept_keepalive)
        set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    if (e->config->main.tcp_nodelay)
        set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (ip->family == 6)
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
}

/* daemon_startup_retries: an address may come up a little later than the daemon. */
static int bind_one(struct exim *e, const struct listen_address *at)
{
    long tries = e->config->main.daemon_startup_retries;
    struct sockaddr_storage sa;
    socklen_t len = ip_to_sockaddr(&at->ip, at->port, &sa);
    int fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    char text[IP_TEXT_MAX];

    if (fd < 0)
        return -1;
    set_options(e, fd, &at->ip);
    while (bind(fd, (struct sockaddr *)&sa, len) < 0) {
        int why = errno;

        if (tries-- > 0 && (why == EADDRNOTAVAIL || why == EADDRINUSE)) {
            log_write(e->log, LOG_MAIN, NULL,
                      "socket bind() to port %d for address %s failed: %s: waiting %lds before trying again", at->port,
                      ip_print(&at->ip, text), strerror(why), e->config->main.daemon_startup_sleep);
            (void)nanosleep(&(struct timespec){ .tv_sec = e->config->main.daemon_startup_sleep }, NULL);
            continue;
        }
        (void)fd_close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

static bool same_place(const struct listen_address *a, const struct listen_address *b)
{
    return a->port == b->port && ip_eq(&a->ip, &b->ip);
}

static int take_over(const struct daemon *old, const struct listen_address *at)
{
    for (size_t i = 0; old != NULL && i < old->listener_count; i++)
        if (same_place(&old->listeners[i].at, at))
            return old->listeners[i].fd;
    return -1;
}

static bool is_any(const struct ip *ip)
{
    static const struct ip none = { 0 };

    return memcmp(ip->bytes, none.bytes, ip->family == 4 ? 4 : 16) == 0;
}

/* No IPv6 in this kernel: listening on every IPv4 address is what is wanted then. */
static bool may_be_missing(const struct listen_address *at, int why)
{
    return at->ip.family == 6 && is_any(&at->ip) && (why == EAFNOSUPPORT || why == EADDRNOTAVAIL);
}

/* Exim's default of 20 is for a daemon that forks before it accepts the next one; who sets the option
 * means it. */
static int backlog(const struct config *c)
{
    bool is_set = c->option_set != NULL && hash_find(c->option_set, "smtp_connect_backlog") != NULL;

    return is_set ? (int)c->main.smtp_connect_backlog : SOMAXCONN;
}

static bool open_one(struct arena *a, const struct daemon *old, const struct listen_address *at,
                     struct daemon *d, struct err *err)
{
    struct exim *e = d->exim;
    int fd = take_over(old, at);
    char text[IP_TEXT_MAX];

    if (fd < 0) {
        fd = bind_one(e, at);
        if (fd < 0 && may_be_missing(at, errno))
            return true;
        if (fd < 0)
            return err_sys(err, a, errno, "socket bind() to port %d for address %s failed", at->port,
                           is_any(&at->ip) ? at->ip.family == 6 ? "(any IPv6)" : "(any IPv4)"
                                           : ip_print(&at->ip, text));
    }
    d->listeners[d->listener_count++] = (struct listener){ fd, *at };
    if (listen(fd, backlog(e->config)) < 0)
        return err_sys(err, a, errno, "listen() failed on port %d", at->port);
    return true;
}

static void close_new(const struct daemon *old, struct daemon *d)
{
    for (size_t i = 0; i < d->listener_count; i++)
        if (take_over(old, &d->listeners[i].at) < 0)
            (void)fd_close(d->listeners[i].fd);
    d->listener_count = 0;
}

bool daemon_listen(struct exim *e, struct arena *a, const struct daemon *old, struct daemon *d,
                   struct err *err)
{
    struct listen_address *list;
    size_t count;

    d->listener_count = 0;
    d->submission_fd = -1;
    if (!d->options->listen)
        return true;
    if (!host_listen_addresses(e, a, d->options->oX, &list, &count, err))
        return false;
    d->listeners = arena_new_array(a, struct listener, count);
    for (size_t i = 0; i < count; i++) {
        if (d->options->tls_on_connect)
            list[i].tls_on_connect = true;
        if (!open_one(a, old, &list[i], d, err)) {
            close_new(old, d);
            return false;
        }
    }
    if (d->listener_count == 0)
        return err_set(err, a, "no address to listen on");
    if (daemon_submission_listen(old, d, err))
        return true;
    close_new(old, d);
    return false;
}

/* ---- in words ---- */

static bool listens(const struct daemon *d, uint8_t family, const struct listener *like)
{
    for (size_t i = 0; i < d->listener_count; i++) {
        const struct listen_address *at = &d->listeners[i].at;

        if (is_any(&at->ip) && at->ip.family == family && at->port == like->at.port &&
            at->tls_on_connect == like->at.tls_on_connect)
            return true;
    }
    return false;
}

static void add_place(struct buf *b, const struct daemon *d, const struct listener *l)
{
    char text[IP_TEXT_MAX];
    bool six = listens(d, 6, l), four = listens(d, 4, l);

    if (!is_any(&l->at.ip))
        buf_printf(b, " [%s]:%d", ip_print(&l->at.ip, text), l->at.port);
    else if (l->at.ip.family == 6 || !six)
        buf_printf(b, " port %d (%s)", l->at.port, six && four ? "IPv6 and IPv4" : six ? "IPv6" : "IPv4");
}

static size_t add_places(struct buf *b, const struct daemon *d, bool tls)
{
    enum { NAMED_MAX = 10 };
    size_t n = 0;

    for (size_t i = 0; i < d->listener_count; i++) {
        if (d->listeners[i].at.tls_on_connect != tls)
            continue;
        if (n == 0)
            buf_printf(b, "%s%s on", b->len > 0 ? " and for " : "", tls ? "SMTPS" : "SMTP");
        if (n++ < NAMED_MAX)
            add_place(b, d, &d->listeners[i]);
    }
    if (n > NAMED_MAX)
        buf_add_cstr(b, " ...");
    return n;
}

const char *daemon_listen_text(struct arena *a, const struct daemon *d)
{
    struct buf b = buf_init(a, 4096);

    (void)add_places(&b, d, false);
    (void)add_places(&b, d, true);
    return buf_cstr(&b);
}
