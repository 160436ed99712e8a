/* link: base regex */
#include "regex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

/* clang-format off */
static const struct {
    const char *pattern, *subject;
    unsigned flags;
    enum rc want;
    int count;
    const char *first; /* $1 */
} cases[] = {
    { "a(b)c",      "xabcx", 0,              RC_OK,   2, "b" },
    { "^ABC$",      "abc",   REGEX_CASELESS, RC_OK,   1, NULL },
    { "^ABC$",      "abc",   0,              RC_FAIL, 0, NULL },
    { "a(x)?(b)",   "ab",    0,              RC_OK,   3, "" },
    { "",           "",      0,              RC_OK,   1, NULL },
    { "(a+)+$",     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", 0, RC_DEFER, 0, NULL },
    { "(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)", "abcdefghijklmnopqrstuvwxyz",
                             0,              RC_OK,   CAPTURE_MAX, "a" },
};
/* clang-format on */

static void matches_as_the_rows_say(void **state)
{
    struct arena *a = arena_new("test");

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = { 0 };
        struct captures c = { 0 };
        const struct regex *re = regex_compile(a, cases[i].pattern, cases[i].flags, &err);

        assert_non_null(re);
        enum rc rc = regex_match(re, a, str_from(cases[i].subject), &c, &err);
        if (rc != cases[i].want || c.count != cases[i].count)
            fail_msg("/%s/: rc %d, %d captures", cases[i].pattern, (int)rc, c.count);
        if (cases[i].first != NULL)
            assert_string_equal(c.v[1], cases[i].first);
        assert_true((rc == RC_DEFER) == (err.msg != NULL));
    }
    arena_destroy(&a);
}

static void says_what_is_wrong_with_a_pattern(void **state)
{
    struct arena *a = arena_new("test");
    struct err err = { 0 };

    (void)state;
    assert_null(regex_compile(a, "(", 0, &err));
    assert_string_equal(
        err.msg,
        "regular expression error in \"(\": missing closing parenthesis at offset 1");
    arena_destroy(&a);
}

static enum rc find(const struct regex *re, struct arena *a, size_t start, bool not_empty,
                    struct regex_spans *out)
{
    const struct regex_search at = { STR("abb"), start, not_empty };

    return regex_find(re, &at, out, a, NULL);
}

static void find_gives_offsets_and_steps_over_empty_matches(void **state)
{
    struct arena *a = arena_new("test");
    const struct regex *re = regex_compile(a, "b*", 0, NULL);
    struct regex_spans s;

    (void)state;
    assert_int_equal(find(re, a, 0, false, &s), RC_OK);
    assert_true(s.v[0].from == 0 && s.v[0].to == 0);
    assert_int_equal(find(re, a, 0, true, &s), RC_FAIL);
    assert_int_equal(find(re, a, 1, false, &s), RC_OK);
    assert_true(s.v[0].from == 1 && s.v[0].to == 3);
    arena_destroy(&a);
}

static void later_is_when_it_is_matched(void **state)
{
    struct arena *a = arena_new("test");
    struct err err = { 0 };
    char pattern[] = "(?i)a|B";
    const struct regex *good = regex_compile(a, pattern, REGEX_LATER, &err);

    (void)state;
    assert_non_null(regex_compile(a, "(", REGEX_LATER, &err)); /* nobody matches it: nobody minds */
    pattern[4] = 'x'; /* it has a copy */
    assert_true(regex_test(good, STR("xA")));
    assert_true(regex_test(good, STR("b")));
    assert_false(regex_test(good, STR("x")));
    regex_compile_at_once();
    assert_null(regex_compile(a, "(", REGEX_LATER, &err));
    assert_string_equal(err.msg, "regular expression error in \"(\": missing closing parenthesis at offset 1");
    arena_destroy(&a);
}

static void a_plain_pattern_has_no_mistake(void **state)
{
    static const char *const plain[] = { "", "(?i)", "(?i)bulk|list|junk", "^a.b$", "|", "x-y_z@a,b:c;d/e 1" };
    static const char *const others[] = { "(", "a*", "a+", "a?", "[a", "a]", "{2", "a\\", "(?i", "(?I)", "a(?i)", "\"", "#" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(plain); i++) {
        struct arena *a = arena_new("test");

        assert_true(regex_is_plain(plain[i]));
        assert_non_null(regex_compile(a, plain[i], 0, NULL));
        arena_destroy(&a);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(regex_is_plain(others[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_as_the_rows_say),
        cmocka_unit_test(says_what_is_wrong_with_a_pattern),
        cmocka_unit_test(find_gives_offsets_and_steps_over_empty_matches),
        cmocka_unit_test(later_is_when_it_is_matched),
        cmocka_unit_test(a_plain_pattern_has_no_mistake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
