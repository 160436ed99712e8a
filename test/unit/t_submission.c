#include <string.h>

#include "base/buf.h"
#include "cmd/cmd.h"
#include "cmd/submission.h"

#include "unit.h"

static const struct cmd_mode bm = { "bm", 0, cmd_bm };

static struct str example(struct arena *a)
{
    char *args[] = { unconst("a@b"), unconst("") };
    const struct cmd_line c = { .mode = &bm, .sender = "", .sender_name = "J", .oMt = "x", .extract_recipients = true,
                                .receive = { .dot_ends = true, .receive_timeout = -1 }, .args = args, .nargs = 2,
                                .config_files = "/etc/passwd" };
    struct buf b = buf_init(a, SUBMISSION_MAX);

    submission_encode(&b, &c);
    return buf_view(&b);
}

static void what_was_said_arrives_and_nothing_else(void **state)
{
    struct cmd_line c;

    assert_true(submission_decode(*state, example(*state), &c));
    assert_ptr_equal(c.mode->run, cmd_bm);
    assert_int_equal(c.mode->flags, 0);
    assert_string_equal(c.sender, "");
    assert_null(c.oMa);
    assert_string_equal(c.oMt, "x");
    assert_true(c.extract_recipients && c.receive.dot_ends && !c.receive.queue_only);
    assert_int_equal(c.receive.receive_timeout, -1);
    assert_int_equal(c.nargs, 2);
    assert_string_equal(c.args[0], "a@b");
    assert_null(c.config_files);
    assert_null(c.input_ended);
}

static void every_proper_prefix_is_refused(void **state)
{
    struct str whole = example(*state);
    struct cmd_line c;

    for (size_t len = 0; len < whole.len; len++) {
        char *copy = arena_alloc(*state, len + 1, 1);

        memcpy(copy, whole.p, len);
        assert_false(submission_decode(*state, (struct str){ copy, len }, &c));
    }
}

static void other_modes_are_refused(void **state)
{
    static const struct cmd_mode be = { "be", 0, cmd_be };
    const struct cmd_line c = { .mode = &be };
    struct cmd_line out;
    struct buf b = buf_init(*state, SUBMISSION_MAX);

    submission_encode(&b, &c);
    assert_false(submission_decode(*state, buf_view(&b), &out));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        UNIT_TEST(what_was_said_arrives_and_nothing_else),
        UNIT_TEST(every_proper_prefix_is_refused),
        UNIT_TEST(other_modes_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
