/* queue_worker.h - the inside of a process that delivers one message after another and keeps its connections, DNS
 * answers and hints warm in between. Who gives it the messages: queue_pool.c, queue_crew.c. */
#ifndef EXIM_QUEUE_WORKER_H
#define EXIM_QUEUE_WORKER_H

#include "ipc.h"

struct exim;

struct queue_worker {
    struct exim *exim;
    unsigned served;
    long memory_max; /* KB */
};

/* In a child just forked: closes what it has of its parent's but fd, and takes signals as a worker does:
 * SIGTERM is seen between messages. */
void queue_worker_begin(struct exim *e, int fd);
struct queue_worker queue_worker_init(struct exim *e);
/* leaving is set when the process has delivered enough, has grown or was told to end. */
struct ipc_report queue_worker_deliver(struct queue_worker *w, const struct ipc_deliver *job);
/* Closes its connections and lets its agents end. */
void queue_worker_let_go(void);

#endif
