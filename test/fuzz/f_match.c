/* A list of each kind is refused, or says of each subject yes, no or "cannot be told". No expansion, file or DNS:
 * what would reach for them is taken out of the input. The first line is the subject. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "config/config.h"
#include "drtables.h"
#include "exim.h"
#include "expand.h"
#include "match.h"
#include "search.h"
#include "session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *tame(struct arena *a, const uint8_t *data, size_t size)
{
    static const char *const asking[] = { "@mx_", "dnsdb" };
    char *text = arena_strndup(a, (const char *)data, size);

    for (char *s = text; *s != '\0'; s++)
        if (*s == '$' || *s == '\\' || (*s == '/' && s[1] != '1' && s[1] != '2' && s[1] != '3'))
            *s = '.';
    for (size_t i = 0; i < ARRAY_LEN(asking); i++)
        for (char *s; (s = strstr(text, asking[i])) != NULL;)
            *s = '.';
    return text;
}

static void check(enum rc rc)
{
    if (rc != RC_OK && rc != RC_FAIL && rc != RC_DEFER)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("input");
    struct config cfg = { .primary_hostname = "host.test" };
    struct exim x = { .arena = a, .config = &cfg, .hooks = &drtables_hooks, .queue_fd = -1 };
    struct expand_ctx ctx;
    char *text = tame(a, data, size > 4096 ? 4096 : size), *subject = text;
    char *list = strchr(text, '\n');

    x.search = search_new(&x);
    expand_ctx_init(&ctx, &x, a);
    if (list != NULL)
        *list++ = '\0';
    else
        list = text;
    for (int kind = LIST_DOMAIN; kind <= LIST_LOCAL_PART; kind++) {
        struct err err = { 0 };
        const struct match_list *l = match_compile(a, (enum list_kind)kind, list, &cfg, &err);
        const char *value = NULL;

        if (l == NULL && err.msg == NULL)
            abort();
        if (l == NULL)
            continue;
        if (kind == LIST_ADDRESS) {
            if (strchr(subject, '@') != NULL)
                check(match_address(&ctx, l, subject, true, &value));
            if (strchr(subject, '@') != NULL && match_address_capture(&ctx, l, subject, false) == RC_OK &&
                (ctx.captures.count < 1 || ctx.captures.count > CAPTURE_MAX))
                abort();
        } else {
            check(match_list_text(&ctx, l, subject, true));
        }
    }
    check(match_pattern(&ctx, list, false, subject));
    arena_destroy(&a);
    return 0;
}
