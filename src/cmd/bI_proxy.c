#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/tod.h"
#include "cmd/cmd.h"
#include "config/config.h"
#include "daemon.h"
#include "exim.h"
#include "ipc.h"

enum { ANSWER_MS = 10 * 1000 };

/* The daemon's counts of PROXY headers (-bI:proxy). */
int cmd_bI_proxy(struct exim *e, const struct cmd_line *c)
{
    struct ipc_record r = { .kind = IPC_STATUS };
    int fd = daemon_queue_connect(e), extra = -1;
    bool ok = fd >= 0 && ipc_send(fd, &r, -1) &&
              fd_wait_read(fd, tod_monotonic_ms() + ANSWER_MS) > 0 &&
              ipc_receive(fd, e->arena, &r, &extra) == IPC_OK && r.kind == IPC_ANSWER;

    (void)c;
    if (ok)
        printf("%s", r.answer.text != NULL ? r.answer.text : "");
    else
        fprintf(stderr, "exim: no daemon answers for %s\n", e->config->spool_directory);
    if (extra >= 0)
        (void)fd_close(extra);
    if (fd >= 0)
        (void)fd_close(fd);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
