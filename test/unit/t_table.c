/* link: base */
#include "base/table.h"

#include "unit.h"

static void finds_rows_by_name(void **state)
{
    static const struct {
        const char *name;
        int value;
    } rows[] = { { "alpha", 1 }, { "beta", 2 }, { "gamma", 3 } };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(TABLE_FIND(rows, rows[i].name)->value, rows[i].value);
    assert_null(TABLE_FIND(rows, ""));
    assert_null(TABLE_FIND(rows, "Beta"));
    assert_null(TABLE_FIND(rows, "zeta"));
    assert_null(table_find(rows, 0, sizeof(rows[0]), "alpha"));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(finds_rows_by_name) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
