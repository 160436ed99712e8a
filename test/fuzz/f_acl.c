/* The text of an ACL is parsed or refused with a reason; nothing is run. */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "acl.h"
#include "acl/acl_int.h"
#include "base/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new("input");
    struct err err = { 0 };
    const char *text = arena_strndup(a, (const char *)data, size > 8192 ? 8192 : size);
    const struct acl *acl = acl_parse_text(a, "fuzz", text, &err);

    if (acl == NULL && err.msg == NULL)
        abort();
    for (const struct acl_statement *s = acl == NULL ? NULL : acl->statements; s != NULL; s = s->next)
        for (const struct acl_item *c = s->items; c != NULL; c = c->next)
            if (c->row == NULL || c->text == NULL)
                abort();
    arena_destroy(&a);
    return 0;
}
