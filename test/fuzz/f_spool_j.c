/* link: base spool_in spool_out spool_tree spool_fields message header parse_rfc2047 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "message.h"
#include "spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct message *m = message_new("fuzz");
    size_t lines = 0;

    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    spool_journal_parse(m, (struct str){ (const char *)data, size });
    if (m->nonrecipients != NULL && hash_count(m->nonrecipients) > lines)
        abort();
    message_free(&m);
    return 0;
}
