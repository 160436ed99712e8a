/* link: base */
#include "base/ip.h"

#include <netinet/in.h>
#include <sys/un.h>

#include "unit.h"

static void reads_and_prints_addresses(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: refused */
    } cases[] = {
        { "1.2.3.4", "1.2.3.4" },
        { "255.255.255.255", "255.255.255.255" },
        { "01.2.3.4", NULL },
        { "1.2.3", NULL },
        { "1.2.3.4.5", NULL },
        { "1.2.3.256", NULL },
        { "1.2.3.4 ", NULL },
        { " 1.2.3.4", NULL },
        { "1.2.3.0x4", NULL },
        { "", NULL },
        { "::", "::" },
        { "::1", "::1" },
        { "2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
        { "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
        { "::ffff:1.2.3.4", "::ffff:1.2.3.4" },
        { "fe80::1%eth0", NULL },
        { "1:2:3:4:5:6:7:8:9", NULL },
        { "1::2::3", NULL },
        { "::1/64", NULL },
        { "12345::", NULL },
    };
    char text[IP_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ip ip = { 0 };
        bool ok = ip_parse(cases[i].in, &ip);

        CHECK(cases[i].in, ok == (cases[i].out != NULL));
        CHECK_STR(cases[i].in, ip_print(&ip, text), ok ? cases[i].out : "");
    }
}

static void reads_networks(void **state)
{
    static const struct {
        const char *in;
        bool ok;
        unsigned bits;
    } cases[] = {
        { "10.0.0.0/8", true, 8 },    { "10.0.0.0/0", true, 0 },   { "10.0.0.0/32", true, 32 },
        { "10.0.0.0/33", false, 0 },  { "10.0.0.0", true, 32 },    { "10.0.0.0/", false, 0 },
        { "10.0.0.0/8x", false, 0 },  { "10.0.0.0/-1", false, 0 }, { "10.0.0/8", false, 0 },
        { "2001:db8::/32", true, 32 }, { "::1", true, 128 },       { "::/128", true, 128 },
        { "::/129", false, 0 },       { "::/1000", false, 0 },     { "nonsense", false, 0 },
        { "0123456789012345678901234567890123456789012345678901/8", false, 0 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ip net;
        unsigned bits = 0;

        CHECK(cases[i].in, ip_parse_net(cases[i].in, &net, &bits) == cases[i].ok);
        if (cases[i].ok)
            CHECK(cases[i].in, bits == cases[i].bits);
    }
}

static bool in_net(const char *addr, const char *text)
{
    struct ip ip, net;
    unsigned bits;

    return ip_parse(addr, &ip) && ip_parse_net(text, &net, &bits) && ip_in_net(&ip, &net, bits);
}

static void knows_what_is_in_a_network(void **state)
{
    (void)state;
    assert_true(in_net("10.1.2.3", "10.0.0.0/8"));
    assert_false(in_net("11.1.2.3", "10.0.0.0/8"));
    assert_true(in_net("10.1.2.3", "10.1.2.2/31"));
    assert_false(in_net("10.1.2.4", "10.1.2.2/31"));
    assert_true(in_net("10.1.2.4", "0.0.0.0/0"));
    assert_true(in_net("10.1.2.4", "10.1.2.4"));
    assert_true(in_net("2001:db8:8000::1", "2001:db8:8000::/33"));
    assert_false(in_net("2001:db8::1", "2001:db8:8000::/33"));
    assert_false(in_net("::ffff:10.1.2.3", "10.0.0.0/8"));
    struct ip ip;
    assert_true(ip_parse("1.2.3.4", &ip));
    assert_false(ip_in_net(&ip, &ip, 33));
}

static void masks(void **state)
{
    static const struct {
        const char *in;
        unsigned bits;
        const char *out;
    } cases[] = {
        { "255.255.255.255", 0, "0.0.0.0" },
        { "255.255.255.255", 13, "255.248.0.0" },
        { "255.255.255.255", 32, "255.255.255.255" },
        { "ffff:ffff::1", 20, "ffff:f000::" },
    };
    char text[IP_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct ip ip;

        CHECK(cases[i].in, ip_parse(cases[i].in, &ip));
        ip_mask(&ip, cases[i].bits);
        CHECK_STR(cases[i].in, ip_print(&ip, text), cases[i].out);
    }
}

static bool loopback(const char *s)
{
    struct ip ip;

    return ip_parse(s, &ip) && ip_is_loopback(&ip);
}

static void compares_and_classifies(void **state)
{
    struct ip a, b, none = { 0 };

    (void)state;
    assert_true(ip_parse("1.2.3.4", &a) && ip_parse("::ffff:1.2.3.4", &b));
    assert_false(ip_eq(&a, &b));
    b = ip_unmap(b);
    assert_true(ip_eq(&a, &b));
    assert_true(loopback("127.9.9.9"));
    assert_true(loopback("::1"));
    assert_true(loopback("::ffff:127.0.0.1"));
    assert_false(loopback("128.0.0.1"));
    assert_false(loopback("::2"));
    assert_false(ip_is_loopback(&none));
}

static void goes_to_socket_addresses_and_back(void **state)
{
    static const char *const texts[] = { "192.0.2.7", "2001:db8::7" };
    struct sockaddr_storage ss;
    uint16_t port;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct ip ip, back;

        assert_true(ip_parse(texts[i], &ip));
        assert_true(ip_to_sockaddr(&ip, 2525, &ss) > 0);
        back = ip_from_sockaddr((struct sockaddr *)&ss, &port);
        assert_true(ip_eq(&ip, &back));
        assert_int_equal(port, 2525);
    }
    struct ip mapped, none = { 0 };
    assert_true(ip_parse("::ffff:192.0.2.7", &mapped));
    assert_int_equal(ip_to_sockaddr(&mapped, 1, &ss), sizeof(struct sockaddr_in6));
    assert_int_equal(ip_from_sockaddr((struct sockaddr *)&ss, &port).family, 4);
    assert_int_equal(ip_to_sockaddr(&none, 1, &ss), 0);
    ss.ss_family = AF_UNIX;
    assert_int_equal(ip_from_sockaddr((struct sockaddr *)&ss, &port).family, 0);
    assert_int_equal(port, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_prints_addresses),
        cmocka_unit_test(reads_networks),
        cmocka_unit_test(knows_what_is_in_a_network),
        cmocka_unit_test(masks),
        cmocka_unit_test(compares_and_classifies),
        cmocka_unit_test(goes_to_socket_addresses_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
