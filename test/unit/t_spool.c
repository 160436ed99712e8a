/* link: base spool spool_in spool_out spool_tree spool_fields spool_file spool_write spool_scan spool_count spool_rest spool_wal spool_wal_sync spool_wal_make spool_wal_read message header parse_rfc2047 */
#include "spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "config/config.h"
#include "exim.h"
#include "message.h"
#include "spool_int.h"
#include "unit.h"

/* As Exim 4.9x writes it, with what 4.89 does not know. */
#define TOP "1xV2aW-0002qH-2W-H\nDebian-exim 999 995\n<u@x.test>\n1795334776 0\n"
static const char exim_file[] = TOP
    "-received_time_usec .781349\n"
    "-received_time_complete 1795334776.782648\n"
    "--helo_name cl.test\n"
    "-host_address [127.0.0.1]:47816\n"
    "-interface_address [127.0.0.1]:20400\n"
    "-received_protocol esmtp\n"
    "-aclc _foo 10\nconn value\n"
    "-aclm 0 11\nline1\nline2\n"
    "--(mysql)aclm _long_name 1\nx\n"
    "-body_linecount 2\n"
    "-max_received_linelength 13\n"
    "-body_zerocount 1\n"
    "-frozen 1795334804\n"
    "-tls_resumption A\n"
    "-dsn_envid abc+2B1\n"
    "-dsn_ret 2\n"
    "YY al@a.test\nNN \"o d\"@a.test\nNY b@a.test\nNN lst@a.test\n"
    "7\n"
    "r1@x.test rfc822;abc@x.test 17,20  0,-1#3\n"
    "al@a.test  0,2  0,-1#3\n"
    "\"o d\"@a.test\n"
    "lst@a.test  0,4  0,-1#3\n"
    "c@x.test  0,0  0,1#3\n"
    "m1@x.test  0,0 owner@a.test 12,3#3\n"
    "m2@x.test owner@a.test 12,3#1\n"
    "\n"
    "022F From: a\n\tb <a@b.test>\n"
    "010* To: c@d.e\n"
    "013  Subject: dsn\n";

struct place {
    struct arena *arena;
    struct exim exim;
    struct config config;
    char dir[64];
};

static int place_setup(void **state)
{
    struct arena *a = arena_new("test");
    struct place *p = arena_new_obj(a, struct place);

    p->arena = a;
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/t_spool.XXXXXX");
    if (mkdtemp(p->dir) == NULL)
        return -1;
    p->config.spool_directory = p->dir;
    p->config.localhost_number = -1;
    p->config.exim_uid = geteuid();
    p->config.exim_gid = getegid();
    p->config.main.message_logs = true;
    p->config.main.disable_fsync = true;
    p->exim = (struct exim){ .arena = a, .config = &p->config };
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

/* An exact-size heap copy, so that ASan sees a read past the end. */
static bool parse(struct message *m, const char *text, size_t len)
{
    struct err err = { 0 };
    char *copy = malloc(len + 1);

    memcpy(copy, text, len);
    char *exact = realloc(copy, len == 0 ? 1 : len);
    bool ok = spool_header_parse(m, (struct str){ exact, len }, &err);
    free(exact);
    assert_true(ok || err.msg != NULL);
    return ok;
}

static const char *print(struct arena *a, const struct message *m)
{
    struct buf b = buf_init(a, 1 << 20);

    spool_header_print(&b, m);
    return buf_cstr(&b);
}

static void a_file_of_exim_is_read(void **state)
{
    struct message *m = message_new("test");

    (void)state;
    assert_true(parse(m, exim_file, sizeof(exim_file) - 1));
    assert_string_equal(m->id, "1xV2aW-0002qH-2W");
    assert_string_equal(m->originator_login, "Debian-exim");
    assert_int_equal(m->originator_uid, 999);
    assert_string_equal(m->sender, "u@x.test");
    assert_int_equal(m->received.tv_sec, 1795334776);
    assert_int_equal(m->received.tv_nsec, 781349000);
    assert_string_equal(m->sender_helo_name, "cl.test");
    assert_string_equal(m->sender_host_address, "127.0.0.1");
    assert_int_equal(m->sender_host_port, 47816);
    assert_string_equal(hash_find(m->acl_c, "_foo"), "conn value");
    assert_string_equal(hash_find(m->acl_m, "0"), "line1\nline2");
    assert_string_equal(hash_find(m->acl_m, "_long_name"), "x");
    assert_int_equal(m->frozen_at, 1795334804);
    assert_false(m->deliver_firsttime);
    assert_string_equal(m->dsn_envid, "abc+2B1");
    assert_int_equal(m->dsn_ret, DSN_RET_HDRS);
    assert_true(message_is_nonrecipient(m, "\"o d\"@a.test"));
    assert_int_equal(m->recipient_count, 7);
    assert_string_equal(m->recipients[0].orcpt, "rfc822;abc@x.test");
    assert_int_equal(m->recipients[0].dsn_flags, DSN_SUCCESS | DSN_DELAY);
    assert_int_equal(m->recipients[0].parent, -1);
    assert_string_equal(m->recipients[2].address, "\"o d\"@a.test");
    assert_string_equal(m->recipients[5].errors_to, "owner@a.test");
    assert_string_equal(m->recipients[6].errors_to, "owner@a.test");
    assert_int_equal(m->recipients[6].parent, 3);
    assert_int_equal(m->headers.count, 3);
    assert_int_equal(m->headers.first->len, 22);
    assert_int_equal(m->message_size, 22 + 13 + 1);
    message_free(&m);
}

/* Without the lines that 4.89 does not have, and in today's form of the recipient lines. */
static void what_is_read_is_written_the_same(void **state)
{
    static const char text[] = TOP
        "-received_time_usec .000000\n-helo_name cl.test\n-host_address [::1]:25\n-host_name n.test\n"
        "-host_auth plain\n-interface_address [::1]:26\n-active_hostname act\n-ident root\n"
        "-received_protocol local\n-aclm 7 0\n\n-body_linecount 0\n-auth_id me\n-auth_sender a@b\n"
        "-allow_unqualified_recipient\n-allow_unqualified_sender\n-deliver_firsttime\n-N\n"
        "-host_lookup_deferred\n-host_lookup_failed\n-local\n-localerror\n-local_scan x y\n"
        "-manual_thaw\n-sender_set_untrusted\n-spam_bar ++\n-spam_score -2.5\n-spam_score_int -25\n"
        "-tls_certificate_verified\n-tls_cipher TLS1.3:X:256\n-tls_peerdn /CN=a b\n-tls_sni s\n"
        "-smtputf8\n-dsn_envid e\n-dsn_ret 1\n"
        "YY al@a.test\nNN \"o d\"@a.test\nNY b@a.test\nNN lst@a.test\n"
        "2\na@b rfc822;abc@x.test 17,0  0,-1#3\nc#1@d\n\n013  Subject: dsn\n";
    struct message *m = message_new("test");

    assert_true(parse(m, text, sizeof(text) - 1));
    assert_string_equal(print(*state, m), text);
    message_free(&m);
}

static void older_forms_are_read(void **state)
{
    static const char text[] = "1xV2aW-0002qH-2W-H\nme too 1 -1\n<>\n1 2\n-acl 3 1\nA\n-acl 12 2\nBC\n"
                               "-host_address 10.0.0.1.25\n-interface_address 10.0.0.2\n-unknown x\n"
                               "XX\n1\na b@c\n\n";
    struct message *m = message_new("test");

    (void)state;
    assert_true(parse(m, text, sizeof(text) - 1));
    assert_string_equal(m->originator_login, "me too");
    assert_string_equal(hash_find(m->acl_c, "3"), "A");
    assert_string_equal(hash_find(m->acl_m, "2"), "BC");
    assert_string_equal(m->sender_host_address, "10.0.0.1");
    assert_int_equal(m->sender_host_port, 25);
    assert_string_equal(m->interface_address, "10.0.0.2");
    assert_int_equal(m->warning_count, 2);
    message_free(&m);
}

/* A file cut at the end of a header line cannot be told from a whole one. */
static void every_cut_inside_is_refused(void **state)
{
    size_t headers = (size_t)(strstr(exim_file, "022F From") - exim_file);
    size_t whole[] = { headers, headers + 5 + 22, headers + 5 + 22 + 5 + 10 };

    (void)state;
    for (size_t len = 0; len < sizeof(exim_file) - 1; len++) {
        struct message *m = message_new("test");

        assert_int_equal(parse(m, exim_file, len), len == whole[0] || len == whole[1] || len == whole[2]);
        message_free(&m);
    }
}

static void damaged_files_are_refused(void **state)
{
#define REST "XX\n1\na@b\n\n"
    static const struct {
        const char *row, *text;
    } rows[] = {
        { "foreign", "#!/bin/sh\n" },
        { "no suffix", "1xV2aW-0002qH-2W\nx 1 1\n<>\n1 0\n" REST },
        { "bad id", "1xV2aW_0002qH-2W-H\nx 1 1\n<>\n1 0\n" REST },
        { "no uid", "1xV2aW-0002qH-2W-H\nx\n<>\n1 0\n" REST },
        { "open sender", "1xV2aW-0002qH-2W-H\nx 1 1\n<a\n1 0\n" REST },
        { "time", "1xV2aW-0002qH-2W-H\nx 1 1\n<>\n1\n" REST },
        { "acl too long", TOP "-aclm 0 99999\nx\n" REST },
        { "acl negative", TOP "-aclm 0 -1\nx\n" REST },
        { "acl wrong length", TOP "-aclm 0 2\nx\n" REST },
        { "port", TOP "-host_address [::1]:99999\n" REST },
        { "bracket", TOP "-host_address [::1\n" REST },
        { "usec", TOP "-received_time_usec 12\n" REST },
        { "ret", TOP "-dsn_ret 7\n" REST },
        { "tree", TOP "YQ a\n1\na@b\n\n" },
        { "tree cut", TOP "YN a\n1\na@b\n\n" },
        { "huge count", TOP "XX\n99999999999\na@b\n\n" },
        { "negative count", TOP "XX\n-1\na@b\n\n" },
        { "few recipients", TOP "XX\n2\na@b\n\n" },
        { "empty recipient", TOP "XX\n1\n\n\n" },
        { "parent", TOP "XX\n1\na@b  0,0  0,1#3\n\n" },
        { "orcpt length", TOP "XX\n1\na@b x 9,0  0,-1#3\n\n" },
        { "bits only", TOP "XX\n1\n#3\n\n" },
        { "header too long", TOP REST "999  A: b\n" },
        { "header no newline", TOP REST "004  A: b\n" },
        { "header type", TOP REST "005Q A: b\n" },
        { "header zero", TOP REST "000  " },
        { "header number", TOP REST "9999999999  A: b\n" },
        { "second message", TOP REST TOP },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct message *m = message_new("test");

        CHECK(rows[i].row, !parse(m, rows[i].text, strlen(rows[i].text)));
        message_free(&m);
    }
}

static void another_id_is_refused(void **state)
{
    struct message *m = message_new("test");

    (void)state;
    memcpy(m->id, "1xV2aW-0002qH-2X", sizeof(m->id));
    assert_false(parse(m, exim_file, sizeof(exim_file) - 1));
    message_free(&m);
}

static void outside_text_never_begins_a_line(void **state)
{
    struct message *m = message_new("test"), *back = message_new("test");

    memcpy(m->id, "1xV2aW-0002qH-2W", sizeof(m->id));
    m->sender = "a\n-N@b";
    m->sender_helo_name = "h\n-frozen 1\r";
    m->tls_in_peerdn = "x\n5\ny";
    m->originator_login = "l\nx";
    message_add_recipient(m, "r\n-N", -1)->orcpt = "rfc822;\n-N";
    message_add_nonrecipient(m, "n\nNN q@r");
    const char *text = print(*state, m);
    assert_null(strstr(text, "\n-N"));
    assert_null(strstr(text, "\n-frozen"));
    assert_true(parse(back, text, strlen(text)));
    assert_false(back->dont_deliver);
    assert_int_equal(back->frozen_at, 0);
    assert_int_equal(back->recipient_count, 1);
    assert_int_equal(hash_count(back->nonrecipients), 1);
    message_free(&m);
    message_free(&back);
}

static void large_trees_keep_all_names_and_their_shape(void **state)
{
    struct message *m = message_new("test"), *back = message_new("test");

    memcpy(m->id, "1xV2aW-0002qH-2W", sizeof(m->id));
    m->sender = "";
    for (int i = 0; i < 1000; i++)
        message_add_nonrecipient(m, arena_printf(m->arena, "r%d@x.test", (i * 7919) % 1000));
    const char *text = print(*state, m);
    assert_true(parse(back, text, strlen(text)));
    assert_int_equal(hash_count(back->nonrecipients), 1000);
    for (int i = 0; i < 1000; i++)
        assert_true(message_is_nonrecipient(back, arena_printf(m->arena, "r%d@x.test", i)));
    assert_string_equal(print(*state, back) + strcspn(text, "XYN"), text + strcspn(text, "XYN"));
    message_free(&m);
    message_free(&back);
}

static void only_whole_lines_of_a_journal_count(void **state)
{
    struct message *m = message_new("test");

    (void)state;
    spool_journal_parse(m, STR("a@b\n\nb@c\nlost@x.co"));
    assert_int_equal(hash_count(m->nonrecipients), 2);
    assert_false(message_is_nonrecipient(m, "lost@x.co"));
    message_free(&m);
}

/* ---- files ---- */

static void commit(struct place *p, const char *body, char id[17])
{
    struct message *m = message_new("test");
    struct err err = { 0 };
    struct spool_writer *w = spool_begin(&p->exim, m, &err);

    assert_non_null(w);
    m->sender = "s@a";
    m->originator_login = "me";
    m->deliver_firsttime = true;
    (void)message_add_recipient(m, "r@b", -1);
    (void)header_append(&m->headers, m->arena, HEADER_TO, "To: r@b\n");
    assert_true(spool_write(w, body, strlen(body), &err));
    assert_true(spool_commit(w, m, &err));
    assert_int_equal(m->body.size, strlen(body));
    memcpy(id, m->id, 17);
    message_free(&m);
}

static size_t files_in(const struct place *p, const char *sub)
{
    char path[128];
    size_t n = 0;

    (void)snprintf(path, sizeof(path), "%s/%s", p->dir, sub);
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    if (d != NULL)
        (void)closedir(d);
    return n;
}

static void a_message_lives_through_its_life(void **state)
{
    struct place *p = *state;
    struct err err = { 0 };
    struct message *m;
    struct spool_entry *list;
    size_t count;
    char id[17], text[6] = "";

    assert_true(spool_prepare(&p->exim, &err));
    commit(p, "hello", id);
    assert_int_equal(files_in(p, "input"), 2);
    assert_true(spool_scan(&p->exim, p->arena, &list, &count, NULL, &err));
    assert_int_equal(count, 1);
    assert_string_equal(list[0].id, id);

    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_OK);
    assert_int_equal(m->body.size, 5);
    assert_int_equal(fd_pread_full(m->body.fd, text, 5, m->body.start), 5);
    assert_string_equal(text, "hello");
    assert_int_equal(m->message_size, 8 + 1 + 5);
    const char *done[] = { "r@b" };
    assert_true(spool_journal(&p->exim, m, done, 1, &err));
    spool_msglog(&p->exim, m, "said %d", 1);
    spool_msglog(&p->exim, m, "*** Frozen");
    message_free(&m);

    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_OK);
    assert_true(message_is_nonrecipient(m, "r@b"));
    m->frozen_at = 5;
    assert_int_equal(files_in(p, "input"), 3);
    assert_true(spool_update(&p->exim, m, &err));
    assert_int_equal(files_in(p, "input"), 2);
    message_free(&m);

    struct message peek;
    assert_int_equal(spool_peek(&p->exim, id, p->arena, &peek, &err), SPOOL_OK);
    assert_int_equal(peek.frozen_at, 5);
    assert_int_equal(peek.message_size, 14);
    assert_true(message_is_nonrecipient(&peek, "r@b"));

    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_OK);
    assert_int_equal(files_in(p, "msglog"), 1);
    assert_true(spool_remove(&p->exim, m, &err));
    message_free(&m);
    assert_int_equal(files_in(p, "input"), 0);
    assert_int_equal(files_in(p, "msglog"), 0);
    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_GONE);
}

static void both_forms_of_directories_are_found(void **state)
{
    struct place *p = *state;
    struct err err = { 0 };
    struct spool_entry *list;
    size_t count;
    char flat[17], split[17];

    commit(p, "a", flat);
    p->config.main.split_spool_directory = true;
    commit(p, "b", split);
    for (int i = 0; i < 2; i++) {
        struct message *m;

        assert_true(spool_scan(&p->exim, p->arena, &list, &count, NULL, &err));
        assert_int_equal(count, 2);
        assert_int_equal(spool_load(&p->exim, flat, 0, &m, &err), SPOOL_OK);
        assert_true(spool_update(&p->exim, m, &err));
        message_free(&m);
        assert_int_equal(spool_load(&p->exim, split, 0, &m, &err), SPOOL_OK);
        assert_true(spool_update(&p->exim, m, &err));
        message_free(&m);
        p->config.main.split_spool_directory = false;
    }
}

/* A listing looks where the scan was, and for a journal only where there is one. */
static void entries_of_a_scan_are_read_in_their_place(void **state)
{
    struct place *p = *state;
    char id[17];
    struct err err = { 0 };
    struct spool_entry *list;
    size_t count;
    struct message *m, seen;
    const char *done[] = { "r@b" };

    assert_true(spool_prepare(&p->exim, &err));
    commit(p, "hello", id);
    assert_true(spool_scan(&p->exim, p->arena, &list, &count, NULL, &err));
    assert_int_equal(count, 1);
    assert_false(list[0].journal);
    assert_int_equal(spool_peek_entry(&p->exim, &list[0], p->arena, &seen, &err), SPOOL_OK);
    assert_int_equal(seen.body.size, 5);
    assert_int_equal(seen.message_size, 14);

    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_OK);
    assert_true(spool_journal(&p->exim, m, done, 1, &err));
    message_free(&m);
    assert_true(spool_scan(&p->exim, p->arena, &list, &count, NULL, &err));
    assert_true(list[0].journal);
    assert_int_equal(spool_peek_entry(&p->exim, &list[0], p->arena, &seen, &err), SPOOL_OK);
    assert_true(message_is_nonrecipient(&seen, "r@b"));

    list[0].subdir = list[0].subdir == '\0' ? id[5] : '\0'; /* moved since */
    assert_int_equal(spool_peek_entry(&p->exim, &list[0], p->arena, &seen, &err), SPOOL_OK);
    assert_true(message_is_nonrecipient(&seen, "r@b"));
    assert_true(spool_count(&p->exim, p->arena, &count, &err));
    assert_int_equal(count, 1);

    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_OK);
    assert_true(spool_remove(&p->exim, m, &err));
    message_free(&m);
    assert_int_equal(spool_peek_entry(&p->exim, &list[0], p->arena, &seen, &err), SPOOL_GONE);
}

/* So many names that several processes read them, where the file system lets them. */
static void a_large_queue_is_counted(void **state)
{
    enum { MESSAGES = 30000 };
    struct place *p = *state;
    struct err err = { 0 };
    size_t count;
    char name[40];

    assert_true(spool_prepare(&p->exim, &err));
    int dir = open(arena_printf(p->arena, "%s/input", p->config.spool_directory), O_RDONLY | O_DIRECTORY);
    assert_true(dir >= 0);
    for (int i = 0; i < MESSAGES; i++) {
        snprintf(name, sizeof(name), "1xX%03d-000%03d-D2-%c", i / 1000, i % 1000, i % 3 == 0 ? 'D' : 'H');
        int fd = openat(dir, name, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    close(dir);
    assert_true(spool_count(&p->exim, p->arena, &count, &err));
    assert_int_equal(count, MESSAGES / 3 * 2);
}

static void a_locked_message_is_left_alone(void **state)
{
    struct place *p = *state;
    struct err err = { 0 };
    struct message *m, *other;
    char id[17];
    int status;

    commit(p, "a", id);
    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_OK);
    pid_t pid = fork();
    if (pid == 0)
        _exit(spool_load(&p->exim, id, 0, &other, &err) == SPOOL_LOCKED ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    spool_unlock(m);
    pid = fork();
    if (pid == 0)
        _exit(spool_load(&p->exim, id, 0, &other, &err) == SPOOL_OK ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    message_free(&m);
}

static void put_file(const struct place *p, const char *id, const char *suffix, const char *text)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/input/%s%s", p->dir, id, suffix);
    int fd = fd_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && fd_write_all(fd, text, strlen(text)));
    (void)fd_close(fd);
}

static void bad_files_stay_where_they_are(void **state)
{
    struct place *p = *state;
    struct err err = { 0 };
    struct message *m;
    char id[17];

    commit(p, "a", id);
    put_file(p, id, "-H", "garbage\n");
    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_BAD);
    assert_non_null(strstr(err.msg, "Format error in spool file"));
    commit(p, "a", id);
    put_file(p, id, "-D", "short");
    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_BAD);
    commit(p, "a", id);
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/input/%s-D", p->dir, id);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_BAD);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_ERROR);
    assert_int_equal(files_in(p, "input"), 6);
}

static void a_torn_journal_line_is_not_glued_to_the_next(void **state)
{
    struct place *p = *state;
    struct err err = { 0 };
    struct message *m;
    char id[17];

    commit(p, "a", id);
    put_file(p, id, "-J", "one@x\ntw");
    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_OK);
    const char *done[] = { "r@b" };
    assert_true(spool_journal(&p->exim, m, done, 1, &err));
    message_free(&m);
    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_OK);
    assert_true(message_is_nonrecipient(m, "one@x"));
    assert_true(message_is_nonrecipient(m, "r@b"));
    assert_int_equal(hash_count(m->nonrecipients), 2);
    message_free(&m);
}

static void wire_form_bodies_are_read_as_unix_ones(void **state)
{
    struct place *p = *state;
    struct err err = { 0 };
    struct message *m;
    char id[17], text[16] = "";

    commit(p, "a", id);
    put_file(p, id, "-H", arena_printf(p->arena, "%s-H\nme 1 1\n<>\n1 0\n-spool_file_wireformat\nXX\n1\na@b\n\n", id));
    put_file(p, id, "-D", arena_printf(p->arena, "%s-D\na\r\nb\rc\r\r\n\r", id));
    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_OK);
    assert_int_equal(m->body.size, 8);
    assert_int_equal(fd_pread_full(m->body.fd, text, 8, m->body.start), 8);
    assert_string_equal(text, "a\nb\rc\r\n\r");
    assert_int_equal(m->body_linecount, 2);
    message_free(&m);
}

static void nothing_is_left_of_an_abandoned_message(void **state)
{
    struct place *p = *state;
    struct err err = { 0 };
    char *big = arena_alloc(p->arena, 200000, 1);

    assert_true(spool_prepare(&p->exim, &err));
    for (int flush = 0; flush < 2; flush++) {
        struct message *m = message_new("test");
        struct spool_writer *w = spool_begin(&p->exim, m, &err);

        memset(big, 'x', 199999);
        assert_true(spool_write(w, "abc\n", 4, &err));
        assert_true(spool_write(w, big, 200000, &err));
        assert_int_equal(spool_written(w), 200004);
        if (flush)
            assert_true(spool_flush(w, m, &err));
        assert_int_equal(files_in(p, "input"), 1);
        spool_abandon(w);
        message_free(&m);
        assert_int_equal(files_in(p, "input"), 0);
    }
}

static void a_failed_commit_leaves_nothing(void **state)
{
    struct place *p = *state;
    struct err err = { 0 };
    struct message *m = message_new("test");

    m->sender = "";
    assert_true(spool_prepare(&p->exim, &err));
    struct spool_writer *w = spool_begin(&p->exim, m, &err);
    put_file(p, "in", "the-way", "");
    char path[128], block[160];
    (void)snprintf(path, sizeof(path), "%s/input/%s-H", p->dir, m->id);
    (void)snprintf(block, sizeof(block), "%s/x", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mkdir(block, 0700), 0); /* rename cannot replace it */
    assert_true(spool_write(w, "abc\n", 4, &err));
    assert_false(spool_commit(w, m, &err));
    assert_non_null(err.msg);
    assert_true(err.sys_errno != 0);
    assert_int_equal(files_in(p, "input"), 2);
    message_free(&m);
}

static void clean(struct place *p)
{
    const struct spool_extras *extras;
    struct spool_entry *list;
    size_t count;
    struct err err = { 0 };

    assert_true(spool_scan(&p->exim, p->arena, &list, &count, &extras, &err));
    spool_clean(&p->exim, list, count, extras);
}

static void orphans_are_swept_when_old(void **state)
{
    struct place *p = *state;
    struct err err = { 0 };
    char id[17], path[128];
    struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };

    assert_true(spool_prepare(&p->exim, &err));
    commit(p, "a", id);
    put_file(p, "1xV2aW-0002qH-2W", "-D", "x");
    put_file(p, "1xV2aW-0002qH-2X", "-J", "x");
    put_file(p, "hdr.", "1xV2aW-0002qH-2X", "x");
    put_file(p, "foreign", "", "x");
    clean(p);
    assert_int_equal(files_in(p, "input"), 6);
    static const char *const names[] = { "1xV2aW-0002qH-2W-D", "1xV2aW-0002qH-2X-J",
                                         "hdr.1xV2aW-0002qH-2X", "foreign" };
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        (void)snprintf(path, sizeof(path), "%s/input/%s", p->dir, names[i]);
        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    }
    (void)snprintf(path, sizeof(path), "%s/input/%s-D", p->dir, id);
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    clean(p);
    assert_int_equal(files_in(p, "input"), 3);
}

static bool has_it(struct place *p, const char *id)
{
    struct message *m;
    struct err err = { 0 };

    assert_int_equal(spool_load(&p->exim, id, 0, &m, &err), SPOOL_OK);
    bool yes = message_is_nonrecipient(m, "x@y.test");
    message_free(&m);
    return yes;
}

static void a_journal_younger_than_the_scan_is_seen(void **state)
{
    struct place *p = *state;
    struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
    const struct spool_extras *extras;
    struct spool_entry *list;
    size_t count;
    struct err err = { 0 };
    char id[17], input[128];

    assert_true(spool_prepare(&p->exim, &err));
    commit(p, "a", id);
    (void)snprintf(input, sizeof(input), "%s/input", p->dir);
    for (int settled = 0; settled < 2; settled++) {
        struct arena *a = arena_new("near");
        if (settled)
            assert_int_equal(utimensat(AT_FDCWD, input, old, 0), 0);
        assert_true(spool_scan(&p->exim, a, &list, &count, &extras, &err));
        spool_stay_near(&p->exim, a, extras);
        assert_false(has_it(p, id));
        put_file(p, id, "-J", "x@y.test\n");
        assert_true(has_it(p, id));
        assert_int_equal(utimensat(AT_FDCWD, input, old, 0), 0); /* as if nothing had been put there */
        assert_int_equal(has_it(p, id), !settled);
        arena_destroy(&a);
        assert_true(has_it(p, id));
        (void)snprintf(input, sizeof(input), "%s/input/%s-J", p->dir, id);
        assert_int_equal(unlink(input), 0);
        (void)snprintf(input, sizeof(input), "%s/input", p->dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(a_file_of_exim_is_read),
        UNIT_TEST(what_is_read_is_written_the_same),
        UNIT_TEST(older_forms_are_read),
        UNIT_TEST(every_cut_inside_is_refused),
        UNIT_TEST(damaged_files_are_refused),
        UNIT_TEST(another_id_is_refused),
        UNIT_TEST(outside_text_never_begins_a_line),
        UNIT_TEST(large_trees_keep_all_names_and_their_shape),
        UNIT_TEST(only_whole_lines_of_a_journal_count),
        PLACE_TEST(a_message_lives_through_its_life),
        PLACE_TEST(a_journal_younger_than_the_scan_is_seen),
        PLACE_TEST(both_forms_of_directories_are_found),
        PLACE_TEST(entries_of_a_scan_are_read_in_their_place),
        PLACE_TEST(a_large_queue_is_counted),
        PLACE_TEST(a_locked_message_is_left_alone),
        PLACE_TEST(bad_files_stay_where_they_are),
        PLACE_TEST(a_torn_journal_line_is_not_glued_to_the_next),
        PLACE_TEST(wire_form_bodies_are_read_as_unix_ones),
        PLACE_TEST(nothing_is_left_of_an_abandoned_message),
        PLACE_TEST(a_failed_commit_leaves_nothing),
        PLACE_TEST(orphans_are_swept_when_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
