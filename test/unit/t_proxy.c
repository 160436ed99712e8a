/* link: base proxy proxy_out */
#include "proxy.h"

#include "base/digest.h"
#include "base/ip.h"
#include "unit.h"

enum { CAP = 4096 };
#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define B(s) (s), sizeof(s) - 1

/* An exact-size heap copy, so that ASan sees a read past the end. */
static enum proxy_rc decode(const void *p, size_t len, size_t max, struct proxy_header *h, size_t *need,
                            const char **why)
{
    unsigned char *copy = malloc(len == 0 ? 1 : len);

    memcpy(copy, p, len);
    enum proxy_rc rc = proxy_decode(h, copy, len, max, need, why);
    h->tlvs = (struct str){ NULL, rc == PROXY_OK ? h->tlvs.len : 0 };
    free(copy);
    return rc;
}

struct row {
    const char *name, *bytes;
    size_t len;
    enum proxy_rc rc;
    const char *expect; /* "client port target port"; "" a local one; of a bad one: part of why */
};

#define OK(n, b, e)  { n, B(b), PROXY_OK, e }
#define BAD(n, b, e) { n, B(b), PROXY_BAD, e }
#define LONG6 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
#define A4 "\xcb\x00\x71\x07\xc6\x33\x64\x02\x30\x39\x00\x19" /* 203.0.113.7 12345 198.51.100.2 25 */
#define E4 "203.0.113.7 12345 198.51.100.2 25"
#define IP6(n) "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0" n
#define A6 IP6("\x01") IP6("\x02") "\x00\x00\xff\xff"
#define E6 "2001:db8::1 0 2001:db8::2 65535"
#define Z8 "\0\0\0\0\0\0\0\0"
#define Z54 Z8 Z8 Z8 Z8 Z8 Z8 "\0\0\0\0\0\0"
#define UNIX Z54 Z54 Z54 Z54

/* clang-format off */
static const struct row rows[] = {
    OK("V1 tcp4", "PROXY TCP4 203.0.113.7 198.51.100.2 12345 25\r\n", E4),
    OK("V1 tcp6", "PROXY TCP6 2001:db8::1 2001:DB8::2 0 65535\r\n", E6),
    OK("V1 tcp6 mapped", "PROXY TCP6 ::ffff:203.0.113.7 ::ffff:198.51.100.2 12345 25\r\n", E4),
    OK("V1.8 port 0", "PROXY TCP4 1.1.1.1 2.2.2.2 0 0\r\n", "1.1.1.1 0 2.2.2.2 0"),
    OK("V1.12 tcp4 longest", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
       "255.255.255.255 65535 255.255.255.255 65535"),
    OK("V1.12 tcp6 longest", "PROXY TCP6 " LONG6 " " LONG6 " 65535 65535\r\n",
       LONG6 " 65535 " LONG6 " 65535"),
    OK("V1.13 unknown", "PROXY UNKNOWN\r\n", ""),
    OK("V1.13 unknown with tail", "PROXY UNKNOWN " LONG6 " " LONG6 " 65535 65535\r\n", ""),
    OK("V1.13 unknown with junk", "PROXY UNKNOWN  \t\x80\0 x\r\n", ""),
    BAD("V1.1 lower case", "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "no PROXY"),
    BAD("V1.1 later", " PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "no PROXY"),
    BAD("V1.2 two spaces", "PROXY  TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "malformed"),
    BAD("V1.2 two spaces later", "PROXY TCP4 1.1.1.1  2.2.2.2 1 2\r\n", "malformed"),
    BAD("V1.2 tab", "PROXY\tTCP4 1.1.1.1 2.2.2.2 1 2\r\n", "no PROXY"),
    BAD("V1.2 tab later", "PROXY TCP4\t1.1.1.1 2.2.2.2 1 2\r\n", "malformed"),
    BAD("V1.2 trailing", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n", "malformed"),
    BAD("V1.3 case", "PROXY tcp4 1.1.1.1 2.2.2.2 1 2\r\n", "unknown protocol"),
    BAD("V1.3 udp", "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n", "unknown protocol"),
    BAD("V1.3 unknown case", "PROXY Unknown\r\n", "malformed"),
    BAD("V1.3 unknown longer", "PROXY UNKNOWNS\r\n", "malformed"),
    BAD("V1.4 three octets", "PROXY TCP4 203.0.113 2.2.2.2 1 2\r\n", "address"),
    BAD("V1.4 256", "PROXY TCP4 256.0.0.1 2.2.2.2 1 2\r\n", "address"),
    BAD("V1.4 number", "PROXY TCP4 3405803783 2.2.2.2 1 2\r\n", "address"),
    BAD("V1.4 hex", "PROXY TCP4 0x1.1.1.1 2.2.2.2 1 2\r\n", "address"),
    BAD("V1.5 zero", "PROXY TCP4 010.0.0.1 2.2.2.2 1 2\r\n", "address"),
    BAD("V1.6 scope", "PROXY TCP6 fe80::1%lo ::1 1 2\r\n", "address"),
    BAD("V1.6 five digits", "PROXY TCP6 12345::1 ::1 1 2\r\n", "address"),
    BAD("V1.6 two gaps", "PROXY TCP6 1::2::3 ::1 1 2\r\n", "address"),
    BAD("V1.6 brackets", "PROXY TCP6 [::1] ::1 1 2\r\n", "address"),
    BAD("V1.6 mask", "PROXY TCP6 ::1/64 ::1 1 2\r\n", "address"),
    BAD("V1.6 short", "PROXY TCP6 1:2:3:4:5:6:7 ::1 1 2\r\n", "address"),
    BAD("V1.6 long", "PROXY TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2\r\n", "address"),
    BAD("V1.7 family", "PROXY TCP4 ::1 ::2 1 2\r\n", "not of the family"),
    BAD("V1.7 family 6", "PROXY TCP6 1.1.1.1 1.1.1.2 1 2\r\n", "not of the family"),
    BAD("V1.7 mixed", "PROXY TCP4 1.1.1.1 ::2 1 2\r\n", "mixed"),
    BAD("V1.8 65536", "PROXY TCP4 1.1.1.1 2.2.2.2 65536 2\r\n", "port"),
    BAD("V1.8 huge", "PROXY TCP4 1.1.1.1 2.2.2.2 100000000000000000000 2\r\n", "port"),
    BAD("V1.8 minus", "PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n", "port"),
    BAD("V1.8 plus", "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n", "port"),
    BAD("V1.9 zero", "PROXY TCP4 1.1.1.1 2.2.2.2 1 025\r\n", "port"),
    BAD("V1.10 seven", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n", "malformed"),
    BAD("V1.10 five", "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n", "malformed"),
    BAD("V1.11 LF", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n", "bare LF"),
    BAD("V1.11 CR", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\rQUIT", "bare CR"),
    BAD("V1.11 CR CR LF", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\r\n", "bare CR"),
    BAD("V1.12 too long", "PROXY UNKNOWN " LONG6 " " LONG6 " 65535 655355\r\n", "longer than 107"),
    BAD("V1 NUL", "PROXY TCP4 1.1.1.1\0 2.2.2.2 1 2\r\n", "address"),
    BAD("smtp", "EHLO x\r\n", "no PROXY"),
    BAD("tls", "\x16\x03\x01\x02\x00\x01", "no PROXY"),

    OK("V2 tcp4", SIG "\x21\x11\0\x0c" A4, E4),
    OK("V2 tcp6", SIG "\x21\x21\0\x24" A6, E6),
    OK("V2.12 mapped", SIG "\x21\x21\0\x24" "\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04" IP6("\x02") "\0\1\0\2",
       "1.2.3.4 1 2001:db8::2 2"),
    OK("V2.3 local", SIG "\x20\0\0\0", ""),
    OK("V2.3 local with tcp4", SIG "\x20\x11\0\x0c" A4, ""),
    OK("V2.3 local, any family", SIG "\x20\xff\0\1x", ""),
    OK("V2.3 local of AWS", SIG "\x20\x11\0\x0a" "\x03\0\4\xff\xff\xff\xff\xea\0\0", ""),
    OK("V2.5 unspec", SIG "\x21\0\0\0", ""),
    OK("V2.6 unspec with block", SIG "\x21\0\0\2xx", ""),
    OK("V2.6 unspec transport", SIG "\x21\x10\0\x0c" A4, ""),
    OK("V2.6 udp4", SIG "\x21\x12\0\x0c" A4, ""),
    OK("V2.6 udp6", SIG "\x21\x22\0\x24" A6, ""),
    OK("V2.6 unix", SIG "\x21\x31\0\xd8" UNIX, ""),
    OK("V2.6 unix dgram", SIG "\x21\x32\0\xd8" UNIX, ""),
    OK("V2.11 noop", SIG "\x21\x11\0\x12" A4 "\x04\0\3abc", E4),
    OK("V2.11 unknown TLV", SIG "\x21\x11\0\x0f" A4 "\xf0\0\0", E4),
    OK("TLV crc", SIG "\x21\x11\0\x13" A4 "\x03\0\4\xc5\xa4\x28\x2a", E4),
    OK("TLV ssl", SIG "\x21\x11\0\x1e" A4 "\x20\0\x0f\1\0\0\0\0\x21\0\7TLSv1.3", E4),
    BAD("V2.1 signature", "\r\n\r\n\r\n\0QUIT\n\x21\x11\0\x0c" A4, "no PROXY"),
    BAD("V2.2 version 1", SIG "\x11\x11\0\x0c" A4, "version"),
    BAD("V2.2 version 3", SIG "\x31\x11\0\x0c" A4, "version"),
    BAD("V2.4 command", SIG "\x22\x11\0\x0c" A4, "command"),
    BAD("V2.4 command 15", SIG "\x2f\x11\0\x0c" A4, "command"),
    BAD("V2.5 family 4", SIG "\x21\x41\0\x0c" A4, "family"),
    BAD("V2.5 transport 3", SIG "\x21\x13\0\x0c" A4, "family"),
    BAD("V2.8 short 4", SIG "\x21\x11\0\x0b" "\1\2\3\4\5\6\7\0\1\2\3", "too short"),
    BAD("V2.8 empty 4", SIG "\x21\x11\0\0", "too short"),
    BAD("V2.8 short 6", SIG "\x21\x21\0\x0c" A4, "too short"),
    BAD("V2.8 short unix", SIG "\x21\x31\0\x0c" A4, "too short"),
    BAD("V2.8 short udp", SIG "\x21\x12\0\0", "too short"),
    BAD("TLV cut", SIG "\x21\x11\0\x0e" A4 "\x04\0", "malformed TLV"),
    BAD("TLV too long", SIG "\x21\x11\0\x0f" A4 "\x04\0\1", "malformed TLV"),
    BAD("TLV crc wrong", SIG "\x21\x11\0\x13" A4 "\x03\0\4\0\0\0\0", "wrong CRC"),
    BAD("TLV crc size", SIG "\x21\x11\0\x12" A4 "\x03\0\3\0\0\0", "malformed CRC"),
    BAD("TLV ssl short", SIG "\x21\x11\0\x13" A4 "\x20\0\4\1\0\0\0", "TLS statement"),
    BAD("TLV ssl sub", SIG "\x21\x11\0\x17" A4 "\x20\0\x08\1\0\0\0\0\x21\0\7", "TLS statement"),
};
/* clang-format on */

static const char *show(struct arena *a, const struct proxy_header *h)
{
    char c[IP_TEXT_MAX], t[IP_TEXT_MAX];

    if (h->kind == PROXY_KIND_LOCAL)
        return "";
    return arena_printf(a, "%s %u %s %u", ip_print(&h->client, c), h->client_port, ip_print(&h->target, t),
                        h->target_port);
}

/* The CRC in the row above was made by this. */
static void set_crc(char *p, size_t len)
{
    uint32_t crc;

    memset(p + len - 4, 0, 4);
    crc = crc32c(0, p, len);
    for (int i = 0; i < 4; i++)
        p[len - 4 + (size_t)i] = (char)(crc >> (24 - 8 * i));
}

static void every_line_of_the_specification(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        struct proxy_header h = { .used = 12345 };
        size_t need;
        const char *why = "";
        char *bytes = arena_strndup(*state, "", 0);

        bytes = arena_alloc(*state, r->len, 1);
        memcpy(bytes, r->bytes, r->len);
        if (strcmp(r->name, "TLV crc") == 0)
            set_crc(bytes, r->len);
        enum proxy_rc rc = decode(bytes, r->len, CAP, &h, &need, &why);
        if (rc != r->rc)
            fail_msg("%s: got %d (%s)", r->name, rc, why);
        if (rc == PROXY_OK) {
            CHECK_STR(r->name, show(*state, &h), r->expect);
            CHECK(r->name, h.used == r->len);
        } else {
            CHECK(r->name, strstr(why, r->expect) != NULL);
            CHECK(r->name, h.used == 12345);
        }
    }
}

static void every_split_asks_for_more_and_never_too_much(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].rc != PROXY_OK || strcmp(rows[i].name, "TLV crc") == 0)
            continue;
        for (size_t len = 0; len < rows[i].len; len++) {
            struct proxy_header h = { 0 };
            size_t need = 0;
            const char *why = "";

            CHECK(rows[i].name, decode(rows[i].bytes, len, CAP, &h, &need, &why) == PROXY_MORE);
            CHECK(rows[i].name, need > len && need <= rows[i].len);
        }
    }
}

static void what_follows_the_header_is_left(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proxy_header h = { 0 };
        char more[512] = "";
        size_t need;
        const char *why = "";

        if (rows[i].rc != PROXY_OK || strcmp(rows[i].name, "TLV crc") == 0)
            continue;
        memcpy(more, rows[i].bytes, rows[i].len);
        memcpy(more + rows[i].len, "EHLO x\r\n", 8);
        CHECK(rows[i].name, decode(more, rows[i].len + 8, CAP, &h, &need, &why) == PROXY_OK);
        CHECK(rows[i].name, h.used == rows[i].len);
    }
}

/* What a reader that asks as it is told gets: all of the header, in few steps, and no more. */
static void reading_as_told_ends_at_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct proxy_header h = { 0 };
        size_t have = 0, need = 0, steps = 0;
        const char *why = "";

        if (rows[i].rc != PROXY_OK || strcmp(rows[i].name, "TLV crc") == 0)
            continue;
        while (decode(rows[i].bytes, have, CAP, &h, &need, &why) == PROXY_MORE && steps++ < 60)
            have = need;
        CHECK(rows[i].name, have == rows[i].len);
    }
}

static void long_headers_need_the_option(void **state)
{
    size_t len = PROXY_HEADER_MAX;
    char *p = arena_alloc(*state, len, 1);
    struct proxy_header h = { 0 };
    size_t need;
    const char *why;

    memcpy(p, SIG "\x21\x11\xff\xff" A4 "\x04\xff\xf0", 31);
    assert_int_equal(decode(p, 16, CAP, &h, &need, &why), PROXY_BAD);
    assert_non_null(strstr(why, "proxy_protocol_max_header"));
    assert_int_equal(decode(p, 16, len, &h, &need, &why), PROXY_MORE);
    assert_int_equal(need, len);
    assert_int_equal(decode(p, len, len, &h, &need, &why), PROXY_OK);
    assert_int_equal(h.used, len);
}

static void tlvs_are_found(void **state)
{
    static const char tlvs[] = "\x02\0\3foo\x05\0\2id\x20\0\x12\5\0\0\0\1\x21\0\2T1\x22\0\5/CN=a\x05\0\1x";
    struct str all = { tlvs, sizeof(tlvs) - 1 }, v;
    struct proxy_ssl ssl;

    (void)state;
    assert_true(proxy_tlv_find(all, PP_AUTHORITY, &v) && str_eq(v, STR("foo")));
    assert_true(proxy_tlv_find(all, PP_UNIQUE_ID, &v) && str_eq(v, STR("id")));
    assert_false(proxy_tlv_find(all, PP_ALPN, &v));
    assert_true(proxy_ssl_parse(all, &ssl));
    assert_int_equal(ssl.client, 5);
    assert_int_equal(ssl.verify, 1);
    assert_true(proxy_tlv_find(ssl.tlvs, PP_SSL_CN, &v) && str_eq(v, STR("/CN=a")));
    assert_false(proxy_ssl_parse(STR(""), &ssl));
}

static void every_reason_has_its_text(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PROXY_REASON_COUNT; i++) {
        const char *text = proxy_reason_text((enum proxy_reason)i);

        assert_non_null(text);
        assert_int_equal(proxy_reason_of(text), i);
    }
}

static void a_certificate_counts_if_shown_and_good(void **state)
{
    (void)state;
    assert_true(proxy_ssl_verified(&(struct proxy_ssl){ .client = 3 }));
    assert_true(proxy_ssl_verified(&(struct proxy_ssl){ .client = 5 }));
    assert_false(proxy_ssl_verified(&(struct proxy_ssl){ .client = 1 }));
    assert_false(proxy_ssl_verified(&(struct proxy_ssl){ .client = 7, .verify = 1u << 31 }));
}

static void what_we_send_we_understand(void **state)
{
    static const char *const pairs[][2] = {
        { "203.0.113.7", "198.51.100.2" }, { "2001:db8::1", "::1" }, { "203.0.113.7", "::1" },
    };
    char v1[PROXY_V1_MAX + 1];
    unsigned char v2[256];
    size_t len, need;
    const char *why;

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct proxy_header h = { .client_port = 1, .target_port = 65535, .tlvs = STR("\x02\0\1x") }, back;

        assert_true(ip_parse(pairs[i][0], &h.client) && ip_parse(pairs[i][1], &h.target));
        assert_true(proxy_encode_v1(&h, v1, sizeof(v1), &len));
        assert_int_equal(decode(v1, len, CAP, &back, &need, &why), PROXY_OK);
        assert_string_equal(show(*state, &back), show(*state, &h));
        for (int crc = 0; crc < 2; crc++) {
            assert_true(proxy_encode_v2(&h, crc, v2, sizeof(v2), &len));
            assert_int_equal(decode(v2, len, CAP, &back, &need, &why), PROXY_OK);
            assert_string_equal(show(*state, &back), show(*state, &h));
            assert_int_equal(back.crc_verified, crc);
            assert_false(proxy_encode_v2(&h, crc, v2, len - 1, &len));
        }
    }
    struct proxy_header local = { .kind = PROXY_KIND_LOCAL, .local_command = true }, back;
    assert_true(proxy_encode_v1(&local, v1, sizeof(v1), &len));
    assert_string_equal(v1, "PROXY UNKNOWN\r\n");
    assert_true(proxy_encode_v2(&local, true, v2, sizeof(v2), &len));
    assert_int_equal(decode(v2, len, CAP, &back, &need, &why), PROXY_OK);
    assert_true(back.local_command);
    assert_false(proxy_encode_v1(&local, v1, 10, &len));
}

static void hints_name_the_usual_mistakes(void **state)
{
    static const struct {
        const char *row, *bytes, *hint;
    } cases[] = {
        { "silence", "", "AWS" },          { "tls", "\x16\x03\x01", "TLS hello" },
        { "smtp", "ehlo x", "SMTP" },      { "http", "GET / HTTP/1.0", "HTTP" },
        { "nginx", "PROXY TCP4 1.1.1.1 ::1 1 2\r\n", "mixed" },
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *hint = proxy_hint((const unsigned char *)cases[i].bytes, strlen(cases[i].bytes));

        CHECK(cases[i].row, hint != NULL && strstr(hint, cases[i].hint) != NULL);
    }
    assert_null(proxy_hint((const unsigned char *)"junk", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(every_line_of_the_specification),
        UNIT_TEST(every_split_asks_for_more_and_never_too_much),
        UNIT_TEST(what_follows_the_header_is_left),
        UNIT_TEST(reading_as_told_ends_at_the_end),
        UNIT_TEST(long_headers_need_the_option),
        UNIT_TEST(tlvs_are_found),
        UNIT_TEST(every_reason_has_its_text),
        UNIT_TEST(a_certificate_counts_if_shown_and_good),
        UNIT_TEST(what_we_send_we_understand),
        UNIT_TEST(hints_name_the_usual_mistakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
