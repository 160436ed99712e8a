/* deliver_int.h - the insides of delivery: one run, from routing to what is left in the spool. */
#ifndef EXIM_DELIVER_INT_H
#define EXIM_DELIVER_INT_H

#include <stdbool.h>
#include <stddef.h>

#include "address.h"
#include "deliver.h"
#include "expand.h"

struct buf;
struct exim;
struct transport;
struct transport_call;
struct wire_reader;

/* A context for expansions about addr (may be NULL) in run d; on the caller's stack. */
void deliver_ctx(struct expand_ctx *ctx, struct delivery *d, const struct address *addr);

/* ---- frozen.c: may a frozen message be tried? Logs when not. ---- */
bool deliver_frozen_check(struct delivery *d);
void deliver_freeze(struct delivery *d, const char *why); /* logs, tells freeze_tell */

/* ---- routing.c: d->addr_new to addr_local, addr_remote, failed, deferred ---- */
void deliver_route_all(struct delivery *d);

/* ---- local.c, remote.c ---- */
void deliver_local_all(struct delivery *d);
void deliver_remote_all(struct delivery *d);
/* Everything before the driver is called, the same for both: false when the result is set already. */
bool deliver_prepare(struct delivery *d, const struct transport *t, struct address *addrs,
                     struct transport_call *call, struct expand_ctx *ctx);
/* limit.c: max_parallel. False: the result is set. counted: leave when the transport has run. */
bool deliver_limit_enter(struct transport_call *call, const struct transport *t, bool *counted);
void deliver_limit_leave(struct exim *e, const struct transport *t);
/* Two addresses that may go in one call. */
bool deliver_same_headers(const struct address *a, const struct address *b);

/* ---- settle.c: what became of an address ---- */
/* After a transport or the router gave a result: logs it, files it, counts its parents down. */
bool deliver_pretends(const struct delivery *d); /* -N */
void deliver_settle(struct delivery *d, struct address *addr);
void deliver_settle_list(struct delivery *d, struct address *list);
void deliver_settle_held(struct delivery *d, struct address *list); /* the caller ends with log_release */
void deliver_settle_all(struct delivery *d, struct address *list); /* and deliver_journal */
/* The address needs no more attention, now or in any later run. */
void deliver_address_done(struct delivery *d, struct address *addr);
/* Makes what is done so far durable, unless the message is about to be removed anyway. */
void deliver_journal(struct delivery *d);
void deliver_journal_soon(struct delivery *d); /* spool_journal_soon */
void deliver_journal_sync(struct delivery *d);
/* Makes durable, now, which of the list are delivered: something slow is to be done before they are settled. */
void deliver_note(struct delivery *d, struct address *list);
/* All of it, and these lines with it, in one step. False: logged. */
bool deliver_journal_with(struct delivery *d, const char *const *lines, size_t n);

/* ---- log.c ---- */
void deliver_log_success(struct delivery *d, struct address *addr, const char *mark);
void deliver_log_defer(struct delivery *d, struct address *addr);
void deliver_log_fail(struct delivery *d, struct address *addr);
/* address <parents> as all three begin */
void deliver_log_address(struct delivery *d, struct buf *b, const struct address *addr);

/* ---- report.c: addresses between processes ---- */
void report_put_job(struct buf *b, const struct address *addr);
struct address *report_get_job(struct wire_reader *r, struct arena *a, struct exim *e);
void report_put_result(struct buf *b, const struct address *addr);
void report_get_result(struct wire_reader *r, struct arena *a, struct address *addr);
/* The results of a list, which mostly are those of the one before. */
void report_put_results(struct buf *b, const struct address *list);
void report_get_results(struct wire_reader *r, struct arena *a, struct address *list);

#endif
