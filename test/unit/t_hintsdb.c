#include "hintsdb.h"

#include <errno.h>
#include <math.h>
#include <sys/wait.h>

#include "../lib/policy.h"
#include "base/base64.h"

/* Records made by Exim 4.96 on a 64-bit machine. */
static const char retry_record[] = "49ad026b0000000049ad026b0000000049ad026b0000000075ae026b00000000"
                                   "000000006f00000041000000436f6e6e656374696f6e20726566757365640000"
                                   "0000";
static const char wait_record[] = "49ad026b000000000200000000000000317856334a422d3030303668712d306d"
                                  "317856334a422d3030303668702d30640000000000000000";
static const char domain_record[] = "66ad026b000000000100000001000000020000000000000066ad026b00000000"
                                    "66ad026b00000000";
static const char address_record[] = "66ad026b000000000200000000000000";
static const char rate_record[] = "66ad026b00000000b28e090000000000000000000000f03f";
static const char unique_record[] = "66ad026b0000000013430a0000000000000000000000f03f66ad026b00000000"
                                    "2800000008001000200000000000000000004000800000000000000000000001"
                                    "02000400000000000000000000000000";
enum { STAMP = 0x6b02ad49, STAMP2 = 0x6b02ad66 };

static struct str bytes(struct arena *a, const char *hex)
{
    struct str out;

    assert_true(hex_decode(a, str_from(hex), &out));
    return out;
}

static void exims_records_are_understood(void **state)
{
    struct arena *a = *state;
    struct hints_retry r;
    struct hints_wait w;
    struct hints_callout c;
    struct hints_ratelimit l;

    assert_true(hints_retry_decode(a, bytes(a, retry_record), &r));
    assert_int_equal(r.time_stamp, STAMP);
    assert_int_equal(r.next_try - r.last_try, 300);
    assert_int_equal(r.basic_errno, 111);
    assert_int_equal(r.more_errno, 'A');
    assert_false(r.expired);
    assert_string_equal(r.text, "Connection refused");
    assert_true(hints_wait_decode(a, bytes(a, wait_record), &w));
    assert_int_equal(w.count, 2);
    assert_string_equal(w.ids[0], "1xV3JB-0006hq-0m");
    assert_string_equal(w.ids[1], "1xV3JB-0006hp-0d");
    assert_true(hints_callout_decode(bytes(a, domain_record), true, &c));
    assert_int_equal(c.result, 1);
    assert_int_equal(c.postmaster_result, 1);
    assert_int_equal(c.random_result, 2);
    assert_int_equal(c.random_stamp, STAMP2);
    assert_true(hints_callout_decode(bytes(a, address_record), false, &c));
    assert_int_equal(c.result, 2);
    assert_true(hints_ratelimit_decode(a, bytes(a, rate_record), false, &l));
    assert_true(l.rate == 1.0);
    assert_int_equal(l.time_usec, 626354);
    assert_true(hints_ratelimit_decode(a, bytes(a, unique_record), true, &l));
    assert_int_equal(l.bloom_size, 40);
    assert_int_equal(l.bloom[0], 8);
    assert_int_equal(l.bloom[30], 4);
}

static void same_bytes(struct str got, struct str want)
{
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.p, want.p, want.len);
}

static void records_are_written_as_exim_does(void **state)
{
    struct arena *a = *state;
    struct hints_retry r;
    struct hints_wait w;
    struct hints_callout c;
    struct hints_ratelimit l;

    assert_true(hints_retry_decode(a, bytes(a, retry_record), &r));
    same_bytes(hints_retry_encode(a, &r), bytes(a, retry_record));
    assert_true(hints_wait_decode(a, bytes(a, wait_record), &w));
    same_bytes(hints_wait_encode(a, &w), bytes(a, wait_record));
    assert_true(hints_callout_decode(bytes(a, domain_record), true, &c));
    same_bytes(hints_callout_encode(a, &c), bytes(a, domain_record));
    assert_true(hints_callout_decode(bytes(a, address_record), false, &c));
    same_bytes(hints_callout_encode(a, &c), bytes(a, address_record));
    assert_true(hints_ratelimit_decode(a, bytes(a, rate_record), false, &l));
    same_bytes(hints_ratelimit_encode(a, &l, false), bytes(a, rate_record));
    assert_true(hints_ratelimit_decode(a, bytes(a, unique_record), true, &l));
    same_bytes(hints_ratelimit_encode(a, &l, true), bytes(a, unique_record));
    struct hints_serial s = { .time_stamp = STAMP, .count = 3 };
    struct hints_serial back;
    assert_true(hints_serial_decode(hints_serial_encode(a, &s), &back));
    assert_int_equal(back.count, 3);
}

/* Every shorter record is refused or read within its bytes (ASan watches). */
static void short_records_are_harmless(void **state)
{
    struct arena *a = *state;
    static const char *const all[] = { retry_record, wait_record, domain_record, rate_record, unique_record };

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct str full = bytes(a, all[i]);

        for (size_t n = 0; n <= full.len; n++) {
            char *copy = malloc(n == 0 ? 1 : n);
            struct str s = { copy, n };
            struct hints_retry r;
            struct hints_wait w;
            struct hints_callout c;
            struct hints_ratelimit l;
            struct hints_serial m;

            memcpy(copy, full.p, n);
            (void)hints_retry_decode(a, s, &r);
            (void)hints_wait_decode(a, s, &w);
            (void)hints_callout_decode(s, true, &c);
            (void)hints_callout_decode(s, false, &c);
            (void)hints_ratelimit_decode(a, s, true, &l);
            (void)hints_ratelimit_decode(a, s, false, &l);
            (void)hints_serial_decode(s, &m);
            free(copy);
        }
    }
}

static void impossible_numbers_are_refused(void **state)
{
    struct arena *a = *state;
    struct hints_wait w;
    struct hints_ratelimit l;
    struct str wait = bytes(a, wait_record), rate = bytes(a, rate_record), unique = bytes(a, unique_record);
    double bad = NAN;
    int huge = 0x7fffffff, negative = -1;

    memcpy((char *)(uintptr_t)wait.p + 8, &huge, 4);
    assert_false(hints_wait_decode(a, wait, &w));
    memcpy((char *)(uintptr_t)wait.p + 8, &negative, 4);
    assert_false(hints_wait_decode(a, wait, &w));
    memcpy((char *)(uintptr_t)rate.p + 16, &bad, 8);
    assert_false(hints_ratelimit_decode(a, rate, false, &l));
    memcpy((char *)(uintptr_t)unique.p + 32, &huge, 4);
    assert_false(hints_ratelimit_decode(a, unique, true, &l));
}

static bool collect(void *arg, const char *key, struct str value)
{
    struct buf *b = arg;

    buf_printf(b, "%s=%zu ", key, value.len);
    return true;
}

static void what_is_put_is_found(void **state)
{
    struct policy p;
    struct err err = { 0 };
    struct str v;

    policy_open(&p, *state, "");
    assert_null(hints_open(&p.x, "misc", false, &err));
    assert_int_equal(err.sys_errno, ENOENT);
    assert_null(hints_open(&p.x, "../misc", true, &err));
    struct hints_db *db = hints_open(&p.x, "misc", true, &err);
    assert_non_null(db);
    assert_true(hints_put(db, "one", "value", 5, &err));
    assert_true(hints_put(db, "two", "longer value", 12, &err));
    assert_true(hints_put(db, "one", "other", 5, &err));
    hints_close(db);
    assert_int_equal(access(policy_path(&p, "db/misc.lockfile"), F_OK), 0);
    db = hints_open(&p.x, "misc", false, &err);
    assert_non_null(db);
    assert_true(hints_get(db, p.a, "one", &v));
    same_bytes(v, STR("other"));
    assert_false(hints_get(db, p.a, "three", &v));
    assert_false(hints_get(db, p.a, "on", &v)); /* keys have their NUL */
    struct buf b = buf_init(p.a, 1000);
    hints_scan(db, p.a, collect, &b);
    assert_true(strcmp(buf_cstr(&b), "one=5 two=12 ") == 0 || strcmp(buf_cstr(&b), "two=12 one=5 ") == 0);
    hints_close(db);
    db = hints_open(&p.x, "misc", true, &err);
    assert_true(hints_delete(db, "one"));
    assert_false(hints_delete(db, "one"));
    hints_close(db);
    hints_close(NULL);
    policy_close(&p);
}

static void a_broken_file_is_an_error_not_a_crash(void **state)
{
    struct policy p;
    struct err err = { 0 };

    policy_open(&p, *state, "");
    assert_int_equal(mkdir(policy_path(&p, "db"), 0700), 0);
    policy_write(&p, "db/retry", "this is not a database at all, but it is long enough to be looked at as one");
    policy_write(&p, "db/retry.lockfile", "");
    assert_null(hints_open(&p.x, "retry", false, &err));
    assert_non_null(strstr(err.msg, "failed to open hints database"));
    assert_null(hints_open(&p.x, "retry", true, &err));
    policy_close(&p);
}

/* Whoever was killed while it was made must not hold up the next: the library would wait for ever. */
static void an_unfinished_file_is_no_obstacle(void **state)
{
    struct policy p;
    struct err err = { 0 };

    policy_open(&p, *state, "");
    assert_int_equal(mkdir(policy_path(&p, "db"), 0700), 0);
    policy_write(&p, "db/__db.misc", "begun");
    (void)alarm(20);
    struct hints_db *db = hints_open(&p.x, "misc", true, &err);
    (void)alarm(0);
    assert_non_null(db);
    hints_close(db);
    policy_close(&p);
}

/* Four writers count together: none of their steps is lost. */
static void writers_exclude_each_other(void **state)
{
    struct policy p;
    struct err err = { 0 };
    enum { WRITERS = 4, STEPS = 25 };

    policy_open(&p, *state, "");
    for (int i = 0; i < WRITERS; i++)
        if (fork() == 0) {
            for (int j = 0; j < STEPS; j++) {
                struct hints_db *db = hints_open(&p.x, "misc", true, &err);
                struct hints_serial s = { 0 };
                struct str raw;

                if (db == NULL)
                    _exit(1);
                if (hints_get(db, p.a, "n", &raw))
                    (void)hints_serial_decode(raw, &s);
                s.count++;
                raw = hints_serial_encode(p.a, &s);
                (void)hints_put(db, "n", raw.p, raw.len, &err);
                hints_close(db);
            }
            _exit(0);
        }
    for (int i = 0; i < WRITERS; i++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    struct hints_db *db = hints_open(&p.x, "misc", false, &err);
    struct hints_serial s = { 0 };
    struct str raw;
    assert_true(hints_get(db, p.a, "n", &raw) && hints_serial_decode(raw, &s));
    assert_int_equal(s.count, WRITERS * STEPS);
    hints_close(db);
    policy_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(exims_records_are_understood),
        UNIT_TEST(records_are_written_as_exim_does),
        UNIT_TEST(short_records_are_harmless),
        UNIT_TEST(impossible_numbers_are_refused),
        UNIT_TEST(what_is_put_is_found),
        UNIT_TEST(a_broken_file_is_an_error_not_a_crash),
        UNIT_TEST(an_unfinished_file_is_no_obstacle),
        UNIT_TEST(writers_exclude_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
