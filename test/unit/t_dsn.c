/* link: base dsn_decide dsn_params parse parse_unitext parse_text parse_address rfc2047 */
#include "dsn.h"

#include "unit.h"

/* clang-format off */
static const struct { const char *value; bool ok; unsigned flags; } notify[] = {
    { "NEVER",                 true,  DSN_NEVER },
    { "success",               true,  DSN_SUCCESS },
    { "Success,FAILURE,delay", true,  DSN_SUCCESS | DSN_FAILURE | DSN_DELAY },
    { "DELAY,DELAY",           true,  DSN_DELAY },
    { "",                      false, 0 },
    { "NEVER,SUCCESS",         false, 0 },
    { "SUCCESS,NEVER",         false, 0 },
    { "SUCCESS,",              false, 0 },
    { ",SUCCESS",              false, 0 },
    { "SUCCESS FAILURE",       false, 0 },
    { "ALWAYS",                false, 0 },
};
static const struct { const char *value; bool ok; } envid[] = {
    { "QQ314159", true }, { "a+2Bb", true }, { "a+2bb", false }, { "a+2", false }, { "a+", false },
    { "a=b", false }, { "", false }, { "a+0Db", false }, { "a+00b", false }, { "\xc3\xa4", false }, { "a b", false },
};
static const struct { const char *value; bool utf8, ok; } orcpt[] = {
    { "rfc822;a@b.test", false, true },       { "rfc822;a+40b.test", false, true },
    { "RFC822;a@b.test", false, true },       { "x400;whatever", false, true },
    { "rfc822", false, false },               { ";a@b", false, false },
    { "rfc822;", false, false },              { "rfc822;a+4x", false, false },
    { "rfc 822;a", false, false },            { "rfc@822;a", false, false },
    { "rfc822;a+0Aevil", false, false },      { "rfc822;\xc3\xa4@b", false, false },
    { "utf-8;a+40b.test", false, true },      { "utf-8;\\x{E4}@b.test", false, true },
    { "utf-8;\xc3\xa4@b.test", true, true },  { "utf-8;\xc3\xa4@b.test", false, false },
};
/* clang-format on */

static void notify_takes_its_keywords_only(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(notify); i++) {
        unsigned flags = 0;
        const char *why = NULL;
        CHECK(notify[i].value, dsn_parse_notify(notify[i].value, &flags, &why) == notify[i].ok);
        CHECK(notify[i].value, !notify[i].ok || flags == notify[i].flags);
    }
}

static void envid_is_strict_xtext_of_printable_text(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(envid); i++) {
        const char *out, *why;
        CHECK(envid[i].value, dsn_parse_envid(*state, envid[i].value, &out, &why) == envid[i].ok);
    }
}

static void envid_has_at_most_a_hundred_characters(void **state)
{
    char text[102];
    const char *out, *why;

    memset(text, 'a', sizeof text);
    text[100] = '\0';
    assert_true(dsn_parse_envid(*state, text, &out, &why));
    assert_string_equal(out, text);
    text[100] = 'a';
    text[101] = '\0';
    assert_false(dsn_parse_envid(*state, text, &out, &why));
}

static void orcpt_is_a_type_and_xtext(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(orcpt); i++) {
        const char *out, *why;
        CHECK(orcpt[i].value, dsn_parse_orcpt(*state, orcpt[i].value, orcpt[i].utf8, &out, &why) == orcpt[i].ok);
        CHECK(orcpt[i].value, !orcpt[i].ok || strcmp(out, orcpt[i].value) == 0);
    }
}

static void ret_is_full_or_hdrs(void **state)
{
    enum dsn_ret ret;
    const char *why;

    (void)state;
    assert_true(dsn_parse_ret("full", &ret, &why) && ret == DSN_RET_FULL);
    assert_true(dsn_parse_ret("HDRS", &ret, &why) && ret == DSN_RET_HDRS);
    assert_false(dsn_parse_ret("", &ret, &why));
    assert_false(dsn_parse_ret(NULL, &ret, &why));
    assert_false(dsn_parse_ret("BODY", &ret, &why));
}

/* NOTIFY x outcome x expansion: the whole matrix, from RFC 3461 section 5 and features.txt. */
static enum dsn_report_kind expected(unsigned n, enum dsn_outcome o, enum dsn_expansion x, bool lasthop)
{
    if (n & DSN_NEVER)
        return DSN_REPORT_NONE;
    if (o == DSN_FAILED)
        return n == 0 || (n & DSN_FAILURE) ? DSN_REPORT_FAILURE : DSN_REPORT_NONE;
    if (o == DSN_DELAYED)
        return n == 0 || (n & DSN_DELAY) ? DSN_REPORT_DELAY : DSN_REPORT_NONE;
    if (o == DSN_PASSED_ON && x == DSN_EXP_NONE && !lasthop)
        return DSN_REPORT_NONE;
    return n & DSN_SUCCESS ? DSN_REPORT_SUCCESS : DSN_REPORT_NONE;
}

static void the_whole_matrix_is_as_the_rfc_says(void **state)
{
    static const unsigned requests[] = {
        0, DSN_NEVER, DSN_SUCCESS, DSN_FAILURE, DSN_DELAY, DSN_SUCCESS | DSN_FAILURE, DSN_SUCCESS | DSN_DELAY,
        DSN_FAILURE | DSN_DELAY, DSN_SUCCESS | DSN_FAILURE | DSN_DELAY };

    (void)state;
    for (size_t n = 0; n < ARRAY_LEN(requests); n++)
        for (int o = DSN_DELIVERED; o <= DSN_DISCARDED; o++)
            for (int x = DSN_EXP_NONE; x <= DSN_EXP_LIST; x++)
                for (int l = 0; l < 2; l++)
                    assert_int_equal(dsn_decide(requests[n], (enum dsn_outcome)o, (enum dsn_expansion)x, l),
                                     expected(requests[n], (enum dsn_outcome)o, (enum dsn_expansion)x, l));
}

static void the_last_hop_flag_is_no_request(void **state)
{
    (void)state;
    assert_int_equal(dsn_decide(DSN_LASTHOP, DSN_FAILED, DSN_EXP_NONE, true), DSN_REPORT_FAILURE);
    assert_int_equal(dsn_decide(DSN_LASTHOP, DSN_DELIVERED, DSN_EXP_NONE, true), DSN_REPORT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(notify_takes_its_keywords_only),
        UNIT_TEST(envid_is_strict_xtext_of_printable_text),
        UNIT_TEST(envid_has_at_most_a_hundred_characters),
        UNIT_TEST(orcpt_is_a_type_and_xtext),
        UNIT_TEST(ret_is_full_or_hdrs),
        UNIT_TEST(the_whole_matrix_is_as_the_rfc_says),
        UNIT_TEST(the_last_hop_flag_is_no_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
