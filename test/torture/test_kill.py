"""kill -9 at the nth system call that changes something, and errors at it, while a message is taken and
delivered. The oracle: what was answered 250 is delivered or still queued whole; nothing is delivered twice; a
queue run afterwards leaves no file behind."""

import os
import subprocess

import pytest

from exim import binary

CONFIG = """
acl_smtp_rcpt = accept
qualify_domain = here.test
begin routers
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
* * F,2h,1m
"""
DIALOGUE = ("EHLO x\r\nMAIL FROM:<a@here.test>\r\nRCPT TO:<one@here.test>\r\nRCPT TO:<two@here.test>\r\nDATA\r\n"
            "Subject: torture\r\n\r\nwhole text\r\n.\r\nQUIT\r\n")
# Quick form: every third call; TORTURE=full tries every one.
STEP = 1 if os.environ.get("TORTURE") == "full" else 3
CALLS = "openat,write,pwrite64,writev,fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat,ftruncate,mkdir"


def traced(e, inject, count=False):
    out = e.dir / "strace.out"
    command = ["strace", "-f", "-qq", "-o", out, "-e", f"trace={CALLS}"]
    if inject:
        command += ["-e", f"inject={CALLS}:{inject}"]
    if e.user:
        command = ["setpriv", f"--reuid={e.user.pw_uid}", f"--regid={e.user.pw_gid}", "--clear-groups", *command]
    p = subprocess.run([*map(str, command), binary(), "-C", e.conf, "-odf", "-bs"], input=DIALOGUE, text=True,
                       capture_output=True, timeout=60, env=e._env(), cwd=e.dir, start_new_session=True)
    if count:
        return len(out.read_text().splitlines())
    return p.stdout


def settle(e):
    """What happens afterwards on any server: a queue run."""
    e.run("-qff", check=False)
    e.run("-qff", check=False)


def check(e, out, what):
    accepted = "\n250 OK id=" in "\n" + out
    got = {name: e.maildir(f"mail/{name}") for name in ("one", "two")}
    for name, mail in got.items():
        assert len(mail) <= 1, f"{what}: {name} got it {len(mail)} times"
        assert all(m.endswith("whole text\n") and "Subject: torture\n" in m for m in mail), f"{what}: not whole"
        if accepted:
            assert len(mail) == 1, f"{what}: answered 250, {name} got nothing\n{e.mainlog()}{e.paniclog()}"
    left = [p.name for p in (e.dir / "spool" / "input").rglob("*") if p.is_file() and p.name.endswith(("-H", "-J"))]
    assert not left, f"{what}: left in the spool: {left}"


@pytest.mark.skipif(subprocess.run(["strace", "-V"], capture_output=True).returncode != 0, reason="no strace")
@pytest.mark.parametrize("fault", ["signal=KILL", "error=EIO", "error=ENOSPC"])
def test_nothing_is_lost_or_doubled(site, fault):
    total = traced(site(CONFIG, name="count"), None, count=True)
    assert total > 20
    for n in range(1, total + 1, STEP):
        e = site(CONFIG, name=f"n{n}")
        out = traced(e, f"{fault}:when={n}")
        settle(e)
        check(e, out, f"{fault} at call {n}")
