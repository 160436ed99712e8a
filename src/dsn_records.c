#include "dsn_int.h"

#include <string.h>

#include "base/arena.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "deliver.h"
#include "deliver/deliver_int.h"
#include "dsn_once.h"
#include "exim.h"
#include "host.h"
#include "routers/router.h"
#include "transports/transport.h"

/* ---- one record ---- */

static const char *const actions[] = {
    [DSN_DELIVERED] = "delivered", [DSN_RELAYED] = "relayed", [DSN_EXPANDED] = "expanded",
    [DSN_PASSED_ON] = "relayed", [DSN_FAILED] = "failed", [DSN_DELAYED] = "delayed",
    [DSN_DISCARDED] = "delivered",
};

const char *dsn_status_default(enum dsn_outcome outcome)
{
    return outcome == DSN_FAILED ? "5.0.0" : outcome == DSN_DELAYED ? "4.0.0" : "2.0.0";
}

/* A status may not contradict the action: a failure after giving up may stay 4.x.x (RFC 3464 2.3.4). */
static const char *status_for(const struct address *addr, enum dsn_outcome outcome)
{
    const char *s = addr->result.status;
    bool success = outcome != DSN_FAILED && outcome != DSN_DELAYED;

    if (addr->flags & ADDR_TIMED_OUT)
        return s != NULL && s[0] == '4' ? s : "4.4.7";
    if (s == NULL || *s == '\0' || (success ? s[0] != '2' : s[0] == '2') || (outcome == DSN_DELAYED && s[0] == '5'))
        return dsn_status_default(outcome);
    return s;
}

/* What the client gave in RCPT: a child that one_time kept leads back to it. */
static const struct recipient *submitted(const struct delivery *d, const struct recipient *r)
{
    const struct message *m = d->message;

    for (size_t steps = 0; r != NULL && r->parent >= 0 && steps < m->recipient_count; steps++)
        if ((size_t)r->parent < m->recipient_count)
            r = &m->recipients[r->parent];
    return r;
}

static const char *final_of(const struct delivery *d, const struct recipient *r, const struct address *top)
{
    const char *given = r == NULL ? NULL
                                  : dsn_once_given(d->arena, d->message, (size_t)(r - d->message->recipients));

    return given != NULL ? given : r != NULL ? r->address : top->address;
}

/* "a@b" or, of an address that was made here, with where it came from; hidden ones stay hidden. */
static const char *shown_address(struct arena *a, const struct address *addr, const char *from)
{
    if ((addr->flags & ADDR_HIDE_CHILD) || addr == addr->top)
        return addr == addr->top && addr->recipient != NULL && addr->recipient->parent >= 0
                   ? arena_printf(a, "%s\n    (generated from %s)", addr->recipient->address, from)
                   : from;
    if (strcmp(from, addr->address) == 0)
        return from;
    return arena_printf(a, "%s\n    (generated from %s)", addr->address, from);
}

static void fill_remote(struct dsn_recipient *r, const struct address *addr)
{
    const struct addr_result *res = &addr->result;

    if (res->remote_mta != NULL)
        r->remote_mta = res->remote_mta;
    if (res->diagnostic != NULL) {
        r->diagnostic = res->diagnostic;
        r->diagnostic_type = "smtp";
    } else if (res->message != NULL && (r->outcome == DSN_FAILED || r->outcome == DSN_DELAYED)) {
        r->diagnostic = res->user_message != NULL ? res->user_message : res->message;
        r->diagnostic_type = "X-Exim";
    }
    if (r->outcome != DSN_FAILED && r->outcome != DSN_DELAYED && addr->confirmation != NULL &&
        addr->host_used != NULL) {
        r->remote_mta = addr->host_used->name;
        r->diagnostic = addr->confirmation;
        r->diagnostic_type = "smtp";
    }
}

/* A reason without it is hard to understand where an alias or a list led on. Success never shows where. */
static const char *remote_recipient(const struct dsn_recipient *r, const struct address *addr)
{
    bool said = r->remote_mta != NULL && r->diagnostic_type != NULL && strcmp(r->diagnostic_type, "smtp") == 0;
    bool success = r->outcome != DSN_FAILED && r->outcome != DSN_DELAYED;

    return !said || success || addr->parent == NULL || strcmp(addr->address, r->final) == 0 ? NULL : addr->address;
}

static const char *reason_text(const struct address *addr)
{
    const struct addr_result *r = &addr->result;

    if (r->user_message != NULL)
        return r->user_message;
    if (r->message != NULL)
        return r->message;
    return r->basic_errno > 0 ? strerror(r->basic_errno) : NULL;
}

/* Words of others about a hidden address may name it, and so may the host that has it. */
static void hide(struct dsn_recipient *r)
{
    r->remote_mta = r->diagnostic = r->diagnostic_type = r->remote_recipient = NULL;
    if (r->outcome == DSN_FAILED || r->outcome == DSN_DELAYED)
        r->text = r->outcome == DSN_FAILED ? "delivery failed after forwarding" : "delivery is delayed after forwarding";
}

static struct dsn_item *new_item(struct delivery *d, struct address *addr, enum dsn_report_kind kind,
                                 enum dsn_outcome outcome)
{
    struct dsn_item *i = arena_new_obj(d->arena, struct dsn_item);
    const struct recipient *rcpt = submitted(d, addr->top->recipient);
    const char *final = final_of(d, rcpt, addr->top);

    i->kind = kind;
    i->addr = addr;
    i->pno = addr->top->pno;
    i->to = addr->errors_to != NULL && kind != DSN_REPORT_SUCCESS ? addr->errors_to : d->message->sender;
    i->record = (struct dsn_recipient){
        .original = rcpt != NULL && !addr->list_child ? rcpt->orcpt : NULL,
        .final = final,
        .outcome = outcome,
        .action = actions[outcome],
        .status = status_for(addr, outcome),
        .last_attempt = addr->last_attempt,
        .text = reason_text(addr),
        .shown = shown_address(d->arena, addr, final),
        .log_id = d->message->id,
    };
    fill_remote(&i->record, addr);
    i->record.remote_recipient = remote_recipient(&i->record, addr);
    if (addr->flags & ADDR_HIDE_CHILD)
        hide(&i->record);
    return i;
}

/* NOTIFY as it holds for this address: a list's members answer to the owner alone. */
static unsigned notify_of(const struct address *addr)
{
    return addr->list_child || addr->top->recipient == NULL ? 0 : addr->top->recipient->dsn_flags;
}

static enum dsn_expansion expansion_of(const struct address *addr)
{
    return addr->list_child ? DSN_EXP_LIST : addr->parent != NULL ? DSN_EXP_ALIAS : DSN_EXP_NONE;
}

/* ---- failures ---- */

struct dsn_item *dsn_collect_failures(struct delivery *d)
{
    struct dsn_item *first = NULL;

    for (struct address *addr = d->addr_failed; addr != NULL; addr = addr->next) {
        if ((addr->flags & (ADDR_BOUNCE_HANDLED | ADDR_IGNORE_ERROR)) || dsn_7bit_is_wanted(d, addr))
            continue;
        if (dsn_decide(notify_of(addr), DSN_FAILED, expansion_of(addr), false) != DSN_REPORT_FAILURE)
            continue;
        struct dsn_item *i = new_item(d, addr, DSN_REPORT_FAILURE, DSN_FAILED);
        i->next = first;
        first = i;
    }
    return first;
}

/* ---- successes ---- */

struct tally { /* what became of one submitted recipient in this run */
    size_t good, children, delivered, relayed, passed_on, list;
    struct address *one;
};

static void count_one(struct tally *t, struct address *addr)
{
    t->good++;
    t->one = addr;
    t->children += addr->parent != NULL;
    t->list += addr->list_child;
    t->delivered += addr->outcome == OUTCOME_DELIVERED || addr->outcome == OUTCOME_DISCARDED;
    t->relayed += addr->outcome == OUTCOME_RELAYED;
    t->passed_on += addr->outcome == OUTCOME_PASSED_ON;
}

static enum dsn_outcome outcome_of(const struct tally *t, const struct address *top)
{
    if (t->list > 0)
        return DSN_DELIVERED; /* RFC 3461 5.2.7.2: to a list is delivered */
    if (top->child_total > 1)
        return DSN_EXPANDED;
    if (t->delivered > 0)
        return DSN_DELIVERED;
    if (t->relayed > 0 || t->children > 0)
        return DSN_RELAYED;
    return DSN_PASSED_ON;
}

static const char *note_of(const struct tally *t, const struct address *top, enum dsn_outcome o)
{
    if (t->list > 0)
        return "delivered to a mailing list";
    if (o == DSN_EXPANDED || top->child_total == 1)
        return "relayed via non DSN router";
    if (o == DSN_RELAYED)
        return t->one->dsn_flags & DSN_LASTHOP ? "relayed via non DSN router" : "relayed to non-DSN-aware mailer";
    return NULL;
}

static struct dsn_item *success_of(struct delivery *d, struct address *top, const struct tally *t)
{
    enum dsn_outcome o = outcome_of(t, top);
    bool lasthop = (t->one->dsn_flags & DSN_LASTHOP) != 0;
    enum dsn_expansion kind = t->list > 0 ? DSN_EXP_LIST : t->children > 0 ? DSN_EXP_ALIAS : DSN_EXP_NONE;

    if (dsn_decide(notify_of(top), o, kind, lasthop) != DSN_REPORT_SUCCESS)
        return NULL;
    if (o == DSN_PASSED_ON)
        o = DSN_RELAYED;
    struct dsn_item *i = new_item(d, t->one, DSN_REPORT_SUCCESS, o);
    i->record.original = top->recipient->orcpt; /* t->one may stand for a duplicate */
    i->record.final = i->record.shown = final_of(d, submitted(d, top->recipient), top);
    i->record.note = note_of(t, top, o);
    if (t->children > 0 && t->one->parent != NULL && (o == DSN_EXPANDED || t->list > 0)) {
        i->record.remote_mta = i->record.diagnostic = NULL;
        i->record.status = "2.0.0";
    }
    i->pno = top->pno;
    return i;
}

struct dsn_item *dsn_collect_successes(struct delivery *d)
{
    struct dsn_item *first = NULL, **tail = &first;
    struct tally *t = arena_new_array(d->arena, struct tally, d->message->recipient_count + 1);

    for (struct address *addr = d->addr_succeeded; addr != NULL; addr = addr->next)
        if (addr->top->recipient != NULL && addr->dup_of == NULL)
            count_one(&t[addr->top->pno], addr);
    for (size_t i = 0; i < d->recipient_count; i++) {
        struct address *top = d->recipients[i];
        if (t[top->pno].good == 0 && top->dup_of != NULL && top->dup_of->result.rc == RC_OK)
            count_one(&t[top->pno], top->dup_of); /* named twice: both asked, both are told */
        if (t[top->pno].good == 0)
            continue;
        struct dsn_item *item = success_of(d, top, &t[top->pno]);
        if (item == NULL)
            continue;
        *tail = item;
        tail = &item->next;
    }
    return first;
}

/* ---- delays ---- */

struct dsn_item *dsn_collect_delays(struct delivery *d)
{
    struct dsn_item *first = NULL;

    for (struct address *addr = d->addr_deferred; addr != NULL; addr = addr->next) {
        if (dsn_decide(notify_of(addr), DSN_DELAYED, expansion_of(addr), false) != DSN_REPORT_DELAY)
            continue;
        struct dsn_item *i = new_item(d, addr, DSN_REPORT_DELAY, DSN_DELAYED);
        i->next = first;
        first = i;
    }
    return first;
}
