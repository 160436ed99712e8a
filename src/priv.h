/* priv.h - identities: the broker process, agents, and dropping root for good.
 *
 * The broker is the only process that keeps root (when there was root); it answers typed requests
 * over a seqpacket socket and reads nothing else. Without root it does the same work as the user who
 * started it. */
#ifndef EXIM_PRIV_H
#define EXIM_PRIV_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

struct arena;
struct broker;
struct exim;
struct ipc_agent;

/* Forks the broker, then becomes exim_uid/exim_gid for good in the calling process. Without root there is
 * nothing to give up, and the broker is forked when it is first asked for: many runs never do. Sets e->broker,
 * e->privileged. Call once, after the configuration is read. */
bool priv_start(struct exim *e, struct err *err) MUST_USE;
/* Drops to exim's uid and gid without a broker (modes that never deliver). */
bool priv_drop(struct exim *e, struct err *err) MUST_USE;
/* Drops to the real uid and gid of the caller (-be, -C of an untrusted file ...). */
bool priv_drop_to_caller(struct exim *e, struct err *err) MUST_USE;

/* A connection to an agent running as who: seqpacket, see deliver/agent.h. -1 with err when refused
 * (never_users, FIXED_NEVER_USERS) or impossible. who->shared: others may have links to the same agent: for
 * work that is never long. */
int priv_agent_connect(struct exim *e, const struct ipc_agent *who, struct err *err);

/* ---- the broker's side (priv_broker.c), for the daemon, whose first process is the broker ---- */
struct priv_agents; /* the shared agents */
struct priv_agents *priv_agents_new(struct arena *a);
/* They end with the links they have; whoever asks from now on gets others (of another configuration). */
void priv_agents_forget(struct priv_agents *g);
/* One request from sock: starts an agent, or gives the link to a shared one. agents NULL: for a process that
 * talks to the network; its agents are its own, answer questions about files and deliver nothing
 * (e->address_test is set there). False: all who held the other end are gone. */
bool priv_serve(struct exim *e, struct priv_agents *agents, int sock) MUST_USE;
struct broker *priv_broker(struct arena *a, int sock); /* for e->broker of a role; sock is kept */
int priv_broker_socket(const struct broker *b);        /* -1 for NULL, and when it was not started */
/* Closes every descriptor from 3 on but those in keep and the log of the spool (e->wal): a new role holds
 * nothing else of its parent's. */
void priv_close_others(struct exim *e, const int *keep, size_t n);

/* The agent's main loop (deliver/agent.h), registered in drtables.c so that the broker (a lower layer) can
 * run it. */
typedef void priv_agent_main(struct exim *e, int link, int control); /* does not return */
extern priv_agent_main *const priv_agent_entry;

#endif
