#include "cmd/bm_dsn.h"

#include "cmd/cmd.h"
#include "dsn.h"
#include "message.h"

bool bm_dsn_set(const struct cmd_line *c, struct message *m, const char **why)
{
    unsigned notify = 0;

    if ((c->dsn_ret != NULL && !dsn_parse_ret(c->dsn_ret, &m->dsn_ret, why)) ||
        (c->dsn_envid != NULL && !dsn_parse_envid(m->arena, c->dsn_envid, &m->dsn_envid, why)) ||
        (c->dsn_notify != NULL && !dsn_parse_notify(c->dsn_notify, &notify, why)))
        return false;
    m->dsn_notify_default = notify;
    return true;
}
