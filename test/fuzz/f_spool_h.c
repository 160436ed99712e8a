/* link: base spool_in spool_out spool_tree spool_fields message header parse_rfc2047 */
/* What was read, written and read again is the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *print(const struct message *m)
{
    struct buf b = buf_init(m->arena, BUF_DEFAULT_CEILING);

    spool_header_print(&b, m);
    return buf_cstr(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message *m = message_new("fuzz"), *back = message_new("fuzz");
    struct err err = { 0 };

    if (spool_header_parse(m, (struct str){ (const char *)data, size }, &err)) {
        const char *text = print(m);

        if (!spool_header_parse(back, str_from(text), &err) || strcmp(print(back), text) != 0)
            abort();
    } else if (err.msg == NULL) {
        abort();
    }
    message_free(&m);
    message_free(&back);
    return 0;
}
