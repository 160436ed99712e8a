/* Authenticators as servers, in conversations (Exim's texts), against a fake Dovecot socket too. */
#include "unit.h"

#include <sys/un.h>
#include <sys/wait.h>

#include "smtp_world.h"

static const char config[] =
    "smtp_enforce_sync = false\nauth_advertise_hosts = *\ntls_advertise_hosts =\nsmtp_banner = hello\n"
    "chunking_advertise_hosts =\npipelining_advertise_hosts =\nsmtp_accept_max_nonmail = 100\n"
    "begin authenticators\n"
    "plain:\n  driver = plaintext\n  public_name = PLAIN\n  server_prompts = :\n  server_set_id = $auth2\n"
    "  server_condition = ${if and{{eq{$auth2}{u}}{eq{$auth3}{p}}}}\n"
    "login:\n  driver = plaintext\n  public_name = LOGIN\n  server_prompts = User:: : Pass::\n"
    "  server_condition = ${if eq{$auth1/$auth2}{u/p}{yes}{${if eq{$auth1}{d}{later}{no}}}}\n"
    "external:\n  driver = external\n  public_name = EXTERNAL\n  server_param2 = x\n"
    "  server_condition = ${if eq{$auth1$auth2}{mex}}\n"
    "hidden:\n  driver = plaintext\n  public_name = HIDDEN\n  server_prompts = :\n  server_condition = yes\n"
    "  server_advertise_condition = no\n";

#define HELLO "EHLO x\r\n"
#define GREETING "250-my.host Hello x [10.0.0.1]\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250-AUTH PLAIN LOGIN EXTERNAL\r\n250 HELP\r\n"
#define LOST "421 my.host lost input connection\r\n"

/* clang-format off */
static const struct { const char *name, *in, *out; } rows[] = {
    { "plain", "AUTH PLAIN AHUAcA==\r\n", "235 Authentication succeeded\r\n" },
    { "plain, prompted", "AUTH PLAIN\r\nAHUAcA==\r\n", "334 \r\n235 Authentication succeeded\r\n" },
    { "wrong", "AUTH PLAIN AHUAeA==\r\n", "535 Incorrect authentication data\r\n" },
    { "empty", "AUTH PLAIN =\r\n", "535 Incorrect authentication data\r\n" },
    { "cancelled", "AUTH PLAIN\r\n*\r\n", "334 \r\n501 Authentication cancelled\r\n" },
    { "not base64", "AUTH PLAIN !!\r\nAUTH LOGIN\r\nx\r\n", "501 Invalid base64 data\r\n334 VXNlcjo=\r\n501 Invalid base64 data\r\n" },
    { "login", "AUTH LOGIN\r\ndQ==\r\ncA==\r\n", "334 VXNlcjo=\r\n334 UGFzczo=\r\n235 Authentication succeeded\r\n" },
    { "login, initial", "AUTH LOGIN dQ==\r\ncA==\r\n", "334 UGFzczo=\r\n235 Authentication succeeded\r\n" },
    { "deferred", "AUTH LOGIN ZA==\r\ncA==\r\n", "334 UGFzczo=\r\n435 Unable to authenticate at present\r\n" },
    { "external", "AUTH EXTERNAL bWU=\r\n", "235 Authentication succeeded\r\n" },
    { "external, prompted", "AUTH EXTERNAL\r\nbWU=\r\n", "334 \r\n235 Authentication succeeded\r\n" },
    { "twice", "AUTH PLAIN AHUAcA==\r\nAUTH PLAIN AHUAcA==\r\n", "235 Authentication succeeded\r\n503 already authenticated\r\n" },
    { "unknown", "AUTH X\r\nAUTH HIDDEN\r\n", "504 X authentication mechanism not supported\r\n504 HIDDEN authentication mechanism not supported\r\n" },
    { "in a transaction", "MAIL FROM:<a@b>\r\nAUTH PLAIN AHUAcA==\r\n", "250 OK\r\n503 not permitted in mail transaction\r\n" },
    { "not offered again", "AUTH PLAIN AHUAcA==\r\nEHLO x\r\n", "235 Authentication succeeded\r\n250-my.host Hello x [10.0.0.1]\r\n250-SIZE 52428800\r\n250-8BITMIME\r\n250 HELP\r\n" },
};
/* clang-format on */

static void answers_as_exim(void **state)
{
    struct smtp_world w;

    smtp_world_open(&w, config);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str in = str_from(arena_printf(*state, HELLO "%s", rows[i].in));

        CHECK_STR(rows[i].name, smtp_world_talk(&w, *state, &in, 1),
                  arena_printf(*state, "220 hello\r\n" GREETING "%s" LOST, rows[i].out));
    }
    smtp_world_close(&w);
}

/* One request on one connection, answered as a script says. */
static pid_t fake_dovecot(const char *path, const char *answer)
{
    static const char greeting[] = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\tx\nDONE\n";
    struct sockaddr_un sa = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 1), 0);
    pid_t pid = fork();
    if (pid == 0) {
        char in[1024];
        int c = accept(fd, NULL, NULL);
        ssize_t n = write(c, greeting, strlen(greeting));

        n = read(c, in, sizeof(in) - 1);
        in[n > 0 ? n : 0] = '\0';
        bool ok = strstr(in, "AUTH\t1\tPLAIN\tservice=smtp") != NULL && strstr(in, "\trip=10.0.0.1") != NULL &&
                  strstr(in, "\tresp=AHUAcA==\n") != NULL;
        n = write(c, ok ? answer : "FAIL\t1\n", strlen(ok ? answer : "FAIL\t1\n"));
        _exit(n > 0 ? 0 : 1);
    }
    (void)close(fd);
    return pid;
}

static void dovecot_is_asked(void **state)
{
    static const char *const answers[][2] = {
        { "OK\t1\tuser=u\n", "235 Authentication succeeded\r\n" },
        { "FAIL\t1\tuser=u\n", "535 Incorrect authentication data\r\n" },
        { "FAIL\t1\ttemp\n", "435 Unable to authenticate at present\r\n" },
        { "NONSENSE\t1\n", "435 Unable to authenticate at present\r\n" },
        { "OK\t2\tuser=u\n", "435 Unable to authenticate at present\r\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        char path[64];
        struct smtp_world w;

        (void)snprintf(path, sizeof(path), "/tmp/t_auth-%d-%zu", (int)getpid(), i);
        smtp_world_open(&w, arena_printf(*state,
                                         "smtp_enforce_sync = false\nauth_advertise_hosts = *\ntls_advertise_hosts =\n"
                                         "begin authenticators\nd:\n  driver = dovecot\n  public_name = PLAIN\n"
                                         "  server_socket = %s\n  server_set_id = $auth1\n", path));
        pid_t pid = fake_dovecot(path, answers[i][0]);
        struct str in = STR(HELLO "AUTH PLAIN AHUAcA==\r\n");
        const char *out = smtp_world_talk(&w, *state, &in, 1);
        CHECK(answers[i][0], strstr(out, answers[i][1]) != NULL);
        (void)waitpid(pid, NULL, 0);
        (void)unlink(path);
        smtp_world_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { UNIT_TEST(answers_as_exim), UNIT_TEST(dovecot_is_asked) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
