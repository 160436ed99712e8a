#include "rewrite.h"

#include "../lib/policy.h"
#include "header.h"

static const char rules[] = "domainlist named = ^(.*)\\\\.nl\\$ : *.nx\n"
                            "begin rewrite\n"
                            "*@*.Bar.com  a-$1-$2@x.y  s\n"
                            "\\N^(?i)(f.*)@re.com\\N  b-$1-$local_part@x.y  s\n"
                            "*@partial-lsearch;%D/doms c-$1-$2-$3@x.y s\n"
                            "*@+named  d-$1-$2@x.y s\n"
                            "foo@lit.com e-$1@x.y s\n"
                            "\\N^[^@]*@n\\.com$\\N  \"Full Name <$local_part@$domain.w>\"  w\n"
                            "*@loop.com  $1x@loop.com R\n"
                            "*@q.com  $1@q2.com q\n"
                            "*@q2.com $1@q3.com\n"
                            "*@u.com  $1 Q\n"
                            "*@v.com  $1\n"
                            "*@f.com  \"${if eq{1}{2}{a}fail}\"  q\n"
                            "*@f.com  no@no\n"
                            "*@g.com  ${lookup{x}lsearch{/nonexistent}}\n"
                            "*@g.com  no@no\n"
                            "*@star.com *\n"
                            "*@star.com no@no\n"
                            "*@e.com  x-$1@e2.com  E\n"
                            "*@p.com  ${lc:$local_part}@x.y  f\n"
                            "\\N^<?([^!>]+)!([^!>]+)>?$\\N  \"<$2@$1>\"  S\n"
                            "*@a.com  $1@b.com\n"
                            "*@b.com  $1@c.com fts\n"
                            "*@w.com  \"Whole \xc3\xa9 $1 <$local_part@w2.com>\"  wh\n";

/* clang-format off */
static const struct { const char *in; unsigned which; const char *want; /* NULL: unchanged */ } addresses[] = {
    { "Foo@xX.BAR.com", REWRITE_SENDER_HDR, NULL }, /* domains of patterns are to be in lower case */
    { "Foo@re.com", REWRITE_SENDER_HDR, "b-Foo-Foo@x.y" },
    { "foo@a.wild.test", REWRITE_SENDER_HDR, "c-foo-a-wild.test@x.y" },
    { "foo@a.wild.test", REWRITE_FROM, NULL },
    { "foo@a.nl", REWRITE_SENDER_HDR, "d-foo-a@x.y" },
    { "foo@b.nx", REWRITE_SENDER_HDR, "d-foo-b@x.y" },
    { "foo@lit.com", REWRITE_SENDER_HDR, "e-@x.y" },
    { "FOO@lit.com", REWRITE_SENDER_HDR, NULL },
    { "foo@n.com", REWRITE_ENV_TO, "foo@n.com.w" },
    { "a@loop.com", REWRITE_TO, "axxxxxxxxxxx@loop.com" },
    { "a@q.com", REWRITE_TO, "a@q2.com" },
    { "a@q2.com", REWRITE_TO, "a@q3.com" },
    { "a@u.com", REWRITE_TO, "a@host.test" },
    { "a@v.com", REWRITE_TO, NULL },
    { "a@f.com", REWRITE_TO, NULL },
    { "a@g.com", REWRITE_TO, NULL },
    { "a@star.com", REWRITE_TO, NULL },
    { "a@e.com", REWRITE_ENV_FROM, "x-a@e2.com" },
    { "a@e.com", REWRITE_ENV_TO, "x-a@e2.com" },
    { "a@e.com", REWRITE_FROM, NULL },
    { "MiXed@p.com", REWRITE_FROM, "mixed@x.y" },
    { "<h.x!u>", REWRITE_SMTP, "<u@h.x>" },
    { "h.x!u@host.test", REWRITE_ENV_TO, NULL },
    { "a@a.com", REWRITE_FROM, "a@c.com" },
    { "a@a.com", REWRITE_CC, "a@b.com" },
    { "", REWRITE_ENV_FROM, NULL },
};

static const struct { const char *line, *why; } bad[] = {
    { "*@a", "missing rewrite replacement string" },
    { "a@b c@d X", "unknown rewrite flag character 'X' (could be missing quotes round replacement item)" },
    { "*@x z@x S", "rewrite rule has the S flag but is not a regular expression" },
    { "^(x y@z", "regular expression error in \"^(x\": missing closing parenthesis at offset 3" },
    { "a@b ${if", NULL },
    { "\"a b", "missing rewrite replacement string" },
};
/* clang-format on */

static void start(struct policy *p, struct arena *a)
{
    policy_open(p, a, arena_printf(a, "log_selector = +address_rewrite\nheaders_charset = UTF-8\n%s", rules));
    policy_write(p, "doms", "*.wild.test: x\n");
}

static void addresses_become_what_the_rules_say(void **state)
{
    struct policy p;

    start(&p, *state);
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
        const char *got = rewrite_address(&p.ctx, p.x.config->rewrite_rules, addresses[i].in, addresses[i].which, NULL);

        if (addresses[i].want == NULL)
            CHECK(addresses[i].in, got == addresses[i].in);
        else
            CHECK_STR(addresses[i].in, got, addresses[i].want);
    }
    policy_close(&p);
}

static void changes_and_troubles_are_logged(void **state)
{
    static const char *const wanted[] = {
        "\"a@a.com\" from from: rewritten as \"a@b.com\" by rule 21\n",
        "\"a@b.com\" from from: rewritten as \"a@c.com\" by rule 22\n",
        "Rewrite of a@v.com yielded unqualified address \"a\"\n",
        "rewrite rule repeat ignored after 10 times\n",
        "Expansion of ${lookup{x}lsearch{/nonexistent}} failed while rewriting: ",
    };
    static const char *const in[] = { "a@a.com", "a@v.com", "a@loop.com", "a@g.com" };
    struct policy p;

    start(&p, *state);
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        (void)rewrite_address(&p.ctx, p.x.config->rewrite_rules, in[i], REWRITE_FROM, NULL);
    const char *log = policy_log(&p, "mainlog");
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        if (strstr(log, wanted[i]) == NULL)
            fail_msg("no \"%s\" in\n%s", wanted[i], log);
    policy_close(&p);
}

/* As Exim left the same message. */
static void header_lines_keep_what_is_not_address(void **state)
{
    /* clang-format off */
    static const struct { const char *in, *out; } lines[] = {
        { "From: Joe \"X\" Doe (com ment) <joe@a.com>\n", "From: Joe \"X\" Doe (com ment) <joe@c.com>\n" },
        { "To: grp: one@a.com, two@x.com;, three@z.com\n (cc) , unq\n", "To: grp: one@c.com, two@x.com;, three@z.com\n (cc) , unq@host.test\n" },
        { "Cc: <foo@a.com>(c),\n\tbar@a.com\n", "Cc: <foo@b.com>(c),\n\tbar@b.com\n" },
        { "Bcc: \"Q, R\" <two@w.com>, x@y\n", "Bcc: =?UTF-8?Q?Whole_=C3=A9_two?= <two@w2.com>, x@y\n" },
        { "Subject: a@a.com\n", "Subject: a@a.com\n" },
        { "Reply-To: four@a.com (x)\n", "Reply-To: four@b.com (x)\n" },
        { "Resent-To: a@a.com\n", "Resent-To: a@c.com\n" },
        { "X-To: a@a.com\n", "X-To: a@a.com\n" },
        { "Sender: broken < , a@a.com\n", NULL },
    };
    /* clang-format on */
    struct policy p;

    start(&p, *state);
    policy_message(&p, "");
    struct message *m = p.ctx.message;
    m->local = true;
    header_list_init(&m->headers);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        header_append(&m->headers, m->arena, header_type_of(lines[i].in), lines[i].in);
    rewrite_headers(&p.ctx, p.x.config->rewrite_rules, m);
    size_t i = 0;
    for (struct header *h = m->headers.first; h != NULL; h = h->next) {
        assert_int_equal(h->len, strlen(h->text));
        if (h->type == HEADER_OLD)
            continue;
        if (lines[i].out != NULL && strcmp(h->text, lines[i].out) != 0)
            fail_msg("got %swant %s", h->text, lines[i].out);
        i++;
    }
    assert_int_equal(i, ARRAY_LEN(lines));
    policy_close(&p);
}

static void strangers_are_not_qualified(void **state)
{
    struct policy p;

    start(&p, *state);
    policy_message(&p, "");
    struct message *m = p.ctx.message;
    header_list_init(&m->headers);
    header_append(&m->headers, m->arena, HEADER_TO, "To: unq, a@a.com\n");
    rewrite_headers(&p.ctx, p.x.config->rewrite_rules, m);
    assert_string_equal(m->headers.first->next->text, "To: unq, a@c.com\n");
    policy_close(&p);
}

static void mistakes_are_refused_when_read(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = { 0 };

        assert_null(rewrite_rule_parse(*state, bad[i].line, NULL, &err));
        if (bad[i].why != NULL)
            CHECK_STR(bad[i].line, err.msg, bad[i].why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(addresses_become_what_the_rules_say),
        UNIT_TEST(changes_and_troubles_are_logged),
        UNIT_TEST(header_lines_keep_what_is_not_address),
        UNIT_TEST(strangers_are_not_qualified),
        UNIT_TEST(mistakes_are_refused_when_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
