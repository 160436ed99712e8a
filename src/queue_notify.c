#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/tod.h"
#include "exim.h"
#include "ipc.h"
#include "message.h"
#include "queue.h"
#include "spool.h"

static bool tell(struct exim *e, const char *id, enum ipc_notice_what what,
                 uint64_t place)
{
    struct ipc_record r = { .kind = IPC_NOTICE,
                            .notice = { .what = what, .place = place } };

    if (e->queue_fd < 0)
        return false;
    memcpy(r.notice.id, id, sizeof(r.notice.id));
    return ipc_send(e->queue_fd, &r, -1);
}

static bool hand_over(struct exim *e, struct message *m, enum ipc_notice_what what)
{
    if (e->queue_fd < 0)
        return false;
    spool_unlock(m);
    return tell(e, m->id, what, m->place);
}

bool queue_notify(struct exim *e, struct message *m, bool deliver)
{
    return hand_over(e, m, deliver ? IPC_NOTICE_DELIVER : IPC_NOTICE_KEEP);
}

bool queue_notify_local(struct exim *e, struct message *m)
{
    return hand_over(e, m, IPC_NOTICE_LOCAL);
}

/* Also when the log cannot be read: nobody works on a message that may be in it. */
static bool is_in_log(struct exim *e, const char *id)
{
    struct arena *a = arena_new("log of the spool");
    struct spool_logged found;
    struct err err = { 0 };
    bool yes = spool_file_size(e, id, SPOOL_PART_HEADER) < 0 &&
               (spool_find_logged(e, a, id, &found, &err) || err.msg != NULL);

    arena_destroy(&a);
    return yes;
}

/* Its worker says first that it has files, then lets go of them. */
static bool is_free(struct exim *e, const char *id)
{
    struct message *m = NULL;
    struct err err = { 0 };
    enum spool_rc rc = spool_load(e, id, 0, &m, &err);

    if (rc == SPOOL_OK)
        message_free(&m);
    return rc != SPOOL_LOCKED;
}

bool queue_settle(struct exim *e, const char *id)
{
    enum { STEP_MS = 20, PATIENCE_MS = 5 * 1000 };
    struct err err = { 0 };

    if (!spool_recover(e, &err))
        log_write(e->log, LOG_MAIN | LOG_PANIC, NULL, "%s", err.msg);
    if (!is_in_log(e, id))
        return true;
    bool settled = false, asked = tell(e, id, IPC_NOTICE_REST, 0);
    int64_t end = tod_monotonic_ms() + PATIENCE_MS;
    while (asked && !settled && tod_monotonic_ms() < end) {
        (void)poll(NULL, 0, STEP_MS);
        settled = !is_in_log(e, id) && is_free(e, id);
    }
    return settled;
}

void queue_notify_changed(struct exim *e, const char *id)
{
    bool told = tell(e, id, IPC_NOTICE_CHANGED, 0);

    (void)told; /* no daemon: nothing is remembered */
}
