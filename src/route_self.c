#include "route_int.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/log.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "routers/change_domain.h"

static const char *words(const struct host *h)
{
    return h->mx >= 0 ? "lowest numbered MX record points to local host"
                      : "remote host address is the local host";
}

static enum route_rc refuse(struct route_call *call, const struct host *h, enum route_rc rc)
{
    route_result(call, rc, ERR_UNKNOWNERROR, rc == ROUTE_FAIL ? "5.4.6" : "4.4.6", "%s", words(h));
    call->addr->result.pass_message = true;
    return rc;
}

static enum route_rc freeze(struct route_call *call, const struct host *h)
{
    const struct message *m = call->ctx->message;

    log_write(call->ctx->exim->log, LOG_MAIN, m == NULL ? NULL : m->id, "%s: %s (while routing <%s>)", words(h),
              call->addr->domain, call->addr->address);
    refuse(call, h, ROUTE_DEFER);
    call->addr->result.freeze = true;
    return ROUTE_DEFER;
}

enum route_rc route_self(struct route_call *call, struct host *host, const char **new_domain)
{
    const struct router *r = call->addr->router;

    *new_domain = NULL;
    switch (r->self_action) {
    case SELF_SEND:
        return ROUTE_OK;
    case SELF_DEFER:
        return refuse(call, host, ROUTE_DEFER);
    case SELF_FAIL:
        return refuse(call, host, ROUTE_FAIL);
    case SELF_PASS:
        call->addr->self_hostname = host->name;
        refuse(call, host, ROUTE_PASS);
        return ROUTE_PASS;
    case SELF_REROUTE:
        *new_domain = r->self_reroute_domain;
        change_domain(call, *new_domain, r->self_rewrite);
        return ROUTE_REROUTED;
    default:
        return freeze(call, host);
    }
}
