#include <stdlib.h>
#include <string.h>

#include "cmd/cmd.h"
#include "queue.h"

/* -bp[r][a|u], -bpc, -bpi: the letters after "bp". */
int cmd_bp_queue(struct exim *e, const struct cmd_line *c)
{
    const char *letters = c->mode->name + 2;
    unsigned flags = 0;

    if (strcmp(letters, "c") == 0)
        return queue_count(e);
    flags |= strchr(letters, 'r') != NULL ? QUEUE_LIST_UNSORTED : 0u;
    flags |= strchr(letters, 'a') != NULL ? QUEUE_LIST_PLUS_GENERATED : 0u;
    flags |= strchr(letters, 'u') != NULL ? QUEUE_LIST_UNDELIVERED_ONLY : 0u;
    flags |= strchr(letters, 'i') != NULL ? QUEUE_LIST_IDS_ONLY : 0u;
    return queue_list(e, flags, (const char *const *)c->args, c->nargs);
}
