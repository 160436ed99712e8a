/* link: base */
#include "base/hash.h"

#include "unit.h"

static void puts_finds_replaces_and_removes(void **state)
{
    struct hash *h = hash_new(*state, false);
    int one = 1, two = 2;

    assert_null(hash_find(h, "a"));
    assert_null(hash_remove(h, "a"));
    assert_null(hash_put(h, "a", &one));
    assert_ptr_equal(hash_put(h, "a", &two), &one);
    assert_ptr_equal(hash_find(h, "a"), &two);
    assert_null(hash_find(h, "A"));
    assert_int_equal(hash_count(h), 1);
    assert_ptr_equal(hash_remove(h, "a"), &two);
    assert_null(hash_find(h, "a"));
    assert_int_equal(hash_count(h), 0);
}

static void can_ignore_case(void **state)
{
    struct hash *h = hash_new(*state, true);
    int v;

    hash_put(h, "Some.Longer.Example", &v);
    assert_ptr_equal(hash_find(h, "sOME.lONGER.eXAMPLE"), &v);
    assert_null(hash_find(h, "some.longer.exampl"));
    hash_put(h, "", &v);
    assert_ptr_equal(hash_find(h, ""), &v);
}

static void keeps_thousands_in_the_order_they_came(void **state)
{
    struct arena *a = *state;
    struct hash *h = hash_new(a, false);
    struct hash_iter it = { 0 };
    const char *key;
    void *value;
    int n = 0;

    for (int i = 0; i < 5000; i++)
        assert_null(hash_put(h, arena_printf(a, "key number %d", i), arena_printf(a, "%d", i)));
    for (int i = 0; i < 5000; i += 3)
        assert_non_null(hash_remove(h, arena_printf(a, "key number %d", i)));
    for (int i = 5000; i < 6000; i++)
        assert_null(hash_put(h, arena_printf(a, "key number %d", i), arena_printf(a, "%d", i)));
    for (int i = 0; i < 6000; i++) {
        const char *found = hash_find(h, arena_printf(a, "key number %d", i));

        if (i < 5000 && i % 3 == 0)
            assert_null(found);
        else
            assert_int_equal(strtol(found, NULL, 10), i);
    }
    while (hash_next(h, &it, &key, &value)) {
        n += n < 5000 && n % 3 == 0;
        assert_string_equal(value, arena_printf(a, "%d", n));
        n++;
    }
    assert_int_equal(n, 6000);
    assert_int_equal(hash_count(h), 6000 - 1667);
    assert_false(hash_next(h, &it, NULL, NULL));
}

static void coming_and_going_does_not_grow_it(void **state)
{
    struct arena *a = *state;
    struct hash *h = hash_new(a, false);
    char keys[4][8] = { "k0", "k1", "k2", "k3" };

    for (int i = 0; i < 2000; i++) {
        hash_put(h, keys[i % 4], keys);
        hash_remove(h, keys[i % 4]);
    }
    assert_int_equal(hash_count(h), 0);
    struct hash_iter it = { 0 };
    assert_false(hash_next(h, &it, NULL, NULL));
}

static void sums_differ_for_near_texts(void **state)
{
    (void)state;
    assert_true(hash_bytes("", 0) == hash_bytes("x", 0));
    assert_true(hash_bytes("abcdefgh", 8) == hash_bytes("abcdefgh", 8));
    assert_true(hash_bytes("abcdefgh", 8) != hash_bytes("abcdefgi", 8));
    assert_true(hash_bytes("a\0", 2) != hash_bytes("a", 1));
    assert_true(hash_bytes("abcdefgha", 9) != hash_bytes("abcdefghb", 9));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(puts_finds_replaces_and_removes),
        UNIT_TEST(can_ignore_case),
        UNIT_TEST(keeps_thousands_in_the_order_they_came),
        UNIT_TEST(coming_and_going_does_not_grow_it),
        cmocka_unit_test(sums_differ_for_near_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
