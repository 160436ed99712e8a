#include "dsn.h"

#include <string.h>
#include <time.h>

#include "address.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver.h"
#include "deliver/deliver_int.h"
#include "dsn_int.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "retry.h"

enum { REPORT_MAX = 256 * 1024 * 1024, SEND_TRIES = 3, SEND_WAIT_NS = 100 * 1000 * 1000 };

/* ---- one report ---- */

static const char *delay_words(struct arena *a, long seconds)
{
    if (seconds < 120 * 60)
        return arena_printf(a, "%ld minutes", seconds / 60);
    return arena_printf(a, "%ld hours", seconds / 3600);
}

static const char *received_from(const struct message *m)
{
    return m->sender_host_address == NULL ? NULL
        : m->sender_host_name != NULL ? m->sender_host_name : m->sender_helo_name;
}

/* Takes the items of one kind for one address off *list, into records. */
static struct dsn_recipient *take_records(struct delivery *d, struct dsn_item **list, const char *to,
                                          struct dsn_report *r)
{
    size_t n = 0;

    for (const struct dsn_item *i = *list; i != NULL; i = i->next)
        n += strcmp(i->to, to) == 0;
    struct dsn_recipient *records = arena_new_array(d->arena, struct dsn_recipient, n);
    struct str *texts = arena_new_array(d->arena, struct str, n + 1);
    const char **names = arena_new_array(d->arena, const char *, n + 1);
    size_t outputs = 0;
    for (struct dsn_item **p = list; *p != NULL;) {
        struct dsn_item *i = *p;
        if (strcmp(i->to, to) != 0) {
            p = &i->next;
            continue;
        }
        *p = i->next;
        records[r->recipient_count++] = i->record;
        if (i->addr->return_text != NULL) {
            names[outputs] = i->addr->address;
            texts[outputs++] = str_from(i->addr->return_text);
        }
    }
    r->output_texts = outputs > 0 ? texts : NULL;
    r->output_names = names;
    return records;
}

static const char *copies_for(struct delivery *d, const char *to)
{
    struct expand_ctx ctx;
    const struct expr *copy = d->exim->config->main.errors_copy;
    const char *s;

    if (copy == NULL)
        return NULL;
    deliver_ctx(&ctx, d, NULL);
    ctx.bounce_recipient = to;
    return expand(&ctx, copy, &s) == EXPAND_OK && *s != '\0' ? s : NULL;
}

/* False: logged. One try of several: a report of success or delay is not made again later. */
static bool send_once(struct delivery *d, struct dsn_report *r)
{
    struct arena *a = arena_new("report");
    struct expand_ctx ctx;
    struct err err = { 0 };
    char id[MSGID_LEN + 1];
    struct buf out = buf_init(a, REPORT_MAX);

    expand_ctx_init(&ctx, d->exim, a);
    ctx.message = d->message;
    ctx.delivery = d;
    ctx.bounce_recipient = r->to;
    ctx.warn_message_recipients = r->to;
    ctx.warn_message_delay = r->delay;
    bool ok = dsn_report_print(&ctx, r, &out, &err) &&
              deliver_submit(d->exim, "", &r->to, 1, buf_view(&out), d->message->id, id, &err);
    if (!ok)
        log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id, "failed to make a report for %s: %s",
                  r->to, err.msg);
    arena_destroy(&a);
    return ok;
}

static bool send(struct delivery *d, struct dsn_report *r)
{
    for (int tries = 0; tries < SEND_TRIES; tries++) {
        if (send_once(d, r))
            return true;
        (void)nanosleep(&(struct timespec){ .tv_nsec = SEND_WAIT_NS }, NULL);
    }
    return false;
}

/* All reports of one kind, one for each address they go to. False: at least one could not be made. */
static bool send_all(struct delivery *d, struct dsn_item *list, enum dsn_report_kind kind, const char *delay)
{
    const struct message *m = d->message;
    bool ok = true;

    while (list != NULL) {
        const char *to = list->to;
        bool to_sender = strcmp(to, m->sender) == 0;
        struct dsn_report r = { .kind = kind, .to = to, .original = m, .message_id = m->id, .delay = delay,
                                .arrival = m->received.tv_sec, .received_from_mta = received_from(m),
                                .envid = to_sender ? m->dsn_envid : NULL, .utf8 = m->smtputf8,
                                .ret = to_sender ? m->dsn_ret : DSN_RET_NONE };
        r.recipients = take_records(d, &list, to, &r);
        r.copies = kind == DSN_REPORT_FAILURE ? copies_for(d, to) : NULL;
        ok = send(d, &r) && ok;
    }
    return ok;
}

/* ---- failures of messages that have no sender ---- */

/* Takes out what nobody can be told. True: such items wait, the message must be frozen. */
static bool take_unreturnable(struct delivery *d, struct dsn_item **list)
{
    const struct main_options *o = &d->exim->config->main;
    long age = (long)(d->now - d->message->received.tv_sec);
    bool freeze = false;

    for (struct dsn_item **p = list; *p != NULL;) {
        struct dsn_item *i = *p;
        if (i->to[0] != '\0') {
            p = &i->next;
            continue;
        }
        *p = i->next;
        if (d->cancel != NULL || d->options->give_up || age >= o->ignore_bounce_errors_after) {
            log_write(d->exim->log, LOG_MAIN, d->message->id, "%s: error ignored", i->addr->address);
            continue;
        }
        i->addr->flags |= ADDR_BOUNCE_HANDLED;
        freeze = true;
    }
    return freeze;
}

/* Addresses that wait in a frozen message are deferred again, not failed. */
static void keep_for_later(struct delivery *d)
{
    struct address **p = &d->addr_failed;

    while (*p != NULL) {
        struct address *addr = *p;
        if (!(addr->flags & ADDR_BOUNCE_HANDLED)) {
            p = &addr->next;
            continue;
        }
        *p = addr->next;
        addr->next = d->addr_deferred;
        d->addr_deferred = addr;
    }
}

static bool send_failures(struct delivery *d)
{
    struct dsn_item *list = dsn_collect_failures(d);
    bool freeze = take_unreturnable(d, &list);
    bool ok = send_all(d, list, DSN_REPORT_FAILURE, NULL);

    if (freeze) {
        keep_for_later(d);
        if (d->message->frozen_at == 0)
            deliver_freeze(d, "(delivery error message)");
    }
    return ok;
}

/* ---- delays ---- */

/* How many of the times in delay_warning have passed; the last one repeats. */
static unsigned warnings_due(const struct time_list *l, long age)
{
    unsigned n = 0;

    if (l == NULL || l->count == 0)
        return 0;
    while (n < l->count && age >= l->seconds[n])
        n++;
    if (n < l->count)
        return n;
    long last = l->seconds[l->count - 1], step = l->count > 1 ? last - l->seconds[l->count - 2] : last;
    return step > 0 ? n + (unsigned)((age - last) / step) : n;
}

static bool warning_wanted(struct delivery *d)
{
    struct expand_ctx ctx;
    bool wanted = true;

    deliver_ctx(&ctx, d, NULL);
    if (expand_bool(&ctx, d->exim->config->main.delay_warning_condition, true, &wanted) == EXPAND_OK)
        return wanted;
    log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id, "failed to expand delay_warning_condition: %s",
              ctx.err.msg);
    return false;
}

static void set_retry_until(struct delivery *d, struct dsn_item *list)
{
    for (; list != NULL; list = list->next) {
        struct expand_ctx ctx;
        deliver_ctx(&ctx, d, list->addr);
        const char *key = list->addr->domain == NULL ? "" : list->addr->domain;
        const struct retry_rule *rule = retry_rule_find(&ctx, key, NULL, list->addr->result.basic_errno,
                                                        list->addr->result.more_errno);
        if (rule != NULL && rule->step_count > 0)
            list->record.will_retry_until = d->message->received.tv_sec + rule->steps[rule->step_count - 1].timeout;
    }
}

static void send_delays(struct delivery *d)
{
    struct message *m = d->message;
    long age = (long)(d->now - m->received.tv_sec);
    unsigned due = warnings_due(d->exim->config->main.delay_warning, age);

    if (d->addr_deferred == NULL || d->frozen || m->sender[0] == '\0' || m->local_error_message ||
        due <= m->warning_count || !warning_wanted(d))
        return;
    struct dsn_item *list = dsn_collect_delays(d);
    set_retry_until(d, list);
    if (list == NULL || send_all(d, list, DSN_REPORT_DELAY, delay_words(d->arena, age))) {
        m->warning_count = due;
        m->warning_time = d->now;
        d->update_spool = true;
    }
}

bool dsn_send_reports(struct delivery *d)
{
    bool ok = send_failures(d);

    if (d->message->sender[0] != '\0')
        ok = send_all(d, dsn_collect_successes(d), DSN_REPORT_SUCCESS, NULL) && ok;
    send_delays(d);
    return ok;
}
