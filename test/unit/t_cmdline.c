/* link: base parse parse_text regex config readconf cmd/parse cmd/parse_calls cmd/flags */
#include "cmd/cmd.h"

#include <unistd.h>

#include "base/buf.h"
#include "cmd/parse_int.h"
#include "config/config.h"
#include "exim.h"
#include "unit.h"

/* The modes: only their names count here. */
#define MODE_STUB(n)                                   \
    int n(struct exim *e, const struct cmd_line *c)    \
    {                                                  \
        (void)e;                                       \
        (void)c;                                       \
        return 0;                                      \
    }
MODE_STUB(cmd_bt)
MODE_STUB(cmd_btls)
MODE_STUB(cmd_bv)
MODE_STUB(cmd_be)
MODE_STUB(cmd_bh)
MODE_STUB(cmd_bp_queue)
MODE_STUB(cmd_bI_proxy)
MODE_STUB(cmd_bP)
MODE_STUB(cmd_bV)
MODE_STUB(cmd_bd)
MODE_STUB(cmd_bs)
MODE_STUB(cmd_bm)
MODE_STUB(cmd_bi)
MODE_STUB(cmd_brt)
MODE_STUB(cmd_brw)
MODE_STUB(cmd_M)
MODE_STUB(cmd_Mop)
MODE_STUB(cmd_q)
MODE_STUB(cmd_z)

static void say(struct buf *b, const char *name, const char *value)
{
    if (value != NULL)
        buf_printf(b, " %s=%s", name, value);
}

static void say_if(struct buf *b, bool on, const char *name)
{
    if (on)
        buf_printf(b, " %s", name);
}

static void say_queue(struct buf *b, const struct queue_run_options *q)
{
    say_if(b, q->two_stage, "two-stage");
    say_if(b, q->first_only, "first-only");
    say_if(b, q->force, "force");
    say_if(b, q->force_frozen, "force-frozen");
    say_if(b, q->local_only, "local-only");
    say(b, q->recipient_regex ? "R-regex" : "R", q->recipient_text);
    say(b, q->sender_regex ? "S-regex" : "S", q->sender_text);
    say(b, "from", q->start_id);
    say(b, "to", q->stop_id);
}

/* Everything that was said, in words. */
static const char *describe(struct arena *a, const struct cmd_line *c)
{
    struct buf b = buf_init(a, 10000);

    buf_add_cstr(&b, c->mode->name);
    say(&b, "arg", c->mode_arg);
    say_if(&b, c->daemon.listen, "listen");
    say_if(&b, c->daemon.foreground, "foreground");
    say_if(&b, c->daemon.tls_on_connect, "tls");
    if (c->daemon.queue_interval != 0)
        buf_printf(&b, " interval=%ld", c->daemon.queue_interval);
    say(&b, "oX", c->daemon.oX);
    say(&b, "oP", c->daemon.oP);
    say_queue(&b, &c->queue);
    say(&b, "C", c->config_files);
    for (const struct readconf_macro *m = c->macros; m != NULL; m = m->next)
        buf_printf(&b, " D%s=%s", m->name, m->value);
    say(&b, "f", c->sender);
    say(&b, "F", c->sender_name);
    say_if(&b, c->extract_recipients, "t");
    say_if(&b, !c->receive.dot_ends, "i");
    say_if(&b, c->receive.background, "odb");
    say_if(&b, c->receive.foreground, "odf");
    say_if(&b, c->receive.queue_only, "odq");
    say_if(&b, c->receive.queue_smtp, "odqs");
    say_if(&b, c->receive.error_stderr, "oep");
    say_if(&b, c->receive.error_exit2, "oee");
    say_if(&b, c->receive.no_delivery, "N");
    if (c->receive.receive_timeout != 0)
        buf_printf(&b, " or=%ld", c->receive.receive_timeout);
    if (c->receive.smtp_timeout != 0)
        buf_printf(&b, " os=%ld", c->receive.smtp_timeout);
    if (c->connection_max_messages != 0)
        buf_printf(&b, " oB=%ld", c->connection_max_messages);
    say_if(&b, c->no_labels, "n");
    say_if(&b, c->verbose, "v");
    say_if(&b, c->debug_set, "d");
    say_if(&b, c->no_qualify, "bnq");
    say_if(&b, c->suppress_fixups, "G");
    const struct { const char *name, *value; } texts[] = {
        { "oMa", c->oMa }, { "oMaa", c->oMaa }, { "oMai", c->oMai }, { "oMas", c->oMas },
        { "oMi", c->oMi }, { "oMm", c->oMm }, { "oMr", c->oMr }, { "oMs", c->oMs }, { "oMt", c->oMt },
        { "oA", c->oA }, { "bem", c->be_message }, { "Mset", c->be_id }, { "L", c->log_tag }, { "z", c->log_text }, { "ret", c->dsn_ret },
        { "envid", c->dsn_envid }, { "notify", c->dsn_notify },
    };

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        say(&b, texts[i].name, texts[i].value);
    for (int i = 0; i < c->nargs; i++)
        buf_printf(&b, " '%s'", c->args[i]);
    return buf_cstr(&b);
}

/* Splits at blanks; an argument may be in single quotes. */
static int split(struct arena *a, const char *text, char **argv)
{
    int n = 0;

    for (const char *s = text; *s != '\0';) {
        bool quoted = *s == '\'';
        const char *end = strchr(s + quoted, quoted ? '\'' : ' ');
        size_t len = end == NULL ? strlen(s) : (size_t)(end - s - quoted);

        argv[n++] = arena_strndup(a, s + quoted, len);
        s = end == NULL ? s + len : end + 1;
        if (quoted && *s == ' ')
            s++;
    }
    argv[n] = NULL;
    return n;
}

/* What cmd_parse wrote to one of the standard streams. */
struct capture {
    FILE *real;
    char *text;
    size_t n;
};

static bool parse_line(struct arena *a, const char *line, struct cmd_line *c, const char **out,
                       const char **err, int *status)
{
    struct exim e = { .arena = a };
    struct capture o = { .real = stdout }, r = { .real = stderr };
    char **argv = arena_new_array(a, char *, 32);
    int argc = split(a, line, argv);

    stdout = open_memstream(&o.text, &o.n);
    stderr = open_memstream(&r.text, &r.n);
    bool ok = cmd_parse(&e, argc, argv, c, status);

    fclose(stdout);
    fclose(stderr);
    stdout = o.real;
    stderr = r.real;
    *out = arena_strdup(a, o.text);
    *err = arena_strdup(a, r.text);
    free(o.text);
    free(r.text);
    return ok;
}

#define ID "1VdNti-0001OY-1V"
/* clang-format off */
static const struct { const char *line, *want; } accepted[] = {
    { "exim a@b",                     "bm 'a@b'" },
    { "exim -bm a@b c",               "bm 'a@b' 'c'" },
    { "/usr/sbin/sendmail -i -t",     "bm t i" },
    { "exim -ti",                     "bm t i" },
    { "exim -oi -t -f x@y",           "bm f=x@y t i" },
    { "exim -f '' a",                 "bm f= 'a'" },
    { "exim -f '<>' a",               "bm f= 'a'" },
    { "exim -fx@y a",                 "bm f=x@y 'a'" },
    { "exim -r x@y a",                "bm f=x@y 'a'" },
    { "exim -F 'A B' -FC a",          "bm F=C 'a'" },
    { "exim -t -- -a",                "bm t '-a'" },
    { "exim a -t",                    "bm 'a' '-t'" },
    { "exim -bd",                     "bd listen" },
    { "exim -bdf",                    "bdf listen foreground" },
    { "exim -bd -v",                  "bd listen foreground v" },
    { "exim -bd -q30m",               "bd listen interval=1800" },
    { "exim -q1h -bd -oX 25 -oP /x",  "bd listen interval=3600 oX=25 oP=/x" },
    { "exim -q1h",                    "bd interval=3600" },
    { "exim -qqf1h -tls-on-connect",  "bd tls interval=3600 two-stage force" },
    { "exim -q",                      "q" },
    { "exim -qff",                    "q force force-frozen" },
    { "exim -qqiffl",                 "q two-stage first-only force force-frozen local-only" },
    { "exim -ql " ID,                 "q local-only from=" ID " '" ID "'" },
    { "exim -q " ID " " ID,           "q from=" ID " to=" ID " '" ID "' '" ID "'" },
    { "exim -R x",                    "q R=x" },
    { "exim -Rx",                     "q R=x" },
    { "exim -Rff x",                  "q force force-frozen R=x" },
    { "exim -Rfx",                    "q R=fx" },
    { "exim -Rrf x -S y",             "q force R-regex=x S=y" },
    { "exim -qSr y",                  "q S-regex=y" },
    { "exim -q5m -R x",               "bd interval=300 R=x" },
    { "exim -bs -oMa 1.2.3.4.25",     "bs oMa=1.2.3.4.25" },
    { "exim -bs -oMa [1.2.3.4]:25 -oMi ::1", "bs oMa=[1.2.3.4]:25 oMi=::1" },
    { "exim -bs a",                   "bs 'a'" },
    { "exim -bS",                     "bS" },
    { "exim -bh 10.9.8.7.1234 -oMt i -oMs h -oMr p -oMaa a -oMai b -oMas c",
      "bh arg=10.9.8.7.1234 oMaa=a oMai=b oMas=c oMr=p oMs=h oMt=i" },
    { "exim -bhc fe80::a00:20ff:fe86:a061.5678", "bhc arg=fe80::a00:20ff:fe86:a061.5678" },
    { "exim -oMm " ID " -bs",         "bs oMm=" ID },
    { "exim -pesmtp:h a",             "bm oMr=esmtp oMs=h 'a'" },
    { "exim -pesmtp a",               "bm oMr=esmtp 'a'" },
    { "exim -bt a@b",                 "bt 'a@b'" },
    { "exim -bv",                     "bv" },
    { "exim -bvs x",                  "bvs 'x'" },
    { "exim -be '$x' y",              "be '$x' 'y'" },
    { "exim -bem /m x",               "bem bem=/m 'x'" },
    { "exim -be -Mset " ID " x",      "be Mset=" ID " 'x'" },
    { "exim -Mset " ID " -be",        "be Mset=" ID },
    { "exim -oB a",                   "bm oB=1 'a'" },
    { "exim -oB 3 a",                 "bm oB=3 'a'" },
    { "exim -oB3 a",                  "bm oB=3 'a'" },
    { "exim -bP -n queue_only",       "bP n 'queue_only'" },
    { "exim -bV",                     "bV" },
    { "exim --version",               "bV" },
    { "exim -bV -bd",                 "bV" },
    { "exim -bd -bV",                 "bV listen" },
    { "exim -bp",                     "bp" },
    { "exim -bpru x",                 "bpru 'x'" },
    { "exim -M " ID,                  "M '" ID "'" },
    { "exim -Mrm " ID " " ID,         "Mrm '" ID "' '" ID "'" },
    { "exim -Mes " ID " a@b",         "Mes '" ID "' 'a@b'" },
    { "exim -Mar " ID " a b",         "Mar '" ID "' 'a' 'b'" },
    { "exim -v -Mvh " ID,             "Mvh v '" ID "'" },
    { "exim -odq -oee a",             "bm odq oee 'a'" },
    { "exim -odf -odb a",             "bm odb 'a'" },
    { "exim -odi -odqs -ep a",        "bm odf odqs oep 'a'" },
    { "exim -oeq -oem a",             "bm 'a'" },
    { "exim -or 5m -os10s a",         "bm or=300 os=10 'a'" },
    { "exim -or 0s a",                "bm or=-1 'a'" },
    { "exim -N a",                    "bm N v 'a'" },
    { "exim -d a",                    "bm v d 'a'" },
    { "exim -dd-all+acl a",           "bm v d 'a'" },
    { "exim -C /x:/y -DA=1 -DBC '-D E = f g' -bV", "bV C=/x:/y DA=1 DBC= DE=f g" },
    { "exim -L tag a",                "bm L=tag 'a'" },
    { "exim -z 'a b'",                "z z=a b" },
    { "exim -G -bnq a",               "bm bnq G 'a'" },
    { "exim -bi -oA /a",              "bi oA=/a" },
    { "exim -brt a b",                "brt 'a' 'b'" },
    { "exim -brw a",                  "brw 'a'" },
    /* for compatibility */
    { "exim -Ac -Am -B8BITMIME -Exx -h 5 -h5 -m -om -oo -O x -Oy -U -x -X /f -dropcr -oitrue a", "bm i 'a'" },
    { "exim -n -ov a",                "bm n v 'a'" },
#ifdef EXPERIMENTAL_DSN
    { "exim --dsn-ret=hdrs --dsn-envid=a+2Bb --dsn-notify=SUCCESS,delay a",
      "bm ret=hdrs envid=a+2Bb notify=SUCCESS,delay 'a'" },
    { "exim --dsn-notify=NEVER a",    "bm notify=NEVER 'a'" },
#endif
    /* by program name */
    { "mailq",                        "bp" },
    { "/usr/bin/mailq -v",            "bp v" },
    { "newaliases",                   "bi" },
    { "runq",                         "q" },
    { "rsmtp",                        "bS" },
    { "rmail a",                      "bm i oee 'a'" },
};

#define UNKNOWN(x) "exim abandoned: unknown, malformed, or incomplete option " x "\n"
#define CLASH "exim: incompatible command-line options or arguments\n"
static const struct { const char *line, *want; } refused[] = {
    { "exim",                  NULL },
    { "exim --help",           NULL },
    { "exim -v",               NULL },
    { "exim -bm",              NULL },
    { "exim --foo",            UNKNOWN("--foo") },
    { "exim -y",               UNKNOWN("-y") },
    { "exim -",                UNKNOWN("-") },
    { "exim -bX",              UNKNOWN("-bX") },
    { "exim -bdx",             UNKNOWN("-bdx") },
    { "exim -bpz",             UNKNOWN("-bpz") },
    { "exim -Mzz " ID,         UNKNOWN("-Mzz") },
    { "exim -iX",              UNKNOWN("-iX") },
    { "exim -vv",              UNKNOWN("-vv") },
    { "exim -oixx",            UNKNOWN("-oixx") },
    { "exim -oMaX 3",          UNKNOWN("-oMaX") },
    { "exim -oMq x",           UNKNOWN("-oMq") },
    { "exim -odz",             UNKNOWN("-odz") },
    { "exim -oez",             UNKNOWN("-oez") },
    { "exim -ex",              UNKNOWN("-ex") },
    { "exim -bh",              UNKNOWN("-bh") },
    { "exim -bem",             UNKNOWN("-bem") },
    { "exim -C",               UNKNOWN("-C") },
    { "exim -F",               UNKNOWN("-F") },
    { "exim -f",               UNKNOWN("-f") },
    { "exim -L",               UNKNOWN("-L") },
    { "exim -h",               UNKNOWN("-h") },
    { "exim -p",               UNKNOWN("-p") },
    { "exim -DA-B=2",          UNKNOWN("-DA-B=2") },
    { "exim -Dfoo=1",          "exim: macro name set by -D must start with an upper case letter\n" },
    { "exim -D",               "exim: macro name set by -D must start with an upper case letter\n" },
    { "exim -DX=1 -DX=2",      "exim: duplicated -D in command line\n" },
    { "exim -X",               "exim: string expected after -X\n" },
    { "exim -z",               "exim: file name expected after -z\n" },
    { "exim -bf /f", "exim: option -bf is not built into this binary yet: Exim and Sieve filters\n" },
    { "exim -oA",              "exim: string expected after -oA\n" },
    { "exim -R",               "exim: string expected after -R\n" },
    { "exim -qSf",             "exim: string expected after -S\n" },
    { "exim -bd -bs",          CLASH },
    { "exim -bt -bs",          CLASH },
    { "exim -bd a@b",          CLASH },
    { "exim -bd -t",           CLASH },
    { "exim -q1h x",           CLASH },
    { "exim -q -bs",           CLASH },
    { "exim -q1h -bs",         CLASH },
    { "exim -bd -q",           CLASH },
    { "exim -q " ID " " ID " " ID, CLASH },
    { "exim -bh 1.2.3",        "exim abandoned: \"1.2.3\" is not an IP address\n" },
    { "exim -bh 1.2.3.4.5x",   "exim abandoned: \"1.2.3.4.5x\" is not an IP address\n" },
    { "exim -bh 1.2.3.4.99999", "exim abandoned: \"1.2.3.4.99999\" is not an IP address\n" },
    { "exim -oMi x",           "exim abandoned: \"x\" is not an IP address\n" },
    { "exim -oMa [1.2.3.4",    "exim abandoned: \"[1.2.3.4\" is not an IP address\n" },
    { "exim -oMm zz",          "-oMm must be a valid message ID\n" },
    { "exim -qx",              "exim: bad time value -qx: abandoned\n" },
    { "exim -q5x",             "exim: bad time value -q5x: abandoned\n" },
    { "exim -qqf0s",           "exim: bad time value -qqf0s: abandoned\n" },
    { "exim -or 5",            "exim: bad time value 5: abandoned\n" },
    { "exim -os",              "exim: bad time value -os: abandoned\n" },
    { "exim -M",               "exim: no message ids given after -M option\n" },
    { "exim -M xxx",           "exim: malformed message id xxx after -M option\n" },
    { "exim -Mset",            "exim: no message ids given after -Mset option\n" },
    { "exim -Mset -be x",      "exim: malformed message id -be after -Mset option\n" },
    { "exim -oBx",             "exim: number expected after -oB\n" },
    { "exim -Mes " ID,         "exim: two arguments expected after -Mes option\n" },
    { "exim -q xxx",           "exim: malformed message id xxx after -q option\n" },
    { "exim -d+foo",           "exim: unknown debug_selector setting: +foo\n" },
    { "exim -dfoo",            "exim: malformed debug_selector setting: + or - expected but found \"foo\"\n" },
    { "exim -qGname", "exim: option -qG is not built into this binary yet: named queues\n" },
    { "exim -bmalware x", "exim: option -bmalware is not built into this binary yet: content scanning\n" },
    { "exim -MCA", "exim: option -MC is not built into this binary yet: Exim's way to call itself, "
                   "which this implementation does not need\n" },
    { "exim -ps a", "exim: option -ps is not built into this binary yet: embedded Perl\n" },
#ifdef EXPERIMENTAL_DSN
    { "exim --dsn-ret=x a",    UNKNOWN("--dsn-ret=x") },
    { "exim --dsn-envid=a+b a", UNKNOWN("--dsn-envid=a+b") },
    { "exim --dsn-notify=NEVER,DELAY a", UNKNOWN("--dsn-notify=NEVER,DELAY") },
    { "exim --dsn-notify= a",  UNKNOWN("--dsn-notify=") },
#else
    { "exim --dsn-ret=full a", UNKNOWN("--dsn-ret=full") },
#endif
};
/* clang-format on */

static void flags_say_what_to_do(void **state)
{
    struct cmd_line c;
    const char *out, *err;
    int status = 0;

    for (size_t i = 0; i < ARRAY_LEN(accepted); i++) {
        if (!parse_line(*state, accepted[i].line, &c, &out, &err, &status))
            fail_msg("%s: %s", accepted[i].line, err);
        CHECK_STR(accepted[i].line, describe(*state, &c), accepted[i].want);
    }
}

static void a_wrong_line_gets_exims_message(void **state)
{
    struct cmd_line c;
    const char *out, *err;

    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        int status = -1;

        CHECK(refused[i].line, !parse_line(*state, refused[i].line, &c, &out, &err, &status));
        CHECK_STR(refused[i].line, err, refused[i].want != NULL ? refused[i].want : parse_about);
        CHECK(refused[i].line, status == EXIT_FAILURE && out[0] == '\0');
    }
}

static void information_is_an_answer(void **state)
{
    struct cmd_line c;
    const char *out, *err;
    int status = -1;

    assert_false(parse_line(*state, "exim -bI:help", &c, &out, &err, &status));
    assert_int_equal(status, EXIT_SUCCESS);
    assert_non_null(strstr(out, "exim -bI:help"));
    assert_false(parse_line(*state, "exim -bI:foo", &c, &out, &err, &status));
    assert_int_equal(status, EXIT_FAILURE);
    assert_non_null(strstr(err, "exim -bI:help"));
}

/* clang-format off */
static const struct { const char *line; bool admin, trusted, prod, list, check, forbidden; } rights[] = {
    { "exim a",          false, false, true,  true,  false, false },
    { "exim -bd",        false, true,  true,  true,  false, true },
    { "exim -bd",        true,  false, true,  true,  false, false },
    { "exim -q",         false, false, true,  true,  false, true },
    { "exim -q",         false, false, false, true,  false, false },
    { "exim -M " ID,     false, false, true,  true,  false, true },
    { "exim -Mf " ID,    false, false, false, true,  false, true },
    { "exim -Mrm " ID,   false, false, true,  true,  false, false },
    { "exim -bp",        false, false, true,  true,  false, true },
    { "exim -bpc",       false, false, true,  false, false, false },
    { "exim -be",        false, false, true,  true,  false, false },
    { "exim -bt a",      false, false, true,  true,  true,  true },
    { "exim -d -bV",     false, false, true,  true,  false, true },
    { "exim -L x a",     false, false, true,  true,  false, true },
    { "exim -z x",       false, false, true,  true,  false, true },
    { "exim -G a",       false, false, true,  true,  false, true },
    { "exim -G a",       false, true,  true,  true,  false, false },
    { "exim -N a",       false, false, true,  true,  false, false },
    { "exim -N -q",      true,  false, true,  true,  false, true },
};
/* clang-format on */

static void some_flags_are_for_administrators(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(rights); i++) {
        struct config cfg = { .exim_uid = 999 };
        struct exim e = { .arena = *state, .config = &cfg, .real_uid = 1000,
                          .admin = rights[i].admin, .trusted = rights[i].trusted };
        const char *out, *err;
        struct cmd_line c;
        int status;

        cfg.main.prod_requires_admin = rights[i].prod;
        cfg.main.queue_list_requires_admin = rights[i].list;
        cfg.main.commandline_checks_require_admin = rights[i].check;
        assert_true(parse_line(*state, rights[i].line, &c, &out, &err, &status));
        CHECK(rights[i].line, (cmd_forbidden(&e, &c) != NULL) == rights[i].forbidden);
    }
}

/* Every flag finds its own row, alone and with what may follow it. */
static void the_table_is_sorted_and_complete(void **state)
{
    const char *rest, *last = "";
    size_t i = 0;

    (void)state;
    for (const struct flag *f; (f = parse_flag_at(i)) != NULL; i++) {
        assert_ptr_equal(parse_find_flag(f->name, &rest), f);
        assert_true(strcmp(last, f->name) < 0);
        last = f->name;
    }
    assert_true(i > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(flags_say_what_to_do),
        UNIT_TEST(a_wrong_line_gets_exims_message),
        UNIT_TEST(information_is_an_answer),
        UNIT_TEST(some_flags_are_for_administrators),
        UNIT_TEST(the_table_is_sorted_and_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
