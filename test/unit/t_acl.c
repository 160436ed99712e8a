/* wrap: dns_query host_addresses host_name_lookup verify_address */
#include "acl.h"

#include "../lib/policy.h"
#include "base/tod.h"
#include "dns.h"
#include "header.h"
#include "host.h"
#include "verify.h"

/* ---- a small world ---- */

enum rc __wrap_host_name_lookup(struct exim *e, struct arena *a, const char *address,
                                const char *const **names, bool *dnssec, struct err *err);
enum rc __wrap_host_name_lookup(struct exim *e, struct arena *a, const char *address,
                                const char *const **names, bool *dnssec, struct err *err)
{
    (void)e;
    (void)a;
    (void)address;
    (void)names;
    (void)err;
    *dnssec = false;
    return RC_FAIL;
}

enum rc __wrap_host_addresses(struct exim *e, struct arena *a, const char *name, struct ip_list *out,
                              struct err *err);
enum rc __wrap_host_addresses(struct exim *e, struct arena *a, const char *name, struct ip_list *out,
                              struct err *err)
{
    (void)e;
    (void)a;
    (void)name;
    (void)out;
    (void)err;
    return RC_FAIL;
}

/* bl.test lists 192.0.2.1 with two addresses, sub.test with one; try.test never answers. */
enum dns_rc __wrap_dns_query(struct resolver *r, struct arena *a, const char *name, int type,
                             bool want_dnssec, struct dns_answer *out);
enum dns_rc __wrap_dns_query(struct resolver *r, struct arena *a, const char *name, int type,
                             bool want_dnssec, struct dns_answer *out)
{
    /* clang-format off */
    static const struct { const char *name, *ip, *text; } zone[] = {
        { "1.2.0.192.bl.test", "127.0.0.2", "listed: see there" }, { "1.2.0.192.bl.test", "127.0.0.5", NULL },
        { "bad.dom.bl.test", "127.0.0.9", NULL }, { "9.9.9.9.bl.test", "127.0.0.3", NULL },
        { "1.2.0.192.merged.test", "127.0.0.10", NULL }, { "1.2.0.192.sub.test", "127.0.0.77", "sub text" },
    };
    /* clang-format on */
    struct dns_record *rec = arena_new_array(a, struct dns_record, ARRAY_LEN(zone));

    (void)r;
    (void)want_dnssec;
    *out = (struct dns_answer){ .records = rec };
    if (cstr_ends(name, "try.test"))
        return DNS_AGAIN;
    for (size_t i = 0; i < ARRAY_LEN(zone); i++) {
        if (!cstr_ieq(zone[i].name, name) || (type == DNS_T_TXT && zone[i].text == NULL))
            continue;
        struct dns_record *d = &rec[out->count++];
        d->ttl = 60;
        if (type == DNS_T_A)
            assert_true(ip_parse(zone[i].ip, &d->ip));
        if (type == DNS_T_TXT) {
            struct str *part = arena_new_obj(a, struct str);

            *part = str_from(zone[i].text);
            d->text_parts = part;
            d->text_part_count = 1;
        }
    }
    return out->count > 0 ? DNS_SUCCEED : DNS_NOMATCH;
}

static int verified;
static struct verify_options verified_with;

struct verify_result __wrap_verify_address(struct expand_ctx *ctx, const char *address,
                                           const struct verify_options *o);
struct verify_result __wrap_verify_address(struct expand_ctx *ctx, const char *address,
                                           const struct verify_options *o)
{
    (void)ctx;
    verified++;
    verified_with = *o;
    if (cstr_starts(address, "ok"))
        return (struct verify_result){ .rc = RC_OK, .address_data = "the data" };
    if (cstr_starts(address, "later"))
        return (struct verify_result){ .rc = RC_DEFER, .message = "try again" };
    return (struct verify_result){ .rc = RC_FAIL, .message = "Unrouteable address",
                                   .user_message = "Unrouteable address", .failure = "route" };
}

/* ---- rows ---- */

#define NESTED                                                                                    \
    "begin acl\n"                                                                                \
    "e:\n deny message = inner msg\n      log_message = inner log\n"                              \
    "f:\n drop message = inner drop\n"                                                            \
    "g:\n discard log_message = inner disc\n"                                                     \
    "h:\n accept message = inner acc\n"                                                           \
    "j:\n defer message = inner defer\n"                                                          \
    "k:\n warn logwrite = args [$acl_narg] [$acl_arg1] [$acl_arg2]\n accept\n"                    \
    "loop:\n accept acl = loop\n"                                                                 \
    "c:\n"

struct row {
    const char *acl;
    enum acl_rc rc;
    const char *user, *log; /* "-": not looked at */
    const char *lines;      /* of the main log */
};

/* clang-format off */
static const struct row rcpt[] = {
    { " accept", ACL_ACCEPT, NULL, NULL, "" },
    { " warn", ACL_DENY, NULL, NULL, "" }, /* the implicit deny */
    { " deny message = M", ACL_DENY, "M", "M", "" },
    { " deny log_message = L", ACL_DENY, NULL, "L", "" },
    { " deny message = M\n log_message = L", ACL_DENY, "M", "L", "" },
    { " deny message = a\\nb", ACL_DENY, "a\nb", "a", "" },
    { " drop message = M", ACL_DROP, "M", "M", "" },
    { " defer message = M", ACL_DEFER, "M", "M", "" },
    { " discard message = M\n log_message = L", ACL_DISCARD, "M", "L", "" },
    { " require condition = no\n message = late", ACL_DENY, NULL, NULL, "" },
    { " require message = early\n condition = no", ACL_DENY, "early", "early", "" },
    { " accept message = A", ACL_ACCEPT, "A", "-", "" },
    { " accept condition = yes\n endpass\n message = EP\n condition = no", ACL_DENY, "EP", "EP", "" },
    { " accept condition = no\n endpass\n condition = no\n deny message = M", ACL_DENY, "M", "M", "" },
    { " deny !verify = recipient", ACL_DENY, "Unrouteable address", "Unrouteable address", "" },
    { " deny !verify = recipient\n message = M [$acl_verify_message]\n log_message = L", ACL_DENY, "M [Unrouteable address]", "L: Unrouteable address", "" },
    { " accept verify = recipient", ACL_DENY, "Unrouteable address", "Unrouteable address", "" },
    { " accept verify = recipient\n deny", ACL_DENY, NULL, NULL, "" },
    { " warn !verify = recipient\n set acl_m_x = $acl_verify_message\n deny message = [$acl_m_x][$acl_verify_message]", ACL_DENY, "[Unrouteable address][]", "-", "" },
    { " deny !verify = sender", ACL_DENY, "Sender verify failed", "Sender verify failed", "" },
    { " deny verify = sender=ok@a\n message = $sender_address_data", ACL_DENY, "the data", "-", "" },
    { " deny !verify = sender=later@a", ACL_DEFER, NULL, "Could not complete sender verify", "" },
    { " deny verify = sender=later@a/defer_ok\n message = M", ACL_DENY, "M", "M", "" },
    { " deny acl = e", ACL_DENY, "inner msg", "inner log", "" },
    { " deny acl = f", ACL_DENY, "inner drop", "inner drop", "" },
    { " require acl = f", ACL_DROP, "inner drop", "inner drop", "" },
    { " deny !acl = e\n message = outer", ACL_DENY, "outer", "inner log", "" },
    { " accept acl = g", ACL_DISCARD, NULL, "inner disc", "" },
    { " deny acl = g", ACL_ERROR, NULL, "nested ACL returned \"discard\" for \"deny\" command (only allowed with \"accept\" or \"discard\")", "" },
    { " deny acl = j", ACL_DEFER, "inner defer", "inner defer", "" },
    { " warn acl = j\n accept", ACL_ACCEPT, NULL, NULL, "H=(x) [192.0.2.1] Warning: ACL \"warn\" statement skipped: condition test deferred: inner defer\n" },
    { " accept acl = k a ${if eq {x}{x} {two words} {}}", ACL_ACCEPT, NULL, NULL, "args [2] [a] [two words]\n" },
    { " accept acl = accept message=inl\n deny", ACL_ACCEPT, "-", "-", "" },
    { " accept acl = loop", ACL_ERROR, NULL, "ACL nested too deep: possible loop", "" },
    { " accept acl = nosuch", ACL_ERROR, NULL, "unknown ACL verb \"nosuch\" in \"nosuch\"", "" },
    { " accept acl = /nonexistent", ACL_ERROR, NULL, "failed to open ACL file \"/nonexistent\": No such file or directory", "" },
    { " accept acl = %D/file yes", ACL_ACCEPT, "from a file: yes", "-", "" },
    { " deny message = ${acl {h}} x", ACL_DENY, "inner acc x", "-", "" },
    { " deny message = ${if acl{{e}}{Y $value}{N $value}}", ACL_DENY, "N inner msg", "-", "" },
    { " warn log_message = one\n warn log_message = one\n accept", ACL_ACCEPT, NULL, NULL, "H=(x) [192.0.2.1] Warning: one\n" },
    { " warn logwrite = a $local_part\n logwrite = :main: b\n logwrite = :foo: c\n accept", ACL_ACCEPT, NULL, NULL, "a rcpt\nb\nunknown log name in \":foo: c\" in \"logwrite\" in RCPT ACL\nc\n" },
    { " deny condition = ${if eq{1}{2}{x}fail}\n message = M", ACL_DENY, "M", "M", "" },
    { " deny !condition = ${if eq{1}{2}{x}fail}\n message = M", ACL_DENY, "M", "M", "" },
    { " deny hosts = ${if eq{1}{2}{x}fail}\n message = M", ACL_DENY, NULL, NULL, "" },
    { " deny condition = maybe", ACL_DEFER, NULL, "invalid \"condition\" value \"maybe\"", "" },
    { " deny condition = 00\n message = M", ACL_DENY, NULL, NULL, "" },
    { " deny condition = -3\n message = M", ACL_DENY, "M", "M", "" },
    { " deny set acl_m_x = a\n set acl_c1 = ${acl_m_x}b\n message = $acl_m_x $acl_c1 [$acl_c_unset]", ACL_DENY, "a ab []", "-", "" },
    { " deny domains = other : lsearch;%D/doms\n message = $domain_data", ACL_DENY, "looked up", "-", "" },
    { " deny local_parts = RCPT\n message = M", ACL_DENY, "M", "M", "" },
    { " deny local_parts = +caseful : RCPT\n message = M", ACL_DENY, NULL, NULL, "" },
    { " warn control = caseful_local_part\n deny message = $local_part", ACL_DENY, "Rcpt", "-", "" },
    { " deny recipients = rcpt@dom.test\n senders = *@send.test\n sender_domains = send.test\n message = M", ACL_DENY, "M", "M", "" },
    { " deny hosts = 192.0.2.0/24\n message = M", ACL_DENY, "M", "M", "" },
    { " deny hosts = net-lsearch;%D/ips\n message = $host_data", ACL_DENY, "the host", "-", "" },
    { " deny authenticated = *\n message = M", ACL_DENY, NULL, NULL, "" },
    { " deny encrypted = *\n message = M", ACL_DENY, NULL, NULL, "" },
    { " deny !verify = certificate", ACL_DENY, "no verified certificate", "no verified certificate", "" },
    { " deny !verify = helo\n message = M", ACL_DENY, "M", "M", "-" },
    { " deny !verify = reverse_host_lookup", ACL_DENY, NULL, "-", "no host name found for IP address 192.0.2.1\n" },
    { " deny verify = header_syntax", ACL_ERROR, NULL, "cannot verify header_syntax in ACL for RCPT", "" },
    { " accept control = allow_auth_unadvertised", ACL_ERROR, NULL, "cannot use \"control=allow_auth_unadvertised\" in RCPT ACL", "" },
    { " deny message = ${lookup{x}lsearch{/nonexistent}}", ACL_DENY, NULL, NULL, "-" },
    { " deny condition = ${lookup{x}lsearch{/nonexistent}}", ACL_ERROR, NULL, "-", "" },
    { " accept log_reject_target =\n condition = no", ACL_DENY, NULL, NULL, "" },
    { " deny delay = ${if eq{1}{1}{x}}", ACL_ERROR, NULL, "syntax error in argument for \"delay\" modifier: \"x\" is not a time value", "" },
    { " accept udpsend = 127.0.0.1 : x : y", ACL_ERROR, NULL, "bad destination port in \"udpsend\" modifier", "" },
    { " accept udpsend = 127.0.0.1 : 9 : text", ACL_ACCEPT, NULL, NULL, "" },
    { " accept control = ${if eq{1}{1}{nosuch}}", ACL_ERROR, NULL, "syntax error in \"control=nosuch\"", "" },
};

static const struct { const char *list, *want; } dnslists[] = {
    { "bl.test", "bl.test 192.0.2.1 [127.0.0.2, 127.0.0.5] listed: see there" },
    { "none.test", NULL },
    { "none.test : bl.test", "bl.test 192.0.2.1 [127.0.0.2, 127.0.0.5] listed: see there" },
    { "bl.test=127.0.0.5", "bl.test 192.0.2.1 [127.0.0.2, 127.0.0.5] listed: see there" },
    { "bl.test=127.0.0.6,127.0.0.7", NULL },
    { "bl.test==127.0.0.5", NULL },
    { "bl.test==127.0.0.5,127.0.0.2", "bl.test 192.0.2.1 [127.0.0.2, 127.0.0.5] listed: see there" },
    { "bl.test!=127.0.0.5", NULL },
    { "bl.test!==127.0.0.5", "bl.test 192.0.2.1 [127.0.0.2, 127.0.0.5] listed: see there" },
    { "bl.test&0.0.0.1", "bl.test 192.0.2.1 [127.0.0.2, 127.0.0.5] listed: see there" },
    { "bl.test=&0.0.0.1", NULL },
    { "bl.test!&0.0.0.1", NULL },
    { "bl.test!=&0.0.0.1", "bl.test 192.0.2.1 [127.0.0.2, 127.0.0.5] listed: see there" },
    { "bl.test!&0.0.0.8", "bl.test 192.0.2.1 [127.0.0.2, 127.0.0.5] listed: see there" },
    { "sub.test,merged.test=127.0.0.10", "sub.test 192.0.2.1 [127.0.0.77] sub text" },
    { "sub.test,merged.test=127.0.0.11", NULL },
    { "sub.test,none.test", NULL },
    { "none.test,merged.test", NULL },
    { "bl.test/bad.dom", "bl.test bad.dom [127.0.0.9] " },
    { "bl.test/9.9.9.9", "bl.test 9.9.9.9 [127.0.0.3] " },
    { "bl.test/<;zz;9.9.9.9;bad.dom", "bl.test 9.9.9.9 [127.0.0.3] " },
    { "bl.test/zz::9.9.9.9", "bl.test 9.9.9.9 [127.0.0.3] " },
    { "bl.test=127.0.0.9/<;zz;9.9.9.9;bad.dom", "bl.test bad.dom [127.0.0.9] " },
    { "try.test", NULL },
    { "+include_unknown : try.test", "try.test 192.0.2.1 [] " },
    { "+exclude_unknown : try.test : bl.test", "bl.test 192.0.2.1 [127.0.0.2, 127.0.0.5] listed: see there" },
    { "BL.test", "BL.test 192.0.2.1 [127.0.0.2, 127.0.0.5] listed: see there" },
    { "bl.test/", NULL },
    { "bl.test=abc", NULL },
};

static const struct { const char *acl, *why; } bad[] = {
    { " foo", "unknown ACL verb \"foo\" in \"foo\"" },
    { " accept\n foo = bar", "unknown ACL condition/modifier in \"foo = bar\"" },
    { " accept hosts", "\"=\" missing after ACL \"hosts\" condition" },
    { " accept !message = x", "ACL error: negation is not allowed with \"message\"" },
    { " deny endpass", "ACL error: \"endpass\" is not allowed with \"deny\"" },
    { " accept set foo = x", "invalid variable name after \"set\" in ACL modifier \"set foo = x\" (must start \"acl_c\" or \"acl_m\")" },
    { " accept set acl_cx = 1", "invalid variable name after \"set\" in ACL modifier \"set acl_cx = 1\" (digit or underscore must follow acl_c or acl_m)" },
    { " accept set acl_c_x 1", "\"=\" missing after ACL \"set\" modifier" },
    { " accept control = foo", "syntax error in \"control=foo\"" },
    { " accept control = freeze/x", "syntax error in \"control=freeze/x\"" },
    { " accept control = submission/foo", "syntax error in \"control=submission/foo\"" },
    { " accept control = cutthrough_delivery", "\"control=cutthrough_delivery\" is not built" },
    { " accept malware = *", "ACL condition/modifier \"malware\" is not built: content scanning" },
    { " accept queue = x", "ACL condition/modifier \"queue\" is not built: named queues" },
    { " accept delay = xx", "syntax error in argument for \"delay\" modifier: \"xx\" is not a time value" },
    { " accept verify = sender/foo", "unknown option \"foo\" in ACL condition \"verify sender/foo\"" },
    { " accept verify = helo/foo", "unexpected '/' found in \"helo/foo\" (this verify item has no options)" },
    { " accept verify = recipient/callout=foo", "bad time value in ACL condition \"verify recipient/callout=foo\"" },
    { " accept ratelimit = x", "error in arguments to \"ratelimit\" condition: \"x\" is not a positive number" },
    { " deny condition = ${if", "failed to expand ACL string \"${if\": condition name expected, but found \"\"" },
    { " accept domains = ^(", "regular expression error in \"^(\": missing closing parenthesis at offset 2" },
};
/* clang-format on */

/* ---- running ---- */

static void start(struct policy *p, struct arena *a, const char *acl, const char *main_options)
{
    policy_open(p, a, arena_printf(a, "%s" NESTED "%s\n", main_options, acl));
    policy_write(p, "doms", "dom.test: looked up\n");
    policy_write(p, "ips", "192.0.2.1: the host\n");
    policy_write(p, "file", "# an ACL\naccept condition = $acl_arg1\n  message = from a \\\n   file: $acl_arg1\n");
    policy_client(p, "192.0.2.1");
    p->ctx.session->helo_name = "x";
    session_set_fullhost(p->ctx.session);
    policy_message(p, "who@send.test");
    policy_recipient(p, "Rcpt@dom.test");
}

static bool same(const char *got, const char *want)
{
    if (want != NULL && strcmp(want, "-") == 0)
        return true;
    return got == NULL || want == NULL ? got == want : strcmp(got, want) == 0;
}

static void verdicts_of_rcpt(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rcpt); i++) {
        struct policy p;

        start(&p, *state, rcpt[i].acl, "");
        struct acl_verdict v = acl_check(&p.ctx, ACL_WHERE_RCPT, "c");
        const char *lines = policy_log(&p, "mainlog");
        if (v.rc != rcpt[i].rc || !same(v.user_message, rcpt[i].user) || !same(v.log_message, rcpt[i].log) ||
            !same(lines, rcpt[i].lines))
            fail_msg("%s\ngot %d, user %s, log %s, lines %s", rcpt[i].acl, (int)v.rc,
                     v.user_message == NULL ? "none" : v.user_message, v.log_message == NULL ? "none" : v.log_message, lines);
        policy_close(&p);
    }
}

static void dns_lists(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(dnslists); i++) {
        struct policy p;

        start(&p, *state,
              arena_printf(*state,
                           " deny message = $dnslist_domain $dnslist_matched [$dnslist_value] $dnslist_text\n dnslists = %s\n accept",
                           dnslists[i].list), "");
        struct acl_verdict v = acl_check(&p.ctx, ACL_WHERE_RCPT, "c");
        if (v.rc != (dnslists[i].want == NULL ? ACL_ACCEPT : ACL_DENY) || !same(v.user_message, dnslists[i].want))
            fail_msg("%s: %s", dnslists[i].list, v.user_message == NULL ? "not listed" : v.user_message);
        policy_close(&p);
    }
}

static void a_dns_list_that_must_answer_defers(void **state)
{
    struct policy p;

    start(&p, *state, " deny dnslists = +defer_unknown : try.test : bl.test", "");
    assert_int_equal(acl_check(&p.ctx, ACL_WHERE_RCPT, "c").rc, ACL_DEFER);
    assert_string_equal(policy_log(&p, "mainlog"),
                        "DNS list lookup defer (probably timeout) for 1.2.0.192.try.test: returned DEFER\n");
    policy_close(&p);
}

static void mistakes_are_refused_when_read(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = { 0 };
        const char *lines[4];
        int n = 0;
        char *text = arena_strdup(*state, bad[i].acl);

        for (char *s = text; s != NULL && n < 4; n++) {
            lines[n] = s;
            s = strchr(s, '\n');
            if (s != NULL)
                *s++ = '\0';
        }
        assert_null(acl_parse(*state, "c", lines, n, NULL, &err));
        CHECK_STR(bad[i].acl, err.msg, bad[i].why);
    }
}

static void words_have_their_places(void **state)
{
    /* clang-format off */
    static const struct { const char *acl; enum acl_where where; const char *why; } rows[] = {
        { " accept domains = x", ACL_WHERE_CONNECT, "cannot test domains condition in connection ACL" },
        { " accept add_header = X: y", ACL_WHERE_CONNECT, "cannot use add_header condition in connection ACL" },
        { " accept senders = x", ACL_WHERE_HELO, "cannot test senders condition in EHLO or HELO ACL" },
        { " accept hosts = x", ACL_WHERE_NOTSMTP, "cannot test hosts condition in non-SMTP ACL" },
        { " accept delay = 1s", ACL_WHERE_NOTQUIT, "cannot use delay condition in NOTQUIT ACL" },
        { " accept control = submission", ACL_WHERE_DATA, "cannot use \"control=submission\" in DATA ACL" },
        { " accept verify = recipient", ACL_WHERE_MAIL, "cannot verify recipient in ACL for MAIL" },
        { " accept ratelimit = 1/1h/per_rcpt/strict", ACL_WHERE_MAIL, "error in arguments to \"ratelimit\" condition: \"per_rcpt\" must not have /leaky or /strict option, or cannot be used in MAIL ACL" },
        { " discard", ACL_WHERE_CONNECT, NULL },
        { " deny message = M", ACL_WHERE_QUIT, "QUIT or not-QUIT toplevel ACL may not fail ('deny' verb used incorrectly)" },
    };
    /* clang-format on */
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct policy p;

        start(&p, *state, rows[i].acl, "");
        struct acl_verdict v = acl_check(&p.ctx, rows[i].where, "c");
        CHECK(rows[i].acl, v.rc == ACL_ERROR);
        if (!same(v.log_message, rows[i].why))
            fail_msg("%s: %s", rows[i].acl, v.log_message);
        policy_close(&p);
    }
}

static void senders_are_verified_once(void **state)
{
    struct policy p;

    start(&p, *state, " deny !verify = sender/callout=10s,random,maxwait=1m", "");
    verified = 0;
    struct acl_verdict v = acl_check(&p.ctx, ACL_WHERE_RCPT, "c");
    assert_int_equal(v.rc, ACL_DENY);
    assert_string_equal(v.sender_address, "who@send.test");
    assert_string_equal(v.sender_verified->user_message, "Unrouteable address");
    assert_int_equal(verified_with.callout, 10);
    assert_int_equal(verified_with.callout_overall, 60);
    assert_int_equal(verified_with.flags, VERIFY_SENDER | VERIFY_CALLOUT_RANDOM);
    v = acl_check(&p.ctx, ACL_WHERE_RCPT, "c");
    assert_int_equal(v.rc, ACL_DENY);
    assert_null(v.sender_verified); /* the details are told once */
    assert_int_equal(verified, 1);
    assert_string_equal(p.ctx.session->sender_verify_failure, "route");
    policy_close(&p);
}

static const char *header_lines(struct policy *p)
{
    struct buf b = buf_init(p->a, 10000);

    for (struct header *h = p->ctx.message->headers.first; h != NULL; h = h->next)
        if (h->type != HEADER_OLD)
            buf_add_cstr(&b, h->text);
    return buf_cstr(&b);
}

static void header_lines_go_where_they_are_asked(void **state)
{
    struct policy p;

    start(&p, *state,
          " warn add_header = X-End: 1\\nX-End2: a\\n b\\n\n"
          "      add_header = :at_start:X-Top: 1\n"
          "      add_header = :after_received:X-Mid: 1\n"
          "      add_header = :at_start_rfc:X-Rfc: 1\n"
          "      add_header = X-End: 1\n"
          "      add_header = not a header\n"
          "      remove_header = Subject : x-end\n"
          " warn message = X-Warn: 1\n"
          " accept logwrite = [$headers_added]", "");
    struct message *m = p.ctx.message;
    header_list_init(&m->headers);
    static const char *const lines[] = { "Received: a\n", "Received: b\n", "Resent-To: c\n", "Subject: s\n", "To: t\n" };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        header_append(&m->headers, m->arena, header_type_of(lines[i]), lines[i]);
    assert_int_equal(acl_check(&p.ctx, ACL_WHERE_RCPT, "c").rc, ACL_ACCEPT);
    acl_headers_apply(m);
    assert_string_equal(header_lines(&p), "X-Rfc: 1\nX-Top: 1\nReceived: a\nReceived: b\nX-Mid: 1\nResent-To: c\nTo: t\n"
                                          "X-End: 1\nX-End2: a\n b\nX-ACL-Warn: not a header\nX-Warn: 1\n");
    acl_headers_apply(m); /* nothing is left to do */
    assert_int_equal(m->headers.count, 12);
    policy_close(&p);
}

static void controls_set_their_switches(void **state)
{
    struct policy p;

    start(&p, *state,
          " warn control = freeze/no_tell\n control = queue_only\n control = fakereject/my text\n"
          "  control = submission/sender_retain/domain=sub.test/name=A/B\n control = no_enforce_sync\n"
          "  control = no_delay_flush\n control = no_callout_flush\n control = no_multiline_responses\n"
          "  control = no_pipelining\n control = suppress_local_fixups\n control = dkim_disable_verify\n accept", "");
    assert_int_equal(acl_check(&p.ctx, ACL_WHERE_RCPT, "c").rc, ACL_ACCEPT);
    const struct message *m = p.ctx.message;
    const struct session *s = p.ctx.session;
    assert_true(m->freeze && m->freeze_no_tell && m->queue_only && m->submission && m->submission_sender_retain &&
                m->no_fixups);
    assert_string_equal(m->fake_response, "550");
    assert_string_equal(m->fake_response_text, "my text");
    assert_string_equal(m->submission_domain, "sub.test");
    assert_string_equal(m->submission_name, "A/B");
    assert_true(s->enforce_sync_off && s->delay_flush_off && s->callout_flush_off && s->multiline_off &&
                s->pipelining_off);
    policy_close(&p);
}

static void delays_wait_and_flush_first(void **state)
{
    struct policy p;

    start(&p, *state, " accept delay = 1s", "");
    int64_t before = tod_monotonic_ms();
    assert_int_equal(acl_check(&p.ctx, ACL_WHERE_RCPT, "c").rc, ACL_ACCEPT);
    assert_true(tod_monotonic_ms() - before >= 1000);
    p.x.host_checking = true;
    before = tod_monotonic_ms();
    assert_int_equal(acl_check(&p.ctx, ACL_WHERE_RCPT, "c").rc, ACL_ACCEPT);
    assert_true(tod_monotonic_ms() - before < 900);
    policy_close(&p);
}

/* features.txt, PROXY section 3 and 4: word for word. */
static const char proxied[] =
    " warn condition = ${if and{ {bool{$proxy_session}} \\\n"
    " {eq{$proxy_host_address}{}} } }\n"
    " log_message = Failed required proxy protocol negotiation \\\n"
    " from $sender_host_name [$sender_host_address]\n"
    "\n"
    " warn condition = ${if and{ {bool{$proxy_session}} \\\n"
    " {!eq{$proxy_host_address}{}} } }\n"
    " # But don't log health probes from the proxy itself\n"
    " condition = ${if eq{$proxy_host_address}{$sender_host_address} \\\n"
    " {false}{true}}\n"
    " log_message = Successfully proxied from $sender_host_name \\\n"
    " [$sender_host_address] through proxy protocol \\\n"
    " host $proxy_host_address\n"
    "\n"
    " # Possibly more clear\n"
    " warn logwrite = Remote Source Address: $sender_host_address:$sender_host_port\n"
    " logwrite = Proxy Target Address: $proxy_target_address:$proxy_target_port\n"
    " logwrite = Proxy Internal Address: $proxy_host_address:$proxy_host_port\n"
    " logwrite = Internal Server Address: $received_ip_address:$received_port\n"
    " accept\n";

static void start_proxied(struct policy *p, struct arena *a, const char *acl)
{
    policy_open(p, a, arena_printf(a, "begin acl\nc:\n%s", acl));
    struct session *s = p->ctx.session;
    s->proxy_session = true;
    s->interface_address = "10.0.0.5";
    s->interface_port = 25;
    policy_client(p, "192.0.2.1");
}

static void the_proxy_acls_of_the_manual_work(void **state)
{
    struct policy p;

    start_proxied(&p, *state, proxied);
    struct session *s = p.ctx.session;
    s->proxy_host_address = "10.0.0.9";
    s->proxy_host_port = 999;
    s->proxy_target_address = "198.51.100.1";
    s->proxy_target_port = 25;
    s->host_name = "mail.example.net";
    session_set_fullhost(s);
    assert_int_equal(acl_check(&p.ctx, ACL_WHERE_CONNECT, "c").rc, ACL_ACCEPT);
    assert_string_equal(policy_log(&p, "mainlog"),
                        "H=mail.example.net [192.0.2.1] Warning: Successfully proxied from mail.example.net "
                        "[192.0.2.1] through proxy protocol host 10.0.0.9\n"
                        "Remote Source Address: 192.0.2.1:1234\n"
                        "Proxy Target Address: 198.51.100.1:25\n"
                        "Proxy Internal Address: 10.0.0.9:999\n"
                        "Internal Server Address: 10.0.0.5:25\n");
    policy_close(&p);
    start_proxied(&p, *state, proxied);
    assert_int_equal(acl_check(&p.ctx, ACL_WHERE_CONNECT, "c").rc, ACL_ACCEPT);
    assert_non_null(strstr(policy_log(&p, "mainlog"),
                           "Warning: Failed required proxy protocol negotiation from  [192.0.2.1]\n"));
    policy_close(&p);
}

static void the_connection_limit_of_the_manual_works(void **state)
{
    struct policy p;
    int refused = 0;

    policy_open(&p, *state,
                "LIMIT = 5\nbegin acl\nc:\n"
                " # Set max number of connections per host\n"
                " # Or do some kind of IP lookup in a flat file or database\n"
                " # LIMIT = ${lookup{$sender_host_address}iplsearch{/etc/exim/proxy_limits}}\n"
                "\n"
                " defer message = Too many connections from this IP right now\n"
                " ratelimit = LIMIT / 5s / per_conn / strict\n accept\n");
    for (int i = 0; i < 10; i++) {
        session_free(&p.ctx.session);
        p.ctx.session = session_new(&p.x);
        policy_client(&p, "192.0.2.1");
        struct acl_verdict v = acl_check(&p.ctx, ACL_WHERE_CONNECT, "c");
        if (v.rc == ACL_DEFER) {
            assert_string_equal(v.user_message, "Too many connections from this IP right now");
            refused++;
        }
    }
    assert_in_range(refused, 5, 6);
    policy_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(verdicts_of_rcpt),
        UNIT_TEST(dns_lists),
        UNIT_TEST(a_dns_list_that_must_answer_defers),
        UNIT_TEST(mistakes_are_refused_when_read),
        UNIT_TEST(words_have_their_places),
        UNIT_TEST(senders_are_verified_once),
        UNIT_TEST(header_lines_go_where_they_are_asked),
        UNIT_TEST(controls_set_their_switches),
        UNIT_TEST(delays_wait_and_flush_first),
        UNIT_TEST(the_proxy_acls_of_the_manual_work),
        UNIT_TEST(the_connection_limit_of_the_manual_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
