/* Conversations with the SMTP server: what is said, and each line of what is answered (the banner left
 * out). Texts are those of Exim's -bh and -bs for the same input. */
#include "unit.h"

#include "smtp_world.h"

static const char config[] =
    "smtp_enforce_sync = false\nacl_smtp_rcpt = rcpt\nacl_smtp_mail = mail\nacl_smtp_data = data\n"
    "acl_smtp_vrfy = accept\ntls_advertise_hosts =\nsmtp_banner = hello\nmessage_size_limit = 20K\n"
    "recipients_max = 3\nheader_line_maxsize = 500\nheader_maxsize = 4K\ndsn_advertise_hosts = *\nprdr_enable\n"
    "smtp_max_synprot_errors = 4\nsmtp_max_unknown_commands = 2\nlog_selector = +all\n"
    "begin acl\n"
    "rcpt:\n  deny local_parts = deny\n  deny local_parts = text\n    message = 553 5.7.1 one\\ntwo\n"
    "  defer local_parts = defer\n  discard local_parts = discard\n  accept\n"
    "mail:\n  drop senders = drop@x\n    message = go away\n  accept senders = hi@x\n    message = hi there\n  accept\n"
    "data:\n  deny condition = ${if eq{$h_subject:}{deny}}\n    message = no\n  accept\n";

#define HELLO    "EHLO x\r\n"
#define GREETING "250-my.host Hello x [10.0.0.1]\r\n250-SIZE 20480\r\n250-8BITMIME\r\n250-DSN\r\n250-VRFY\r\n" \
                 "250-PIPELINING\r\n250-CHUNKING\r\n250-PRDR\r\n250 HELP\r\n"
#define LOST     "421 my.host lost input connection\r\n"
#define BYE      "221 my.host closing connection\r\n"
#define START    "MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
#define STARTED  "250 OK\r\n250 Accepted\r\n"
#define ENTER    "354 Enter message, ending with \".\" on a line by itself\r\n"

/* clang-format off */
static const struct { const char *name, *in, *out; } rows[] = {
    { "quit", "QUIT\r\n", BYE },
    { "ehlo", HELLO "QUIT\r\n", GREETING BYE },
    { "helo", "HELO [10.0.0.9]\r\nQUIT\r\n", "250 my.host Hello [10.0.0.9] [10.0.0.1]\r\n" BYE },
    { "no argument", "EHLO\r\nHELO a_b\r\nEHLO [1.2.3\r\n", "501 Syntactically invalid EHLO argument(s)\r\n"
      "501 Syntactically invalid HELO argument(s)\r\n501 Syntactically invalid EHLO argument(s)\r\n" LOST },
    { "order", HELLO "RCPT TO:<a@b>\r\nDATA\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nQUIT\r\n", GREETING
      "503 sender not yet given\r\n503-All RCPT commands were rejected with this error:\r\n503-503 sender not yet given\r\n"
      "503 valid RCPT command must precede DATA\r\n250 OK\r\n503 sender already given\r\n" BYE },
    { "too many errors", "RCPT TO:<>\r\nRCPT TO:<>\r\nRCPT TO:<>\r\nRCPT TO:<>\r\nRCPT TO:<>\r\nNOOP\r\n",
      "503 sender not yet given\r\n503 sender not yet given\r\n503 sender not yet given\r\n503 sender not yet given\r\n"
      "503-sender not yet given\r\n503 Too many syntax or protocol errors\r\n" },
    { "unknown", "FOO\r\n\r\nBAR\r\n", "500 unrecognized command\r\n500 unrecognized command\r\n500 Too many unrecognized commands\r\n" },
    { "no argument wanted", "NOOP x\r\nRSET x\r\nQUIT x\r\n", "250 OK\r\n501 unexpected argument data\r\n501 unexpected argument data\r\n" LOST },
    { "verb only", "MAIL\r\nRCPTTO:<a>\r\n", "500 unrecognized command\r\n500 unrecognized command\r\n" LOST },
    { "parameters", HELLO "MAIL FROM:<a@b> SIZE=99999\r\nMAIL FROM:<a@b> BODY=X\r\nMAIL FROM:<a@b> X=Y\r\n"
      "MAIL FROM:<a@b> PRDR SIZE=5\r\n", GREETING "552 Message size exceeds maximum permitted\r\n501 invalid data for BODY\r\n"
      "501 <a@b> X=Y: malformed address: X=Y may not follow <a@b> \r\n250 OK, PRDR Requested\r\n" LOST },
    { "parameters without EHLO", "HELO x\r\nMAIL FROM:<a@b> SIZE=5\r\nQUIT\r\n", "250 my.host Hello x [10.0.0.1]\r\n"
      "501 <a@b> SIZE=5: malformed address: SIZE=5 may not follow <a@b> \r\n" BYE },
    { "unqualified", HELLO "MAIL FROM:<a>\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c>\r\nRCPT TO:<postmaster>\r\nQUIT\r\n", GREETING
      "501 <a>: sender address must contain a domain\r\n250 OK\r\n501 <c>: recipient address must contain a domain\r\n"
      "250 Accepted\r\n" BYE },
    { "refusals", HELLO "MAIL FROM:<hi@x>\r\nRCPT TO:<deny@b>\r\nRCPT TO:<text@b>\r\nRCPT TO:<defer@b>\r\nDATA\r\nQUIT\r\n",
      GREETING "250 hi there\r\n550 Administrative prohibition\r\n553-5.7.1 one\r\n553 5.7.1 two\r\n"
      "451 Temporary local problem - please try later\r\n503 Valid RCPT command must precede DATA\r\n" BYE },
    { "one refusal", HELLO "MAIL FROM:<a@b>\r\nRCPT TO:<deny@b>\r\nDATA\r\nQUIT\r\n", GREETING "250 OK\r\n"
      "550 Administrative prohibition\r\n503-All RCPT commands were rejected with this error:\r\n"
      "503-Administrative prohibition\r\n503 Valid RCPT command must precede DATA\r\n" BYE },
    { "drop", HELLO "MAIL FROM:<drop@x>\r\nNOOP\r\n", GREETING "550 go away\r\n" },
    { "too many recipients", HELLO START "RCPT TO:<e@f>\r\nRCPT TO:<e@f>\r\nRCPT TO:<e@f>\r\nQUIT\r\n", GREETING STARTED
      "250 Accepted\r\n250 Accepted\r\n452 too many recipients\r\n" BYE },
    { "data refused", HELLO START "DATA\r\nSubject: deny\r\n\r\n.\r\nQUIT\r\n", GREETING STARTED ENTER "550 no\r\n" BYE },
    { "header line", HELLO START "DATA\r\nS: LONG\r\n\r\n.\r\nNOOP\r\nQUIT\r\n", GREETING STARTED ENTER
      "552 A message header line is too long\r\n250 OK\r\n" BYE },
    { "data lost", HELLO START "DATA\r\nSubject: x\r\n", GREETING STARTED ENTER LOST },
    { "dsn", HELLO "MAIL FROM:<a@b> RET=X\r\nMAIL FROM:<a@b> ENVID=a+2b\r\nMAIL FROM:<a@b> RET=HDRS ENVID=x+2B\r\n"
      "RCPT TO:<a@b> NOTIFY=NEVER,DELAY\r\nRCPT TO:<a@b> NOTIFY=\r\nQUIT\r\n", GREETING "501 Value for RET is invalid\r\n"
      "501 Value for ENVID is invalid\r\n250 OK\r\n501 Invalid value for NOTIFY parameter\r\n"
      "501 Invalid value for NOTIFY parameter\r\n" BYE },
    { "chunks", HELLO START "BDAT 12\r\nSubject: x\r\nBDAT 5 LAST\r\n\r\nhi\n" "QUIT\r\n", GREETING STARTED
      "250 12 byte chunk received\r\n250- 5 byte chunk, total 17\r\n250 OK id=ID\r\n" BYE },
    { "chunk, then DATA", HELLO START "BDAT 2\r\nabDATA\r\nNOOP\r\nBDAT 4 LAST\r\nQUITRSET\r\nNOOP\r\nQUIT\r\n", GREETING STARTED
      "250 2 byte chunk received\r\n503 only BDAT permissible after non-LAST BDAT\r\n503 only RSET accepted now\r\n"
      "503 only RSET accepted now\r\n250 Reset OK\r\n250 OK\r\n" BYE },
    { "chunk, then RSET", HELLO START "BDAT 2\r\nabRSET\r\nNOOP\r\nQUIT\r\n", GREETING STARTED
      "250 2 byte chunk received\r\n250 Reset OK\r\n250 OK\r\n" BYE },
    { "chunk without a recipient", HELLO "BDAT 8 LAST\r\nRSET\r\n\r\nQUIT\r\n", GREETING
      "503 valid RCPT command must precede BDAT\r\n" BYE },
    { "chunks not offered", "BDAT 4\r\nQUIT\r\n", "503 BDAT command used when CHUNKING not advertised\r\n" BYE },
    { "bare LF ends commands", "NOOP\nQUIT\n", "250 OK\r\n" BYE },
    { "NUL", "NOOP\r\nNO%P\r\nQUIT\r\n", "250 OK\r\n500 unrecognized command\r\n" BYE },
    { "discarded", HELLO "MAIL FROM:<a@b>\r\nRCPT TO:<discard@x>\r\nDATA\r\nS: x\r\n.\r\nQUIT\r\n", GREETING STARTED ENTER
      "250 OK id=ID\r\n" BYE },
    { "PRDR", HELLO "MAIL FROM:<a@b> PRDR\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@b>\r\nDATA\r\nS: x\r\n.\r\nQUIT\r\n", GREETING
      "250 OK, PRDR Requested\r\n250 Accepted\r\n250 Accepted\r\n" ENTER "353 PRDR content analysis beginning\r\n"
      "250 PRDR R=<a@b> acceptance\r\n250 PRDR R=<c@b> acceptance\r\n250 OK id=ID\r\n" BYE },
};
/* clang-format on */

/* LONG stands for a long text, a per cent sign for NUL. */
static struct str input_of(struct arena *a, const char *in)
{
    const char *mark = strstr(in, "LONG");

    if (mark != NULL)
        in = arena_printf(a, "%.*s%0600d%s", (int)(mark - in), in, 0, mark + 4);
    char *copy = arena_strdup(a, in);
    size_t len = strlen(copy);
    for (char *p = copy; (p = strchr(p, '%')) != NULL;)
        *p++ = '\0';
    return (struct str){ copy, len };
}

/* Message ids become ID; the banner goes. */
static const char *normal(char *out)
{
    const char banner[] = "220 hello\r\n";

    if (strncmp(out, banner, strlen(banner)) != 0)
        return out;
    out += strlen(banner);
    for (char *p = out; (p = strstr(p, "id=")) != NULL; p += 5) {
        memcpy(p + 3, "ID", 2);
        memmove(p + 5, p + 3 + MSGID_LEN, strlen(p + 3 + MSGID_LEN) + 1);
    }
    return out;
}

static void answers_as_exim(void **state)
{
    struct smtp_world w;

    smtp_world_open(&w, config);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str in = input_of(*state, rows[i].in);

        CHECK_STR(rows[i].name, normal(smtp_world_talk(&w, *state, &in, 1)), rows[i].out);
    }
    smtp_world_close(&w);
}

static void answers_the_same_however_the_input_is_cut(void **state)
{
    struct smtp_world w;

    smtp_world_open(&w, config);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str in = input_of(*state, rows[i].in);

        for (size_t cut = 1; cut < in.len; cut += 3) {
            const struct str pieces[] = { { in.p, cut }, { in.p + cut, in.len - cut } };

            CHECK_STR(rows[i].name, normal(smtp_world_talk(&w, *state, pieces, 2)), rows[i].out);
        }
    }
    smtp_world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(answers_as_exim),
        UNIT_TEST(answers_the_same_however_the_input_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
