/* exim.h - the process's context: what main made, replaceable in tests.
 *
 * One per process; forked children inherit it. const struct config is swapped on SIGHUP by
 * making a new context, never changed in place. */
#ifndef EXIM_EXIM_H
#define EXIM_EXIM_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/tod.h"

struct arena;
struct broker;
struct config;
struct hints;
struct hooks;
struct log;
struct resolver;
struct retry_cache;
struct search;
struct spool_extras;
struct interface_cache;
struct tls_cache;
struct wal;

struct exim {
    struct arena *arena; /* as long as the process */
    const struct config *config;
    const struct hooks *hooks;
    struct log *log;
    struct resolver *resolver; /* dns.h */
    struct retry_cache *retry; /* what this process knows of the retry hints: retry.h */
    struct hints *hints;       /* hintsdb.h */
    struct search *search;     /* open lookup files and cached answers: search.h */
    struct interface_cache *interfaces; /* host_local.c; NULL until asked for */
    struct tls_cache *tls;     /* contexts and sessions: tls.h; NULL until TLS is used */
    const int *spool_fd;       /* the spool directory, where it is kept open (spool_stay_near); NULL */
    const struct spool_extras *spool_scan; /* what was found there then; NULL */
    struct wal *wal;           /* the daemon's log of the spool: spool_wal.h; NULL outside it */
    struct broker *broker;     /* way to the broker, for agents: priv.h; NULL before priv_start */
    struct msgid_clock ids;

    /* Who called us (command line modes). */
    uid_t real_uid;
    gid_t real_gid;
    const char *originator_login, *originator_name; /* from passwd or -F */
    bool admin, trusted;
    bool privileged;   /* started as root: local deliveries change uid through the broker */
    bool callout_checking; /* -bhc: in host checking callouts are made too */
    bool host_checking, address_test; /* -bh, -bt: nothing is changed or sent */
    int queue_fd;      /* seqpacket to the queue process; -1: none (command line) */
    long connection_max_messages; /* -oB, for every smtp transport; 0: their own */
    const char *exim_path, *initial_cwd;
    const char *message_reference; /* -oMm: R= of the messages taken in; or NULL */
};

#endif
