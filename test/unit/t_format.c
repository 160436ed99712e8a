/* link: base */
#include "base/format.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "unit.h"

/* Whatever room there is: the same text, cut at the same place, the same length, and nothing behind it. */
#define SAME(...)                                                          \
    do {                                                                   \
        for (size_t room = 0; room < 80; room++) {                         \
            char want[100], got[100];                                      \
            memset(want, '#', sizeof(want));                               \
            memset(got, '#', sizeof(got));                                 \
            int n = snprintf(want, room, __VA_ARGS__);                     \
            assert_int_equal(format(got, room, __VA_ARGS__), n);             \
            assert_memory_equal(got, want, sizeof(got));                   \
        }                                                                  \
    } while (0)

static void it_writes_what_the_library_writes(void **state)
{
    const char *volatile none = NULL; /* as a variable: gcc warns of the constant */

    (void)state;
    SAME("%s", "");
    SAME("no conversion at all");
    SAME("%s/%s/%c%s", "/var/spool/exim", "input", 'x', "-H");
    SAME("100%% of %s%%", "it");
    SAME("[%.*s]", 3, "abcdef");
    SAME("[%.*s]", 0, "abcdef");
    SAME("[%.*s]", -1, "abcdef");
    SAME("[%.*s]", 20, "abcdef");
    SAME("[%s]", none);
    SAME("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
    SAME("%u %u", 0U, UINT_MAX);
    SAME("%ld %ld %ld", 0L, LONG_MAX, LONG_MIN);
    SAME("%lu %zu", ULONG_MAX, SIZE_MAX);
    SAME("%c%c", 'a', '\xe9');
}

static void it_leaves_to_the_library_what_is_rare(void **state)
{
    (void)state;
    SAME("%s %5d %-5s| %02d", "before", 42, "ab", 7);
    SAME("%d then %lld %llu", -3, LLONG_MIN, ULLONG_MAX);
    SAME("%s %.2f", "load", 1.256);
    SAME("%zd %lx %x %o %p", (ssize_t)-5, 255L, 16U, 8U, (void *)16);
    SAME("%s %.3s %10s", "a", "abcdef", "right");
    SAME("%+05d %#x", 12, 30U);
}

/* Bytes that are cut off are not looked at. */
static void an_unterminated_string_is_read_as_far_as_it_goes(void **state)
{
    char *bytes = malloc(4), got[10];

    (void)state;
    memcpy(bytes, "abcd", 4);
    assert_int_equal(format(got, sizeof(got), "%.*s", 4, bytes), 4);
    assert_string_equal(got, "abcd");
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(it_writes_what_the_library_writes),
        UNIT_TEST(it_leaves_to_the_library_what_is_rare),
        UNIT_TEST(an_unterminated_string_is_read_as_far_as_it_goes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
