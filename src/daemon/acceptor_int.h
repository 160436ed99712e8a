/* acceptor_int.h - the acceptor: listeners, connections without a process yet, sessions.
 *
 * One epoll loop. A connection goes to a spare session at once, or, when it owes a PROXY header, waits as
 * one small struct: its bytes stay in the kernel until the header is whole. */
#ifndef EXIM_ACCEPTOR_INT_H
#define EXIM_ACCEPTOR_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/types.h>

#include "base/ip.h"
#include "daemon/daemon_int.h"
#include "proxy.h"

struct arena;

enum watch_kind { WATCH_LISTENER, WATCH_SESSIONS, WATCH_PENDING, WATCH_SUBMISSIONS };
struct watch { /* what an event of the epoll set is about: the first member of these */
    enum watch_kind kind;
};

struct session_slot {
    int sock; /* -1: free */
    pid_t pid;
    bool busy;
    int64_t idle_since;
    struct ip peer, client; /* while busy: who connected, and for whom */
    struct session_slot *next; /* in the list of idle or free ones */
    struct session_slot *all;  /* in that of all */
};

enum { EVENTS = 32, SUBMISSIONS_MAX = 100, SUBMISSIONS_PER_USER = 10 };
struct submission { /* a local user's message on its way in: a process of its own */
    pid_t pid;
    uid_t uid;
};

struct pending { /* owes a PROXY header */
    struct watch watch;
    int fd;
    uint16_t port, listener;
    bool watched; /* by epoll: its header did not come with it */
    struct ip peer;
    int64_t deadline;
    struct pending *next, *prev; /* in the order of their deadlines */
};

struct pending_list {
    struct pending *first, *last, *free;
    size_t count;
};

struct acceptor {
    struct daemon *daemon;
    struct exim *exim;
    struct arena *arena;
    struct arena *scratch; /* reset after each connection */
    int epoll;
    int session_epoll; /* the sessions: who has become idle is heard when a connection comes, and now and then */
    struct watch *listeners; /* one for each of the daemon's */
    struct session_slot *slots; /* all there are */
    struct session_slot *fresh; /* room for more */
    size_t fresh_count, busy;
    struct session_slot *idle, *free;
    size_t idle_count;
    struct pending_list pending;
    unsigned char *seen; /* the bytes of whichever of them is looked at */
    struct watch session_watch, submission_watch;
    struct submission submissions[SUBMISSIONS_MAX];
    size_t submission_count;
    bool draining;
    double load;
    int64_t load_checked, tls_checked;
    bool tls_failed;
    sigset_t during_wait;
    struct epoll_event events[EVENTS];
};

/* A connection on its way to a session; fd is the acceptor's until it was handed over. */
struct arrival {
    int fd;
    size_t listener;
    struct ip peer;
    uint16_t port;
    bool proxy_session;
    const struct proxy_state *proxy; /* NULL: it owes none */
};

/* ---- acceptor.c ---- */
/* The line of +smtp_connection, unless the host is in hosts_connection_nolog. */
void acceptor_log_connection(struct acceptor *ac, const struct arrival *in);
/* Sessions inherit what is read once here, also a renewed certificate. */
void acceptor_prepare_tls(struct acceptor *ac);

/* ---- sessions.c ---- */
/* To a spare session, or to a new one. Closes fd. */
void acceptor_hand_over(struct acceptor *ac, const struct arrival *in);
/* Those who told meanwhile that they are idle: they are neither counted nor is a new one started in their stead. Nobody
 * wakes up when they say it. */
void acceptor_hear_sessions(struct acceptor *ac);
void acceptor_reap(struct acceptor *ac); /* after SIGCHLD */
/* Keeps a few spare ones and lets those go that nobody needed for a while. */
void acceptor_trim_sessions(struct acceptor *ac);
void acceptor_end_sessions(struct acceptor *ac, bool busy_too);
size_t acceptor_count(const struct acceptor *ac, const struct ip *ip, bool client);

/* ---- submissions.c ---- */
void acceptor_take_submissions(struct acceptor *ac);
bool acceptor_submission_ended(struct acceptor *ac, pid_t pid); /* false: it was none */
void acceptor_end_submissions(struct acceptor *ac);

/* ---- limits.c: each sends the 421, logs and closes when it refuses ---- */
bool acceptor_admits(struct acceptor *ac, const struct arrival *in);
bool acceptor_admits_client(struct acceptor *ac, const struct arrival *in, const struct ip *client);
/* "[1.2.3.4]:567 I=[...]:25" as the log selectors say */
const char *acceptor_whofrom(struct acceptor *ac, const struct arrival *in);
void acceptor_refuse(struct acceptor *ac, int fd, const char *text);

/* ---- proxy_wait.c ---- */
#ifdef EXPERIMENTAL_PROXY
/* Must it speak PROXY? Then it is waited for here. */
bool acceptor_owes_header(struct acceptor *ac, const struct arrival *in);
void acceptor_await_header(struct acceptor *ac, const struct arrival *in);
void acceptor_pending_ready(struct acceptor *ac, struct pending *p, bool hung_up);
void acceptor_expire_pending(struct acceptor *ac);
int64_t acceptor_next_deadline(const struct acceptor *ac); /* -1: none */
void acceptor_drop_pending(struct acceptor *ac);
#else
static inline bool acceptor_owes_header(struct acceptor *ac, const struct arrival *in)
{
    (void)ac;
    (void)in;
    return false;
}
static inline void acceptor_await_header(struct acceptor *ac, const struct arrival *in)
{
    (void)ac;
    (void)in;
}
static inline void acceptor_pending_ready(struct acceptor *ac, struct pending *p, bool hung_up)
{
    (void)ac;
    (void)p;
    (void)hung_up;
}
static inline void acceptor_expire_pending(struct acceptor *ac)
{
    (void)ac;
}
static inline int64_t acceptor_next_deadline(const struct acceptor *ac)
{
    (void)ac;
    return -1;
}
static inline void acceptor_drop_pending(struct acceptor *ac)
{
    (void)ac;
}
#endif

#endif
