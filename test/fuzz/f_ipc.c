/* link: base ipc */
/* What is decoded is encoded to the same bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "ipc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    struct ipc_record r;

    if (ipc_decode(a, (struct str){ (const char *)data, size }, &r)) {
        struct buf b = buf_init(a, IPC_RECORD_MAX);

        ipc_encode(&b, &r);
        if (!b.full && (b.len != size || memcmp(b.p, data, size) != 0))
            abort();
    }
    arena_destroy(&a);
    return 0;
}
