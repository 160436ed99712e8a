/* daemon_int.h - what the roles of the daemon share.
 *
 * The first process is the broker: it holds the listening sockets and both ends of the channels between
 * the roles, so that a role that dies is replaced without anybody noticing. */
#ifndef EXIM_DAEMON_INT_H
#define EXIM_DAEMON_INT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/ip.h"
#include "daemon.h"
#include "host.h"

struct arena;
struct exim;
struct proxy_counts;
struct sock_fprog;

struct listener {
    int fd;
    struct listen_address at;
};

struct daemon {
    struct exim *exim;
    const struct daemon_options *options;
    struct listener *listeners;
    size_t listener_count;
    int submission_fd;    /* submission_socket; -1: none */
    const char *submission_path;
    int notices[2];       /* [0] the queue reads, [1] everybody writes: ipc.h, IPC_NOTICE */
    int queue_agents[2];  /* [0] the broker reads requests for agents, [1] the queue's */
    struct proxy_counts *proxy_counts; /* shared memory; NULL: nothing is counted */
    const struct sock_fprog *session_filter; /* the acceptor's */
    int session_agents[2]; /* the same for sessions: agents that only answer questions */
};

/* ---- broker.c: the first process, until everything has ended ---- */
int daemon_broker(struct daemon *d);

/* ---- listen.c ---- */
/* Binds what the configuration says; sockets of old that stay are taken over. */
bool daemon_listen(struct exim *e, struct arena *a, const struct daemon *old, struct daemon *d, struct err *err)
    MUST_USE;
/* "port 25 (IPv4) and for SMTPS on ..." */
const char *daemon_listen_text(struct arena *a, const struct daemon *d);

/* ---- submissions.c: the socket for ordinary users' messages ---- */
bool daemon_submission_listen(const struct daemon *old, struct daemon *d, struct err *err) MUST_USE;
void daemon_submission_close(struct daemon *d); /* and removes it */

/* ---- roles: what a fork of the broker becomes ---- */
void daemon_acceptor(struct daemon *d) NORETURN;
void daemon_queue(struct daemon *d) NORETURN;
/* Drops root, closes what is not in keep, names the process. */
void daemon_become_role(struct daemon *d, const char *title, const int *keep, size_t n);
/* In the acceptor: what all its sessions have in common. */
void daemon_session_prepare(struct daemon *d);
/* A session: serves the connections that come over sock. */
void daemon_session(struct daemon *d, int sock) NORETURN;

/* ---- signals.c: waiting with signals blocked everywhere but in the wait ---- */
void daemon_signals_block(sigset_t *during_wait); /* HUP TERM INT CHLD USR1 are caught as flags */
/* SIGUSR1 writes the title of the process to the process log (exiwhat). */
void daemon_show_on_usr1(struct exim *e);
void daemon_show(struct exim *e);

/* ---- sandbox.c ---- */
/* The filter of system calls for sessions, made before they are forked; NULL without error: none is built in. */
const struct sock_fprog *daemon_sandbox_new(struct arena *a, struct err *err);
bool daemon_sandbox(const struct sock_fprog *filter, struct err *err) MUST_USE;

/* ---- control.c: the queue's socket in the spool directory ---- */
int daemon_control_open(struct exim *e, struct err *err);
void daemon_control_remove(struct exim *e); /* a stopped server leaves nothing but the spool */
/* A client's connection, or -1; only root, exim and whoever runs the daemon get one. */
int daemon_control_accept(struct exim *e, int listening);

#endif
