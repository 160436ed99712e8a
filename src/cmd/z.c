#include <stdlib.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "exim.h"

int cmd_z(struct exim *e, const struct cmd_line *c)
{
    log_write(e->log, LOG_MAIN, NULL, "%s", c->log_text);
    return EXIT_SUCCESS;
}
