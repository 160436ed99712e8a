"""What ACLs and routers see of the parameters, and what they may decide about them."""

import os

import pytest

from reference import Reference
from report import Report
from smtp import Smtp

CONFIG = """
dsn_advertise_hosts = *
acl_smtp_mail = mail
acl_smtp_rcpt = rcpt
acl_smtp_data = data
acl_not_smtp = local
qualify_domain = here.test
trusted_users = {user}
begin acl
mail:
  accept condition = ${if eq{$sender_address}{quiet@here.test}}
         control = no_dsn_success
  accept
rcpt:
  warn logwrite = rcpt $local_part n=$dsn_notify o=$dsn_orcpt e=$dsn_envid r=$dsn_ret
  accept local_parts = muted
         control = no_dsn_success
  accept
data:
  accept condition = ${if eq{$h_subject:}{spam}}
         control = no_dsn_success
  accept condition = ${if eq{$h_subject:}{fake}}
         control = fakereject
  warn logwrite = data n=$dsn_notify o=$dsn_orcpt e=$dsn_envid r=$dsn_ret
  accept
local:
  warn logwrite = local e=$dsn_envid r=$dsn_ret
  accept
begin routers
nobody:
  driver = redirect
  local_parts = nobody
  data = :fail: routed n=$dsn_notify o=$dsn_orcpt e=$dsn_envid r=$dsn_ret
  allow_fail
later:
  driver = redirect
  local_parts = later
  data = :defer: not now
  allow_defer
local:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
begin retry
* * F,2h,15m
"""


@pytest.fixture
def server(site):
    with site(CONFIG, user="nobody") as e:
        yield e


def send(e, recipients, sender="alice@here.test", subject="x", mail="", code="2"):
    with Smtp(e.port) as s:
        s.ok("EHLO client.test")
        s.ok(f"MAIL FROM:<{sender}>{mail}")
        for address, parameters in recipients:
            s.ok(f"RCPT TO:<{address}@here.test>{parameters}")
        s.ok("DATA", "3")
        s.send(f"Subject: {subject}\r\n\r\nbody\r\n")
        s.ok(".", code)


def test_acls_and_routers_see_the_parameters(server):
    send(server, [("nobody", " NOTIFY=FAILURE,DELAY ORCPT=rfc822;A+40b")], mail=" RET=HDRS ENVID=e+2Bf")
    server.wait_log(r"rcpt nobody n=FAILURE,DELAY o=rfc822;A\+40b e=e\+2Bf r=HDRS$")
    server.wait_log(r"data n= o= e=e\+2Bf r=HDRS$")
    server.wait_log(r"routed n=FAILURE,DELAY o=rfc822;A\+40b e=e\+2Bf r=HDRS$")


def test_a_local_submission_has_parameters_too(server):
    server.run("-odi", "-f", "alice@here.test", "--dsn-notify=failure", "--dsn-ret=hdrs", "--dsn-envid=q+2B1", "nobody@here.test",
               input="Subject: x\n\nbody\n")
    server.wait_log(r"local e=q\+2B1 r=HDRS$")
    server.wait_log(r"routed n=FAILURE o= e=q\+2B1 r=HDRS$")
    (text,) = server.wait_mail("mail/alice")
    r = Report(text)
    assert r.fields["Original-Envelope-Id"] == "q+1" and r.returned_type == "text/rfc822-headers"
    assert r.one("nobody@here.test")["Final-Log-ID"] in server.mainlog()
    for bad in ("--dsn-notify=perhaps", "--dsn-ret=half", "--dsn-envid=a+2b"):
        assert server.run("-f", "alice@here.test", bad, "nobody@here.test", input="\n", check=False).returncode != 0


def test_success_is_not_offered_where_the_control_says_so(server):
    ask = " NOTIFY=SUCCESS,FAILURE"
    send(server, [("muted", ask), ("one", ask)])                     # for one recipient
    send(server, [("two", ask)], sender="quiet@here.test")           # in MAIL: for all
    send(server, [("three", ask)], subject="spam")                   # in DATA: for all
    send(server, [("four", ask)], subject="fake", code="550")        # who was told no is not told yes
    server.wait_log("Completed", times=4)
    (text,) = server.wait_mail("mail/alice")
    assert [g["Final-Recipient"] for g in Report(text).recipients] == ["rfc822;one@here.test"]
    server.wait_log("Completed", times=5)
    assert server.maildir("mail/quiet") == [] and server.queue() == []


def test_failures_are_reported_in_spite_of_the_control(server):
    send(server, [("nobody", " NOTIFY=SUCCESS,FAILURE")], subject="spam")
    (text,) = server.wait_mail("mail/alice")
    assert Report(text).one("nobody@here.test")["Action"] == "failed"


def test_the_decision_is_kept_in_a_form_that_exim_reads(server):
    send(server, [("later", " NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;a@b")], subject="spam", mail=" ENVID=kept")
    server.wait_log("not now")
    server.stop()
    (header,) = (server.dir / "spool/input").rglob("*-H")
    assert "\nlater@here.test rfc822;a@b 10,8  0,-1#3\n" in header.read_text()
    reference = Reference(server)
    listing = reference.run("-bp").stdout
    assert "later@here.test" in listing and "error" not in listing, listing


def test_exim_reads_a_message_with_notes_and_a_report_that_waits(server):
    """What a kill between the steps of reporting leaves (doc/dev/reports.md)."""
    send(server, [("later", ""), ("one", "")])
    server.wait_log("not now")
    server.wait_mail("mail/one")
    server.stop()
    (header,) = (server.dir / "spool/input").rglob("*-H")
    report = "1zzzzz-000001-0a"
    journal = header.with_name(header.name[:-1] + "J")
    journal.write_text(f"dsn intent {report}\ndsn success 1 1 0 0 0 - - -\n")
    if server.user:
        os.chown(journal, server.user.pw_uid, server.user.pw_gid)
    text = header.read_text().replace("\n-body_linecount", f"\n-dsn_report_of {report}\n-body_linecount", 1)
    header.write_text(text)
    reference = Reference(server)
    p = reference.run("-v", "-M", header.name[:16])
    log = server.mainlog()
    assert log.count("== later@here.test R=later defer") == 2 and "journal" not in log, log
    assert "unknown" not in p.stderr and "ormat error" not in p.stderr + server.mainlog() + server.paniclog(), p.stderr
    assert "later@here.test" in reference.run("-bp").stdout
    assert len(server.maildir("mail/one")) == 1
