#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/ctype.h"
#include "base/log.h"
#include "base/tod.h"
#include "config/config.h"
#include "daemon/acceptor_int.h"
#include "exim.h"
#include "expand.h"
#include "session.h"

enum { LOAD_MS = 1000 };

static const char too_many[] = "421 Too many concurrent SMTP connections; please try again later.\r\n";
static const char too_many_of_host[] =
    "421 Too many concurrent SMTP connections from this IP address; please try again later.\r\n";
static const char too_much_load[] = "421 Too much load; please try again later.\r\n";
static const char wrong_setting[] = "421 Local configuration error; please try again later.\r\n";

void acceptor_refuse(struct acceptor *ac, int fd, const char *text)
{
    ssize_t sent = send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)ac;
    (void)sent; /* a new connection has room for it; if not, nobody is there to read */
    (void)fd_close(fd);
}

const char *acceptor_whofrom(struct acceptor *ac, const struct arrival *in)
{
    const struct log *log = ac->exim->log;
    const struct listen_address *at = &ac->daemon->listeners[in->listener].at;
    char peer[IP_TEXT_MAX], local[IP_TEXT_MAX];
    const char *port = "", *interface = "";

    if (log_wants(log, L_incoming_port))
        port = arena_printf(ac->scratch, ":%d", in->port);
    if (log_wants(log, L_incoming_interface))
        interface = arena_printf(ac->scratch, " I=[%s]:%d", ip_print(&at->ip, local), at->port);
    return arena_printf(ac->scratch, "[%s]%s%s", ip_print(&in->peer, peer), port, interface);
}

static bool refuse(struct acceptor *ac, const struct arrival *in, const char *reply, const char *why)
{
    if (log_wants(ac->exim->log, L_connection_reject))
        log_write(ac->exim->log, LOG_MAIN | LOG_BY(connection_reject), NULL,
                  "Connection from %s refused: %s", acceptor_whofrom(ac, in), why);
    acceptor_refuse(ac, in->fd, reply);
    return false;
}

static double load_average(struct acceptor *ac)
{
    int64_t now = tod_monotonic_ms();

    if (ac->load_checked == 0 || now - ac->load_checked >= LOAD_MS) {
        ac->load_checked = now;
        if (getloadavg(&ac->load, 1) != 1)
            ac->load = 0;
    }
    return ac->load;
}

enum limit { LIMIT_NONE, LIMIT_SET, LIMIT_BROKEN };

/* A number of connections for one host; 0 and an empty string: no limit. */
struct limit_option {
    const char *name;
    const struct expr *value;
};

static enum limit expand_limit(struct acceptor *ac, const struct limit_option *o, const struct arrival *in,
                               const struct ip *host, long *max)
{
    char address[IP_TEXT_MAX];
    struct session s = { .arena = ac->scratch, .exim = ac->exim, .host_port = in->port,
                         .host_address = ip_print(host, address) };
    struct expand_ctx ctx;
    const char *text;

    if (o->value == NULL)
        return LIMIT_NONE;
    expand_ctx_init(&ctx, ac->exim, ac->scratch);
    ctx.session = &s;
    enum expand_rc rc = expand(&ctx, o->value, &text);
    if (rc == EXPAND_FORCED || (rc == EXPAND_OK && *text == '\0'))
        return LIMIT_NONE;
    if (rc == EXPAND_OK && cstr_to_long(cstr_skip_space(text), max) && *max >= 0)
        return *max > 0 ? LIMIT_SET : LIMIT_NONE;
    if (rc == EXPAND_OK)
        log_write(ac->exim->log, LOG_MAIN | LOG_PANIC, NULL, "expansion of %s for %s contains non-digit: %s",
                  o->name, acceptor_whofrom(ac, in), text);
    else
        log_write(ac->exim->log, LOG_MAIN | LOG_PANIC, NULL, "expansion of %s failed for %s: %s", o->name,
                  acceptor_whofrom(ac, in), ctx.err.msg);
    return LIMIT_BROKEN;
}

bool acceptor_admits(struct acceptor *ac, const struct arrival *in)
{
    const struct main_options *o = &ac->exim->config->main;
    long max;

    acceptor_hear_sessions(ac);
    if (o->smtp_accept_max > 0 && ac->busy + ac->pending.count >= (size_t)o->smtp_accept_max)
        return refuse(ac, in, too_many, "too many connections");
    if (o->smtp_load_reserve >= 0 && o->smtp_reserve_hosts == NULL &&
        load_average(ac) * 1000 > o->smtp_load_reserve)
        return refuse(ac, in, too_much_load, arena_printf(ac->scratch, "load average = %.2f", ac->load));
    const struct limit_option per_host = { "smtp_accept_max_per_host", o->smtp_accept_max_per_host };
    switch (expand_limit(ac, &per_host, in, &in->peer, &max)) {
    case LIMIT_BROKEN: /* logged: the connection gets what a broken setting costs in Exim */
        acceptor_refuse(ac, in->fd, wrong_setting);
        return false;
    case LIMIT_SET:
        if (acceptor_count(ac, &in->peer, false) >= (size_t)max)
            return refuse(ac, in, too_many_of_host, "too many connections from that IP address");
        break;
    case LIMIT_NONE:
        break;
    }
    return true;
}

bool acceptor_admits_client(struct acceptor *ac, const struct arrival *in, const struct ip *client)
{
    const struct limit_option per_client = {
        "proxy_accept_max_per_client", ac->exim->config->main.proxy_accept_max_per_client
    };
    char text[IP_TEXT_MAX];
    long max;

    acceptor_hear_sessions(ac);
    switch (expand_limit(ac, &per_client, in, client, &max)) {
    case LIMIT_BROKEN:
        acceptor_refuse(ac, in->fd, wrong_setting);
        return false;
    case LIMIT_SET:
        if (acceptor_count(ac, client, true) >= (size_t)max)
            return refuse(ac, in, too_many_of_host,
                          arena_printf(ac->scratch, "too many connections of client [%s]",
                                       ip_print(client, text)));
        break;
    case LIMIT_NONE:
        break;
    }
    return true;
}
