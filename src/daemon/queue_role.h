/* queue_role.h - the insides of the queue process, shared by its files.
 *
 * queue.c has the loop and the sockets, queue_line.c who waits and what became of those handed out,
 * queue_runs.c the queue runs, queue_rest.c the messages that have no files yet. */
#ifndef EXIM_DAEMON_QUEUE_ROLE_H
#define EXIM_DAEMON_QUEUE_ROLE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/queue_index.h"
#include "ipc.h"

struct arena;
struct daemon;
struct exim;
struct queue_pool;
struct queue_select;
struct spool_entry;
struct spool_extras;

enum {
    QUEUE_GROW_MS = 50,     /* somebody waits this long: one more than the processors ask for */
    QUEUE_CLIENTS_MAX = 32, /* of the control socket */
};

struct queue_span {      /* a queue run: ids as found, in the order they are tried */
    struct arena *arena; /* NULL: there is none */
    struct spool_entry *list;
    size_t count, at, busy;
    const char *detail;
    const struct queue_select *select;
    bool abandoned, second; /* -qq: the second pass */
};

struct queue_role {
    struct daemon *daemon;
    struct exim *exim;
    struct arena *arena;
    struct queue_index *index;
    struct queue_pool *pool;
    struct queue_entry *first, *last; /* those that wait */
    struct queue_span run;
    uint32_t scans;
    int64_t next_run_ms; /* -1: no runs */
    int64_t next_wake_ms, next_trim_ms, next_rest_ms, last_growth_ms;
    bool all_rest;     /* no more is to be done about the log */
    uint64_t heard_of; /* of what was in the log before this, a notice must have come */
    size_t base_workers;
    int control;
    int clients[QUEUE_CLIENTS_MAX];
    size_t client_count;
    bool retired; /* a newer one reads the notices */
    bool stopping;
    int64_t told_to_stop_ms; /* by SIGTERM; 0: not */
    struct pollfd *fds;
};

/* ---- queue_line.c ---- */
void queue_line_add(struct queue_role *q, struct queue_entry *m);
void queue_line_notice(struct queue_role *q, const struct ipc_notice *n);
void queue_line_report(void *role, const struct ipc_report *r, bool crashed); /* queue_pool_done */
/* flags: ipc.h, struct ipc_deliver. False: no worker is to be had now. */
bool queue_line_hand_out(struct queue_role *q, struct queue_entry *m, unsigned flags, bool in_run);
void queue_line_serve(struct queue_role *q);

/* ---- queue_runs.c ---- */
/* What others put into the spool or took out of it comes to light here. As spool_scan; false: logged. */
bool queue_runs_take_stock(struct queue_role *q, struct arena *a, struct spool_entry **list, size_t *count,
                           const struct spool_extras **extras);
void queue_runs_start(struct queue_role *q);
void queue_runs_serve(struct queue_role *q);
bool queue_runs_end_if_done(struct queue_role *q); /* true: it goes on with its second pass */
void queue_runs_wake_due(struct queue_role *q);    /* between the runs: those whose retry time has come */

/* ---- queue_rest.c: what is in the log of the spool only ---- */
void queue_rest_look(struct queue_role *q, int64_t now);

#endif
