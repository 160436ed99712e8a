/* link: base smtp/client_reply */
#include "smtp/client.h"

#include "unit.h"

/* clang-format off */
static const struct {
    const char *in;
    ptrdiff_t used; /* 0 more, -1 bad */
    int code;
    const char *text;
} replies[] = {
    { "250 OK\r\n",                      8, 250, "250 OK" },
    { "250 OK\n",                        7, 250, "250 OK" },
    { "250\r\n",                         5, 250, "250" },
    { "250 \r\n",                        6, 250, "250" },
    { "250 OK  \t\r\nmore",             11, 250, "250 OK" },
    { "250-a\r\n250 b\r\n",             14, 250, "250-a\n250 b" },
    { "250-a\r\n250-\r\n250 b\r\n",     20, 250, "250-a\n250-\n250 b" },
    { "550-5.1.1 no\r\n550 5.1.1 x\r\n220 next\r\n", 27, 550, "550-5.1.1 no\n550 5.1.1 x" },
    { "250-a\r\n251 b\r\n",             14, 250, "250-a\n251 b" }, /* the first line's code stands */
    { "",                                0, 0, NULL },
    { "25",                              0, 0, NULL },
    { "250 OK",                          0, 0, NULL },
    { "250-a\r\n",                       0, 0, NULL },
    { "250-a\r\n250",                    0, 0, NULL },
    { "hello\r\n",                      -1, 0, NULL },
    { "\r\n",                           -1, 0, NULL },
    { "25\r\n",                         -1, 0, NULL },
    { "250_OK\r\n",                     -1, 0, NULL },
    { "2x0 OK\r\n",                     -1, 0, NULL },
    { "050 OK\r\n",                     -1, 0, NULL },
    { "650 OK\r\n",                     -1, 0, NULL },
    { " 250 OK\r\n",                    -1, 0, NULL },
    { "250-a\r\nb\r\n",                 -1, 0, NULL },
};

static const struct { const char *reply, *status; } statuses[] = {
    { "550 5.1.1 no such user", "5.1.1" },
    { "550-5.7.1 a\n550 5.7.1 b", "5.7.1" },
    { "550 5.7.123", "5.7.123" },
    { "450 4.2.0\nx", "4.2.0" },
    { "550 4.1.1 class differs", NULL },
    { "550 no", NULL },
    { "550 5.1 x", NULL },
    { "550 5.1.1x", NULL },
    { "550 5.1234.1 x", NULL },
    { "550 5..1 x", NULL },
    { "550", NULL },
};

static const struct { const char *ehlo; unsigned caps; int64_t size; const char *auth; } ehlos[] = {
    { "250 host", 0, 0, "" },
    { "250-STARTTLS\n250 x", 0, 0, "" }, /* the first line greets */
    { "250-h\n250-PIPELINING\n250-SIZE 1000\n250-8BITMIME\n250 DSN",
      CLIENT_PIPELINING | CLIENT_SIZE | CLIENT_8BITMIME | CLIENT_DSN, 1000, "" },
    { "250-h\n250-pipelining\n250 StartTLS", CLIENT_PIPELINING | CLIENT_STARTTLS, 0, "" },
    { "250-h\n250-AUTH PLAIN LOGIN\n250 AUTH=PLAIN", CLIENT_AUTH, 0, "PLAIN LOGIN PLAIN" },
    { "250-h\n250 SIZE", CLIENT_SIZE, 0, "" },
    { "250-h\n250 SIZE 99999999999999999999999", CLIENT_SIZE, 0, "" },
    { "250-h\n250-STARTTLSX\n250-XPIPELINING\n250 SIZE=5", 0, 0, "" },
    { "250-h\n250-CHUNKING\n250-PRDR\n250-SMTPUTF8\n250 IGNOREQUOTA",
      CLIENT_CHUNKING | CLIENT_PRDR | CLIENT_SMTPUTF8 | CLIENT_IGNOREQUOTA, 0, "" },
};
/* clang-format on */

static void whole_replies(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        struct buf text = buf_init(*state, CLIENT_REPLY_MAX);
        int code;
        ptrdiff_t used = client_reply_parse(replies[i].in, strlen(replies[i].in), &code, &text);

        if (used != replies[i].used)
            fail_msg("\"%s\": %td", replies[i].in, used);
        if (used <= 0)
            continue;
        assert_int_equal(code, replies[i].code);
        CHECK_STR(replies[i].in, buf_cstr(&text), replies[i].text);
    }
}

static void every_prefix_wants_more(void **state)
{
    static const char reply[] = "250-first line\r\n250-second\r\n250 last\r\n";
    struct buf text = buf_init(*state, CLIENT_REPLY_MAX);
    int code;

    for (size_t n = 0; n < sizeof(reply) - 1; n++)
        assert_int_equal(client_reply_parse(reply, n, &code, &text), 0);
}

static void a_reply_without_end_is_refused(void **state)
{
    struct buf text = buf_init(*state, CLIENT_REPLY_MAX), flood = buf_init(*state, 1024 * 1024);
    int code;

    for (int i = 0; i < 10000; i++)
        buf_add_cstr(&flood, "250-and so on and so on\r\n");
    assert_int_equal(client_reply_parse(flood.p, flood.len, &code, &text), -1);
}

static void nul_bytes_do_not_hide_text(void **state)
{
    static const char in[] = "550 a\0b\r\n";
    struct buf text = buf_init(*state, CLIENT_REPLY_MAX);
    int code;

    assert_int_equal(client_reply_parse(in, sizeof(in) - 1, &code, &text), sizeof(in) - 1);
    assert_string_equal(buf_cstr(&text), "550 a b");
}

static void status_codes(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
        const char *got = client_reply_status(*state, statuses[i].reply);

        if (statuses[i].status == NULL)
            CHECK(statuses[i].reply, got == NULL);
        else
            CHECK_STR(statuses[i].reply, got, statuses[i].status);
    }
}

static void capabilities(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(ehlos); i++) {
        struct client_caps caps;

        client_caps_parse(*state, ehlos[i].ehlo, &caps);
        CHECK(ehlos[i].ehlo, caps.set == ehlos[i].caps);
        CHECK(ehlos[i].ehlo, caps.size == ehlos[i].size);
        CHECK_STR(ehlos[i].ehlo, caps.auth, ehlos[i].auth);
    }
}

static void mechanisms(void **state)
{
    const struct client_caps caps = { .auth = "PLAIN  login CRAM-MD5" };

    (void)state;
    assert_true(client_caps_has_auth(&caps, "plain"));
    assert_true(client_caps_has_auth(&caps, "LOGIN"));
    assert_true(client_caps_has_auth(&caps, "CRAM-MD5"));
    assert_false(client_caps_has_auth(&caps, "CRAM"));
    assert_false(client_caps_has_auth(&caps, "CRAM-MD5X"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(whole_replies),
        UNIT_TEST(every_prefix_wants_more),
        UNIT_TEST(a_reply_without_end_is_refused),
        UNIT_TEST(nul_bytes_do_not_hide_text),
        UNIT_TEST(status_codes),
        UNIT_TEST(capabilities),
        UNIT_TEST(mechanisms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
