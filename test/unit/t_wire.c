/* link: base */
#include "base/wire.h"

#include "unit.h"

static struct str sample(struct arena *a)
{
    struct buf b = buf_init(a, 1000);

    wire_put_u8(&b, 200);
    wire_put_u32(&b, 4000000000U);
    wire_put_i64(&b, -5);
    wire_put_bytes(&b, STR("a\0b"));
    wire_put_cstr(&b, NULL);
    wire_put_cstr(&b, "");
    wire_put_cstr(&b, "text");
    wire_put_u32(&b, 2);
    wire_put_u8(&b, 1);
    wire_put_u8(&b, 2);
    return (struct str){ arena_strndup(a, b.p, b.len), b.len };
}

static void everything_comes_back(void **state)
{
    struct wire_reader r = wire_reader(sample(*state));

    assert_int_equal(wire_get_u8(&r), 200);
    assert_int_equal(wire_get_u32(&r), 4000000000U);
    assert_int_equal(wire_get_i64(&r), -5);
    assert_true(str_eq(wire_get_bytes(&r), STR("a\0b")));
    assert_null(wire_get_cstr(&r, *state));
    assert_string_equal(wire_get_cstr(&r, *state), "");
    assert_string_equal(wire_get_cstr(&r, *state), "text");
    assert_int_equal(wire_get_count(&r, 1), 2);
    assert_false(wire_done(&r));
    assert_int_equal(wire_get_u8(&r), 1);
    assert_int_equal(wire_get_u8(&r), 2);
    assert_true(wire_done(&r));
}

static void a_short_record_is_bad_from_then_on(void **state)
{
    struct arena *a = *state;
    struct str whole = sample(a);

    for (size_t len = 0; len < whole.len; len++) {
        /* exactly len bytes on the heap: ASan sees any over-read */
        char *copy = arena_alloc(a, 1, len);
        memcpy(copy, whole.p, len);
        struct wire_reader r = wire_reader((struct str){ copy, len });

        wire_get_u8(&r);
        wire_get_u32(&r);
        wire_get_i64(&r);
        assert_non_null(wire_get_bytes(&r).p);
        for (int i = 0; i < 3; i++)
            (void)wire_get_cstr(&r, a);
        (void)wire_get_count(&r, 1);
        wire_get_u8(&r);
        wire_get_u8(&r);
        assert_true(r.bad);
        assert_false(wire_done(&r));
        assert_int_equal(wire_get_i64(&r), 0);
    }
}

static void a_c_string_with_a_nul_is_bad(void **state)
{
    struct buf b = buf_init(*state, 100);

    wire_put_bytes(&b, STR("a\0b"));
    struct wire_reader r = wire_reader(buf_view(&b));
    assert_string_equal(wire_get_cstr(&r, *state), "");
    assert_true(r.bad);
}

static void counts_must_fit(void **state)
{
    struct buf b = buf_init(*state, 100);

    wire_put_u32(&b, 3);
    wire_put_u32(&b, 0);
    wire_put_u8(&b, 0);
    struct wire_reader r = wire_reader(buf_view(&b));
    assert_int_equal(wire_get_count(&r, 2), 0);
    assert_true(r.bad);
    r = wire_reader(buf_view(&b));
    assert_int_equal(wire_get_count(&r, 1), 3);
    r = wire_reader(buf_view(&b));
    assert_int_equal(wire_get_count(&r, 0), 3);
}

static void a_full_buffer_shows(void **state)
{
    struct buf b = buf_init(*state, 6);

    wire_put_cstr(&b, "long");
    assert_true(b.full);
    buf_clear(&b);
    wire_put_bytes(&b, (struct str){ "", UINT32_MAX });
    assert_true(b.full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(everything_comes_back),
        UNIT_TEST(a_short_record_is_bad_from_then_on),
        UNIT_TEST(a_c_string_with_a_nul_is_bad),
        UNIT_TEST(counts_must_fit),
        UNIT_TEST(a_full_buffer_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
