/* link: base */
#include "base/str.h"

#include <limits.h>

#include "unit.h"

static void compares_views(void **state)
{
    (void)state;
    assert_true(str_eq(STR("abc"), str_from("abc")));
    assert_true(str_eq((struct str){ NULL, 0 }, STR("")));
    assert_false(str_eq(STR("abc"), STR("abC")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_true(str_ieq(STR("aBc"), STR("AbC")));
    assert_false(str_ieq(STR("abc"), STR("abd")));
    assert_false(str_ieq(STR("abc"), STR("ab")));
    assert_false(str_ieq(STR("["), STR("{"))); /* 32 apart, but no letters */
}

static void trims_and_copies(void **state)
{
    assert_true(str_eq(str_trim(STR(" \t\r\na b\n ")), STR("a b")));
    assert_int_equal(str_trim(STR(" \t ")).len, 0);
    assert_string_equal(str_dup(*state, (struct str){ "abcdef", 3 }), "abc");
}

static void compares_c_strings(void **state)
{
    (void)state;
    assert_true(cstr_ieq("Abc", "aBC"));
    assert_false(cstr_ieq("abc", "abcd"));
    assert_false(cstr_ieq("abcd", "abc"));
    assert_true(cstr_starts("abc", "ab"));
    assert_false(cstr_starts("abc", "aB"));
    assert_true(cstr_istarts("abc", "AB"));
    assert_false(cstr_istarts("a", "AB"));
    assert_true(cstr_ends("abc", "bc"));
    assert_true(cstr_ends("abc", ""));
    assert_false(cstr_ends("c", "bc"));
    assert_true(cstr_iends("abc", "BC"));
    assert_false(cstr_iends("abc", "XC"));
    assert_false(cstr_iends("c", "BC"));
}

static void changes_case_and_skips_space(void **state)
{
    assert_string_equal(cstr_lower(*state, "A[b]C\xc4"), "a[b]c\xc4");
    assert_string_equal(cstr_upper(*state, "a{b}z"), "A{B}Z");
    assert_string_equal(cstr_skip_space(" \t\n\v\f\rx "), "x ");
}

static void escapes_what_does_not_print(void **state)
{
    const char *plain = "plain \\ text";

    assert_ptr_equal(cstr_printable(*state, plain, false), plain);
    assert_string_equal(cstr_printable(*state, "a\nb\tc\rd\b\v\f", false), "a\\nb\\tc\\rd\\b\\v\\f");
    assert_string_equal(cstr_printable(*state, "\001\007\177", false), "\\001\\007\\177");
    assert_string_equal(cstr_printable(*state, "\xe4\n", false), "\\344\\n");
    assert_string_equal(cstr_printable(*state, "\xe4\n", true), "\xe4\\n");
    assert_string_equal(cstr_printable_len(*state, "a\0b", 3, false), "a\\000b");
    assert_string_equal(cstr_printable_len(*state, "abc", 2, false), "ab");
}

static void reads_only_numbers_that_fit(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        long value;
    } cases[] = {
        { "0", true, 0 },
        { "0042", true, 42 },
        { "9223372036854775807", true, LONG_MAX },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775808", true, LONG_MIN },
        { "-9223372036854775809", false, 0 },
        { "-5", true, -5 },
        { "", false, 0 },
        { "-", false, 0 },
        { "--1", false, 0 },
        { "+1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "0x1", false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        long v = 0;

        CHECK(cases[i].text, cstr_to_long(cases[i].text, &v) == cases[i].ok);
        CHECK(cases[i].text, v == cases[i].value);
    }
    unsigned long u;
    assert_true(cstr_to_ulong("18446744073709551615", &u) && u == ULONG_MAX);
    assert_false(cstr_to_ulong("18446744073709551616", &u));
    assert_false(cstr_to_ulong("99999999999999999999999", &u));
    assert_false(cstr_to_ulong("-1", &u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares_views),
        UNIT_TEST(trims_and_copies),
        cmocka_unit_test(compares_c_strings),
        UNIT_TEST(changes_case_and_skips_space),
        UNIT_TEST(escapes_what_does_not_print),
        cmocka_unit_test(reads_only_numbers_that_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
