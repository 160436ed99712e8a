#include "transports/smtp.h"

#include "base/arena.h"
#include "base/tod.h"
#include "host.h"
#include "transports/smtp_int.h"

struct smtp_talk {
    struct smtp_attempt at;
};

struct smtp_talk *smtp_talk_open(const struct smtp_talk_request *rq, struct smtp_fault *fault)
{
    struct smtp_talk *talk = arena_new_obj(rq->arena, struct smtp_talk);
    struct smtp_attempt *at = &talk->at;
    const struct smtp_transport *t = (const struct smtp_transport *)rq->transport;

    *at = (struct smtp_attempt){ .t = t,
                                 .ctx = *rq->ctx,
                                 .arena = rq->arena,
                                 .host = rq->host,
                                 .address = rq->host->address,
                                 .connect_timeout = rq->connect_timeout > 0 ? rq->connect_timeout : t->connect_timeout,
                                 .command_timeout = rq->command_timeout > 0 ? rq->command_timeout : t->command_timeout,
                                 .callout = rq->callout };
    at->ctx.host = rq->host;
    if (smtp_policy_read(at) && smtp_dane_find(at) && smtp_open_connection(at))
        return talk;
    *fault = at->fault;
    return NULL;
}

struct client *smtp_talk_client(struct smtp_talk *t)
{
    return &t->at.conn->client;
}

int64_t smtp_talk_deadline(const struct smtp_talk *t)
{
    return smtp_open_deadline(&t->at);
}

struct smtp_fault smtp_talk_fault(struct smtp_talk *t, const char *after)
{
    (void)smtp_fault_reply(&t->at, SMTP_SCOPE_HOST, after);
    return t->at.fault;
}

void smtp_talk_close(struct smtp_talk **tp)
{
    struct smtp_talk *t = *tp;

    *tp = NULL;
    if (t == NULL || t->at.conn == NULL)
        return;
    smtp_cache_quit(t->at.conn);
    t->at.conn = NULL;
}
