#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/list.h"
#include "base/str.h"
#include "config/config.h"
#include "host.h"
#include "routers/manualroute.h"
#include "routers/queryprogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* route_list and route_data of any kind, their options, the hosts they name; and a program's answer. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    const struct config cfg = { 0 };
    const char *text = arena_strndup(a, (const char *)data, size);
    struct list_iter it = list_begin(text, ';');
    struct queryprogram_answer q;

    for (const char *item; (item = list_next(&it, a)) != NULL;) {
        struct manualroute_rule r;
        struct manualroute_options o = { 0 };
        const char *bad = NULL;

        manualroute_parse_rule(a, item, true, &r);
        if (strlen(r.pattern) + strlen(r.hosts) + strlen(r.options) > strlen(item))
            __builtin_trap();
        if (!manualroute_parse_options(a, &cfg, r.options, &o, &bad) && bad == NULL)
            __builtin_trap();
        for (const struct host *h = host_list_parse(a, r.hosts, false); h != NULL; h = h->next)
            if (h->port < 0 || h->port > 65535)
                __builtin_trap();
    }
    queryprogram_parse(a, text, &q);
    if (q.word == NULL || q.rest == NULL)
        __builtin_trap();
    arena_destroy(&a);
    return 0;
}
