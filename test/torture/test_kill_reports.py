"""kill -9 and errors at the nth system call of each process while failures, successes and delays are reported.
The oracle: after queue runs the sender has exactly one report of each that was due, and nothing is left over."""

import os
import re
import subprocess

import pytest

from exim import binary
from report import Report
from sink import Sink

# Quick form: some calls; TORTURE=full tries every one.
FULL = os.environ.get("TORTURE") == "full"
CALLS = "openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,ftruncate,mkdir"
CONFIG = """
acl_smtp_rcpt = accept
dsn_advertise_hosts = *
smtputf8_advertise_hosts = *
qualify_domain = here.test
delay_warning = 1h:24h
dsn_message_directory = {dir}/languages
begin routers
members:
  driver = redirect
  local_parts = members
  data = gone@here.test
  errors_to = owner@here.test
plain:
  driver = accept
  domains = plain.test
  transport = lmtp
nobody:
  driver = redirect
  local_parts = nobody : gone
  data = :fail: this mailbox is closed
  allow_fail
later:
  driver = redirect
  local_parts = later
  data = ${if exists{{dir}/open}{one@here.test}{:defer: come back tomorrow}}
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
lmtp:
  driver = lmtp
  socket = {dir}/plain
begin retry
* * F,4d,1s
"""


class Kind:
    """recipients: local part and NOTIFY. due: (mailbox of the reader, Action) of each report."""

    def __init__(self, name, recipients, due, sender="alice@here.test", header="", seven=False, step=13):
        self.name, self.recipients, self.due, self.sender = name, recipients, sorted(due), sender
        self.header, self.seven, self.step = header, seven, 1 if FULL else step


KINDS = [Kind("failed", [("nobody", "FAILURE")], [("alice", "failed")], step=5),
         Kind("delivered", [("one", "SUCCESS")], [("alice", "delivered")], step=5),
         Kind("delayed", [("later", "DELAY")], [("alice", "delayed")], step=5),
         # of three kinds, to two readers
         Kind("several", [("nobody", "FAILURE"), ("one", "SUCCESS"), ("later", "DELAY"), ("members", "NEVER")],
              [("alice", "failed"), ("alice", "delivered"), ("alice", "delayed"), ("owner", "failed")]),
         Kind("language", [("nobody", "FAILURE")], [("alice", "failed")], header="Accept-Language: de\r\n"),
         # a report in UTF-8, and its second form in ASCII
         Kind("ascii", [("nobody", "FAILURE")], [("plain", "failed")], sender="alice@plain.test", seven=True)]


def prepare(site, name):
    e = site(CONFIG, name=name)
    (e.dir / "languages").mkdir()
    (e.dir / "languages/de").write_text("[failure intro]\nLeider nein.\n")
    e.plain = Sink(lmtp=True, extensions=["PIPELINING"], path=e.dir / "plain")
    return e


def submit(e, kind):
    """A message that waits in the queue and is two hours old."""
    recipients = "".join(f"RCPT TO:<{who}@here.test> NOTIFY={notify}\r\n" for who, notify in kind.recipients)
    subject = "gr\u00fcn" if kind.seven else "torture"
    e.run("-odq", "-bs", input=(f"EHLO x\r\nMAIL FROM:<{kind.sender}>{' SMTPUTF8' if kind.seven else ''}\r\n{recipients}"
                                f"RCPT TO:<other@here.test> NOTIFY=NEVER\r\nDATA\r\nSubject: {subject}\r\n{kind.header}\r\n"
                                "text\r\n.\r\nQUIT\r\n").encode().decode("latin-1"))
    (header,) = (e.dir / "spool" / "input").rglob("*-H")
    text = header.read_text()
    header.write_text(re.sub(r"^(\d{9,}) 0$", lambda m: f"{int(m[1]) - 7200} 0", text, count=1, flags=re.M))
    return header.name[:16]


def traced(e, message, inject, count=False):
    out = e.dir / "strace.out"
    command = ["strace", "-f", "-qq", "-o", out, "-e", f"trace={CALLS}"]
    if inject:
        command += ["-e", f"inject={CALLS}:{inject}"]
    if e.user:
        command = ["setpriv", f"--reuid={e.user.pw_uid}", f"--regid={e.user.pw_gid}", "--clear-groups", *command]
    subprocess.run([*map(str, command), binary(), "-C", e.conf, "-Mc", message], capture_output=True, timeout=60, env=e._env(),
                   cwd=e.dir, start_new_session=True)
    if count:
        calls = [line.split(" ", 1)[0] for line in out.read_text().splitlines()]
        return max(calls.count(pid) for pid in set(calls))  # strace counts for each process by itself
    return 0


def at_plain(e):
    return [m["data"].decode("ascii").replace("\r\n", "\n") for m in e.plain.messages]


def in_german(r):
    return r.language == "de" and r.human.startswith("Leider nein.")


def english_for_a_reason(e, what):
    """The file of the language could not be read, which was logged."""
    return what.startswith("error=") and "languages" in e.mainlog() + e.paniclog()


def check(e, kind, what):
    """A report that was delivered and killed before that was noted is there twice, with one id."""
    texts = {"alice": e.maildir("mail/alice"), "owner": e.maildir("mail/owner"), "plain": at_plain(e)}
    got = []
    for reader, mine in texts.items():
        once = {re.search(r"^Message-Id: (.*)$", t, re.M | re.I)[1]: t for t in mine}
        for text in once.values():
            r = Report(text)
            (group,) = r.recipients
            got.append((reader, group["Action"]))
            assert not kind.header or in_german(r) or english_for_a_reason(e, what), f"{what}: {text}"
            assert not kind.seven or r.seven_bit, f"{what}: {text}"
    assert sorted(got) == kind.due, f"{what}: {got}\n{e.mainlog()}{e.paniclog()}"
    left = [p.name for p in (e.dir / "spool" / "input").rglob("*") if p.is_file() and p.name.endswith(("-H", "-J"))]
    assert not left, f"{what}: left in the spool: {left}\n{e.mainlog()}"


@pytest.mark.skipif(subprocess.run(["strace", "-V"], capture_output=True).returncode != 0, reason="no strace")
@pytest.mark.parametrize("fault", ["signal=KILL", "error=EIO", "error=ENOSPC"])
@pytest.mark.parametrize("kind", KINDS, ids=[k.name for k in KINDS])
def test_a_report_is_made_exactly_once(site, kind, fault):
    e = prepare(site, "count")
    total = traced(e, submit(e, kind), None, count=True)
    e.plain.close()
    assert total > 20
    for n in range(1, total + 1, kind.step):
        e = prepare(site, f"n{n}")
        traced(e, submit(e, kind), f"{fault}:when={n}")
        for _ in range(2):
            e.run("-qff", check=False)
        (e.dir / "open").touch()
        for _ in range(3 if kind.seven else 2):
            e.run("-qff", check=False)
        e.plain.close()
        check(e, kind, f"{fault} at call {n}")
