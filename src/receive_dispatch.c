#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "config/config.h"
#include "deliver.h"
#include "exim.h"
#include "message.h"
#include "queue.h"
#include "receive.h"
#include "session.h"
#include "spool.h"
#include "transports/tidy.h"

enum when { WHEN_NOW, WHEN_LOCAL_NOW /* remote ones wait */, WHEN_LATER };

/* queue_only_file: what waits while a file is there; "smtp/path": only remote deliveries.
 */
static enum when by_files(struct session *s, struct arena *a)
{
    const char *list = s->exim->config->main.queue_only_file;
    struct list_iter it = list_begin(list != NULL ? list : "", ':');
    enum when when = WHEN_NOW;
    struct stat st;

    for (const char *path; (path = list_next(&it, a)) != NULL;) {
        bool smtp = cstr_starts(path, "smtp");

        if (*path == '\0' || stat(smtp ? path + 4 : path, &st) < 0)
            continue;
        if (!smtp)
            return WHEN_LATER;
        when = WHEN_LOCAL_NOW;
    }
    return when;
}

/* Why the message has to wait: text for the log, "" for none that is logged; NULL: it
 * need not. */
static const char *why_wait(struct session *s, const struct message *m)
{
    const struct main_options *o = &s->exim->config->main;
    double load;

    if (o->smtp_accept_queue > 0 && s->smtp_input &&
        (long)s->count_at_start > o->smtp_accept_queue)
        return arena_printf(m->arena, "too many connections (%u, max %ld)",
                            s->count_at_start, o->smtp_accept_queue);
    if (o->smtp_accept_queue_per_connection > 0 && s->smtp_input &&
        (long)s->messages_received > o->smtp_accept_queue_per_connection)
        return arena_printf(m->arena, "more than %ld messages received in one connection",
                            o->smtp_accept_queue_per_connection);
    if (o->queue_only_load < 0 || getloadavg(&load, 1) != 1 ||
        load * 1000 <= o->queue_only_load)
        return NULL;
    if (o->queue_only_load_latch)
        s->queue_only_connection = true;
    return arena_printf(m->arena, "load average %.2f", load);
}

static enum when decide(struct session *s, const struct message *m,
                        const struct receive_options *o)
{
    const struct main_options *c = &s->exim->config->main;
    bool asked = o->foreground || (o->background && o->delivery_given);
    bool overrides = asked && c->queue_only_override;

    if (m->queue_only || o->queue_only || s->queue_only_connection)
        return WHEN_LATER;
    if (c->queue_only && !overrides)
        return WHEN_LATER;
    const char *why = overrides ? NULL : why_wait(s, m);
    if (why != NULL) {
        log_write(s->exim->log, LOG_MAIN, m->id, "no immediate delivery: %s", why);
        return WHEN_LATER;
    }
    enum when when = overrides ? WHEN_NOW : by_files(s, m->arena);
    return when == WHEN_NOW && o->queue_smtp ? WHEN_LOCAL_NOW : when;
}

static void close_client(const struct session *s, bool background)
{
    int null = fd_open("/dev/null", O_RDWR, 0);

    if (s->fd > STDERR_FILENO)
        (void)fd_close(s->fd);
    if (null < 0 || !background)
        return;
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    (void)dup2(null, STDERR_FILENO);
    if (null > STDERR_FILENO)
        (void)fd_close(null);
}

static void NORETURN deliver_here(struct session *s, const char *id,
                                  const struct deliver_options *o)
{
    struct deliver_report report = { 0 };

    (void)deliver_message(s->exim, id, 0, o, &report);
    tidy_transports();
    _exit(EXIT_SUCCESS);
}

/* Background: the child's child delivers, so that nobody has to wait for it. */
static void fork_delivery(struct session *s, struct message *m,
                          const struct deliver_options *o, bool foreground)
{
    pid_t pid = proc_fork("delivery");

    if (pid < 0) {
        log_write(s->exim->log, LOG_MAIN | LOG_PANIC, m->id,
                  "cannot fork a delivery: it waits in the queue");
        return;
    }
    if (pid == 0) {
        close_client(s, !foreground);
        if (!foreground) {
            (void)setsid();
            pid_t again = proc_fork("delivery");
            if (again != 0)
                _exit(EXIT_SUCCESS);
        }
        deliver_here(s, m->id, o);
    }
    (void)proc_wait(pid, -1);
}

void receive_dispatch(struct session *s, struct message *m,
                      const struct receive_options *o)
{
    struct exim *e = s->exim;

    if (e->host_checking)
        return;
    if (m->frozen_at != 0 && !m->freeze_no_tell) /* control = freeze */
        deliver_tell_frozen(e, m, NULL);
    enum when when = m->frozen_at != 0 ? WHEN_LATER : decide(s, m, o);
    if (e->queue_fd >= 0 && !o->foreground &&
        (when == WHEN_LOCAL_NOW ? queue_notify_local(e, m) : queue_notify(e, m, when == WHEN_NOW)))
        return;
    struct err err = { 0 };
    if (!spool_rest(e, m, &err)) { /* durable all the same: the queue finds it */
        log_write(e->log, LOG_MAIN | LOG_PANIC, m->id, "%s", err.msg);
        return;
    }
    spool_unlock(m);
    if (when == WHEN_LATER)
        return;
    struct deliver_options d = { .queue_smtp = when == WHEN_LOCAL_NOW };
    fork_delivery(s, m, &d, o->foreground);
}
