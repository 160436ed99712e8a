/* link: base parse config readconf readconf_print */
#include "readconf.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/str.h"
#include "config/main_options.h"
#include "config/option_read.h"
#include "../lib/config_fakes.h"
#include "unit.h"

/* What a configuration must say so that it can be read wherever the test runs. */
#define HEAD "exim_user = root\nexim_group = root\n"
enum { HEAD_LINES = 2 };

static const struct config *read_text(struct arena *a, const char *text, struct err *err)
{
    const struct readconf_request rq = {
        .text = arena_printf(a, HEAD "%s", text), .filenames = "test", .hooks = &fake_hooks,
    };

    return readconf(a, &rq, err);
}

static const char *shown(struct arena *a, const struct config *c, const char *option)
{
    struct buf b = buf_init(a, 10000);
    const struct option *o = option_find(main_options_table, main_options_count, option);

    if (o == NULL || !option_print(a, o, &c->main, true, &b))
        return "(no such option)";
    return buf_cstr(&b);
}

/* ---- Values ---- */

/* clang-format off */
static const struct { const char *text, *option, *want; } values[] = {
    { "",                              "accept_8bitmime", "accept_8bitmime" },
    { "no_accept_8bitmime",            "accept_8bitmime", "no_accept_8bitmime" },
    { "not_accept_8bitmime",           "accept_8bitmime", "no_accept_8bitmime" },
    { "accept_8bitmime = no",          "accept_8bitmime", "no_accept_8bitmime" },
    { "queue_only = YES",              "queue_only",      "queue_only" },
    { "queue_only=true",               "queue_only",      "queue_only" },
    { "queue_only = ",                 "queue_only",      "queue_only" },
    { "  queue_only  ",                "queue_only",      "queue_only" },
    { "recipients_max = 100",          "recipients_max",  "recipients_max = 100" },
    { "recipients_max = 0x1F",         "recipients_max",  "recipients_max = 31" },
    { "recipients_max = 017",          "recipients_max",  "recipients_max = 15" },
    { "recipients_max = -2K",          "recipients_max",  "recipients_max = -2048" },
    { "recipients_max = +5",           "recipients_max",  "recipients_max = 5" },
    { "recipients_max = 2m",           "recipients_max",  "recipients_max = 2097152" },
    { "recipients_max = 0x1g",         "recipients_max",  "recipients_max = 1073741824" },
    { "bounce_return_size_limit = 5M", "bounce_return_size_limit", "bounce_return_size_limit = 5M" },
    { "bounce_return_size_limit = 1025", "bounce_return_size_limit", "bounce_return_size_limit = 1025" },
    { "return_size_limit = 1K",        "bounce_return_size_limit", "bounce_return_size_limit = 1K" },
    { "check_spool_space = 2048",      "check_spool_space", "check_spool_space = 2M" },
    { "check_spool_space = 1025K",     "check_spool_space", "check_spool_space = 1025K" },
    { "queue_only_load = 2.50",        "queue_only_load", "queue_only_load = 2.5" },
    { "queue_only_load = 1.23456",     "queue_only_load", "queue_only_load = 1.234" },
    { "queue_only_load = 5.",          "queue_only_load", "queue_only_load = 5.0" },
    { "",                              "queue_only_load", "queue_only_load =" },
    { "auto_thaw = 1h1h",              "auto_thaw",       "auto_thaw = 2h" },
    { "auto_thaw = 1w2d3h4m5s",        "auto_thaw",       "auto_thaw = 1w2d3h4m5s" },
    { "delay_warning = 4h:8h:24h",     "delay_warning",   "delay_warning = 4h:8h:1d" },
    { "delay_warning =",               "delay_warning",   "delay_warning = " },
    { "qualify_domain = a.example",    "qualify_domain",  "qualify_domain = a.example" },
    { "qualify_domain = a\\b c",       "qualify_domain",  "qualify_domain = a\\b c" },
    { "bi_command = \"a\\tb\"",        "bi_command",      "bi_command = a\\tb" },
    { "bi_command = \"\\x41\\101\\q\\\"\\\\\" ", "bi_command", "bi_command = AAq\"\\" },
    { "bi_command = \"  a \"",         "bi_command",      "bi_command =   a " },
    { "bi_command = 'a'  ",            "bi_command",      "bi_command = 'a'" },
    { "bi_command =",                  "bi_command",      "bi_command = " },
    { "smtp_banner = $x {",            "smtp_banner",     NULL },
    { "never_users = 0 : root",        "never_users",     "never_users = root:root" },
    { "never_users = $x",              "never_users",     "never_users = $x" },
    { "",                              "never_users",     "never_users =" },
    { "hosts_treat_as_local = <; a ; b", "hosts_treat_as_local", "hosts_treat_as_local = <; a ; b" },
    { "hide bi_command = x",           "bi_command",      "bi_command = x" },
    { "daemon_smtp_port = 26",         "daemon_smtp_ports", "daemon_smtp_ports = 26" },
    { "spool_directory = $fake",       "process_log_path", "process_log_path = /expanded/exim-process.info" },
    { "spool_directory = /s",          "pid_file_path",   "pid_file_path = /s/exim-daemon.pid" },
    { "spool_directory = /s",          "log_file_path",   "log_file_path = /s/log/%slog" },
    { "primary_hostname = h.example",  "qualify_recipient", "qualify_recipient = h.example" },
    { "qualify_domain = q.example",    "qualify_recipient", "qualify_recipient = q.example" },
#ifdef EXPERIMENTAL_PROXY
    { "proxy_required_hosts = 1.2.3.4", "hosts_proxy",    "hosts_proxy = 1.2.3.4" },
    { "hosts_proxy = 1.2.3.4", "proxy_required_hosts",    "hosts_proxy = 1.2.3.4" },
#endif
    /* comments, continuations */
    { "qualify_domain = a \\\n  b",    "qualify_domain",  "qualify_domain = a b" },
    { "qualify_domain = a\\  \n# c\n\tb", "qualify_domain", "qualify_domain = ab" },
    { "bi_command = \"a  \\\n  b\"",   "bi_command",      "bi_command = a  b" },
    { "  # no\n\nqualify_domain = a # b", "qualify_domain", "qualify_domain = a # b" },
    { "qualify_domain = a \\\n\nrecipients_max = 1", "recipients_max", "recipients_max = 1" },
    { "qualify_domain = a \\",         "qualify_domain",  "qualify_domain = a" },
    { "qualify_domain = a\r\n",        "qualify_domain",  "qualify_domain = a" },
    /* macros */
    { "AB = 1\nqualify_domain = xABy AB_C ABAB", "qualify_domain", "qualify_domain = x1y 1_C 11" },
    { "A=B\nB=C\nqualify_domain = A",  "qualify_domain",  "qualify_domain = C" },
    { "B=C\nA=B\nqualify_domain = A B", "qualify_domain", "qualify_domain = C C" },
    { "A = 1\nA == A 2\nqualify_domain = A", "qualify_domain", "qualify_domain = 1 2" },
    { "ABC = 1\nAB = 2\nqualify_domain = ABC AB", "qualify_domain", "qualify_domain = 1 2" },
    { "EMPTY =\nEMPTY\nqualify_domain = a", "qualify_domain", "qualify_domain = a" },
    { "C = #\nC qualify_domain = b\nqualify_domain = a", "qualify_domain", "qualify_domain = a" },
    { "Q = \"x\" \nbi_command = Q",    "bi_command",      "bi_command = x" },
    { "M = a\\\n b\nqualify_domain = M", "qualify_domain", "qualify_domain = ab" },
    { "qualify_domain = _HAVE_TLS _OPT_MAIN_QUEUE_ONLY_LOAD.", "qualify_domain", "qualify_domain = y y." },
    { "qualify_domain = _HAVE_NO _x _", "qualify_domain", "qualify_domain = _HAVE_NO _x _" },
    /* conditionals */
    { "A=\n.ifdef A\nqueue_only\n.endif", "queue_only",   "queue_only" },
    { ".ifdef A\nqueue_only\n.else x\nsplit_spool_directory\n.endif y", "split_spool_directory", "split_spool_directory" },
    { ".ifndef A\nqueue_only\n.endif", "queue_only",      "queue_only" },
    { "B=\n.ifdef A\n.elifdef B\nqueue_only\n.elifdef B\nnonsense\n.else\nnonsense\n.endif", "queue_only", "queue_only" },
    { "B=\n.ifdef B\n.elifndef A\nnonsense\n.endif", "queue_only", "no_queue_only" },
    { ".ifdef A\n.ifndef B\nnonsense\n.else\nnonsense\n.endif\n.include /nonexistent\n.endif", "queue_only", "no_queue_only" },
    { ".ifdef _DRIVER_ROUTER_FAKE\n.ifdef _OPT_ROUTER_FAKE_DATA\n.ifdef _OPT_ROUTERS_FLAG\nqueue_only\n.endif\n.endif\n.endif", "queue_only", "queue_only" },
    { ".ifdef _HAVE_LOOKUP_LSEARCH\n.ifdef _LOG_8BITMIME\nqueue_only\n.endif\n.endif", "queue_only", "queue_only" },
    { "qualify_domain = a \\\n.ifdef X\nb \\\n.else\nc \\\n.endif\nd", "qualify_domain", "qualify_domain = a c d" },
    { ".include_if_exists /nonexistent\nqueue_only", "queue_only", "queue_only" },
};
/* clang-format on */

static void options_hold_what_the_file_says(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        struct arena *a = arena_new("row");
        struct err err;
        const struct config *c = read_text(a, values[i].text, &err);

        if (values[i].want == NULL) {
            CHECK(values[i].text, c == NULL);
        } else {
            if (c == NULL)
                fail_msg("%s: %s", values[i].text, err.msg);
            CHECK_STR(values[i].text, shown(a, c, values[i].option), values[i].want);
        }
        arena_destroy(&a);
    }
    (void)state;
}

/* ---- Errors ---- */

/* line: 0 when the message gives none; else within the text. */
/* clang-format off */
static const struct { const char *text; int line; const char *want; } errors[] = {
    { "foo = bar",               1, "main option \"foo\" unknown" },
    { "\n# x\nfoo = bar",        3, "main option \"foo\" unknown" },
    { "bi_command = a \\\nb\nfoo", 3, "main option \"foo\" unknown" },
    { "accept_8bitmime = maybe", 1, "\"maybe\" is not a valid value for the \"accept_8bitmime\" option" },
    { "queue_only\nno_queue_only", 2, "\"no_queue_only\" option set for the second time" },
    { "queue_only 5",            1, "extra characters follow boolean option queue_only" },
    { "no_queue_only = yes",     1, "extra characters follow boolean option no_queue_only" },
    { "no_recipients_max = 5",   1, "negation prefix applied to a non-boolean option" },
    { "recipients_max = x",      1, "integer expected for recipients_max" },
    { "recipients_max =",        1, "integer expected for recipients_max" },
    { "recipients_max = \"5\"",  1, "integer expected for recipients_max" },
    { "recipients_max = 5 6",    1, "extra characters follow integer value for recipients_max" },
    { "recipients_max = 1 K",    1, "extra characters follow integer value for recipients_max" },
    { "recipients_max = 08",     1, "extra characters follow integer value for recipients_max" },
    { "recipients_max",          1, "unexpected end of line (data missing) after recipients_max" },
    { "recipients_max 7",        1, "missing \"=\" after recipients_max" },
    { "recipients_max = 99999999999999999999", 1,
      "absolute value of integer \"99999999999999999999\" is too large (overflow)" },
    { "recipients_max = 9999999999999G", 1,
      "absolute value of integer \"9999999999999G\" is too large (overflow)" },
    { "check_log_space = 9223372036854775807", 1,
      "absolute value of integer \"9223372036854775807\" is too large (overflow)" },
    { "queue_only_load = x",     1, "fixed-point number expected for queue_only_load" },
    { "queue_only_load = .5",    1, "fixed-point number expected for queue_only_load" },
    { "queue_only_load = 2.5x",  1, "extra characters follow fixed-point value for queue_only_load" },
    { "queue_only_load = 99999999999", 1, "integer \"99999999999\" is too large (overflow)" },
    { "auto_thaw = 3x",          1, "invalid time value for auto_thaw" },
    { "auto_thaw = ",            1, "invalid time value for auto_thaw" },
    { "auto_thaw = 5",           1, "invalid time value for auto_thaw" },
    { "delay_warning = 4h:x",    1, "invalid time value for delay_warning" },
    { "delay_warning = 4h:3h",   1, "time value out of order for delay_warning" },
    { "bi_command = \"abc",      1, "missing quote at end of string value for bi_command" },
    { "bi_command = \"a\" b",    1, "extra characters follow string value for bi_command" },
    { "bi_command = \"a\\0b\"",  1, "a NUL character is not possible in bi_command" },
    { "smtp_banner = ${x",       1, "the value of smtp_banner cannot be expanded: missing or misplaced { or }" },
    { "hide",                    1, "main option \"\" unknown" },
    { "hide hide bi_command = x", 1, "main option \"hide\" unknown" },
    { "= x",                     1, "option setting expected: = x" },
    { "never_users = nosuchuser", 1, "user nosuchuser was not found" },
    { "admin_groups = nosuchgroup", 1, "group nosuchgroup was not found" },
    { "exim_user = nosuchuser", 1, "\"exim_user\" option set for the second time" },
    { "ldap_version = 3",        1, "option \"ldap_version\" is not built into this binary yet: LDAP lookups" },
#ifdef EXPERIMENTAL_PROXY
    { "proxy_required_hosts = a\nhosts_proxy = b", 2, "\"hosts_proxy\" option set for the second time" },
#else
    { "proxy_required_hosts = a", 1, "main option \"proxy_required_hosts\" unknown" },
#endif
    { "domainlist a",            1, "missing '=' after \"a\"" },
    { "domainlist = x",          1, "a name is missing after domainlist" },
    { "hostlist a = x\nhostlist a = y", 2, "duplicate name \"a\" for a named host list" },
    { "domainlist a = x\nbi_command = x\nhold_domains = +b\nbi_command = y", 4,
      "\"bi_command\" option set for the second time" },
    { "domainlist a = x\nhold_domains = +b\n\n", 2, "bad list in hold_domains: unknown named list \"+b\"" },
    { "A = 1\nA = 2", 2, "macro \"A\" is already defined (use \"==\" if you want to redefine it)" },
    { "FOO = 1\nFOOBAR = 2", 2,
      "\"FOOBAR\" cannot be defined as a macro because previously defined macro \"FOO\" is a substring" },
    { "A == 1",                  1, "can't redefine an undefined macro \"A\"" },
    { "FOO-B = 1",               1, "malformed macro definition" },
    { "FOO",                     1, "malformed macro definition" },
    { ".ifdef A",                1, "Unexpected end of configuration file: .endif missing" },
    { ".endif",                  1, ".endif without matching .ifdef" },
    { ".else",                   1, ".else without matching .ifdef" },
    { ".elifdef A",              1, ".elifdef without matching .ifdef" },
    { ".foo",                    1, "option setting expected: .foo" },
    { ".include",                1, "a file name is missing after .include" },
    { ".include /nonexistent",   1,
      "failed to open included configuration file /nonexistent: No such file or directory" },
    { ".include_if_exists x",    1, ".include specifies a non-absolute path \"x\"" },
    { "begin foo",               1, "\"foo\" is not a known configuration section name" },
    { "begin",                   1, "main option \"begin\" unknown" },
    { "begin acl\nbegin acl",    2, "\"acl\" section is repeated in the configuration file" },
    { "begin local_scan",        1, "local_scan() options are not built into this binary yet" },
    { "begin acl\na:\nok\nbad x\nok", 4, "error in ACL: unknown ACL verb in \"bad x\"" },
    { "begin acl\nok",           2, "missing or malformed ACL name" },
    { "begin acl\na:\nM = x\nok", 4, "missing or malformed ACL name" },
    { "begin acl\na:\nok\na:\nok", 4, "there are two ACLs called \"a\"" },
    { "begin retry\nok\nbad",    3, "bad rule" },
    { "begin rewrite\nbad",      2, "bad rule" },
    { "begin routers\nflag",     2, "router name missing" },
    { "begin routers\n1r:",      2, "router name missing" },
    { "begin routers\nr: x",     2, "extra characters follow driver name r" },
    { "begin routers\nr:\ndriver = nosuch", 3, "router r: cannot find router driver \"nosuch\"" },
    { "begin routers\nr:\ndriver = iplookup", 3,
      "router r: cannot find router driver \"iplookup\"" },
    { "begin routers\nr:\ndata = x\ndriver = fake", 3,
      "option \"data\" unknown (\"driver\" must be specified before any private options)" },
    { "begin routers\nr:\ndriver = fake\nfoo = x", 4, "option \"foo\" unknown" },
    { "begin routers\nr:\ndriver = fake\nflag\nno_flag", 5, "\"no_flag\" option set for the second time" },
    { "begin routers\nr:\ndriver = fake\ndriver = fake", 4, "\"driver\" option set for the second time" },
    { "begin routers\nr:\ndriver = fake\nset = x", 4, "\"r_<name> = <value>\" expected after set" },
    { "begin routers\nr:\ndriver = fake\nset = x_y = 4", 4, "\"r_<name> = <value>\" expected after set" },
    { "begin routers\nr:\ndriver = fake\nmore = perhaps", 4,
      "\"perhaps\" is not a valid value for the \"more\" option" },
    { "begin routers\nr:\ndriver = fake\nmode = 9", 4, "octal integer expected for mode" },
    { "begin routers\nr:\ndriver = fake\nuser = nosuchuser", 4, "user nosuchuser was not found" },
    { "begin routers\nr:\ndriver = fake\nA = 1\nflag", 5, "router name missing" },
    { "begin routers\nr:\nflag", 0, ":\n  no driver defined for router \"r\"" },
    { "begin transports\nr:\ndriver = fake\nr:\ndriver = fake", 0, ":\n  there are two transports called \"r\"" },
    { "begin routers\nr:\ndriver = fake\nnumber = 13", 0, " for r router:\n  13 is not possible" },
    { "log_selector = +foo", 0, ":\n  unknown log_selector setting: +foo" },
    { "log_file_path = foo",     0, ":\n  log path must be absolute: \"foo\"" },
    { "errors_reply_to = a b", 0,
      ":\n  error in errors_reply_to (a b): missing or malformed local part (expected word or \"<\")" },
    { "errors_reply_to = a",     0, ":\n  errors_reply_to (a) does not contain a domain" },
    { "localhost_number = 99",   0, ":\n  localhost_number is greater than the maximum allowed value (16)" },
    { "localhost_number = 9x",   0, ":\n  localhost_number value is not a number: 9x" },
    { "spool_directory = $fail", 0, ":\n  failed to expand spool_directory: forced failure" },
};
/* clang-format on */

static void errors_say_where_and_what(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        struct arena *a = arena_new("row");
        struct err err;
        const struct config *c = read_text(a, errors[i].text, &err);
        const char *want =
            errors[i].line == 0
                ? arena_printf(a, "Exim configuration error%s", errors[i].want)
                : arena_printf(a, "Exim configuration error in line %d of test:\n  %s",
                               errors[i].line + HEAD_LINES, errors[i].want);

        CHECK(errors[i].text, c == NULL);
        CHECK_STR(errors[i].text, err.msg, want);
        arena_destroy(&a);
    }
    (void)state;
}

/* ---- Drivers ---- */

static const char *shown_driver(struct arena *a, const struct fake_driver *d, const char *option)
{
    struct buf b = buf_init(a, 10000);
    const struct option *o = option_find(fake_generic, ARRAY_LEN(fake_generic), option);

    if (o == NULL)
        o = option_find(fake_private, ARRAY_LEN(fake_private), option);
    assert_non_null(o);
    option_print(a, o, d, true, &b);
    return buf_cstr(&b);
}

/* clang-format off */
static const struct { const char *lines, *option, *want; } driver_values[] = {
    { "",                           "flag",      "flag" },
    { "number = 4",                 "flag",      "no_flag" },
    { "number = 4\nflag",           "flag",      "flag" },
    { "",                           "data",      "data = default" },
    { "data = x",                   "data",      "data = x" },
    { "mode = 27",                  "mode",      "mode = 027" },
    { "",                           "more",      "more" },
    { "no_more",                    "more",      "no_more" },
    { "more = ${x}",                "more",      "more = ${x}" },
    { "more = false",               "more",      "no_more" },
    { "condition = a",              "condition", "condition = a" },
    { "condition = a\ncondition = b\ncondition = c", "condition",
      "condition = ${if and{{bool_lax{${if and{{bool_lax{a}}{bool_lax{b}}}}}}{bool_lax{c}}}}" },
    { "headers_add = X: y\nheaders_add = Z: y", "headers_add", "headers_add = X: y\\nZ: y" },
    { "headers_remove = a : b\nheaders_remove = c", "headers_remove", "headers_remove = a:b:c" },
    { "set = r_x = 5\nset = r_y=$x", "set",      "set = r_x = 5;r_y = $x" },
    { "user = 0",                   "user",      "user = root" },
    { "user = $x",                  "user",      "user = $x" },
};
/* clang-format on */

static void drivers_have_generic_and_private_options(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(driver_values); i++) {
        struct arena *a = arena_new("row");
        struct err err;
        const char *text = arena_printf(a, "begin routers\nq:\ndriver = fake\n\nr:\ndriver = fake\n%s",
                                        driver_values[i].lines);
        const struct config *c = read_text(a, text, &err);

        if (c == NULL)
            fail_msg("%s: %s", text, err.msg);
        assert_int_equal(c->router_count, 2);
        const void *first = c->routers[0], *second = c->routers[1];

        assert_ptr_equal(((const struct fake_driver *)first)->next, second);
        assert_string_equal(((const struct fake_driver *)second)->name, "r");
        CHECK_STR(text, shown_driver(a, second, driver_values[i].option), driver_values[i].want);
        arena_destroy(&a);
    }
    (void)state;
}

/* ---- Sections, lists, macros ---- */

static void sections_come_in_any_order(void **state)
{
    struct err err;
    const struct config *c = read_text(*state,
                                       "begin retry\none\nM = is no macro here\nbegin rewrite\ntwo\n"
                                       "begin acl\nB = 1\na:\nok\n\nb: ok\nbegin authenticators\n"
                                       "begin transports\nt:\ndriver = fake\nbegin routers\n",
                                       &err);

    if (c == NULL)
        fail_msg("%s", err.msg);
    const struct fake_rule *r = (const void *)c->retry_rules;

    assert_string_equal(r->text, "one");
    assert_string_equal(r->next->text, "M = is no macro here");
    assert_null(r->next->next);
    assert_string_equal(((const struct fake_rule *)(const void *)c->rewrite_rules)->text, "two");
    assert_non_null(hash_find(c->acls, "a"));
    assert_non_null(hash_find(c->acls, "b"));
    assert_int_equal(c->transport_count, 1);
    assert_int_equal(c->router_count, 0);
    assert_string_equal(c->macros->name, "B");
}

static void named_lists_may_be_used_before_they_are_defined(void **state)
{
    struct err err;
    const struct config *c = read_text(
        *state, "hold_domains = +d\nhide domainlist d = a : b\nhostlist d = h\n", &err);

    if (c == NULL)
        fail_msg("%s", err.msg);
    const struct named_list *d = hash_find(c->named_lists[LIST_DOMAIN], "d");

    assert_true(d->hide);
    assert_string_equal(d->list->text, "a : b");
    assert_string_equal(c->main.hold_domains->text, "+d");
    assert_non_null(hash_find(c->named_lists[LIST_HOST], "d"));
}

static void macros_of_the_command_line_win(void **state)
{
    const struct readconf_macro d = { NULL, "DOM", "from.command.line" };
    const struct readconf_request rq = {
        .text = HEAD "DOM = x\nDOM == y\nqualify_domain = DOM\n", .filenames = "test",
        .hooks = &fake_hooks, .macros = &d,
    };
    struct err err;
    const struct config *c = readconf(*state, &rq, &err);

    if (c == NULL)
        fail_msg("%s", err.msg);
    assert_string_equal(c->qualify_domain, "from.command.line");
}

/* ---- Files ---- */

static const char *write_file(struct arena *a, const char *dir, const char *name, const char *text)
{
    const char *path = arena_printf(a, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(path, 0644), 0);
    return path;
}

static const struct config *read_file(struct arena *a, const char *names, bool check, struct err *err)
{
    const struct readconf_request rq = {
        .filenames = names, .hooks = &fake_hooks, .check_owner = check
    };

    return readconf(a, &rq, err);
}

static const char *temp_dir(struct arena *a)
{
    char *dir = arena_strdup(a, "/tmp/t_readconf.XXXXXX");

    assert_non_null(mkdtemp(dir));
    return dir;
}

static void files_are_included(void **state)
{
    struct arena *a = *state;
    const char *dir = temp_dir(a);
    struct err err;
    const char *in = write_file(a, dir, "in", "recipients_max = 5\nqualify_domain = a \\\n");
    const char *bad = write_file(a, dir, "bad", "\nnonsense\n");
    const char *top = write_file(
        a, dir, "top",
        arena_printf(a, HEAD ".include in\n   b\n.include_if_exists \"%s/none\"\nqueue_only\n", dir));
    const struct config *c = read_file(a, arena_printf(a, "/nonexistent : %s", top), false, &err);

    if (c == NULL)
        fail_msg("%s", err.msg);
    assert_string_equal(c->filename, top);
    assert_int_equal(c->main.recipients_max, 5);
    assert_string_equal(c->qualify_domain, "a b");
    assert_true(c->main.queue_only);

    const char *worse = write_file(a, dir, "worse", ".include bad\n");

    assert_null(read_file(a, worse, false, &err));
    assert_string_equal(err.msg, arena_printf(a, "Exim configuration error in line 2 of %s:\n"
                                                 "  main option \"nonsense\" unknown", bad));
    const char *loop = write_file(a, dir, "loop", ".include loop\n");

    assert_null(read_file(a, loop, false, &err));
    assert_non_null(strstr(err.msg, "more than 100 deep"));
    unlink(in), unlink(bad), unlink(top), unlink(worse), unlink(loop), rmdir(dir);
}

static void files_of_strangers_are_refused(void **state)
{
    struct arena *a = *state;
    const char *dir = temp_dir(a);
    const char *f = write_file(a, dir, "f", HEAD);
    struct err err;

    assert_null(read_file(a, "/nonexistent:/nonexistent2", true, &err));
    assert_string_equal(err.msg, "non-existent configuration file(s): /nonexistent:/nonexistent2");
    assert_null(read_file(a, dir, false, &err));
    if (geteuid() == 0) {
        assert_non_null(read_file(a, f, true, &err));
        assert_int_equal(chmod(f, 0666), 0);
        assert_null(read_file(a, f, true, &err));
        assert_string_equal(
            err.msg,
            arena_printf(a, "Exim configuration file %s has the wrong owner, group, or mode", f));
        assert_int_equal(chmod(f, 0644), 0);
        assert_int_equal(chown(f, 12345, 0), 0);
        assert_null(read_file(a, f, true, &err));
        assert_non_null(read_file(a, f, false, &err));
    }
    unlink(f), rmdir(dir);
}

static void a_macro_that_doubles_is_stopped(void **state)
{
    struct arena *a = *state;
    struct buf b = buf_init(a, 10000);
    struct err err;

    buf_add_cstr(&b, "M = 0123456789abcdef\n");
    for (int i = 0; i < 40; i++)
        buf_add_cstr(&b, "M == MM\n");
    assert_null(read_text(a, buf_cstr(&b), &err));
    assert_non_null(strstr(err.msg, "the line is too long once its macros are replaced"));
}

/* ---- -bP ---- */

struct print {
    const char *what, *kind;
    bool admin, no_labels;
    const char *want;
};

/* What readconf_print writes to stdout. */
static const char *printed(struct arena *a, const struct config *c, const struct print *p)
{
    char *out = NULL;
    size_t n = 0;
    FILE *real = stdout;

    stdout = open_memstream(&out, &n);
    readconf_print(c, p->what, p->kind, p->admin, p->no_labels);
    fclose(stdout);
    stdout = real;
    const char *copy = arena_strdup(a, out);

    free(out);
    return copy;
}

static const char config_text[] =
    "hide bi_command = secret\nMAC =   a  b\nsyslog_processname = \"q   r\"\n"
    "hide domainlist d = x\nhostlist h = y\nno_queue_only\n"
    "begin acl\nchk:\n  accept   hosts = :\n  deny\n"
    "begin routers\nr:\n  driver = fake\n  hide data = d\n begin retry\n * * F\n";

/* clang-format off */
static const struct print prints[] = {
    { "queue_only",   NULL, true,  false, "no_queue_only\n" },
    { "queue_only",   NULL, true,  true,  "no_queue_only\n" },
    { "bi_command",   NULL, true,  false, "bi_command = secret\n" },
    { "bi_command",   NULL, true,  true,  "secret\n" },
    { "bi_command",   NULL, false, false, "bi_command = <value not displayable>\n" },
    { "bi_command",   NULL, false, true,  "<value not displayable>\n" },
    { "nosuch",       NULL, true,  false, "nosuch is not a known option\n" },
    { "no_queue_only", NULL, true, false, "no_queue_only is not a known option\n" },
    { "router",       NULL, true,  false, "router is not a known option\n" },
    { "config_file",  NULL, true,  false, "test\n" },
    { "+d",           NULL, true,  false, "domainlist d = x\n" },
    { "+d",           NULL, false, false, "domainlist d = <value not displayable>\n" },
    { "+h",           NULL, false, true,  "y\n" },
    { "+n",           NULL, true,  false,
      "no address, domain, host, or local part list called \"n\" exists\n" },
    { "MAC",          "macro", true, false, "MAC=a  b\n" },
    { "MAC",          "macro", true, true,  "a  b\n" },
    { "NONE",         "macro", true, false, "macro NONE not found\n" },
    { "router_list",  NULL, true,  false, "r\n" },
    { "transport_list", NULL, true, false, "" },
    { "x",            "router", true, false, "router x not found\n" },
    { "r",            "router", false, false,
      "condition = \ndriver = fake\nflag\nheaders_add = \nheaders_remove = \nmore\nnumber = 7\n"
      "set = \ntext = \nuser = \ndata = <value not displayable>\nmode = 0600\nsecret = 3\n" },
    { "routers",      NULL, true, true,
      "\nr router:\n\nfake\nflag\n\n\nmore\n7\n\n\n\nd\n0600\n3\n" },
    { "config",       NULL, false, false,
      "# Exim Configuration (4.89)\n# 1 \"test\"\nexim_user = root\nexim_group = root\n"
      "hide bi_command = <value not displayable>\nMAC = <value not displayable>\n"
      "syslog_processname = \"q   r\"\nhide domainlist d = <value not displayable>\nhostlist h = y\n"
      "no_queue_only\n\nbegin acl\n\n  chk:\n    accept hosts = :\n    deny\n\nbegin routers\n\n  r:\n"
      "    driver = fake\n    hide data = <value not displayable>\n\nbegin retry\n  * * F\n" },
    { "config",       NULL, true, true,
      "# Exim Configuration (4.89)\n# 1 \"test\"\nexim_user = root\nexim_group = root\n"
      "hide bi_command = secret\nMAC = a b\nsyslog_processname = \"q   r\"\nhide domainlist d = x\n"
      "hostlist h = y\nno_queue_only\nbegin acl\nchk:\naccept hosts = :\ndeny\nbegin routers\nr:\n"
      "driver = fake\nhide data = d\nbegin retry\n* * F\n" },
};
/* clang-format on */

static void settings_are_printed_as_exim_does(void **state)
{
    struct arena *a = *state;
    struct err err;
    const struct config *c = read_text(a, config_text, &err);

    if (c == NULL)
        fail_msg("%s", err.msg);
    for (size_t i = 0; i < ARRAY_LEN(prints); i++)
        CHECK_STR(prints[i].what, printed(a, c, &prints[i]), prints[i].want);
    const struct print macros = { .what = "macros", .admin = true }, denied = { .what = "macros" };
    const struct print all = { .what = "all", .admin = true };

    assert_non_null(strstr(printed(a, c, &macros), "\n_HAVE_TLS=y\n"));
    assert_string_equal(printed(a, c, &denied), "");
    assert_non_null(strstr(printed(a, c, &all), "\nno_queue_only\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(options_hold_what_the_file_says),
        UNIT_TEST(errors_say_where_and_what),
        UNIT_TEST(drivers_have_generic_and_private_options),
        UNIT_TEST(sections_come_in_any_order),
        UNIT_TEST(named_lists_may_be_used_before_they_are_defined),
        UNIT_TEST(macros_of_the_command_line_win),
        UNIT_TEST(files_are_included),
        UNIT_TEST(files_of_strangers_are_refused),
        UNIT_TEST(a_macro_that_doubles_is_stopped),
        UNIT_TEST(settings_are_printed_as_exim_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
