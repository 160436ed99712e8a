#include "dsn_once.h"

#include <stdint.h>
#include <string.h>

#include "address.h"
#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "deliver.h"
#include "deliver/deliver_int.h"
#include "dsn_int.h"
#include "exim.h"
#include "host.h"
#include "message.h"
#include "spool.h"

enum { TEXT_MAX = 4096, LINE_MAX = 64 * 1024 * 1024 };
enum fact_bit { FACT_CHILD = 1, FACT_LIST = 2, FACT_LASTHOP = 4 };

/* ---- words of a note ---- */

/* One word for any text; "-" is none. */
static const char *word_of(struct arena *a, const char *text)
{
    return text == NULL || *text == '\0'
               ? "-"
               : base64_encode(a, text, strnlen(text, TEXT_MAX));
}

static const char *text_of(struct arena *a, const char *word)
{
    struct str out;

    return strcmp(word, "-") == 0 || !base64_decode(a, str_from(word), &out)
               ? NULL
               : str_dup(a, out);
}

static const char *next_word(struct arena *a, const char **p)
{
    size_t n = strcspn(*p, " ");
    const char *word = arena_strndup(a, *p, n);

    *p += n + ((*p)[n] == ' ');
    return word;
}

static bool next_number(struct arena *a, const char **p, long max, long *out)
{
    return cstr_to_long(next_word(a, p), out) && *out >= 0 && *out <= max;
}

/* The rest of a note of this kind, or NULL. */
static const char *rest_of(const char *note, const char *kind)
{
    return cstr_starts(note, kind) ? note + strlen(kind) : NULL;
}

static void forget(struct message *m, const char *note)
{
    (void)hash_remove(m->nonrecipients, note);
}

static const char *intent_note(struct arena *a, const char *id)
{
    return arena_printf(a, "dsn intent %s", id);
}

/* The notes of one kind, copied: applying them changes the table. */
static const char **notes_of(struct arena *a, const struct message *m, const char *kind)
{
    struct hash_iter it = { 0 };
    const char *name;
    void *value;
    size_t n = 0;
    const char **notes = arena_new_array(
        a, const char *,
        (m->nonrecipients == NULL ? 0 : hash_count(m->nonrecipients)) + 1);

    while (m->nonrecipients != NULL && hash_next(m->nonrecipients, &it, &name, &value))
        if (cstr_starts(name, kind))
            notes[n++] = name;
    return notes;
}

/* ---- what a report has settled ---- */

static void apply_failure(struct delivery *d, const char *p)
{
    while (*p != '\0') {
        const char *unique = text_of(d->arena, next_word(d->arena, &p));
        if (unique != NULL)
            message_add_nonrecipient(d->message, unique);
    }
}

/* Success is asked for once: from then on -H says that the request is met. */
static void apply_success(struct delivery *d, const char *p)
{
    struct message *m = d->message;
    long pno;

    while (*p != '\0') {
        if (!next_number(d->arena, &p, (long)m->recipient_count - 1, &pno))
            continue;
        struct recipient *r = &m->recipients[pno];
        unsigned rest = r->dsn_flags & ~(unsigned)DSN_SUCCESS & DSN_NOTIFY_MASK;
        if (r->dsn_flags & DSN_SUCCESS)
            r->dsn_flags = rest == 0 ? DSN_NEVER : rest;
    }
}

static void apply_delay(struct delivery *d, const char *p)
{
    message_add_nonrecipient(d->message,
                             arena_printf(d->message->arena, "dsn warned %s", p));
}

static void apply(struct delivery *d, const char *what)
{
    const char *rest;

    if ((rest = rest_of(what, "failure ")) != NULL)
        apply_failure(d, rest);
    else if ((rest = rest_of(what, "success ")) != NULL)
        apply_success(d, rest);
    else if ((rest = rest_of(what, "delay ")) != NULL)
        apply_delay(d, rest);
    d->update_spool = true;
}

/* ---- recovery ---- */

/* A report that was not finished. Whoever looks at it has its lock: so do we, or it
 * waits. */
static bool take_away(struct delivery *d, const char *id)
{
    struct message *report = NULL;
    struct err err = { 0 };
    bool found = false;
    enum spool_rc rc =
        msgid_valid(id) ? spool_load(d->exim, id, 0, &report, &err) : SPOOL_GONE;

    if (rc == SPOOL_LOCKED)
        return false;
    bool ok = rc == SPOOL_GONE || spool_purge(d->exim, id, &found, &err);
    if (report != NULL)
        message_free(&report);
    if (!ok)
        log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id,
                  "failed to remove unfinished report %s: %s", id, err.msg);
    else if (found)
        log_write(d->exim->log, LOG_MAIN, id,
                  "removed: the report on %s was not finished, it is made again",
                  d->message->id);
    return ok;
}

bool dsn_once_recover(struct delivery *d)
{
    struct message *m = d->message;
    const char **notes = notes_of(d->arena, m, "dsn done ");

    for (size_t i = 0; notes[i] != NULL; i++) {
        const char *p = notes[i] + strlen("dsn done ");
        const char *id = next_word(d->arena, &p);
        apply(d, p);
        forget(m, intent_note(d->arena, id));
        forget(m, notes[i]);
    }
    notes = notes_of(d->arena, m, "dsn intent ");
    for (size_t i = 0; notes[i] != NULL; i++) {
        if (!take_away(d, notes[i] + strlen("dsn intent ")))
            return false;
        forget(m, notes[i]);
        d->update_spool = true;
    }
    return true;
}

/* ---- successes ---- */

static bool wants_success(const struct address *addr)
{
    return addr->top->recipient != NULL &&
           (addr->top->recipient->dsn_flags & DSN_SUCCESS) != 0;
}

const char *dsn_once_fact(struct arena *a, const struct address *addr)
{
    bool by_host = addr->confirmation != NULL && addr->host_used != NULL;
    int bits = (addr->parent != NULL ? FACT_CHILD : 0) |
               (addr->list_child ? FACT_LIST : 0) |
               (addr->dsn_flags & DSN_LASTHOP ? FACT_LASTHOP : 0);

    if (!wants_success(addr))
        return NULL;
    return arena_printf(
        a, "dsn success %d %d %d %d %lld %s %s %s", addr->top->pno, (int)addr->outcome,
        bits, addr->top->child_total, (long long)addr->last_attempt,
        word_of(a, addr->result.status),
        word_of(a, by_host ? addr->host_used->name : addr->result.remote_mta),
        word_of(a, by_host ? addr->confirmation : addr->result.diagnostic));
}

void dsn_once_keep_fact(struct message *m, const char *fact)
{
    if (m->place != 0)
        message_add_nonrecipient(m, fact);
}

void dsn_once_forget_facts(struct delivery *d)
{
    const char **notes = notes_of(d->arena, d->message, "dsn success ");

    for (size_t i = 0; notes[i] != NULL; i++)
        forget(d->message, notes[i]);
}

/* The submitted recipient; done ones were left out when the addresses were made. */
static struct address *top_of(struct delivery *d, long pno, long children)
{
    for (size_t i = 0; i < d->recipient_count; i++)
        if (d->recipients[i]->pno == pno)
            return d->recipients[i];
    const struct recipient *r = &d->message->recipients[pno];
    struct address *top = address_new(d->arena, r->address);
    top->recipient = r;
    top->pno = (int)pno;
    top->child_total = (int)children;
    top->settled = true;
    top->result.rc = RC_OK;
    d->recipients[d->recipient_count++] = top;
    return top;
}

static void recall(struct delivery *d, const char *p)
{
    struct arena *a = d->arena;
    long pno, outcome, bits, children, at;

    if (!next_number(a, &p, (long)d->message->recipient_count - 1, &pno) ||
        !next_number(a, &p, OUTCOME_DISCARDED, &outcome) ||
        !next_number(a, &p, 7, &bits) || !next_number(a, &p, INT32_MAX, &children) ||
        !next_number(a, &p, INT64_MAX, &at) ||
        !(d->message->recipients[pno].dsn_flags & DSN_SUCCESS))
        return;
    struct address *top = top_of(d, pno, children);
    struct address *addr = address_new(a, top->address);
    addr->top = top;
    addr->recipient = top->recipient;
    addr->pno = top->pno;
    addr->parent = bits & FACT_CHILD ? top : NULL;
    addr->list_child = (bits & FACT_LIST) != 0;
    addr->dsn_flags = top->recipient->dsn_flags | (bits & FACT_LASTHOP ? DSN_LASTHOP : 0);
    addr->settled = true;
    addr->outcome = (enum addr_outcome)outcome;
    addr->last_attempt = at;
    addr->result =
        (struct addr_result){ .rc = RC_OK, .status = text_of(a, next_word(a, &p)) };
    addr->result.remote_mta = text_of(a, next_word(a, &p));
    addr->result.diagnostic = text_of(a, next_word(a, &p));
    addr->next = d->addr_succeeded;
    d->addr_succeeded = addr;
}

void dsn_once_recall(struct delivery *d)
{
    const char **notes = notes_of(d->arena, d->message, "dsn success ");

    for (size_t i = 0; notes[i] != NULL; i++) {
        recall(d, notes[i] + strlen("dsn success "));
        forget(d->message, notes[i]);
    }
    d->journaled = d->addr_succeeded;
}

/* What could not be reported in this run is for the next. */
static void keep_facts(struct delivery *d)
{
    for (const struct address *addr = d->addr_succeeded; addr != NULL;
         addr = addr->next) {
        const char *fact = dsn_once_fact(d->message->arena, addr);
        if (fact != NULL)
            message_add_nonrecipient(d->message, fact);
    }
    d->update_spool = true;
}

/* ---- reporting ---- */

/* -H will say who has the message: then it says what is to be reported on him, too. The journal does not yet. */
static void keep_fresh_facts(struct delivery *d)
{
    for (const struct address *addr = d->addr_succeeded; addr != d->journaled; addr = addr->next) {
        const char *fact = dsn_once_fact(d->message->arena, addr);
        if (fact != NULL)
            dsn_once_keep_fact(d->message, fact);
    }
}

/* Whoever wants to deliver a report looks for its parent there. */
static bool has_files(struct delivery *d)
{
    struct err err = { 0 };

    keep_fresh_facts(d);
    if (spool_rest(d->exim, d->message, &err)) {
        dsn_once_forget_facts(d);
        return true;
    }
    log_write(d->exim->log, LOG_MAIN | LOG_PANIC, d->message->id, "%s", err.msg);
    return false;
}

bool dsn_once_intend(struct delivery *d, struct dsn_plan *plans)
{
    size_t n = 0;

    for (struct dsn_plan *p = plans; p != NULL; p = p->next)
        n++;
    const char **lines = arena_new_array(d->arena, const char *, n + 1);
    n = 0;
    for (struct dsn_plan *p = plans; p != NULL; p = p->next)
        if (p->submission != NULL)
            lines[n++] = intent_note(d->message->arena, deliver_submit_id(p->submission));
    if (!has_files(d) || !deliver_journal_with(d, lines, n)) {
        keep_facts(d);
        return false;
    }
    for (size_t i = 0; i < n; i++)
        message_add_nonrecipient(d->message, lines[i]);
    return true;
}

/* "failure <address> ...": what this report settles. */
static const char *what_of(struct delivery *d, const struct dsn_plan *p)
{
    struct buf b = buf_init(d->arena, LINE_MAX);

    if (p->report.kind == DSN_REPORT_DELAY) {
        buf_printf(&b, "delay %u %s", p->warning, word_of(d->arena, p->report.to));
        return buf_cstr(&b);
    }
    buf_add_cstr(&b, p->report.kind == DSN_REPORT_FAILURE ? "failure" : "success");
    for (const struct dsn_item *i = p->items; i != NULL; i = i->next)
        if (p->report.kind == DSN_REPORT_FAILURE)
            buf_printf(&b, " %s", word_of(d->arena, i->addr->unique));
        else
            buf_printf(&b, " %d", i->pno);
    return buf_cstr(&b);
}

/* Notes first; then the plain addresses, for an Exim that takes the spool over. */
static size_t done_lines(struct delivery *d, struct dsn_plan *plans, const char **lines)
{
    size_t n = 0;

    for (struct dsn_plan *p = plans; p != NULL; p = p->next)
        if (p->committed)
            lines[n++] = arena_printf(d->arena, "dsn done %s %s",
                                      deliver_submit_id(p->submission), what_of(d, p));
    for (struct dsn_plan *p = plans; p != NULL; p = p->next)
        for (const struct dsn_item *i = p->items;
             i != NULL && p->report.kind == DSN_REPORT_FAILURE; i = i->next)
            if (p->committed)
                lines[n++] = i->addr->unique;
    return n;
}

bool dsn_once_done(struct delivery *d, struct dsn_plan *plans)
{
    size_t max = 0;
    bool all = true;

    for (struct dsn_plan *p = plans; p != NULL; p = p->next) {
        max += 1 + p->report.recipient_count;
        all = all && p->committed;
    }
    const char **lines = arena_new_array(d->arena, const char *, max);
    if (!deliver_journal_with(d, lines, done_lines(d, plans, lines)))
        return false;
    for (struct dsn_plan *p = plans; p != NULL; p = p->next) {
        if (p->committed)
            apply(d, what_of(d, p));
        if (p->submission != NULL)
            forget(d->message, intent_note(d->arena, deliver_submit_id(p->submission)));
    }
    if (!all)
        keep_facts(d);
    return true;
}

/* ---- delays that are not complete ---- */

bool dsn_once_is_warned(const struct delivery *d, unsigned count, const char *to)
{
    const char **notes = notes_of(d->arena, d->message, "dsn warned ");
    long n;

    for (size_t i = 0; notes[i] != NULL; i++) {
        const char *p = notes[i] + strlen("dsn warned "), *who;
        if (!next_number(d->arena, &p, INT32_MAX, &n) || n < (long)count)
            continue;
        who = text_of(d->arena, p);
        if (who != NULL && strcmp(who, to) == 0)
            return true;
    }
    return false;
}

void dsn_once_forget_warned(struct delivery *d)
{
    const char **notes = notes_of(d->arena, d->message, "dsn warned ");

    for (size_t i = 0; notes[i] != NULL; i++)
        forget(d->message, notes[i]);
}

/* ---- rewriting at SMTP time ---- */

void dsn_once_note_given(struct message *m, size_t pno, const char *address)
{
    message_add_nonrecipient(m, arena_printf(m->arena, "dsn rcpt %zu %s", pno, word_of(m->arena, address)));
}

const char *dsn_once_given(struct arena *a, const struct message *m, size_t pno)
{
    const char **notes = notes_of(a, m, arena_printf(a, "dsn rcpt %zu ", pno));

    return notes[0] == NULL ? NULL : text_of(a, strrchr(notes[0], ' ') + 1);
}

/* ---- the report ---- */

/* Damaged parents hold theirs too: they may be mended, and then report again. */
bool dsn_once_is_held(struct exim *e, const struct message *report)
{
    struct arena *a = arena_new("parent of a report");
    struct message parent;
    struct err err = { 0 };
    enum spool_rc rc = msgid_valid(report->report_of)
                           ? spool_peek(e, report->report_of, a, &parent, &err)
                           : SPOOL_GONE;
    bool held = rc != SPOOL_GONE;

    if (rc == SPOOL_OK) {
        const char **done =
            notes_of(a, &parent, arena_printf(a, "dsn done %s ", report->id));
        held = message_is_nonrecipient(&parent, intent_note(a, report->id)) &&
               done[0] == NULL;
    }
    arena_destroy(&a);
    return held;
}
