/* remote_int.h - remote deliveries of one message: groups of addresses, one after another or side by side. */
#ifndef EXIM_DELIVER_REMOTE_INT_H
#define EXIM_DELIVER_REMOTE_INT_H

#include <stddef.h>

struct address;
struct delivery;

/* Addresses that go in one call of the transport. */
struct remote_group {
    struct remote_group *next;
    struct address *first;
};

/* Calls the transport, here: every address has its result then. */
void remote_run(struct delivery *d, struct remote_group *g);
/* Logs the results; the journal has them with the next deliver_journal_sync at the latest. */
void remote_settle(struct delivery *d, struct remote_group *g);
/* All n groups by up to `limit` processes. Each takes the next group when it is done with one, and keeps its
 * connection for it: the same host often has the next group, too. */
void remote_parallel(struct delivery *d, struct remote_group *groups, size_t n, size_t limit);

#endif
