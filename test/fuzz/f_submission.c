/* What is decoded is encoded to the same bytes: the request of an untrusted local user. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "cmd/cmd.h"
#include "cmd/submission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    struct cmd_line c;

    if (submission_decode(a, (struct str){ (const char *)data, size }, &c)) {
        struct buf b = buf_init(a, SUBMISSION_MAX);

        submission_encode(&b, &c);
        if (!b.full && (b.len != size || memcmp(b.p, data, size) != 0))
            abort();
    }
    arena_destroy(&a);
    return 0;
}
