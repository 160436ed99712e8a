/* daemon.h - the daemon: broker, acceptor, sessions, queue, delivery workers (doc/dev/processes.md). */
#ifndef EXIM_DAEMON_H
#define EXIM_DAEMON_H

#include <stdbool.h>

#include "base/err.h"

struct exim;
struct queue_run_options;
struct receive_options;

struct daemon_options {
    bool listen;            /* -bd */
    bool foreground;        /* -bdf, or debug */
    long queue_interval;    /* -q<time>; 0 none */
    const char *oX, *oP;
    bool tls_on_connect;
    const char *config_filename;
    char **argv;            /* for re-reading on SIGHUP */
    const struct queue_run_options *queue; /* -qff<time>; NULL: plain runs */
    const struct receive_options *receive; /* -odq ... for messages that come over the network; NULL: none */
    /* Reads the configuration as the command line says: a context like the one main made, with an arena
     * of its own; NULL with err when it is refused. NULL: SIGHUP changes nothing. */
    struct exim *(*reload)(const struct daemon_options *o, struct err *err);
    void *reload_arg;
};
int daemon_run(struct exim *e, const struct daemon_options *o);
/* -bs from inetd and others that want a daemon's queue: connects its control socket; -1 none. */
int daemon_queue_connect(struct exim *e);

#endif
