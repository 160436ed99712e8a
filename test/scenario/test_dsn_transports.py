"""Reports on what pipes and LMTP servers on local sockets did, and recipients that nobody may report on."""

import time

import pytest

from exim import wait_until
from report import Report
from sink import Sink
from smtp import Smtp

CONFIG = """
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
acl_smtp_rcpt = accept
qualify_domain = here.test
delay_warning = 2s
remote_max_parallel = 1
begin routers
commands:
  driver = accept
  local_parts = ${if match{$local_part}{^exit}{$local_part}}
  transport = command
boxes:
  driver = accept
  domains = aware.test : plain.test : modern.test : ascii.\u00f6.test
  address_data = ${if match{$domain}{^ascii}{plain.test}{$domain}}
  transport = lmtp
alias:
  driver = redirect
  local_parts = alias
  data = refused@next.test
hidden:
  driver = redirect
  local_parts = hidden
  data = refused@next.test
  hide_child_in_errmsg
onward:
  driver = manualroute
  domains = next.test
  route_list = * 127.0.0.1
  self = send
  transport = to_next
causes:
  driver = accept
  local_parts = toobig : missing : denied
  transport = $local_part
notls:
  driver = manualroute
  domains = notls.test
  route_list = * 127.0.0.1
  self = send
  transport = notls
local:
  driver = accept
  domains = here.test
  transport = maildir
begin transports
toobig:
  driver = appendfile
  directory = {dir}/mail/toobig
  message_size_limit = 10
missing:
  driver = pipe
  command = /nonexistent/program
denied:
  driver = pipe
  command = /bin/true
  allow_commands = /bin/false
notls:
  driver = smtp
  port = {next}
  allow_localhost
  hosts_require_tls = *
command:
  driver = pipe
  command = /bin/sh -c "cat >/dev/null; exit ${substr_4:$local_part}"
lmtp:
  driver = lmtp
  socket = {dir}/$address_data
  batch_max = 100
to_next:
  driver = smtp
  port = {next}
  allow_localhost
  dsn_never_null_sender
maildir:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
begin retry
* * F,2h,15m
"""
NOTIFY = [None, "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "SUCCESS,DELAY", "FAILURE,DELAY",
          "SUCCESS,FAILURE,DELAY"]


def refuse(command):
    return "550 5.2.1 <refused@next.test> is closed" if "refused" in command else "250 OK"


@pytest.fixture
def server(site):
    nexthop = Sink(extensions=["PIPELINING"], answers={"RCPT": refuse})
    e = site(CONFIG, next=nexthop.port)
    e.next = nexthop
    offers = {"aware.test": ["DSN", "PIPELINING"], "plain.test": ["PIPELINING"], "modern.test": ["DSN", "SMTPUTF8", "8BITMIME"]}
    e.boxes = {name: Sink(extensions=x, lmtp=True, answers={"RCPT": refuse}, path=e.dir / name) for name, x in offers.items()}
    with e:
        yield e
    for s in [nexthop, *e.boxes.values()]:
        s.close()


def send(e, recipients, sender="alice@here.test", mail="", subject="x"):
    """recipients: pairs of address and parameters."""
    with Smtp(e.port) as s:
        s.ok("EHLO client.test")
        s.ok(f"MAIL FROM:<{sender}>{mail}")
        for address, rcpt in recipients:
            s.ok(f"RCPT TO:<{address}>{rcpt}")
        assert s.cmd("DATA").startswith("354")
        s.ok(f"Subject: {subject}\r\n\r\nbody\r\n.")


def notify(word):
    return f" NOTIFY={word}" if word else ""


def groups(e, action):
    """Of all reports that alice has: the recipients with this action."""
    return [g for t in e.maildir("mail/alice") for g in Report(t).recipients if g["Action"] == action]


# exit code, Action, Status, which NOTIFY hears of it
PIPES = [(0, "delivered", "2.0.0", lambda w: "SUCCESS" in (w or "")), (67, "failed", "5.1.1", lambda w: not w or "FAILURE" in w),
         (69, "failed", "5.3.0", lambda w: not w or "FAILURE" in w), (75, "delayed", "4.3.0", lambda w: not w or "DELAY" in w)]


@pytest.mark.parametrize("code,action,status,heard", PIPES, ids=[str(p[0]) for p in PIPES])
def test_pipes(server, code, action, status, heard):
    for word in NOTIFY:
        send(server, [(f"exit{code}@here.test", notify(word))])
    due = sum(map(heard, NOTIFY))
    if action == "delayed":
        server.wait_log(f"== exit{code}", times=len(NOTIFY))
        time.sleep(2.1)  # delay_warning
        server.run("-qff")
    server.wait_mail("mail/alice", due)
    if action != "delayed":
        server.wait_log("Completed", times=len(NOTIFY) + due)
    got = groups(server, action)
    assert len(got) == due == len(server.maildir("mail/alice"))
    for g in got:
        assert g["Status"] == status and g["Final-Recipient"] == f"rfc822;exit{code}@here.test"
        assert "Remote-MTA" not in g and ("Diagnostic-Code" in g) == (action != "delivered")


def test_lmtp_on_a_socket_gets_the_parameters(server):
    send(server, [("x@aware.test", " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;A+2Bb@c.test"), ("y@aware.test", " NOTIFY=NEVER")],
         mail=" RET=HDRS ENVID=e+2B1")
    server.wait_log("Completed")
    (m,) = server.boxes["aware.test"].messages
    assert m["mail"] == "MAIL FROM:<alice@here.test> RET=HDRS ENVID=e+2B1"
    assert m["rcpt"] == ["RCPT TO:<x@aware.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;A+2Bb@c.test",
                         "RCPT TO:<y@aware.test> NOTIFY=NEVER"]
    assert server.maildir("mail/alice") == []


def test_lmtp_on_a_socket_without_dsn_is_reported_on_here(server):
    for word in NOTIFY:
        send(server, [("x@plain.test", notify(word)), ("refused@plain.test", notify(word))])
    server.wait_log("Completed", times=len(NOTIFY) + 9)
    delivered, failed = groups(server, "delivered"), groups(server, "failed")
    assert len(delivered) == sum("SUCCESS" in (w or "") for w in NOTIFY)
    assert len(failed) == sum(not w or "FAILURE" in w for w in NOTIFY)
    assert {g["Diagnostic-Code"] for g in delivered} == {"smtp; 250 OK id=sunk"}
    assert {g["Status"] for g in failed} == {"5.2.1"} and all("5.2.1 <refused@" in g["Diagnostic-Code"] for g in failed)
    assert all("NOTIFY" not in c for m in server.boxes["plain.test"].messages for c in m["rcpt"])


def test_smtputf8_over_lmtp_on_a_socket(server):
    send(server, [("j\u00f6rg@modern.test", " ORCPT=utf-8;j\u00f6rg@x.test")], mail=" SMTPUTF8", subject="Gr\u00fc\u00dfe")
    server.wait_log("Completed")
    (m,) = server.boxes["modern.test"].messages
    assert m["mail"] == "MAIL FROM:<alice@here.test> SMTPUTF8"
    assert m["rcpt"] == ["RCPT TO:<j\u00f6rg@modern.test> ORCPT=utf-8;j\u00f6rg@x.test"]


def test_lmtp_on_a_socket_without_smtputf8(server):
    send(server, [("x@aware.test", " ORCPT=utf-8;j\u00f6rg@x.test")], mail=" SMTPUTF8")
    server.wait_log("Completed")
    assert server.boxes["aware.test"].messages[0]["rcpt"] == ["RCPT TO:<x@aware.test> ORCPT=utf-8;j\\x{F6}rg@x.test"]
    send(server, [("j\u00f6rg@plain.test", "")], mail=" SMTPUTF8")
    (text,) = server.wait_mail("mail/alice")
    assert Report(text).one("j\u00f6rg@plain.test")["Status"] == "5.6.7" and server.boxes["plain.test"].messages == []


def test_domains_are_made_ascii_if_the_message_says_so(server):
    """As Exim's control = utf8_downconvert leaves it in the spool."""
    recipients = "".join(f"RCPT TO:<{r}@ascii.\u00f6.test>\r\n" for r in ("x", "j\u00f6rg"))
    server.run("-odq", "-bs", input=(f"EHLO x\r\nMAIL FROM:<alice@here.test> SMTPUTF8\r\n{recipients}DATA\r\n"
                                     "Subject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n").encode().decode("latin-1"))
    (header,) = (server.dir / "spool/input").rglob("*-H")
    assert "\n-smtputf8\n" in header.read_text()
    header.write_text(header.read_text().replace("\n-smtputf8\n", "\n-smtputf8\n-utf8_downcvt\n"))
    server.run("-qff")
    (text,) = server.wait_mail("mail/alice")
    assert Report(text).one("j\u00f6rg@ascii.\u00f6.test")["Status"] == "5.6.7"
    assert server.boxes["plain.test"].messages[0]["rcpt"] == ["RCPT TO:<x@ascii.xn--nda.test>"]


def test_a_report_in_utf8_is_made_again_for_lmtp_without_it(server):
    send(server, [("exit67@here.test", "")], sender="alice@plain.test", mail=" SMTPUTF8", subject="Gr\u00fc\u00dfe")
    server.wait_log("=> alice@plain.test|=> alice <alice@plain.test>")
    (m,) = server.boxes["plain.test"].messages
    r = Report(m["data"].decode("ascii").replace("\r\n", "\n"))
    assert r.status_type == "message/delivery-status" and "Subject: Gr\u00fc\u00dfe" in r.returned
    assert r.one("exit67@here.test")["Status"] == "5.1.1" and "frozen" not in server.mainlog().lower()


def test_never_goes_with_an_empty_sender_where_it_cannot_be_said(server):
    send(server, [("a@next.test", " NOTIFY=NEVER"), ("b@next.test", ""), ("refused@next.test", " NOTIFY=NEVER"),
                  ("c@next.test", " NOTIFY=SUCCESS")])
    server.wait_mail("mail/alice")
    server.wait_log("Completed", times=2)
    sent = {m["mail"].split(" SIZE")[0]: sorted(m["rcpt"]) for m in server.next.messages}
    assert sent == {"MAIL FROM:<>": ["RCPT TO:<a@next.test>"],
                    "MAIL FROM:<alice@here.test>": ["RCPT TO:<b@next.test>", "RCPT TO:<c@next.test>"]}
    assert server.next.connections == 1
    assert [g["Final-Recipient"] for g in groups(server, "relayed")] == ["rfc822;c@next.test"]


def run_until_completed(server):
    """The run that left the message may not have put it away yet."""
    def completed():
        server.run("-qff")
        return "Completed" in server.mainlog()

    wait_until(completed)


def test_of_two_transactions_only_the_one_that_failed_is_tried_again(server):
    answers = iter(["250 OK", "451 4.3.0 later"])
    server.next.answers["DATA."] = lambda _: next(answers)
    send(server, [("a@next.test", " NOTIFY=NEVER"), ("b@next.test", "")])
    server.wait_log("== b@next.test")
    server.next.answers["DATA."] = "250 OK"
    run_until_completed(server)
    assert sorted(m["mail"].split(" SIZE")[0] for m in server.next.messages) == ["MAIL FROM:<>", "MAIL FROM:<alice@here.test>"]


def test_a_connection_that_ends_between_the_two_sends_nothing_twice(server):
    answers = iter(["250 OK", None, "250 OK"])

    def end(command):
        answer = next(answers)
        if answer is None:
            raise OSError("closed")
        return answer

    server.next.answers["MAIL"] = end
    send(server, [("a@next.test", " NOTIFY=NEVER"), ("b@next.test", "")])
    server.wait_log("== b@next.test")
    run_until_completed(server)
    assert [m["mail"].split(" SIZE")[0] for m in server.next.messages] == ["MAIL FROM:<>", "MAIL FROM:<alice@here.test>"]


def test_what_the_remote_host_was_told_is_in_the_report(server):
    send(server, [("alias@here.test", "")])
    (text,) = server.wait_mail("mail/alice")
    g = Report(text).one("alias@here.test")
    assert g["SMTP-Remote-Recipient"] == "rfc822;refused@next.test" and g["Status"] == "5.2.1"
    assert g["Diagnostic-Code"] == "smtp; 550 5.2.1 <refused@next.test> is closed"
    for recipient in ("hidden@here.test", "refused@next.test"):
        before = len(server.maildir("mail/alice"))
        send(server, [(recipient, "")])
        text = server.wait_mail("mail/alice", before + 1)
        assert sum("SMTP-Remote-Recipient" in t for t in text) == 1


def test_each_cause_has_its_status(server):
    causes = {"toobig@here.test": "5.2.3", "missing@here.test": "5.3.5", "denied@here.test": "5.7.1", "x@unrouted.test": "5.1.1"}
    send(server, [(address, "") for address in causes])
    (text,) = server.wait_mail("mail/alice")
    assert {g["Final-Recipient"][7:]: g["Status"] for g in Report(text).recipients} == causes
    send(server, [("x@notls.test", "")])
    server.wait_log("== x@notls.test")
    time.sleep(2.1)  # delay_warning
    server.run("-qff")
    assert Report(server.wait_mail("mail/alice", 2)[1]).one("x@notls.test")["Status"] == "4.7.10"
