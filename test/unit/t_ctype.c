/* link: base */
#include "base/ctype.h"

#include <ctype.h>

#include "unit.h"

/* In the C locale the library's classes are the same for ASCII; above it ours are all false. */
static void agrees_with_the_c_locale(void **state)
{
    (void)state;
    for (int i = 0; i < 256; i++) {
        char c = (char)i;
        bool ascii = i < 128;

        assert_int_equal(is_digit(c), isdigit(i) != 0);
        assert_int_equal(is_upper(c), isupper(i) != 0);
        assert_int_equal(is_lower(c), islower(i) != 0);
        assert_int_equal(is_alpha(c), isalpha(i) != 0);
        assert_int_equal(is_alnum(c), isalnum(i) != 0);
        assert_int_equal(is_space(c), isspace(i) != 0);
        assert_int_equal(is_blank(c), isblank(i) != 0);
        assert_int_equal(is_xdigit(c), isxdigit(i) != 0);
        assert_int_equal(is_print(c), ascii && isprint(i) != 0);
        assert_int_equal(is_cntrl(c), ascii && iscntrl(i) != 0);
        assert_int_equal(is_punct(c), ascii && ispunct(i) != 0);
        assert_int_equal(to_lower(c), ascii ? tolower(i) : i);
        assert_int_equal(to_upper(c), ascii ? toupper(i) : i);
        char digit[2] = { c, '\0' };
        assert_int_equal(hex_value(c), isxdigit(i) ? strtol(digit, NULL, 16) : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(agrees_with_the_c_locale) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
