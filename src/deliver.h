/* deliver.h - one run over one message: route, deliver, note, report (manual 3.6-3.14). */
#ifndef EXIM_DELIVER_H
#define EXIM_DELIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct address;
struct arena;
struct exim;
struct message;

struct deliver_options {
    bool force;                /* -M, -qf: ignore retry times */
    bool force_frozen;         /* deliver though frozen */
    bool queue_run;            /* started by a queue run */
    bool local_only;           /* -ql */
    bool queue_smtp;           /* -odqs, the first pass of -qq: remote addresses are only noted */
    bool rest_only;            /* no delivery: it gets its files */
    bool give_up;              /* -Mg */
    bool pretend;              /* -N: transports are not run */
    const char *give_up_by;    /* login for the log */
};

enum deliver_rc {
    DELIVER_DONE,    /* completed and removed */
    DELIVER_REMAINS, /* rests in the queue; *next_try when */
    DELIVER_LOCKED,  /* another process has it */
    DELIVER_GONE, DELIVER_FROZEN, DELIVER_ERROR /* spool unreadable, logged */
};

struct deliver_report { /* for the queue process */
    enum deliver_rc rc;
    time_t next_try;                  /* earliest retry among what remains; 0 unknown */
};

/* All for one message: load, route, deliver, journal, bounce, warn, update or remove. Logs.
 * place: in the log of the spool, 0: it has files. */
enum deliver_rc deliver_message(struct exim *e, const char *id, uint64_t place, const struct deliver_options *o,
                                struct deliver_report *report);
/* For a command whose message another process is delivering. */
void deliver_log_locked(struct exim *e, const char *id);

/* One run. Owned by deliver_message; visible to transports and to $variables. */
struct delivery {
    struct arena *arena;
    struct exim *exim;
    struct message *message;
    const struct deliver_options *options;
    struct address *addr_new, *addr_local, *addr_remote;
    struct address *addr_failed, *addr_deferred, *addr_succeeded;
    struct address *journaled;  /* addr_succeeded from here on is in the journal */
    struct address **recipients; /* top addresses, in the message's order; for reports */
    size_t recipient_count;
    size_t in_flight;           /* local batches or groups of remote addresses not settled yet */
    bool update_spool;          /* -H must be rewritten at the end */
    bool spool_unsure;          /* the journal may hold more than we know: it is left for the next run */
    bool frozen;
    const char *cancel;         /* why all remaining recipients are given up; NULL: they are not */
    time_t now;
    time_t next_try;            /* earliest retry among what remains; 0: unknown */
};

/* Makes and commits a message of our own (report, autoreply): sender "" or an address; headers and
 * body as one text with "\n"; parent_id: the message it refers to (R=). False with err. */
bool deliver_submit(struct exim *e, const char *sender, const char *const *recipients, size_t n,
                    struct str text, const char *parent_id, char new_id[17], struct err *err) MUST_USE;

/* The same in steps, for what must be noted elsewhere between them. begin: the message has its id, the spool
 * nothing yet; recipients and parent_id are borrowed. commit: durable, logged, and locked by us until release,
 * which lets it go its way. abandon: nothing of it stays, unless it was committed: then it is only unlocked. */
struct submission;
struct submission *deliver_submit_begin(struct exim *e, const char *sender, const char *const *recipients, size_t n,
                                        const char *parent_id, struct err *err) MUST_USE;
const char *deliver_submit_id(const struct submission *s);
/* Before commit: not to be delivered while the parent's record speaks against it (dsn_once.h). utf8: only where
 * SMTPUTF8 is offered. */
void deliver_submit_hold(struct submission *s, bool utf8);
bool deliver_submit_commit(struct submission *s, struct str text, struct err *err) MUST_USE;
void deliver_submit_release(struct submission **s);
void deliver_submit_abandon(struct submission **s);

/* freeze_tell: a short message to each address of that option; nobody hears of our own reports. */
void deliver_tell_frozen(struct exim *e, const struct message *m, const char *why);

#endif
