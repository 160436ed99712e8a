#include <errno.h>
#include <string.h>

#include "exim.h"
#include "ipc.h"
#include "message.h"
#include "queue.h"
#include "spool.h"

static bool tell(struct exim *e, const char *id, enum ipc_notice_what what)
{
    struct ipc_record r = { .kind = IPC_NOTICE, .notice.what = what };

    if (e->queue_fd < 0)
        return false;
    memcpy(r.notice.id, id, sizeof(r.notice.id));
    return ipc_send(e->queue_fd, &r, -1);
}

bool queue_notify(struct exim *e, struct message *m, bool deliver)
{
    if (e->queue_fd < 0)
        return false;
    spool_unlock(m);
    return tell(e, m->id, deliver ? IPC_NOTICE_DELIVER : IPC_NOTICE_KEEP);
}

void queue_notify_changed(struct exim *e, const char *id)
{
    bool told = tell(e, id, IPC_NOTICE_CHANGED);

    (void)told; /* no daemon: nothing is remembered */
}
