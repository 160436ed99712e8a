/* link: base parse parse_text routers/redirect_list */
#include <stdint.h>
#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "routers/redirect_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *include(void *arg, const char *path, const char **why)
{
    if (strcmp(path, "/i") == 0)
        return arg;
    *why = "no such file";
    return NULL;
}

/* Alias data of any kind, also as its own :include: file. Every outcome has what it promises. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct arena *a = arena_new("fuzz");
    char *text = arena_strndup(a, (const char *)data + 1, size - 1 < 2000 ? size - 1 : 2000);
    const struct redirect_rules rules = {
        .allow_defer = data[0] & 1, .allow_fail = data[0] & 2, .forbid_blackhole = data[0] & 4,
        .skip_syntax_errors = data[0] & 8, .allow_domain_literals = data[0] & 16, .allow_utf8 = data[0] & 32,
        .include = data[0] & 64 ? include : NULL, .arg = arena_strndup(a, text, strnlen(text, 20)),
    };
    struct redirect_list l;
    enum redirect_outcome o = redirect_list_parse(a, text, &rules, &l);

    if ((o == REDIRECT_ERROR || o == REDIRECT_FAIL || o == REDIRECT_DEFER) && l.text == NULL)
        __builtin_trap();
    for (const struct redirect_item *i = l.items; i != NULL; i = i->next)
        if (i->text[0] == '\0' || (i->kind == REDIRECT_PIPE && i->text[0] != '|') ||
            (i->kind == REDIRECT_FILE && i->text[0] != '/'))
            __builtin_trap();
    arena_destroy(&a);
    return 0;
}
