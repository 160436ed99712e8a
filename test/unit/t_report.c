/* link: base deliver/report header */
#include "deliver/deliver_int.h"

#include "unit.h"

#include "base/hash.h"
#include "base/wire.h"
#include "config/config.h"
#include "exim.h"
#include "header.h"
#include "host.h"
#include "retry.h"
#include "transports/transport.h"

static struct exim no_routers(struct arena *a)
{
    return (struct exim){ .config = arena_new_obj(a, struct config) };
}

static struct address *full_job(struct arena *a)
{
    struct address *addr = arena_new_obj(a, struct address);
    struct address *parent = arena_new_obj(a, struct address);
    struct header *h = arena_new_obj(a, struct header);

    *h = (struct header){ .type = ' ', .text = "X-A: b\n", .len = 7 };
    parent->address = "list@here.test";
    parent->local_part = "list";
    parent->domain = "here.test";
    *addr = (struct address){ .address = "a@b.test", .unique = "a@b.test", .local_part = "a", .domain = "b.test",
                              .home_dir = "/home/a", .parent = parent, .extra_headers = h, .pno = 3,
                              .flags = ADDR_LOCAL, .router_vars = hash_new(a, false) };
    char *value = arena_strdup(a, "y");

    hash_put(addr->router_vars, "x", value);
    return addr;
}

static void a_job_arrives_as_it_was_sent(void **state)
{
    struct arena *a = *state;
    struct exim e = no_routers(a);
    struct buf b = buf_init(a, 10000);

    report_put_job(&b, full_job(a));
    struct wire_reader r = wire_reader(buf_view(&b));
    struct address *got = report_get_job(&r, a, &e);
    assert_true(wire_done(&r));
    assert_string_equal(got->address, "a@b.test");
    assert_string_equal(got->home_dir, "/home/a");
    assert_null(got->errors_to);
    assert_string_equal(got->extra_headers->text, "X-A: b\n");
    assert_string_equal(hash_find(got->router_vars, "x"), "y");
    assert_string_equal(got->parent->address, "list@here.test");
    assert_ptr_equal(got->top, got->parent);
    assert_int_equal(got->pno, 3);
}

static void a_result_arrives_as_it_was_sent(void **state)
{
    struct arena *a = *state;
    struct host host = { .name = "mx.test", .address = "192.0.2.1", .port = 25 };
    struct retry_update u = { .key = "T:mx.test:192.0.2.1", .host = true, .basic_errno = 111, .message = "refused" };
    struct address sent = { .result = { .rc = RC_DEFER, .basic_errno = -44, .more_errno = 52, .status = "4.2.0",
                                        .message = "no", .diagnostic = "452 4.2.0 no", .remote_mta = "mx.test" },
                            .host_used = &host, .retry_updates = &u, .log_cv = 1, .remote_dsn = true,
                            .outcome = OUTCOME_DEFERRED, .output_line = "out" };
    struct address got = { 0 };
    struct buf b = buf_init(a, 10000);

    report_put_result(&b, &sent);
    struct wire_reader r = wire_reader(buf_view(&b));
    report_get_result(&r, a, &got);
    assert_true(wire_done(&r));
    assert_int_equal(got.result.rc, RC_DEFER);
    assert_int_equal(got.result.basic_errno, -44);
    assert_int_equal(got.result.more_errno, 52);
    assert_string_equal(got.result.diagnostic, "452 4.2.0 no");
    assert_string_equal(got.host_used->name, "mx.test");
    assert_string_equal(got.retry_updates->key, "T:mx.test:192.0.2.1");
    assert_true(got.retry_updates->host && !got.retry_updates->remove && got.remote_dsn);
    assert_string_equal(got.output_line, "out");
}

static void results_of_a_list_arrive_though_most_are_alike(void **state)
{
    struct arena *a = *state;
    struct host host = { .name = "mx.test", .address = "192.0.2.1", .port = 25 };
    struct retry_update u = { .key = "R:d@x.test", .basic_errno = -44 };
    struct address sent[5], got[5] = { 0 };
    struct buf b = buf_init(a, 10000), one = buf_init(a, 10000);

    for (size_t i = 0; i < 5; i++) {
        sent[i] = (struct address){ .next = i < 4 ? &sent[i + 1] : NULL,
                                    .result = { .rc = RC_OK, .status = "2.0.0", .remote_port = 25 },
                                    .confirmation = arena_strdup(a, "250 ok"), .host_used = &host,
                                    .outcome = OUTCOME_RELAYED, .log_cv = -1, .delivery_ms = 7 };
        got[i].next = i < 4 ? &got[i + 1] : NULL;
    }
    report_put_results(&one, &sent[4]);
    sent[2].result = (struct addr_result){ .rc = RC_DEFER, .message = "later" };
    sent[3].result = sent[2].result;
    sent[3].retry_updates = &u;
    report_put_results(&b, sent);
    assert_true(b.len < 5 * one.len);
    struct wire_reader r = wire_reader(buf_view(&b));

    report_get_results(&r, a, got);
    assert_true(wire_done(&r));
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(got[i].result.rc, i == 2 || i == 3 ? RC_DEFER : RC_OK);
        assert_string_equal(got[i].confirmation, "250 ok");
        assert_string_equal(got[i].host_used->name, "mx.test");
        assert_int_equal(got[i].delivery_ms, 7);
        assert_int_equal(got[i].log_cv, -1);
        assert_int_equal(got[i].outcome, OUTCOME_RELAYED);
    }
    assert_string_equal(got[3].result.message, "later");
    assert_null(got[2].retry_updates);
    assert_string_equal(got[3].retry_updates->key, "R:d@x.test");
    assert_null(got[4].retry_updates);
    assert_null(got[4].result.message);
}

static void alike_to_nothing_is_no_result(void **state)
{
    struct address got = { 0 };
    struct wire_reader r = wire_reader(STR("\1"));

    report_get_results(&r, *state, &got);
    assert_false(wire_done(&r));
}

/* Whatever is cut off, nothing is made up and nothing is read beyond the end. */
static void every_shorter_record_is_refused(void **state)
{
    struct arena *a = *state;
    struct exim e = no_routers(a);
    struct buf b = buf_init(a, 10000);

    report_put_job(&b, full_job(a));
    for (size_t n = 0; n < b.len; n++) {
        char *copy = malloc(n == 0 ? 1 : n);
        memcpy(copy, b.p, n);
        struct wire_reader r = wire_reader((struct str){ copy, n });
        struct address *got = report_get_job(&r, a, &e);
        assert_true(got == NULL || !wire_done(&r) || n == b.len);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_job_arrives_as_it_was_sent),
        UNIT_TEST(a_result_arrives_as_it_was_sent),
        UNIT_TEST(results_of_a_list_arrive_though_most_are_alike),
        UNIT_TEST(alike_to_nothing_is_no_result),
        UNIT_TEST(every_shorter_record_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
