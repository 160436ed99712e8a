#include "queue_worker.h"

#include <string.h>
#include <sys/resource.h>

#include "base/proc.h"
#include "deliver.h"
#include "deliver/agent.h"
#include "exim.h"
#include "priv.h"
#include "transports/tidy.h"

enum {
    SERVED_MAX = 20000,        /* messages of one worker */
    GROWTH_MAX_KB = 64 * 1024, /* of its memory */
    GROWTH_LOOK = 16,          /* messages: how often that is looked at */
};

static long memory_kb(void)
{
    struct rusage use;

    return getrusage(RUSAGE_SELF, &use) == 0 ? use.ru_maxrss : 0;
}

void queue_worker_begin(struct exim *e, int fd)
{
    int keep[] = { fd, priv_broker_socket(e->broker), e->queue_fd };
    sigset_t none;

    priv_close_others(e, keep, ARRAY_LEN(keep));
    proc_catch(SIGTERM); /* what is under way is finished first */
    proc_ignore(SIGINT);
    proc_ignore(SIGPIPE);
    proc_default(SIGCHLD);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

struct queue_worker queue_worker_init(struct exim *e)
{
    return (struct queue_worker){ .exim = e, .memory_max = memory_kb() + GROWTH_MAX_KB };
}

static bool is_worn(struct queue_worker *w)
{
    return ++w->served >= SERVED_MAX || (w->served % GROWTH_LOOK == 0 && memory_kb() > w->memory_max);
}

struct ipc_report queue_worker_deliver(struct queue_worker *w, const struct ipc_deliver *job)
{
    struct deliver_report report = { 0 };
    struct deliver_options o = {
        .force = job->flags & IPC_FORCE,
        .force_frozen = job->flags & IPC_FORCE_FROZEN,
        .queue_run = job->flags & IPC_QUEUE_RUN,
        .local_only = job->flags & IPC_LOCAL_ONLY,
        .queue_smtp = job->flags & IPC_QUEUE_SMTP,
        .rest_only = job->flags & IPC_REST,
        .pretend = job->flags & IPC_PRETEND,
    };
    struct ipc_report r = { 0 };

    proc_title("delivering %s", job->id);
    r.rc = (int)deliver_message(w->exim, job->id, job->place, &o, &report);
    r.next_try = report.next_try;
    memcpy(r.id, job->id, sizeof(r.id));
    r.leaving = is_worn(w) || proc_got_term;
    return r;
}

void queue_worker_let_go(void)
{
    tidy_transports();
    agent_close_all();
}
