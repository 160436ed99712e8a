#include "transports/autoreply_int.h"

#include <sys/stat.h>
#include <unistd.h>

#include "address.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/tod.h"
#include "config/config.h"
#include "drtables.h"
#include "exim.h"
#include "expand.h"
#include "header.h"
#include "match.h"
#include "message.h"
#include "transports/autoreply.h"
#include "unit.h"

/* A transport and a message for it; what it wants sent is in addr. */
struct fixture {
    struct arena *a;
    struct config cfg;
    struct exim exim;
    struct expand_ctx ctx;
    struct message *m;
    struct address *addr;
    struct autoreply t;
    struct transport_call call;
    const char *dir;
};

static struct fixture *begin(struct arena *a)
{
    struct fixture *f = arena_new_obj(a, struct fixture);
    char *dir = arena_strdup(a, "/tmp/t_autoreply.XXXXXX");

    assert_non_null(mkdtemp(dir));
    f->a = a;
    f->dir = dir;
    f->cfg.qualify_domain = f->cfg.qualify_recipient = "q.example";
    f->exim = (struct exim){ .arena = a, .config = &f->cfg, .hooks = &drtables_hooks, .queue_fd = -1 };
    f->m = message_new("test");
    f->m->sender = "s@x.example";
    f->addr = address_new(a, "u@q.example");
    expand_ctx_init(&f->ctx, &f->exim, a);
    f->ctx.message = f->m;
    f->ctx.addr = f->addr;
    f->t = (struct autoreply){ .base = { .name = "ar", .driver = &transport_autoreply }, .mode = 0600 };
    f->call = (struct transport_call){ .ctx = &f->ctx, .message = f->m, .addrs = f->addr };
    return f;
}

static const struct expr *e(struct fixture *f, const char *text)
{
    struct err err = { 0 };
    const struct expr *x = expr_compile(f->a, text, &err);

    if (x == NULL)
        fail_msg("%s: %s", text, err.msg);
    return x;
}

static void add(struct fixture *f, const char *line)
{
    header_append(&f->m->headers, f->m->arena, header_type_of(line), line);
}

/* Runs the transport; the text it wants sent, or NULL. */
static const char *run(struct fixture *f)
{
    f->addr->submissions = NULL;
    f->addr->result = (struct addr_result){ 0 };
    transport_autoreply.deliver(&f->t.base, &f->call);
    return f->addr->submissions == NULL ? NULL : f->addr->submissions->text;
}

static void end(struct fixture *f)
{
    const char *names[] = { "once", "log", "body" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlink(arena_printf(f->a, "%s/%s", f->dir, names[i]));
    assert_int_equal(rmdir(f->dir), 0);
    arena_destroy(&f->m->arena);
}

static const char *path(struct fixture *f, const char *name)
{
    return arena_printf(f->a, "%s/%s", f->dir, name);
}

static void write_file(struct fixture *f, const char *name, const char *text)
{
    FILE *file = fopen(path(f, name), "w");

    fputs(text, file);
    fclose(file);
}

static void the_answer_has_all_parts_in_order(void **state)
{
    struct fixture *f = begin(*state);

    add(f, "Message-ID: <1@x>\n");
    add(f, "References: <0@x>\n");
    add(f, "Subject: Hi\n");
    write_file(f, "body", "from a file for $local_part");
    f->ctx.local_part = "u";
    f->t.from = e(f, "Me <u@q.example>");
    f->t.reply_to = e(f, "r@q.example");
    f->t.to = e(f, "$sender_address");
    f->t.cc = e(f, "c, never@n.example");
    f->t.bcc = e(f, "b@q.example");
    f->t.subject = e(f, "Re: $h_subject:");
    f->t.headers = e(f, "X-A: 1\\nX-B: 2");
    f->t.text = e(f, "Hello");
    f->t.file = e(f, path(f, "body"));
    f->t.file_expand = true;
    assert_string_equal(run(f), "From: Me <u@q.example>\nReply-To: r@q.example\nTo: s@x.example\n"
                                "Cc: c, never@n.example\nSubject: Re: Hi\nIn-Reply-To: <1@x>\n"
                                "References: <0@x>\n <1@x>\nAuto-Submitted: auto-replied\nX-A: 1\nX-B: 2\n\n"
                                "Hello\nfrom a file for u");
    assert_int_equal(f->addr->result.rc, RC_OK);
    assert_int_equal(f->addr->submissions->recipient_count, 4);
    assert_string_equal(f->addr->submissions->recipients[1], "c@q.example");

    struct err err = { 0 };

    f->t.never_mail = match_compile(f->a, LIST_ADDRESS, "*@n.example", &f->cfg, &err);
    assert_non_null(strstr(run(f), "\nCc: c\n"));
    assert_int_equal(f->addr->submissions->recipient_count, 3);
    end(f);
}

static void nobody_is_answered_twice(void **state)
{
    struct fixture *f = begin(*state);

    f->t.to = e(f, "$sender_address");
    f->t.text = e(f, "x");
    f->t.once = e(f, path(f, "once"));
    f->t.log = e(f, path(f, "log"));
    for (int file = 0; file < 2; file++) {
        f->t.once_file_size = file == 0 ? 0 : 40;
        unlink(path(f, "once"));
        f->m->sender = "s@x.example";
        assert_non_null(run(f));
        assert_null(run(f));
        assert_int_equal(f->addr->result.rc, RC_OK);
        f->m->sender = "other@x.example";
        assert_non_null(run(f));
        assert_null(run(f));
        f->t.once_repeat = e(f, "1h");
        assert_null(run(f));
        f->t.once_repeat = NULL;
        f->m->sender = "s@x.example";
        /* the file had room for one only */
        assert_true((run(f) != NULL) == (file == 1));
    }
    struct str text;

    assert_true(file_slurp(f->a, path(f, "log"), 100000, &text));
    assert_non_null(strstr(text.p, "\n  To: other@x.example\n"));
    end(f);
}

static void the_null_sender_is_not_answered(void **state)
{
    struct fixture *f = begin(*state);

    f->m->sender = "";
    f->t.to = e(f, "$sender_address");
    assert_null(run(f));
    assert_int_equal(f->addr->result.rc, RC_OK);
    end(f);
}

static void what_cannot_be_made_waits(void **state)
{
    struct fixture *f = begin(*state);

    f->t.to = e(f, "s@x.example");
    f->t.subject = e(f, "a\\001b");
    assert_null(run(f));
    assert_int_equal(f->addr->result.rc, RC_DEFER);
    f->t.subject = e(f, "a\\n b");
    assert_non_null(run(f));
    f->t.subject = e(f, "a\\nBcc: b@x");
    assert_null(run(f));
    f->t.subject = NULL;
    f->t.file = e(f, "/nonexistent");
    assert_null(run(f));
    assert_int_equal(f->addr->result.rc, RC_DEFER);
    f->t.file_optional = true;
    assert_non_null(run(f));
    f->t.once_repeat = e(f, "soon");
    assert_null(run(f));
    assert_non_null(strstr(f->addr->result.message, "Invalid time value \"soon\""));
    end(f);
}

static void long_threads_lose_their_middle(void **state)
{
    struct fixture *f = begin(*state);
    const char *line = "References:";

    for (int i = 0; i < 30; i++)
        line = arena_printf(f->a, "%s <%d@x>", line, i);
    add(f, arena_printf(f->a, "%s\n", line));
    add(f, "Message-ID: <own@x>\n");
    f->t.to = e(f, "s@x.example");
    const char *text = run(f);

    assert_non_null(strstr(text, "\nReferences: <0@x>\n <2"));
    assert_non_null(strstr(text, " <29@x>\n <own@x>\n"));
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(the_answer_has_all_parts_in_order),
        UNIT_TEST(nobody_is_answered_twice),
        UNIT_TEST(the_null_sender_is_not_answered),
        UNIT_TEST(what_cannot_be_made_waits),
        UNIT_TEST(long_threads_lose_their_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
