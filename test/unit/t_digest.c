/* link: base */
#include "base/digest.h"

#include "base/base64.h"
#include "unit.h"

static const struct {
    const char *name, *abc; /* of "abc" */
} cases[] = {
    { "md5", "900150983cd24fb0d6963f7d28e17f72" },
    { "sha1", "a9993e364706816aba3e25717850c26c9cd0d89d" },
    { "sha224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7" },
    { "sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "sha384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358"
                "baeca134c825a7" },
    { "sha512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836"
                "ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f" },
    { "sha3-224", "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf" },
    { "sha3-256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532" },
};

static void digests_of_abc(void **state)
{
    unsigned char out[DIGEST_MAX];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = digest(cases[i].name, STR("abc"), out);

        CHECK_STR(cases[i].name, hex_encode(*state, out, n, false), cases[i].abc);
    }
    assert_int_equal(digest("sha3-384", STR("abc"), out), 48);
    assert_int_equal(digest("sha3-512", STR("abc"), out), 64);
    assert_int_equal(digest("md4", STR("abc"), out), 0);
    assert_int_equal(digest("", STR("abc"), out), 0);
}

static void hmac_as_in_rfc_2202_and_4231(void **state)
{
    unsigned char out[DIGEST_MAX];
    size_t n = digest_hmac("md5", STR("Jefe"), STR("what do ya want for nothing?"), out);

    assert_string_equal(hex_encode(*state, out, n, false), "750c783e6ab0b503eaa86e310a5db738");
    n = digest_hmac("sha256", STR("Jefe"), STR("what do ya want for nothing?"), out);
    assert_string_equal(hex_encode(*state, out, n, false),
                        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_int_equal(digest_hmac("none", STR("k"), STR("x"), out), 0);
}

static void crc32c_check_values(void **state)
{
    unsigned char zeros[32] = { 0 };

    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, zeros, sizeof(zeros)), 0x8a9136aa); /* RFC 3720 B.4 */
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    assert_int_equal(crc32c(0, "", 0), 0);
}

static void random_numbers_stay_below(void **state)
{
    unsigned seen[7] = { 0 };

    (void)state;
    assert_int_equal(random_below(0), 0);
    assert_int_equal(random_below(1), 0);
    for (int i = 0; i < 2000; i++) {
        uint32_t v = random_below(ARRAY_LEN(seen));

        assert_true(v < ARRAY_LEN(seen));
        seen[v]++;
    }
    for (size_t i = 0; i < ARRAY_LEN(seen); i++)
        assert_true(seen[i] > 100);
    assert_true(random_below(UINT32_MAX) < UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(digests_of_abc),
        UNIT_TEST(hmac_as_in_rfc_2202_and_4231),
        cmocka_unit_test(crc32c_check_values),
        cmocka_unit_test(random_numbers_stay_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
