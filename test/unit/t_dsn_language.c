/* Which language a report is in, and what a file of texts may say. */
#include "dsn_language.h"

#include "unit.h"

#include "config/config.h"
#include "drtables.h"
#include "dsn.h"
#include "dsn_int.h"
#include "exim.h"
#include "expand.h"
#include "readconf.h"

/* clang-format off */
static const struct { const char *line, *want; } lines[] = { /* the tags in order, with blanks */
    { "de", "de" },                               { " DE-at ", "de-at" },
    { "fr;q=0.5, de", "de fr" },                  { "de;q=0.5,fr;q=0.5", "de fr" },
    { "de ; q=0.1 , en;q=0.25,fr;q=1", "fr en de" }, { "de;q=0, fr", "fr" },
    { "*, de", "de" },                            { "../de, /etc/passwd", "" },
    { "", "" },                                   { ",,,", "" },
    { "de;q=2, fr;q=-1, it;q=x, es;q=nan", "" },  { "de;level=1, fr", "fr" },
    { "-de, d\xc3\xa4, pt-BR", "pt-br" },
    { "abcdefghijklmnopqrstuvwxyzabcdefghij, de", "de" },
};
/* why NULL: good */
static const struct { const char *text, *why; } files[] = {
    { "", NULL },                                      { "# only words about it\n\n", NULL },
    { "[failure intro]\nx\n[status 5.1.1]\ny\n", NULL }, { "[delay end]", NULL },
    { "[failure output]\r\nx\r\n", NULL },
    { "text\n", "line 1: text before the first section" },
    { "\n#\n[nothing]\n", "line 3: unknown section [nothing]" },
    { "[failure intro\nx\n", "line 1: unknown section [failure intro" },
    { "[status x]\n", "line 1: unknown section [status x]" },
    { "[status ]\n", "line 1: unknown section [status ]" },
    { "[status 5]\n\xff\n", "the file is not in UTF-8" },
};
/* clang-format on */

static void wishes_are_taken_in_their_order(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        const char *all = "", *tag;
        for (size_t n = 0; (tag = dsn_language_wanted(*state, lines[i].line, n)) != NULL; n++)
            all = arena_printf(*state, "%s%s%s", all, n == 0 ? "" : " ", tag);
        CHECK_STR(lines[i].line, all, lines[i].want);
    }
}

static void a_file_has_sections_that_are_known(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct err err = { 0 };
        const struct dsn_language *l = dsn_language_parse(*state, "de", str_from(files[i].text), &err);
        CHECK(files[i].text, (l != NULL) == (files[i].why == NULL));
        if (files[i].why != NULL)
            CHECK_STR(files[i].text, err.msg, files[i].why);
        else
            CHECK_STR(files[i].text, dsn_language_tag(l), "de");
    }
    struct err err = { 0 };
    assert_null(dsn_language_parse(*state, "de", (struct str){ "[status 5]\na\0b\n", 15 }, &err));
}

static void begin(struct arena *a, struct exim *e, struct expand_ctx *ctx)
{
    static const struct readconf_request rq = { .filenames = "test", .hooks = &drtables_hooks,
        .text = "exim_user = root\nexim_group = root\nprimary_hostname = host.test\nspool_directory = /nonexistent\n" };
    struct err err = { 0 };

    *e = (struct exim){ .arena = a, .config = readconf(a, &rq, &err), .hooks = &drtables_hooks, .queue_fd = -1 };
    assert_non_null(e->config);
    expand_ctx_init(ctx, e, a);
}

static void a_status_has_its_own_text_or_that_of_its_class(void **state)
{
    static const struct { const char *status, *want; } rows[] = {
        { "5.1.1", "own" }, { "5.1.2", "subject" }, { "5.2.2", "class on host.test" }, { "4.4.1", NULL } };
    struct exim e;
    struct expand_ctx ctx;
    struct err err = { 0 };

    begin(*state, &e, &ctx);
    const struct dsn_language *l = dsn_language_parse(
        *state, "de", str_from("[status 5]\nclass on $primary_hostname\n[status 5.1]\n\nsubject\n\n[status 5.1.1]\nown\n"), &err);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].want == NULL)
            assert_null(dsn_language_status(&ctx, l, rows[i].status));
        else
            CHECK_STR(rows[i].status, dsn_language_status(&ctx, l, rows[i].status), rows[i].want);
}

static void texts_go_over_the_template_of_their_kind(void **state)
{
    struct exim e;
    struct expand_ctx ctx;
    struct err err = { 0 };
    struct dsn_template t = { .part = { "Subject: old\n", "old intro", "old end" } };
    const struct dsn_report r = { .kind = DSN_REPORT_DELAY };

    begin(*state, &e, &ctx);
    const struct dsn_language *l = dsn_language_parse(
        *state, "de", str_from("[delay subject]\nsp\xc3\xa4t\n[failure intro]\nnot this\n[delay end]\nEnde\n"), &err);
    dsn_language_apply(&ctx, l, &r, &t);
    assert_string_equal(t.part[0], "Subject: =?utf-8?Q?sp=C3=A4t?=\n");
    assert_string_equal(t.part[1], "old intro");
    assert_string_equal(t.part[2], "Ende\n\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(wishes_are_taken_in_their_order),
        UNIT_TEST(a_file_has_sections_that_are_known),
        UNIT_TEST(a_status_has_its_own_text_or_that_of_its_class),
        UNIT_TEST(texts_go_over_the_template_of_their_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
