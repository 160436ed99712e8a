/* link: base deliver/report header */
#include <stddef.h>
#include <stdint.h>

#include "address.h"
#include "base/arena.h"
#include "base/wire.h"
#include "config/config.h"
#include "deliver/deliver_int.h"
#include "exim.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    struct exim e = { .config = arena_new_obj(a, struct config) };
    struct wire_reader r = wire_reader((struct str){ (const char *)data, size });
    struct address result = { 0 }, list[3] = { { .next = &list[1] }, { .next = &list[2] } };

    (void)report_get_job(&r, a, &e);
    r = wire_reader((struct str){ (const char *)data, size });
    report_get_result(&r, a, &result);
    r = wire_reader((struct str){ (const char *)data, size });
    report_get_results(&r, a, list);
    arena_destroy(&a);
    return 0;
}
