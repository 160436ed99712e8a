#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/tod.h"
#include "cmd/cmd.h"
#include "cmd/ids.h"
#include "daemon.h"
#include "deliver.h"
#include "exim.h"
#include "transports/tidy.h"

bool cmd_check_ids(const struct cmd_line *c, int count)
{
    if (c->nargs == 0) {
        fprintf(stderr, "exim: no message ids given after -%s option\n", c->mode->name);
        return false;
    }
    for (int i = 0; i < count && i < c->nargs; i++)
        if (!msgid_valid(c->args[i])) {
            fprintf(stderr, "exim: malformed message id %s after -%s option\n", c->args[i], c->mode->name);
            return false;
        }
    return true;
}

/* Everything after the mode is one message after another; how each fares is in the log. */
int cmd_M(struct exim *e, const struct cmd_line *c)
{
    bool force = strcmp(c->mode->name, "M") == 0;
    const struct deliver_options o = { .force = force, .force_frozen = force,
                                       .pretend = c->receive.no_delivery };

    if (!cmd_check_ids(c, c->nargs))
        return EXIT_FAILURE;
    e->queue_fd = daemon_queue_connect(e);
    for (int i = 0; i < c->nargs; i++) {
        struct deliver_report report;

        if (queue_settle(e, c->args[i]))
            (void)deliver_message(e, c->args[i], 0, &o, &report);
        else
            deliver_log_locked(e, c->args[i]);
    }
    tidy_transports();
    return EXIT_SUCCESS;
}
