/* A report in UTF-8 that is made again in ASCII (RFC 6533, section 6). */
#include <sys/mman.h>
#include <unistd.h>

#include "dsn_int.h"

#include "unit.h"

#include "base/buf.h"
#include "deliver.h"
#include "message.h"

#define U "\xc3\xb6" /* o with two dots */

static const char *print(struct arena *a, const char *const *headers, const char *body)
{
    struct message *m = message_new("report");
    struct buf out = buf_init(a, 1 << 20);
    struct err err = { 0 };
    int fd = memfd_create("report", 0);

    for (size_t i = 0; headers[i] != NULL; i++)
        header_append(&m->headers, m->arena, HEADER_OTHER, headers[i]);
    assert_int_equal(write(fd, body, strlen(body)), (int)strlen(body));
    m->body = (struct body){ .fd = fd, .size = (off_t)strlen(body) };
    const char *text = dsn_7bit_print(a, m, &out, &err) ? buf_cstr(&out) : NULL;
    (void)close(fd);
    message_free(&m);
    return text;
}

static const char *const usual[] = {
    "X-Failed-Recipients: j" U "@x.test\n", "Subject: " U "\n", "To: a@x.test\n",
    "Content-Type: multipart/report; report-type=global-delivery-status; boundary=BB\n", NULL };

static const char *with_fields(struct arena *a, const char *fields)
{
    const char *body = arena_printf(a, "--BB\nContent-type: text/plain; charset=us-ascii\n\nhello\n"
                                       "--BB\nContent-type: message/global-delivery-status\n"
                                       "Content-Transfer-Encoding: 8bit\n\n%s\n"
                                       "--BB\nContent-type: message/global-headers\n\nX: y\n\n--BB--\n", fields);

    return print(a, usual, body);
}

static void header_lines_become_ascii_in_their_own_ways(void **state)
{
    const char *got = with_fields(*state, "Reporting-MTA: dns; x.test\n");

    assert_non_null(got);
    assert_true(strncmp(got, "X-Failed-Recipients: j\\x{F6}@x.test\nSubject: =?utf-8?Q?=C3=B6?=\nTo: a@x.test\n", 74) == 0);
    assert_non_null(strstr(got, "report-type=delivery-status; boundary=BB\n"));
}

static void fields_become_ascii_in_their_own_ways(void **state)
{
    /* clang-format off */
    static const struct { const char *field, *want; } rows[] = {
        { "Final-Recipient: utf-8;j" U "@x.test\n",          "Final-Recipient: utf-8;j\\x{F6}@x.test\n" },
        { "Original-Recipient: utf-8;a+b" U "@x.test\n",     "Original-Recipient: utf-8;a\\x{2B}b\\x{F6}@x.test\n" },
        { "SMTP-Remote-Recipient: utf-8;" U "@x.test\n",     "SMTP-Remote-Recipient: utf-8;\\x{F6}@x.test\n" },
        { "Final-Recipient: rfc822;a+b@x.test\n",            "Final-Recipient: rfc822;a+b@x.test\n" },
        { "Final-Recipient: utf-8;j" U "\n j@x.test\n",      "Final-Recipient: utf-8;j\\x{F6}j@x.test\n" },
        { "Diagnostic-Code: smtp; 550 n" U "\n and more\n",  "Diagnostic-Code: smtp; 550 n?\n and more\n" },
        { "Localized-Diagnostic: de; sch" U "n\n und gut\n", "Localized-Diagnostic: de; =?utf-8?Q?sch=C3=B6n_und_gut?=\n" },
        { "Localized-Diagnostic: de; plain\n",               "Localized-Diagnostic: de; plain\n" },
    };
    /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *got = with_fields(*state, rows[i].field);
        const char *part = got == NULL ? NULL : strstr(got, "message/delivery-status\n\n");
        CHECK(rows[i].field, part != NULL && strncmp(part + 25, rows[i].want, strlen(rows[i].want)) == 0);
        CHECK(rows[i].field, strstr(got, "8bit") == NULL);
        for (const char *p = got; *p != '\0'; p++)
            CHECK(rows[i].field, (unsigned char)*p < 0x80);
    }
}

static void parts_that_are_not_ascii_are_base64(void **state)
{
    const char *got = print(*state, usual, "--BB\nContent-type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n" U "\n"
                                           "--BB\nContent-type: message/global\n\nplain\n\n--BB--\n");

    assert_non_null(got);
    assert_non_null(strstr(got, "charset=utf-8\nContent-Transfer-Encoding: base64\n\nw7YK\n--BB\n"));
    assert_non_null(strstr(got, "Content-type: message/global\n\nplain\n\n--BB--\n"));
}

static void what_has_no_boundary_is_refused(void **state)
{
    static const char *const headers[] = { "Subject: x\n", NULL };

    assert_null(print(*state, headers, "body\n"));
}

static void only_our_own_reports_are_made_again(void **state)
{
    struct message *m = message_new("report");
    struct address addr = { .address = "a@x.test", .result = { .rc = RC_FAIL, .basic_errno = ERR_UTF8FWD } };
    struct delivery d = { .message = m };

    (void)state;
    m->smtputf8 = true;
    assert_false(dsn_7bit_is_wanted(&d, &addr));
    m->report_of = "1xABCD-000001-AB";
    assert_true(dsn_7bit_is_wanted(&d, &addr));
    addr.address = U "@x.test"; /* cannot be reached without it */
    assert_false(dsn_7bit_is_wanted(&d, &addr));
    addr.address = "a@x.test";
    addr.result.basic_errno = 0;
    assert_false(dsn_7bit_is_wanted(&d, &addr));
    message_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(header_lines_become_ascii_in_their_own_ways),
        UNIT_TEST(fields_become_ascii_in_their_own_ways),
        UNIT_TEST(parts_that_are_not_ascii_are_base64),
        UNIT_TEST(what_has_no_boundary_is_refused),
        UNIT_TEST(only_our_own_reports_are_made_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
