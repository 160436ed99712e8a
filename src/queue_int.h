/* queue_int.h - shared by the queue's files and the daemon's queue process. */
#ifndef EXIM_QUEUE_INT_H
#define EXIM_QUEUE_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct arena;
struct exim;
struct queue_run_options;
struct spool_entry;

/* By id with queue_run_in_order, else at random. */
void queue_order(const struct exim *e, struct spool_entry *list, size_t n);
/* Which messages a run is about: ids, -qi, -R, -S. NULL: a bad regular expression, logged. */
struct queue_select;
const struct queue_select *queue_select_new(struct arena *a, struct exim *e, const struct queue_run_options *o);
bool queue_select_matches(const struct queue_select *s, const char *id);
/* "pid=123 -qf -R text", for the log. */
const char *queue_run_detail(struct arena *a, const struct queue_run_options *o);
unsigned queue_run_flags(const struct queue_run_options *o); /* ipc.h, struct ipc_deliver */
long queue_run_limit(struct exim *e); /* queue_run_max */
bool queue_load_too_high(const struct exim *e, double *load); /* deliver_queue_load_max */

#endif
