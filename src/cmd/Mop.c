#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/table.h"
#include "cmd/cmd.h"
#include "cmd/ids.h"
#include "daemon.h"
#include "deliver.h"
#include "exim.h"
#include "queue.h"

enum takes { TAKES_IDS, TAKES_ONE_ID, TAKES_ADDRESSES };

/* clang-format off */
static const struct operation {
    const char *name; /* sorted */
    enum queue_op op;
    enum takes takes;
} operations[] = {
    { "Mar",  QUEUE_ADD_RECIPIENT,  TAKES_ADDRESSES },
    { "Mes",  QUEUE_EDIT_SENDER,    TAKES_ADDRESSES },
    { "Mf",   QUEUE_FREEZE,         TAKES_IDS },
    { "Mmad", QUEUE_MARK_ALL,       TAKES_IDS },
    { "Mmd",  QUEUE_MARK_DELIVERED, TAKES_ADDRESSES },
    { "Mrm",  QUEUE_REMOVE,         TAKES_IDS },
    { "Mt",   QUEUE_THAW,           TAKES_IDS },
    { "Mvb",  QUEUE_VIEW_BODY,      TAKES_ONE_ID },
    { "Mvc",  QUEUE_VIEW_COPY,      TAKES_ONE_ID },
    { "Mvh",  QUEUE_VIEW_HEADERS,   TAKES_ONE_ID },
    { "Mvl",  QUEUE_VIEW_LOG,       TAKES_ONE_ID },
};
/* clang-format on */

static int give_up(struct exim *e, const struct cmd_line *c)
{
    const struct deliver_options o = {
        .force = true, .force_frozen = true, .give_up = true, .give_up_by = e->originator_login
    };

    for (int i = 0; i < c->nargs; i++) {
        struct deliver_report report;

        if (queue_settle(e, c->args[i]))
            (void)deliver_message(e, c->args[i], 0, &o, &report);
        else
            deliver_log_locked(e, c->args[i]);
    }
    return EXIT_SUCCESS;
}

static int with_addresses(struct exim *e, const struct cmd_line *c, enum queue_op op)
{
    if (op == QUEUE_EDIT_SENDER && c->nargs > 2) {
        printf("*** Only one sender address can be given\n");
        return EXIT_FAILURE;
    }
    return queue_operate(e, op, c->args[0], c->args + 1, c->nargs - 1);
}

int cmd_Mop(struct exim *e, const struct cmd_line *c)
{
    const struct operation *op = TABLE_FIND(operations, c->mode->name);
    int status = EXIT_SUCCESS;

    if (!cmd_check_ids(c, op != NULL && op->takes == TAKES_ADDRESSES ? 1 : c->nargs))
        return EXIT_FAILURE;
    e->queue_fd = daemon_queue_connect(e);
    if (op == NULL) /* -Mg: a delivery */
        return give_up(e, c);
    if (op->takes == TAKES_ADDRESSES)
        return with_addresses(e, c, op->op);
    if (op->takes == TAKES_ONE_ID && c->nargs > 1) {
        printf("*** Only one message can be listed at once\n");
        return EXIT_FAILURE;
    }
    for (int i = 0; i < c->nargs; i++)
        if (queue_operate(e, op->op, c->args[i], NULL, 0) != EXIT_SUCCESS)
            status = EXIT_FAILURE;
    return status;
}
