#include "deliver.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "config/config.h"
#include "deliver/agent.h"
#include "exim.h"
#include "header.h"
#include "message.h"
#include "queue.h"
#include "spool.h"

/* The end of the header section: the offset of the body. */
static size_t split_headers(struct message *m, struct str text)
{
    size_t at = 0;

    while (at < text.len && text.p[at] != '\n') {
        size_t end = at;
        do {
            const char *nl = memchr(text.p + end, '\n', text.len - end);
            end = nl == NULL ? text.len : (size_t)(nl - text.p) + 1;
        } while (end < text.len && (text.p[end] == ' ' || text.p[end] == '\t'));
        const char *line = arena_strndup(m->arena, text.p + at, end - at);
        header_append(&m->headers, m->arena, header_type_of(line), line);
        at = end;
    }
    return at < text.len ? at + 1 : at;
}

static void add_trace(struct exim *e, struct message *m, const char *const *recipients, size_t n)
{
    const char *host = e->config->primary_hostname, *now = tod_print(m->arena, TOD_FULL, m->received);

    header_prepend(&m->headers, m->arena, HEADER_RECEIVED,
                   arena_printf(m->arena, "Received: from %s by %s with local (Exim 4.89)\n\tid %s%s%s; %s\n",
                                m->originator_login, host, m->id, n == 1 ? "\n\tfor " : "",
                                n == 1 ? recipients[0] : "", now));
    if (header_find(&m->headers, "Message-Id") == NULL)
        header_append(&m->headers, m->arena, HEADER_MESSAGE_ID,
                      arena_printf(m->arena, "Message-Id: <E%s@%s>\n", m->id, host));
    if (header_find(&m->headers, "Date") == NULL)
        header_append(&m->headers, m->arena, HEADER_OTHER, arena_printf(m->arena, "Date: %s\n", now));
}

static void log_arrival(struct exim *e, struct message *m, const char *parent_id)
{
    const char *ref = parent_id == NULL ? "" : arena_printf(m->arena, " R=%s", parent_id);

    log_write(e->log, LOG_MAIN, m->id, "<= %s%s U=%s P=local S=%lld",
              m->sender[0] == '\0' ? "<>" : m->sender, ref, m->originator_login, (long long)m->message_size);
}

/* Lines of the body, and the longest of all. */
static void count_lines(struct message *m, struct str text, size_t body)
{
    size_t longest = 0, line = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] != '\n') {
            line++;
            continue;
        }
        m->body_linecount += i >= body;
        longest = line > longest ? line : longest;
        line = 0;
    }
    m->max_received_linelength = (long)longest;
}

/* The message goes on at once: through the queue process, or without one in a child that is waited
 * for, since parent and child share their way to the broker. */
static void send_on(struct exim *e, struct message *m)
{
    if (queue_notify(e, m, true) || e->address_test || e->host_checking)
        return;
    struct err err = { 0 };
    if (!spool_rest(e, m, &err)) { /* durable all the same: the queue finds it */
        log_write(e->log, LOG_MAIN | LOG_PANIC, m->id, "%s", err.msg);
        return;
    }
    spool_unlock(m);
    pid_t pid = proc_fork("delivery of a report");
    if (pid == 0) {
        struct deliver_options o = { 0 };
        struct deliver_report report;
        agent_close_all();
        (void)deliver_message(e, m->id, 0, &o, &report);
        _exit(EXIT_SUCCESS);
    }
    if (pid > 0)
        (void)proc_wait(pid, -1);
}

struct submission {
    struct exim *exim;
    struct message *message;
    struct spool_writer *writer; /* NULL once it was committed or given up */
    const char *const *recipients;
    size_t recipient_count;
    const char *parent_id;
};

static void describe_origin(struct exim *e, struct message *m, const char *sender)
{
    m->sender = arena_strdup(m->arena, sender);
    m->received = tod_now();
    m->originator_login = e->originator_login != NULL && !e->privileged ? e->originator_login : "exim";
    m->originator_uid = geteuid();
    m->originator_gid = getegid();
    m->received_protocol = "local";
    m->sender_ident = m->originator_login;
    m->local = m->deliver_firsttime = true;
    m->local_error_message = sender[0] == '\0';
}

struct submission *deliver_submit_begin(struct exim *e, const char *sender, const char *const *recipients, size_t n,
                                        const char *parent_id, struct err *err)
{
    struct message *m = message_new("report");
    struct err why = { 0 };

    describe_origin(e, m, sender);
    for (size_t i = 0; i < n; i++)
        message_add_recipient(m, arena_strdup(m->arena, recipients[i]), -1);
    struct submission *s = arena_new_obj(m->arena, struct submission);
    *s = (struct submission){ .exim = e, .message = m, .recipients = recipients, .recipient_count = n,
                              .parent_id = parent_id, .writer = spool_begin(e, m, &why) };
    if (s->writer != NULL)
        return s;
    err_set(err, e->arena, "%s", why.msg == NULL ? "cannot write to the spool" : why.msg);
    message_free(&m);
    return NULL;
}

const char *deliver_submit_id(const struct submission *s)
{
    return s->message->id;
}

void deliver_submit_hold(struct submission *s, bool utf8)
{
    s->message->smtputf8 = utf8;
    s->message->report_of = arena_strdup(s->message->arena, s->parent_id);
}

bool deliver_submit_commit(struct submission *s, struct str text, struct err *err)
{
    struct message *m = s->message;
    struct spool_writer *w = s->writer;
    struct err why = { 0 };
    size_t body = split_headers(m, text);
    bool ok = false;

    add_trace(s->exim, m, s->recipients, s->recipient_count);
    count_lines(m, text, body);
    m->message_size = (int64_t)(m->headers.bytes + 1 + text.len - body);
    s->writer = NULL;
    if (spool_write(w, text.p + body, text.len - body, &why))
        ok = spool_commit(w, m, &why);
    else
        spool_abandon(w);
    if (!ok)
        return err_set(err, s->exim->arena, "%s", why.msg == NULL ? "cannot write to the spool" : why.msg);
    log_arrival(s->exim, m, s->parent_id);
    return true;
}

void deliver_submit_release(struct submission **sp)
{
    struct submission *s = *sp;
    struct message *m = s->message;

    *sp = NULL;
    send_on(s->exim, m);
    message_free(&m);
}

void deliver_submit_abandon(struct submission **sp)
{
    struct submission *s = *sp;
    struct message *m = s->message;

    *sp = NULL;
    if (s->writer != NULL)
        spool_abandon(s->writer);
    message_free(&m);
}

bool deliver_submit(struct exim *e, const char *sender, const char *const *recipients, size_t n,
                    struct str text, const char *parent_id, char new_id[17], struct err *err)
{
    struct submission *s = deliver_submit_begin(e, sender, recipients, n, parent_id, err);

    if (s == NULL)
        return false;
    if (!deliver_submit_commit(s, text, err)) {
        deliver_submit_abandon(&s);
        return false;
    }
    memcpy(new_id, s->message->id, sizeof s->message->id);
    deliver_submit_release(&s);
    return true;
}
