/* retry_cache.h - a process's view of the retry hints, reread when the database changes.
 *
 * Nearly every question about a retry time is answered with "no record": from memory, without
 * opening the database. */
#ifndef EXIM_RETRY_CACHE_H
#define EXIM_RETRY_CACHE_H

#include <stdbool.h>

#include "hintsdb.h"

struct exim;

/* Rereads the database if it changed. Once at the start of each run of delivery, so that all of a
 * run sees one state and a lookup costs no system call. A process that stays near the spool (spool.h), as
 * it delivers a queue, looks at the file every 10 ms at most: what others change is seen that late. */
void retry_cache_refresh(struct exim *e);
/* This process changed the database: the next refresh looks at it. */
void retry_cache_changed(struct exim *e);
/* No record at all, as in most servers at most times: no key needs to be made to ask for one. */
bool retry_cache_is_empty(struct exim *e);
/* The record of key, valid until the next refresh; false when there is none or it is too old
 * (retry_data_expire). */
bool retry_cache_get(struct exim *e, const char *key, struct hints_retry *out);

#endif
