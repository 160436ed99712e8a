/* daemon.h - the daemon: broker, acceptor, sessions, queue, delivery workers (doc/dev/processes.md). */
#ifndef EXIM_DAEMON_H
#define EXIM_DAEMON_H

#include <stdbool.h>

struct exim;

struct daemon_options {
    bool listen;            /* -bd */
    bool foreground;        /* -bdf, or debug */
    long queue_interval;    /* -q<time>; 0 none */
    const char *oX, *oP;
    bool tls_on_connect;
    const char *config_filename;
    char **argv;            /* for re-reading on SIGHUP */
};
int daemon_run(struct exim *e, const struct daemon_options *o);
/* bi "-bs" from inetd and others that want a daemon's queue: connects its control socket; -1 none. */
int daemon_queue_connect(struct exim *e);

#endif
