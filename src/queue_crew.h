/* queue_crew.h - the processes of a queue run from the command line.
 *
 * All have the list of messages from their parent, and share with it the place in that list up to which messages were
 * taken: each takes the next one when it is free. A message is no record to be sent and waited for, a slow one holds
 * up nobody. A process that dies is noticed, logged and replaced; its message is not tried again in this pass. */
#ifndef EXIM_QUEUE_CREW_H
#define EXIM_QUEUE_CREW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct arena;
struct exim;
struct queue_select;
struct spool_entry;
struct spool_extras;

struct queue_pass {
    struct exim *exim;
    const struct spool_entry *list;
    size_t count, workers;
    unsigned flags;                    /* ipc.h, struct ipc_deliver */
    const struct queue_select *select; /* of these */
    const struct spool_extras *scan;   /* the list is from; may be NULL */
    const char *detail;                /* for the log */
};
/* Starts them. NULL: there is no memory to share, logged. p is kept. */
struct queue_crew *queue_crew_start(struct arena *a, const struct queue_pass *p);
/* Waits until all messages were tried. False: given up for the load, SIGTERM or want of processes. */
bool queue_crew_wait(struct queue_crew *c) MUST_USE;

#endif
