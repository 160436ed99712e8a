/* link: base */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first bytes say in which order values are taken from the rest. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t plan = size < 16 ? size : 16;
    struct arena *a = arena_new("fuzz");
    struct wire_reader r = wire_reader((struct str){ (const char *)data + plan, size - plan });

    for (size_t i = 0; i < plan; i++) {
        const char *s;

        switch (data[i] % 6) {
        case 0:
            (void)wire_get_u8(&r);
            break;
        case 1:
            (void)wire_get_u32(&r);
            break;
        case 2:
            (void)wire_get_i64(&r);
            break;
        case 3:
            if (wire_get_bytes(&r).p == NULL)
                __builtin_trap();
            break;
        case 4:
            s = wire_get_cstr(&r, a);
            if (s != NULL && strlen(s) > size)
                __builtin_trap();
            break;
        default:
            if (wire_get_count(&r, 1) > size)
                __builtin_trap();
        }
    }
    if (r.p > r.end)
        __builtin_trap();
    arena_destroy(&a);
    return 0;
}
