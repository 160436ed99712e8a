/* link: base parse parse_text parse_rfc2047 */
#include <string.h>

#include "parse.h"

#include "unit.h"

enum { LIT = PARSE_ALLOW_DOMAIN_LITERAL, NUL = PARSE_ALLOW_EMPTY };

/* clang-format off */
static const struct {
    const char *in;
    unsigned flags;
    const char *address; /* NULL: refused */
    const char *err;
} cases[] = {
    { "a@b",                      0, "a@b", NULL },
    { "<a@b>",                    0, "a@b", NULL },
    { "Joe Bloggs <a@b>",         0, "a@b", NULL },
    { "Joe. Bloggs <a@b>",        0, "a@b", NULL },
    { "\"Joe, B\" <a@b> (c (d))", 0, "a@b", NULL },
    { "(x)a(y)@(z)b.C(w)",        0, "a@b.C", NULL },
    { "a . b @ c . d",            0, "a.b@c.d", NULL },
    { "<@a,@b:c@D>",              0, "c@D", NULL },
    { "@a:b@d",                   0, "b@d", NULL },
    { "a",                        0, "a", NULL },
    { "<a>",                      0, "a", NULL },
    { "\"a b\"@c",                0, "\"a b\"@c", NULL },
    { "\"a\\@b\"@c",              0, "\"a@b\"@c", NULL },
    { "\"a\\\"b\"@c",             0, "\"a\\\"b\"@c", NULL },
    { "a\\@b@c",                  0, "a\\@b@c", NULL },
    { ".a..b.@c",                 0, ".a..b.@c", NULL },
    { "<>",                       NUL, "", NULL },
    { "x <>",                     NUL, "", NULL },
    { "<>",                       0, NULL, "missing or malformed local part" },
    { "<a@[1.2.3.4]>",            LIT, "a@[1.2.3.4]", NULL },
    { "<a@[1.2.3.4]>",            0, NULL, "domain literals not allowed" },
    { "<a@[b>",                   LIT, NULL, "malformed domain literal" },
    { "<a@[b]c>",                 LIT, NULL, "malformed address: c> may not follow <a@[b]" },
    { "<<a@b>>",                  PARSE_STRIP_BRACKETS, "a@b", NULL },
    { "<<a@b>>",                  0, NULL, "missing or malformed local part" },
    { "a@b.",                     PARSE_STRIP_DOT, "a@b", NULL },
    { "a@b.",                     0, NULL, "domain missing or malformed" },
    { "a@b..c",                   PARSE_STRIP_DOT, NULL, "malformed address: .c may not follow a@b." },
    { "a@\xc3\xa9.c",             PARSE_ALLOW_UTF8, "a@\xc3\xa9.c", NULL },
    { "a@\xc3\xa9.c",             0, NULL, "domain missing or malformed" },
    { "\xc3\xa9@b",               0, "\xc3\xa9@b", NULL },
    { "",                         0, NULL, "empty address" },
    { ";",                        0, NULL, "empty address" },
    { "<a@b c>",                  0, NULL, "malformed address: c> may not follow <a@b " },
    { "<a@b",                     0, NULL, "'>' missing at end of address" },
    { "a@b>",                     0, NULL, "malformed address: > may not follow a@b" },
    { "<a b@c>",                  0, NULL, "\"@\" or \".\" expected after \"a\"" },
    { "<x",                       0, NULL, "\"@\" or \".\" expected after \"x\"" },
    { "<a@b_c>",                  0, NULL, "malformed address: _c> may not follow <a@b" },
    { "<a@-b>",                   0, NULL, "domain missing or malformed" },
    { "<\"a b@b>",                0, NULL, "unmatched doublequote in local part" },
    { "\"x",                      0, NULL, "unmatched doublequote in local part" },
    { "<@b>",                     0, NULL, "no local part" },
    { "<@a c@d>",                 0, NULL, "no local part" },
    { "<@a,b:c@d>",               0, NULL, "colon expected after route list" },
    { "<@a:>",                    0, NULL, "missing or malformed local part" },
    { "<@a:b>",                   0, NULL, "domain missing in source-routed address" },
    { "a b c",                    0, NULL, "missing or malformed local part (expected word or \"<\")" },
    { "\"a\"b@c",                 0, NULL, "missing or malformed local part (expected word or \"<\")" },
    { "x:y@c;",                   0, NULL, "missing or malformed local part (expected word or \"<\")" },
    { "<a@b> this tail is longer than thirty-two bytes", 0, NULL,
      "malformed address: this tail is longer than thirty- may not follow <a@b> " },
    { "\"a\nb\"@c",               0, NULL, "missing or malformed local part (expected word or \"<\")" },
    { "a\\\nb@c",                 0, NULL, NULL },
    { "a\\",                      0, NULL, NULL }, /* Exim takes it; in <> it would quote the bracket */
};
/* clang-format on */

static void gives_address_or_error(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct parsed_address p;
        bool ok = parse_address(*state, cases[i].in, cases[i].flags, &p);

        CHECK(cases[i].in, ok == (cases[i].address != NULL));
        if (ok)
            CHECK_STR(cases[i].in, p.address, cases[i].address);
        else if (cases[i].err != NULL)
            CHECK_STR(cases[i].in, p.err, cases[i].err);
    }
}

static void refuses_what_is_longer_than_any_address(void **state)
{
    char text[258] = "";
    struct parsed_address p;

    memset(text, 'a', 256);
    memcpy(text + 249, "@b.test", 7);
    assert_true(parse_address(*state, text, 0, &p));
    memmove(text + 1, text, 256);
    assert_false(parse_address(*state, text, 0, &p));
    assert_non_null(strstr(p.err, "address is ridiculously long: aaaa"));
}

static void says_where_the_address_stands(void **state)
{
    struct parsed_address p;
    static const char in[] = "Joe <a@b.c > (x)";

    assert_true(parse_address(*state, in, 0, &p));
    assert_int_equal(p.start, 5);
    assert_int_equal(p.end, 10);
    assert_string_equal(p.domain, "b.c");
}

static bool collect(void *arg, const struct parsed_address *p, const char *raw)
{
    char *out = arg;
    size_t len = strlen(out);

    (void)snprintf(out + len, 256 - len, "%s|", p->address != NULL ? p->address : raw);
    return true;
}

static void splits_address_lists(void **state)
{
    /* clang-format off */
    static const char *const rows[][2] = {
        { "a@b, c@d", "a@b|c@d|" },
        { "a@b,\n c@d,\n", "a@b|c@d|" },
        { "\"x, y\" <a@b>, (p, q) c@d", "a@b|c@d|" },
        { "undisclosed-recipients:;", "" },
        { "friends: a@b, c@d;, e@f", "a@b|c@d|e@f|" },
        { "<@x,@y:a@b>, c@d", "a@b|c@d|" },
        { "a@[IPv6:::1], b@c", "a@[IPv6:::1]|b@c|" },
        { ",,a@b,,", "a@b|" },
        { "bad one, a@b", "bad one|a@b|" },
    };
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[256] = "";

        assert_true(parse_each_address(*state, rows[i][0], LIT, collect, out));
        CHECK_STR(rows[i][0], out, rows[i][1]);
    }
}

static void decodes_and_encodes_words(void **state)
{
    /* clang-format off */
    static const struct { const char *in, *charset, *want; } rows[] = {
        { "=?iso-8859-1?Q?a=E9_b?=", "UTF-8", "a\xc3\xa9 b" },
        { "=?utf-8?q?=C3=A9?= =?utf-8?q?x?= y", "UTF-8", "\xc3\xa9x y" },
        { "=?utf-8?B?w6k=?=  z", "UTF-8", "\xc3\xa9  z" },
        { "a =?utf-8?Q?b?=c", NULL, "a bc" },
        { "=?utf-8?X?b?=", NULL, "=?utf-8?X?b?=" },
        { "=?utf-8?Q?b b?=", NULL, "=?utf-8?Q?b b?=" },
        { "=?utf-8?Q?=4?=", NULL, "=?utf-8?Q?=4?=" },
        { "=?utf-8?q?=00a?=", NULL, "?a" },
        { "=?utf-8?q?a_?= =?utf-8?q?b?=", NULL, "a b" },
        { "=?", NULL, "=?" },
        { "=?x?q?", NULL, "=?x?q?" },
    };
    static const char *const encode[][2] = {
        { "abc d", "abc d" },
        { "a=b?_c \xc3\xa9 x", "=?UTF-8?Q?a=3Db=3F=5Fc_=C3=A9_x?=" },
        { "a\"b(c)d<e>@,;:\\./[]", "=?UTF-8?Q?a=22b=28c=29d=3Ce=3E=40=2C=3B=3A=5C=2E/=5B=5D?=" },
    };
    /* clang-format on */
    const char *err;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_STR(rows[i].in, parse_rfc2047_decode(*state, rows[i].in, true, rows[i].charset, &err),
                  rows[i].want);
    for (size_t i = 0; i < ARRAY_LEN(encode); i++)
        CHECK_STR(encode[i][0], parse_rfc2047_encode(*state, encode[i][0], "UTF-8", false), encode[i][1]);
    assert_null(parse_rfc2047_decode(*state, "=?nonsense?q?a?=", true, "UTF-8", &err));
    assert_string_equal(err, "iconv_open(\"UTF-8\", \"nonsense\") failed: Invalid argument "
                             "(maybe unsupported conversion)");
}

static void encoded_words_are_short_and_whole(void **state)
{
    char in[201] = "";

    for (int i = 0; i < 100; i++)
        memcpy(in + 2 * i, "\xc3\xa9", 3);
    const char *out = parse_rfc2047_encode(*state, in, "UTF-8", true), *err;
    assert_string_equal(parse_rfc2047_decode(*state, out, true, NULL, &err), in);
    for (const char *line = out; line != NULL; line = strchr(line, '\n'), line += line != NULL)
        assert_true(strcspn(line, "\n") <= 76);
}

static void quotes_phrases(void **state)
{
    /* clang-format off */
    static const char *const rows[][2] = {
        { "J. Bloggs", "\"J. Bloggs\"" }, { "a (b) c", "a (b) c" }, { "\"q\" x", "\"q\" x" },
        { "O'Brien", "O'Brien" }, { "a, b", "\"a, b\"" }, { "x\"y", "\"x\\\"y\"" },
        { "a(b", "\"a(b\"" }, { "a\nTo: x", "\"aTo: x\"" },
    };
    static const char *const lps[][2] = {
        { "a.b", "a.b" }, { "a b", "\"a b\"" }, { "", "\"\"" }, { ".a", "\".a\"" }, { "a\"b", "\"a\\\"b\"" },
    };
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        CHECK_STR(rows[i][0], parse_fix_phrase(*state, rows[i][0]), rows[i][1]);
    for (size_t i = 0; i < ARRAY_LEN(lps); i++)
        CHECK_STR(lps[i][0], parse_quote_local_part(*state, lps[i][0]), lps[i][1]);
}

static void xtext_is_strict(void **state)
{
    static const char *const bad[] = { "+2b", "+1", "+", "a b", "a=b", "+0A", "+00", "\xc3\xa9", "+C3" };

    CHECK_STR("plus", parse_xtext_decode(*state, "a+2Bb"), "a+b");
    CHECK_STR("encode", parse_xtext_encode(*state, "a+b= c"), "a+2Bb+3D+20c");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        CHECK(bad[i], parse_xtext_decode(*state, bad[i]) == NULL);
}

static void finds_message_ids(void **state)
{
    const char *rest = "(comment <no>) <a@\n b> <c@d>";

    CHECK_STR("first", parse_message_id(*state, rest, &rest), "<a@b>");
    CHECK_STR("second", parse_message_id(*state, rest, &rest), "<c@d>");
    assert_null(parse_message_id(*state, rest, &rest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(gives_address_or_error),
        UNIT_TEST(refuses_what_is_longer_than_any_address),
        UNIT_TEST(says_where_the_address_stands),
        UNIT_TEST(splits_address_lists),
        UNIT_TEST(decodes_and_encodes_words),
        UNIT_TEST(encoded_words_are_short_and_whole),
        UNIT_TEST(quotes_phrases),
        UNIT_TEST(xtext_is_strict),
        UNIT_TEST(finds_message_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
