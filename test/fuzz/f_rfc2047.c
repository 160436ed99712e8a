/* link: base parse parse_text parse_rfc2047 */
/* Decoding anything is safe; what was encoded decodes to what it was. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("input");
    const char *text = arena_strndup(a, (const char *)data, size), *err = NULL;
    const char *words = parse_rfc2047_encode(a, text, "UTF-8", size % 2 == 0);
    const char *back = parse_rfc2047_decode(a, words, true, NULL, &err);

    if (back == NULL || (strstr(words, "=?") != NULL && strcmp(back, text) != 0))
        abort();
    if (parse_rfc2047_decode(a, text, false, "UTF-8", &err) == NULL && err == NULL)
        abort();
    (void)parse_rfc2047_decode(a, text, true, NULL, &err);
    const char *plain = parse_xtext_decode(a, text);
    if (plain != NULL && strcmp(parse_xtext_decode(a, parse_xtext_encode(a, plain)), plain) != 0)
        abort();
    arena_destroy(&a);
    return 0;
}
