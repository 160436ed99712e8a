/* link: base */
#include "base/list.h"

#include "base/buf.h"
#include "unit.h"

/* Items are shown as (item)(item). What Exim 4.9x's ${map prints for the same list. */
static const struct {
    const char *list, *want;
} cases[] = {
    { "", "" },
    { "   ", "" },
    { "a", "(a)" },
    { " a : b ", "(a)(b)" },
    { "a:", "(a)" },
    { "a: :", "(a)()" },
    { ":", "()" },
    { "a: :b", "(a)()(b)" },
    { "a::b:c", "(a:b)(c)" },
    { "a:::b", "(a:)(b)" },
    { "a: ::b", "(a)(:b)" },
    { "a::", "(a:)" },
    { ":a: :b::", "()(a)()(b:)" },
    { "127.0.0.1 : ::::1", "(127.0.0.1)(::1)" },
    { "127.0.0.1:::::1", "(127.0.0.1::)(1)" },
    { "<,a,,b , c ", "(a,b)(c)" },
    { "<, a,b,", "(a)(b)" },
    { "  <; a;;b; c;;", "(a;b)(c;)" },
    { "<;;a;b", "()(a)(b)" },
    { "<; 127.0.0.1 ; ::1", "(127.0.0.1)(::1)" },
    { "<\n a\n b\n\n  c", "(a)(b)()(c)" },
    { "<\t a\tb", "(a)(b)" },
    { "<\177a\177b", "(a)(b)" },
    { "<x:y", "(<x)(y)" }, /* no punctuation: an item like any other */
    { "<", "(<)" },
    { "a b : c\td", "(a b)(c\td)" },
};

static const char *show(struct arena *a, const char *list)
{
    struct list_iter it = list_begin(list, 0);
    struct buf b = buf_init(a, 1000);
    const char *item;

    while ((item = list_next(&it, a)) != NULL)
        buf_printf(&b, "(%s)", item);
    assert_null(list_next(&it, a));
    return buf_cstr(&b);
}

static void splits_as_exim_does(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        CHECK_STR(cases[i].list, show(*state, arena_strdup(*state, cases[i].list)), cases[i].want);
}

static void no_list_is_an_empty_list(void **state)
{
    struct list_iter it = list_begin(NULL, 0);

    assert_null(list_next(&it, *state));
    assert_int_equal(list_count(NULL, 0, *state), 0);
}

static void counts_and_takes_another_default(void **state)
{
    struct list_iter it = list_begin("a,b", ',');

    assert_string_equal(list_next(&it, *state), "a");
    assert_string_equal(list_next(&it, *state), "b");
    assert_int_equal(list_count("a:b: :c:", 0, *state), 4);
    assert_int_equal(list_count("<, a:b,c", 0, *state), 2);
}

static const char *join(struct arena *a, const char *const *items, char sep)
{
    struct buf b = buf_init(a, 1000);
    bool first = true;

    for (; *items != NULL; items++)
        list_append(&b, *items, sep, &first);
    return buf_cstr(&b);
}

static void joins_so_that_splitting_gives_the_items_back(void **state)
{
    static const char *const odd[] = { "a:b", ":c", "", "d:", NULL };
    static const char *const blanks[] = { "", "", "", NULL };

    assert_string_equal(join(*state, odd, ':'), "a::b: ::c: :d::");
    assert_string_equal(show(*state, join(*state, odd, ':')), "(a:b)(:c)()(d:)");
    assert_string_equal(join(*state, blanks, ':'), ": : "); /* Exim: the first gets no space */
    assert_string_equal(join(*state, odd, ';'), "a:b;:c; ;d:");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(splits_as_exim_does),
        UNIT_TEST(no_list_is_an_empty_list),
        UNIT_TEST(counts_and_takes_another_default),
        UNIT_TEST(joins_so_that_splitting_gives_the_items_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
