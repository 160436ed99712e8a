/* link: base parse parse_text parse_rfc2047 */
/* What is parsed can be parsed again, alone and in angle brackets, to the same. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ALL = PARSE_ALLOW_EMPTY | PARSE_ALLOW_DOMAIN_LITERAL | PARSE_ALLOW_UTF8 };

static bool count(void *arg, const struct parsed_address *p, const char *raw)
{
    (void)raw;
    if (p->address == NULL && p->err == NULL)
        abort();
    ++*(size_t *)arg;
    return true;
}

static void again(struct arena *a, const struct parsed_address *p)
{
    struct parsed_address q;

    if (strpbrk(p->address, "\r\n") != NULL)
        abort();
    if (!parse_address(a, arena_printf(a, "<%s>", p->address), ALL, &q) || strcmp(q.address, p->address) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("input");
    const char *text = arena_strndup(a, (const char *)data, size), *end;
    struct parsed_address p;
    size_t n = 0;

    for (unsigned flags = 0; flags <= (PARSE_STRIP_DOT | PARSE_STRIP_BRACKETS | ALL); flags++)
        if (parse_address(a, text, flags, &p) && p.end > strlen(text))
            abort();
    if (parse_address(a, text, ALL, &p))
        again(a, &p);
    (void)parse_each_address(a, text, ALL, count, &n);
    end = parse_find_address_end(text, true);
    if (end > text + strlen(text))
        abort();
    (void)parse_fix_phrase(a, text);
    (void)parse_domain_valid(text, true);
    (void)parse_message_id(a, text, &end);
    arena_destroy(&a);
    return 0;
}
