/* link: base */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/str.h"
#include "base/tod.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A list is split, joined and split again: the items are the same, but for empty ones at the ends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    const char *text = arena_strndup(a, (const char *)data, size);
    struct list_iter it = list_begin(text, 0);
    struct buf joined = buf_init(a, BUF_DEFAULT_CEILING);
    bool first = true;
    int n = 0;

    for (const char *item; (item = list_next(&it, a)) != NULL; n++)
        list_append(&joined, item, ':', &first);
    if (n != list_count(text, 0, a))
        __builtin_trap();
    bool changes_separator = *cstr_skip_space(buf_cstr(&joined)) == '<'; /* the first item does */
    if (!changes_separator && list_count(buf_cstr(&joined), 0, a) > n)
        __builtin_trap();
    if (tod_interval_parse(text) < -1)
        __builtin_trap();
    arena_destroy(&a);
    return 0;
}
