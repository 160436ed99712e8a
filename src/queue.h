/* queue.h - queue listing and single-message operations for command line modes and the daemon. */
#ifndef EXIM_QUEUE_H
#define EXIM_QUEUE_H

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"

struct arena;
struct exim;
struct message;

enum queue_op { QUEUE_FREEZE, QUEUE_THAW, QUEUE_REMOVE, QUEUE_EDIT_SENDER,
                QUEUE_ADD_RECIPIENT, QUEUE_MARK_DELIVERED, QUEUE_MARK_ALL, QUEUE_VIEW_HEADERS,
                QUEUE_VIEW_BODY, QUEUE_VIEW_LOG, QUEUE_VIEW_COPY };
/* -Mf -Mt -Mrm ...: prints Exim's texts, logs; returns the exit status. args: addresses; the message
 * is changed for all of them or not at all. */
int queue_operate(struct exim *e, enum queue_op op, const char *id, char *const *args, int nargs);

enum { QUEUE_LIST_UNDELIVERED_ONLY = 1, QUEUE_LIST_PLUS_GENERATED = 2, QUEUE_LIST_IDS_ONLY = 4, QUEUE_LIST_UNSORTED = 8 };
int queue_list(struct exim *e, unsigned flags, const char *const *ids, int nids); /* -bp family */
int queue_count(struct exim *e);                                                 /* -bpc */

struct queue_run_options {
    bool force, force_frozen, local_only, first_only /* qi */, two_stage /* qq */, pretend /* -N */;
    const char *recipient_text, *sender_text; /* -R -S */
    bool recipient_regex, sender_regex;
    const char *start_id, *stop_id;
    const char *queue_name;
};
/* One queue run in this process tree; logs Start/End. */
int queue_run(struct exim *e, const struct queue_run_options *o);

/* After a message was accepted, when e->queue_fd is the way to the daemon's queue: gives up the lock
 * and tells it. deliver: now; else it waits for a queue run. False: nobody there listens. */
bool queue_notify(struct exim *e, struct message *m, bool deliver);
/* The same where remote addresses wait for a queue run. */
bool queue_notify_local(struct exim *e, struct message *m);
/* For a process that works on files: a message that is in the log of the spool only gets its files, from the
 * daemon, or here when there is none. Returns when it has, or is seen to be delivered; false after some seconds: a
 * delivery is under way. */
bool queue_settle(struct exim *e, const char *id) MUST_USE;
/* The message was changed by hand (thawed, edited ...): what is remembered of it is out of date. */
void queue_notify_changed(struct exim *e, const char *id);

#endif
