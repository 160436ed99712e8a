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

static void count_body(struct message *m, struct str body)
{
    size_t longest = 0, line = 0;

    for (size_t i = 0; i < body.len; i++) {
        if (body.p[i] != '\n') {
            line++;
            continue;
        }
        m->body_linecount++;
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
    spool_unlock(m);
    pid_t pid = proc_fork("delivery of a report");
    if (pid == 0) {
        struct deliver_options o = { 0 };
        struct deliver_report report;
        agent_close_all();
        (void)deliver_message(e, m->id, &o, arena_new("delivery of a report"), &report);
        _exit(EXIT_SUCCESS);
    }
    if (pid > 0)
        (void)proc_wait(pid, -1);
}

bool deliver_submit(struct exim *e, const char *sender, const char *const *recipients, size_t n,
                    struct str text, const char *parent_id, char new_id[17], struct err *err)
{
    struct message *m = message_new("report");
    struct err why = { 0 };
    bool ok = false;

    m->sender = arena_strdup(m->arena, sender);
    for (size_t i = 0; i < n; i++)
        message_add_recipient(m, arena_strdup(m->arena, recipients[i]), -1);
    m->received = tod_now();
    m->originator_login = e->originator_login != NULL && !e->privileged ? e->originator_login : "exim";
    m->originator_uid = geteuid();
    m->originator_gid = getegid();
    m->received_protocol = "local";
    m->sender_ident = m->originator_login;
    m->local = m->deliver_firsttime = true;
    m->local_error_message = sender[0] == '\0';
    struct spool_writer *w = spool_begin(e, m, &why);
    if (w != NULL) {
        size_t body = split_headers(m, text);
        add_trace(e, m, recipients, n);
        count_body(m, (struct str){ text.p + body, text.len - body });
        m->message_size = (int64_t)(m->headers.bytes + 1 + text.len - body);
        if (spool_write(w, text.p + body, text.len - body, &why))
            ok = spool_commit(w, m, &why);
        else
            spool_abandon(w);
    }
    if (ok) {
        log_arrival(e, m, parent_id);
        memcpy(new_id, m->id, sizeof m->id);
        send_on(e, m);
    } else
        err_set(err, e->arena, "%s", why.msg == NULL ? "cannot write to the spool" : why.msg);
    message_free(&m);
    return ok;
}
