/* dsn_once.h - reports are made exactly once, at whatever point a process ends (doc/dev/reports.md).
 *
 * Notes stand among the nonrecipients of the message that is reported on: in its journal, and in its
 * envelope if that is rewritten before they are used up. They begin with "dsn ", which no address does.
 *
 *     dsn intent <id>               a report with this id may be in the spool; it must not be delivered
 *     dsn done <id> <what>          it stands, and this is what it has settled
 *     dsn success <pno> <facts>     what became of a recipient that asked for success
 *     dsn rcpt <pno> <address>      what the client gave in RCPT, if it was rewritten there (T)
 *     dsn warned <count> <to>       who has this delay warning, while others are still to get theirs */
#ifndef EXIM_DSN_ONCE_H
#define EXIM_DSN_ONCE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct address;
struct arena;
struct delivery;
struct dsn_plan;
struct exim;
struct message;

static inline bool dsn_once_is_note(const char *nonrecipient)
{
    return cstr_starts(nonrecipient, "dsn ");
}

/* ---- at the beginning of a run ---- */
/* Before any address is made: applies what is done, takes away reports that were not finished. False: one
 * of them is in use; another run must see to this message. */
bool dsn_once_recover(struct delivery *d) MUST_USE;
/* After the addresses were made: successes of an earlier run that nobody has heard of yet count again. */
void dsn_once_recall(struct delivery *d);

/* ---- while it delivers ---- */
/* The note for the journal on an address that was delivered; NULL if nobody asked. */
const char *dsn_once_fact(struct arena *a, const struct address *addr);

/* While the message is in the log of the spool, its files would be made without what its journal there says. */
void dsn_once_keep_fact(struct message *m, const char *fact);
/* The facts are in a journal that stays, or nobody is to be told. */
void dsn_once_forget_facts(struct delivery *d);

/* ---- at RCPT ---- */
void dsn_once_note_given(struct message *m, size_t pno, const char *address);
/* That address, or NULL: the recipient's own. */
const char *dsn_once_given(struct arena *a, const struct message *m, size_t pno);

/* ---- while it reports; all durable ---- */
/* The plans' ids, and everything delivered so far. */
bool dsn_once_intend(struct delivery *d, struct dsn_plan *plans) MUST_USE;
/* The plans that are committed stand, and their effects are those of this run too. */
bool dsn_once_done(struct delivery *d, struct dsn_plan *plans) MUST_USE;
bool dsn_once_is_warned(const struct delivery *d, unsigned count, const char *to);
void dsn_once_forget_warned(struct delivery *d);

/* ---- the report itself, before its delivery ---- */
/* True: its parent has not said yet that it stands. */
bool dsn_once_is_held(struct exim *e, const struct message *report);

#endif
