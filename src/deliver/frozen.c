#include "deliver/deliver_int.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "message.h"
#include "spool.h"

enum { REPORT_MAX = 64 * 1024 };

void deliver_tell_frozen(struct exim *e, const struct message *m, const char *why)
{
    const struct config *c = e->config;
    struct arena *a = arena_new("freeze_tell");
    struct list_iter it = list_begin(c->main.freeze_tell == NULL ? "" : c->main.freeze_tell, ':');
    struct buf b = buf_init(a, REPORT_MAX);
    const char *address;
    char id[MSGID_LEN + 1];
    struct err err = { 0 };

    /* A report of ours that is stuck tells nobody: that way lies a loop. */
    while (!m->local_error_message && (address = list_next(&it, a)) != NULL) {
        if (*address == '\0')
            continue;
        buf_clear(&b);
        buf_printf(&b, "From: Mail Delivery System <Mailer-Daemon@%s>\nTo: %s\n"
                       "Subject: Message %s has been frozen\nAuto-Submitted: auto-generated\n\n"
                       "Message %s has been frozen%s%s.\nThe sender is <%s>.\n",
                   c->qualify_domain, address, m->id, m->id, why == NULL ? "" : " ",
                   why == NULL ? "" : why, m->sender);
        if (!deliver_submit(e, "", &address, 1, buf_view(&b), NULL, id, &err))
            log_write(e->log, LOG_MAIN | LOG_PANIC, m->id,
                      "failed to tell %s that the message is frozen: %s", address, err.msg);
    }
    arena_destroy(&a);
}

void deliver_freeze(struct delivery *d, const char *why)
{
    d->frozen = true;
    d->message->frozen_at = d->now;
    d->update_spool = true;
    log_write(d->exim->log, LOG_MAIN, d->message->id, "Frozen%s%s", why == NULL ? "" : " ",
              why == NULL ? "" : why);
    spool_msglog(d->exim, d->message, "*** Frozen%s%s", why == NULL ? "" : " ", why == NULL ? "" : why);
    deliver_tell_frozen(d->exim, d->message, why);
}

static void thaw(struct delivery *d, const char *why)
{
    d->message->frozen_at = 0;
    d->message->manually_thawed = false;
    d->update_spool = true;
    log_write(d->exim->log, LOG_MAIN, d->message->id, "%s", why);
}

/* Old frozen messages go away: bounces after ignore_bounce_errors_after, all after
 * timeout_frozen_after. Their recipients are failed without a report to anybody but a sender. */
static bool is_out_of_time(struct delivery *d)
{
    const struct main_options *o = &d->exim->config->main;
    struct message *m = d->message;
    long age = (long)(d->now - m->received.tv_sec);
    long frozen = (long)(d->now - m->frozen_at);
    bool bounce = m->sender[0] == '\0';

    if (bounce && o->ignore_bounce_errors_after > 0 && age > o->ignore_bounce_errors_after)
        return true;
    return o->timeout_frozen_after > 0 && frozen > o->timeout_frozen_after;
}

bool deliver_frozen_check(struct delivery *d)
{
    const struct main_options *o = &d->exim->config->main;
    struct message *m = d->message;

    if (m->frozen_at == 0)
        return true;
    if (d->options->give_up || d->options->force_frozen || (d->options->force && !d->options->queue_run)) {
        if (d->options->force_frozen || !d->options->give_up)
            thaw(d, "Unfrozen by forced delivery");
        return true;
    }
    if (is_out_of_time(d)) {
        d->cancel = "cancelled by timeout_frozen_after";
        m->frozen_at = 0;
        return true;
    }
    if (o->auto_thaw > 0 && d->now - m->frozen_at > o->auto_thaw) {
        thaw(d, "Unfrozen by auto-thaw");
        return true;
    }
    if (log_wants(d->exim->log, L_skip_delivery))
        log_write(d->exim->log, LOG_MAIN | LOG_BY(skip_delivery), m->id,
                  "Message is frozen");
    return false;
}
