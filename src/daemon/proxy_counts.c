#include "daemon/proxy_counts.h"

#include <sys/mman.h>

#include "base/buf.h"
#include "base/tod.h"

struct proxy_counts {
    struct timespec since;
    uint64_t passed[3]; /* by version */
    uint64_t local;
    uint64_t over_limit;
    uint64_t failed[PROXY_REASON_COUNT];
};

struct proxy_counts *proxy_counts_new(void)
{
    struct proxy_counts *c =
        mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (c == MAP_FAILED)
        return NULL;
    c->since = tod_now();
    return c;
}

/* Acceptors of an earlier configuration may still count. */
static void add(uint64_t *n)
{
    (void)__atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

static uint64_t get(const uint64_t *n)
{
    return __atomic_load_n(n, __ATOMIC_RELAXED);
}

void proxy_counts_add(struct proxy_counts *c, const struct proxy_state *p)
{
    if (c == NULL)
        return;
    if (!p->ok)
        add(&c->failed[proxy_reason_of(p->failure)]);
    else if (p->header.kind == PROXY_KIND_INET)
        add(&c->passed[p->header.version == 1 ? 1 : 2]);
    else
        add(&c->local);
}

void proxy_counts_add_over_limit(struct proxy_counts *c)
{
    if (c != NULL)
        add(&c->over_limit);
}

static uint64_t failed(const struct proxy_counts *c)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < PROXY_REASON_COUNT; i++)
        sum += get(&c->failed[i]);
    return sum;
}

static void print_row(struct buf *out, uint64_t n, const char *text)
{
    buf_printf(out, "%10llu  %s\n", (unsigned long long)n, text);
}

void proxy_counts_print(const struct proxy_counts *c, struct buf *out)
{
    if (c == NULL)
        return;
    buf_printf(out, "PROXY headers since %s\n",
               tod_print(out->arena, TOD_FULL, c->since));
    print_row(out, get(&c->passed[1]), "accepted, version 1");
    print_row(out, get(&c->passed[2]), "accepted, version 2");
    print_row(out, get(&c->local), "accepted, without a client (health checks)");
    print_row(out, get(&c->over_limit),
              "of these refused by proxy_accept_max_per_client");
    print_row(out, failed(c), "failed");
    for (size_t i = 0; i < PROXY_REASON_COUNT; i++)
        if (get(&c->failed[i]) > 0)
            print_row(out, get(&c->failed[i]), proxy_reason_text((enum proxy_reason)i));
}

void proxy_counts_print_short(const struct proxy_counts *c, struct buf *out)
{
    const char *before = ": ";

    if (c == NULL)
        return;
    buf_printf(out, "PROXY so far: %llu passed, %llu local, %llu failed",
               (unsigned long long)(get(&c->passed[1]) + get(&c->passed[2])),
               (unsigned long long)get(&c->local), (unsigned long long)failed(c));
    for (size_t i = 0; i < PROXY_REASON_COUNT; i++) {
        uint64_t n = get(&c->failed[i]);

        if (n == 0)
            continue;
        buf_printf(out, "%s%llu %s", before, (unsigned long long)n,
                   proxy_reason_text((enum proxy_reason)i));
        before = ", ";
    }
}
