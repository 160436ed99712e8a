#include "acl/acl_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/ip.h"
#include "base/list.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/tod.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "session.h"

enum acl_result acl_modifier_continue(struct acl_run *r, const struct acl_item *c,
                                      const char *arg)
{
    (void)r;
    (void)c;
    (void)arg;
    return COND_TRUE;
}

/* ---- delay ---- */

bool acl_modifier_delay_check(struct arena *a, const char *arg, struct err *err)
{
    if (tod_interval_parse(arg) < 0)
        return err_set(
            err, a,
            "syntax error in argument for \"delay\" modifier: \"%s\" is not a time value",
            arg);
    return true;
}

/* Sleeps, but not past the wish of the daemon to stop. */
static void wait_seconds(long seconds)
{
    int64_t end = tod_monotonic_ms() + (int64_t)seconds * 1000;

    for (;;) {
        int64_t left = end - tod_monotonic_ms();

        if (left <= 0 || proc_got_term)
            return;
        int64_t step = left > 500 ? 500 : left;
        struct timespec t = { .tv_sec = 0, .tv_nsec = (long)step * 1000000 };
        (void)nanosleep(&t, NULL);
    }
}

enum acl_result acl_modifier_delay(struct acl_run *r, const struct acl_item *c,
                                   const char *arg)
{
    struct session *s = r->ctx->session;
    struct err err = { 0 };
    long seconds = tod_interval_parse(arg);

    (void)c;
    if (!acl_modifier_delay_check(r->ctx->arena, arg, &err))
        return acl_run_error(r, "%s", err.msg);
    if (seconds == 0)
        return COND_TRUE;
    if (r->ctx->exim->host_checking || (s != NULL && s->host_checking)) {
        fprintf(stderr,
                ">>> delay modifier requests %ld-second delay\n>>> delay skipped in -bh "
                "checking mode\n",
                seconds);
        return COND_TRUE;
    }
    if (s != NULL && s->flush != NULL && !s->delay_flush_off)
        s->flush(s);
    wait_seconds(seconds);
    return COND_TRUE;
}

/* ---- logs ---- */

/* Names up to the end of the list as destinations; the unknown one is given back. */
static const char *log_names(struct arena *a, const char *list, char sep, unsigned *dest)
{
    struct list_iter it = list_begin(list, sep);

    *dest = 0;
    for (const char *name; (name = list_next(&it, a)) != NULL;) {
        if (strcmp(name, "main") == 0)
            *dest |= LOG_MAIN;
        else if (strcmp(name, "reject") == 0)
            *dest |= LOG_REJECT;
        else if (strcmp(name, "panic") == 0)
            *dest |= LOG_PANIC;
        else
            return name;
    }
    return NULL;
}

enum acl_result acl_modifier_log_reject_target(struct acl_run *r,
                                               const struct acl_item *c, const char *arg)
{
    unsigned dest;
    const char *unknown = log_names(r->ctx->arena, arg, ':', &dest);

    (void)c;
    if (unknown != NULL)
        acl_run_log(r, LOG_MAIN | LOG_PANIC,
                    "unknown log name \"%s\" in \"log_reject_target\" in %s ACL", unknown,
                    acl_where_name(r->where));
    r->log_reject_target = dest;
    return COND_TRUE;
}

enum acl_result acl_modifier_logwrite(struct acl_run *r, const struct acl_item *c,
                                      const char *arg)
{
    unsigned dest = 0;
    const char *text = arg;

    (void)c;
    if (*arg == ':') {
        const char *end = strchr(arg + 1, ':');
        const char *names =
            end == NULL ? NULL
                        : arena_strndup(r->ctx->arena, arg + 1, (size_t)(end - arg - 1));

        if (names == NULL || log_names(r->ctx->arena, names, ',', &dest) != NULL)
            acl_run_log(r, LOG_MAIN | LOG_PANIC,
                        "unknown log name in \"%s\" in \"logwrite\" in %s ACL", arg,
                        acl_where_name(r->where));
        if (names == NULL)
            return COND_TRUE;
        text = cstr_skip_space(end + 1);
    }
    acl_run_log(r, dest == 0 ? LOG_MAIN : dest, "%s", text);
    return COND_TRUE;
}

/* ---- set ---- */

static void set_variable(struct arena *a, struct hash **vars, const char *name,
                         const char *value)
{
    if (*vars == NULL)
        *vars = hash_new(a, false);
    const char *copy = arena_strdup(a, value);
    if (hash_find(*vars, name) == NULL)
        name = arena_strdup(a, name);
    hash_put(*vars, name, unconst(copy));
}

enum acl_result acl_modifier_set(struct acl_run *r, const struct acl_item *c,
                                 const char *arg)
{
    struct session *s = r->ctx->session;
    struct message *m = r->ctx->message;
    const char *name = c->variable + strlen("acl_c");

    if (c->variable[4] == 'm' && m != NULL)
        set_variable(m->arena, &m->acl_m, name, arg);
    else if (c->variable[4] == 'm' && s != NULL)
        set_variable(s->arena, &s->acl_m, name, arg);
    else if (s != NULL)
        set_variable(s->arena, &s->acl_c, name, arg);
    else if (m != NULL)
        set_variable(m->arena, &m->acl_c, name, arg);
    return COND_TRUE;
}

/* ---- udpsend ---- */

static enum acl_result send_udp(struct acl_run *r, const struct ip *ip, long port,
                                const char *text)
{
    struct sockaddr_storage to;
    socklen_t len = ip_to_sockaddr(ip, (uint16_t)port, &to);
    int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ssize_t n =
        fd < 0 ? -1 : sendto(fd, text, strlen(text), 0, (struct sockaddr *)&to, len);
    int saved = errno;

    if (fd >= 0)
        (void)fd_close(fd);
    if (n < 0)
        return acl_run_defer(r, "\"udpsend\" modifier: failed to send: %s",
                             strerror(saved));
    if ((size_t)n < strlen(text))
        return acl_run_defer(r, "\"udpsend\" modifier: only part of the packet was sent");
    return COND_TRUE;
}

enum acl_result acl_modifier_udpsend(struct acl_run *r, const struct acl_item *c,
                                     const char *arg)
{
    struct arena *a = r->ctx->arena;
    struct list_iter it = list_begin(arg, ':');
    const char *host = list_next(&it, a), *port = list_next(&it, a),
               *text = cstr_skip_space(it.at);
    struct ip_list ips = { 0 };
    struct err err = { 0 };
    long number;
    struct ip ip;

    (void)c;
    if (host == NULL || *host == '\0')
        return acl_run_error(r, "missing destination host in \"udpsend\" modifier");
    if (port == NULL || *port == '\0')
        return acl_run_error(r, "missing destination port in \"udpsend\" modifier");
    if (*text == '\0')
        return acl_run_error(r, "missing datagram content in \"udpsend\" modifier");
    if (!cstr_to_long(port, &number) || number < 1 || number > 65535)
        return acl_run_error(r, "bad destination port in \"udpsend\" modifier");
    if (!ip_parse(host, &ip)) {
        if (host_addresses(r->ctx->exim, a, host, &ips, &err) != RC_OK || ips.count == 0)
            return acl_run_defer(r, "DNS lookup failed in \"udpsend\" modifier");
        ip = ips.ips[0];
    }
    return send_udp(r, &ip, number, text);
}
