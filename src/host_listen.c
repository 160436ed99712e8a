#include "host.h"

#include <netdb.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "exim.h"

enum { LISTEN_MAX = 1024, PORTS_MAX = 128 };

struct listening {
    struct exim *exim;
    struct arena *arena;
    struct listen_address *out;
    size_t count;
    uint16_t ports[PORTS_MAX]; /* of items without one */
    size_t port_count;
    uint16_t tls_ports[PORTS_MAX];
    size_t tls_count;
};

/* Names that may be missing from /etc/services (manual, option port). */
static const struct {
    const char *name;
    uint16_t port;
} services[] = {
    { "smtp", 25 }, { "smtps", 465 }, { "submissions", 465 }, { "ssmtp", 465 }, { "submission", 587 },
    { "lmtp", 24 },
};

uint16_t host_port_parse(const char *text)
{
    long n;

    if (is_digit(*text))
        return cstr_to_long(text, &n) && n > 0 && n < 65536 ? (uint16_t)n : 0;
    const struct servent *s = getservbyname(text, "tcp");

    if (s != NULL)
        return (uint16_t)(((unsigned)s->s_port & 0xff) << 8 | ((unsigned)s->s_port >> 8 & 0xff));
    for (size_t i = 0; i < ARRAY_LEN(services); i++)
        if (strcmp(services[i].name, text) == 0)
            return services[i].port;
    return 0;
}

static bool read_ports(struct arena *a, const char *list, uint16_t *ports, size_t *count, struct err *err)
{
    struct list_iter it = list_begin(list, ':');

    *count = 0;
    for (const char *item; (item = list_next(&it, a)) != NULL;) {
        uint16_t port = host_port_parse(item);

        if (port == 0)
            return err_set(err, a, "TCP port \"%s\" not found", item);
        if (*count == PORTS_MAX)
            return err_set(err, a, "too many ports in \"%s\"", list);
        ports[(*count)++] = port;
    }
    return true;
}

/* "1.2.3.4", "1.2.3.4.25", "[::1]:25", "::1.25". port 0: none given. */
static bool read_address(struct arena *a, const char *item, struct ip *ip, uint16_t *port)
{
    const char *end;
    const char *number = NULL;

    *port = 0;
    if (*item == '[') {
        end = strchr(item, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':' && end[1] != '.'))
            return false;
        if (end[1] != '\0')
            number = end + 2;
        item++;
    } else {
        end = item + strlen(item);
        if (!ip_parse(item, ip)) {
            end = strrchr(item, '.');
            if (end == NULL)
                return false;
            number = end + 1;
        }
    }
    if (!ip_parse(arena_strndup(a, item, (size_t)(end - item)), ip))
        return false;
    return number == NULL || (is_digit(*number) && (*port = host_port_parse(number)) != 0);
}

static bool is_tls(const struct listening *l, uint16_t port)
{
    for (size_t i = 0; i < l->tls_count; i++)
        if (l->tls_ports[i] == port)
            return true;
    return false;
}

static bool add(struct listening *l, const struct ip *ip, uint16_t port, struct err *err)
{
    for (size_t i = 0; i < l->count; i++)
        if (ip_eq(&l->out[i].ip, ip) && l->out[i].port == port)
            return true;
    if (l->count == LISTEN_MAX)
        return err_set(err, l->arena, "too many listening addresses");
    l->out[l->count++] = (struct listen_address){ *ip, port, is_tls(l, port) };
    return true;
}

static bool add_interfaces(struct listening *l, const char *list, struct err *err)
{
    struct list_iter it = list_begin(list, ':');
    struct ip ip;
    uint16_t port;

    for (const char *item; (item = list_next(&it, l->arena)) != NULL;) {
        if (!read_address(l->arena, item, &ip, &port))
            return err_set(err, l->arena, "unable to parse \"%s\" as an IP address in local_interfaces",
                           item);
        if (ip.family == 6 && l->exim->config->main.disable_ipv6)
            continue;
        for (size_t i = 0; i < (port != 0 ? 1 : l->port_count); i++)
            if (!add(l, &ip, port != 0 ? port : l->ports[i], err))
                return false;
    }
    return true;
}

/* -oX: items with dots or colons replace local_interfaces, the others daemon_smtp_ports. */
static bool split_oX(struct arena *a, const char *oX, const char **interfaces, const char **ports)
{
    struct list_iter it = list_begin(oX, ':');
    struct buf addresses = buf_init(a, 65536), numbers = buf_init(a, 65536);
    bool first_address = false, first_number = false;

    /* A list with a separator that neither kind of item can contain. */
    buf_add_cstr(&addresses, "<;");
    buf_add_cstr(&numbers, "<;");
    for (const char *item; (item = list_next(&it, a)) != NULL;) {
        bool address = strpbrk(item, ".:") != NULL;

        buf_add_char(address ? &addresses : &numbers, ';');
        buf_add_cstr(address ? &addresses : &numbers, item);
        *(address ? &first_address : &first_number) = true;
    }
    if (first_address)
        *interfaces = arena_printf(a, "<; %s", buf_cstr(&addresses) + 3);
    if (first_number)
        *ports = arena_printf(a, "<; %s", buf_cstr(&numbers) + 3);
    return !addresses.full && !numbers.full;
}

bool host_listen_addresses(struct exim *e, struct arena *a, const char *oX, struct listen_address **out,
                           size_t *count, struct err *err)
{
    const struct main_options *m = &e->config->main;
    const char *interfaces = m->local_interfaces != NULL ? m->local_interfaces : "<; ::0 ; 0.0.0.0";
    const char *ports = m->daemon_smtp_ports != NULL ? m->daemon_smtp_ports : "smtp";
    struct listening l = { .exim = e, .arena = a };

    l.out = arena_new_array(a, struct listen_address, LISTEN_MAX);
    if (oX != NULL && !split_oX(a, oX, &interfaces, &ports))
        return err_set(err, a, "the value of -oX is too long");
    if (m->tls_on_connect_ports != NULL &&
        !read_ports(a, m->tls_on_connect_ports, l.tls_ports, &l.tls_count, err))
        return false;
    if (!read_ports(a, ports, l.ports, &l.port_count, err) || !add_interfaces(&l, interfaces, err))
        return false;
    if (l.count == 0)
        return err_set(err, a, "no interfaces to listen on");
    *out = l.out;
    *count = l.count;
    return true;
}
