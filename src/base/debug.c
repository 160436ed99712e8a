#include "base/debug.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/table.h"
#include "base/tod.h"

uint32_t debug_mask;

struct category {
    const char *name;
    uint32_t bits;
};

#define EVERYTHING ((uint32_t)0x7fffffff)
#define OFF_BY_DEFAULT                                                                             \
    ((uint32_t)(D_EXPAND | D_FILTER | D_INTERFACE | D_LOAD | D_MEMORY | D_PID | D_RESOLVER |       \
                D_TIMESTAMP))

/* clang-format off */
static const struct category categories[] = {
    { "acl",          D_ACL },
    { "all",          EVERYTHING },
    { "auth",         D_AUTH },
    { "deliver",      D_DELIVER },
    { "dns",          D_DNS },
    { "dnsbl",        D_DNSBL },
    { "exec",         D_EXEC },
    { "expand",       D_EXPAND },
    { "filter",       D_FILTER },
    { "hints_lookup", D_HINTS },
    { "host_lookup",  D_HOST_LOOKUP },
    { "ident",        D_IDENT },
    { "interface",    D_INTERFACE },
    { "lists",        D_LISTS },
    { "load",         D_LOAD },
    { "local_scan",   D_LOCAL_SCAN },
    { "lookup",       D_LOOKUP },
    { "memory",       D_MEMORY },
    { "pid",          D_PID },
    { "process_info", D_PROCESS_INFO },
    { "queue_run",    D_QUEUE_RUN },
    { "receive",      D_RECEIVE },
    { "resolver",     D_RESOLVER },
    { "retry",        D_RETRY },
    { "rewrite",      D_REWRITE },
    { "route",        D_ROUTE },
    { "timestamp",    D_TIMESTAMP },
    { "tls",          D_TLS },
    { "transport",    D_TRANSPORT },
    { "uid",          D_UID },
    { "verify",       D_VERIFY },
};
/* clang-format on */

static size_t prefix(char *out, size_t room)
{
    size_t n = 0;

    if ((debug_mask & D_TIMESTAMP) != 0) {
        struct timespec now = tod_now();
        struct tm tm;

        (void)localtime_r(&now.tv_sec, &tm);
        n = strftime(out, room, "%H:%M:%S ", &tm);
    }
    if ((debug_mask & D_PID) != 0)
        n += (size_t)snprintf(out + n, room - n, "%5d ", (int)getpid());
    if ((debug_mask & D_TESTING) != 0)
        n += (size_t)snprintf(out + n, room - n, ">>> ");
    return n;
}

void debug_printf(const char *fmt, ...)
{
    static bool inside_line; /* the prefix stands before whole lines only */
    struct arena *a = arena_new("debug line");
    char stamp[64];
    size_t n = inside_line ? 0 : prefix(stamp, sizeof(stamp));
    va_list ap;

    va_start(ap, fmt);
    const char *text = arena_vprintf(a, fmt, ap);
    va_end(ap);
    size_t len = strlen(text);
    if (len > 0) {
        const char *line = arena_printf(a, "%.*s%s", (int)n, stamp, text);
        bool written = fd_write_all(STDERR_FILENO, line, n + len);

        (void)written; /* nobody left to tell */
        inside_line = text[len - 1] != '\n';
    }
    arena_destroy(&a);
}

bool debug_parse(const char *spec, uint32_t *mask, struct err *err, struct arena *a)
{
    uint32_t bits = EVERYTHING & ~OFF_BY_DEFAULT;

    for (const char *s = spec; *s != '\0';) {
        bool add = *s == '+';

        if (*s != '+' && *s != '-')
            return err_set(err, a, "malformed debug_selector setting: + or - expected but found \"%s\"",
                           s);
        size_t len = strcspn(s + 1, "+-");
        const char *name = arena_strndup(a, s + 1, len);
        const struct category *c = TABLE_FIND(categories, name);
        if (c == NULL)
            return err_set(err, a, "unknown debug_selector setting: %c%s", *s, name);
        if (!add)
            bits &= ~c->bits;
        else
            bits |= c->bits == EVERYTHING ? EVERYTHING & ~(uint32_t)D_MEMORY : c->bits;
        s += 1 + len;
    }
    *mask = bits | D_V;
    return true;
}
