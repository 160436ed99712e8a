/* link: base */
#include "base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

static char order[16];
static size_t ran;

static void note(void *arg)
{
    order[ran++] = *(const char *)arg;
}

static int reset_notes(void **state)
{
    memset(order, 0, sizeof(order));
    ran = 0;
    return unit_arena_setup(state);
}

static void destroying_nothing_is_fine(void **state)
{
    struct arena *a = NULL;

    (void)state;
    arena_destroy(&a);
    assert_null(a);
}

static void memory_is_zeroed_and_aligned_also_when_reused(void **state)
{
    static const size_t sizes[] = { 0, 1, 7, 100, 4096, 4097, 100000 };
    static const unsigned char zero[100000];

    (void)state;
    for (int round = 0; round < 3; round++) {
        struct arena *a = arena_new("zero");

        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            char *p = arena_alloc(a, sizes[i], 1);

            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            assert_memory_equal(p, zero, sizes[i]);
            memset(p, 0xff, sizes[i]);
        }
        arena_destroy(&a);
        assert_null(a);
    }
}

static void many_blocks_stay_apart(void **state)
{
    struct arena *a = *state;
    unsigned char *blocks[500];

    for (size_t i = 0; i < ARRAY_LEN(blocks); i++) {
        blocks[i] = arena_alloc(a, i + 1, 7);
        memset(blocks[i], (int)(i & 255), (i + 1) * 7);
    }
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        for (size_t j = 0; j < (i + 1) * 7; j++)
            assert_int_equal(blocks[i][j], i & 255);
    assert_true(arena_size(a) >= 500 * 501 / 2 * 7);
}

static void growing_keeps_the_bytes_and_zeroes_the_rest(void **state)
{
    struct arena *a = *state;
    char *p = arena_realloc(a, NULL, 0, 10);

    memset(p, 'x', 10);
    for (size_t old = 10; old < 100000; old = old * 2 + 1) {
        size_t now = old * 2 + 1;

        if (old > 1000 && old < 3000)
            (void)arena_alloc(a, 1, 8); /* something behind it: it must move */
        p = arena_realloc(a, p, old, now);
        for (size_t i = 0; i < old; i++)
            assert_int_equal(p[i], 'x');
        for (size_t i = old; i < now; i++)
            assert_int_equal(p[i], 0);
        memset(p, 'x', now);
    }
    assert_ptr_equal(arena_realloc(a, p, 50, 20), p);
}

static void an_empty_block_can_grow(void **state)
{
    char *p = arena_alloc(*state, 0, 1);
    char *q = arena_alloc(*state, 0, 1);

    p = arena_realloc(*state, p, 0, 3);
    q = arena_realloc(*state, q, 0, 3);
    memcpy(p, "ab", 3);
    memcpy(q, "cd", 3);
    assert_string_equal(p, "ab");
}

static void copies_and_formats_text(void **state)
{
    struct arena *a = *state;
    char *big = arena_alloc(a, 1, 9001);

    memset(big, 'b', 9000);
    assert_string_equal(arena_strdup(a, "text"), "text");
    assert_string_equal(arena_strdup(a, big), big);
    assert_string_equal(arena_strndup(a, "text", 2), "te");
    assert_string_equal(arena_strndup(a, NULL, 0), "");
    assert_string_equal(arena_printf(a, "%s-%d", "n", 5), "n-5");
    assert_string_equal(arena_printf(a, "%s", big), big);
    for (int i = 0; i < 1000; i++) {
        const char *p = arena_printf(a, "%0*d", i % 50 + 4, i);

        assert_int_equal(strlen(p), i % 50 + 4);
        assert_int_equal(strtol(p, NULL, 10), i);
    }
}

static void cleanups_run_newest_first(void **state)
{
    struct arena *a = *state;

    arena_on_destroy(a, note, (void *)(uintptr_t)"1");
    arena_on_destroy(a, note, (void *)(uintptr_t)"2");
    arena_on_destroy(a, note, arena_strdup(a, "3"));
    arena_destroy(&a);
    *state = arena_new("next");
    assert_string_equal(order, "321");
}

static void note_after_use(void *arg)
{
    char *big = arg;

    note(big + 8000);
}

static void memory_outlives_the_cleanups_that_look_at_it(void **state)
{
    struct arena *a = *state;
    char **slot = arena_new_obj(a, char *);

    arena_on_destroy(a, note, (void *)(uintptr_t)"1");
    *slot = arena_alloc(a, 1, 9000);
    (*slot)[8000] = 'B';
    arena_on_destroy(a, note_after_use, *slot);
    arena_destroy(&a);
    *state = arena_new("next");
    assert_string_equal(order, "B1");
}

static void closes_descriptors_it_owns(void **state)
{
    struct arena *a = arena_new("fd");
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    (void)state;
    arena_owns_fd(a, fd);
    arena_destroy(&a);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
}

static void goes_back_to_a_mark(void **state)
{
    struct arena *a = *state;
    char *kept = arena_strdup(a, "kept");

    arena_on_destroy(a, note, (void *)(uintptr_t)"k");
    struct arena_mark m = arena_mark(a);
    size_t before = arena_size(a);
    for (int round = 0; round < 100; round++) {
        (void)arena_alloc(a, 1, 10000);
        for (int i = 0; i < 100; i++)
            memset(arena_alloc(a, 1, 300), 0xee, 300);
        if (round < 2)
            arena_on_destroy(a, note, (void *)(uintptr_t)"r");
        arena_reset(a, m);
        assert_int_equal(arena_size(a), before);
    }
    assert_string_equal(kept, "kept");
    assert_string_equal(order, "rr");
}

static int exit_of(void (*fn)(struct arena *a), struct arena *a)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        close(STDERR_FILENO);
        fn(a);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void overflow(struct arena *a)
{
    (void)arena_alloc(a, SIZE_MAX / 2, 3);
}

static void too_big(struct arena *a)
{
    (void)arena_alloc(a, 1, SIZE_MAX - 5);
}

static void too_long(struct arena *a)
{
    (void)arena_strndup(a, "", SIZE_MAX);
}

static void grown_too_big(struct arena *a)
{
    (void)arena_realloc(a, arena_alloc(a, 1, 10000), 10000, SIZE_MAX - 5);
}

static void asking_for_too_much_ends_the_process(void **state)
{
    assert_int_equal(exit_of(overflow, *state), EXIT_FAILURE);
    assert_int_equal(exit_of(too_big, *state), EXIT_FAILURE);
    assert_int_equal(exit_of(too_long, *state), EXIT_FAILURE);
    assert_int_equal(exit_of(grown_too_big, *state), EXIT_FAILURE);
}

/* What the parent released is not touched; beyond the first chunks all is as usual. */
static void a_child_keeps_apart(void **state)
{
    enum { ARENAS = 100 };
    struct arena *a[ARENAS];
    uintptr_t old = (uintptr_t)(a[0] = arena_new("parent"));

    (void)state;
    arena_destroy(&a[0]);
    pid_t pid = fork();
    if (pid == 0) {
        uintptr_t lowest = UINTPTR_MAX, highest = 0;
        bool ok = true;

        arena_keep_apart();
        for (int i = 0; i < 2; i++) { /* as few as there is room for: packed, and used again */
            a[0] = arena_new("first");
            a[1] = arena_new("second");
            lowest = (uintptr_t)a[0] < lowest ? (uintptr_t)a[0] : lowest;
            highest = (uintptr_t)a[1] > highest ? (uintptr_t)a[1] : highest;
            ok = ok && (uintptr_t)a[0] != old && (uintptr_t)a[1] != old;
            arena_destroy(&a[1]);
            arena_destroy(&a[0]);
        }
        for (int i = 0; i < ARENAS; i++) {
            a[i] = arena_new("many");
            for (int n = 0; n < 20; n++)
                memset(arena_alloc(a[i], 1, 1000), i, 1000);
        }
        for (int i = 0; i < ARENAS; i++)
            arena_destroy(&a[i]);
        _exit(ok && highest - lowest < 4096 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void many_arenas_come_and_go(void **state)
{
    struct arena *all[400];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
            all[i] = arena_new("one of many");
            for (size_t j = 0; j < i % 40; j++)
                (void)arena_alloc(all[i], 1, 1000);
        }
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
            arena_destroy(&all[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(destroying_nothing_is_fine),
        cmocka_unit_test(memory_is_zeroed_and_aligned_also_when_reused),
        UNIT_TEST(many_blocks_stay_apart),
        UNIT_TEST(growing_keeps_the_bytes_and_zeroes_the_rest),
        UNIT_TEST(an_empty_block_can_grow),
        UNIT_TEST(copies_and_formats_text),
        cmocka_unit_test_setup_teardown(cleanups_run_newest_first, reset_notes, unit_arena_teardown),
        cmocka_unit_test_setup_teardown(memory_outlives_the_cleanups_that_look_at_it, reset_notes,
                                        unit_arena_teardown),
        cmocka_unit_test(closes_descriptors_it_owns),
        cmocka_unit_test_setup_teardown(goes_back_to_a_mark, reset_notes, unit_arena_teardown),
        UNIT_TEST(asking_for_too_much_ends_the_process),
        cmocka_unit_test(a_child_keeps_apart),
        cmocka_unit_test(many_arenas_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
