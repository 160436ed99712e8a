#include "transports/transport.h"

#include <unistd.h>

#include "address.h"
#include "base/buf.h"
#include "base/str.h"
#include "config/config.h"
#include "drtables.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "transports/bsmtp.h"
#include "transports/command.h"
#include "transports/stream.h"
#include "unit.h"

static bool to_buf(void *arg, const void *p, size_t n)
{
    buf_add(arg, p, n);
    return true;
}

/* clang-format off */
static const struct {
    const char *name;
    bool crlf, dots;
    const char *check, *escape, *in, *want;
} streams[] = {
    { "as it is",       false, false, NULL,     NULL,      "a\nb\n",               "a\nb\n" },
    { "line ends",      true,  false, NULL,     NULL,      "a\n\nb",               "a\r\n\r\nb" },
    { "dots",           true,  true,  NULL,     NULL,      ".\n..a\nb.\n",         "..\r\n...a\r\nb.\r\n" },
    { "From",           false, false, "From ",  ">From ",  "From x\nFro\nFromm\n", ">From x\nFro\nFromm\n" },
    { "From at end",    false, false, "From ",  ">From ",  "a\nFrom",              "a\nFrom" },
    { "in the middle",  false, false, "From ",  ">From ",  "x From y\n",           "x From y\n" },
    { "MMDF",           false, false, "\1\1\n", "\1\1 \n", "\1\1\n\1\1\na\n",      "\1\1 \n\1\1 \na\n" },
    { "restart",        false, false, "\1\1\n", "\1\1 \n", "\1\n\1\1\n",           "\1\n\1\1 \n" },
};
/* clang-format on */

/* Whatever the pieces it comes in. */
static void streams_escape_over_any_borders(void **state)
{
    struct arena *a = *state;

    for (size_t i = 0; i < ARRAY_LEN(streams); i++)
        for (size_t piece = 1; piece <= strlen(streams[i].in); piece++) {
            struct buf b = buf_init(a, 65536);
            struct transport_output out = { .crlf = streams[i].crlf, .dot_stuff = streams[i].dots,
                                            .check_string = streams[i].check,
                                            .escape_string = streams[i].escape, .write = to_buf, .arg = &b };
            struct stream s;
            const char *in = streams[i].in;
            size_t len = strlen(in);

            stream_init(&s, a, &out);
            for (size_t at = 0; at < len; at += piece)
                assert_true(stream_put(&s, in + at, len - at < piece ? len - at : piece));
            assert_true(stream_flush(&s));
            CHECK_STR(streams[i].name, buf_cstr(&b), streams[i].want);
            assert_int_equal(out.written, b.len);
        }
}

struct fixture {
    struct config cfg;
    struct exim exim;
    struct expand_ctx ctx;
    struct message *m;
    struct address *addr;
    struct transport t;
    struct transport_call call;
    struct buf b;
};

static struct fixture *begin(struct arena *a, const char *body)
{
    struct fixture *f = arena_new_obj(a, struct fixture);
    FILE *file = tmpfile();

    fputs(body, file);
    fflush(file);
    f->exim = (struct exim){ .arena = a, .config = &f->cfg, .hooks = &drtables_hooks, .queue_fd = -1 };
    f->m = message_new("test");
    f->m->sender = "s@x.example";
    f->m->body = (struct body){ .fd = dup(fileno(file)), .size = (off_t)strlen(body) };
    arena_owns_fd(f->m->arena, f->m->body.fd);
    fclose(file);
    f->addr = address_new(a, "u@q.example");
    expand_ctx_init(&f->ctx, &f->exim, a);
    f->ctx.message = f->m;
    f->ctx.addr = f->addr;
    f->t = (struct transport){ .name = "t", .transport_filter_timeout = 10 };
    f->call = (struct transport_call){ .ctx = &f->ctx, .message = f->m, .addrs = f->addr, .return_path = "r@x.example" };
    f->b = buf_init(a, 1024 * 1024);
    return f;
}

static const char *write_out(struct fixture *f, struct transport_output out, struct err *err)
{
    buf_clear(&f->b);
    out.write = to_buf;
    out.arg = &f->b;
    return transport_write_message(&f->t, &f->call, &out, err) ? buf_cstr(&f->b) : NULL;
}

static struct router_text *text(struct arena *a, const char *s)
{
    struct err err = { 0 };
    struct router_text *t = arena_new_obj(a, struct router_text);

    t->value = expr_compile(a, s, &err);
    assert_non_null(t->value);
    return t;
}

static void header_lines_are_added_and_removed(void **state)
{
    struct arena *a = *state;
    struct fixture *f = begin(a, "body\n");
    struct header extra = { .type = HEADER_OTHER, .text = "X-R: 1\n", .len = 7 };
    struct err err = { 0 };

    header_append(&f->m->headers, f->m->arena, HEADER_OTHER, "Subject: x\n");
    header_append(&f->m->headers, f->m->arena, HEADER_OTHER, "X-Foo-A: 1\n");
    header_append(&f->m->headers, f->m->arena, HEADER_OLD, "Gone: 1\n");
    header_append(&f->m->headers, f->m->arena, HEADER_OTHER, "Subject2: y\n");
    f->addr->extra_headers = &extra;
    f->addr->remove_headers = "subject";
    f->t.headers_remove = text(a, "x-foo-*");
    f->t.headers_add = text(a, "X-T: 1\nX-U: 2");
    const struct transport_output out = { .add_return_path = true, .add_envelope_to = true };
    CHECK_STR("all", write_out(f, out, &err),
              "Return-path: <r@x.example>\nEnvelope-to: u@q.example\nSubject2: y\nX-R: 1\nX-T: 1\nX-U: 2\n\nbody\n");
    CHECK_STR("body", write_out(f, (struct transport_output){ .body_only = true }, &err), "body\n");
    f->addr->remove_headers = "subject:subject2";
    CHECK_STR("headers", write_out(f, (struct transport_output){ .headers_only = true }, &err),
              "X-R: 1\nX-T: 1\nX-U: 2\n\n");
    message_free(&f->m);
}

static void wire_format_bodies_are_turned_into_lines(void **state)
{
    struct fixture *f = begin(*state, "a\r\n.b\r\r\nc\rd\r\n");
    struct err err = { 0 };

    f->m->spool_file_wireformat = true;
    f->t.body_only = true;
    CHECK_STR("lines", write_out(f, (struct transport_output){ 0 }, &err), "a\n.b\r\nc\rd\n");
    CHECK_STR("wire", write_out(f, (struct transport_output){ .crlf = true, .dot_stuff = true }, &err),
              "a\r\n..b\r\r\nc\rd\r\n");
    message_free(&f->m);
}

static void a_filter_stands_between(void **state)
{
    struct arena *a = *state;
    struct fixture *f = begin(a, "from body\n");
    struct err err = { 0 };

    f->t.body_only = true;
    f->t.transport_filter = text(a, "/usr/bin/tr a-z A-Z")->value;
    CHECK_STR("filtered", write_out(f, (struct transport_output){ .check_string = "FROM", .escape_string = ">" }, &err),
              "> BODY\n");
    f->t.transport_filter = text(a, "/bin/false")->value;
    assert_null(write_out(f, (struct transport_output){ 0 }, &err));
    assert_int_equal(err.sys_errno, ERR_FILTER_FAIL);
    message_free(&f->m);
}

static void commands_are_split_then_expanded(void **state)
{
    struct arena *a = *state;
    struct fixture *f = begin(a, "");
    struct address second = { .address = "v@q.example" };
    struct err err = { 0 };
    char **argv;

    f->addr->next = &second;
    f->ctx.local_part = "two words";
    struct command_request rq = { .text = "/x \"a \\\"b\" 'c \\d' $local_part $pipe_addresses", .expand = true,
                                  .owner = "t transport", .addrs = f->addr };
    assert_true(command_parse(&f->ctx, &rq, &argv, &err));
    const char *const want[] = { "/x", "a \"b", "c d", "two words", "u@q.example", "v@q.example" };
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        CHECK_STR("argument", argv[i], want[i]);
    assert_null(argv[ARRAY_LEN(want)]);
    rq.text = "/x $address_pipe end";
    rq.address_pipe = "p 'q r'";
    assert_true(command_parse(&f->ctx, &rq, &argv, &err));
    CHECK_STR("inserted", argv[2], "q r");
    rq.expand = false;
    rq.text = "'c \\d'";
    assert_true(command_parse(&f->ctx, &rq, &argv, &err));
    CHECK_STR("as it is", argv[0], "c \\d");
    rq.expand = true;
    rq.text = "/x ${if";
    assert_false(command_parse(&f->ctx, &rq, &argv, &err));
    message_free(&f->m);
}

static void recipients_lose_their_affixes(void **state)
{
    struct address addr = { .address = "Pre-x-suf@Q.example", .prefix = "pre-", .suffix = "-suf" };
    struct address quoted = { .address = "\"pre-x y\"@q.example", .prefix = "pre-" };

    CHECK_STR("without", bsmtp_recipient(*state, &addr, false), "x@Q.example");
    CHECK_STR("with", bsmtp_recipient(*state, &addr, true), "Pre-x-suf@Q.example");
    CHECK_STR("quoted", bsmtp_recipient(*state, &quoted, false), "\"x y\"@q.example");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(streams_escape_over_any_borders),
        UNIT_TEST(header_lines_are_added_and_removed),
        UNIT_TEST(wire_format_bodies_are_turned_into_lines),
        UNIT_TEST(a_filter_stands_between),
        UNIT_TEST(commands_are_split_then_expanded),
        UNIT_TEST(recipients_lose_their_affixes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
