#include "dsn.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "deliver.h"
#include "deliver/deliver_int.h"
#include "dsn_int.h"
#include "dsn_once.h"
#include "exim.h"
#include "expand.h"
#include "message.h"

enum { REPORT_MAX = 256 * 1024 * 1024 };

static void complain(struct delivery *d, const struct dsn_plan *p, const struct err *err)
{
    log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id, "failed to make a report for %s: %s",
              p->report.to, err->msg);
}

static void begin(struct delivery *d, struct dsn_plan *p)
{
    struct err err = { 0 };

    p->submission = deliver_submit_begin(d->exim, "", &p->report.to, 1, d->message->id, &err);
    if (p->submission == NULL)
        complain(d, p, &err);
    else
        deliver_submit_hold(p->submission, p->report.utf8);
}

static void commit(struct delivery *d, struct dsn_plan *p)
{
    struct arena *a = arena_new("report");
    struct expand_ctx ctx;
    struct err err = { 0 };
    struct buf out = buf_init(a, REPORT_MAX);

    expand_ctx_init(&ctx, d->exim, a);
    ctx.message = d->message;
    ctx.delivery = d;
    ctx.bounce_recipient = p->report.to;
    ctx.warn_message_recipients = p->report.to;
    ctx.warn_message_delay = p->report.delay;
    bool printed = p->seven ? dsn_7bit_print(a, d->message, &out, &err) : dsn_report_print(&ctx, &p->report, &out, &err);
    p->committed = printed && deliver_submit_commit(p->submission, buf_view(&out), &err);
    if (!p->committed)
        complain(d, p, &err);
    arena_destroy(&a);
}

/* Failed addresses whose report was not made stay in the queue, to fail again. */
static void keep_unreported(const struct dsn_plan *p)
{
    for (const struct dsn_item *i = p->items; i != NULL; i = i->next)
        if (i->kind == DSN_REPORT_FAILURE)
            i->addr->flags |= ADDR_UNREPORTED;
}

/* False: some of them could not be made. */
static bool finish(struct delivery *d, struct dsn_plan *plans)
{
    bool all = true;
    unsigned warning = 0;

    for (struct dsn_plan *p = plans; p != NULL; p = p->next) {
        if (p->submission != NULL && p->committed)
            deliver_submit_release(&p->submission);
        else if (p->submission != NULL)
            deliver_submit_abandon(&p->submission);
        if (!p->committed) {
            keep_unreported(p);
            all = false;
        }
        warning = p->report.kind == DSN_REPORT_DELAY ? p->warning : warning;
    }
    if (all && warning > 0)
        dsn_plan_warned(d, warning);
    return all;
}

/* The order is the point: see doc/dev/reports.md. */
bool dsn_send_reports(struct delivery *d)
{
    struct dsn_plan *plans = dsn_plan_all(d);

    if (plans == NULL) {
        dsn_once_forget_facts(d);
        return true;
    }
    for (struct dsn_plan *p = plans; p != NULL; p = p->next)
        begin(d, p);
    if (dsn_once_intend(d, plans)) {
        for (struct dsn_plan *p = plans; p != NULL; p = p->next)
            if (p->submission != NULL)
                commit(d, p);
        if (!dsn_once_done(d, plans)) {
            d->spool_unsure = true;
            for (struct dsn_plan *p = plans; p != NULL; p = p->next)
                p->committed = false;
        }
    }
    return finish(d, plans);
}
