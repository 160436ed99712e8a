/* wrap: dns_query host_addresses host_name_lookup */
#include "match.h"

#include "../lib/policy.h"
#include "base/hash.h"
#include "dns.h"
#include "host.h"

/* ---- a small world of names ---- */

static int name_lookups;

enum rc __wrap_host_name_lookup(struct exim *e, struct arena *a, const char *address,
                                const char *const **names, bool *dnssec, struct err *err);
enum rc __wrap_host_name_lookup(struct exim *e, struct arena *a, const char *address,
                                const char *const **names, bool *dnssec, struct err *err)
{
    static const char *const friends[] = { "mail.friend.test", "alias.other.test", NULL };

    (void)e;
    (void)a;
    (void)err;
    name_lookups++;
    *dnssec = false;
    if (strcmp(address, "10.9.9.9") == 0)
        return RC_DEFER;
    if (strcmp(address, "10.1.1.1") != 0)
        return RC_FAIL;
    *names = friends;
    return RC_OK;
}

enum rc __wrap_host_addresses(struct exim *e, struct arena *a, const char *name, struct ip_list *out,
                              struct err *err);
enum rc __wrap_host_addresses(struct exim *e, struct arena *a, const char *name, struct ip_list *out,
                              struct err *err)
{
    struct ip *ip = arena_new_obj(a, struct ip);

    (void)e;
    (void)err;
    if (strcmp(name, "defer.test") == 0)
        return RC_DEFER;
    if (!ip_parse(strcmp(name, "one.test") == 0   ? "10.1.1.1"
                  : strcmp(name, "me.test") == 0  ? "127.0.0.1"
                  : strcmp(name, "far.test") == 0 ? "192.0.2.9"
                                                  : "",
                  ip))
        return RC_FAIL;
    *out = (struct ip_list){ ip, 1 };
    return RC_OK;
}

enum dns_rc __wrap_dns_query(struct resolver *r, struct arena *a, const char *name, int type,
                             bool want_dnssec, struct dns_answer *out);
enum dns_rc __wrap_dns_query(struct resolver *r, struct arena *a, const char *name, int type,
                             bool want_dnssec, struct dns_answer *out)
{
    struct dns_record *mx = arena_new_array(a, struct dns_record, 2);

    (void)r;
    (void)want_dnssec;
    if (strcmp(name, "again.test") == 0)
        return DNS_AGAIN;
    if (type != DNS_T_MX || (strcmp(name, "first.test") != 0 && strcmp(name, "second.test") != 0))
        return DNS_NOMATCH;
    bool first = strcmp(name, "first.test") == 0;
    mx[0] = (struct dns_record){ .name = "me.test", .priority = first ? 1 : 20 };
    mx[1] = (struct dns_record){ .name = "far.test", .priority = 10 };
    *out = (struct dns_answer){ .records = mx, .count = 2 };
    return DNS_SUCCEED;
}

/* ---- rows ---- */

static const char conf[] = "domainlist local = @ : *.local.test : lsearch;%D/doms\n"
                           "domainlist loop = +loop\n"
                           "domainlist var = ${if eq{$domain}{x}{x}{y}}\n"
                           "domainlist_cache kept = ${lookup{$domain}lsearch{%D/doms}{$domain}{none}}\n"
                           "hostlist nets = 10.0.0.0/8 : !10.1.0.0/16\n"
                           "hostlist by_name = *.friend.test\n"
                           "addresslist addresses = bad@local.test : *@+local\n"
                           "localpartlist parts = postmaster : ^abuse\n"
                           "log_selector = +unknown_in_list\n";

struct row {
    const char *list, *subject;
    enum rc want;
    const char *data; /* NULL: none */
};

/* clang-format off */
static const struct row domains[] = {
    { "a.b", "A.B", RC_OK, NULL },
    { "*.b", "a.b", RC_OK, NULL },
    { "*.b", "b", RC_FAIL, NULL },
    { "*", "anything", RC_OK, NULL },
    { "", "a.b", RC_FAIL, NULL },
    { "", "", RC_FAIL, NULL },
    { ":", "", RC_OK, NULL },
    { ":", "a.b", RC_FAIL, NULL },
    { "!a.b", "x.y", RC_OK, NULL },
    { "!a.b", "a.b", RC_FAIL, NULL },
    { "! a.b : *.b", "a.b", RC_FAIL, NULL },
    { "! a.b : *.b", "c.b", RC_OK, NULL },
    { "! a.b : *.b", "x.y", RC_FAIL, NULL },
    { "\\N^a\\.\\N", "A.b", RC_OK, NULL },
    { "\\N^(?-i)a\\.\\N", "A.b", RC_OK, NULL }, /* the subject is folded */
    { "@", "host.test", RC_OK, NULL },
    { "@", "other.test", RC_FAIL, NULL },
    { "@[]", "[127.0.0.1]", RC_OK, NULL },
    { "@[]", "[192.0.2.77]", RC_FAIL, NULL },
    { "@[]", "127.0.0.1", RC_FAIL, NULL },
    { "+local", "x.local.test", RC_OK, NULL },
    { "!+local", "x.local.test", RC_FAIL, NULL },
    { "+local", "in.file", RC_OK, "data of in.file" },
    { "+nosuch", "x", RC_DEFER, NULL },
    { "+loop", "x", RC_DEFER, NULL },
    { "+caseful : x", "x", RC_DEFER, NULL },
    { "lsearch;%D/doms", "in.file", RC_OK, "data of in.file" },
    { "partial-lsearch;%D/doms", "a.wild.test", RC_OK, "wild data" },
    { "partial-lsearch;%D/doms", "test", RC_FAIL, NULL },
    { "lsearch;/nonexistent", "x", RC_DEFER, NULL },
    { "%D/list", "q.b", RC_OK, NULL },
    { "%D/list", "a.b", RC_FAIL, NULL },
    { "!%D/list", "q.b", RC_FAIL, NULL },
    { "%D/list", "root", RC_FAIL, NULL },         /* a file in a file is none */
    { "%D/negative", "x.y", RC_OK, NULL },        /* ends in a negative item */
    { "%D/negative : z", "x.y", RC_FAIL, NULL },
    { "!%D/negative", "x.y", RC_FAIL, NULL },
    { "!%D/negative", "a.b", RC_OK, NULL },
    { "/nonexistent", "x", RC_DEFER, NULL },
    { "@mx_any", "first.test", RC_OK, NULL },
    { "@mx_primary", "first.test", RC_OK, NULL },
    { "@mx_secondary", "first.test", RC_FAIL, NULL },
    { "@mx_any", "second.test", RC_OK, NULL },
    { "@mx_primary", "second.test", RC_FAIL, NULL },
    { "@mx_secondary", "second.test", RC_OK, NULL },
    { "@mx_any/ignore=127.0.0.1", "first.test", RC_FAIL, NULL },
    { "@mx_any", "none.test", RC_FAIL, NULL },
    { "@mx_any", "again.test", RC_DEFER, NULL },
    { "${if eq{1}{2}{x}fail}", "x", RC_FAIL, NULL },
    { "<; a.b ; c:d", "c:d", RC_OK, NULL },
    { "a1:a2:a3:a4:a5:a6:a7:a8:a9:b.c", "A7", RC_OK, NULL }, /* a run of names */
    { "a1:a2:a3:a4:a5:a6:a7:a8:!a9:b.c", "a9", RC_FAIL, NULL },
    { "!a1:!a2:!a3:!a4:!a5:!a6:!a7:!a8", "x", RC_OK, NULL },
    { "!a1:!a2:!a3:!a4:!a5:!a6:!a7:!a8", "a8", RC_FAIL, NULL },
};

static const struct row local_parts[] = {
    { "foo", "Foo", RC_OK, NULL },
    { "+caseful : foo", "Foo", RC_FAIL, NULL },
    { "+caseful : Foo", "Foo", RC_OK, NULL },
    { "+caseful : ^F", "Foo", RC_OK, NULL },
    { "+caseful : ^f", "Foo", RC_FAIL, NULL },
    { "@", "@", RC_OK, NULL },
    { "@[]", "@[]", RC_OK, NULL },
    { "+parts", "Abuse-1", RC_OK, NULL },
    { "*oo", "foo", RC_OK, NULL },
    { "%D/parts", "has#hash", RC_OK, NULL },
};

static const struct row addresses[] = {
    { "foo@bar.com", "Foo@BAR.com", RC_OK, NULL },
    { "+caseful : foo@bar.com", "Foo@BAR.com", RC_FAIL, NULL },
    { "+caseful : Foo@bar.com", "Foo@BAR.com", RC_OK, NULL },
    { "*@*.com", "foo@bar.com", RC_OK, NULL },
    { "f*@*.com", "foo@bar.com", RC_FAIL, NULL },
    { "*oo@*r.com", "foo@bar.com", RC_OK, NULL },
    { "*.com", "foo@bar.com", RC_OK, NULL },
    { "bar.com", "foo@bar.com", RC_OK, NULL },
    { "*", "foo@bar.com", RC_OK, NULL },
    { "*", "", RC_FAIL, NULL },
    { "*@*", "", RC_FAIL, NULL },
    { "", "", RC_FAIL, NULL },
    { ":", "", RC_OK, NULL },
    { "^\\N.*\\N", "", RC_OK, NULL },
    { "^foo@(.*)", "FOO@bar.com", RC_OK, NULL },
    { "+caseful : ^foo@(.*)", "FOO@bar.com", RC_FAIL, NULL },
    { "lsearch;%D/doms", "some@one.test", RC_OK, "address data" },
    { "partial-lsearch;%D/doms", "some@one.test", RC_OK, "address data" },
    { "lsearch*@;%D/doms", "any@dflt.test", RC_OK, "default data" },
    { "*@lsearch;%D/doms", "foo@in.file", RC_OK, "data of in.file" },
    { "*@+local", "foo@x.local.test", RC_OK, NULL },
    { "@+local", "foo@x.local.test", RC_FAIL, NULL },
    { "+addresses", "bad@local.test", RC_OK, NULL },
    { "+local", "bad@local.test", RC_DEFER, NULL },
    { "foo@@", "foo@host.test", RC_OK, NULL },
    { "@", "foo@host.test", RC_FAIL, NULL },
    { "*@@[]", "foo@[127.0.0.1]", RC_OK, NULL },
    { "@@lsearch;%D/atat", "a@baddomain.com", RC_OK, NULL },
    { "@@lsearch;%D/atat", "postmaster@baddomain.com", RC_FAIL, NULL },
    { "@@lsearch*;%D/atat", "12345678@aol.com", RC_OK, NULL },
    { "@@lsearch*;%D/atat", "spammer1@aol.com", RC_OK, NULL },
    { "@@lsearch*;%D/atat", "x@aol.com", RC_FAIL, NULL },
    { "@@lsearch*;%D/atat", "x@loop.com", RC_DEFER, NULL },
    { "!a@b : *", "a@b", RC_FAIL, NULL },
    { "a@b@c.d", "a@b@c.d", RC_OK, NULL },
    { "%D/addrs", "a/b@c.d", RC_OK, NULL },
    { "%D/addrs", "not#comment@x.y.z", RC_OK, NULL },
    { "foo", "foo", RC_FAIL, NULL }, /* no domain: cannot match */
};

/* subject: the client's address; "": none */
static const struct row hosts[] = {
    { "*", "", RC_OK, NULL },
    { "*", "192.0.2.1", RC_OK, NULL },
    { ":", "", RC_OK, NULL },
    { "192.0.2.1", "", RC_FAIL, NULL },
    { ":", "192.0.2.1", RC_FAIL, NULL },
    { "192.0.2.1", "192.0.2.1", RC_OK, NULL },
    { "192.0.2.1", "::ffff:192.0.2.1", RC_OK, NULL },
    { "192.0.2.0/24", "192.0.2.200", RC_OK, NULL },
    { "192.0.2.0/25", "192.0.2.200", RC_FAIL, NULL },
    { "<; 2001:db8::/32", "2001:db8:1::1", RC_OK, NULL },
    { "2001::db8::::/32", "2001:db8:1::1", RC_OK, NULL },
    { "@[]", "127.0.0.1", RC_OK, NULL },
    { "+nets", "10.2.0.1", RC_OK, NULL },
    { "+nets", "192.0.2.1", RC_OK, NULL }, /* ends in a negative item */
    { "one.test", "10.1.1.1", RC_OK, NULL },
    { "one.test", "192.0.2.1", RC_FAIL, NULL },
    { "unknown.test : 192.0.2.1", "192.0.2.1", RC_FAIL, NULL },
    { "+ignore_unknown : unknown.test : 192.0.2.1", "192.0.2.1", RC_OK, NULL },
    { "+include_unknown : unknown.test", "192.0.2.1", RC_OK, NULL },
    { "defer.test", "192.0.2.1", RC_DEFER, NULL },
    { "+ignore_defer : defer.test : 192.0.2.1", "192.0.2.1", RC_OK, NULL },
    { "+include_defer : defer.test", "192.0.2.1", RC_OK, NULL },
    { "*.friend.test", "10.1.1.1", RC_OK, NULL },
    { "*.other.test", "10.1.1.1", RC_OK, NULL }, /* an alias */
    { "^mail\\\\.", "10.1.1.1", RC_OK, NULL },
    { "+by_name", "10.1.1.1", RC_OK, NULL },
    { "*.friend.test : 192.0.2.1", "192.0.2.1", RC_FAIL, NULL },
    { "192.0.2.1 : *.friend.test", "192.0.2.1", RC_OK, NULL },
    { "*.friend.test", "10.9.9.9", RC_DEFER, NULL },
    { "lsearch;%D/names", "10.1.1.1", RC_OK, "friend" },
    { "net-lsearch;%D/ips", "192.0.2.7", RC_OK, "exact" },
    { "net24-lsearch;%D/ips", "192.0.2.9", RC_OK, "masked" },
    { "net-lsearch;%D/ips", "::1", RC_OK, "six" },
    { "net-iplsearch;%D/nets", "2001:db8::1", RC_OK, "net six" },
    { "%D/hosts", "192.0.2.33", RC_OK, NULL },
    { "10.0.0/8", "192.0.2.1", RC_FAIL, NULL },
    { "1.1.1.1:1.1.1.2:1.1.1.3:1.1.1.4:1.1.1.5:1.1.1.6:1.1.0.0/16:1.1.1.8:9.0.0.0/8", "9.1.2.3", RC_OK, NULL },
    { "1.1.1.1:1.1.1.2:1.1.1.3:1.1.1.4:1.1.1.5:1.1.1.6:1.1.0.0/16:1.1.1.8:9.0.0.0/8", "1.1.9.9", RC_OK, NULL },
    { "1.1.1.1:1.1.1.2:1.1.1.3:1.1.1.4:1.1.1.5:1.1.1.6:1.1.0.0/16:1.1.1.8:9.0.0.0/8", "8.1.9.9", RC_FAIL, NULL },
};
/* clang-format on */

static void write_files(struct policy *p)
{
    policy_write(p, "doms", "in.file: data of in.file\n*.wild.test: wild data\nsome@one.test: address data\n*@dflt.test: default data\n");
    policy_write(p, "list", "# c\n!a.b # comment\n*.b\n/etc/passwd\n");
    policy_write(p, "negative", "!a.b\n");
    policy_write(p, "parts", "has#hash # comment\n");
    policy_write(p, "atat", "baddomain.com:  !postmaster : *\naol.com: spammer1 : spammer 2 : >*\nloop.com: >loop.com\n*:       ^\\d{8}$\n");
    policy_write(p, "addrs", "# c\nnot#comment@x.y.z   # but this is a comment\na/b@c.d # c\n");
    policy_write(p, "names", "mail.friend.test: friend\n");
    policy_write(p, "ips", "192.0.2.7: exact\n192.0.2.0/24: masked\n0000.0000.0000.0000.0000.0000.0000.0001: six\n");
    policy_write(p, "nets", "\"2001:db8::/32\": net six\n");
    policy_write(p, "hosts", "# c\n192.0.2.32/31\n");
}

typedef enum rc tester(struct policy *p, const struct match_list *l, const char *subject, const char **data);

static enum rc test_domain(struct policy *p, const struct match_list *l, const char *s, const char **data)
{
    return match_domain(&p->ctx, l, s, data);
}

static enum rc test_local(struct policy *p, const struct match_list *l, const char *s, const char **data)
{
    return match_local_part(&p->ctx, l, s, true, data);
}

static enum rc test_address(struct policy *p, const struct match_list *l, const char *s, const char **data)
{
    return match_address(&p->ctx, l, s, true, data);
}

static enum rc test_host(struct policy *p, const struct match_list *l, const char *s, const char **data)
{
    p->ctx.session->host_address = *s == '\0' ? NULL : s;
    p->ctx.session->host_name = NULL;
    p->ctx.session->host_aliases = NULL;
    p->ctx.session->host_lookup = HOST_LOOKUP_NONE;
    return match_session_host(&p->ctx, l, data);
}

static void run(struct arena *a, enum list_kind kind, const struct row *rows, size_t n, tester *test)
{
    struct policy p;

    policy_open(&p, a, conf);
    write_files(&p);
    for (int round = 0; round < 2; round++) /* the second time from what is remembered */
        for (size_t i = 0; i < n; i++) {
            struct err err = { 0 };
            const char *data = NULL;
            const struct match_list *l = match_compile(a, kind, policy_fill(&p, rows[i].list), p.x.config, &err);

            if (l == NULL)
                fail_msg("%s: %s", rows[i].list, err.msg);
            enum rc rc = test(&p, l, rows[i].subject, &data);
            if (rc != rows[i].want)
                fail_msg("\"%s\" in \"%s\": %d", rows[i].subject, rows[i].list, (int)rc);
            if ((data == NULL) != (rows[i].data == NULL) || (data != NULL && strcmp(data, rows[i].data) != 0))
                fail_msg("\"%s\" in \"%s\": data %s", rows[i].subject, rows[i].list, data == NULL ? "none" : data);
        }
    policy_close(&p);
}

static void domain_lists(void **state)
{
    run(*state, LIST_DOMAIN, domains, ARRAY_LEN(domains), test_domain);
}

static void local_part_lists(void **state)
{
    run(*state, LIST_LOCAL_PART, local_parts, ARRAY_LEN(local_parts), test_local);
}

static void address_lists(void **state)
{
    run(*state, LIST_ADDRESS, addresses, ARRAY_LEN(addresses), test_address);
}

static void host_lists(void **state)
{
    run(*state, LIST_HOST, hosts, ARRAY_LEN(hosts), test_host);
}

static const struct match_list *compile(struct policy *p, enum list_kind kind, const char *text)
{
    struct err err = { 0 };
    const struct match_list *l = match_compile(p->a, kind, policy_fill(p, text), p->x.config, &err);

    if (l == NULL)
        fail_msg("%s: %s", text, err.msg);
    return l;
}

static void captures_of_rewriting(void **state)
{
    /* clang-format off */
    static const struct { const char *list, *address, *v[4]; } rows[] = {
        { "*queen@*.fict.example", "hearts-queen@wonderland.fict.example", { "hearts-queen@wonderland.fict.example", "hearts-", "wonderland", NULL } },
        { "joe@*.x", "joe@a.x", { "joe@a.x", "a", NULL, NULL } },
        { "*@partial-lsearch;%D/doms", "foo@a.wild.test", { "foo@a.wild.test", "foo", "a", "wild.test" } },
        { "*@partial-lsearch;%D/doms", "foo@wild.test", { "foo@wild.test", "foo", "", "wild.test" } },
        { "\\N^([^@]*)@(.*)$\\N", "Foo@b.c", { "Foo@b.c", "Foo", "b.c", NULL } },
        { "joe@x", "joe@x", { "joe@x", NULL, NULL, NULL } },
    };
    /* clang-format on */
    struct policy p;

    policy_open(&p, *state, conf);
    write_files(&p);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(match_address_capture(&p.ctx, compile(&p, LIST_ADDRESS, rows[i].list), rows[i].address, false), RC_OK);
        int n = 0;
        for (; n < 4 && rows[i].v[n] != NULL; n++)
            CHECK_STR(rows[i].list, p.ctx.captures.v[n], rows[i].v[n]);
        CHECK(rows[i].list, p.ctx.captures.count == n);
    }
    policy_close(&p);
}

static void captures_of_domain_lists(void **state)
{
    struct policy p;

    policy_open(&p, *state, conf);
    p.ctx.captures = (struct captures){ .count = 2, .v = { "old0", "old1" } };
    assert_int_equal(match_domain(&p.ctx, compile(&p, LIST_DOMAIN, "no : nope"), "x", NULL), RC_FAIL);
    assert_string_equal(p.ctx.captures.v[1], "old1");
    assert_int_equal(match_domain(&p.ctx, compile(&p, LIST_DOMAIN, "zz : *.def"), "abc.def", NULL), RC_OK);
    assert_int_equal(p.ctx.captures.count, 2);
    assert_string_equal(p.ctx.captures.v[0], "abc.def");
    assert_string_equal(p.ctx.captures.v[1], "abc");
    assert_int_equal(match_domain(&p.ctx, compile(&p, LIST_DOMAIN, "\\N^(a.)c.(.*)\\N"), "abc.def", NULL), RC_OK);
    assert_string_equal(p.ctx.captures.v[1], "ab");
    assert_string_equal(p.ctx.captures.v[2], "def");
    policy_close(&p);
}

/* A new client (PROXY) must not get the answers of the one before. */
static void results_belong_to_their_client(void **state)
{
    struct policy p;

    policy_open(&p, *state, "hostlist friends = *.friend.test\n");
    const struct match_list *l = compile(&p, LIST_HOST, "+friends");
    assert_int_equal(test_host(&p, l, "192.0.2.1", NULL), RC_FAIL);
    assert_int_equal(test_host(&p, l, "10.1.1.1", NULL), RC_OK);
    assert_int_equal(test_host(&p, l, "192.0.2.1", NULL), RC_FAIL);
    policy_close(&p);
}

static void named_lists_are_asked_once_a_message(void **state)
{
    struct policy p;

    policy_open(&p, *state, conf);
    write_files(&p);
    policy_message(&p, "");
    const struct match_list *l = compile(&p, LIST_DOMAIN, "+local");
    assert_int_equal(match_domain(&p.ctx, l, "in.file", NULL), RC_OK);
    policy_write(&p, "doms", "other: x\n");
    search_tidy(p.x.search);
    const char *data;
    assert_int_equal(match_domain(&p.ctx, l, "In.File", &data), RC_OK);
    assert_string_equal(data, "data of in.file");
    /* expanded lists are not, unless the administrator says that they may */
    assert_int_equal(match_domain(&p.ctx, compile(&p, LIST_DOMAIN, "+var"), "y", NULL), RC_OK);
    assert_int_equal(hash_count(p.ctx.message->list_cache), 1);
    assert_int_equal(match_domain(&p.ctx, compile(&p, LIST_DOMAIN, "+kept"), "zz", NULL), RC_FAIL);
    assert_int_equal(hash_count(p.ctx.message->list_cache), 2);
    message_free(&p.ctx.message);
    p.ctx.session->message = NULL;
    policy_message(&p, "");
    assert_int_equal(match_domain(&p.ctx, l, "in.file", NULL), RC_FAIL);
    policy_close(&p);
}

static void unknown_hosts_are_logged(void **state)
{
    struct policy p;

    policy_open(&p, *state, conf);
    assert_int_equal(test_host(&p, compile(&p, LIST_HOST, "*.friend.test"), "192.0.2.1", NULL), RC_FAIL);
    assert_int_equal(test_host(&p, compile(&p, LIST_HOST, "+include_unknown:unknown.test"), "192.0.2.1", NULL), RC_OK);
    assert_string_equal(policy_log(&p, "mainlog"),
                        "no host name found for IP address 192.0.2.1\n"
                        "list matching forced to fail: failed to find host name for 192.0.2.1\n"
                        "no IP address found for host unknown.test (during SMTP connection from [192.0.2.1])\n"
                        "failed to find IP address for unknown.test: accepted by +include_unknown\n");
    policy_close(&p);
}

static void addresses_only(void **state)
{
    /* clang-format off */
    static const struct { const char *ip, *list; enum rc want; } rows[] = {
        { "1.2.3.4", "1.2.3.0/24", RC_OK }, { "1.2.3.4", "foo.bar : 1.2.3.0/24", RC_FAIL },
        { "::1", "<; ::1", RC_OK }, { "::ffff:1.2.3.4", "1.2.3.4", RC_OK }, { "1.2.3.4", "*", RC_OK },
        { "", "*", RC_OK }, { "", ":", RC_OK }, { "abc", "1.2.3.4", RC_DEFER }, { "127.0.0.1", "@[]", RC_OK },
        { "192.0.2.7", "lsearch;%D/ips", RC_OK }, { "192.0.2.9", "net24-lsearch;%D/ips", RC_OK },
        { "10.0.0.1", "!10.0.0.2", RC_OK }, { "10.0.0.1", "+include_unknown : *.foo", RC_OK },
    };
    /* clang-format on */
    struct policy p;

    policy_open(&p, *state, conf);
    write_files(&p);
    name_lookups = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (match_ip(&p.ctx, rows[i].ip, policy_fill(&p, rows[i].list)) != rows[i].want)
            fail_msg("%s in %s", rows[i].ip, rows[i].list);
    assert_int_equal(name_lookups, 0);
    policy_close(&p);
}

static void a_changed_file_is_read_again(void **state)
{
    struct policy p;

    policy_open(&p, *state, conf);
    policy_write(&p, "f", "one\n");
    const struct match_list *l = compile(&p, LIST_DOMAIN, "%D/f");
    assert_int_equal(match_domain(&p.ctx, l, "one", NULL), RC_OK);
    assert_int_equal(match_domain(&p.ctx, l, "one", NULL), RC_OK);
    policy_write(&p, "f", "twoo\n");
    assert_int_equal(match_domain(&p.ctx, l, "one", NULL), RC_FAIL);
    assert_int_equal(match_domain(&p.ctx, l, "twoo", NULL), RC_OK);
    policy_close(&p);
}

static void bad_lists_are_refused_when_read(void **state)
{
    /* clang-format off */
    static const struct { enum list_kind kind; const char *text; } rows[] = {
        { LIST_DOMAIN, "^(" }, { LIST_DOMAIN, "nosuch;/x" }, { LIST_DOMAIN, "@mx_foo" }, { LIST_ADDRESS, "a;b@c" },
        { LIST_ADDRESS, "@@foo" }, { LIST_HOST, "net-foo;/x" }, { LIST_DOMAIN, "${if" }, { LIST_DOMAIN, "partial-passwd;x" },
    };
    /* clang-format on */
    struct policy p;

    policy_open(&p, *state, "");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = { 0 };

        CHECK(rows[i].text, match_compile(p.a, rows[i].kind, rows[i].text, p.x.config, &err) == NULL);
        CHECK(rows[i].text, err.msg != NULL);
    }
    policy_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(domain_lists),
        UNIT_TEST(local_part_lists),
        UNIT_TEST(address_lists),
        UNIT_TEST(host_lists),
        UNIT_TEST(captures_of_rewriting),
        UNIT_TEST(captures_of_domain_lists),
        UNIT_TEST(results_belong_to_their_client),
        UNIT_TEST(named_lists_are_asked_once_a_message),
        UNIT_TEST(unknown_hosts_are_logged),
        UNIT_TEST(addresses_only),
        UNIT_TEST(a_changed_file_is_read_again),
        UNIT_TEST(bad_lists_are_refused_when_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
