/* wrap: geteuid getgid getegid getuid getgroups */
/* Which files and macros of a caller keep root's rights, and who is trusted or an admin. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "base/str.h"
#include "cmd/cmd.h"
#include "config/config.h"
#include "exim.h"

#include "unit.h"

/* What a Local/Makefile may build in. */
static char list_file[] = "/tmp/t_startup.XXXXXX";
static const char *prefix = "", *trusted_list = "", *whitelist = "";
#undef ALT_CONFIG_PREFIX
#undef TRUSTED_CONFIG_LIST
#undef WHITELIST_D_MACROS
#undef CONFIGURE_FILE
#define ALT_CONFIG_PREFIX prefix
#define TRUSTED_CONFIG_LIST trusted_list
#define WHITELIST_D_MACROS whitelist
#define CONFIGURE_FILE "/etc/exim.conf"
#define owner_exim fake_owner_exim
#define owner_configure fake_owner_configure
#include "../../src/cmd/startup_config.c"
#undef owner_exim
#undef owner_configure

enum { EXIM = 100, OWNER = 101, USER = 1000 };

bool fake_owner_exim(uid_t *uid, gid_t *gid)
{
    *uid = *gid = EXIM;
    return true;
}

bool fake_owner_configure(uid_t *uid, gid_t *gid)
{
    *uid = *gid = OWNER;
    return true;
}

struct trust {
    const char *files; /* -C; NULL: not given */
    const char *macro; /* NAME=value of -D; NULL: none */
    uid_t uid;
    const char *prefix, *whitelist;
    bool ok, keep_root, system;
};

/* The list names /a/good and, with spaces around, /a/other. */
static const struct trust trusts[] = {
    { NULL, NULL, USER, "", "", true, true, true },
    { "/etc/exim.conf", NULL, USER, "", "", true, true, true },
    { "/a/good", NULL, USER, "", "", true, false, false },
    { "/a/good", NULL, 0, "", "", true, true, false },
    { "/a/bad", NULL, 0, "", "", true, true, false },
    { "/a/good", NULL, EXIM, "", "", true, true, false },
    { "/a/other", NULL, OWNER, "", "", true, true, false },
    { "/a/goo", NULL, EXIM, "", "", true, false, false },
    { "/a/good:/a/other", NULL, EXIM, "", "", true, true, false },
    { "/a/good:/a/bad", NULL, EXIM, "", "", true, false, false },
    { "relative", NULL, EXIM, "", "", true, false, false },
    /* ALT_CONFIG_PREFIX binds root too. */
    { "/a/good", NULL, EXIM, "/b/", "", false, false, false },
    { "/a/good", NULL, 0, "/b/", "", false, false, false },
    { "/a/../b", NULL, 0, "/a/", "", false, false, false },
    { "/a/good:/b/x", NULL, 0, "/a/", "", false, false, false },
    { "/a/good", NULL, EXIM, "/a/", "", true, true, false },
    { "/etc/exim.conf", NULL, USER, "/a/", "", true, true, true },
    /* -D */
    { NULL, "A=1", 0, "", "", true, true, true },
    { NULL, "A=1", USER, "", "A", true, false, true },
    { NULL, "A=1", EXIM, "", "", true, false, true },
    { NULL, "A=1", EXIM, "", "B:A", true, true, true },
    { NULL, "AA=1", EXIM, "", "B:A", true, false, true },
    { NULL, "A=/a/b-c_d.e", EXIM, "", "A", true, true, true },
    { NULL, "A=", EXIM, "", "A", true, true, true },
    { NULL, "A=${run{x}}", EXIM, "", "A", true, false, true },
    { NULL, "A=a b", OWNER, "", "A", true, false, true },
    { "/a/good", "A=1", EXIM, "", "A", true, true, false },
    { "/a/bad", "A=1", EXIM, "", "A", true, false, false },
};

static void files_and_macros_of_strangers_cost_the_rights(void **state)
{
    struct arena *a = *state;
    int fd = mkstemp(list_file);

    assert_true(fd >= 0 && fd_write_all(fd, "/a/good\n  /a/other \nrelative\n", 28));
    assert_int_equal(fd_close(fd), 0);
    trusted_list = list_file;
    for (size_t i = 0; i < ARRAY_LEN(trusts); i++) {
        const struct trust *t = &trusts[i];
        const char *is = t->macro == NULL ? "" : strchr(t->macro, '=');
        struct readconf_macro m = { 0 };
        struct exim e = { .arena = a, .real_uid = t->uid, .privileged = true };
        struct err err = { 0 };
        bool keep, system;

        if (t->macro != NULL) {
            m.name = arena_strndup(a, t->macro, (size_t)(is - t->macro));
            m.value = is + 1;
        }
        const struct cmd_line c = { .config_files = t->files, .macros = t->macro == NULL ? NULL : &m };
        prefix = t->prefix;
        whitelist = t->whitelist;
        if (startup_config_trusted(&e, &c, &keep, &system, &err) != t->ok)
            fail_msg("row %zu: %s", i, t->ok ? err.msg : "allowed");
        if (t->ok && (keep != t->keep_root || system != t->system))
            fail_msg("row %zu: keeps root %d, system %d", i, keep, system);
        if (!t->ok)
            assert_string_equal(err.msg, "-C Permission denied");
    }
    assert_int_equal(unlink(list_file), 0);
    trusted_list = list_file; /* it is gone: nothing is trusted */
    prefix = whitelist = "";
    struct exim e = { .arena = a, .real_uid = EXIM, .privileged = true };
    const struct cmd_line c = { .config_files = "/a/good" };
    bool keep, system;
    assert_true(startup_config_trusted(&e, &c, &keep, &system, &(struct err){ 0 }));
    assert_false(keep);
}

/* ---- the caller ---- */

static uid_t euid, uid;
static gid_t egid, gid, groups[4];
static int group_count;

uid_t __wrap_geteuid(void);
uid_t __wrap_getuid(void);
gid_t __wrap_getegid(void);
gid_t __wrap_getgid(void);
int __wrap_getgroups(int n, gid_t *out);

uid_t __wrap_geteuid(void)
{
    return euid;
}

uid_t __wrap_getuid(void)
{
    return uid;
}

gid_t __wrap_getegid(void)
{
    return egid;
}

gid_t __wrap_getgid(void)
{
    return gid;
}

int __wrap_getgroups(int n, gid_t *out)
{
    assert_true(n >= group_count);
    memcpy(out, groups, (size_t)group_count * sizeof(*out));
    return group_count;
}

struct caller {
    uid_t euid, uid;
    gid_t gid, group; /* group: a supplementary one, or 0 */
    bool trusted, admin;
};
enum { TRUSTED_USER = 2000, TRUSTED_GROUP = 3000, ADMIN_GROUP = 4000, PLAIN = 50 };

static const struct caller callers[] = {
    { 0, 0, 0, 0, true, true },
    { 0, EXIM, PLAIN, 0, true, true },
    { 0, USER, PLAIN, 0, false, false },
    { 0, USER, EXIM, 0, false, true },
    { 0, USER, PLAIN, EXIM, false, true },
    { 0, TRUSTED_USER, PLAIN, 0, true, false },
    { 0, USER, TRUSTED_GROUP, 0, true, false },
    { 0, USER, PLAIN, TRUSTED_GROUP, true, false },
    { 0, USER, PLAIN, ADMIN_GROUP, false, true },
    { 0, USER, ADMIN_GROUP, TRUSTED_GROUP, true, true },
    { EXIM, USER, PLAIN, 0, false, false }, /* set-uid to exim */
    { USER, USER, PLAIN, 0, true, true },   /* no set-uid program: he can do no more than he could */
};

static void rights_come_from_users_and_groups(void **state)
{
    static const uid_t trusted_users[] = { 1, TRUSTED_USER };
    static const gid_t trusted_groups[] = { TRUSTED_GROUP }, admin_groups[] = { 2, ADMIN_GROUP };
    struct config cfg = { .exim_uid = EXIM, .exim_gid = EXIM, .trusted_users = trusted_users, .trusted_user_count = 2,
                          .trusted_groups = trusted_groups, .trusted_group_count = 1, .admin_groups = admin_groups,
                          .admin_group_count = 2 };
    const struct expr login = { .text = "who", .constant = "who" };

    cfg.main.unknown_login = &login;
    for (size_t i = 0; i < ARRAY_LEN(callers); i++) {
        const struct caller *c = &callers[i];
        struct exim e = { .arena = *state, .config = &cfg, .real_uid = c->uid, .real_gid = c->gid };
        const struct cmd_line line = { .sender_name = "N" };
        struct err err = { 0 };

        euid = c->euid;
        uid = c->uid;
        egid = gid = c->gid;
        groups[0] = c->group;
        group_count = c->group != 0;
        if (!startup_caller(&e, &line, &err))
            fail_msg("row %zu: %s", i, err.msg);
        if (e.trusted != c->trusted || e.admin != c->admin)
            fail_msg("row %zu: trusted %d, admin %d", i, e.trusted, e.admin);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        UNIT_TEST(files_and_macros_of_strangers_cost_the_rights),
        UNIT_TEST(rights_come_from_users_and_groups),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
