#include "smtp/dsn_params.h"

#include "dsn.h"

#include "smtp/smtp_int.h"

static struct message *message(struct smtp_state *st)
{
    return st->s->message;
}

const char *smtp_dsn_ret(struct smtp_state *st, struct recipient *r, const char *value)
{
    struct message *m = message(st);
    const char *why;

    (void)r;
    if (m->dsn_ret != DSN_RET_NONE)
        return "RET can be specified once only";
    return dsn_parse_ret(value, &m->dsn_ret, &why) ? NULL : why;
}

const char *smtp_dsn_envid(struct smtp_state *st, struct recipient *r, const char *value)
{
    struct message *m = message(st);
    const char *why;

    (void)r;
    if (m->dsn_envid != NULL)
        return "ENVID can be specified once only";
    return dsn_parse_envid(m->arena, value, &m->dsn_envid, &why) ? NULL : why;
}

const char *smtp_dsn_notify(struct smtp_state *st, struct recipient *r, const char *value)
{
    const char *why;

    (void)st;
    if (r->dsn_flags != 0)
        return "NOTIFY can be specified once only";
    return dsn_parse_notify(value, &r->dsn_flags, &why) ? NULL : why;
}

const char *smtp_dsn_orcpt(struct smtp_state *st, struct recipient *r, const char *value)
{
    struct message *m = message(st);
    const char *why;

    if (r->orcpt != NULL)
        return "ORCPT can be specified once only";
    return dsn_parse_orcpt(m->arena, value, m->smtputf8, &r->orcpt, &why) ? NULL : why;
}

bool smtp_dsn_offered(const struct smtp_state *st)
{
    return st->s->dsn_advertised;
}
