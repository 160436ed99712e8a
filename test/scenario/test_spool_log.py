"""Messages that are in the log of the spool only: the tools, the death of processes, a second daemon, a full disk."""

import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from exim import Exim, wait_until
from smtp import Smtp

CONFIG = """
host_lookup =
acl_smtp_rcpt = accept
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
check_spool_space = 0
check_spool_inodes = 0
{main}
begin routers
slow:
  driver = accept
  transport = slow
begin transports
slow:
  driver = pipe
  command = /bin/sh -c "while [ ! -e {dir}/go ]; do sleep 0.05; done; cat > `mktemp {dir}/mail/$message_exim_id.XXXXXX`"
  path = /bin:/usr/bin
  user = {user}
begin retry
* * F,2h,15m
"""


class Held(Exim):
    """Deliveries wait until they are let go."""

    def __init__(self, folder, main=""):
        super().__init__(folder, CONFIG, main=main, user="nobody" if os.geteuid() == 0 else os.environ.get("USER", "nobody"))
        (self.dir / "mail").mkdir(exist_ok=True)
        if self.user:
            os.chown(self.dir / "mail", self.user.pw_uid, self.user.pw_gid)

    def let_go(self):
        (self.dir / "go").touch()

    def send(self, s, size=100):
        """The message's id; None: it was refused."""
        s.ok("MAIL FROM:<a@here.test>")
        s.ok("RCPT TO:<b@here.test>")
        s.ok("DATA", "3")
        s.send("Subject: t\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72) + "\r\n")
        got = s.cmd(".")
        return got.rsplit("=", 1)[1] if got.startswith("250") else None

    def copies(self):
        return sorted(p.name[:16] for p in (self.dir / "mail").iterdir())

    def files(self):
        return [p.name for p in (self.dir / "spool" / "input").rglob("*-H")]

    def deliveries(self):
        return re.findall(r" (\S+) => b <b@here.test>", self.mainlog())

    def roles(self, name):
        out = subprocess.run(["ps", "-o", "pid=,args=", "-g", str(self.process.pid)], capture_output=True, text=True).stdout
        return {int(pid) for pid in re.findall(rf"^ *(\d+) exim: {name}", out, re.M)}

    def new_queue(self, sig, to=None):
        """After a signal, to the queue process or to another, there is a queue process that was not there before."""
        old = wait_until(lambda: self.roles("queue"))
        os.kill(to or max(old), sig)
        wait_until(lambda: self.roles("queue") - old)


@pytest.fixture
def held(tmp_path):
    made = []

    def make(main=""):
        made.append(Held(tmp_path / "exim", main))
        return made[-1]

    yield make
    for e in made:
        e.let_go()
        e.stop()


@pytest.mark.parametrize("main", ["", "split_spool_directory = true"])
def test_the_tools_see_a_message_without_files(held, main):
    e = held(main).start()
    with Smtp(e.port) as s:
        s.ok("EHLO x")
        ids = [e.send(s)]
        wait_until(lambda: e.roles("delivering"))
        queue = max(e.roles("queue"))
        os.kill(queue, signal.SIGSTOP)
        ids += [e.send(s) for _ in range(6 + 4 * os.cpu_count())]  # more than are delivered at once
    assert not e.files()
    assert set(e.queue()) == set(ids)
    removed, frozen, first = ids[-1], ids[-2], ids[0]
    with ThreadPoolExecutor() as pool:  # these two have not had their turn yet
        tools = [pool.submit(e.run, *args) for args in (("-Mrm", removed), ("-Mf", frozen))]
        time.sleep(1)
        os.kill(queue, signal.SIGCONT)
    assert "has been removed" in tools[0].result().stdout
    assert "is now frozen" in tools[1].result().stdout
    assert e.run("-Mvh", first).stdout.startswith(f"{first}-H\n")
    assert e.run("-Mvb", first).stdout.startswith(f"{first}-D\nxxx")
    assert "\nSubject: t\n\nxxx" in e.run("-Mvc", first).stdout
    assert f"{first}-H" not in e.files()
    assert e.run("-Mrm", first, check=False).stdout == f"Message {first} is locked\n"
    assert set(e.queue()) == set(ids) - {removed}
    e.let_go()
    wait_until(lambda: e.mainlog().count("Completed") == len(ids) - 1)  # the removed one, but not the frozen one
    e.stop()
    assert e.queue() == [frozen]
    e.run("-Mt", frozen)
    e.run("-q")
    assert sorted(e.deliveries()) == e.copies() == sorted(set(ids) - {removed})


def test_who_takes_the_queue_over_does_not_deliver_again(held):
    e = held().start()
    with Smtp(e.port) as s:
        s.ok("EHLO x")
        ids = [e.send(s) for _ in range(4)]
        wait_until(lambda: e.roles("delivering"))
        for sig in (signal.SIGKILL, signal.SIGHUP, signal.SIGKILL):
            e.new_queue(sig, e.process.pid if sig == signal.SIGHUP else None)
            ids.append(e.send(s))
    e.let_go()
    wait_until(lambda: len(e.deliveries()) >= len(ids))
    e.stop()
    assert sorted(e.deliveries()) == e.copies() == sorted(ids)
    assert not e.queue()


def test_two_daemons_share_a_spool(held):
    one, two = held(), held()
    ids = []
    one.start()
    two.start("-q1s")
    two.wait_log("messages go without it")
    for e in (one, two):
        with Smtp(e.port) as s:
            s.ok("EHLO x")
            ids += [e.send(s) for _ in range(3)]
    assert set(one.queue()) == set(ids)
    two.let_go()
    wait_until(lambda: len(one.deliveries()) >= len(ids))
    one.stop()
    two.stop()
    assert sorted(one.deliveries()) == one.copies() == sorted(ids)
    assert not one.queue()
    assert not (one.dir / "spool" / "wal").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_full_disk_refuses_and_loses_nothing(held):
    e = held("message_logs = false\nsplit_spool_directory = true")
    spool = e.dir / "spool"
    options = f"size=1m,uid={e.user.pw_uid},gid={e.user.pw_gid},mode=750"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", spool]).returncode != 0:
        pytest.skip("this root may not mount")
    try:
        e.start()
        ids, answers = [], []
        with Smtp(e.port) as s:
            s.ok("EHLO x")
            while answers.count(None) < 3:
                answers.append(e.send(s, 40000))
                assert len(answers) < 100
        ids = [a for a in answers if a]
        assert len(ids) > 3
        e.let_go()
        wait_until(lambda: len(e.deliveries()) >= len(ids))
        with Smtp(e.port) as s:  # there is room again, in files or in the log
            s.ok("EHLO x")
            ids.append(wait_until(lambda: e.send(s, 100)))
        wait_until(lambda: len(e.deliveries()) >= len(ids))
        e.stop()
        assert sorted(e.deliveries()) == e.copies() == sorted(ids)
        assert not e.files()
    finally:
        e.let_go()
        e.stop()
        subprocess.run(["umount", "-l", spool], check=True)


def test_messages_wait_when_queue_only_is_switched_on(held):
    e = held().start()
    with Smtp(e.port) as s:
        s.ok("EHLO x")
        ids = [e.send(s) for _ in range(3)]
    wait_until(lambda: e.roles("delivering"))
    e.conf.write_text("queue_only\n" + e.conf.read_text())
    e.new_queue(signal.SIGHUP, e.process.pid)
    wait_until(lambda: e.mainlog().count("daemon started") == 2)
    with Smtp(e.port) as s:
        s.ok("EHLO x")
        late = e.send(s)
    e.let_go()
    wait_until(lambda: len(e.deliveries()) == len(ids))
    e.stop()
    assert e.queue() == [late] and e.copies() == sorted(ids)
