/* link: base parse parse_unitext parse_text parse_address rfc2047 */
#include "parse.h"

#include "unit.h"

/* clang-format off */
static const struct { const char *bytes; size_t length; unsigned long code; } chars[] = {
    { "a", 1, 'a' },                    { "\xc3\xa4", 2, 0xe4 },             { "\xe2\x82\xac", 3, 0x20ac },
    { "\xf0\x9f\x93\xa7", 4, 0x1f4e7 }, { "\xf4\x8f\xbf\xbf", 4, 0x10ffff }, { "\xc3", 0, 0 },
    { "\x80", 0, 0 },                   { "\xff", 0, 0 },                    { "\xc0\xaf", 0, 0 },
    { "\xe0\x80\xaf", 0, 0 },           { "\xf0\x80\x80\xaf", 0, 0 },        { "\xed\xa0\x80", 0, 0 },
    { "\xf4\x90\x80\x80", 0, 0 },       { "\xf5\x80\x80\x80", 0, 0 },        { "\xe2\x82", 0, 0 },
    { "\xc3(", 0, 0 },
};
/* want NULL: refused */
static const struct { const char *text; bool raw; const char *want; } decode[] = {
    { "a@b.test", false, "a@b.test" },          { "a+40b", false, "a@b" },
    { "\\x{E4}nne", false, "\xc3\xa4nne" },     { "\\x{1F4E7}", false, "\xf0\x9f\x93\xa7" },
    { "\\x{2B}", false, "+" },                  { "\\x{20}", false, " " },
    { "\\x{0000E4}", false, "\xc3\xa4" },       { "\\x{10FFFF}", false, "\xf4\x8f\xbf\xbf" },
    { "\xc3\xa4", true, "\xc3\xa4" },           { "\xc3\xa4", false, NULL },
    { "", false, NULL },                        { "a b", false, NULL },
    { "a=b", false, NULL },                     { "a+b", false, NULL },
    { "a+2b", false, NULL },                    { "a+0A", false, NULL },
    { "a+", false, NULL },                      { "\\", false, NULL },
    { "\\xE4", false, NULL },                   { "\\x{}", false, NULL },
    { "\\x{E4", false, NULL },                  { "\\x{D800}", false, NULL },
    { "\\x{110000}", false, NULL },             { "\\x{00000E4}", false, NULL },
    { "\\x{7F}", false, NULL },                 { "\\x{A}", false, NULL },
    { "\\x{G}", false, NULL },                  { "\xc3", true, NULL },
    { "\x7f", true, NULL },
};
static const struct { const char *text, *want; } encode[] = {
    { "a@b.test", "a@b.test" },       { "\xc3\xa4@b", "\\x{E4}@b" },
    { "a+b", "a\\x{2B}b" },           { "a=b", "a\\x{3D}b" },
    { "a\\b", "a\\x{5C}b" },          { "a b", "a\\x{20}b" },
    { "\xf0\x9f\x93\xa7", "\\x{1F4E7}" }, { "a\nb\xff", "a?b?" },
    { "", "" },
};
/* clang-format on */

static void a_character_is_what_utf8_allows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(chars); i++) {
        unsigned long code = 0;
        CHECK(chars[i].bytes, parse_utf8_char(chars[i].bytes, &code) == chars[i].length);
        CHECK(chars[i].bytes, chars[i].length == 0 || code == chars[i].code);
    }
}

static void decoding_is_strict(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(decode); i++) {
        const char *got = parse_unitext_decode(*state, decode[i].text, decode[i].raw);
        if (decode[i].want == NULL)
            CHECK(decode[i].text, got == NULL);
        else
            CHECK_STR(decode[i].text, got, decode[i].want);
    }
}

static void what_is_encoded_is_ascii_and_can_be_decoded(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(encode); i++) {
        const char *got = parse_unitext_encode(*state, encode[i].text);
        CHECK_STR(encode[i].text, got, encode[i].want);
        CHECK(encode[i].text, *got == '\0' || parse_unitext_decode(*state, got, false) != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_character_is_what_utf8_allows),
        UNIT_TEST(decoding_is_strict),
        UNIT_TEST(what_is_encoded_is_ascii_and_can_be_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
