#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/str.h"
#include "config/config.h"
#include "deliver.h"
#include "deliver/deliver_int.h"
#include "dsn_int.h"
#include "dsn_once.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "retry.h"

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

/* Takes the items for one address off *list. */
static struct dsn_item *take_items(struct dsn_item **list, const char *to, size_t *count)
{
    struct dsn_item *first = NULL, **tail = &first;

    for (struct dsn_item **p = list; *p != NULL;) {
        struct dsn_item *i = *p;
        if (strcmp(i->to, to) != 0) {
            p = &i->next;
            continue;
        }
        *p = i->next;
        *tail = i;
        tail = &i->next;
        (*count)++;
    }
    *tail = NULL;
    return first;
}

static void fill_records(struct delivery *d, struct dsn_report *r, const struct dsn_item *items)
{
    struct dsn_recipient *records = arena_new_array(d->arena, struct dsn_recipient, r->recipient_count);
    struct str *texts = arena_new_array(d->arena, struct str, r->recipient_count + 1);
    const char **names = arena_new_array(d->arena, const char *, r->recipient_count + 1);
    size_t n = 0, outputs = 0;

    for (const struct dsn_item *i = items; i != NULL; i = i->next) {
        records[n++] = i->record;
        if (i->addr->return_text == NULL)
            continue;
        names[outputs] = i->addr->flags & ADDR_HIDE_CHILD ? i->record.final : i->addr->address;
        texts[outputs++] = str_from(i->addr->return_text);
    }
    r->recipients = records;
    r->output_texts = outputs > 0 ? texts : NULL;
    r->output_names = names;
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

static struct dsn_plan *new_plan(struct delivery *d, struct dsn_item **list, enum dsn_report_kind kind)
{
    const struct message *m = d->message;
    const char *to = (*list)->to;
    bool to_sender = strcmp(to, m->sender) == 0;
    struct dsn_plan *p = arena_new_obj(d->arena, struct dsn_plan);

    p->report = (struct dsn_report){ .kind = kind, .to = to, .original = m, .message_id = m->id,
                                     .arrival = m->received.tv_sec, .received_from_mta = received_from(m),
                                     .envid = to_sender ? m->dsn_envid : NULL,
                                     .ret = to_sender ? m->dsn_ret : DSN_RET_NONE };
    p->items = take_items(list, to, &p->report.recipient_count);
    fill_records(d, &p->report, p->items);
    p->report.utf8 = dsn_report_is_utf8(&p->report);
    return p;
}

/* Adds the reports of one kind at *tail; returns the new tail. */
static struct dsn_plan **add_plans(struct delivery *d, struct dsn_plan **tail, struct dsn_item *list,
                                   enum dsn_report_kind kind)
{
    while (list != NULL) {
        *tail = new_plan(d, &list, kind);
        tail = &(*tail)->next;
    }
    return tail;
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

/* Our own report could not go on in UTF-8: it is made again, for those who could not have it. */
static struct dsn_plan **plan_7bit(struct delivery *d, struct dsn_plan **tail)
{
    for (struct address *addr = d->addr_failed; addr != NULL; addr = addr->next) {
        if (!dsn_7bit_is_wanted(d, addr))
            continue;
        struct dsn_plan *p = arena_new_obj(d->arena, struct dsn_plan);
        p->report = (struct dsn_report){ .kind = DSN_REPORT_FAILURE, .to = addr->address, .recipient_count = 1 };
        p->items = arena_new_obj(d->arena, struct dsn_item);
        *p->items = (struct dsn_item){ .kind = DSN_REPORT_FAILURE, .to = addr->address, .addr = addr };
        p->seven = true;
        *tail = p;
        tail = &p->next;
    }
    return tail;
}

static struct dsn_plan **plan_failures(struct delivery *d, struct dsn_plan **tail)
{
    struct dsn_item *list = dsn_collect_failures(d);
    struct dsn_plan **end = tail;
    bool freeze = take_unreturnable(d, &list);

    tail = add_plans(d, tail, list, DSN_REPORT_FAILURE);
    for (struct dsn_plan *p = *end; p != NULL; p = p->next)
        p->report.copies = copies_for(d, p->report.to);
    if (freeze) {
        keep_for_later(d);
        if (d->message->frozen_at == 0)
            deliver_freeze(d, "(delivery error message)");
    }
    return tail;
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

unsigned dsn_plan_warning(struct delivery *d)
{
    struct message *m = d->message;
    unsigned due = warnings_due(d->exim->config->main.delay_warning, (long)(d->now - m->received.tv_sec));

    if (d->addr_deferred == NULL || d->frozen || m->sender[0] == '\0' || m->local_error_message ||
        due <= m->warning_count || !warning_wanted(d))
        return 0;
    return due;
}

void dsn_plan_warned(struct delivery *d, unsigned warning)
{
    d->message->warning_count = warning;
    d->message->warning_time = d->now;
    d->update_spool = true;
    dsn_once_forget_warned(d);
}

/* Those who had this warning already, before the process ended or another's report failed. */
static struct dsn_item *without_warned(struct delivery *d, struct dsn_item *list, unsigned warning)
{
    for (struct dsn_item **p = &list; *p != NULL;)
        if (dsn_once_is_warned(d, warning, (*p)->to))
            *p = (*p)->next;
        else
            p = &(*p)->next;
    return list;
}

static void plan_delays(struct delivery *d, struct dsn_plan **tail)
{
    unsigned warning = dsn_plan_warning(d);
    struct dsn_plan **end = tail;

    if (warning == 0)
        return;
    struct dsn_item *list = without_warned(d, dsn_collect_delays(d), warning);
    if (list == NULL)
        dsn_plan_warned(d, warning);
    set_retry_until(d, list);
    (void)add_plans(d, tail, list, DSN_REPORT_DELAY);
    for (struct dsn_plan *p = *end; p != NULL; p = p->next) {
        p->warning = warning;
        p->report.delay = delay_words(d->arena, (long)(d->now - d->message->received.tv_sec));
    }
}

struct dsn_plan *dsn_plan_all(struct delivery *d)
{
    struct dsn_plan *first = NULL, **tail = plan_failures(d, plan_7bit(d, &first));

    if (d->message->sender[0] != '\0')
        tail = add_plans(d, tail, dsn_collect_successes(d), DSN_REPORT_SUCCESS);
    plan_delays(d, tail);
    return first;
}
