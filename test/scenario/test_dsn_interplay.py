"""Reports where addresses multiply, change or must not be shown; and with LMTP and Debian's Exim as next hops."""

import pytest
from reference import Reference

from exim import free_port
from report import Report
from sink import Sink
from smtp import Smtp

CONFIG = """
dsn_advertise_hosts = *
acl_smtp_rcpt = accept
qualify_domain = here.test
remote_max_parallel = 1
begin rewrite
old@here.test secret@here.test T
begin routers
onward:
  driver = manualroute
  domains = box.test : oldbox.test : peer.test
  route_list = box.test 127.0.0.1::{lmtp} ; oldbox.test 127.0.0.1::{plain} ; peer.test 127.0.0.1::{peer}
  self = send
  transport = ${if eq{$domain}{peer.test}{to_smtp}{to_lmtp}}
copy:
  driver = accept
  local_parts = both
  unseen
  transport = archive
hidden:
  driver = redirect
  local_parts = hidden
  data = refused@box.test
  hide_child_in_errmsg
once:
  driver = redirect
  local_parts = once
  data = ${if exists{{dir}/changed}{two@here.test}{later@here.test}}
  one_time
later:
  driver = redirect
  local_parts = later
  data = ${if exists{{dir}/changed}{:fail: closed}{:defer: not now}}
  allow_fail
  allow_defer
alias:
  driver = redirect
  local_parts = alias
  data = one@here.test
local:
  driver = accept
  local_parts = alice : one : two : both : secret
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
  return_path_add
archive:
  driver = appendfile
  directory = {dir}/archive
  maildir_format
  create_directory
to_lmtp:
  driver = smtp
  protocol = lmtp
  allow_localhost
to_smtp:
  driver = smtp
  allow_localhost
  hosts_try_chunking =
begin retry
* * F,2h,1s
"""
NOTIFY = [None, "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE"]


def refuse(command):
    return "550 5.2.2 <refused@box.test> is full" if "refused" in command else "250 OK"


@pytest.fixture
def server(site):
    lmtp, plain = (Sink(extensions=x, lmtp=True, answers={"RCPT": refuse}) for x in (["PIPELINING", "DSN"], ["PIPELINING"]))
    peer = free_port()
    with site(CONFIG, lmtp=lmtp.port, plain=plain.port, peer=peer) as e:
        e.lmtp, e.plain, e.peer_port = lmtp, plain, peer
        yield e
    lmtp.close()
    plain.close()


def send(e, recipients, notify=None, orcpt=None, mail=""):
    with Smtp(e.port) as s:
        s.ok("EHLO client.test")
        s.message("alice@here.test", recipients, mail=mail, rcpt=(f" NOTIFY={notify}" if notify else "") +
                  (f" ORCPT={orcpt}" if orcpt else ""))


def reports(e, count):
    got = [Report(t) for t in (e.wait_mail("mail/alice", count) if count else e.maildir("mail/alice"))]
    assert len(got) == count
    return got


def settled(e, messages):
    e.wait_log("Completed", times=messages)


def test_lmtp_with_dsn_gets_the_parameters(server):
    send(server, ["x@box.test"], "SUCCESS,DELAY", "rfc822;A+2Bb@c.test", " RET=HDRS ENVID=e1")
    settled(server, 1)
    (m,) = server.lmtp.messages
    assert "RET=HDRS" in m["mail"] and "ENVID=e1" in m["mail"]
    assert "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;A+2Bb@c.test" in m["rcpt"][0]
    reports(server, 0)


@pytest.mark.parametrize("domain,success", [("box.test", 0), ("oldbox.test", 2)])
def test_notify_with_lmtp_servers(server, domain, success):
    for notify in NOTIFY:
        send(server, [f"x@{domain}"], notify)
    settled(server, len(NOTIFY) + success)
    for r in reports(server, success):
        group = r.one(f"x@{domain}")
        assert group["Action"] in ("delivered", "relayed") and group["Diagnostic-Code"] == "smtp; 250 OK id=sunk"
    for notify in NOTIFY:
        send(server, [f"refused@{domain}"], notify)
    failures = [r for r in reports(server, success + 3) if r.recipients[0]["Action"] == "failed"]
    assert len(failures) == 3
    for r in failures:
        group = r.one(f"refused@{domain}")
        assert group["Status"] == "5.2.2" and group["Diagnostic-Code"] == "smtp; 550 5.2.2 <refused@box.test> is full"


def test_unseen_makes_one_report(server):
    send(server, ["both@here.test"], "SUCCESS")
    settled(server, 2)
    (r,) = reports(server, 1)
    assert r.one("both@here.test")["Action"] in ("delivered", "expanded")
    assert len(server.maildir("archive")) == len(server.maildir("mail/both")) == 1


def test_alias_and_target_are_both_reported(server):
    send(server, ["alias@here.test", "one@here.test", "one@here.test"], "SUCCESS")
    settled(server, 2)
    (r,) = reports(server, 1)
    assert {g["Final-Recipient"] for g in r.recipients} == {"rfc822;alias@here.test", "rfc822;one@here.test"}
    assert all(g["Action"] == "delivered" for g in r.recipients) and len(server.maildir("mail/one")) == 1


def test_a_rewritten_address_is_never_shown(server):
    send(server, ["old@here.test"], "SUCCESS")
    settled(server, 2)
    (r,) = reports(server, 1)
    assert r.one("old@here.test")["Action"] == "delivered" and len(server.maildir("mail/secret")) == 1
    assert "secret" not in r.human + str(r.recipients) + str(r.message["X-Failed-Recipients"])


def test_a_hidden_target_is_never_shown(server):
    send(server, ["hidden@here.test"], "FAILURE", "rfc822;hidden@here.test")
    (r,) = reports(server, 1)
    group = r.one("hidden@here.test")
    assert group["Action"] == "failed" and group["Status"] == "5.2.2"
    assert "box.test" not in r.text and "refused" not in r.text and "hidden@here.test" in r.human


def test_what_one_time_kept_is_reported_as_submitted(server):
    send(server, ["once@here.test"], "FAILURE", "rfc822;first@x.test", " ENVID=e2")
    server.wait_log("not now")
    (server.dir / "changed").touch()
    server.run("-qff")
    (r,) = reports(server, 1)
    group = r.one("once@here.test")
    assert group["Action"] == "failed" and group["Original-Recipient"] == "rfc822;first@x.test"
    assert r.message["X-Failed-Recipients"] == "once@here.test" and r.fields["Original-Envelope-Id"] == "e2"
    assert server.maildir("mail/two") == []


PEER = """
dsn_advertise_hosts = {offers}
acl_smtp_rcpt = accept
qualify_domain = here.test
begin routers
here:
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


@pytest.mark.parametrize("offers", ["*", ""])
def test_debians_exim_as_next_hop(server, site, offers):
    """It has in its spool what we passed on; where it offers no DSN we report."""
    peer = Reference(site(PEER, name="peer", offers=offers))
    peer.port = server.peer_port
    peer.start("-odq")
    try:
        send(server, ["one@peer.test"], "SUCCESS", "rfc822;A+2Bb@c.test", " RET=HDRS ENVID=e3")
        settled(server, 1)
    finally:
        peer.stop()
    (header,) = (peer.dir / "spool/input").rglob("*-H")
    if offers:
        assert "\n-dsn_envid e3\n-dsn_ret 2\n" in header.read_text()
        assert "\none@peer.test rfc822;A+2Bb@c.test 19,4  0,-1#3\n" in header.read_text()
        reports(server, 0)
    else:
        assert "dsn" not in header.read_text()
        group = reports(server, 1)[0].one("one@peer.test")
        assert group["Action"] == "relayed" and group["Original-Recipient"] == "rfc822;A+b@c.test"


EVERY = [None, "NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE", "SUCCESS,DELAY", "FAILURE,DELAY", "SUCCESS,FAILURE,DELAY"]
FLAGS = {"NEVER": 2, "SUCCESS": 4, "FAILURE": 8, "DELAY": 16}


@pytest.mark.parametrize("offers", ["*", ""])
def test_every_notify_with_debians_exim_as_next_hop(server, site, offers):
    """What it was told, in its spool; where it offers no DSN, who of us hears of it."""
    peer = Reference(site(PEER, name="peer", offers=offers))
    peer.port = server.peer_port
    peer.start("-odq")
    relayed = [] if offers else [i for i, word in enumerate(EVERY) if "SUCCESS" in (word or "")]
    try:
        for i, word in enumerate(EVERY):
            send(server, [f"n{i}@peer.test"], word)
        settled(server, len(EVERY) + len(relayed))
    finally:
        peer.stop()
    lines = "\n".join(h.read_text() for h in (peer.dir / "spool/input").rglob("*-H")).split("\n")
    for i, word in enumerate(EVERY):
        flags = sum(FLAGS[w] for w in word.split(",")) if word and offers else 0
        assert (f"n{i}@peer.test  0,{flags}  0,-1#3" if flags else f"n{i}@peer.test") in lines
    got = {g["Final-Recipient"]: g["Action"] for r in reports(server, len(relayed)) for g in r.recipients}
    assert got == {f"rfc822;n{i}@peer.test": "relayed" for i in relayed}
