"""RFC 6533: reports on messages with SMTPUTF8, in UTF-8 and, where that cannot travel, in ASCII."""

import re
import time

import pytest

from report import Report
from sink import Sink
from smtp import Smtp

CONFIG = """
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
smtp_max_synprot_errors = 100
acl_smtp_rcpt = accept
qualify_domain = here.test
delay_warning = 2s
begin routers
onward:
  driver = manualroute
  domains = plain.test : modern.test
  route_list = plain.test 127.0.0.1::{plain} ; modern.test 127.0.0.1::{modern}
  self = send
  transport = smtp
nobody:
  driver = redirect
  local_parts = n\u00f6body
  data = :fail: Briefkasten geschlossen
  allow_fail
later:
  driver = redirect
  local_parts = sp\u00e4ter
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
smtp:
  driver = smtp
  allow_localhost
  hosts_try_chunking =
begin retry
* * F,2h,15m
"""


@pytest.fixture
def stage(site):
    plain, modern = Sink(extensions=["DSN"], name="plain.sink"), Sink(extensions=["DSN", "SMTPUTF8", "8BITMIME"], name="modern.sink")
    with site(CONFIG, plain=plain.port, modern=modern.port) as e:
        e.plain, e.modern = plain, modern
        yield e
    plain.close()
    modern.close()


def send(e, sender, recipient, notify, orcpt=None, subject="Gr\u00fc\u00dfe"):
    with Smtp(e.port) as s:
        s.ok("EHLO client.test")
        s.message(sender, [recipient], f"Subject: {subject}\r\n\r\nbody\r\n", mail=" SMTPUTF8",
                  rcpt=f" NOTIFY={notify}" + (f" ORCPT={orcpt}" if orcpt else ""))


KINDS = [("n\u00f6body@here.test", "FAILURE", "failed"), ("j\u00f6rg@here.test", "SUCCESS", "delivered"),
         ("sp\u00e4ter@here.test", "DELAY", "delayed")]
IDS = [k[2] for k in KINDS]


def provoke(e, sender, kind, orcpt=None):
    recipient, notify, action = kind
    send(e, sender, recipient, notify, orcpt)
    if action == "delayed":
        e.wait_log("not now")
        time.sleep(2.1)  # delay_warning
        e.run("-qff")


def as_text(data):
    """A message as Report reads it: bytes, with "\\n"."""
    return data.decode("utf-8", "surrogateescape").replace("\r\n", "\n")


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_reports_are_in_utf8(stage, kind):
    provoke(stage, "alice@here.test", kind, "utf-8;\\x{E4}nne+2Bx@x.test")
    (text,) = stage.wait_mail("mail/alice")
    r = Report(text)
    group = r.one(kind[0])
    assert group["Action"] == kind[2] and group["Final-Recipient"] == f"utf-8;{kind[0]}"
    assert group["Original-Recipient"] == "utf-8;\u00e4nne+x@x.test"
    assert r.status_type == "message/global-delivery-status" and "Subject: Gr\u00fc\u00dfe\n" in r.returned
    assert r.returned_type == ("message/global" if kind[2] == "failed" else "message/global-headers")


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_reports_go_to_a_modern_server_in_utf8(stage, kind):
    provoke(stage, "alice@modern.test", kind)
    stage.wait_log("=> alice@modern.test")
    (m,) = stage.modern.messages
    assert " SMTPUTF8" in m["mail"] and "MAIL FROM:<>" in m["mail"] and "NOTIFY=NEVER" not in m["rcpt"][0]
    assert Report(as_text(m["data"])).one(kind[0])["Final-Recipient"] == f"utf-8;{kind[0]}"


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_reports_go_to_a_plain_server_in_ascii(stage, kind):
    provoke(stage, "alice@plain.test", kind, "utf-8;\\x{E4}nne+2Bx@x.test")
    stage.wait_log("=> alice@plain.test")
    stage.wait_log(r"Completed")
    (m,) = stage.plain.messages
    assert " SMTPUTF8" not in m["mail"] and m["data"].isascii()
    r = Report(as_text(m["data"]))
    ascii_form = re.sub(r"[^\x00-\x7f]", lambda c: f"\\x{{{ord(c[0]):X}}}", kind[0])
    group = r.one(ascii_form)
    assert group["Final-Recipient"] == f"utf-8;{ascii_form}" and group["Action"] == kind[2]
    assert group["Original-Recipient"] == "utf-8;\\x{E4}nne\\x{2B}x@x.test"
    assert r.status_type == "message/delivery-status" and kind[0] in r.human and "Subject: Gr\u00fc\u00dfe\n" in r.returned
    assert r.returned_type.startswith("message/global")
    assert "frozen" not in stage.mainlog().lower()


def test_what_is_ascii_is_reported_in_the_old_form(stage):
    send(stage, "alice@plain.test", "joerg@here.test", "SUCCESS", subject="plain")
    stage.wait_log("=> alice@plain.test")
    r = Report(as_text(stage.plain.messages[0]["data"]))
    assert r.status_type == "message/delivery-status" and r.one("joerg@here.test")["Final-Recipient"].startswith("rfc822;")


def test_orcpt_of_type_utf8_is_checked_and_passed_on(stage):
    good = ["\\x{E4}nne@x.test", "a+2Bb@x.test", "\u00e4nne@x.test", "\\x{1F4E7}@x.test"]
    bad = ["\\x{D800}@x.test", "\\x{110000}@x.test", "\\xE4@x.test", "a+b@x.test", "a=b@x.test", "\\x{7}@x.test", ""]
    with Smtp(stage.port) as s:
        s.ok("EHLO client.test")
        s.ok("MAIL FROM:<alice@here.test> SMTPUTF8")
        for text in good:
            s.ok(f"RCPT TO:<x@modern.test> ORCPT=utf-8;{text}")
        for text in bad:
            assert s.cmd(f"RCPT TO:<x@modern.test> ORCPT=utf-8;{text}").startswith("501"), text
    send(stage, "alice@here.test", "x@modern.test", "SUCCESS", "utf-8;\\x{E4}@x.test")
    stage.wait_log("Completed")
    assert "ORCPT=utf-8;\\x{E4}@x.test" in stage.modern.messages[0]["rcpt"][0]
