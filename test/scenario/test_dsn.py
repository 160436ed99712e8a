"""Who hears what: NOTIFY x outcome x expansion on the real daemon, every report read by a strict parser."""

import time

import pytest

from report import Report
from sink import Sink
from smtp import Smtp

CONFIG = """
dsn_advertise_hosts = *
acl_smtp_rcpt = accept
qualify_domain = here.test
delay_warning = {warn}
remote_max_parallel = 1
{main}
begin routers
alias:
  driver = redirect
  domains = here.test
  data = ${lookup{$local_part}lsearch{{dir}/aliases}}
  allow_fail
  allow_defer
list:
  driver = redirect
  domains = here.test
  local_parts = list
  data = one@here.test, gone@here.test
  errors_to = owner@here.test
local:
  driver = accept
  domains = here.test
  local_parts = alice : one : two : owner
  transport = maildir
lasthop:
  driver = manualroute
  domains = last.test
  dsn_lasthop
  route_list = * 127.0.0.1
  self = send
  transport = to_aware
aware:
  driver = manualroute
  domains = aware.test
  route_list = * 127.0.0.1
  self = send
  transport = to_aware
unaware:
  driver = manualroute
  domains = unaware.test
  route_list = * 127.0.0.1
  self = send
  transport = to_unaware
begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
  return_path_add
to_aware:
  driver = smtp
  port = {aware}
  allow_localhost
  hosts_try_chunking =
to_unaware:
  driver = smtp
  port = {unaware}
  allow_localhost
  hosts_try_chunking =
begin retry
* * F,2h,15m
"""
ALIASES = """\
single: one@here.test
pair: one@here.test, two@here.test
relayed: x@unaware.test
onward: x@aware.test
nobody: :fail: this mailbox is closed
later: :defer: come back tomorrow
"""


def refuse(command):
    return "550 5.1.1 no such user" if "refused" in command else "250 OK"


@pytest.fixture
def stage(site):
    aware = Sink(extensions=["PIPELINING", "DSN"], answers={"RCPT": refuse}, name="aware.sink")
    unaware = Sink(extensions=["PIPELINING"], answers={"RCPT": refuse}, name="unaware.sink")

    def make(main="", warn=""):
        e = site(CONFIG, aware=aware.port, unaware=unaware.port, main=main, warn=warn)
        (e.dir / "aliases").write_text(ALIASES)
        e.aware, e.unaware = aware, unaware
        return e

    yield make
    aware.close()
    unaware.close()


def send(e, recipient, notify=None, orcpt=None, mail=""):
    with Smtp(e.port) as s:
        s.ok("EHLO client.test")
        rcpt = (f" NOTIFY={notify}" if notify else "") + (f" ORCPT={orcpt}" if orcpt else "")
        s.message("alice@here.test", [recipient], mail=mail, rcpt=rcpt)


def reports(e, name="alice"):
    return [Report(t) for t in e.maildir(f"mail/{name}")]


# recipient, Action of a success, Action of a failure
SUCCESSES = [("one@here.test", "delivered"), ("x@unaware.test", "relayed"), ("x@last.test", "relayed"),
             ("single@here.test", "delivered"), ("pair@here.test", "expanded"), ("relayed@here.test", "relayed"),
             ("onward@here.test", "relayed"), ("x@aware.test", None)]
FAILURES = ["nobody@here.test", "refused@unaware.test", "refused@aware.test", "none@nowhere.test"]
NOTIFY = [None, "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "SUCCESS,FAILURE,DELAY"]


@pytest.mark.parametrize("recipient,action", SUCCESSES)
def test_a_success_is_reported_if_asked_for(stage, recipient, action):
    with stage() as e:
        for notify in NOTIFY:
            send(e, recipient, notify, "rfc822;orig+40there")
        e.wait_log("Completed", times=len(NOTIFY))
        expected = sum("SUCCESS" in (n or "") for n in NOTIFY) if action else 0
        if expected:
            e.wait_mail("mail/alice", expected)
        time.sleep(0.3)
        got = reports(e)
        assert len(got) == expected
        for r in got:
            group = r.one(recipient)
            assert group["Action"] == action and group["Status"] == "2.0.0"
            assert group["Original-Recipient"] == "rfc822; orig@there" or group["Original-Recipient"] == "rfc822;orig@there"
            assert r.returned_type == "text/rfc822-headers"


@pytest.mark.parametrize("recipient", FAILURES)
def test_a_failure_is_reported_unless_declined(stage, recipient):
    with stage() as e:
        for notify in NOTIFY:
            send(e, recipient, notify)
        e.wait_log("Completed", times=len(NOTIFY))
        expected = sum(n is None or "FAILURE" in n for n in NOTIFY)
        e.wait_mail("mail/alice", expected)
        time.sleep(0.3)
        got = reports(e)
        assert len(got) == expected
        for r in got:
            group = r.one(recipient)
            assert group["Action"] == "failed" and group["Status"].startswith("5.")
            assert "Original-Recipient" not in group
            assert r.message["X-Failed-Recipients"] == recipient
            if recipient.startswith("refused"):
                assert group["Status"] == "5.1.1"
                assert group["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
                assert group["Remote-MTA"].startswith("dns;")


def test_parameters_go_to_an_aware_host_unchanged(stage):
    with stage() as e:
        send(e, "x@aware.test", "SUCCESS,DELAY", "rfc822;Some+2BOne@X.test", " RET=HDRS ENVID=Abc+2B1")
        e.wait_log("Completed")
    m = e.aware.messages[0]
    assert "RET=HDRS" in m["mail"] and "ENVID=Abc+2B1" in m["mail"]
    assert "NOTIFY=SUCCESS,DELAY" in m["rcpt"][0] and "ORCPT=rfc822;Some+2BOne@X.test" in m["rcpt"][0]


@pytest.mark.parametrize("recipient", ["onward@here.test", "x@last.test", "x@unaware.test"])
def test_redirected_last_hop_and_unaware_get_no_parameters(stage, recipient):
    with stage() as e:
        send(e, recipient, "SUCCESS", "rfc822;a@b", " RET=FULL ENVID=secret")
        e.wait_log("Completed")
    m = (e.aware.messages + e.unaware.messages)[0]
    for word in ("RET=", "ENVID=", "SUCCESS", "ORCPT="):
        assert word not in m["mail"] + m["rcpt"][0]


def test_one_report_leaves_out_those_who_declined(stage):
    with stage() as e:
        with Smtp(e.port) as s:
            s.ok("EHLO client.test")
            s.ok("MAIL FROM:<alice@here.test>")
            s.ok("RCPT TO:<nobody@here.test> NOTIFY=FAILURE")
            s.ok("RCPT TO:<gone@here.test> NOTIFY=NEVER")
            s.ok("RCPT TO:<lost@nowhere.test>")
            s.ok("DATA", "3")
            s.send("Subject: x\r\n\r\nx\r\n")
            s.ok(".")
        e.wait_mail("mail/alice")
        (r,) = reports(e)
        assert {g["Final-Recipient"] for g in r.recipients} == {"rfc822;nobody@here.test", "rfc822;lost@nowhere.test"}
        assert "gone@here.test" not in r.text.split("rfc822", 1)[0] and "gone" not in r.message["X-Failed-Recipients"]


def test_a_list_is_delivered_and_its_owner_hears_of_members(stage):
    with stage() as e:
        send(e, "list@here.test", "SUCCESS,FAILURE", "rfc822;the-list@here.test", " ENVID=mine")
        e.wait_mail("mail/owner")
        e.wait_mail("mail/alice")
        (mine,), (owners,) = reports(e), reports(e, "owner")
        assert mine.one("list@here.test")["Action"] == "delivered" and mine.fields["Original-Envelope-Id"] == "mine"
        assert owners.recipients[0]["Action"] == "failed"
        assert "Original-Envelope-Id" not in owners.fields and "Original-Recipient" not in owners.recipients[0]


def test_ret_and_limits_choose_what_comes_back(stage):
    with stage("bounce_return_size_limit = 500") as e:
        send(e, "nobody@here.test", None, None, " RET=HDRS")
        send(e, "nobody@here.test", None, None, " RET=FULL")
        with Smtp(e.port) as s:
            s.ok("EHLO client.test")
            s.message("alice@here.test", ["nobody@here.test"], "Subject: long\r\n\r\n" + "x" * 70 + "\r\n" * 1 + ("y" * 70 + "\r\n") * 20,
                      mail=" RET=FULL")
        e.wait_mail("mail/alice", 3)
        headers, full, limited = sorted(reports(e), key=lambda r: ("Subject: long" in r.returned, r.returned_type == "message/rfc822"))
        assert headers.returned_type == "text/rfc822-headers" and "\nbody" not in headers.returned
        assert full.returned_type == "message/rfc822" and "\nbody" in full.returned
        assert limited.returned_type == "text/rfc822-headers" and limited.returned.startswith("X-Exim-DSN-Information: ")


def test_envid_is_decoded_in_the_report(stage):
    with stage() as e:
        send(e, "nobody@here.test", None, None, " ENVID=a+2Bb")
        e.wait_mail("mail/alice")
        assert reports(e)[0].fields["Original-Envelope-Id"] == "a+b"


def test_null_sender_gets_no_report_and_the_message_waits(stage):
    with stage() as e:
        with Smtp(e.port) as s:
            s.ok("EHLO client.test")
            s.message("", ["nobody@here.test"], rcpt=" NOTIFY=SUCCESS,FAILURE")
        e.wait_log(r"Frozen \(delivery error message\)")
        assert len(e.queue()) == 1


def test_a_delay_is_reported_to_those_who_want_it(stage):
    with stage(warn="1s") as e:
        for notify in (None, "DELAY", "NEVER", "FAILURE"):
            send(e, "later@here.test", notify)
        e.wait_log("defer", times=4)
        time.sleep(1.5)
        e.run("-qff")
        e.wait_mail("mail/alice", 2)
        time.sleep(0.3)
        got = reports(e)
        assert len(got) == 2
        for r in got:
            g = r.one("later@here.test")
            assert g["Action"] == "delayed" and g["Status"].startswith("4.") and "Will-Retry-Until" in g
            assert r.message["Subject"].startswith("Warning: message ")


REFUSED = ["RET=", "RET=BODY", "RET=FULL RET=HDRS", "ENVID=a+2b", "ENVID=a ENVID=b", "ENVID=", "ENVID=a=b"]
REFUSED_RCPT = ["NOTIFY=", "NOTIFY=NEVER,SUCCESS", "NOTIFY=SOMETIMES", "NOTIFY=SUCCESS NOTIFY=DELAY", "ORCPT=a@b", "ORCPT=rfc822;a+4x",
                "ORCPT=rfc822;a ORCPT=rfc822;a", "ORCPT=;a"]


def test_bad_parameters_are_501_and_leave_the_session_clean(stage):
    with stage("smtp_max_synprot_errors = 100") as e, Smtp(e.port) as s:
        s.ok("EHLO client.test")
        for bad in REFUSED:
            assert s.cmd(f"MAIL FROM:<alice@here.test> {bad}").startswith("501"), bad
        s.ok("MAIL FROM:<alice@here.test>")
        for bad in REFUSED_RCPT:
            assert s.cmd(f"RCPT TO:<one@here.test> {bad}").startswith("501"), bad
        s.ok("RCPT TO:<one@here.test> NOTIFY=SUCCESS")


def test_parameters_are_refused_where_dsn_is_not_offered(stage):
    with stage("") as e:
        e.stop()
        e.write_config(CONFIG.replace("dsn_advertise_hosts = *", "dsn_advertise_hosts ="))
        e.start()
        with Smtp(e.port) as s:
            assert "DSN" not in s.ok("EHLO client.test")
            assert s.cmd("MAIL FROM:<alice@here.test> RET=FULL")[:3] in ("555", "501")
            s.ok("MAIL FROM:<alice@here.test>")
            assert s.cmd("RCPT TO:<one@here.test> NOTIFY=NEVER")[:3] in ("555", "501")
