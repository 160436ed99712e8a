/* link: base header parse parse_text parse_rfc2047 */
/* Header lines that are looked up, joined, removed and added to. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count(const struct header_list *l)
{
    size_t n = 0;

    for (const struct header *h = l->first; h != NULL; h = h->next)
        n++;
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "to", "from", "subject", "x", "received", "x*", "" };
    struct arena *a = arena_new("input");
    char *text = arena_strndup(a, (const char *)data, size);
    struct header_list l;

    header_list_init(&l);
    for (char *line = text, *next; *line != '\0'; line = next) {
        next = strchr(line, '\n');
        next = next == NULL ? line + strlen(line) : next + 1;
        const char *one = arena_printf(a, "%.*s\n", (int)strcspn(line, "\n"), line);
        if (strchr(one, ':') != NULL) /* as received: every line has a name */
            (void)header_append(&l, a, header_type_of(one), one);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (int form = HEADER_DECODED; form <= HEADER_RAW; form++)
            (void)header_value(a, &l, names[i], (enum header_form)form, "UTF-8");
        (void)(i % 2 == 0 ? header_append : header_prepend)(&l, a, ' ', "New: x\n");
        (void)header_remove(&l, names[i], (int)i % 3);
    }
    for (const struct header *h = l.first; h != NULL; h = h->next)
        (void)header_body(h);
    if (count(&l) != l.count || *l.tail != NULL)
        abort();
    arena_destroy(&a);
    return 0;
}
