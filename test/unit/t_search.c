#include "search.h"

#include <db.h>

#include "../lib/policy.h"

static const char text[] = "# comment\n"
                           "key1: value one\n"
                           "key2 :  spaced value   \n"
                           "key3 value three\n"
                           "key4:\n   cont one   \n# comment inside\n\n\tcont two\n   # not comment?\n"
                           "key5:x\n \n y\n"
                           "\"quo ted:k\": quoted value\n"
                           "\"esc\\tape\" v\n"
                           "key6:: colon\n"
                           "nokey\n"
                           "Dup: 1\ndup: 2\n"
                           "\"unterminated: zz\n"
                           "*.com: starcom\n"
                           "*: default\n"
                           "*@d.ex: atdef\n"
                           ".dotdef: dd\n"
                           "\"q\"x: tail\n"
                           "a.b.com x";

/* clang-format off */
static const struct {
    const char *type, *key, *want; /* want NULL: not found */
    const char *wild, *fixed;      /* captures of partial and default matches */
} cases[] = {
    { "lsearch", "key1", "value one", NULL, NULL },
    { "lsearch", "key2", "spaced value", NULL, NULL },
    { "lsearch", "key3", "value three", NULL, NULL },
    { "lsearch", "key4", " cont one cont two # not comment?", NULL, NULL },
    { "lsearch", "key5", "x y", NULL, NULL },
    { "lsearch", "quo ted:k", "quoted value", NULL, NULL },
    { "lsearch,ret=full", "quo ted:k", "quo ted:k: quoted value", NULL, NULL },
    { "lsearch,ret=key", "KEY1", "KEY1", NULL, NULL },
    { "lsearch", "esc\tape", "v", NULL, NULL },
    { "lsearch", "key6", ": colon", NULL, NULL },
    { "lsearch", "nokey", "", NULL, NULL },
    { "lsearch", "DUP", "1", NULL, NULL },
    { "lsearch", "unterminated: zz", "", NULL, NULL },
    { "lsearch", "q", "x: tail", NULL, NULL },
    { "lsearch", "a.b.com", "x", NULL, NULL },
    { "lsearch", "", NULL, NULL, NULL },
    { "lsearch", "nope", NULL, NULL, NULL },
    { "lsearch*", "", "default", "", "" },
    { "lsearch*", "nope", "default", "nope", "" },
    { "lsearch*@", "u@d.ex", "atdef", "u", "" },
    { "lsearch*@", "u@z.ex", "default", "u@z.ex", "" },
    { "partial-lsearch", "com", "starcom", "", "com" },
    { "partial-lsearch", "x.y.com", NULL, NULL, NULL },
    { "partial1-lsearch", "x.y.com", "starcom", "x.y", "com" },
    { "partial0-lsearch", "x.y.org", "default", "x.y.org", "" },
    { "partial0(.)lsearch", "x.dotdef", "dd", "x", "dotdef" },
    { "partial1(.)lsearch", "dotdef", "dd", "", "dotdef" },
    { "partial1()lsearch", "q.a.b.com", "x", "q", "a.b.com" },
    { "partial1()lsearch", "a.b.com", "x", "", "a.b.com" },
};

static const struct { const char *type, *why; } bad_types[] = {
    { "nosuch", "unknown lookup type \"nosuch\"" },
    { "partial", "format error in lookup type \"partial\"" },
    { "partialx-lsearch", "format error in lookup type \"partialx-lsearch\"" },
    { "partial(a)lsearch", "format error in lookup type \"partial(a)lsearch\"" },
    { "partial(.lsearch", "format error in lookup type \"partial(.lsearch\"" },
    { "partial-passwd", "\"partial\" is not permitted for lookup type \"passwd\"" },
    { "passwd*", "defaults using \"*\" or \"*@\" are not permitted for lookup type \"passwd\"" },
};
/* clang-format on */

static enum rc find(struct policy *p, const char *type_text, const char *file, const char *key,
                    const char **out, const char *captured[2])
{
    struct search_type type;
    struct err err = { 0 };

    if (!search_type_parse(p->a, type_text, &type, &err))
        fail_msg("%s: %s", type_text, err.msg);
    *out = NULL;
    return search_find(&p->ctx, &type, file, key, out, captured);
}

static void finds_what_exim_finds(void **state)
{
    struct policy p;

    policy_open(&p, *state, "");
    policy_write(&p, "f", text);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *got, *captured[2];
        enum rc rc = find(&p, cases[i].type, policy_path(&p, "f"), cases[i].key, &got, captured);

        if (rc != (cases[i].want == NULL ? RC_FAIL : RC_OK) ||
            (rc == RC_OK && strcmp(got, cases[i].want) != 0))
            fail_msg("%s %s: got %s", cases[i].type, cases[i].key, got == NULL ? "nothing" : got);
        if (cases[i].wild != NULL && (captured[0] == NULL || strcmp(captured[0], cases[i].wild) != 0 ||
                                      strcmp(captured[1], cases[i].fixed) != 0))
            fail_msg("%s %s: captured %s, %s", cases[i].type, cases[i].key, captured[0], captured[1]);
    }
    policy_close(&p);
}

static void refuses_types_that_are_none(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(bad_types); i++) {
        struct search_type t;
        struct err err = { 0 };

        assert_false(search_type_parse(*state, bad_types[i].type, &t, &err));
        assert_string_equal(err.msg, bad_types[i].why);
    }
}

/* Longer than what is read for an entry at a time. */
static const char *long_text(struct arena *a, char c)
{
    char *out = arena_alloc(a, 1, 3001);

    memset(out, c, 3000);
    return out;
}

static const char *large_file(struct policy *p, int keys, const char *suffix)
{
    struct buf b = buf_init(p->a, 8 << 20);

    for (int i = 0; i < keys; i++)
        buf_printf(&b, "user%d: data%d%s\n   more\n", i, i, suffix);
    buf_add_cstr(&b, "USER7: second\n\"quoted 1\": q\n");
    buf_printf(&b, "%s: %s\n   %s\n", long_text(p->a, 'k'), long_text(p->a, 'd'), long_text(p->a, 'm'));
    return buf_cstr(&b);
}

/* The second look makes an index; the answers stay those of a scan, also when the file changes. */
static void an_index_gives_the_same_answers(void **state)
{
    struct policy p;
    const char *got;

    policy_open(&p, *state, "");
    const char *file = policy_path(&p, "big");
    policy_write(&p, "big", large_file(&p, 5000, ""));
    for (int round = 0; round < 4; round++) {
        search_tidy(p.x.search);
        assert_int_equal(find(&p, "lsearch", file, "User7", &got, NULL), RC_OK);
        assert_string_equal(got, "data7 more");
        assert_int_equal(find(&p, "lsearch", file, "user4999", &got, NULL), RC_OK);
        assert_string_equal(got, "data4999 more");
        assert_int_equal(find(&p, "lsearch", file, "quoted 1", &got, NULL), RC_OK);
        assert_int_equal(find(&p, "lsearch", file, long_text(p.a, 'K'), &got, NULL), RC_OK);
        assert_string_equal(got, arena_printf(p.a, "%s %s", long_text(p.a, 'd'), long_text(p.a, 'm')));
        assert_int_equal(find(&p, "lsearch", file, "user5000", &got, NULL), RC_FAIL);
    }
    policy_write(&p, "big", large_file(&p, 6000, "x"));
    search_tidy(p.x.search);
    assert_int_equal(find(&p, "lsearch", file, "user5000", &got, NULL), RC_OK);
    assert_string_equal(got, "data5000x more");
    policy_close(&p);
}

static void answers_are_kept_until_tidied(void **state)
{
    struct policy p;
    const char *got;

    policy_open(&p, *state, "lookup_open_max = 2\n");
    for (int i = 0; i < 5; i++) /* more files than may be open */
        policy_write(&p, arena_printf(p.a, "f%d", i), arena_printf(p.a, "k: v%d\n", i));
    for (int i = 0; i < 5; i++)
        assert_int_equal(find(&p, "lsearch", policy_path(&p, arena_printf(p.a, "f%d", i)), "k", &got, NULL), RC_OK);
    policy_write(&p, "f0", "k: new\n");
    assert_int_equal(find(&p, "lsearch", policy_path(&p, "f0"), "k", &got, NULL), RC_OK);
    assert_string_equal(got, "v0");
    assert_int_equal(find(&p, "lsearch,cache=no_rd", policy_path(&p, "f0"), "k", &got, NULL), RC_OK);
    assert_string_equal(got, "new");
    search_tidy(p.x.search);
    assert_int_equal(find(&p, "lsearch", policy_path(&p, "f0"), "k", &got, NULL), RC_OK);
    assert_string_equal(got, "new");
    policy_close(&p);
}

static void trouble_is_deferred_and_says_why(void **state)
{
    struct policy p;
    const char *got;

    policy_open(&p, *state, "");
    assert_int_equal(find(&p, "lsearch", "/nonexistent", "k", &got, NULL), RC_DEFER);
    assert_string_equal(p.ctx.err.msg, "failed to open /nonexistent for linear search: No such file or directory");
    assert_int_equal(find(&p, "lsearch", "/tmp", "k", &got, NULL), RC_DEFER);
    assert_string_equal(p.ctx.err.msg, "/tmp is not a regular file (lsearch lookup)");
    assert_int_equal(find(&p, "dsearch", p.dir, "a/b", &got, NULL), RC_DEFER);
    policy_write(&p, "f", text);
    assert_int_equal(find(&p, "iplsearch", policy_path(&p, "f"), "abc", &got, NULL), RC_DEFER);
    p.ctx.forbid = FORBID_LOOKUP;
    assert_int_equal(find(&p, "lsearch", policy_path(&p, "f"), "key1", &got, NULL), RC_DEFER);
    policy_close(&p);
}

static void nets_are_searched_in_order(void **state)
{
    struct policy p;
    const char *got;

    policy_open(&p, *state, "");
    policy_write(&p, "ips", "10.0.0.1: exact\n10.0.0.0/24 masked\n10.0.0.0/8: ip8\n\"::1\": six\n\"2001:db8::/32\" net six\n");
    static const struct { const char *key, *want; } rows[] = {
        { "10.0.0.1", "exact" }, { "10.0.0.9", "masked" }, { "10.9.0.9", "ip8" }, { "::1", "six" },
        { "2001:db8::5", "net six" }, { "::ffff:10.0.0.1", "exact" }, { "11.0.0.1", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum rc rc = find(&p, "iplsearch", policy_path(&p, "ips"), rows[i].key, &got, NULL);

        assert_int_equal(rc, rows[i].want == NULL ? RC_FAIL : RC_OK);
        if (rc == RC_OK)
            assert_string_equal(got, rows[i].want);
    }
    policy_close(&p);
}

static void directories_are_searched(void **state)
{
    struct policy p;
    const char *got;

    policy_open(&p, *state, "");
    policy_write(&p, "file", "");
    assert_int_equal(mkdir(policy_path(&p, "sub"), 0700), 0);
    assert_int_equal(find(&p, "dsearch", p.dir, "file", &got, NULL), RC_OK);
    assert_string_equal(got, "file");
    assert_int_equal(find(&p, "dsearch,ret=full", p.dir, "file", &got, NULL), RC_OK);
    assert_string_equal(got, policy_path(&p, "file"));
    assert_int_equal(find(&p, "dsearch,filter=dir", p.dir, "file", &got, NULL), RC_FAIL);
    assert_int_equal(find(&p, "dsearch,filter=subdir", p.dir, "sub", &got, NULL), RC_OK);
    assert_int_equal(find(&p, "dsearch,filter=subdir", p.dir, "..", &got, NULL), RC_FAIL);
    assert_int_equal(find(&p, "dsearch", p.dir, "none", &got, NULL), RC_FAIL);
    policy_close(&p);
}

static void wild_keys(void **state)
{
    struct policy p;
    const char *got;

    policy_open(&p, *state, "");
    policy_write(&p, "w", "*bc.com: star\n^\\Nz+\\d\\N: re\n^z+\\d: re2\n$primary_hostname: expanded\n!x: not x\n");
    assert_int_equal(find(&p, "wildlsearch", policy_path(&p, "w"), "ABC.com", &got, NULL), RC_OK);
    assert_string_equal(got, "star");
    assert_int_equal(find(&p, "wildlsearch", policy_path(&p, "w"), "zz1", &got, NULL), RC_OK);
    assert_string_equal(got, "re");
    assert_int_equal(find(&p, "nwildlsearch", policy_path(&p, "w"), "zz1", &got, NULL), RC_OK);
    assert_string_equal(got, "re2");
    assert_int_equal(find(&p, "wildlsearch", policy_path(&p, "w"), "host.test", &got, NULL), RC_OK);
    assert_string_equal(got, "expanded");
    assert_int_equal(find(&p, "nwildlsearch", policy_path(&p, "w"), "x", &got, NULL), RC_FAIL);
    policy_close(&p);
}

static void put(DB *db, const char *key, size_t klen, const char *data, size_t dlen)
{
    DBT k, d;

    memset(&k, 0, sizeof(k));
    memset(&d, 0, sizeof(d));
    k.data = (void *)(uintptr_t)key;
    k.size = (u_int32_t)klen;
    d.data = (void *)(uintptr_t)data;
    d.size = (u_int32_t)dlen;
    assert_int_equal(db->put(db, NULL, &k, &d, 0), 0);
}

static void dbm_with_and_without_nuls(void **state)
{
    struct policy p;
    const char *got;
    DB *db;

    policy_open(&p, *state, "");
    const char *file = policy_path(&p, "db");
    assert_int_equal(db_create(&db, NULL, 0), 0);
    assert_int_equal(db->open(db, NULL, file, NULL, DB_HASH, DB_CREATE, 0600), 0);
    put(db, "k", 2, "with", 5);
    put(db, "k", 1, "without", 7);
    put(db, "a\0b", 3, "joined", 6);
    db->close(db, 0);
    assert_int_equal(find(&p, "dbm", file, "k", &got, NULL), RC_OK);
    assert_string_equal(got, "with");
    assert_int_equal(find(&p, "dbmnz", file, "k", &got, NULL), RC_OK);
    assert_string_equal(got, "without");
    assert_int_equal(find(&p, "dbmjz", file, "a:b", &got, NULL), RC_OK);
    assert_string_equal(got, "joined");
    assert_int_equal(find(&p, "dbm", file, "none", &got, NULL), RC_FAIL);
    policy_write(&p, "junk", "this is no database, but long enough to be looked at");
    assert_int_equal(find(&p, "dbm", policy_path(&p, "junk"), "k", &got, NULL), RC_DEFER);
    policy_close(&p);
}

#ifdef LOOKUP_CDB
static void put32(unsigned char *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (unsigned char)(v >> (8 * i));
}

/* One record, one table with one slot. */
static void write_cdb(struct policy *p, const char *name, uint32_t data_len)
{
    unsigned char f[2048 + 8 + 1 + 4 + 8] = { 0 };
    uint32_t h = (5381u * 33u) ^ 'k', table = 2048 + 13;

    put32(f + h % 256 * 8, table);
    put32(f + h % 256 * 8 + 4, 1);
    put32(f + 2048, 1);
    put32(f + 2052, data_len);
    memcpy(f + 2056, "kdata", 5);
    put32(f + table, h);
    put32(f + table + 4, 2048);
    int fd = open(policy_path(p, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd_write_all(fd, f, sizeof(f)));
    close(fd);
}

static void cdb_is_read_and_not_believed(void **state)
{
    struct policy p;
    const char *got;

    policy_open(&p, *state, "");
    write_cdb(&p, "good", 4);
    assert_int_equal(find(&p, "cdb", policy_path(&p, "good"), "k", &got, NULL), RC_OK);
    assert_string_equal(got, "data");
    assert_int_equal(find(&p, "cdb", policy_path(&p, "good"), "z", &got, NULL), RC_FAIL);
    write_cdb(&p, "bad", 4000);
    assert_int_equal(find(&p, "cdb", policy_path(&p, "bad"), "k", &got, NULL), RC_DEFER);
    policy_write(&p, "short", "x");
    assert_int_equal(find(&p, "cdb", policy_path(&p, "short"), "k", &got, NULL), RC_DEFER);
    policy_close(&p);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(finds_what_exim_finds),
        UNIT_TEST(refuses_types_that_are_none),
        UNIT_TEST(an_index_gives_the_same_answers),
        UNIT_TEST(answers_are_kept_until_tidied),
        UNIT_TEST(trouble_is_deferred_and_says_why),
        UNIT_TEST(nets_are_searched_in_order),
        UNIT_TEST(directories_are_searched),
        UNIT_TEST(wild_keys),
        UNIT_TEST(dbm_with_and_without_nuls),
#ifdef LOOKUP_CDB
        UNIT_TEST(cdb_is_read_and_not_believed),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
