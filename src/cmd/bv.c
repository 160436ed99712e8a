#include <string.h>

#include "base/debug.h"
#include "cmd/bt.h"
#include "cmd/cmd.h"
#include "verify.h"

/* -bv: as recipients; -bvs: as senders. With -v or -d all generated addresses are looked at. */
int cmd_bv(struct exim *e, const struct cmd_line *c)
{
    bool sender = strcmp(c->mode->name, "bvs") == 0;
    const struct verify_options o = { .flags = VERIFY_FAKE | VERIFY_QUALIFY | (sender ? VERIFY_SENDER : 0) };
    struct verify_print how = { .full = c->verbose || debug_mask != 0 };

    return bt_run(e, c, &o, &how);
}
