/* unit.h - what every unit test includes: cmocka with what it needs, and a scratch arena. */
#ifndef TEST_UNIT_H
#define TEST_UNIT_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/attr.h"

/* For cmocka_unit_test_setup_teardown: *state is an arena as long as the test. */
static inline int unit_arena_setup(void **state)
{
    *state = arena_new("test");
    return 0;
}

static inline int unit_arena_teardown(void **state)
{
    struct arena *a = *state;

    arena_destroy(&a);
    return 0;
}

static inline int unit_remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

/* A test's folder with all that is in it. */
static inline void unit_remove_tree(const char *path)
{
    (void)nftw(path, unit_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#define UNIT_TEST(f) cmocka_unit_test_setup_teardown(f, unit_arena_setup, unit_arena_teardown)

/* For tests that wrap _exit and abort: a child's counts reach the coverage report. */
static inline void unit_dump_coverage(void)
{
#ifdef UNIT_COVERAGE /* COV=1 */
    void __gcov_dump(void);

    __gcov_dump();
#endif
}

/* Says which row of a table of cases failed. */
#define CHECK(row, condition)                                                                      \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fail_msg("%s: %s is false", (row), #condition);                                        \
    } while (0)
#define CHECK_STR(row, got, want)                                                                  \
    do {                                                                                           \
        const char *got_ = (got), *want_ = (want);                                                 \
        if (got_ == NULL || strcmp(got_, want_) != 0)                                              \
            fail_msg("%s: got \"%s\", want \"%s\"", (row), got_ == NULL ? "(null)" : got_, want_); \
    } while (0)

#endif
