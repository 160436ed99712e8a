#include <stdlib.h>

#include "cmd/cmd.h"
#include "cmd/ids.h"
#include "daemon.h"
#include "exim.h"
#include "queue.h"

/* -q, -R, -S; after -q may come the first id, and the last. */
int cmd_q(struct exim *e, const struct cmd_line *c)
{
    struct queue_run_options o = c->queue;

    o.pretend = c->receive.no_delivery;
    if (c->nargs > 0 && !cmd_check_ids(c, c->nargs))
        return EXIT_FAILURE;
    if (c->nargs > 0)
        o.start_id = c->args[0];
    if (c->nargs > 1)
        o.stop_id = c->args[1];
    e->queue_fd = daemon_queue_connect(e); /* bounces and reports are delivered by whoever is there */
    return queue_run(e, &o);
}
