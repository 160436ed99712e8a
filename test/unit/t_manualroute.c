#include "routers/manualroute.h"

#include "config/config.h"
#include "routers/queryprogram.h"
#include "transports/transport.h"
#include "unit.h"

/* clang-format off */
static const struct {
    const char *text;
    bool with_pattern;
    struct manualroute_rule want;
} rules[] = {
    { "a.test h1:h2 byname",             true,  { "a.test", "h1:h2", "byname" } },
    { "  a.test   h1  ",                 true,  { "a.test", "h1", "" } },
    { "a.test",                          true,  { "a.test", "", "" } },
    { "* \"h1 : h2\" t1 randomize",      true,  { "*", "h1 : h2", "t1 randomize" } },
    { "\"x\\\"y\" \"\\101\\n\" o",       true,  { "x\"y", "A\n", "o" } },
    { "\"unfinished h1",                 true,  { "unfinished h1", "", "" } },
    { "h1:h2 bydns",                     false, { "", "h1:h2", "bydns" } },
    { "\"</ [::1]:26 / h\" x",           false, { "", "</ [::1]:26 / h", "x" } },
    { "\"\" t",                          false, { "", "", "t" } },
};
/* clang-format on */

static void rules_have_three_parts(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        struct manualroute_rule got;

        manualroute_parse_rule(*state, rules[i].text, rules[i].with_pattern, &got);
        CHECK_STR(rules[i].text, got.pattern, rules[i].want.pattern);
        CHECK_STR(rules[i].text, got.hosts, rules[i].want.hosts);
        CHECK_STR(rules[i].text, got.options, rules[i].want.options);
    }
}

static void options_are_words_and_a_transport(void **state)
{
    const struct transport t = { .name = "t1" };
    const struct transport *const list[] = { &t };
    const struct config cfg = { .transports = list, .transport_count = 1 };
    struct manualroute_options o = { 0 };
    const char *bad = NULL;

    assert_true(manualroute_parse_options(*state, &cfg, " byname  t1 randomize", &o, &bad));
    assert_true(o.by_name && o.randomize && !o.by_dns);
    assert_ptr_equal(o.transport, &t);
    assert_true(manualroute_parse_options(*state, &cfg, "bydns no_randomize ipv4_only", &o, &bad));
    assert_true(o.by_dns && !o.by_name && !o.randomize && o.ipv4_only);
    assert_false(manualroute_parse_options(*state, &cfg, "byname foo bar", &o, &bad));
    assert_string_equal(bad, "foo bar");
}

static void programs_answer_in_keyed_values(void **state)
{
    struct queryprogram_answer q;

    queryprogram_parse(*state, "ACCEPT transport=t hosts=a:b data=\"x \\\"y\"", &q);
    assert_string_equal(q.transport, "t");
    assert_string_equal(q.hosts, "a:b");
    assert_string_equal(q.data, "x \"y");
    assert_null(q.lookup);
    queryprogram_parse(*state, "accept junk foo=1 Lookup=byname", &q);
    assert_string_equal(q.lookup, "byname");
    queryprogram_parse(*state, "fail no such thing", &q);
    assert_string_equal(q.rest, "no such thing");
    queryprogram_parse(*state, "", &q);
    assert_string_equal(q.word, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(rules_have_three_parts),
        UNIT_TEST(options_are_words_and_a_transport),
        UNIT_TEST(programs_answer_in_keyed_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
