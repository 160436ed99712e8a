/* SOCKS5 (RFC 1928, 1929) for outgoing connections: manual 59.2. */
#include <errno.h>
#include <string.h>

#include "base/arena.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/tod.h"
#include "smtp/client.h"

enum {
    PROXIES_MAX = 32,
    REPLY_MAX = 300,
    VERSION = 5,
    AUTH_NONE = 0,
    AUTH_NAME = 2,
    NO_AUTH = 0xff
};

struct proxy {
    const char *address;
    long port, weight, priority, timeout;
    bool named;
    const char *name, *password;
};

static bool read_option(struct proxy *p, const char *word)
{
    const char *value = strchr(word, '=');

    if (value == NULL)
        return false;
    value++;
    if (cstr_starts(word, "auth=")) {
        p->named = strcmp(value, "name") == 0;
        return p->named || strcmp(value, "none") == 0;
    }
    if (cstr_starts(word, "name=")) {
        p->name = value;
        return strlen(value) < 256;
    }
    if (cstr_starts(word, "pass=")) {
        p->password = value;
        return strlen(value) < 256;
    }
    if (cstr_starts(word, "port="))
        return cstr_to_long(value, &p->port) && p->port > 0 && p->port < 65536;
    if (cstr_starts(word, "tmo="))
        return (p->timeout = tod_interval_parse(value)) > 0;
    if (cstr_starts(word, "pri="))
        return cstr_to_long(value, &p->priority);
    return cstr_starts(word, "weight=") && cstr_to_long(value, &p->weight) &&
           p->weight > 0;
}

static bool read_proxy(struct arena *a, const char *item, struct proxy *p,
                       struct err *err)
{
    struct list_iter it = list_begin(item, ' ');
    struct ip ip;

    *p = (struct proxy){
        .port = 1080, .weight = 1, .priority = 1, .timeout = 5, .name = "", .password = ""
    };
    p->address = list_next(&it, a);
    if (p->address == NULL || !ip_parse(p->address, &ip))
        return err_set(err, a, "bad SOCKS proxy \"%s\": an IP address is wanted", item);
    for (const char *word; (word = list_next(&it, a)) != NULL;)
        if (*word != '\0' && !read_option(p, word))
            return err_set(err, a, "bad SOCKS proxy option \"%s\"", word);
    return true;
}

/* Smallest priority number first; within one, by weight. */
static size_t pick(const struct proxy *p, const bool *tried, size_t n)
{
    long best = 0, sum = 0;
    size_t found = n;

    for (size_t i = 0; i < n; i++)
        if (!tried[i] && (found == n || p[i].priority < best)) {
            best = p[i].priority;
            found = i;
        }
    for (size_t i = 0; i < n; i++)
        if (!tried[i] && p[i].priority == best)
            sum += p[i].weight;
    long aim = found < n ? (long)random_below((uint32_t)sum) : 0;

    for (size_t i = 0; i < n; i++)
        if (!tried[i] && p[i].priority == best && (aim -= p[i].weight) < 0)
            return i;
    return found;
}

static bool read_exact(struct client *c, unsigned char *p, size_t n, int64_t deadline)
{
    for (size_t have = 0; have < n;) {
        int ready = fd_wait_read(c->fd, deadline);
        ssize_t got = ready > 0 ? fd_read(c->fd, p + have, n - have) : -1;

        if (got <= 0) {
            c->sys_errno = ready == 0 ? ETIMEDOUT : got == 0 ? ECONNRESET : errno;
            return false;
        }
        have += (size_t)got;
    }
    return true;
}

static bool greet(struct client *c, const struct proxy *p, int64_t deadline)
{
    const unsigned char hello[] = { VERSION, 1, p->named ? AUTH_NAME : AUTH_NONE };
    unsigned char reply[2];

    if (!fd_write_all(c->fd, hello, sizeof(hello)) ||
        !read_exact(c, reply, 2, deadline) || reply[0] != VERSION ||
        reply[1] == NO_AUTH || reply[1] != hello[2])
        return false;
    if (!p->named)
        return true;
    struct buf b = buf_init(c->arena, 1024);

    buf_add_char(&b, 1);
    buf_add_char(&b, (char)strlen(p->name));
    buf_add_cstr(&b, p->name);
    buf_add_char(&b, (char)strlen(p->password));
    buf_add_cstr(&b, p->password);
    return fd_write_all(c->fd, b.p, b.len) && read_exact(c, reply, 2, deadline) &&
           reply[1] == 0;
}

static const char *const refusals[] = {
    "",
    "general SOCKS server failure",
    "connection not allowed by ruleset",
    "Network unreachable",
    "Host unreachable",
    "Connection refused",
    "TTL expired",
    "Command not supported",
    "Address type not supported",
};

static bool request(struct client *c, const struct client_target *t, int64_t deadline,
                    struct err *err)
{
    unsigned char q[22] = { VERSION, 1, 0 }, reply[REPLY_MAX];
    struct ip ip;

    if (!ip_parse(t->address, &ip))
        return false;
    size_t size = ip.family == 4 ? 4 : 16;

    q[3] = ip.family == 4 ? 1 : 4;
    memcpy(q + 4, ip.bytes, size);
    q[4 + size] = (unsigned char)(t->port >> 8);
    q[5 + size] = (unsigned char)t->port;
    if (!fd_write_all(c->fd, q, 6 + size) || !read_exact(c, reply, 5, deadline) ||
        reply[0] != VERSION)
        return false;
    if (reply[1] != 0) {
        err_set(err, c->arena, "SOCKS proxy: %s",
                reply[1] < ARRAY_LEN(refusals) ? refusals[reply[1]] : "unknown error");
        c->sys_errno = reply[1] == 5 ? ECONNREFUSED : EHOSTUNREACH;
        return false;
    }
    size_t rest = reply[3] == 1   ? 4 + 2 - 1
                  : reply[3] == 4 ? 16 + 2 - 1
                                  : (size_t)reply[4] + 2;

    return read_exact(c, reply + 5, rest, deadline);
}

static bool try_proxy(struct client *c, const struct proxy *p,
                      const struct client_target *t, struct err *err)
{
    struct client_target to = *t;
    int64_t deadline = tod_monotonic_ms() + p->timeout * 1000;

    to.address = p->address;
    to.port = (int)p->port;
    to.socks = NULL;
    if (to.deadline_ms < 0 || deadline < to.deadline_ms)
        to.deadline_ms = deadline;
    if (!client_connect(c, &to, err))
        return false;
    (void)fd_set_nonblock(c->fd, false);
    c->sys_errno = EPROTO;
    if (greet(c, p, deadline) && request(c, t, deadline, err)) {
        c->sys_errno = 0;
        (void)fd_set_nonblock(c->fd, true);
        return true;
    }
    int saved = c->sys_errno;

    client_close(c);
    c->sys_errno = saved;
    return false;
}

bool client_socks(struct client *c, const struct client_target *t, struct err *err)
{
    struct proxy proxies[PROXIES_MAX];
    bool tried[PROXIES_MAX] = { false };
    struct list_iter it = list_begin(t->socks, ':');
    size_t n = 0;

    for (const char *item; n < PROXIES_MAX && (item = list_next(&it, c->arena)) != NULL;)
        if (*item != '\0' && !read_proxy(c->arena, item, &proxies[n++], err)) {
            c->sys_errno = EINVAL;
            return false;
        }
    c->sys_errno = EINVAL;
    for (size_t left = n; left > 0; left--) {
        size_t i = pick(proxies, tried, n);

        tried[i] = true;
        if (try_proxy(c, &proxies[i], t, err))
            return true;
    }
    return false;
}
