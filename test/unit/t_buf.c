/* link: base */
#include "base/buf.h"

#include <limits.h>

#include "unit.h"

static void appends_in_every_way(void **state)
{
    struct buf b = buf_init(*state, BUF_DEFAULT_CEILING);

    assert_string_equal(buf_cstr(&b), "");
    buf_add(&b, "abc", 2);
    buf_add_str(&b, STR("cd"));
    buf_add_cstr(&b, "ef");
    buf_add_char(&b, 'g');
    buf_printf(&b, "-%d-%s", 7, "x");
    assert_string_equal(buf_cstr(&b), "abcdefg-7-x");
    assert_true(str_eq(buf_view(&b), STR("abcdefg-7-x")));
    buf_truncate(&b, 4);
    buf_truncate(&b, 9);
    assert_string_equal(b.p, "abcd");
    buf_consume(&b, 1);
    assert_string_equal(b.p, "bcd");
    buf_consume(&b, 99);
    assert_int_equal(b.len, 0);
    buf_clear(&b);
    assert_int_equal(buf_view(&b).len, 0);
    assert_false(b.full);
}

static void an_untouched_buffer_has_an_empty_view(void **state)
{
    struct buf b = buf_init(*state, 10);

    assert_non_null(buf_view(&b).p);
    buf_truncate(&b, 0);
    buf_consume(&b, 3);
    buf_add(&b, NULL, 0);
    assert_string_equal(b.p, "");
}

static void grows_to_megabytes(void **state)
{
    struct buf b = buf_init(*state, SIZE_MAX);

    for (int i = 0; i < 300000; i++)
        buf_add_char(&b, (char)('a' + i % 26));
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%0200d", i);
    assert_int_equal(b.len, 500000);
    assert_int_equal(b.p[299999], 'a' + 299999 % 26);
    assert_int_equal(b.p[500000 - 1], '9');
    assert_false(b.full);
}

static void numbers_are_printed_as_printf_does(void **state)
{
    static const long long values[] = { 0, 1, 9, 10, 12345, -1, -120, LLONG_MAX, LLONG_MIN };
    struct buf b = buf_init(*state, 1000), want = buf_init(*state, 1000);

    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        buf_add_number(&b, values[i], 1);
        buf_printf(&want, "%lld", values[i]);
    }
    buf_add_number(&b, 42, 6);
    buf_add_number(&b, 1234, 3);
    buf_printf(&want, "%06d%03d", 42, 1234);
    assert_string_equal(buf_cstr(&b), buf_cstr(&want));
}

static void stops_at_the_ceiling_and_says_so(void **state)
{
    struct buf b = buf_init(*state, 5);

    buf_add_cstr(&b, "abc");
    assert_false(b.full);
    buf_add_cstr(&b, "defg");
    assert_true(b.full);
    assert_string_equal(b.p, "abcde");
    buf_clear(&b);
    assert_false(b.full);
    buf_printf(&b, "%s", "12345");
    assert_false(b.full);
    buf_add_char(&b, '6');
    assert_true(b.full);
    assert_string_equal(b.p, "12345");
    buf_clear(&b);
    buf_printf(&b, "%s", "123456789");
    assert_true(b.full);
    assert_string_equal(b.p, "12345");
    assert_null(buf_reserve(&b, 1));
}

static void characters_stop_at_the_ceiling_too(void **state)
{
    struct buf b = buf_init(*state, 3);

    for (int i = 0; i < 10; i++)
        buf_add_char(&b, 'x');
    assert_true(b.full);
    assert_string_equal(b.p, "xxx");
}

static void room_can_be_reserved_and_filled(void **state)
{
    struct buf b = buf_init(*state, 1000);
    char *p = buf_reserve(&b, 600);

    memset(p, 'r', 600);
    buf_commit(&b, 10);
    assert_string_equal(b.p, "rrrrrrrrrr");
    assert_null(buf_reserve(&b, 991));
    assert_true(b.full);
    assert_non_null(buf_reserve(&b, 990));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(appends_in_every_way),
        UNIT_TEST(an_untouched_buffer_has_an_empty_view),
        UNIT_TEST(grows_to_megabytes),
        UNIT_TEST(numbers_are_printed_as_printf_does),
        UNIT_TEST(stops_at_the_ceiling_and_says_so),
        UNIT_TEST(characters_stop_at_the_ceiling_too),
        UNIT_TEST(room_can_be_reserved_and_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
