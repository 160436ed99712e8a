"""Which process is whom, while mail flows: only the broker is root, and it reads nothing from outside."""

import os
import pwd
import threading
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
        for target, _writes in fds(pid):
            assert "/spool/input" not in target or "deliver" in title or "session" in title, (title, target)
    assert (e.dir / "mail/c/new").stat().st_uid == mail


def fds(pid):
    """What a process has open: [(path, may write)]"""
    found = []
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return []
    for n in numbers:
        try:
            target = os.readlink(f"/proc/{pid}/fd/{n}")
            flags = int(Path(f"/proc/{pid}/fdinfo/{n}").read_text().split("flags:")[1].split()[0], 8)
        except OSError:  # closed meanwhile, or the process ended
            continue
        found.append((target.removesuffix(" (deleted)"), flags & os.O_ACCMODE != os.O_RDONLY))
    return found


def kind_of(title, pid, broker):
    if pid == broker:
        return "broker"
    for word, kind in (("acceptor", "acceptor"), ("queue", "queue"), ("local delivery", "agent"), ("session", "session"),
                       ("handling", "session"), ("deliver", "worker")):
        if word in title:
            return kind
    return None  # just forked, without a title yet


# Files that each role may have open beside logs, sockets, pipes, memory files and /dev/null; {} is the installation.
MAY_OPEN = {
    "broker": [],
    "acceptor": [],
    "queue": ["{}/spool"],
    "session": ["{}/spool", "/etc/"],
    "worker": ["{}/spool", "/etc/"],
    "agent": ["{}/spool/input/", "{}/mail", "/etc/"],
}
WRITES = {"broker": ["{}/spool/wal"], "acceptor": ["{}/spool/wal"], "queue": ["{}/spool"], "session": ["{}/spool"], "worker": ["{}/spool"], "agent": ["{}/mail", "{}/spool/input/"]}


def look(e, seen):
    """One look at all roles; what each had open is added to seen."""
    for pid, (title, uids, status) in family(e.process.pid).items():
        kind = kind_of(title, pid, e.process.pid)
        if kind is None or status["State"].startswith("Z"):
            continue
        seen.setdefault(kind, 0)
        seen[kind] += 1
        if kind != "broker":
            assert 0 not in uids and 0 not in map(int, status["Gid"].split()), (title, status["Uid"], status["Gid"])
            assert not {int(g) for g in status["Groups"].split()} & {0}, (title, status["Groups"])
            for caps in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(status[caps], 16) == 0, (title, caps, status[caps])
        if kind == "session":
            assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", title
        for target, may_write in fds(pid):
            if not target.startswith("/") or target.startswith((f"{e.dir}/log/", "/dev/null", "/dev/shm", "/memfd:", f"{e.dir}/stderr")):
                continue
            where = [p.replace("{}", str(e.dir)) for p in (WRITES.get(kind, []) if may_write else MAY_OPEN[kind])]
            assert target.startswith(tuple(where)), f"{title} has {target} open{' to write' if may_write else ''}"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to show what is given up")
def test_every_role_has_only_what_it_needs_while_mail_flows(site):
    mail_user = next(u for u in ("mail", "games", "man") if u in {p.pw_name for p in pwd.getpwall()})
    e = site(CONFIG, as_root=True, mail_user=mail_user)
    (e.dir / "mail").mkdir()
    (e.dir / "mail").chmod(0o777)
    for parent in e.dir.parents:
        if str(parent).startswith("/tmp/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    e.start("-q1s")
    over, sent, seen = threading.Event(), [0], {}

    def flow(n):
        while not over.is_set():
            with Smtp(e.port) as s:
                s.ok("EHLO x")
                for i in range(5):
                    s.message("a@b.test", [f"u{n}{i}@here.test", f"v{n}{i}@here.test"])
                    sent[0] += 1
                    over.wait(0.05)

    clients = [threading.Thread(target=flow, args=(n,)) for n in range(3)]
    for c in clients:
        c.start()
    try:
        for _ in range(10):
            look(e, seen)
    finally:
        over.set()
        for c in clients:
            c.join()
    assert set(seen) == set(MAY_OPEN), seen
    assert sent[0] > 10


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
