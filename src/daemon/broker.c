#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/tod.h"
#include "config/config.h"
#include "daemon/daemon_int.h"
#include "dns.h"
#include "exim.h"
#include "priv.h"
#include "spool_wal.h"
#include "version.h"

enum { ROLE_ACCEPTOR, ROLE_QUEUE, ROLES };
enum { RETIRED_MAX = 32, SOON_MS = 1000 };

struct role {
    const char *name;
    void (*run)(struct daemon *d);
    pid_t pid; /* 0: not running */
    int64_t started_ms, start_at_ms;
};

struct broker_state {
    struct daemon *daemon;
    struct role roles[ROLES];
    struct {
        pid_t pid;
        int role;
    } retired[RETIRED_MAX]; /* of earlier configurations: they finish what they have */
    size_t retired_count;
    struct priv_agents *agents;
    bool stopping, queue_told;
    sigset_t during_wait;
};

void daemon_become_role(struct daemon *d, const char *title, const int *keep, size_t n)
{
    struct exim *e = d->exim;
    struct err err = { 0 };

    priv_close_others(e, keep, n);
    if (!priv_drop(e, &err)) {
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "%s", err.msg);
        _exit(EXIT_FAILURE);
    }
    dns_prepare(e->resolver);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM); /* reset by the change of ids */
    proc_title("%s", title);
}

static bool role_is_wanted(const struct broker_state *s, const struct role *r)
{
    return !s->stopping && (r->run != daemon_acceptor || s->daemon->listener_count > 0);
}

static void start_role(struct broker_state *s, struct role *r)
{
    pid_t pid = proc_fork(r->name);

    if (pid == 0) {
        r->run(s->daemon);
        _exit(0);
    }
    r->started_ms = tod_monotonic_ms();
    r->start_at_ms = r->started_ms + SOON_MS;
    r->pid = pid > 0 ? pid : 0;
    if (pid < 0)
        log_write(s->daemon->exim->log, LOG_MAIN | LOG_PANIC, NULL, "cannot start the %s: %s", r->name,
                  strerror(errno));
}

/* Those that are missing; one that keeps dying is started once a second. Returns the ms to wait. */
static int start_missing(struct broker_state *s)
{
    int64_t now = tod_monotonic_ms(), next = -1;

    for (int i = 0; i < ROLES; i++) {
        struct role *r = &s->roles[i];

        if (r->pid != 0 || !role_is_wanted(s, r))
            continue;
        if (now >= r->start_at_ms)
            start_role(s, r);
        if (r->pid == 0 && (next < 0 || r->start_at_ms - now < next))
            next = r->start_at_ms > now ? r->start_at_ms - now : 0;
    }
    return (int)next;
}

static void role_ended(struct broker_state *s, struct role *r, int status)
{
    struct log *log = s->daemon->exim->log;

    if (!s->stopping && WIFSIGNALED(status))
        log_write(log, LOG_MAIN | LOG_PANIC, NULL, "%s process %d ended by signal %d: another one is started",
                  r->name, (int)r->pid, WTERMSIG(status));
    else if (!s->stopping)
        log_write(log, LOG_MAIN | LOG_PANIC, NULL, "%s process %d ended with status %d: another one is started",
                  r->name, (int)r->pid, WEXITSTATUS(status));
    r->pid = 0;
}

static void process_ended(struct broker_state *s, pid_t pid, int status)
{
    for (int i = 0; i < ROLES; i++)
        if (s->roles[i].pid == pid) {
            role_ended(s, &s->roles[i], status);
            return;
        }
    for (size_t i = 0; i < s->retired_count; i++)
        if (s->retired[i].pid == pid) {
            s->retired[i] = s->retired[--s->retired_count];
            return;
        }
    if (WIFSIGNALED(status)) /* whoever asked for it defers its addresses */
        log_write(s->daemon->exim->log, LOG_MAIN | LOG_PANIC, NULL,
                  "local delivery process %d ended by signal %d", (int)pid, WTERMSIG(status));
}

static void reap(struct broker_state *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        process_ended(s, pid, status);
}

static void retire(struct broker_state *s, int which)
{
    struct role *r = &s->roles[which];

    if (r->pid == 0)
        return;
    (void)kill(r->pid, SIGHUP);
    if (s->retired_count < RETIRED_MAX) {
        s->retired[s->retired_count].pid = r->pid;
        s->retired[s->retired_count++].role = which;
    }
    r->pid = 0;
    r->start_at_ms = 0;
}

/* ---- SIGHUP ---- */

static bool is_listener_of(const struct daemon *d, int fd)
{
    for (size_t i = 0; i < d->listener_count; i++)
        if (d->listeners[i].fd == fd)
            return true;
    return false;
}

static void close_unused(const struct daemon *old, const struct daemon *now)
{
    for (size_t i = 0; i < old->listener_count; i++)
        if (!is_listener_of(now, old->listeners[i].fd))
            (void)fd_close(old->listeners[i].fd);
    if (old->submission_fd >= 0 && old->submission_fd != now->submission_fd)
        (void)fd_close(old->submission_fd);
}

static struct daemon *daemon_for(const struct daemon *old, struct err *err)
{
    struct exim *e = old->options->reload(old->options, err);

    if (e == NULL)
        return NULL;
    struct daemon *d = arena_new_obj(e->arena, struct daemon);
    *d = *old;
    d->exim = e;
    e->privileged = old->exim->privileged;
    e->wal = old->exim->wal;
    return daemon_listen(e, e->arena, old, d, err) ? d : NULL;
}

static void log_started(const struct daemon *d)
{
    const struct daemon_options *o = d->options;
    struct arena *a = arena_new("started");
    const char *runs = o->queue_interval > 0
                           ? arena_printf(a, "-q%s", tod_interval_print(a, o->queue_interval))
                           : "no queue runs";
    const char *listening = d->listener_count > 0
                                ? arena_printf(a, "listening for %s", daemon_listen_text(a, d))
                                : "not listening for SMTP";

    log_write(d->exim->log, LOG_MAIN, NULL, "exim %s daemon started: pid=%d, %s, %s", EXIM_VERSION,
              (int)getpid(), runs, listening);
    proc_title("daemon(%s): %s, %s", EXIM_VERSION, runs, listening);
    arena_destroy(&a);
}

static void reload(struct broker_state *s)
{
    struct daemon *old = s->daemon;
    struct err err = { 0 };

    log_reopen(old->exim->log);
    log_write(old->exim->log, LOG_MAIN, NULL, "pid %d: SIGHUP received: re-exec daemon", (int)getpid());
    struct daemon *d = old->options->reload == NULL ? NULL : daemon_for(old, &err);
    if (d == NULL) {
        log_write(old->exim->log, LOG_MAIN | LOG_PANIC, NULL,
                  "the new configuration is refused, the old one stays: %s",
                  err.msg == NULL ? "it cannot be read again" : err.msg);
        return;
    }
    close_unused(old, d);
    priv_agents_forget(s->agents);
    s->daemon = d;
    retire(s, ROLE_ACCEPTOR);
    retire(s, ROLE_QUEUE);
    (void)start_missing(s);
    log_started(d);
}

/* ---- the end ---- */

static void remove_pid_file(const struct daemon *d)
{
    const char *path = d->options->oP != NULL ? d->options->oP : d->exim->config->pid_file_path;
    struct arena *a = arena_new("pid");
    struct str text;
    char own[16];

    (void)snprintf(own, sizeof(own), "%d\n", (int)getpid());
    if (path != NULL && file_slurp(a, path, 64, &text) && str_eq(text, str_from(own)))
        (void)unlink(path);
    arena_destroy(&a);
}

static void signal_role(struct broker_state *s, int which, int sig)
{
    if (s->roles[which].pid != 0)
        (void)kill(s->roles[which].pid, sig);
    for (size_t i = 0; i < s->retired_count; i++)
        if (s->retired[i].role == which)
            (void)kill(s->retired[i].pid, sig);
}

static bool role_is_left(const struct broker_state *s, int which)
{
    for (size_t i = 0; i < s->retired_count; i++)
        if (s->retired[i].role == which)
            return true;
    return s->roles[which].pid != 0;
}

/* First those who accept; the queue hears of their last messages before it ends. Asked again: at once. */
static void stop(struct broker_state *s)
{
    if (s->stopping) {
        signal_role(s, ROLE_ACCEPTOR, SIGKILL);
        signal_role(s, ROLE_QUEUE, SIGKILL);
        return;
    }
    s->stopping = true;
    for (size_t i = 0; i < s->daemon->listener_count; i++)
        (void)fd_close(s->daemon->listeners[i].fd);
    s->daemon->listener_count = 0;
    daemon_submission_close(s->daemon);
    remove_pid_file(s->daemon);
    signal_role(s, ROLE_ACCEPTOR, SIGTERM);
}

static void stop_queue_when_last(struct broker_state *s)
{
    if (!s->stopping || s->queue_told || role_is_left(s, ROLE_ACCEPTOR))
        return;
    s->queue_told = true;
    signal_role(s, ROLE_QUEUE, SIGTERM);
}

static bool anyone_left(const struct broker_state *s)
{
    return role_is_left(s, ROLE_ACCEPTOR) || role_is_left(s, ROLE_QUEUE);
}

static void handle_signals(struct broker_state *s)
{
    if (proc_got_chld) {
        proc_got_chld = 0;
        reap(s);
    }
    if (proc_got_term) {
        proc_got_term = 0;
        stop(s);
    }
    if (proc_got_hup) {
        proc_got_hup = 0;
        if (!s->stopping)
            reload(s);
    }
    if (proc_got_usr1) {
        proc_got_usr1 = 0;
        daemon_show(s->daemon->exim);
    }
}

static void wait_and_serve(struct broker_state *s, int wait_ms)
{
    struct daemon *d = s->daemon;
    struct pollfd fds[] = { { .fd = d->queue_agents[0], .events = POLLIN },
                            { .fd = d->session_agents[0], .events = POLLIN } };
    struct timespec t = { wait_ms / 1000, wait_ms % 1000 * 1000000L };

    if (ppoll(fds, ARRAY_LEN(fds), wait_ms < 0 ? NULL : &t, &s->during_wait) <= 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        if (fds[i].revents != 0 && !priv_serve(d->exim, i == 0 ? s->agents : NULL, fds[i].fd))
            log_write(d->exim->log, LOG_MAIN | LOG_PANIC, NULL, "broker: lost a channel: %s",
                      strerror(errno));
}

int daemon_broker(struct daemon *d)
{
    struct broker_state s = {
        .daemon = d,
        .agents = priv_agents_new(d->exim->arena),
        .roles = { [ROLE_ACCEPTOR] = { .name = "acceptor", .run = daemon_acceptor },
                   [ROLE_QUEUE] = { .name = "queue", .run = daemon_queue } },
    };

    daemon_signals_block(&s.during_wait);
    d->exim->privileged = geteuid() == 0;
    log_started(d);
    do {
        int wait_ms = start_missing(&s);

        wait_and_serve(&s, wait_ms);
        handle_signals(&s);
        stop_queue_when_last(&s);
    } while (!s.stopping || anyone_left(&s));
    if (s.daemon->exim->wal != NULL)
        wal_remove(s.daemon->exim, s.daemon->exim->wal);
    return EXIT_SUCCESS;
}
