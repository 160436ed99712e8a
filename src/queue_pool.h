/* queue_pool.h - delivery workers: processes that deliver one message after another and keep their
 * connections, DNS answers and hints warm in between.
 *
 * Used by the daemon's queue process; runs from the command line have queue_crew.h. The owner polls the
 * descriptors and hands out messages; a worker that dies is noticed, logged and replaced. */
#ifndef EXIM_QUEUE_POOL_H
#define EXIM_QUEUE_POOL_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc.h"

struct arena;
struct exim;
struct queue_pool;

/* Called for each message that was handed out. crashed: the worker is gone, the message is as the
 * journal says. */
typedef void queue_pool_done(void *arg, const struct ipc_report *r, bool crashed);

struct queue_pool *queue_pool_new(struct arena *a, struct exim *e, size_t max, queue_pool_done *done, void *arg);
/* An idle worker, or a new one as long as there are not max. False: none is to be had now. */
bool queue_pool_deliver(struct queue_pool *p, const struct ipc_deliver *job);
size_t queue_pool_busy(const struct queue_pool *p);
size_t queue_pool_size(const struct queue_pool *p);
/* Fills fds (room for max); returns how many. After poll: queue_pool_ready with the same array. */
size_t queue_pool_fds(const struct queue_pool *p, struct pollfd *fds);
void queue_pool_ready(struct queue_pool *p, const struct pollfd *fds, size_t n);
/* Lets workers end that have been idle for so long; 0: all idle ones. */
void queue_pool_trim(struct queue_pool *p, int64_t idle_ms);
/* Ends all idle ones and waits for the others. */
void queue_pool_close(struct queue_pool *p);

#endif
