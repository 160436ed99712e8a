/* link: base os expand regex parse parse_rfc2047 parse_text header message proxy config/owner */
/* libs: -lidn2 -lcrypt */
/* Any text compiles or is refused with words; what compiled expands or fails with words.
 * Nothing that reaches outside (files, commands, sockets) is permitted. */
#include <stdint.h>
#include <stdlib.h>

#include "../lib/expand_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    const char *text = arena_strndup(a, (const char *)data, size), *out = NULL;
    struct expand_ctx ctx;
    struct err err = { 0 };

    world_init(&ctx, a, WORLD_ALL);
    ctx.forbid = ~0U & ~(unsigned)FORBID_LOOKUP;
    ctx.recipients_visible = true;
    const struct expr *e = expr_compile(a, text, &err);
    if (e == NULL) {
        if (err.msg == NULL)
            abort();
    } else if (expand(&ctx, e, &out) == EXPAND_OK) {
        if (out == NULL || memchr(out, 0, strlen(out) + 1) == NULL)
            abort();
    } else if (ctx.err.msg == NULL) {
        abort();
    }
    if (ctx.depth != 0)
        abort();
    arena_destroy(&a);
    return 0;
}
