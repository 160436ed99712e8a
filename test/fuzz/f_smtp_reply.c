/* link: base smtp/client_reply */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "smtp/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    struct buf text = buf_init(a, CLIENT_REPLY_MAX);
    const char *p = (const char *)data;

    while (size > 0) {
        int code;
        ptrdiff_t used = client_reply_parse(p, size, &code, &text);

        if (used <= 0)
            break;
        if ((size_t)used > size || code < 100 || code > 599 || strlen(buf_cstr(&text)) != text.len)
            __builtin_trap();
        struct client_caps caps;

        client_caps_parse(a, buf_cstr(&text), &caps);
        (void)client_caps_has_auth(&caps, "PLAIN");
        const char *status = client_reply_status(a, buf_cstr(&text));

        if (status != NULL && status[0] != buf_cstr(&text)[0])
            __builtin_trap();
        p += used;
        size -= (size_t)used;
    }
    arena_destroy(&a);
    return 0;
}
