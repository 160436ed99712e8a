/* link: base */
#include "base/tod.h"

#include <unistd.h>

#include "unit.h"

static struct timespec fake_now;

static struct timespec fake_clock(void)
{
    struct timespec now = fake_now;

    fake_now.tv_nsec += 100000; /* a fifth of a tick */
    if (fake_now.tv_nsec >= 1000000000) {
        fake_now.tv_nsec -= 1000000000;
        fake_now.tv_sec++;
    }
    return now;
}

static int use_fake_clock(void **state)
{
    tod_set_clock(fake_clock);
    return unit_arena_setup(state);
}

static int use_real_clock(void **state)
{
    tod_set_clock(NULL);
    tod_zone_set(NULL);
    return unit_arena_teardown(state);
}

#define CLOCK_TEST(f) cmocka_unit_test_setup_teardown(f, use_fake_clock, use_real_clock)

static void prints_every_style(void **state)
{
    static const struct {
        enum tod_style style;
        const char *utc, *india, *newfoundland;
    } cases[] = {
        { TOD_LOG, "2013-11-04 09:25:06", "2013-11-04 14:55:06", "2013-11-04 05:55:06" },
        { TOD_LOG_ZONE, "2013-11-04 09:25:06 +0000", "2013-11-04 14:55:06 +0530",
          "2013-11-04 05:55:06 -0330" },
        { TOD_LOG_FILE, "20131104", "20131104", "20131104" },
        { TOD_LOG_MONTH, "201311", "201311", "201311" },
        { TOD_FULL, "Mon, 04 Nov 2013 09:25:06 +0000", "Mon, 04 Nov 2013 14:55:06 +0530",
          "Mon, 04 Nov 2013 05:55:06 -0330" },
        { TOD_BSD_INBOX, "Mon Nov  4 09:25:06 2013", "Mon Nov  4 14:55:06 2013",
          "Mon Nov  4 05:55:06 2013" },
        { TOD_EPOCH, "1383557106", "1383557106", "1383557106" },
        { TOD_EPOCH_USEC, "1383557106000789", "1383557106000789", "1383557106000789" },
        { TOD_ZULU, "20131104092506Z", "20131104092506Z", "20131104092506Z" },
        { TOD_ZONE, "+0000", "+0530", "-0330" },
        { TOD_FULL_UTC, "Mon, 04 Nov 2013 09:25:06 +0000", "Mon, 04 Nov 2013 09:25:06 +0000",
          "Mon, 04 Nov 2013 09:25:06 +0000" },
    };
    const struct timespec when = { .tv_sec = 1383557106, .tv_nsec = 789000 };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        tod_zone_set("UTC");
        CHECK_STR(cases[i].utc, tod_print(*state, cases[i].style, when), cases[i].utc);
        tod_zone_set("IST-5:30");
        CHECK_STR(cases[i].india, tod_print(*state, cases[i].style, when), cases[i].india);
        tod_zone_set("NST+3:30");
        CHECK_STR(cases[i].newfoundland, tod_print(*state, cases[i].style, when),
                  cases[i].newfoundland);
    }
    tod_zone_set("");
    assert_null(getenv("TZ"));
}

static void the_clock_moves(void **state)
{
    (void)state;
    int64_t before = tod_monotonic_ms();
    struct timespec now = tod_now();

    assert_true(now.tv_sec > 1700000000);
    usleep(2000);
    assert_true(tod_monotonic_ms() > before);
}

static void reads_intervals(void **state)
{
    static const struct {
        const char *text;
        long want;
    } cases[] = {
        { "0s", 0 },
        { "5s", 5 },
        { "1w2d3h4m5s", 788645 },
        { "90m", 5400 },
        { "3h50m", 13800 },
        { "1h1w", 608400 }, /* Exim takes any order, and units twice */
        { "1h1h", 7200 },
        { "", -1 },
        { "5", -1 },
        { "s", -1 },
        { "1w2d3", -1 },
        { "5.5s", -1 },
        { "5s ", -1 },
        { " 5s", -1 },
        { "5 s", -1 },
        { "-5s", -1 },
        { "5S", -1 },
        { "5y", -1 },
        { "99999999999999999999s", -1 },
        { "9223372036854775807w", -1 },
        { "9223372036854775807s1s", -1 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        CHECK(cases[i].text, tod_interval_parse(cases[i].text) == cases[i].want);
}

static void prints_intervals(void **state)
{
    assert_string_equal(tod_interval_print(*state, 0), "0s");
    assert_string_equal(tod_interval_print(*state, -1), "0s");
    assert_string_equal(tod_interval_print(*state, 60), "1m");
    assert_string_equal(tod_interval_print(*state, 3661), "1h1m1s");
    assert_string_equal(tod_interval_print(*state, 999999), "1w4d13h46m39s");
    assert_int_equal(tod_interval_parse(tod_interval_print(*state, 123456789012)), 123456789012);
}

static void ids_say_when_and_who(void **state)
{
    struct msgid_clock c = { 0 };
    char id[MSGID_LEN + 1];

    (void)state;
    fake_now = (struct timespec){ .tv_sec = 1383557106, .tv_nsec = 500000000 };
    msgid_new(&c, -1, id);
    assert_true(msgid_valid(id));
    assert_memory_equal(id, "1VdGPC-", 7);
    assert_int_equal(msgid_time(id), 1383557106);
    assert_int_equal(base62_parse(id + 7, 6), getpid());
    assert_int_equal(base62_parse(id + 14, 2), 1000); /* half a second in 1/2000 */

    c = (struct msgid_clock){ 0 };
    fake_now = (struct timespec){ .tv_sec = 1383557106, .tv_nsec = 500000000 };
    msgid_new(&c, 16, id);
    assert_int_equal(base62_parse(id + 14, 2), 16 * 200 + 100);
    c = (struct msgid_clock){ 0 };
    fake_now = (struct timespec){ .tv_sec = 1383557106, .tv_nsec = 500000000 };
    msgid_new(&c, 0, id);
    assert_int_equal(base62_parse(id + 14, 2), 100);
}

static void ids_never_repeat(void **state)
{
    struct msgid_clock c = { 0 };
    char before[MSGID_LEN + 1] = "", id[MSGID_LEN + 1];

    (void)state;
    fake_now = (struct timespec){ .tv_sec = 1383557106, .tv_nsec = 999000000 };
    for (int i = 0; i < 50; i++) {
        if (i == 25)
            fake_now.tv_sec -= 3600; /* somebody sets the clock back */
        msgid_new(&c, -1, id);
        assert_true(strcmp(before, id) < 0);
        memcpy(before, id, sizeof(id));
    }
}

static struct timespec still_clock(void)
{
    return fake_now;
}

/* Also while the clock stands still: nobody waits, and the order of one process is kept within a second. */
static void ids_need_no_tick_of_their_own(void **state)
{
    static const int numbers[] = { -1, 16 };
    char before[MSGID_LEN + 1], id[MSGID_LEN + 1];

    (void)state;
    tod_set_clock(still_clock);
    for (size_t n = 0; n < ARRAY_LEN(numbers); n++) {
        struct msgid_clock c = { 0 };
        fake_now = (struct timespec){ .tv_sec = 1383557106, .tv_nsec = 500000000 };
        msgid_new(&c, numbers[n], before);
        assert_int_equal(base62_parse(before + 7, 6), getpid());
        for (int i = 1; i < 3000; i++) {
            if (i % 7 == 0)
                fake_now.tv_nsec += 100000;
            msgid_new(&c, numbers[n], id);
            assert_true(msgid_valid(id) && strcmp(before, id) < 0);
            assert_int_equal(base62_parse(id + 7, 6) % (1 << 24), getpid());
            memcpy(before, id, sizeof(id));
        }
        fake_now.tv_sec++;
        msgid_new(&c, numbers[n], id);
        assert_int_equal(base62_parse(id + 7, 6), getpid());
        assert_true(strcmp(before, id) < 0);
    }
    tod_set_clock(fake_clock);
}

static void knows_an_id_when_it_sees_one(void **state)
{
    (void)state;
    assert_true(msgid_valid("1VdNti-0001OY-1V"));
    assert_false(msgid_valid("1VdNti-0001OY-1"));
    assert_false(msgid_valid("1VdNti-0001OY-1Vx"));
    assert_false(msgid_valid("1VdNti-0001OY_1V"));
    assert_false(msgid_valid("1VdNt/-0001OY-1V"));
    assert_false(msgid_valid(""));
}

static void base62_stops_at_what_is_no_digit(void **state)
{
    (void)state;
    assert_int_equal(base62_parse("0", 1), 0);
    assert_int_equal(base62_parse("9Az", 3), 9 * 62 * 62 + 10 * 62 + 61);
    assert_int_equal(base62_parse("1-9", 3), 1);
    assert_int_equal(base62_parse("", 3), 0);
}

/* As the C library prints them, in zones that change at odd times; also when zone and quarter change. */
static void agrees_with_the_library(void **state)
{
    static const char *const zones[] = { "UTC", "Europe/Berlin", "Asia/Kathmandu", "Australia/Lord_Howe",
                                         "America/St_Johns", "Africa/Monrovia", "Pacific/Apia" };
    static const int64_t from[] = { -3000000000, -62135596800, -900, 0, 63593000, 1325239000, 1761440400 };

    for (size_t z = 0; z < ARRAY_LEN(zones); z++) {
        tod_zone_set(zones[z]);
        tzset(); /* for localtime_r here */
        for (int64_t i = 0; i < 70000; i++) {
            const struct timespec when = { .tv_sec = from[i % 7] + i / 7 * (i % 2 == 0 ? 449 : 98765) };
            char expected[64];
            struct tm tm;

            (void)localtime_r(&when.tv_sec, &tm);
            (void)strftime(expected, sizeof(expected), "%Y-%m-%d %H:%M:%S %z", &tm);
            if (tm.tm_year < -900) /* %Y has no zeros before it */
                continue;
            struct arena *a = arena_new("stamp");
            assert_string_equal(tod_print(a, TOD_LOG_ZONE, when), expected);
            (void)gmtime_r(&when.tv_sec, &tm);
            (void)strftime(expected, sizeof(expected), "%a, %d %b %Y %H:%M:%S %z", &tm);
            assert_string_equal(tod_print(a, TOD_FULL_UTC, when), expected);
            arena_destroy(&a);
        }
    }
    tod_zone_set("UTC");
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLOCK_TEST(prints_every_style),
        cmocka_unit_test(the_clock_moves),
        cmocka_unit_test(agrees_with_the_library),
        cmocka_unit_test(reads_intervals),
        UNIT_TEST(prints_intervals),
        CLOCK_TEST(ids_say_when_and_who),
        CLOCK_TEST(ids_never_repeat),
        CLOCK_TEST(ids_need_no_tick_of_their_own),
        cmocka_unit_test(knows_an_id_when_it_sees_one),
        cmocka_unit_test(base62_stops_at_what_is_no_digit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
