#include "deliver.h"

#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver/deliver_int.h"
#include "dsn.h"
#include "dsn_once.h"
#include "exim.h"
#include "message.h"
#include "retry.h"
#include "retry_cache.h"
#include "spool.h"

/* One address for each recipient that is not done yet. */
static void make_addresses(struct delivery *d)
{
    struct message *m = d->message;
    struct address **tail = &d->addr_new;

    d->recipients = arena_new_array(d->arena, struct address *, m->recipient_count + 1);
    for (size_t i = 0; i < m->recipient_count; i++) {
        const struct recipient *r = &m->recipients[i];
        if (message_is_nonrecipient(m, r->address))
            continue;
        struct address *addr = address_new(d->arena, r->address);
        addr->recipient = r;
        addr->pno = (int)i;
        addr->errors_to = r->errors_to;
        addr->dsn_flags = r->dsn_flags;
        addr->dsn_orcpt = r->orcpt;
        if (r->parent >= 0) { /* one_time: still the child it was */
            addr->dsn_null_from_list = true;
            addr->list_child = r->errors_to != NULL;
        }
        d->recipients[d->recipient_count++] = addr;
        *tail = addr;
        tail = &addr->next;
    }
}

/* -Mg, expired frozen messages, mail loops: every recipient fails, here and now. */
static void fail_all(struct delivery *d, const char *status, const char *why)
{
    while (d->addr_new != NULL) {
        struct address *addr = d->addr_new;
        d->addr_new = addr->next;
        addr->next = NULL;
        addr->result = (struct addr_result){ .rc = RC_FAIL, .message = why, .status = status };
        deliver_settle(d, addr);
    }
}

/* one_time: what was expanded once stays expanded, whatever the alias file says later. */
static void keep_one_time_children(struct delivery *d)
{
    for (struct address *addr = d->addr_deferred; addr != NULL; addr = addr->next) {
        if (addr->parent == NULL || !(addr->flags & ADDR_ONETIME) || (addr->flags & ADDR_PIPE_FILE_REPLY))
            continue;
        struct recipient *r = message_add_recipient(d->message, arena_strdup(d->message->arena, addr->address),
                                                    addr->pno);
        r->errors_to = addr->errors_to == NULL ? NULL : arena_strdup(d->message->arena, addr->errors_to);
        r->dsn_flags = addr->dsn_flags & DSN_NOTIFY_MASK;
        message_add_nonrecipient(d->message, addr->top->unique);
        d->update_spool = true;
    }
}

/* RFC 5321, 6.3: too many hops. */
static bool is_looping(const struct delivery *d)
{
    return d->message->received_count > d->exim->config->main.received_headers_max;
}

static void run(struct delivery *d)
{
    retry_cache_refresh(d->exim);
    make_addresses(d);
    dsn_once_recall(d);
    if (d->options->give_up)
        fail_all(d, "5.0.0", "delivery cancelled by administrator");
    else if (d->cancel != NULL)
        fail_all(d, "5.0.0", d->cancel);
    else if (is_looping(d))
        fail_all(d, "5.4.6", "Too many \"Received\" headers - suspected mail loop");
    deliver_route_all(d);
    deliver_local_all(d);
    deliver_remote_all(d);
    retry_flush(d);
}

static const char *queue_age(struct delivery *d)
{
    if (!log_wants(d->exim->log, L_queue_time_overall))
        return "";
    return arena_printf(d->arena, " QT=%s",
                        tod_interval_print(d->arena, (long)(tod_now().tv_sec - d->message->received.tv_sec)));
}

/* The files could not be changed, so the message will be seen again: the journal says who has it. */
static void note_done(struct delivery *d)
{
    const struct address *const lists[] = { d->addr_succeeded, d->addr_failed };
    struct err err = { 0 };
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (const struct address *addr = lists[i]; addr != NULL; addr = addr->next)
            n += addr->settled;
    const char **names = arena_new_array(d->arena, const char *, n + 1);
    n = 0;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (const struct address *addr = lists[i]; addr != NULL; addr = addr->next)
            if (addr->settled)
                names[n++] = addr->unique;
    if (n > 0 && !spool_journal(d->exim, d->message, names, n, &err))
        log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id, "failed to update journal: %s", err.msg);
}

static enum deliver_rc finish_done(struct delivery *d)
{
    struct err err = { 0 };

    if (d->exim->config->main.preserve_message_logs)
        spool_put_notes(d->exim, d->message);
    if (!spool_remove(d->exim, d->message, &err)) {
        log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id, "failed to remove message: %s", err.msg);
        note_done(d);
        return DELIVER_ERROR;
    }
    log_write(d->exim->log, LOG_MAIN, d->message->id, "Completed%s", queue_age(d));
    return DELIVER_DONE;
}

/* Most runs over a message that was tried before find nothing due and change nothing. */
static bool spool_is_current(struct delivery *d)
{
    struct str before = d->message->header_file;

    if (before.len == 0)
        return false;
    struct buf now = buf_init(d->arena, BUF_DEFAULT_CEILING);
    (void)buf_reserve(&now, before.len + 1);
    spool_header_print(&now, d->message);
    return !now.full && now.len == before.len && memcmp(now.p, before.p, now.len) == 0;
}

/* move_frozen_messages: out of everybody's sight but the administrator's. */
static enum deliver_rc rest_frozen(struct delivery *d)
{
    struct err err = { 0 };

    if (!d->exim->config->main.move_frozen_messages)
        return DELIVER_FROZEN;
    if (spool_move_frozen(d->exim, d->message, &err))
        return DELIVER_GONE;
    log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id, "%s", err.msg);
    return DELIVER_FROZEN;
}

static enum deliver_rc finish_remaining(struct delivery *d)
{
    struct err err = { 0 };

    keep_one_time_children(d);
    d->message->deliver_firsttime = false;
    if (!spool_is_current(d) && !spool_update(d->exim, d->message, &err)) {
        log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id, "failed to update spool: %s", err.msg);
        note_done(d);
        return DELIVER_ERROR;
    }
    spool_put_notes(d->exim, d->message);
    return d->frozen ? rest_frozen(d) : DELIVER_REMAINS;
}

/* Failed recipients are done once somebody was told, or nobody is to be. */
static enum deliver_rc finish(struct delivery *d)
{
    bool reported = dsn_send_reports(d);

    if (d->spool_unsure)
        return DELIVER_ERROR;
    for (struct address *addr = d->addr_failed; addr != NULL; addr = addr->next)
        if (!(addr->flags & ADDR_UNREPORTED))
            deliver_address_done(d, addr);
    if (reported && d->addr_deferred == NULL && !d->frozen)
        return finish_done(d);
    return finish_remaining(d);
}

static enum deliver_rc deliver_loaded(struct delivery *d, struct deliver_report *report)
{
    if (d->options->give_up)
        log_write(d->exim->log, LOG_MAIN, d->message->id, "delivery cancelled by administrator %s",
                  d->options->give_up_by == NULL ? "" : d->options->give_up_by);
    if (!deliver_frozen_check(d))
        return rest_frozen(d);
    if (d->message->report_of != NULL && dsn_once_is_held(d->exim, d->message))
        return DELIVER_REMAINS;
    if (!dsn_once_recover(d))
        return DELIVER_LOCKED;
    run(d);
    enum deliver_rc rc = finish(d);
    report->next_try = d->next_try;
    return rc;
}

/* The message is put away as it is, for those who want to see its files. */
static enum deliver_rc make_rest(struct delivery *d)
{
    struct err err = { 0 };

    if (spool_rest(d->exim, d->message, &err))
        return DELIVER_REMAINS;
    log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id, "%s", err.msg);
    return DELIVER_ERROR;
}

/* keep_malformed: what was damaged for that long is given up. */
static void remove_malformed(struct exim *e, const char *id)
{
    long keep = e->config->main.keep_malformed;
    struct err err = { 0 };
    bool found;

    if (tod_now().tv_sec - msgid_time(id) <= keep)
        return;
    if (spool_purge(e, id, &found, &err))
        log_write(e->log, LOG_MAIN, id, "Message removed because older than %s",
                  tod_interval_print(e->arena, keep));
    else
        log_write(e->log, LOG_MAIN | LOG_PANIC, id, "failed to remove message: %s",
                  err.msg);
}

void deliver_log_locked(struct exim *e, const char *id)
{
    if (log_wants(e->log, L_skip_delivery))
        log_write(e->log, LOG_MAIN | LOG_BY(skip_delivery), id,
                  "Spool file is locked (another process is handling this message)");
}

static enum deliver_rc load_failed(struct exim *e, const char *id, enum spool_rc rc, const struct err *err)
{
    switch (rc) {
    case SPOOL_LOCKED:
        deliver_log_locked(e, id);
        return DELIVER_LOCKED;
    case SPOOL_GONE:
        return DELIVER_GONE;
    default:
        log_write(e->log, LOG_MAIN | LOG_PANIC, id, "%s", err->msg == NULL ? "spool file cannot be read" : err->msg);
        if (rc == SPOOL_BAD)
            remove_malformed(e, id);
        return DELIVER_ERROR;
    }
}

enum deliver_rc deliver_message(struct exim *e, const char *id, uint64_t place, const struct deliver_options *o,
                                struct deliver_report *report)
{
    struct message *m = NULL;
    struct err err = { 0 };
    enum spool_rc rc = spool_load(e, id, place, &m, &err);

    *report = (struct deliver_report){ .rc = DELIVER_ERROR };
    if (rc != SPOOL_OK) {
        report->rc = load_failed(e, id, rc, &err);
        return report->rc;
    }
    struct delivery d = { .arena = arena_new("delivery"), .exim = e, .message = m, .options = o,
                          .now = tod_now().tv_sec };
    m->notes_wait = true;
    report->rc = o->rest_only ? make_rest(&d) : deliver_loaded(&d, report);
    if (report->rc != DELIVER_DONE && report->rc != DELIVER_GONE)
        spool_put_notes(e, m);
    spool_release(e, m);
    arena_destroy(&d.arena);
    message_free(&m);
    return report->rc;
}
