/* link: base spool message header parse parse_rfc2047 parse_text queue queue_list queue_notify queue_run queue_crew queue_worker queue_select queue_pool queue_index spool_in spool_out spool_tree spool_fields spool_file spool_write spool_scan spool_count spool_rest spool_wal spool_wal_sync spool_wal_make spool_wal_read ipc priv priv_broker regex */
#include "queue.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "config/config.h"
#include "daemon/queue_index.h"
#include "deliver.h"
#include "deliver/agent.h"
#include "exim.h"
#include "expand.h"
#include "ipc.h"
#include "message.h"
#include "priv.h"
#include "queue_pool.h"
#include "spool.h"
#include "transports/tidy.h"
#include "unit.h"

/* ---- what stands in for the layers below a delivery ---- */

priv_agent_main *const priv_agent_entry = NULL;

void tidy_transports(void)
{
}

void agent_close_all(void)
{
}

void expand_ctx_init(struct expand_ctx *ctx, struct exim *exim, struct arena *a)
{
    *ctx = (struct expand_ctx){ .exim = exim, .arena = a };
}

enum expand_rc expand_int(struct expand_ctx *ctx, const struct expr *e, long *out)
{
    (void)ctx;
    *out = e == NULL ? 0 : atoi(e->text);
    return EXPAND_OK;
}

/* The body says what becomes of a message. */
enum deliver_rc deliver_message(struct exim *e, const char *id, uint64_t place, const struct deliver_options *o,
                                struct deliver_report *report)
{
    struct message *m;
    struct err err = { 0 };
    char body[6] = "";

    if (spool_load(e, id, place, &m, &err) != SPOOL_OK)
        return DELIVER_ERROR;
    if (fd_pread_full(m->body.fd, body, 5, m->body.start) != 5)
        return DELIVER_ERROR;
    if (strcmp(body, "crash") == 0)
        (void)raise(SIGKILL);
    bool stays = strcmp(body, "stays") == 0 && !o->force;
    if (!stays && !spool_remove(e, m, &err))
        return DELIVER_ERROR;
    message_free(&m);
    report->next_try = stays ? 12345 : 0;
    return stays ? DELIVER_REMAINS : DELIVER_DONE;
}

/* ---- a spool ---- */

struct place {
    struct arena *arena;
    struct exim exim;
    struct config config;
    char dir[64];
    int out; /* where stdout goes */
};

static int place_setup(void **state)
{
    struct arena *a = arena_new("test");
    struct place *p = arena_new_obj(a, struct place);
    struct log_config *l = arena_new_obj(a, struct log_config);

    p->arena = a;
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/t_queue.XXXXXX");
    if (mkdtemp(p->dir) == NULL)
        return -1;
    p->config.spool_directory = p->dir;
    p->config.localhost_number = -1;
    p->config.exim_uid = geteuid();
    p->config.exim_gid = getegid();
    p->config.qualify_domain = p->config.qualify_recipient = "here.test";
    p->config.main.disable_fsync = true;
    p->config.main.deliver_queue_load_max = -1;
    p->config.main.queue_run_in_order = true;
    *l = (struct log_config){ .spool_directory = p->dir, .selector = log_selector_default(), .file_mode = 0600 };
    p->exim = (struct exim){ .arena = a, .config = &p->config, .queue_fd = -1, .admin = true,
                             .originator_login = "root", .log = log_open(a, l) };
    *state = p;
    return 0;
}

static int place_teardown(void **state)
{
    struct place *p = *state;
    struct arena *a = p->arena;

    unit_remove_tree(p->dir);
    arena_destroy(&a);
    return 0;
}

#define PLACE_TEST(f) cmocka_unit_test_setup_teardown(f, place_setup, place_teardown)

static const char *put(struct place *p, const char *sender, const char *const *to, const char *body)
{
    struct message *m = message_new("test");
    struct err err = { 0 };
    struct spool_writer *w = spool_begin(&p->exim, m, &err);

    m->sender = sender;
    m->originator_login = "joe";
    m->originator_uid = 12345;
    m->received.tv_sec = tod_now().tv_sec - 130;
    for (; *to != NULL; to++)
        (void)message_add_recipient(m, *to, -1);
    (void)header_append(&m->headers, m->arena, HEADER_TO, "To: r@b\n");
    assert_true(spool_write(w, body, strlen(body), &err));
    assert_true(spool_commit(w, m, &err));
    const char *id = arena_strdup(p->arena, m->id);
    message_free(&m);
    return id;
}

static const char *const one[] = { "a@b.test", NULL };
static const char *const two[] = { "a@b.test", "c@d.test", NULL };

static int saved_stdout;

static void capture(struct place *p)
{
    (void)fflush(stdout);
    saved_stdout = dup(STDOUT_FILENO);
    p->out = open(p->dir, O_TMPFILE | O_RDWR, 0600);
    (void)dup2(p->out, STDOUT_FILENO);
}

static const char *captured(struct place *p)
{
    struct str text;

    (void)fflush(stdout);
    (void)dup2(saved_stdout, STDOUT_FILENO);
    (void)close(saved_stdout);
    (void)lseek(p->out, 0, SEEK_SET);
    if (!fd_slurp(p->arena, p->out, 1 << 20, &text))
        return "?";
    (void)fd_close(p->out);
    return text.p;
}

static const char *operate(struct place *p, enum queue_op op, const char *id, const char *arg, int *status)
{
    char *args[] = { (char *)(uintptr_t)arg };

    capture(p);
    *status = queue_operate(&p->exim, op, id, args, arg == NULL ? 0 : 1);
    return captured(p);
}

static bool log_has(struct place *p, const char *text)
{
    struct str all;

    return file_slurp(p->arena, arena_printf(p->arena, "%s/log/mainlog", p->dir), 1 << 20, &all) &&
           strstr(all.p, text) != NULL;
}

/* ---- tests ---- */

static void operations_say_what_exim_says(void **state)
{
    static const struct {
        enum queue_op op;
        const char *arg, *said, *logged; /* %s: the id */
        int status;
    } steps[] = {
        { QUEUE_FREEZE, NULL, "Message %s is now frozen\n", "frozen by root", 0 },
        { QUEUE_FREEZE, NULL, "Message %s is already frozen\n", NULL, 1 },
        { QUEUE_THAW, NULL, "Message %s is no longer frozen\n", "unfrozen by root", 0 },
        { QUEUE_THAW, NULL, "Message %s is not frozen\n", NULL, 1 },
        { QUEUE_EDIT_SENDER, NULL, "Message %s - error while editing sender: no address given\n", NULL, 1 },
        { QUEUE_EDIT_SENDER, "new@a.test", "Message %s has been modified\n",
          "sender address changed to <new@a.test> by root", 0 },
        { QUEUE_EDIT_SENDER, "<>", "Message %s has been modified\n", "sender address changed to <> by root", 0 },
        { QUEUE_ADD_RECIPIENT, "x", "Message %s has been modified\n", "recipient <x@here.test> added by root", 0 },
        { QUEUE_MARK_DELIVERED, "a@b.test", "Message %s has been modified\n",
          "address <a@b.test> marked delivered by root", 0 },
        { QUEUE_MARK_DELIVERED, "no@b.test",
          "Message %s - error while marking as delivered:\n  no@b.test is not a recipient: message not updated\n",
          NULL, 1 },
        { QUEUE_MARK_ALL, NULL, "Message %s has been modified\n\n", "address <x@here.test> marked delivered by root", 0 },
        { QUEUE_VIEW_BODY, NULL, "%s-D\nstays", NULL, 0 },
        { QUEUE_VIEW_COPY, NULL, "To: r@b\n\nstays", NULL, 0 },
        { QUEUE_VIEW_LOG, NULL, "Failed to open msglog file for %s: No such file or directory\n", NULL, 1 },
        { QUEUE_REMOVE, NULL, "Message %s has been removed\n", "removed by root", 0 },
        { QUEUE_FREEZE, NULL, "Spool data file for %s does not exist\n", "-D not found", 1 },
        { QUEUE_VIEW_HEADERS, NULL, "Failed to open input file for %s-H: No such file or directory\n", NULL, 1 },
        { QUEUE_REMOVE, NULL,
          "Spool data file for %s does not exist\nContinuing, to ensure all files removed\n"
          "Spool read error for %s-H: No such file or directory\nContinuing to ensure all files removed\n"
          "Message %s has been removed or did not exist\n", NULL, 1 },
    };
    struct place *p = *state;
    const char *id = put(p, "s@a.test", two, "stays");

    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        struct buf want = buf_init(p->arena, 4096);
        int status;
        const char *said = operate(p, steps[i].op, id, steps[i].arg, &status);

        for (const char *c = steps[i].said; *c != '\0'; c++)
            if (c[0] == '%' && c[1] == 's')
                buf_add_cstr(&want, id), c++;
            else
                buf_add_char(&want, *c);
        assert_string_equal(said, buf_cstr(&want));
        assert_int_equal(status, steps[i].status);
        assert_true(steps[i].logged == NULL || log_has(p, steps[i].logged));
    }
}

static void only_the_owner_and_admins_remove(void **state)
{
    struct place *p = *state;
    const char *id = put(p, "s@a.test", one, "stays");
    int status;

    p->exim.admin = false;
    p->exim.real_uid = 999;
    assert_string_equal(operate(p, QUEUE_REMOVE, id, NULL, &status), "Permission denied\n");
    assert_int_equal(status, 1);
    p->exim.real_uid = 12345;
    (void)operate(p, QUEUE_REMOVE, id, NULL, &status);
    assert_int_equal(status, 0);
}

static void damaged_messages_can_be_removed(void **state)
{
    struct place *p = *state;
    const char *id = put(p, "s@a.test", one, "stays");
    int status;
    int fd = fd_open(arena_printf(p->arena, "%s/input/%s-H", p->dir, id), O_WRONLY | O_TRUNC, 0);

    assert_true(fd >= 0);
    (void)fd_close(fd);
    assert_string_equal(operate(p, QUEUE_FREEZE, id, NULL, &status),
                        arena_printf(p->arena, "Spool format error for %s-H\n", id));
    (void)operate(p, QUEUE_REMOVE, id, NULL, &status);
    capture(p);
    assert_int_equal(queue_count(&p->exim), 0);
    assert_string_equal(captured(p), "0\n");
}

static void the_listing_is_that_of_exim(void **state)
{
    struct place *p = *state;
    const char *id = put(p, "s@a.test", two, "stays");
    const char *null = put(p, "", one, "stays");
    int status;

    (void)operate(p, QUEUE_MARK_DELIVERED, id, "a@b.test", &status);
    (void)operate(p, QUEUE_FREEZE, null, NULL, &status);
    const char *first = arena_printf(p->arena, " 2m    14 %s <s@a.test>\n", id);
    const char *second = arena_printf(p->arena, " 2m    14 %s <> *** frozen ***\n          a@b.test\n\n", null);
    capture(p);
    (void)queue_list(&p->exim, 0, NULL, 0);
    assert_string_equal(captured(p), arena_printf(p->arena, "%s        D a@b.test\n          c@d.test\n\n%s", first,
                                                  second));
    capture(p);
    (void)queue_list(&p->exim, QUEUE_LIST_UNDELIVERED_ONLY, &id, 1);
    assert_string_equal(captured(p), arena_printf(p->arena, "%s          c@d.test\n\n", first));
    capture(p);
    (void)queue_list(&p->exim, QUEUE_LIST_IDS_ONLY, NULL, 0);
    assert_string_equal(captured(p), arena_printf(p->arena, "%s\n%s\n", id, null));
    static const char *const missing = "1xV2aW-0002qH-2W";
    capture(p);
    (void)queue_list(&p->exim, 0, &missing, 1);
    assert_string_equal(captured(p),
                        "      1xV2aW-0002qH-2W\n    *** spool read error: No such file or directory ***\n\n");
}

/* Those named are shown one after another, all of them by several processes. */
static void a_long_list_is_in_order_whoever_makes_it(void **state)
{
    enum { MANY = 1200 };
    struct place *p = *state;
    static const char *ids[MANY];

    for (int i = 0; i < MANY; i++)
        ids[i] = put(p, arena_printf(p->arena, "s%d@a.test", i), i % 7 == 0 ? two : one, "stays");
    capture(p);
    assert_int_equal(queue_list(&p->exim, 0, ids, MANY), 0);
    const char *one_by_one = captured(p);
    capture(p);
    assert_int_equal(queue_list(&p->exim, 0, NULL, 0), 0);
    assert_string_equal(captured(p), one_by_one);
}

static size_t left(struct place *p)
{
    struct spool_entry *list;
    size_t count = 99;
    struct err err = { 0 };

    assert_true(spool_scan(&p->exim, p->arena, &list, &count, NULL, &err));
    return count;
}

static void a_run_tries_every_message(void **state)
{
    struct place *p = *state;
    const struct queue_run_options plain = { 0 }, force = { .force = true };

    p->config.main.queue_run_in_order = false;
    for (int i = 0; i < 50; i++)
        (void)put(p, "s@a.test", one, i % 10 == 0 ? "stays" : "goes.");
    assert_int_equal(queue_run(&p->exim, &plain), 0);
    assert_int_equal(left(p), 5);
    assert_true(log_has(p, "Start queue run: pid="));
    assert_int_equal(queue_run(&p->exim, &force), 0);
    assert_int_equal(left(p), 0);
    assert_true(log_has(p, " -qf\n"));
}

static void a_crash_costs_only_its_own_message(void **state)
{
    struct place *p = *state;
    const struct queue_run_options plain = { 0 };

    for (int i = 0; i < 6; i++)
        (void)put(p, "s@a.test", one, i == 2 ? "crash" : "goes.");
    assert_int_equal(queue_run(&p->exim, &plain), 0);
    assert_int_equal(left(p), 1);
    assert_true(log_has(p, "crashed with signal 9 while delivering"));
    assert_true(log_has(p, "End queue run"));
}

static void runs_can_be_limited(void **state)
{
    struct place *p = *state;
    const char *ids[4];

    for (int i = 0; i < 4; i++)
        ids[i] = put(p, i == 1 ? "Other@x.test" : "s@a.test", i == 2 ? two : one, "goes.");
    const struct queue_run_options runs[] = {
        { .sender_text = "nobody" },
        { .recipient_text = "D.TEST" },
        { .sender_text = "^other", .sender_regex = true },
        { .sender_text = "(", .sender_regex = true },
        { .start_id = ids[3], .stop_id = ids[3] },
    };
    static const size_t rest[] = { 4, 3, 2, 2, 1 };

    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        assert_int_equal(queue_run(&p->exim, &runs[i]), i == 3);
        assert_int_equal(left(p), rest[i]);
    }
    assert_true(log_has(p, " -R D.TEST\n"));
    assert_true(log_has(p, " -Sr ^other\n"));
}

static void high_load_ends_a_run(void **state)
{
    struct place *p = *state;
    const struct queue_run_options plain = { 0 };
    double load;

    (void)put(p, "s@a.test", one, "goes.");
    p->config.main.deliver_queue_load_max = 0;
    assert_int_equal(getloadavg(&load, 1), 1);
    (void)queue_run(&p->exim, &plain);
    assert_int_equal(left(p), load > 0 ? 1 : 0);
}

static void notices_reach_the_queue(void **state)
{
    struct place *p = *state;
    struct message *m;
    struct ipc_record r;
    struct err err = { 0 };
    int ends[2], extra;
    const char *id = put(p, "s@a.test", one, "goes.");

    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_OK);
    assert_false(queue_notify(&p->exim, m, true));
    assert_true(ipc_pair(ends));
    p->exim.queue_fd = ends[1];
    assert_true(queue_notify(&p->exim, m, true));
    queue_notify_changed(&p->exim, id);
    assert_int_equal(ipc_receive(ends[0], p->arena, &r, &extra), IPC_OK);
    assert_int_equal(r.kind, IPC_NOTICE);
    assert_int_equal(r.notice.what, IPC_NOTICE_DELIVER);
    assert_string_equal(r.notice.id, id);
    assert_int_equal(ipc_receive(ends[0], p->arena, &r, &extra), IPC_OK);
    assert_int_equal(r.notice.what, IPC_NOTICE_CHANGED);
    message_free(&m);
    (void)fd_close(ends[0]);
    (void)fd_close(ends[1]);
}

static void the_index_finds_what_is_in_it(void **state)
{
    struct arena *a = *state;
    struct queue_index *x = queue_index_new(a);
    size_t seen = 0;
    const struct queue_entry *e;

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 10000; i++)
            queue_index_add(x, arena_printf(a, "1xV2aW-%06d-00", i))->due = i;
        assert_int_equal(queue_index_count(x), 10000);
        for (int i = 0; i < 10000; i++) {
            e = queue_index_find(x, arena_printf(a, "1xV2aW-%06d-00", i));
            assert_true(e != NULL && e->due == i);
        }
        for (size_t at = 0; (e = queue_index_next(x, &at)) != NULL;)
            seen++;
        assert_int_equal(seen, 10000 * (round + 1));
        for (int i = 0; i < 10000; i += 2)
            queue_index_remove(x, queue_index_find(x, arena_printf(a, "1xV2aW-%06d-00", i)));
        assert_int_equal(queue_index_count(x), 5000);
        assert_null(queue_index_find(x, "1xV2aW-000000-00"));
        assert_non_null(queue_index_find(x, "1xV2aW-000001-00"));
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(operations_say_what_exim_says),
        PLACE_TEST(only_the_owner_and_admins_remove),
        PLACE_TEST(damaged_messages_can_be_removed),
        PLACE_TEST(the_listing_is_that_of_exim),
        PLACE_TEST(a_long_list_is_in_order_whoever_makes_it),
        PLACE_TEST(a_run_tries_every_message),
        PLACE_TEST(a_crash_costs_only_its_own_message),
        PLACE_TEST(runs_can_be_limited),
        PLACE_TEST(high_load_ends_a_run),
        PLACE_TEST(notices_reach_the_queue),
        UNIT_TEST(the_index_finds_what_is_in_it),
    };

    proc_title_init(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
