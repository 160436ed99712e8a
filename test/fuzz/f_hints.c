/* link: base hints hintsdb */
/* A record is refused, or is the same after it was written and read again. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "hintsdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void retry(struct arena *a, struct str raw)
{
    struct hints_retry r, again;

    if (!hints_retry_decode(a, raw, &r))
        return;
    must(hints_retry_decode(a, hints_retry_encode(a, &r), &again));
    must(again.next_try == r.next_try && again.expired == r.expired && again.basic_errno == r.basic_errno &&
         strcmp(again.text, r.text) == 0);
}

static void wait_record(struct arena *a, struct str raw)
{
    struct hints_wait w, again;

    if (!hints_wait_decode(a, raw, &w))
        return;
    for (int i = 0; i < w.count; i++)
        if (strlen(w.ids[i]) != 16)
            return; /* NULs: no ids of ours */
    must(hints_wait_decode(a, hints_wait_encode(a, &w), &again));
    must(again.count == w.count && again.sequence == w.sequence);
}

static void callout(struct arena *a, struct str raw, bool domain)
{
    struct hints_callout c, again;

    if (!hints_callout_decode(raw, domain, &c))
        return;
    must(hints_callout_decode(hints_callout_encode(a, &c), domain, &again));
    must(again.result == c.result && again.random_stamp == c.random_stamp);
}

static void ratelimit(struct arena *a, struct str raw, bool unique)
{
    struct hints_ratelimit r, again;

    if (!hints_ratelimit_decode(a, raw, unique, &r))
        return;
    must(hints_ratelimit_decode(a, hints_ratelimit_encode(a, &r, unique), unique, &again));
    must(again.rate == r.rate && again.bloom_size == r.bloom_size);
    must(!unique || memcmp(again.bloom, r.bloom, r.bloom_size) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("input");
    char *copy = malloc(size == 0 ? 1 : size); /* exact, for ASan */
    struct str raw = { copy, size };
    struct hints_serial s;

    memcpy(copy, data, size);
    retry(a, raw);
    wait_record(a, raw);
    callout(a, raw, true);
    callout(a, raw, false);
    ratelimit(a, raw, true);
    ratelimit(a, raw, false);
    (void)hints_serial_decode(raw, &s);
    free(copy);
    arena_destroy(&a);
    return 0;
}
