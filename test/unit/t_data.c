/* What of a message reaches the spool, however DATA is framed and cut: the end is CRLF dot CRLF only. */
#include "unit.h"

#include <dirent.h>

#include "smtp_world.h"

static const char config[] = "smtp_enforce_sync = false\nacl_smtp_rcpt = accept\ntls_advertise_hosts =\n"
                             "received_header_text =\nbegin acl\n";
#define BEFORE "EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
#define AFTER  "QUIT\r\n"

/* clang-format off */
static const struct { const char *data, *body; } rows[] = {
    { "S: x\r\n\r\nhi\r\n.\r\n", "hi\n" },
    { "S: x\r\n\r\n..hi\r\n...\r\n.\r\n", ".hi\n..\n" },
    { "S: x\r\n\r\nhi\n.\nMAIL FROM:<evil@x>\r\n.\r\n", "hi . MAIL FROM:<evil@x>\n" },
    { "S: x\r\n\r\nhi\n.\r\nMAIL FROM:<evil@x>\r\n.\r\n", "hi .\nMAIL FROM:<evil@x>\n" },
    { "S: x\r\n\r\nhi\r\n.\nMAIL FROM:<evil@x>\r\n.\r\n", "hi\n MAIL FROM:<evil@x>\n" },
    { "S: x\r\n\r\nhi\r.\rMAIL FROM:<evil@x>\r\n.\r\n", "hi\n.\nMAIL FROM:<evil@x>\n" },
    { "S: x\r\n\r\nhi\r.\r\nMAIL FROM:<evil@x>\r\n.\r\n", "hi\n.\nMAIL FROM:<evil@x>\n" },
    { "S: x\r\n\r\nhi\r\n.\rMAIL FROM:<evil@x>\r\n.\r\n", "hi\n\nMAIL FROM:<evil@x>\n" },
    { "S: x\n\nhi\n.\nMAIL FROM:<evil@x>\n\r\n.\r\n", "hi\n.\nMAIL FROM:<evil@x>\n\n" },
    { "S: x\r\nnot a header\r\n\r\nhi\r\n.\r\n", "not a header\n\nhi\n" },
    { ".\r\n", "" },
};
/* clang-format on */

/* The body of the only message in the spool; it is removed. */
static char *only_body(struct smtp_world *w, struct arena *a, const char *row)
{
    char *dir = arena_printf(a, "%s/input", w->dir), *body = NULL;
    DIR *d = opendir(dir);

    assert_non_null(d);
    for (struct dirent *f; (f = readdir(d)) != NULL;) {
        char *path = arena_printf(a, "%s/%s", dir, f->d_name);
        struct str text;

        if (cstr_ends(f->d_name, "-D")) {
            if (body != NULL)
                fail_msg("%s: more than one message", row);
            assert_true(file_slurp(a, path, 1 << 20, &text));
            body = arena_strndup(a, text.p + MSGID_LEN + 3, text.len - MSGID_LEN - 3);
        }
        (void)unlink(path);
    }
    (void)closedir(d);
    return body;
}

static void check(struct smtp_world *w, struct arena *a, size_t row, size_t cut)
{
    const char *data = rows[row].data;
    const struct str pieces[] = { STR(BEFORE), { data, cut }, { data + cut, strlen(data) - cut }, STR(AFTER) };
    const char *out = smtp_world_talk(w, a, pieces, ARRAY_LEN(pieces)), *ok = strstr(out, "250 OK id=");

    CHECK(data, ok != NULL && strstr(ok + 1, "250 OK id=") == NULL);
    CHECK(data, strstr(out, "221 ") != NULL && strstr(out, "\r\n5") == NULL);
    CHECK_STR(data, only_body(w, a, data), rows[row].body);
}

static void one_message_with_the_right_body_for_every_cut(void **state)
{
    struct smtp_world w;

    smtp_world_open(&w, config);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        for (size_t cut = 0; cut < strlen(rows[i].data); cut++)
            check(&w, *state, i, cut);
    smtp_world_close(&w);
}

/* Larger than every buffer, with CRLF and dots at all their borders. */
static void large_bodies_stay_whole(void **state)
{
    enum { LINES = 9000 };
    struct smtp_world w;
    struct buf in = buf_init(*state, 8 << 20), want = buf_init(*state, 8 << 20);

    smtp_world_open(&w, config);
    buf_add_cstr(&in, "S: x\r\n\r\n");
    for (int i = 0; i < LINES; i++) {
        buf_printf(&in, "..%0*d\r\n", i % 61 + 1, i);
        buf_printf(&want, ".%0*d\n", i % 61 + 1, i);
    }
    buf_add_cstr(&in, ".\r\n");
    struct str pieces[400] = { STR(BEFORE) };
    size_t n = 1;
    for (size_t at = 0; at < in.len; at += 4099, n++)
        pieces[n] = (struct str){ in.p + at, in.len - at < 4099 ? in.len - at : 4099 };
    pieces[n++] = STR(AFTER);
    const char *out = smtp_world_talk(&w, *state, pieces, n);
    assert_non_null(strstr(out, "250 OK id="));
    assert_string_equal(only_body(&w, *state, "large"), buf_cstr(&want));
    smtp_world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(one_message_with_the_right_body_for_every_cut),
        UNIT_TEST(large_bodies_stay_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
