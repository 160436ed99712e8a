/* link: base parse parse_text routers/redirect_list */
#include "routers/redirect_list.h"

#include "base/buf.h"
#include "base/str.h"
#include "unit.h"

static const char *include(void *arg, const char *path, const char **why)
{
    struct arena *a = arg;

    if (strcmp(path, "/inc") == 0)
        return "in1, # why\nin2\n";
    if (strcmp(path, "/loop") == 0)
        return ":include:/loop";
    *why = arena_printf(a, "failed to open included file %s", path);
    return NULL;
}

/* "a kind text, ..." of what came out: A address, B address after a backslash, P pipe, F file. */
static const char *parse(struct arena *a, const char *text, struct redirect_rules rules, enum redirect_outcome *o)
{
    struct redirect_list l;
    struct buf b = buf_init(a, 65536);

    rules.include = include;
    rules.arg = a;
    *o = redirect_list_parse(a, text, &rules, &l);
    if (*o != REDIRECT_ITEMS && *o != REDIRECT_BLACKHOLE && *o != REDIRECT_UNKNOWN)
        return l.text;
    for (const struct redirect_item *i = l.items; i != NULL; i = i->next)
        buf_printf(&b, "%s%c:%s", i == l.items ? "" : " ",
                   i->kind == REDIRECT_PIPE ? 'P' : i->kind == REDIRECT_FILE ? 'F' : i->backslash ? 'B' : 'A', i->text);
    for (const struct redirect_error *e = l.errors; e != NULL; e = e->next)
        buf_printf(&b, " !%s", e->message);
    return buf_cstr(&b);
}

/* clang-format off */
static const struct {
    const char *text;
    enum redirect_outcome outcome;
    const char *want;
} lists[] = {
    { "",                               REDIRECT_ITEMS,     "" },
    { "# a comment\n  # another",       REDIRECT_ITEMS,     "" },
    { "(only a comment)",               REDIRECT_ITEMS,     "" },
    { "a, b@c\nd",                      REDIRECT_ITEMS,     "A:a A:b@c A:d" },
    { "a, # rest\n b",                  REDIRECT_ITEMS,     "A:a A:b" },
    { "Name <a@b>",                     REDIRECT_ITEMS,     "A:a@b" },
    { "\\a, \\b@c",                     REDIRECT_ITEMS,     "B:a A:\\b@c" },
    { "|/bin/x y",                      REDIRECT_ITEMS,     "P:|/bin/x y" },
    { "\"|/bin/x a,b \\\"c\\\"\", z",   REDIRECT_ITEMS,     "P:|/bin/x a,b \"c\" A:z" },
    { "|\"/bin/x a,b\" c",              REDIRECT_ITEMS,     "P:|\"/bin/x a,b\" c" },
    { "/var/mail/x, /dir/",             REDIRECT_ITEMS,     "F:/var/mail/x F:/dir/" },
    { "/s=m/o=b/@gate.example",         REDIRECT_ITEMS,     "A:/s=m/o=b/@gate.example" },
    { "|x@gate.example",                REDIRECT_ITEMS,     "A:|x@gate.example" },
    { ":include:/inc, z",               REDIRECT_ITEMS,     "A:in1 A:in2 A:z" },
    { ":include:/none",                 REDIRECT_ERROR,     "failed to open included file /none" },
    { ":include:inc",                   REDIRECT_ERROR,     "included file \"inc\" is not an absolute path" },
    { ":include:/loop",                 REDIRECT_ERROR,     "included files nest too deeply at /loop" },
    { ":blackhole:",                    REDIRECT_BLACKHOLE, "" },
    { "a, :blackhole:",                 REDIRECT_BLACKHOLE, "A:a" },
    { ":unknown:",                      REDIRECT_UNKNOWN,   "" },
    { ":fail: gone, for good\nx",       REDIRECT_FAIL,      "gone, for good" },
    { ":fail:",                         REDIRECT_FAIL,      "" },
    { ":fail:\n x",                     REDIRECT_FAIL,      "x" },
    { "a, :defer: later",               REDIRECT_DEFER,     "later" },
    { ":FAIL: x",                       REDIRECT_ERROR,     "missing or malformed local part (expected word or \"<\") in \":FAIL: x\"" },
};
/* clang-format on */

static void lists_give_their_items(void **state)
{
    const struct redirect_rules rules = { .allow_defer = true, .allow_fail = true };

    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        enum redirect_outcome o;
        const char *got = parse(*state, lists[i].text, rules, &o);
        CHECK(lists[i].text, o == lists[i].outcome);
        CHECK_STR(lists[i].text, got, lists[i].want);
    }
}

static void what_is_not_permitted_is_named(void **state)
{
    enum redirect_outcome o;

    CHECK_STR("fail", parse(*state, ":fail: no", (struct redirect_rules){ 0 }, &o), "\":fail: no\" is not permitted");
    CHECK_STR("defer", parse(*state, ":defer: no", (struct redirect_rules){ 0 }, &o), "\":defer: no\" is not permitted");
    CHECK_STR("blackhole", parse(*state, ":blackhole:", (struct redirect_rules){ .forbid_blackhole = true }, &o),
              "\":blackhole:\" is not permitted");
    CHECK_STR("include", parse(*state, ":include:/inc", (struct redirect_rules){ .forbid_include = true }, &o),
              "included files not permitted");
    CHECK_STR("directory", parse(*state, ":include:/inc", (struct redirect_rules){ .include_directory = "/in" }, &o),
              "included file /inc is not in directory /in");
    CHECK_STR("dots", parse(*state, ":include:/in/../x", (struct redirect_rules){ .include_directory = "/in" }, &o),
              "included file /in/../x is not in directory /in");
}

static void bad_addresses_are_errors_or_skipped(void **state)
{
    enum redirect_outcome o;
    const struct redirect_rules skip = { .skip_syntax_errors = true };

    (void)parse(*state, "a@b@c, good", (struct redirect_rules){ 0 }, &o);
    assert_int_equal(o, REDIRECT_ERROR);
    CHECK_STR("skipped", parse(*state, "a@b@c, good", skip, &o),
              "A:good !malformed address: @c may not follow a@b in \"a@b@c\"");
    assert_int_equal(o, REDIRECT_ITEMS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(lists_give_their_items),
        UNIT_TEST(what_is_not_permitted_is_named),
        UNIT_TEST(bad_addresses_are_errors_or_skipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
