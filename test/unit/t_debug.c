/* link: base */
#include "base/debug.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/str.h"
#include "base/tod.h"
#include "unit.h"

static void parses_the_categories(void **state)
{
    uint32_t mask = 0;
    struct err err;

    assert_true(debug_parse("", &mask, &err, *state));
    assert_true(mask & D_ACL && mask & D_V && mask & D_TLS);
    assert_false(mask & (D_EXPAND | D_FILTER | D_INTERFACE | D_LOAD | D_MEMORY | D_PID | D_RESOLVER |
                         D_TIMESTAMP));
    assert_true(debug_parse("-all+acl+hints_lookup", &mask, &err, *state));
    assert_int_equal(mask, D_ACL | D_HINTS | D_V);
    assert_true(debug_parse("+all", &mask, &err, *state));
    assert_int_equal(mask, 0x7fffffff & ~D_MEMORY);
    assert_true(debug_parse("+all+memory-acl", &mask, &err, *state));
    assert_int_equal(mask, 0x7fffffff & ~D_ACL);
}

static void knows_every_category(void **state)
{
    static const char *const names[] = {
        "acl",        "auth",      "deliver", "dns",          "dnsbl",     "exec",     "expand",
        "filter",     "hints_lookup", "host_lookup", "ident",  "interface", "lists",    "load",
        "local_scan", "lookup",    "memory",  "pid",          "process_info", "queue_run", "receive",
        "resolver",   "retry",     "rewrite", "route",        "timestamp", "tls",      "transport",
        "uid",        "verify",
    };
    uint32_t seen = D_V;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        uint32_t mask = 0;

        CHECK(names[i], debug_parse(arena_printf(*state, "-all+%s", names[i]), &mask, &err, *state));
        CHECK(names[i], __builtin_popcount(mask & ~(uint32_t)D_V) == 1);
        CHECK(names[i], (seen & mask & ~(uint32_t)D_V) == 0);
        seen |= mask;
    }
    assert_int_equal(seen, 0x7fffffff);
}

static void refuses_what_it_does_not_know_in_exims_words(void **state)
{
    static const struct {
        const char *spec, *want;
    } cases[] = {
        { "+foo", "unknown debug_selector setting: +foo" },
        { "-all+foo", "unknown debug_selector setting: +foo" },
        { "+", "unknown debug_selector setting: +" },
        { "foo", "malformed debug_selector setting: + or - expected but found \"foo\"" },
        { "0x10", "malformed debug_selector setting: + or - expected but found \"0x10\"" },
    };
    uint32_t mask = 77;
    struct err err;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CHECK(cases[i].spec, !debug_parse(cases[i].spec, &mask, &err, *state));
        CHECK_STR(cases[i].spec, err.msg, cases[i].want);
    }
    assert_int_equal(mask, 77);
}

static struct timespec noon(void)
{
    return (struct timespec){ .tv_sec = 12 * 3600 };
}

static void prefixes_whole_lines(void **state)
{
    int pair[2], saved = dup(STDERR_FILENO);
    struct str got;

    assert_int_equal(pipe(pair), 0);
    fflush(stderr);
    dup2(pair[1], STDERR_FILENO);
    tod_set_clock(noon);
    tod_zone_set("UTC");
    debug_mask = D_TIMESTAMP | D_PID | D_ACL;
    DEBUG(D_ACL)
        debug_printf("begun ");
    DEBUG(D_DNS)
        debug_printf("never\n");
    debug_printf("%s", "");
    debug_printf("%s\n", "ended");
    debug_mask = D_ACL;
    debug_printf("plain\n");
    debug_mask = 0;
    tod_set_clock(NULL);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(pair[1]);
    assert_true(fd_slurp(*state, pair[0], 1000, &got));
    close(pair[0]);
    assert_string_equal(got.p, arena_printf(*state, "12:00:00 %5d begun ended\nplain\n", (int)getpid()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(parses_the_categories),
        UNIT_TEST(knows_every_category),
        UNIT_TEST(refuses_what_it_does_not_know_in_exims_words),
        UNIT_TEST(prefixes_whole_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
