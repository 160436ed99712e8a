"""Which process is whom, while mail flows: only the broker is root, and it reads nothing from outside."""

import os
import pwd
from pathlib import Path

import pytest

from smtp import Smtp

CONFIG = """
exim_user = nobody
exim_group = nogroup
acl_smtp_rcpt = accept
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
  user = {mail_user}
begin retry
"""


def family(pid):
    """All processes below pid: {pid: (title, uids, fields of status)}."""
    found, parents = {}, {pid}
    for _ in range(4):
        for path in Path("/proc").glob("[0-9]*"):
            try:
                status = dict(line.split(":\t", 1) for line in (path / "status").read_text().splitlines() if ":\t" in line)
                title = (path / "cmdline").read_text().rstrip("\0").replace("\0", " ")
            except OSError:
                continue
            if int(status["PPid"]) in parents or int(path.name) == pid:
                parents.add(int(path.name))
                found[int(path.name)] = (title, {int(u) for u in status["Uid"].split()}, status)
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to show what is given up")
def test_only_the_broker_is_root(site):
    mail_user = next(u for u in ("mail", "games", "man") if u in {p.pw_name for p in pwd.getpwall()})
    e = site(CONFIG, as_root=True, mail_user=mail_user)
    (e.dir / "mail").mkdir()
    (e.dir / "mail").chmod(0o777)
    for parent in e.dir.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    e.start()
    with Smtp(e.port) as s:
        s.ok("EHLO x")
        s.message("a@b.test", ["c@here.test"])
        e.wait_log("Completed")
        processes = family(e.process.pid)
    root = {pid for pid, (_, uids, _s) in processes.items() if 0 in uids}
    assert root == {e.process.pid}, processes
    nobody, mail = pwd.getpwnam("nobody").pw_uid, pwd.getpwnam(mail_user).pw_uid
    roles = {title: uids for _pid, (title, uids, _s) in processes.items()}
    assert any("acceptor" in t for t in roles) and any("queue" in t for t in roles)
    for title, uids in roles.items():
        if "local delivery" in title:
            assert uids == {mail}, title
        elif "daemon" not in title:
            assert uids == {nobody}, title
    sessions = [s for t, _u, s in processes.values() if "handling" in t or "session" in t]
    assert sessions and all(s["NoNewPrivs"] == "1" and s["Seccomp"] == "2" for s in sessions)
    for pid, (title, _uids, _s) in processes.items():
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(fd)
            assert "/spool/input" not in target or "deliver" in title or "session" in title, (title, target)
    assert (e.dir / "mail/c/new").stat().st_uid == mail


def test_a_malformed_message_stays_where_it_is(site):
    e = site(CONFIG.replace("exim_user = nobody\nexim_group = nogroup\n", "").replace("  user = {mail_user}\n", ""))
    e.run("-odq", "c@here.test", input="Subject: x\n\nbody\n")
    (name,) = e.queue()
    header = next((e.dir / "spool").rglob(f"{name}-H"))
    for damage in (b"", header.read_bytes()[:40], b"\0" * 500, header.read_bytes().replace(b"-H\n", b"-X\n", 1)):
        header.write_bytes(damage)
        e.run("-qff", check=False)
        assert header.exists() and not e.maildir("mail/c")
    assert name in e.mainlog() + e.paniclog()
