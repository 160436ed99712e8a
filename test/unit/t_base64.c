/* link: base */
#include "base/base64.h"

#include "unit.h"

static const struct {
    const char *plain, *coded;
} pairs[] = {
    { "", "" },
    { "f", "Zg==" },
    { "fo", "Zm8=" },
    { "foo", "Zm9v" },
    { "foob", "Zm9vYg==" },
    { "fooba", "Zm9vYmE=" },
    { "foobar", "Zm9vYmFy" },
    { "\xff\xef\xbe?", "/+++Pw==" },
};

static void encodes_and_decodes_the_rfc_vectors(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct str out;

        CHECK_STR(pairs[i].plain, base64_encode(*state, pairs[i].plain, strlen(pairs[i].plain)),
                  pairs[i].coded);
        CHECK(pairs[i].coded, base64_decode(*state, str_from(pairs[i].coded), &out));
        CHECK_STR(pairs[i].coded, out.p, pairs[i].plain);
        CHECK(pairs[i].coded, out.len == strlen(pairs[i].plain));
    }
}

static void allows_white_space(void **state)
{
    struct str out;

    assert_true(base64_decode(*state, STR(" Zm9v\r\n\tYg = = "), &out));
    assert_string_equal(out.p, "foob");
}

static void refuses_what_is_not_base64(void **state)
{
    static const char *const bad[] = { "Z",    "Zg",    "Zg=",  "Zg===", "=",    "====",  "Zg=a",
                                       "Zm9*", "Zm9v=", "Z===", "Zm-_",  "Zg==Zg==" };
    struct str out;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(bad[i], !base64_decode(*state, str_from(bad[i]), &out));
    assert_false(base64_decode(*state, STR("Zm\0v"), &out));
}

static void every_byte_survives(void **state)
{
    unsigned char all[256];
    struct str out;

    for (int i = 0; i < 256; i++)
        all[i] = (unsigned char)i;
    for (size_t n = 0; n <= sizeof(all); n++) {
        assert_true(base64_decode(*state, str_from(base64_encode(*state, all, n)), &out));
        assert_int_equal(out.len, n);
        assert_memory_equal(out.p, all, n);
        assert_true(hex_decode(*state, str_from(hex_encode(*state, all, n, n & 1)), &out));
        assert_int_equal(out.len, n);
        assert_memory_equal(out.p, all, n);
    }
}

static void hex_is_strict(void **state)
{
    struct str out;

    assert_string_equal(hex_encode(*state, "\x01\xab", 2, true), "01AB");
    assert_string_equal(hex_encode(*state, "\x01\xab", 2, false), "01ab");
    assert_true(hex_decode(*state, STR("aBcD"), &out));
    assert_string_equal(out.p, "\xab\xcd");
    assert_false(hex_decode(*state, STR("abc"), &out));
    assert_false(hex_decode(*state, STR("ag"), &out));
    assert_false(hex_decode(*state, STR("ga"), &out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(encodes_and_decodes_the_rfc_vectors),
        UNIT_TEST(allows_white_space),
        UNIT_TEST(refuses_what_is_not_base64),
        UNIT_TEST(every_byte_survives),
        UNIT_TEST(hex_is_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
