#include "routers/iplookup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "address.h"
#include "base/arena.h"
#include "base/attr.h"
#include "base/ctype.h"
#include "base/debug.h"
#include "base/fd.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"
#include "exim.h"
#include "expand.h"
#include "host.h"
#include "parse.h"
#include "regex.h"
#include "route_int.h"

enum { RESPONSE_MAX = 2048 };

struct iplookup {
    struct router base;
    const char *hosts;
    bool optional;
    long port;
    const char *protocol;
    const struct expr *query, *reroute;
    const char *response_pattern;
    long timeout;

    bool tcp, default_query;
    const struct regex *pattern;
};

/* clang-format off */
#define T struct iplookup
static const struct option options[] = {
    OPTION_STRING(T, hosts, NULL),
    OPTION_BOOL(T, optional, false),
    OPTION_INT(T, port, 0),
    OPTION_STRING(T, protocol, "udp"),
    OPTION_EXPAND(T, query, NULL),
    OPTION_EXPAND(T, reroute, NULL),
    OPTION_STRING(T, response_pattern, NULL),
    OPTION_TIME(T, timeout, 5),
};
/* clang-format on */

static bool iplookup_check(struct router *r, const struct config *cfg, struct arena *a, struct err *err)
{
    struct iplookup *l = (struct iplookup *)r;

    (void)cfg;
    if (l->port <= 0 || l->port > 65535)
        return err_set(err, a, "a port must be specified");
    if (l->hosts == NULL)
        return err_set(err, a, "a host list must be specified");
    l->tcp = cstr_ieq(l->protocol, "tcp");
    if (!l->tcp && !cstr_ieq(l->protocol, "udp"))
        return err_set(err, a, "protocol not specified as udp or tcp");
    l->default_query = l->query == NULL;
    if (l->default_query)
        l->query = expr_compile(a, "$local_part@$domain $local_part@$domain", err);
    if (l->response_pattern != NULL)
        l->pattern = regex_compile(a, l->response_pattern, 0, err);
    return l->query != NULL && (l->response_pattern == NULL || l->pattern != NULL);
}

/* ---- asking ---- */

static int open_socket(const struct iplookup *l, const struct ip *ip, int64_t deadline)
{
    struct sockaddr_storage sa;
    socklen_t len = ip_to_sockaddr(ip, (uint16_t)l->port, &sa), n = sizeof(int);
    int why = 0;
    int fd = socket(sa.ss_family, (l->tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&sa, len) == 0)
        return fd;
    if (errno == EINPROGRESS && fd_wait_write(fd, deadline) == 1 &&
        getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &n) == 0 && why == 0)
        return fd;
    fd_close(fd);
    return -1;
}

/* The answer, without white space at its end; NULL: none in time. */
static const char *ask_address(const struct iplookup *l, struct arena *a, const struct ip *ip, const char *query)
{
    int64_t deadline = tod_monotonic_ms() + l->timeout * 1000;
    char buf[RESPONSE_MAX];
    ssize_t n = -1;
    int fd = open_socket(l, ip, deadline);

    if (fd < 0)
        return NULL;
    if (send(fd, query, strlen(query), MSG_NOSIGNAL) == (ssize_t)strlen(query) && fd_wait_read(fd, deadline) == 1)
        n = recv(fd, buf, sizeof(buf), 0);
    fd_close(fd);
    if (n <= 0 || memchr(buf, '\0', (size_t)n) != NULL)
        return NULL;
    while (n > 0 && is_space(buf[n - 1]))
        n--;
    return arena_strndup(a, buf, (size_t)n);
}

static const char *ask_all(const struct iplookup *l, struct route_call *call, const char *query)
{
    struct arena *a = call->ctx->arena;
    struct list_iter it = list_begin(l->hosts, ':');

    for (const char *name; (name = list_next(&it, a)) != NULL;) {
        struct ip_list ips;
        struct err err = { 0 };
        struct ip one;
        if (ip_parse(name, &one))
            ips = (struct ip_list){ &one, 1 };
        else if (host_addresses(call->ctx->exim, a, name, &ips, &err) != RC_OK)
            continue;
        for (size_t i = 0; i < ips.count; i++) {
            const char *answer = ask_address(l, a, &ips.ips[i], query);
            DEBUG(D_ROUTE) debug_printf("%s answered \"%s\"\n", name, answer == NULL ? "(nothing)" : answer);
            if (answer != NULL)
                return answer;
        }
    }
    return NULL;
}

/* ---- the answer ---- */

/* Is it an answer to our question? Sets $0, $1, ... */
static bool is_ours(const struct iplookup *l, struct route_call *call, const char *query, const char *answer)
{
    struct captures *c = &call->ctx->captures;
    const char *space = strpbrk(answer, " \t\r\n"), *asked = strchr(query, ' ');

    *c = (struct captures){ .count = 1, .v = { answer } };
    if (l->pattern != NULL) {
        if (regex_match(l->pattern, call->ctx->arena, str_from(answer), c, NULL) != RC_OK)
            return false;
        c->v[0] = answer;
        return true;
    }
    if (!l->default_query)
        return true;
    return space != NULL && asked != NULL && strcmp(cstr_skip_space(space), asked + 1) == 0;
}

static enum route_rc reroute(const struct iplookup *l, struct route_call *call, const char *answer)
{
    struct arena *a = call->ctx->arena;
    const char *text = arena_strndup(a, answer, strcspn(answer, " \t\r\n"));
    struct parsed_address p;

    if (l->reroute != NULL && expand(call->ctx, l->reroute, &text) != EXPAND_OK)
        return route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "%s router: failed to expand %s: %s",
                            l->base.name, l->reroute->text, call->ctx->err.msg);
    if (!parse_address(a, text, 0, &p) || p.domain == NULL)
        return route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5",
                            "%s router: reroute string %s is not of the form user@domain", l->base.name, text);
    struct address *addr = call->addr, *child = address_child(a, addr, p.address);
    child->start_router = addr->router->next;
    child->dsn_flags = addr->dsn_flags;
    child->dsn_orcpt = addr->dsn_orcpt;
    child->dsn_null_from_list = addr->dsn_null_from_list;
    (void)address_split(a, child);
    if (!route_get_errors_to(call, addr, &child->errors_to) || !route_munge_headers(call, child))
        return ROUTE_DEFER;
    child->next = call->results->children;
    call->results->children = child;
    return ROUTE_OK;
}

static enum route_rc iplookup_route(const struct router *r, struct route_call *call)
{
    const struct iplookup *l = (const struct iplookup *)r;
    const char *query;

    if (expand(call->ctx, l->query, &query) != EXPAND_OK)
        return route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.3.5", "%s router: failed to expand %s: %s",
                            r->name, l->query->text, call->ctx->err.msg);
    const char *answer = ask_all(l, call, query);
    if (answer == NULL && l->optional)
        return ROUTE_PASS;
    if (answer == NULL)
        return route_result(call, ROUTE_DEFER, ERR_UNKNOWNERROR, "4.4.1", "%s router: failed to get anything",
                            r->name);
    return is_ours(l, call, query, answer) ? reroute(l, call, answer) : ROUTE_DECLINE;
}

const struct router_driver router_iplookup = {
    .name = "iplookup",
    .instance_size = sizeof(struct iplookup),
    .options = options,
    .option_count = ARRAY_LEN(options),
    .flags = ROUTER_NO_TRANSPORT,
    .check = iplookup_check,
    .route = iplookup_route,
};
