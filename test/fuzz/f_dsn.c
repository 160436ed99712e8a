/* link: base dsn_params parse parse_unitext parse_text parse_address rfc2047 */
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "dsn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    const char *text = arena_strndup(a, (const char *)data, size), *out, *why;
    unsigned flags = 0;
    enum dsn_ret ret;

    (void)dsn_parse_ret(text, &ret, &why);
    (void)dsn_parse_notify(text, &flags, &why);
    (void)dsn_parse_envid(a, text, &out, &why);
    (void)dsn_parse_orcpt(a, text, size % 2 == 0, &out, &why);
    arena_destroy(&a);
    return 0;
}
