/* wrap: fd_open_unnamed */
#include "transports/appendfile.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <threads.h>
#include <unistd.h>

#include "address.h"
#include "base/fd.h"
#include "base/str.h"
#include "config/config.h"
#include "drtables.h"
#include "exim.h"
#include "expand.h"
#include "message.h"
#include "regex.h"
#include "transports/appendfile_int.h"
#include "unit.h"

/* Where files without a name cannot be had. */
static bool only_named;

int __real_fd_open_unnamed(const char *dir, mode_t mode);
int __wrap_fd_open_unnamed(const char *dir, mode_t mode);

int __wrap_fd_open_unnamed(const char *dir, mode_t mode)
{
    errno = EOPNOTSUPP;
    return only_named ? -1 : __real_fd_open_unnamed(dir, mode);
}

struct fixture {
    struct arena *a;
    struct config cfg;
    struct exim exim;
    struct expand_ctx ctx;
    struct message *m;
    struct address *addr;
    struct appendfile t;
    struct transport_call call;
    const char *dir; /* scratch */
    size_t addresses;
};

static const struct expr *e(struct fixture *f, const char *text)
{
    struct err err = { 0 };
    const struct expr *x = expr_compile(f->a, text, &err);

    assert_non_null(x);
    return x;
}

static struct fixture *begin(struct arena *a)
{
    struct fixture *f = arena_new_obj(a, struct fixture);
    char *dir = arena_strdup(a, "/tmp/t_maildir.XXXXXX");
    FILE *file = tmpfile();
    struct err err = { 0 };

    assert_non_null(mkdtemp(dir));
    fputs("From body\n", file);
    fflush(file);
    f->a = a;
    f->dir = dir;
    f->cfg.primary_hostname = f->cfg.qualify_domain = "h.example";
    f->exim = (struct exim){ .arena = a, .config = &f->cfg, .hooks = &drtables_hooks, .queue_fd = -1 };
    f->m = message_new("test");
    f->m->sender = "s@x.example";
    f->m->body = (struct body){ .fd = dup(fileno(file)), .size = 10 };
    arena_owns_fd(f->m->arena, f->m->body.fd);
    fclose(file);
    header_append(&f->m->headers, f->m->arena, HEADER_OTHER, "Subject: x\n");
    f->addr = address_new(a, "u@q.example");
    expand_ctx_init(&f->ctx, &f->exim, a);
    f->ctx.message = f->m;
    f->ctx.addr = f->addr;
    f->t = (struct appendfile){ .base = { .name = "t", .driver = &transport_appendfile }, .check_owner = true,
                                .create_directory = true, .create_file = "anywhere", .directory_mode = 0700,
                                .mode = 0600, .mode_fail_narrower = true, .quota_is_inclusive = true,
                                .use_fcntl_lock = true, .use_lockfile = true, .maildir_retries = 1,
                                .lock_retries = 1,
                                .maildir_quota_directory_regex = "^(?:cur|new|\\..*)$" };
    f->t.quota_directory_re = regex_compile(a, f->t.maildir_quota_directory_regex, 0, &err);
    f->t.directory_file = e(f, "q$inode");
    f->call = (struct transport_call){ .ctx = &f->ctx, .message = f->m, .addrs = f->addr, .return_path = "r@x.example" };
    return f;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void end(struct fixture *f)
{
    (void)nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    message_free(&f->m);
}

static void next_message(struct fixture *f)
{
    static unsigned n;

    (void)snprintf(f->m->id, sizeof(f->m->id), "1xXL4e-%06u-EM", ++n % 1000000U);
}

static const struct addr_result *deliver(struct fixture *f)
{
    next_message(f);
    f->addr->result = (struct addr_result){ .rc = RC_DECLINE };
    f->addr->submissions = NULL;
    transport_appendfile.deliver(&f->t.base, &f->call);
    return &f->addr->result;
}

static int count(struct fixture *f, const char *sub, const char **last)
{
    DIR *d = opendir(arena_printf(f->a, "%s/%s", f->dir, sub));
    int n = 0;

    assert_non_null(d);
    for (struct dirent *de; (de = readdir(d)) != NULL;)
        if (de->d_name[0] != '.') {
            n++;
            *last = arena_printf(f->a, "%s/%s/%s", f->dir, sub, de->d_name);
        }
    closedir(d);
    return n;
}

static const char *contents(struct fixture *f, const char *path)
{
    struct str s;

    assert_true(file_slurp(f->a, path, 65536, &s));
    return str_dup(f->a, s);
}

static void a_maildir_is_made_and_filled(void **state)
{
    struct fixture *f = begin(*state);
    const char *name = "";

    f->t.maildir_format = true;
    f->t.directory = e(f, arena_printf(f->a, "%s/a/Maildir", f->dir));
    f->t.maildir_tag = e(f, ",S=$message_size");
    assert_int_equal(deliver(f)->rc, RC_OK);
    assert_string_equal(f->addr->result.status, "2.0.0");
    assert_int_equal(count(f, "a/Maildir/new", &name), 1);
    assert_true(cstr_ends(name, ",S=22"));
    assert_string_equal(contents(f, name), "Subject: x\n\nFrom body\n");
    assert_int_equal(count(f, "a/Maildir/tmp", &name), 0);
    assert_int_equal(deliver(f)->rc, RC_OK);
    assert_int_equal(count(f, "a/Maildir/new", &name), 2);
    end(f);
}

/* The first half of a delivery of its own to that Maildir. */
static struct transport_pending *begin_in(struct fixture *f, const char *sub)
{
    struct expand_ctx *ctx = arena_new_obj(f->a, struct expand_ctx);
    struct transport_call *call = arena_new_obj(f->a, struct transport_call);

    f->t.directory = e(f, arena_printf(f->a, "%s/%s", f->dir, sub));
    *ctx = f->ctx;
    *call = f->call;
    call->ctx = ctx;
    call->addrs = address_new(f->a, arena_printf(f->a, "u%zu@q.example", ++f->addresses));
    ctx->addr = call->addrs;
    call->addrs->result.rc = RC_DECLINE;
    struct transport_pending *p = transport_appendfile.begin(&f->t.base, call);
    assert_non_null(p);
    assert_int_equal(call->addrs->result.rc, RC_DECLINE);
    return p;
}

static void finish_together(struct fixture *f)
{
    struct transport_pending *list[4];
    const char *name = "";

    f->t.maildir_format = true;
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        list[i] = begin_in(f, i == 1 ? "broken" : i == 2 ? "other" : "box");
    for (size_t i = 0; i + 1 < ARRAY_LEN(list); i++)
        list[i]->next = list[i + 1];
    assert_int_equal(count(f, "box/tmp", &name), only_named ? 2 : 0);
    assert_int_equal(count(f, "box/new", &name), 0);
    const char *new = arena_printf(f->a, "%s/broken/new", f->dir);
    assert_int_equal(rmdir(new), 0);
    assert_int_equal(symlink("/nowhere/at/all", new), 0);
    transport_appendfile.finish(list[0]);
    assert_int_equal(count(f, "box/new", &name), 2);
    assert_int_equal(count(f, "box/tmp", &name), 0);
    assert_int_equal(count(f, "other/new", &name), 1);
    assert_int_equal(count(f, "broken/tmp", &name), 0);
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        assert_int_equal(list[i]->call->addrs->result.rc, i == 1 ? RC_DEFER : RC_OK);
}

static void deliveries_begun_are_finished_together_and_fail_alone(void **state)
{
    struct fixture *f = begin(*state);

    finish_together(f);
    end(f);
}

static void so_they_are_with_names_in_tmp(void **state)
{
    struct fixture *f = begin(*state);

    only_named = true;
    finish_together(f);
    only_named = false;
    end(f);
}

/* With what a power failure left in new/ of the first time. */
static void deliver_again(struct fixture *f)
{
    const char *name = "";

    f->t.maildir_format = true;
    f->t.directory = e(f, arena_printf(f->a, "%s/d", f->dir));
    f->t.maildir_tag = e(f, ",S=$message_size");
    assert_int_equal(deliver(f)->rc, RC_OK);
    assert_int_equal(count(f, "d/new", &name), 1);
    assert_int_equal(truncate(name, 3), 0);
    assert_int_equal(rmdir(arena_printf(f->a, "%s/d/tmp", f->dir)), 0);
    transport_appendfile.deliver(&f->t.base, &f->call); /* the note of it was lost */
    assert_int_equal(f->addr->result.rc, RC_OK);
    assert_int_equal(count(f, "d/new", &name), 1);
    assert_string_equal(contents(f, name), "Subject: x\n\nFrom body\n");
    assert_int_equal(count(f, "d/tmp", &name), 0);
    f->addr->unique = "other@q.example"; /* another recipient with the same mailbox */
    transport_appendfile.deliver(&f->t.base, &f->call);
    assert_int_equal(count(f, "d/new", &name), 2);
}

static void a_delivery_that_is_done_again_is_one_and_whole(void **state)
{
    struct fixture *f = begin(*state);

    deliver_again(f);
    end(f);
}

static void so_it_is_with_names_in_tmp(void **state)
{
    struct fixture *f = begin(*state);

    only_named = true;
    deliver_again(f);
    only_named = false;
    end(f);
}

static void what_is_missing_of_a_maildir_is_made_when_it_is_missed(void **state)
{
    struct fixture *f = begin(*state);
    static const char *const parts[] = { "tmp", "new", "cur" };
    const char *name = "";

    only_named = true; /* else nobody misses tmp */
    f->t.maildir_format = true;
    f->t.directory = e(f, arena_printf(f->a, "%s/d", f->dir));
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        assert_int_equal(deliver(f)->rc, RC_OK);
        if (i != 1) /* not empty */
            assert_int_equal(rmdir(arena_printf(f->a, "%s/d/%s", f->dir, parts[i])), 0);
        else
            assert_int_equal(rename(arena_printf(f->a, "%s/d/new", f->dir), arena_printf(f->a, "%s/old", f->dir)), 0);
        assert_int_equal(deliver(f)->rc, RC_OK);
        assert_int_equal(count(f, arena_printf(f->a, "d/%s", parts[i]), &name), i == 1);
    }
    f->t.create_directory = false;
    assert_int_equal(rmdir(arena_printf(f->a, "%s/d/cur", f->dir)), 0);
    assert_int_equal(deliver(f)->rc, RC_DEFER);
    only_named = false;
    end(f);
}

static void quotas_are_kept_and_leave_nothing_behind(void **state)
{
    struct fixture *f = begin(*state);
    const char *name = "";

    f->t.maildir_format = true;
    f->t.directory = e(f, arena_printf(f->a, "%s/M", f->dir));
    f->t.quota = e(f, "30");
    assert_int_equal(deliver(f)->rc, RC_OK);
    const struct addr_result *r = deliver(f);
    assert_int_equal(r->rc, RC_DEFER);
    assert_int_equal(r->basic_errno, ERR_EXIMQUOTA);
    assert_string_equal(r->status, "4.2.2");
    assert_int_equal(count(f, "M/tmp", &name), 0);
    assert_int_equal(count(f, "M/new", &name), 1);
    f->t.quota = e(f, "30/no_check");
    assert_int_equal(deliver(f)->rc, RC_OK);
    f->t.quota = e(f, "1K");
    f->t.quota_filecount = e(f, "2");
    assert_int_equal(deliver(f)->rc, RC_DEFER);
    f->t.quota = e(f, "1Kx");
    assert_int_equal(deliver(f)->basic_errno, ERR_UNKNOWNERROR);
    end(f);
}

static void maildirsize_adds_up(void **state)
{
    struct fixture *f = begin(*state);
    const char *path = arena_printf(f->a, "%s/M/maildirsize", f->dir);

    f->t.maildir_format = true;
    f->t.maildir_use_size_file = e(f, "true");
    f->t.directory = e(f, arena_printf(f->a, "%s/M", f->dir));
    f->t.quota = e(f, "60");
    assert_int_equal(deliver(f)->rc, RC_OK);
    assert_string_equal(contents(f, path), "60S,0C\n0 0\n22 1\n");
    assert_int_equal(deliver(f)->rc, RC_OK);
    assert_string_equal(contents(f, path), "60S,0C\n0 0\n22 1\n22 1\n");
    assert_int_equal(deliver(f)->rc, RC_DEFER);
    f->t.quota = e(f, "80"); /* another quota: counted anew */
    assert_int_equal(deliver(f)->rc, RC_OK);
    assert_string_equal(contents(f, path), "80S,0C\n44 2\n22 1\n");
    end(f);
}

static void a_warning_goes_to_whom_it_names(void **state)
{
    struct fixture *f = begin(*state);

    f->t.directory = e(f, arena_printf(f->a, "%s/d", f->dir));
    f->t.quota_warn_threshold = e(f, "20");
    f->t.quota_warn_message = e(f, "To: a@b, c@d\nSubject: full\n\ntext\n");
    assert_int_equal(deliver(f)->rc, RC_OK);
    assert_non_null(f->addr->submissions);
    assert_int_equal(f->addr->submissions->recipient_count, 2);
    assert_string_equal(f->addr->submissions->recipients[1], "c@d");
    assert_non_null(strstr(f->addr->submissions->text, "\nSubject: full\n\ntext\n"));
    assert_int_equal(deliver(f)->rc, RC_OK);
    assert_null(f->addr->submissions); /* over it already */
    end(f);
}

static void a_mailbox_file_is_locked_and_appended_to(void **state)
{
    struct fixture *f = begin(*state);
    const char *path = arena_printf(f->a, "%s/mbox", f->dir);

    f->t.file = e(f, path);
    f->t.check_string = "From ";
    f->t.escape_string = ">From ";
    f->t.message_prefix = e(f, "From $return_path\n");
    f->t.message_suffix = e(f, "\n");
    assert_int_equal(deliver(f)->rc, RC_OK);
    assert_int_equal(deliver(f)->rc, RC_OK);
    const char *one = "From r@x.example\nSubject: x\n\n>From body\n\n";
    assert_string_equal(contents(f, path), arena_printf(f->a, "%s%s", one, one));
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(deliver(f)->basic_errno, ERR_BADMODE);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(deliver(f)->rc, RC_OK);
    const char *lock = arena_printf(f->a, "%s.lock", path);
    assert_int_equal(symlink("x", lock), 0);
    assert_int_equal(deliver(f)->basic_errno, ERR_LOCKFAILED);
    end(f);
}

static int remove_later(void *name)
{
    const struct timespec wait = { .tv_nsec = 100 * 1000 * 1000 };

    (void)nanosleep(&wait, NULL);
    return unlink(name);
}

static void a_lock_that_is_given_up_is_taken_at_once(void **state)
{
    struct fixture *f = begin(*state);
    char *lock = arena_printf(f->a, "%s/mbox.lock", f->dir);
    thrd_t other;

    f->t.file = e(f, arena_printf(f->a, "%s/mbox", f->dir));
    f->t.lock_retries = 2;
    f->t.lock_interval = 3600;
    assert_int_equal(symlink("x", lock), 0);
    assert_int_equal(thrd_create(&other, remove_later, lock), thrd_success);
    assert_int_equal(deliver(f)->rc, RC_OK); /* or the test would take an hour */
    assert_int_equal(thrd_join(other, NULL), thrd_success);
    assert_int_not_equal(access(lock, F_OK), 0);
    end(f);
}

static void a_stale_lock_is_removed(void **state)
{
    struct fixture *f = begin(*state);
    const char *lock = arena_printf(f->a, "%s/mbox.lock", f->dir);

    f->t.file = e(f, arena_printf(f->a, "%s/mbox", f->dir));
    f->t.lock_retries = 2;
    f->t.lock_interval = 3600;
    f->t.lockfile_timeout = 1;
    assert_int_equal(symlink("x", lock), 0);
    assert_int_equal(deliver(f)->rc, RC_OK);
    end(f);
}

static void files_are_made_only_where_allowed(void **state)
{
    struct fixture *f = begin(*state);

    f->addr->home_dir = arena_printf(f->a, "%s/home", f->dir);
    f->t.where = CREATE_BELOWHOME;
    f->t.create_file = "belowhome";
    f->t.file = e(f, arena_printf(f->a, "%s/home/../out", f->dir));
    assert_int_equal(mkdir(f->addr->home_dir, 0700), 0);
    assert_int_equal(deliver(f)->rc, RC_DEFER);
    f->t.file = e(f, arena_printf(f->a, "%s/home/sub/in", f->dir));
    assert_int_equal(deliver(f)->rc, RC_OK);
    f->t.where = CREATE_INHOME;
    f->t.file = e(f, arena_printf(f->a, "%s/home/sub2/in", f->dir));
    assert_int_equal(deliver(f)->rc, RC_DEFER);
    f->t.file = e(f, "relative");
    assert_int_equal(deliver(f)->basic_errno, ERR_NOTABSOLUTE);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_maildir_is_made_and_filled),
        UNIT_TEST(deliveries_begun_are_finished_together_and_fail_alone),
        UNIT_TEST(so_they_are_with_names_in_tmp),
        UNIT_TEST(a_delivery_that_is_done_again_is_one_and_whole),
        UNIT_TEST(so_it_is_with_names_in_tmp),
        UNIT_TEST(what_is_missing_of_a_maildir_is_made_when_it_is_missed),
        UNIT_TEST(quotas_are_kept_and_leave_nothing_behind),
        UNIT_TEST(maildirsize_adds_up),
        UNIT_TEST(a_warning_goes_to_whom_it_names),
        UNIT_TEST(a_mailbox_file_is_locked_and_appended_to),
        UNIT_TEST(a_lock_that_is_given_up_is_taken_at_once),
        UNIT_TEST(a_stale_lock_is_removed),
        UNIT_TEST(files_are_made_only_where_allowed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
