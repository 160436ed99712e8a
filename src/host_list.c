#include "host.h"

#include <string.h>

#include "base/arena.h"
#include "base/ctype.h"
#include "base/list.h"
#include "base/str.h"
#include "host_int.h"

enum { HOSTS_MAX = 4096 };

/* "[10.1.1.1]:25", "name:25", "name/MX:25", "::1": the name, and the port if there is
 * one. */
static void parse_item(struct arena *a, const char *item, struct host *h)
{
    const char *colon = strrchr(item, ':');
    const char *end = item + strlen(item);
    struct ip ip;
    long port;

    h->mx = MX_NONE;
    h->port = HOST_PORT_DEFAULT;
    if (!ip_parse(item, &ip) && colon != NULL && cstr_to_long(colon + 1, &port) &&
        port > 0 && port < 65536) {
        h->port = (int)port;
        end = colon;
    }
    size_t len = (size_t)(end - item);

    if (len >= 2 && item[0] == '[' && item[len - 1] == ']') {
        item++;
        len -= 2;
    }
    if (len > 3 && cstr_ieq(arena_strndup(a, item + len - 3, 3), "/mx")) {
        h->mx_plus = true;
        len -= 3;
    }
    h->name = h->certname = arena_strndup(a, item, len);
    if (ip_parse(h->name, &ip))
        h->address = h->name;
}

static struct host *link_all(struct host *hosts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hosts[i].next = i + 1 < n ? &hosts[i + 1] : NULL;
    return n > 0 ? hosts : NULL;
}

struct host *host_list_parse(struct arena *a, const char *text, bool randomize)
{
    struct list_iter it = list_begin(text, ':');
    int items = list_count(text, ':', a);
    size_t cap = items > HOSTS_MAX ? HOSTS_MAX
                 : items < 0       ? 0
                                   : (size_t)items,
           n = 0, group = 0;
    struct host *hosts = arena_new_array(a, struct host, cap + 1);

    for (const char *item; (item = list_next(&it, a)) != NULL && n < cap;) {
        if (*item == '\0')
            continue;
        if (strcmp(item, "+") == 0) {
            if (randomize)
                host_shuffle(hosts + group, n - group, sizeof(*hosts));
            group = n;
            continue;
        }
        parse_item(a, item, &hosts[n++]);
    }
    if (randomize)
        host_shuffle(hosts + group, n - group, sizeof(*hosts));
    return link_all(hosts, n);
}

struct host *host_list_copy(struct arena *a, const struct host *list)
{
    struct host *first = NULL, **tail = &first;

    for (; list != NULL; list = list->next) {
        struct host *h = arena_new_obj(a, struct host);

        *h = *list;
        h->next = NULL;
        *tail = h;
        tail = &h->next;
    }
    return first;
}

struct host *host_list_shuffle(struct arena *a, struct host *list)
{
    size_t n = 0;

    for (const struct host *h = list; h != NULL; h = h->next) {
        if (h->mx >= 0)
            return list;
        n++;
    }
    struct host **v = arena_new_array(a, struct host *, n + 1);

    n = 0;
    for (struct host *h = list; h != NULL; h = h->next)
        v[n++] = h;
    host_shuffle(v, n, sizeof(struct host *));
    for (size_t i = 0; i < n; i++)
        v[i]->next = v[i + 1];
    return n > 0 ? v[0] : NULL;
}
