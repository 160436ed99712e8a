"""The same SMTP dialogue with Debian's Exim and with ours: -bs and -bh must answer alike.

4.96 is not 4.89: replies that differ for a reason are rewritten by DIFFERENCES before they are compared.
"""

import re

import pytest
from exim import munge
from reference import Reference

CONFIG = """
qualify_domain = here.test
hosts_connection_nolog = *
{main}
acl_smtp_helo = helo
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
acl_smtp_predata = predata
acl_smtp_data = data
acl_smtp_vrfy = accept
acl_smtp_expn = accept
begin acl
helo:
  deny message = I know you\\n and do not like you
       condition = ${if eq{$sender_helo_name}{bad.test}}
  accept
mail:
  deny senders = spammer@*
       message = no mail of $sender_address
  defer senders = later@*
  drop senders = out@*
       message = 554 out
  accept
rcpt:
  deny local_parts = denied
  deny local_parts = told
       message = told so
  deny local_parts = coded
       message = 552 5.7.9 coded
  defer local_parts = later
        message = come back
  discard local_parts = gone
  require message = relaying
          domains = here.test
  accept local_parts = plain
  require verify = recipient
  accept
predata:
  deny condition = ${if eq{$recipients_count}{3}}
       message = three is a crowd
  accept
data:
  deny condition = ${if match{$h_subject:}{spam}}
       message = spam: $h_subject:
  defer condition = ${if match{$h_subject:}{grey}}
  discard condition = ${if match{$h_subject:}{hole}}
  accept
begin routers
closed:
  driver = redirect
  domains = here.test
  local_parts = closed
  data = :fail: this mailbox is closed
  allow_fail
full:
  driver = redirect
  domains = here.test
  local_parts = full
  data = :defer: this mailbox is full
  allow_defer
list:
  driver = redirect
  domains = here.test
  local_parts = list
  data = one@here.test, closed@here.test
local:
  driver = accept
  domains = here.test
  local_parts = one : two : plain : postmaster
  transport = nothing
begin transports
nothing:
  driver = appendfile
  file = /dev/null
begin retry
* * F,2h,15m
"""

MESSAGE = "Subject: {}\n\nbody\n."
DIALOGUES = {
    "hello": "HELO client.test\nHELO\nEHLO\nEHLO client.test\nHELO a_b\nHELO [1.2.3.4]\nEHLO [IPv6:::1]\nEHLO bad.test\n"
             "HELO x y\nehlo -bad-",
    "order": "MAIL FROM:<a@b.test>\nRCPT TO:<one@here.test>\nRCPT TO:<one@here.test>\nMAIL FROM:<c@d.test>\nRSET\n"
             "RCPT TO:<one@here.test>\nDATA\nEHLO c.test\nDATA\nMAIL FROM:<>\nDATA\nRSET now\nNOOP\nNOOP x",
    "commands": "HELP\nHELP MAIL\nFOO\n\nMAIL\nRCPT\nMAIL FROM\nMAIL FROM:\nMAIL TO:<a@b>\nVRFY\nEXPN\nETRN\nAUTH\nSTARTTLS\n"
                "BDAT\nQUITX",
    "addresses": "EHLO c.test\nMAIL FROM:a@b.test\nRSET\nMAIL FROM: <a@b.test>\nRSET\nMAIL FROM:<a@b.test\nMAIL FROM:<@x,@y:a@b.test>\n"
                 "RSET\nMAIL FROM:<a b@c.test>\nMAIL FROM:<\"a b\"@c.test>\nRSET\nMAIL FROM:<a@b@c>\nMAIL FROM:<a..b@c.test>\n"
                 "MAIL FROM:<.a@c.test>\nMAIL FROM:<a@[1.2.3.4]>\nMAIL FROM:<a@>\nMAIL FROM:<@b>\nMAIL FROM:<a@b_c.test>\nMAIL FROM:<a@-b.test>",
    "unqualified": "EHLO c.test\nMAIL FROM:<a>\nMAIL FROM:<>\nRCPT TO:<one>\nRCPT TO:<>\nRCPT TO:<postmaster>\n"
                   "RCPT TO:one@here.test\nRCPT TO:<one@here.test> X=Y",
    "mail parameters": "EHLO c.test\nMAIL FROM:<a@b.test> SIZE=100\nRSET\nMAIL FROM:<a@b.test> SIZE=999999999\nMAIL FROM:<a@b.test> SIZE=x\n"
                       "MAIL FROM:<a@b.test> BODY=8BITMIME\nRSET\nMAIL FROM:<a@b.test> BODY=7BIT SIZE=1\nRSET\nMAIL FROM:<a@b.test> BODY=X\n"
                       "MAIL FROM:<a@b.test> FOO\nMAIL FROM:<a@b.test> FOO=BAR\nMAIL FROM:<a@b.test> SIZE\nRSET\nMAIL FROM:<a@b.test> AUTH=<>",
    "acl of MAIL": "EHLO c.test\nMAIL FROM:<spammer@b.test>\nMAIL FROM:<later@b.test>\nMAIL FROM:<out@b.test>\nNOOP",
    "acl of RCPT": "EHLO c.test\nMAIL FROM:<a@b.test>\nRCPT TO:<denied@here.test>\nRCPT TO:<told@here.test>\nRCPT TO:<coded@here.test>\n"
                   "RCPT TO:<later@here.test>\nRCPT TO:<gone@here.test>\nRCPT TO:<x@away.test>\nRCPT TO:<plain@here.test>",
    "verify": "EHLO c.test\nMAIL FROM:<a@b.test>\nRCPT TO:<one@here.test>\nRCPT TO:<nobody@here.test>\nRCPT TO:<closed@here.test>\n"
              "RCPT TO:<full@here.test>\nRCPT TO:<list@here.test>\nRCPT TO:<ONE@HERE.TEST>",
    "accepted": "EHLO c.test\nMAIL FROM:<a@b.test>\nRCPT TO:<one@here.test>\nDATA\n" + MESSAGE.format("fine") + "\nQUIT",
    "refused at the end": "HELO c.test\nMAIL FROM:<a@b.test>\nRCPT TO:<one@here.test>\nDATA\n" + MESSAGE.format("spam, spam")
                          + "\nMAIL FROM:<a@b.test>\nRCPT TO:<one@here.test>\nDATA\n" + MESSAGE.format("grey")
                          + "\nMAIL FROM:<a@b.test>\nRCPT TO:<one@here.test>\nDATA\n" + MESSAGE.format("hole") + "\nQUIT",
    "no recipients": "EHLO c.test\nMAIL FROM:<a@b.test>\nRCPT TO:<told@here.test>\nDATA\nRSET\nMAIL FROM:<a@b.test>\nRCPT TO:<gone@here.test>\nDATA\n"
                     + MESSAGE.format("x"),
    "predata": "EHLO c.test\nMAIL FROM:<a@b.test>\nRCPT TO:<one@here.test>\nRCPT TO:<two@here.test>\nRCPT TO:<plain@here.test>\nDATA\nQUIT",
    "bdat": "EHLO c.test\nMAIL FROM:<a@b.test>\nRCPT TO:<one@here.test>\nBDAT x\nRSET\nMAIL FROM:<a@b.test>\nBDAT 0 LAST",
    "no recipients, errors": "EHLO c.test\nRCPT TO:<a@b.test>\nDATA\nDATA\nRSET\nDATA\n",
    "no recipients, plain": "HELO c.test\nMAIL FROM:<a@b.test>\nRCPT TO:<told@here.test>\nRCPT TO:<told@here.test>\nDATA\n"
                            "RCPT TO:<denied@here.test>\nDATA\n",
    "no recipients, again": "EHLO c.test\nMAIL FROM:<a@b.test>\nRCPT TO:<later@here.test>\nNOOP\nDATA\nRSET\nMAIL FROM:<a@b.test>\nDATA\n"
                            "RCPT TO:<x@here.test> FOO=BAR\nDATA\n",
    "nonmail": "VRFY one@here.test\n" * 6 + "RSET\n" + "EXPN one@here.test\n" * 6,
    "vrfy of others": "VRFY full@here.test\nVRFY postmaster\nVRFY\nVRFY one@@\nEXPN\nEXPN <closed@here.test>\nEXPN full@here.test\n"
                      "EXPN a b\n",
    "vrfy": "EHLO c.test\nVRFY one@here.test\nVRFY <nobody@here.test>\nVRFY closed@here.test\nEXPN list@here.test\nEXPN one",
    "too many errors": "HELO c.test\n" + "FOO\n" * 5,
    "unknown commands": "A\nB\nC\nD\nE\nF",
    "long": "EHLO " + "c" * 300 + ".test\nMAIL FROM:<" + "a" * 300 + "@b.test>\nRCPT TO:<a@" + "b." * 200 + "test>\nNOOP " + "x" * 3000,
}
MAINS = {
    "plain": "",
    "strict": "helo_verify_hosts = *\nsmtp_accept_max_nonmail = 3\nsmtp_max_synprot_errors = 1\nsmtp_max_unknown_commands = 2\n"
              "recipients_max = 1\nrecipients_max_reject = true\n",
    "lax": "helo_accept_junk_hosts = *\nhelo_allow_chars = _\nallow_domain_literals\nsender_unqualified_hosts = *\n"
           "recipient_unqualified_hosts = *\nstrip_excess_angle_brackets\nstrip_trailing_dot\nmessage_size_limit = 1000\n"
           "smtp_return_error_details\nsmtp_etrn_command = /bin/true\n",
    "banner": "smtp_banner = one\\ntwo $primary_hostname\nchunking_advertise_hosts =\npipelining_advertise_hosts =\n"
              "accept_8bitmime = false\n",
}

# pattern, replacement, why
DIFFERENCES = [
    (r"Exim 4\.\d+(_\d+)?( #\d+)?", "Exim <version>", "the version"),
    (r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), .*$", "<date>", "the time of the banner"),
    (r"^250-(PIPE_CONNECT|PIPECONNECT|SMTPUTF8|PRDR|LIMITS.*)$\n?", "", "4.96 has more extensions"),
    (r"^250-DSN$\n?", "", "only offered here by dsn_advertise_hosts"),
    (r"^250-STARTTLS$\n?", "", "4.96 makes itself a certificate"),
    (r"^214 AUTH STARTTLS ", "214 AUTH ", "the same in HELP"),
]


def same_terms(text):
    text = munge(text.replace("\r", ""))
    for pattern, replacement, _ in DIFFERENCES:
        text = re.sub(pattern, replacement, text, flags=re.M)
    return text.splitlines()


def talk(e, mode, dialogue):
    text = "".join(line + "\r\n" for line in dialogue.split("\n"))
    return same_terms(e.run(*mode, input=text, check=False).stdout)


MODES = {"-bs": ["-odq", "-bs"], "-bh": ["-bh", "192.0.2.9"]}


@pytest.mark.parametrize("main", MAINS)
@pytest.mark.parametrize("mode", MODES)
def test_answers_are_the_same(site, mode, main):
    ours = site(CONFIG, "ours", main=MAINS[main])
    theirs = Reference(site(CONFIG, "theirs", main=MAINS[main]), "hosts_require_helo =\n")  # new in 4.96

    wrong = []
    for name, dialogue in DIALOGUES.items():
        got, want = talk(ours, MODES[mode], dialogue), talk(theirs, MODES[mode], dialogue)
        if got != want:
            rows = [f"  want {w}\n  got  {g}" for w, g in zip(want, got) if w != g]
            rows += [f"  only Exim: {w}" for w in want[len(got):]] + [f"  only here: {g}" for g in got[len(want):]]
            wrong.append(name + "\n" + "\n".join(rows))
    assert not wrong, "\n".join(wrong)
