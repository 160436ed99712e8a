/* retry_cache.h - a process's view of the retry hints, reread when the database changes.
 *
 * Nearly every question about a retry time is answered with "no record": from memory, without
 * opening the database. */
#ifndef EXIM_RETRY_CACHE_H
#define EXIM_RETRY_CACHE_H

#include <stdbool.h>

#include "hintsdb.h"

struct exim;

/* The record of key, valid until the next call; false when there is none or it is too old
 * (retry_data_expire). */
bool retry_cache_get(struct exim *e, const char *key, struct hints_retry *out);
void retry_cache_forget(struct exim *e); /* after writing */

#endif
