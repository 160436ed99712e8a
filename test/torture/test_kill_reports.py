"""kill -9 and errors at the nth system call of each process while failures, successes and delays are reported.
The oracle: after queue runs the sender has exactly one report of each that was due, and nothing is left over."""

import os
import re
import subprocess

import pytest

from exim import binary
from report import Report

# Quick form: every fifth call; TORTURE=full tries every one.
STEP = 1 if os.environ.get("TORTURE") == "full" else 5
CALLS = "openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,ftruncate,mkdir"
CONFIG = """
acl_smtp_rcpt = accept
dsn_advertise_hosts = *
qualify_domain = here.test
delay_warning = 1h:24h
begin routers
nobody:
  driver = redirect
  local_parts = nobody
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
begin retry
* * F,4d,1s
"""
# recipient, NOTIFY, Action
KINDS = [("nobody", "FAILURE", "failed"), ("one", "SUCCESS", "delivered"), ("later", "DELAY", "delayed")]


def submit(e, kind):
    """A message that waits in the queue and is two hours old."""
    recipient, notify, _ = kind
    e.run("-odq", "-bs", input=f"EHLO x\r\nMAIL FROM:<alice@here.test>\r\nRCPT TO:<{recipient}@here.test> NOTIFY={notify}\r\n"
                               f"RCPT TO:<other@here.test> NOTIFY=NEVER\r\nDATA\r\nSubject: torture\r\n\r\ntext\r\n.\r\nQUIT\r\n")
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


def check(e, kind, what):
    _, _, action = kind
    texts = e.maildir("mail/alice")
    ids = {re.search(r"^Message-Id: (.*)$", t, re.M)[1] for t in texts}
    assert len(ids) == 1, f"{what}: {len(ids)} reports\n{e.mainlog()}{e.paniclog()}"
    (group,) = Report(texts[0]).recipients
    assert group["Action"] == action, f"{what}: {group}"
    left = [p.name for p in (e.dir / "spool" / "input").rglob("*") if p.is_file() and p.name.endswith(("-H", "-J"))]
    assert not left, f"{what}: left in the spool: {left}\n{e.mainlog()}"


@pytest.mark.skipif(subprocess.run(["strace", "-V"], capture_output=True).returncode != 0, reason="no strace")
@pytest.mark.parametrize("fault", ["signal=KILL", "error=EIO", "error=ENOSPC"])
@pytest.mark.parametrize("kind", KINDS, ids=[k[2] for k in KINDS])
def test_a_report_is_made_exactly_once(site, kind, fault):
    e = site(CONFIG, name="count")
    total = traced(e, submit(e, kind), None, count=True)
    assert total > 20
    for n in range(1, total + 1, STEP):
        e = site(CONFIG, name=f"n{n}")
        traced(e, submit(e, kind), f"{fault}:when={n}")
        for _ in range(2):
            e.run("-qff", check=False)
        (e.dir / "open").touch()
        for _ in range(2):
            e.run("-qff", check=False)
        check(e, kind, f"{fault} at call {n}")
