/* Files of dsn_message_directory, and Accept-Language lines: parsed or refused with a reason. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "dsn_language.h"
#include "parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("fuzz");
    struct err err = { 0 };
    const char *text = arena_strndup(a, (const char *)data, size), *tag;

    if (dsn_language_parse(a, "de", (struct str){ (const char *)data, size }, &err) == NULL && err.msg == NULL)
        abort();
    for (size_t n = 0; (tag = dsn_language_wanted(a, text, n)) != NULL; n++)
        if (strlen(tag) > 35 || strspn(tag, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(tag))
            abort();
    const char *plain = parse_unitext_decode(a, text, true);
    if (plain != NULL) {
        const char *again = parse_unitext_decode(a, parse_unitext_encode(a, plain), false);
        if (again == NULL || strcmp(again, plain) != 0)
            abort();
    }
    arena_destroy(&a);
    return 0;
}
