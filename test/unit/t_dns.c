/* link: base dns dns_cache dns_packet dns_parse regex */
#include "dns.h"

#include "unit.h"

#define BYTES(s) (const unsigned char *)(s), sizeof(s) - 1
/* Header: id, flags, counts of questions, answers, authority, additional. */
#define HEAD(flags, an, ns) "\x12\x34" flags "\0\1" an ns "\0\0"
#define OK    "\x81\x80"
#define OK_AD "\x85\xa0"
#define NAME  "\2mx\4test\0"
#define ASK(type) NAME "\0" type "\0\1"
#define PTR(at) "\xc0" at
#define RR(owner, type, ttl, len) owner "\0" type "\0\1" "\0\0\0" ttl "\0" len

/* clang-format off */
static const char a_two[] = HEAD(OK, "\0\2", "\0\0") ASK("\1")
    RR(PTR("\x0c"), "\1", "\x3c", "\4") "\xc0\0\2\1" RR(PTR("\x0c"), "\1", "\x1e", "\4") "\xc0\0\2\2";
static const char mx[] = HEAD(OK_AD, "\0\1", "\0\0") ASK("\x0f")
    RR(PTR("\x0c"), "\x0f", "\x3c", "\x09") "\0\x0a" "\4HOST" PTR("\x0f");
static const char null_mx[] = HEAD(OK, "\0\1", "\0\0") ASK("\x0f")
    RR(PTR("\x0c"), "\x0f", "\x3c", "\3") "\0\0" "\0";
static const char alias[] = HEAD(OK, "\0\3", "\0\0") ASK("\1")
    RR(PTR("\x0c"), "\5", "\x3c", "\4") "\1b" PTR("\x0f")
    RR("\1b" PTR("\x0f"), "\5", "\x0a", "\4") "\1c" PTR("\x0f")
    RR("\1c" PTR("\x0f"), "\1", "\x3c", "\4") "\xc0\0\2\1";
static const char alias_only[] = HEAD(OK, "\0\1", "\0\0") ASK("\1")
    RR(PTR("\x0c"), "\5", "\x3c", "\4") "\1b" PTR("\x0f");
static const char alias_loop[] = HEAD(OK, "\0\2", "\0\0") ASK("\1")
    RR(PTR("\x0c"), "\5", "\x3c", "\4") "\1b" PTR("\x0f")
    RR("\1b" PTR("\x0f"), "\5", "\x3c", "\2") PTR("\x0c");
static const char stranger[] = HEAD(OK, "\0\1", "\0\0") ASK("\1")
    RR("\4evil\4test\0", "\1", "\x3c", "\4") "\xc0\0\2\1";
static const char txt[] = HEAD(OK, "\0\1", "\0\0") ASK("\x10")
    RR(PTR("\x0c"), "\x10", "\x3c", "\x0a") "\3one\5 two!";
static const char nothing[] = HEAD(OK, "\0\0", "\0\1") ASK("\1")
    RR(PTR("\x0f"), "\6", "\x3c", "\x19") "\1n" PTR("\x0f") "\0"
    "\0\0\0\1" "\0\0\0\2" "\0\0\0\3" "\0\0\0\4" "\0\0\0\x0f";
static const char tlsa[] = HEAD(OK_AD, "\0\1", "\0\0") ASK("\x34")
    RR(PTR("\x0c"), "\x34", "\x3c", "\6") "\3\1\1" "abc";
static const char srv[] = HEAD(OK, "\0\1", "\0\0") ASK("\x21")
    RR(PTR("\x0c"), "\x21", "\x3c", "\x0c") "\0\1" "\0\2" "\0\x19" "\3out" PTR("\x0f");
/* clang-format on */

static struct dns_answer parse(struct arena *a, const unsigned char *p, size_t len, int type)
{
    struct dns_answer ans;
    /* An exact copy, so that ASan sees a read beyond it. */
    unsigned char *copy = malloc(len);

    memcpy(copy, p, len);
    bool ok = dns_parse(a, copy, len, type, &ans);

    free(copy);
    assert_true(ok);
    return ans;
}

static void reads_addresses_and_their_least_ttl(void **state)
{
    struct dns_answer ans = parse(*state, BYTES(a_two), DNS_T_A);
    char text[IP_TEXT_MAX];

    assert_int_equal(ans.count, 2);
    assert_string_equal(ip_print(&ans.records[1].ip, text), "192.0.2.2");
    assert_string_equal(ans.records[0].owner, "mx.test");
    assert_int_equal(ans.ttl, 30);
    assert_false(ans.ad);
}

static void reads_mail_exchangers(void **state)
{
    struct dns_answer ans = parse(*state, BYTES(mx), DNS_T_MX);

    assert_int_equal(ans.count, 1);
    assert_int_equal(ans.records[0].priority, 10);
    assert_string_equal(ans.records[0].name, "host.test");
    assert_true(ans.ad && ans.aa);
    ans = parse(*state, BYTES(null_mx), DNS_T_MX);
    assert_string_equal(ans.records[0].name, "");
}

static void follows_aliases_inside_a_packet(void **state)
{
    struct dns_answer ans = parse(*state, BYTES(alias), DNS_T_A);

    assert_int_equal(ans.count, 1);
    assert_string_equal(ans.canonical, "c.test");
    assert_int_equal(ans.ttl, 10);
    ans = parse(*state, BYTES(alias), DNS_T_CNAME);
    assert_int_equal(ans.count, 1);
    assert_string_equal(ans.records[0].name, "b.test");
    ans = parse(*state, BYTES(alias_only), DNS_T_A);
    assert_int_equal(ans.count, 0);
    assert_string_equal(ans.canonical, "b.test");
}

static void refuses_an_alias_loop(void **state)
{
    struct dns_answer ans;

    assert_false(dns_parse(*state, BYTES(alias_loop), DNS_T_A, &ans));
}

static void ignores_what_was_not_asked(void **state)
{
    struct dns_answer ans = parse(*state, BYTES(stranger), DNS_T_A);

    assert_int_equal(ans.count, 0);
    assert_string_equal(ans.canonical, "mx.test");
}

static void reads_texts(void **state)
{
    struct dns_answer ans = parse(*state, BYTES(txt), DNS_T_TXT);

    assert_int_equal(ans.records[0].text_part_count, 2);
    assert_string_equal(ans.records[0].text_parts[1].p, " two!");
    assert_int_equal(ans.records[0].text.len, 8);
    assert_memory_equal(ans.records[0].text.p, "one two!", 8);
}

static void keeps_negative_answers_as_the_soa_says(void **state)
{
    struct dns_answer ans = parse(*state, BYTES(nothing), DNS_T_A);

    assert_int_equal(ans.count, 0);
    assert_int_equal(ans.ttl, 15);
    assert_string_equal(ans.authority, "test");
}

static void reads_tlsa_and_srv(void **state)
{
    struct dns_answer ans = parse(*state, BYTES(tlsa), DNS_T_TLSA);

    assert_int_equal(ans.records[0].tlsa.usage, 3);
    assert_int_equal(ans.records[0].tlsa.data.len, 3);
    ans = parse(*state, BYTES(srv), DNS_T_SRV);
    assert_int_equal(ans.records[0].port, 25);
    assert_int_equal(ans.records[0].weight, 2);
    assert_string_equal(ans.records[0].name, "out.test");
}

static void survives_every_cut_and_every_flipped_byte(void **state)
{
    static const struct { const char *p; size_t len; int type; } all[] = {
        { a_two, sizeof(a_two) - 1, DNS_T_A }, { mx, sizeof(mx) - 1, DNS_T_MX },
        { alias, sizeof(alias) - 1, DNS_T_A }, { txt, sizeof(txt) - 1, DNS_T_TXT },
        { nothing, sizeof(nothing) - 1, DNS_T_A }, { tlsa, sizeof(tlsa) - 1, DNS_T_TLSA },
        { srv, sizeof(srv) - 1, DNS_T_SRV } };
    struct dns_answer ans;

    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        for (size_t cut = 0; cut < all[i].len; cut++) {
            unsigned char *copy = malloc(all[i].len);

            memcpy(copy, all[i].p, cut);
            bool ok = dns_parse(*state, copy, cut, all[i].type, &ans);

            assert_true(!ok || ans.count == 0 || cut >= 12);
            memcpy(copy, all[i].p, all[i].len);
            copy[cut] ^= 0xff;
            (void)dns_parse(*state, copy, all[i].len, all[i].type, &ans);
            free(copy);
        }
}

static void makes_reverse_names(void **state)
{
    struct ip ip;

    assert_true(ip_parse("192.0.2.1", &ip));
    assert_string_equal(dns_reverse_name(*state, &ip), "1.2.0.192.in-addr.arpa");
    assert_true(ip_parse("2001:db8::1", &ip));
    assert_string_equal(dns_reverse_name(*state, &ip),
                        "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(reads_addresses_and_their_least_ttl),
        UNIT_TEST(reads_mail_exchangers),
        UNIT_TEST(follows_aliases_inside_a_packet),
        UNIT_TEST(refuses_an_alias_loop),
        UNIT_TEST(ignores_what_was_not_asked),
        UNIT_TEST(reads_texts),
        UNIT_TEST(keeps_negative_answers_as_the_soa_says),
        UNIT_TEST(reads_tlsa_and_srv),
        UNIT_TEST(survives_every_cut_and_every_flipped_byte),
        UNIT_TEST(makes_reverse_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
