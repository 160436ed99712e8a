/* Which header lines a message has after reception, for local callers, submissions and strangers. */
#include "unit.h"

#include "base/buf.h"
#include "message.h"
#include "session.h"
#include "smtp_world.h"

static const char config[] = "received_header_text =\ntls_advertise_hosts =\nlocal_from_suffix = -*\n";

struct text_source {
    const char *p;
    size_t piece;
};

static ssize_t read_text(void *arg, char *p, size_t n, struct err *err)
{
    struct text_source *s = arg;
    size_t len = strlen(s->p);

    (void)err;
    len = len < n ? len : n;
    len = len < s->piece ? len : s->piece;
    memcpy(p, s->p, len);
    s->p += len;
    return (ssize_t)len;
}

enum who { TRUSTED, USER, STRANGER, SUBMITTED, EXTRACT, RETAINED };

/* clang-format off */
static const struct {
    const char *name;
    enum who who;
    const char *sender, *in;
    const char *out;        /* live header lines; ids as ID, dates as NOW */
    const char *recipients; /* and the sender before them */
} rows[] = {
    { "complete", TRUSTED, "a@b", "From: x@y\nDate: d\nMessage-ID: <i@d>\n\n", "From: x@y\nDate: d\nMessage-ID: <i@d>\n", "a@b:r@s" },
    { "nothing", TRUSTED, "a@b", "\nbody\n", "Message-Id: <EID@my.host>\nFrom: a@b\nDate: NOW\n", "a@b:r@s" },
    { "no header", TRUSTED, "a@b", "body\n", "Message-Id: <EID@my.host>\nFrom: a@b\nDate: NOW\n", "a@b:r@s" },
    { "null sender", TRUSTED, "", "Subject: x\n\n", "Subject: x\nMessage-Id: <EID@my.host>\nDate: NOW\n", ":r@s" },
    { "login alone", TRUSTED, "a@b", "From: tester\n\n", "From: \"T. Ester\" <tester@my.dom>\nMessage-Id: <EID@my.host>\nDate: NOW\n", "a@b:r@s" },
    { "removed", TRUSTED, "a@b", "Return-path: <q>\nEnvelope-to: e\nDelivery-date: d\nFrom: x@y\nDate: d\nMessage-ID: <i@d>\n\n",
      "From: x@y\nDate: d\nMessage-ID: <i@d>\n", "a@b:r@s" },
    { "resent", TRUSTED, "a@b", "From: x@y\nResent-To: z@w\n\n",
      "Resent-Date: NOW\nResent-Message-Id: <EID@my.host>\nFrom: x@y\nResent-To: z@w\nResent-From: a@b\n", "a@b:r@s" },
    { "user's own", USER, "tester@my.dom", "From: tester@my.dom\nSender: x@y\nDate: d\nMessage-ID: <i@d>\n\n",
      "From: tester@my.dom\nDate: d\nMessage-ID: <i@d>\n", "tester@my.dom:r@s" },
    { "user as another", USER, "tester@my.dom", "From: boss@x\nDate: d\nMessage-ID: <i@d>\n\n",
      "From: boss@x\nDate: d\nMessage-ID: <i@d>\nSender: \"T. Ester\" <tester@my.dom>\n", "tester@my.dom:r@s" },
    { "two in From", USER, "tester@my.dom", "From: tester@my.dom, boss@x\nDate: d\nMessage-ID: <i@d>\n\n",
      "From: tester@my.dom, boss@x\nDate: d\nMessage-ID: <i@d>\nSender: \"T. Ester\" <tester@my.dom>\n", "tester@my.dom:r@s" },
    { "stranger", STRANGER, "a@b", "Subject: x\nSender: y@z\n\n", "Subject: x\nSender: y@z\n", "a@b:r@s" },
    { "submitted", SUBMITTED, "a@b", "From: boss@x\nSender: y@z\n\n",
      "From: boss@x\nMessage-Id: <EID@my.host>\nDate: NOW\nSender: Real Name <user@sub.dom>\n", "user@sub.dom:r@s" },
    { "submitted, own", SUBMITTED, "a@b", "From: user@sub.dom\nDate: d\n\n",
      "From: user@sub.dom\nDate: d\nMessage-Id: <EID@my.host>\n", "user@sub.dom:r@s" },
    { "submitted, retained", RETAINED, "a@b", "From: boss@x\nSender: y@z\nDate: d\n\n",
      "From: boss@x\nSender: y@z\nDate: d\nMessage-Id: <EID@my.host>\n", "a@b:r@s" },
    { "extracted", EXTRACT, "a@b", "From: x@y\nTo: one@x, Two <two@x>\nCc: g: three@x, one@X;\nBcc: four, r@s\nDate: d\nMessage-ID: <i@d>\n\n",
      "From: x@y\nTo: one@x, Two <two@x>\nCc: g: three@x, one@X;\nDate: d\nMessage-ID: <i@d>\n",
      "a@b:one@x,two@x,three@x,four@my.dom" },
    { "extracted, resent", EXTRACT, "a@b", "From: x@y\nTo: one@x\nBcc: old@x\nResent-To: two@x\nResent-Bcc: three@x\nResent-From: q@x\nResent-Date: d\nResent-Message-Id: <r@d>\n\n",
      "From: x@y\nTo: one@x\nBcc: old@x\nResent-To: two@x\nResent-From: q@x\nResent-Date: d\nResent-Message-Id: <r@d>\n",
      "a@b:two@x,three@x" },
};
/* clang-format on */

static struct session *session_for(struct smtp_world *w, enum who who)
{
    struct session *s = session_new(&w->e);
    struct message *m = s->message = message_new("message");

    w->e.trusted = who != USER;
    w->e.originator_name = who == USER || who == TRUSTED ? "T. Ester" : "";
    s->active_hostname = "my.host";
    s->sender_unqualified_ok = s->recipient_unqualified_ok = who < STRANGER || who == EXTRACT;
    if (who == STRANGER || who == SUBMITTED || who == RETAINED) {
        s->host_address = "10.0.0.1";
        session_set_fullhost(s);
    }
    if (who == SUBMITTED || who == RETAINED) {
        s->host_authenticated = "plain";
        s->authenticated_id = "user";
        m->submission = true;
        m->submission_domain = "sub.dom";
        m->submission_name = "Real Name";
        m->submission_sender_retain = who == RETAINED;
    }
    return s;
}

/* The line with its date and its id made the same for every run. */
static void add_line(struct buf *b, const struct message *m, const struct header *h)
{
    const char *date = strstr(h->text, "Date: "), *id = strstr(h->text, m->id);

    if (date != NULL && strlen(date) > 12)
        buf_printf(b, "%.*sDate: NOW\n", (int)(date - h->text), h->text);
    else if (id != NULL)
        buf_printf(b, "%.*sID%s", (int)(id - h->text), h->text, id + MSGID_LEN);
    else
        buf_add_cstr(b, h->text);
}

static void check(struct smtp_world *w, struct arena *a, size_t i, size_t piece)
{
    struct session *s = session_for(w, rows[i].who);
    struct message *m = s->message;
    struct text_source text = { rows[i].in, piece };
    struct receive_source source = { .read = read_text, .arg = &text };
    struct buf headers = buf_init(a, 1 << 16), envelope = buf_init(a, 1 << 16);

    m->sender = rows[i].sender;
    /* The name of a caller who set another sender is not used: see cmd_bm. */
    if (rows[i].who == TRUSTED && strcmp(rows[i].name, "login alone") != 0)
        w->e.originator_name = "";
    (void)message_add_recipient(m, "r@s", -1);
    struct receive_result r = receive_message(s, m, &source, rows[i].who == EXTRACT);
    CHECK(rows[i].name, r.rc == RECEIVE_OK);
    for (const struct header *h = m->headers.first; h != NULL; h = h->next)
        if (h->type != HEADER_OLD)
            add_line(&headers, m, h);
    buf_printf(&envelope, "%s:", m->sender);
    for (size_t n = 0; n < m->recipient_count; n++)
        buf_printf(&envelope, "%s%s", n > 0 ? "," : "", m->recipients[n].address);
    CHECK_STR(rows[i].name, buf_cstr(&headers), rows[i].out);
    CHECK_STR(rows[i].name, buf_cstr(&envelope), rows[i].recipients);
    session_free(&s);
}

static void headers_are_fixed_up_for_whom_they_should(void **state)
{
    struct smtp_world w;

    smtp_world_open(&w, config);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t piece = 1; piece < 64; piece += 9)
            check(&w, *state, i, piece);
    smtp_world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = { UNIT_TEST(headers_are_fixed_up_for_whom_they_should) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
