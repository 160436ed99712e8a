"""Delivery status notifications with other servers as next hops: who reports, and that we read each other."""

import re

import pytest

from exim import wait_until
from postfix import Postfix
from report import Report
from smtp import Smtp

CONFIG = """
dsn_advertise_hosts = *
acl_smtp_rcpt = accept
qualify_domain = here.test
begin routers
local:
  driver = accept
  domains = here.test
  transport = maildir
lasthop:
  driver = manualroute
  domains = lasthop.test
  dsn_lasthop
  route_list = * 127.0.0.1
  self = send
  transport = peer
peer:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = peer
begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
  return_path_add
peer:
  driver = smtp
  port = {peer}
  allow_localhost
begin retry
* * F,2h,15m
"""


@pytest.fixture
def postfix(tmp_path, site):
    """Our server, and a Postfix that takes user@postfix.test and user@lasthop.test and sends the rest to us."""
    us = site(CONFIG, peer=0)
    with Postfix(tmp_path / "postfix", users=["user@postfix.test", "user@lasthop.test"], relay=f"[127.0.0.1]:{us.port}") as peer:
        us.write_config(CONFIG, peer=peer.port)
        with us:
            us.peer = peer
            yield us


def send(e, recipient, notify, orcpt="rfc822;Orig+40x.test", mail=" RET=HDRS ENVID=Env+2B1"):
    with Smtp(e.port) as s:
        s.ok("EHLO client.test")
        s.message("alice@here.test", [recipient], mail=mail, rcpt=f" NOTIFY={notify} ORCPT={orcpt}")


def one_report(e):
    """The only report that came, in the form that our server makes or the peer's, as a message."""
    (text,) = e.wait_mail("mail/alice")
    return text


def test_postfix_reports_success_with_what_we_passed_on(postfix):
    send(postfix, "user@postfix.test", "SUCCESS")
    text = one_report(postfix)
    assert "Reporting-MTA: dns; postfix.peer.test" in text and "Action: delivered" in text
    assert "Original-Envelope-Id: Env+1" in text and "Original-Recipient: rfc822;Orig@x.test" in text
    assert "Final-Recipient: rfc822; user@postfix.test" in text


def test_we_report_what_postfix_refuses(postfix):
    send(postfix, "nobody@postfix.test", "FAILURE")
    r = Report(one_report(postfix))
    group = r.one("nobody@postfix.test")
    assert r.fields["Reporting-MTA"] == "dns; mail.here.test" and r.fields["Original-Envelope-Id"] == "Env+1"
    assert group["Action"] == "failed" and group["Status"] == "5.1.1"
    assert group["Original-Recipient"] == "rfc822;Orig@x.test"
    assert group["Diagnostic-Code"].startswith("smtp; 550 5.1.1 <nobody@postfix.test>: Recipient address rejected")
    assert r.returned_type == "text/rfc822-headers"


def test_last_hop_before_postfix_is_ours_to_report(postfix):
    send(postfix, "user@lasthop.test", "SUCCESS")
    r = Report(one_report(postfix))
    assert r.one("user@lasthop.test")["Action"] == "relayed" and r.fields["Reporting-MTA"] == "dns; mail.here.test"
    wait_until(lambda: len(postfix.peer.maildir("user@lasthop.test")) == 1)  # our report does not wait for it


def test_nobody_reports_never(postfix):
    for recipient in ("user@postfix.test", "nobody@postfix.test"):
        send(postfix, recipient, "NEVER")
    postfix.wait_log("Completed", times=2)
    postfix.peer.wait_log("removed")
    assert postfix.maildir("mail/alice") == [] and postfix.queue() == []


EVERY = [None, "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"]


def test_every_notify_with_postfix(postfix):
    """Whom it delivers to it reports on; whom it refuses, we do. Told apart by ENVID."""
    success = {f"s{i}" for i, word in enumerate(EVERY) if "SUCCESS" in (word or "")}
    failure = {f"f{i}" for i, word in enumerate(EVERY) if word is None or "FAILURE" in word}
    for i, word in enumerate(EVERY):
        rcpt = f" NOTIFY={word}" if word else ""
        with Smtp(postfix.port) as s:
            s.ok("EHLO client.test")
            s.message("alice@here.test", ["user@postfix.test"], mail=f" ENVID=s{i}", rcpt=rcpt)
            s.message("alice@here.test", ["nobody@postfix.test"], mail=f" ENVID=f{i}", rcpt=rcpt)
    texts = postfix.wait_mail("mail/alice", len(success) + len(failure))
    postfix.wait_log("Completed", times=2 * len(EVERY) + len(success) + len(failure))
    postfix.peer.wait_log("removed", times=len(EVERY) + len(success))
    assert len(postfix.maildir("mail/alice")) == len(texts) and postfix.queue() == []
    told = {re.search(r"^Original-Envelope-Id: (\w+)", t, re.M)[1]: t for t in texts}
    assert set(told) == success | failure
    for envid, text in told.items():
        ours, action = ("mail.here.test", "failed") if envid in failure else ("postfix.peer.test", "delivered")
        assert f"Reporting-MTA: dns; {ours}" in text and f"\nAction: {action}\n" in text
