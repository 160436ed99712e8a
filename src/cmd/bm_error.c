#include "cmd/bm_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tod.h"
#include "cmd/cmd.h"
#include "cmd/local.h"
#include "config/config.h"
#include "deliver.h"
#include "exim.h"
#include "message.h"
#include "receive.h"
#include "session.h"

enum { COPY_MAX = 100 * 1024 };

/* What the report is about: its subject, and its first paragraph. */
struct complaint {
    const char *subject, *text, *detail;
};

static void add_copy(struct buf *b, const struct message *m)
{
    size_t left = COPY_MAX;
    char chunk[4096];
    ssize_t got = 0;

    buf_add_cstr(
        b,
        "\n------ This is a copy of your message, including all the headers. ------\n\n");
    for (const struct header *h = m->headers.first; h != NULL; h = h->next)
        if (h->type != HEADER_OLD)
            buf_add(b, h->text, h->len);
    buf_add_char(b, '\n');
    if (m->id[0] == '\0') { /* nothing was read of it yet */
        while (left > 0 &&
               (got = fd_read(STDIN_FILENO, chunk,
                              left < sizeof(chunk) ? left : sizeof(chunk))) > 0) {
            buf_add(b, chunk, (size_t)got);
            left -= (size_t)got;
        }
        return;
    }
    for (off_t at = 0; body_is_there(&m->body) && left > 0; at += got) {
        got = body_read(&m->body, chunk, left < sizeof(chunk) ? left : sizeof(chunk), at);
        if (got <= 0)
            return;
        buf_add(b, chunk, (size_t)got);
        left -= (size_t)got;
    }
}

static bool send_mail(struct session *s, const struct complaint *c)
{
    struct message *m = s->message;
    struct exim *e = s->exim;
    struct arena *a = m->arena;
    struct buf b = buf_init(a, BUF_DEFAULT_CEILING);
    struct err err = { 0 };
    char id[17];

    if (m->sender == NULL || *m->sender == '\0')
        return false;
    buf_printf(&b,
               "Auto-Submitted: auto-replied\nFrom: Mail Delivery System "
               "<Mailer-Daemon@%s>\nTo: %s\n",
               e->config->qualify_domain, m->sender);
    buf_printf(&b, "Subject: %s\nDate: %s\n\n%s\n", c->subject,
               tod_print(a, TOD_FULL, tod_now()), c->text);
    if (c->detail != NULL)
        buf_printf(&b, "\n  %s\n", c->detail);
    add_copy(&b, m);
    return deliver_submit(e, "", (const char *const[]){ m->sender }, 1, buf_view(&b),
                          m->id[0] != '\0' ? m->id : NULL, id, &err);
}

/* By mail, and the exit status says how that went; a caller that wants stderr has it
 * there. */
static int tell(struct session *s, const struct cmd_line *c, const struct complaint *what,
                const char *for_stderr, int status)
{
    if (c->receive.error_stderr) {
        fprintf(stderr, "exim: %s\n", for_stderr);
        return EXIT_FAILURE;
    }
    bool sent = send_mail(s, what);
    return sent && c->receive.error_exit2 ? EXIT_SUCCESS : status;
}

int bm_error_bad_argument(struct session *s, const struct cmd_line *c, const char *bad)
{
    struct arena *a = s->message->arena;
    size_t address = strcspn(bad, ":"), line = strcspn(bad, "\n");
    const char *reason = bad + address + (bad[address] == ':' ? 2 : 0);
    struct complaint what = {
        .subject = "Mail failure - malformed recipient address",
        .text = "A message that you sent contained one or more recipient addresses that "
                "were\n"
                "incorrectly constructed:",
        .detail = arena_strndup(a, bad, line),
    };
    const char *text =
        arena_printf(a, "bad recipient address \"%.*s\": %.*s", (int)address, bad,
                     (int)strcspn(reason, "\n"), reason);

    return tell(s, c, &what, text, EXIT_FAILURE);
}

int bm_error_report(struct session *s, const struct cmd_line *c,
                    const struct receive_result *r)
{
    bool none = r->rc == RECEIVE_REJECTED && c->extract_recipients &&
                s->message->recipient_count == 0;
    struct complaint what = { .subject = "Mail failure - rejected by local scanning code",
                              .text = "A message that you sent was not accepted:",
                              .detail = r->error };

    if (r->bad_addresses != NULL) {
        what.subject = "Mail failure - malformed recipient address";
        what.text = "A message that you sent contained one or more recipient addresses "
                    "that were\n"
                    "incorrectly constructed:";
        what.detail = r->bad_addresses;
    } else if (none) {
        what.subject = "Mail failure - no recipient addresses";
        what.text =
            "A message that you sent contained no recipient addresses, and therefore no\n"
            "delivery could be attempted.";
        what.detail = NULL;
    } else if (r->rc == RECEIVE_REJECTED) {
        what.subject = "Mail failure - rejected by ACL";
    } else {
        what.subject = "Mail failure - problem with the mail system";
    }
    if (r->rc == RECEIVE_LOST) {
        fprintf(stderr, "exim: %s while reading - message abandoned\n",
                r->error != NULL && strcmp(r->error, "timeout") == 0 ? "timed out"
                                                                     : "error");
        return EXIT_FAILURE;
    }
    return tell(s, c, &what, r->error != NULL ? r->error : what.text,
                none && r->bad_addresses == NULL ? 2 : EXIT_FAILURE);
}
