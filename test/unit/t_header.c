/* link: base header parse parse_text parse_rfc2047 */
#include "header.h"

#include "unit.h"

static struct header_list sample(struct arena *a)
{
    static const char *const lines[] = {
        "Received: one\n", "To: a@b,\n  c@d\n", "Cc: x@y\n", "Cc :  z@w\n",
        "Subject:   =?utf-8?q?a=C3=A9?=  \n", "X-Two: one\n", "X-Two: two\n", "Empty:\n",
    };
    struct header_list l;

    header_list_init(&l);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        (void)header_append(&l, a, header_type_of(lines[i]), lines[i]);
    return l;
}

static void knows_types(void **state)
{
    (void)state;
    assert_int_equal(header_type_of("Resent-To: x\n"), 'T');
    assert_int_equal(header_type_of("message-ID : x\n"), 'I');
    assert_int_equal(header_type_of("Received: x\n"), 'P');
    assert_int_equal(header_type_of("Subject: x\n"), ' ');
    assert_int_equal(header_type_of("To\n"), ' ');
    assert_int_equal(header_type_of("An-extremely-long-header-name-indeed: x\n"), ' ');
}

static void joins_values(void **state)
{
    struct header_list l = sample(*state);
    /* clang-format off */
    static const struct { const char *name; enum header_form form; const char *want; } rows[] = {
        { "to", HEADER_DECODED, "a@b,\n  c@d" }, { "to", HEADER_RAW, " a@b,\n  c@d\n" },
        { "cc", HEADER_DECODED, "x@y,\nz@w" }, { "cc", HEADER_RAW, " x@y\n  z@w\n" },
        { "SUBJECT", HEADER_DECODED, "a\xc3\xa9" }, { "subject", HEADER_RAW, "   =?utf-8?q?a=C3=A9?=  \n" },
        { "x-two", HEADER_BASE64_ONLY, "one\ntwo" }, { "empty", HEADER_DECODED, "" },
        { "none", HEADER_RAW, "" },
    };
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_STR(rows[i].name, header_value(*state, &l, rows[i].name, rows[i].form, "UTF-8"), rows[i].want);
}

static void removes_and_inserts(void **state)
{
    struct header_list l = sample(*state);

    assert_int_equal(header_remove(&l, "x-two", 2), 1);
    assert_string_equal(header_value(*state, &l, "x-two", HEADER_DECODED, NULL), "one");
    assert_int_equal(header_remove(&l, "X-*", 0), 1);
    assert_false(header_exists(&l, "x-two"));
    struct header *h = header_prepend(&l, *state, 'P', "Received: zero\n");
    assert_ptr_equal(l.first, h);
    h = header_append(&l, *state, ' ', "Z: 1\n");
    assert_null(h->next);
    assert_ptr_equal(l.tail, &h->next);
    assert_string_equal(header_body(h), "1\n");
    assert_int_equal(l.count, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(knows_types),
        UNIT_TEST(joins_values),
        UNIT_TEST(removes_and_inserts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
