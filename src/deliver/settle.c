#include "deliver/deliver_int.h"

#include "base/arena.h"
#include "base/log.h"
#include "dsn_once.h"
#include "exim.h"
#include "message.h"
#include "spool.h"
#include "transports/transport.h"

static void push(struct address **list, struct address *addr)
{
    addr->next = *list;
    *list = addr;
}

void deliver_address_done(struct delivery *d, struct address *addr)
{
    if (addr->settled)
        return;
    addr->settled = true;
    message_add_nonrecipient(d->message, addr->unique);
    for (struct address *p = addr->parent; p != NULL; p = p->parent) {
        if (--p->child_count > 0)
            return;
        p->settled = true;
        message_add_nonrecipient(d->message, p->unique);
    }
}

static void as_delivered(struct address *addr)
{
    if (addr->outcome == OUTCOME_PENDING)
        addr->outcome = OUTCOME_DELIVERED;
}

static void succeeded(struct delivery *d, struct address *addr)
{
    as_delivered(addr);
    deliver_address_done(d, addr);
    push(&d->addr_succeeded, addr);
}

/* The message stops where it is when a driver says so (self = freeze, a broken pipe
 * command). */
static void deferred(struct delivery *d, struct address *addr)
{
    addr->outcome = OUTCOME_DEFERRED;
    deliver_log_defer(d, addr);
    push(&d->addr_deferred, addr);
    if (addr->result.freeze && !d->frozen)
        deliver_freeze(d, NULL);
}

static void failed(struct delivery *d, struct address *addr)
{
    addr->outcome = OUTCOME_FAILED;
    deliver_log_fail(d, addr);
    push(&d->addr_failed, addr);
}

static void settle(struct delivery *d, struct address *addr, const char *mark)
{
    addr->last_attempt = d->now;
    switch (addr->result.rc) {
    case RC_OK:
        deliver_log_success(d, addr, deliver_pretends(d) ? "*>" : mark);
        succeeded(d, addr);
        break;
    case RC_FAIL:
        failed(d, addr);
        break;
    default:
        deferred(d, addr);
        break;
    }
}

bool deliver_pretends(const struct delivery *d)
{
    return d->message->dont_deliver || d->options->pretend;
}

void deliver_settle(struct delivery *d, struct address *addr)
{
    settle(d, addr, "=>");
}

void deliver_settle_held(struct delivery *d, struct address *list)
{
    const char *mark = "=>";

    for (struct address *addr = list, *next; addr != NULL; addr = next) {
        next = addr->next;
        bool ok = addr->result.rc == RC_OK;
        (ok ? log_hold : log_release)(d->exim->log); /* trouble may start other things */
        settle(d, addr, mark);
        if (ok)
            mark = "->";
    }
}

void deliver_settle_list(struct delivery *d, struct address *list)
{
    deliver_settle_held(d, list);
    log_release(d->exim->log);
}

void deliver_settle_all(struct delivery *d, struct address *list)
{
    deliver_settle_list(d, list);
    deliver_journal(d);
}

static bool all_is_settled(const struct delivery *d)
{
    return d->addr_local == NULL && d->addr_remote == NULL && d->addr_failed == NULL &&
           d->addr_deferred == NULL && d->in_flight == 0;
}

typedef bool journal_writer(struct exim *e, struct message *m, const char *const *lines,
                            size_t n, struct err *err);

/* The fact first: a torn journal may cost a delivery too many, but no report. */
static size_t put_lines(struct delivery *d, const struct address *a, const char **lines)
{
    const char *fact = dsn_once_fact(d->message->arena, a);
    size_t n = 0;

    if (fact != NULL) {
        lines[n++] = fact;
        dsn_once_keep_fact(d->message, fact);
    }
    lines[n++] = a->unique;
    return n;
}

static bool write_lines(struct delivery *d, journal_writer *write,
                        const char *const *lines, size_t n)
{
    struct err err = { 0 };
    bool ok = write(d->exim, d->message, lines, n, &err);

    if (!ok)
        log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id,
                  "failed to update journal: %s", err.msg);
    return ok;
}

static bool journal_by(struct delivery *d, journal_writer *write,
                       const char *const *lines, size_t n)
{
    size_t fresh = 0, count = 0;

    for (const struct address *a = d->addr_succeeded; a != d->journaled; a = a->next)
        fresh++;
    if (fresh + n == 0)
        return true;
    const char **all = arena_new_array(d->arena, const char *, 2 * fresh + n);
    for (const struct address *a = d->addr_succeeded; a != d->journaled; a = a->next)
        count += put_lines(d, a, all + count);
    for (size_t i = 0; i < n; i++)
        all[count++] = lines[i];
    bool ok = write_lines(d, write, all, count);
    d->journaled = d->addr_succeeded;
    spool_put_notes(d->exim, d->message);
    return ok;
}

void deliver_note(struct delivery *d, struct address *list)
{
    size_t total = 0, count = 0;

    for (const struct address *a = list; a != NULL; a = a->next)
        total++;
    const char **lines = arena_new_array(d->arena, const char *, 2 * total);
    for (struct address *a = list; a != NULL; a = a->next)
        if (a->result.rc == RC_OK) {
            a->last_attempt = d->now;
            as_delivered(a);
            count += put_lines(d, a, lines + count);
        }
    if (count > 0)
        (void)write_lines(d, spool_journal, lines, count);
}

bool deliver_journal_with(struct delivery *d, const char *const *lines, size_t n)
{
    return journal_by(d, spool_journal, lines, n);
}

/* Everything that succeeded since the last call. When nothing else is under way the
 * message is about to be removed or rewritten, which says the same durably: one sync
 * less. */
void deliver_journal(struct delivery *d)
{
    if (!all_is_settled(d))
        (void)deliver_journal_with(d, NULL, 0);
}

void deliver_journal_soon(struct delivery *d)
{
    if (!all_is_settled(d))
        (void)journal_by(d, spool_journal_soon, NULL, 0);
}

void deliver_journal_sync(struct delivery *d)
{
    struct err err = { 0 };

    if (d->message->journal_owed_ms != 0 && !all_is_settled(d) &&
        !spool_journal_sync(d->exim, d->message, &err))
        log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id,
                  "failed to update journal: %s", err.msg);
}
