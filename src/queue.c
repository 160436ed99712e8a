#include "queue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/tod.h"
#include "config/config.h"
#include "exim.h"
#include "header.h"
#include "message.h"
#include "parse.h"
#include "spool.h"

/* One operation on one message that is loaded and locked. */
struct change {
    struct exim *exim;
    struct message *message;
    const char *arg;  /* an address, or NULL */
    const char *by;   /* who asked, for the log */
    struct buf notes; /* for the log, one a line */
    const char *done; /* what to say in the end; NULL: "has been modified" */
};

/* Logged when the change is on disk. */
static void note(struct change *c, const char *text)
{
    buf_printf(&c->notes, "%s%s", c->notes.len > 0 ? "\n" : "", text);
}

static void log_notes(struct change *c)
{
    for (char *line = buf_cstr(&c->notes), *end; *line != '\0'; line = end) {
        size_t len = strcspn(line, "\n");

        end = line + len + (line[len] == '\n');
        log_write(c->exim->log, LOG_MAIN, c->message->id, "%.*s by %s", (int)len, line,
                  c->by);
    }
}

static bool freeze(struct change *c)
{
    if (c->message->frozen_at != 0) {
        printf("is already frozen\n");
        return false;
    }
    c->message->frozen_at = tod_now().tv_sec;
    c->message->manually_thawed = false;
    note(c, "frozen");
    c->done = "is now frozen";
    return true;
}

static bool thaw(struct change *c)
{
    if (c->message->frozen_at == 0) {
        printf("is not frozen\n");
        return false;
    }
    c->message->frozen_at = 0;
    c->message->manually_thawed = true;
    note(c, "unfrozen");
    c->done = "is no longer frozen";
    return true;
}

static bool no_address(const char *doing)
{
    printf("- error while %s: no address given\n", doing);
    return false;
}

/* Unqualified addresses get qualify_recipient or qualify_domain, as if they had come
 * locally. */
static const char *read_address(struct change *c, const char *doing, unsigned flags,
                                const char *domain)
{
    struct parsed_address p;

    if (!parse_address(c->message->arena, c->arg, flags | PARSE_ALLOW_DOMAIN_LITERAL,
                       &p)) {
        printf("- error while %s:\n  bad address %s: %s\n", doing, c->arg, p.err);
        return NULL;
    }
    if (p.domain != NULL || *p.address == '\0')
        return p.address;
    return arena_printf(c->message->arena, "%s@%s", p.address, domain);
}

static bool edit_sender(struct change *c)
{
    static const char doing[] = "editing sender";

    if (c->arg == NULL)
        return no_address(doing);
    const char *sender =
        read_address(c, doing, PARSE_ALLOW_EMPTY, c->exim->config->qualify_domain);
    if (sender == NULL)
        return false;
    c->message->sender = sender;
    note(c, arena_printf(c->message->arena, "sender address changed to <%s>", sender));
    return true;
}

static bool add_recipient(struct change *c)
{
    static const char doing[] = "adding recipient";

    if (c->arg == NULL)
        return no_address(doing);
    const char *address = read_address(c, doing, 0, c->exim->config->qualify_recipient);
    if (address == NULL)
        return false;
    (void)message_add_recipient(c->message, address, -1);
    note(c, arena_printf(c->message->arena, "recipient <%s> added", address));
    return true;
}

static void mark(struct change *c, const char *address)
{
    message_add_nonrecipient(c->message, address);
    note(c, arena_printf(c->message->arena, "address <%s> marked delivered", address));
}

static bool mark_delivered(struct change *c)
{
    static const char doing[] = "marking as delivered";
    const struct message *m = c->message;

    if (c->arg == NULL)
        return no_address(doing);
    for (size_t i = 0; i < m->recipient_count; i++)
        if (strcmp(m->recipients[i].address, c->arg) == 0) {
            mark(c, m->recipients[i].address);
            return true;
        }
    printf("- error while %s:\n  %s is not a recipient: message not updated\n", doing,
           c->arg);
    return false;
}

static bool mark_all(struct change *c)
{
    for (size_t i = 0; i < c->message->recipient_count; i++)
        mark(c, c->message->recipients[i].address);
    return true;
}

static const struct {
    bool (*run)(struct change *c);
} changes[] = {
    [QUEUE_FREEZE] = { freeze },
    [QUEUE_THAW] = { thaw },
    [QUEUE_EDIT_SENDER] = { edit_sender },
    [QUEUE_ADD_RECIPIENT] = { add_recipient },
    [QUEUE_MARK_DELIVERED] = { mark_delivered },
    [QUEUE_MARK_ALL] = { mark_all },
};

/* ---- showing ---- */

static int failed_to_open(const char *what, const char *id, const char *suffix)
{
    printf("Failed to open %s file for %s%s: %s\n", what, id, suffix, strerror(errno));
    return EXIT_FAILURE;
}

static int view(struct exim *e, enum queue_op op, const char *id)
{
    bool ok;

    (void)fflush(stdout);
    if (op == QUEUE_VIEW_LOG)
        return spool_copy(e, id, SPOOL_PART_LOG, 0, STDOUT_FILENO)
                   ? EXIT_SUCCESS
                   : failed_to_open("msglog", id, "");
    ok = spool_copy(e, id, op == QUEUE_VIEW_HEADERS ? SPOOL_PART_HEADER : SPOOL_PART_DATA,
                    0, STDOUT_FILENO);
    return ok ? EXIT_SUCCESS
              : failed_to_open("input", id, op == QUEUE_VIEW_HEADERS ? "-H" : "-D");
}

static int no_data_file(struct exim *e, const char *id)
{
    printf("Spool data file for %s does not exist\n", id);
    log_write(e->log, LOG_MAIN, id, "Spool file %s-D not found", id);
    return EXIT_FAILURE;
}

static void print_headers(const struct message *m)
{
    for (const struct header *h = m->headers.first; h != NULL; h = h->next)
        if (h->type != HEADER_OLD)
            fwrite(h->text, 1, h->len, stdout);
    printf("\n");
}

/* A message that the daemon is delivering has no files: what they would hold is shown all
 * the same. False: it has some, or has gone. */
static bool view_logged(struct exim *e, enum queue_op op, const char *id)
{
    struct arena *a = arena_new("view");
    struct spool_logged l;
    struct message m;
    struct err err = { 0 };
    bool found = spool_file_size(e, id, SPOOL_PART_HEADER) < 0 &&
                 spool_find_logged(e, a, id, &l, &err);

    if (found && op == QUEUE_VIEW_COPY) {
        spool_peek_logged(&l, a, &m);
        print_headers(&m);
    } else if (found && op == QUEUE_VIEW_BODY) {
        printf("%s-D\n", id);
    }
    if (found) {
        struct str text = op == QUEUE_VIEW_HEADERS ? l.header : l.body;
        fwrite(text.p, 1, text.len, stdout);
    }
    arena_destroy(&a);
    return found;
}

/* As it goes out, but for what routers and transports add. */
static int view_copy(struct exim *e, const char *id)
{
    struct arena *a = arena_new("view");
    struct message m;
    struct err err = { 0 };
    enum spool_rc rc = spool_peek(e, id, a, &m, &err);
    int status = EXIT_FAILURE;

    if (spool_file_size(e, id, SPOOL_PART_DATA) < 0) {
        status = no_data_file(e, id);
    } else if (rc != SPOOL_OK) {
        printf("Spool format error for %s-H\n", id);
    } else {
        print_headers(&m);
        (void)fflush(stdout);
        status = spool_copy(e, id, SPOOL_PART_DATA, SPOOL_DATA_START, STDOUT_FILENO)
                     ? EXIT_SUCCESS
                     : failed_to_open("input", id, "-D");
    }
    arena_destroy(&a);
    return status;
}

/* ---- changing ---- */

static const char *caller(const struct exim *e)
{
    return e->originator_login == NULL ? "?" : e->originator_login;
}

static int cannot_load(struct exim *e, const char *id, enum spool_rc rc,
                       const struct err *err)
{
    if (rc == SPOOL_LOCKED)
        printf("Message %s is locked\n", id);
    else if (spool_file_size(e, id, SPOOL_PART_DATA) < 0)
        return no_data_file(e, id);
    else if (rc == SPOOL_BAD)
        printf("Spool format error for %s-H\n", id);
    else
        printf("Spool read error for %s-H: %s\n", id,
               strerror(err->sys_errno != 0 ? err->sys_errno : ENOENT));
    return EXIT_FAILURE;
}

static bool write_change(struct change *c)
{
    struct err err = { 0 };

    if (spool_update(c->exim, c->message, &err)) {
        log_notes(c);
        return true;
    }
    printf("- %s\n", err.msg);
    log_write(c->exim->log, LOG_MAIN | LOG_PANIC, c->message->id, "%s", err.msg);
    return false;
}

static int change(struct exim *e, enum queue_op op, const char *id, char *const *args,
                  int nargs)
{
    struct change c = { .exim = e, .by = caller(e) };
    struct err err = { 0 };
    enum spool_rc rc = spool_load(e, id, 0, &c.message, &err);
    bool ok = true;

    if (rc != SPOOL_OK)
        return cannot_load(e, id, rc, &err);
    c.notes = buf_init(c.message->arena, BUF_DEFAULT_CEILING);
    printf("Message %s ", id);
    for (int i = 0; ok && (i < nargs || i == 0); i++) {
        c.arg = nargs > 0 ? args[i] : NULL;
        ok = changes[op].run(&c);
    }
    ok = ok && write_change(&c);
    if (ok)
        printf("%s\n%s", c.done != NULL ? c.done : "has been modified",
               op == QUEUE_MARK_ALL ? "\n" : "");
    message_free(&c.message);
    if (ok)
        queue_notify_changed(e, id);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- -Mrm ---- */

static bool purge(struct exim *e, const char *id, bool *found)
{
    struct err err = { 0 };

    if (spool_purge(e, id, found, &err))
        return true;
    printf("%s\n", err.msg);
    log_write(e->log, LOG_MAIN | LOG_PANIC, id, "%s", err.msg);
    return false;
}

static void log_removal(struct exim *e, const char *id)
{
    log_write(e->log, LOG_MAIN, id, "removed by %s", caller(e));
    log_write(e->log, LOG_MAIN, id, "Completed");
}

/* What cannot be read is removed all the same, by an administrator. */
static int remove_damaged(struct exim *e, const char *id, enum spool_rc rc,
                          const struct err *err)
{
    bool no_data = spool_file_size(e, id, SPOOL_PART_DATA) < 0, found;

    if (no_data) {
        (void)no_data_file(e, id);
        printf("Continuing, to ensure all files removed\n");
    }
    if (rc == SPOOL_BAD && !no_data)
        printf("Spool format error for %s-H\n", id);
    else
        printf("Spool read error for %s-H: %s\n", id,
               strerror(err->sys_errno != 0 ? err->sys_errno : ENOENT));
    if (!e->admin) {
        printf("Permission denied\n");
        return EXIT_FAILURE;
    }
    printf("Continuing to ensure all files removed\n");
    if (!purge(e, id, &found))
        return EXIT_FAILURE;
    printf("Message %s has been removed%s\n", id, no_data ? " or did not exist" : "");
    if (found)
        log_removal(e, id);
    return EXIT_FAILURE;
}

static int remove_message(struct exim *e, const char *id)
{
    struct message *m;
    struct err err = { 0 };
    bool found;
    enum spool_rc rc = spool_load(e, id, 0, &m, &err);

    if (rc == SPOOL_LOCKED)
        return cannot_load(e, id, rc, &err);
    if (rc != SPOOL_OK)
        return remove_damaged(e, id, rc, &err);
    bool allowed = e->admin || m->originator_uid == e->real_uid;
    bool ok = allowed && purge(e, id, &found);
    if (!allowed)
        printf("Permission denied\n");
    message_free(&m);
    if (!ok)
        return EXIT_FAILURE;
    printf("Message %s has been removed\n", id);
    log_removal(e, id);
    queue_notify_changed(e, id);
    return EXIT_SUCCESS;
}

int queue_operate(struct exim *e, enum queue_op op, const char *id, char *const *args,
                  int nargs)
{
    bool views =
        op == QUEUE_VIEW_HEADERS || op == QUEUE_VIEW_BODY || op == QUEUE_VIEW_COPY;

    if (views && view_logged(e, op, id))
        return EXIT_SUCCESS;
    if (!queue_settle(e, id)) {
        printf("Message %s is locked\n", id);
        return EXIT_FAILURE;
    }
    switch (op) {
    case QUEUE_VIEW_HEADERS:
    case QUEUE_VIEW_BODY:
    case QUEUE_VIEW_LOG:
        return view(e, op, id);
    case QUEUE_VIEW_COPY:
        return view_copy(e, id);
    case QUEUE_REMOVE:
        return remove_message(e, id);
    default:
        return change(e, op, id, args, nargs);
    }
}
