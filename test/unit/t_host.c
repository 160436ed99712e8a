/* link: base host host_find host_list host_listen host_local dns dns_cache dns_packet dns_parse regex */
#include "host.h"

#include "base/buf.h"
#include "config/config.h"
#include "exim.h"
#include "unit.h"

/* clang-format off */
static const struct { const char *list, *want; } lists[] = {
    { "a.test:b.test",             "a.test b.test" },
    { " a.test : b.test : ",       "a.test b.test" },
    { "a.test::26",                "a.test/26" },
    { "<+ a.test:26 + b.test",     "a.test/26 b.test" },
    { "10.1.1.1:b.test",           "10.1.1.1= b.test" },
    { "<; ::1 ; [::1]:26",         "::1= ::1=/26" },
    { "</ [10.1.1.1]:25",          "10.1.1.1=/25" },
    { "[10.1.1.1]",                "10.1.1.1=" },
    { "a.test:+:b.test",           "a.test b.test" },
    { "x.test/MX",                 "x.test*" },
    { "x.test/mx::26",             "x.test*/26" },
    { "a.test::99999",             "a.test:99999" },
    { "",                          "" },
};

static const struct { const char *interfaces, *ports, *tls, *oX, *want; } listens[] = {
    { NULL, NULL, NULL, NULL,                        ":::25 0.0.0.0:25" },
    { "127.0.0.1", NULL, NULL, NULL,                 "127.0.0.1:25" },
    { "127.0.0.1", "25 : 465", "465", NULL,          "127.0.0.1:25 127.0.0.1:465t" },
    { "127.0.0.1.26 : 10.1.1.1", "25", NULL, NULL,   "127.0.0.1:26 10.1.1.1:25" },
    { "<; ::1.26 ; [::1]:27", "25", NULL, NULL,      "::1:26 ::1:27" },
    { "127.0.0.1", "submission : smtps", "smtps", NULL, "127.0.0.1:587 127.0.0.1:465t" },
    { NULL, NULL, NULL, "1225",                      ":::1225 0.0.0.0:1225" },
    { "127.0.0.1", NULL, NULL, "1225",               "127.0.0.1:1225" },
    { "10.1.1.1", NULL, NULL, "192.168.34.5.1125",   "192.168.34.5:1125" },
    { "10.1.1.1", NULL, NULL, "192.168.34.5 : 26 : 27", "192.168.34.5:26 192.168.34.5:27" },
    { "10.1.1.1", NULL, NULL, "<; ::1 ; 26",         "::1:26" },
    { "127.0.0.1 : 127.0.0.1.25", NULL, NULL, NULL,  "127.0.0.1:25" }, /* once is enough */
    { "nonsense", NULL, NULL, NULL,                  NULL },
    { "127.0.0.1", "no-such-port", NULL, NULL,       NULL },
    { "127.0.0.1", "0", NULL, NULL,                  NULL },
    { "127.0.0.1", "70000", NULL, NULL,              NULL },
    { "[127.0.0.1", NULL, NULL, NULL,                NULL },
    { "[127.0.0.1]x25", NULL, NULL, NULL,            NULL },
};
/* clang-format on */

static void host_lists(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        struct buf b = buf_init(*state, 4096);

        for (const struct host *h = host_list_parse(*state, lists[i].list, false); h != NULL; h = h->next) {
            assert_int_equal(h->mx, MX_NONE);
            buf_printf(&b, "%s%s%s%s", b.len > 0 ? " " : "", h->name, h->address != NULL ? "=" : "",
                       h->mx_plus ? "*" : "");
            if (h->port != HOST_PORT_DEFAULT)
                buf_printf(&b, "/%d", h->port);
        }
        CHECK_STR(lists[i].list, buf_cstr(&b), lists[i].want);
    }
}

static void random_order_stays_inside_groups(void **state)
{
    bool seen[2] = { false, false };

    for (int i = 0; i < 100; i++) {
        const struct host *h = host_list_parse(*state, "a:b:+:c:d", true);
        const char *first = h->name, *second = h->next->name, *third = h->next->next->name;

        assert_true((*first == 'a' && *second == 'b') || (*first == 'b' && *second == 'a'));
        assert_true(*third == 'c' || *third == 'd');
        seen[*first - 'a'] = true;
    }
    assert_true(seen[0] && seen[1]);
}

static struct exim *world(struct arena *a, struct config *c)
{
    struct exim *e = arena_new_obj(a, struct exim);

    e->arena = a;
    e->config = c;
    return e;
}

static void listening_addresses(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(listens); i++) {
        struct config *c = arena_new_obj(*state, struct config);
        struct listen_address *out;
        size_t count;
        struct err err;
        struct buf b = buf_init(*state, 4096);
        char text[IP_TEXT_MAX], row[32];

        snprintf(row, sizeof(row), "row %zu", i);
        c->main.local_interfaces = listens[i].interfaces;
        c->main.daemon_smtp_ports = listens[i].ports;
        c->main.tls_on_connect_ports = listens[i].tls;
        bool ok = host_listen_addresses(world(*state, c), *state, listens[i].oX, &out, &count, &err);

        CHECK(row, ok == (listens[i].want != NULL));
        for (size_t j = 0; ok && j < count; j++)
            buf_printf(&b, "%s%s:%d%s", j > 0 ? " " : "", ip_print(&out[j].ip, text), out[j].port,
                       out[j].tls_on_connect ? "t" : "");
        if (ok)
            CHECK_STR(row, buf_cstr(&b), listens[i].want);
    }
}

static void no_ipv6_when_disabled(void **state)
{
    struct config *c = arena_new_obj(*state, struct config);
    struct listen_address *out;
    size_t count;
    struct err err;

    c->main.disable_ipv6 = true;
    assert_true(host_listen_addresses(world(*state, c), *state, NULL, &out, &count, &err));
    assert_int_equal(count, 1);
    assert_int_equal(out[0].ip.family, 4);
}

static void knows_itself(void **state)
{
    struct config *c = arena_new_obj(*state, struct config);
    struct exim *e = world(*state, c);
    struct ip ip;

    c->main.local_interfaces = "10.99.1.1.25";
    c->main.extra_local_interfaces = "10.99.1.2";
    assert_true(ip_parse("10.99.1.1", &ip) && host_is_local(e, &ip));
    assert_true(ip_parse("10.99.1.2", &ip) && host_is_local(e, &ip));
    assert_true(ip_parse("::ffff:10.99.1.2", &ip) && host_is_local(e, &ip));
    assert_true(ip_parse("0.0.0.0", &ip) && host_is_local(e, &ip)); /* connects to ourselves */
    assert_true(ip_parse("10.99.1.3", &ip));
    assert_false(host_is_local(e, &ip));
}

static void the_system_s_interfaces_are_ours(void **state)
{
    struct config *c = arena_new_obj(*state, struct config);
    struct exim *e = world(*state, c);
    struct ip ip;

    assert_true(ip_parse("127.0.0.1", &ip) && host_is_local(e, &ip));
    assert_true(ip_parse("127.0.0.2", &ip));
    assert_false(host_is_local(e, &ip)); /* as Exim sees it: no interface has it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(host_lists),
        UNIT_TEST(random_order_stays_inside_groups),
        UNIT_TEST(listening_addresses),
        UNIT_TEST(no_ipv6_when_disabled),
        UNIT_TEST(knows_itself),
        UNIT_TEST(the_system_s_interfaces_are_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
