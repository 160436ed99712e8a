"""Restarts under load: the daemon is killed and ended in turn every few seconds while clients send, and the sums
must agree exactly. SOAK_SECONDS lengthens it."""

import itertools
import os
import random
import re
import socket
import threading
import time
from collections import Counter

from stories import smtp
from torture import Victim, text

SECONDS = float(os.environ.get("SOAK_SECONDS", "14"))
EVERY = float(os.environ.get("SOAK_RESTART", "2.5"))
PAUSE = float(os.environ.get("SOAK_PAUSE", "0.02"))  # of each client after a message
CLIENTS = int(os.environ.get("SOAK_CLIENTS", "4"))
PLACES = {"one@here.test": "maildir", "box@mbox.test": "mbox", "r1@remote.test": "sink"}


class Client(threading.Thread):
    """Sends one message after another, each with a subject of its own; notes what it was answered."""

    numbers = itertools.count()

    def __init__(self, e, end):
        super().__init__(daemon=True)
        self.e, self.end = e, end
        self.taken, self.unknown, self.refused = {}, {}, set()

    def run(self):
        while time.monotonic() < self.end:
            try:
                with socket.create_connection(("127.0.0.1", self.e.port), 10) as s:
                    self.session(s, s.makefile("rb"))
            except OSError:
                time.sleep(0.05)

    def reply(self, stream):
        line = stream.readline()
        while line[3:4] == b"-":
            line = stream.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError
        return line

    def session(self, s, stream):
        if not self.reply(stream).startswith(b"220"):
            return
        s.sendall(b"EHLO client.test\r\n")
        self.reply(stream)
        for _ in range(random.randint(1, 8)):
            if time.monotonic() >= self.end:
                return
            self.message(s, stream)
            time.sleep(PAUSE)

    def message(self, s, stream):
        tag = f"soak-{next(self.numbers)}"
        to = random.choice(list(PLACES))
        for command in smtp("a@here.test", [to], tag)[:-1]:
            s.sendall(command.replace("\n", "\r\n").encode())
            if not self.reply(stream)[:1] in b"23":
                return
        self.unknown[tag] = to  # from here on a lost connection leaves it open
        s.sendall((text(tag) + ".\n").replace("\n", "\r\n").encode())
        answer = self.reply(stream)
        del self.unknown[tag]
        if answer.startswith(b"250"):
            self.taken[tag] = to
        else:
            self.refused.add(tag)


def delivered(e):
    """{(tag, place): copies}"""
    box = e.dir / "mail" / "box.mbox"
    texts = {"maildir": "\n".join(e.maildir("mail/one")), "mbox": box.read_text() if box.exists() else "",
             "sink": "\n".join(m["data"].decode().replace("\r\n", "\n") for m in e.sink.messages)}
    return Counter((tag, place) for place, t in texts.items() for tag in re.findall(r"^Subject: (soak-\d+)$", t, re.M))


def test_sums_agree(request):
    e = Victim()
    request.addfinalizer(e.close)
    e.start("-q1s")
    end = time.monotonic() + SECONDS
    clients = [Client(e, end) for _ in range(CLIENTS)]
    for c in clients:
        c.start()
    kills = 0
    for how in itertools.cycle((e.kill, e.stop)):
        time.sleep(min(EVERY, max(0, end - time.monotonic())))
        if time.monotonic() >= end:
            break
        kills += how == e.kill
        how()
        e.start("-q1s")
    for c in clients:
        c.join(30)
    e.stop()
    e.recover(restart=True)
    got = delivered(e)
    taken = {(t, PLACES[to]) for c in clients for t, to in c.taken.items()}
    maybe = {(t, PLACES[to]) for c in clients for t, to in c.unknown.items()}
    assert len(taken) > 20
    assert not taken - set(got), f"answered 250 and lost: {taken - set(got)}\n{e.mainlog()}"
    assert not set(got) - taken - maybe, f"delivered, but never taken: {set(got) - taken - maybe}"
    assert not {t for c in clients for t in c.refused} & {t for t, _ in got}
    assert not e.queue() and not e.left_over()
    doubled = {k: n for k, n in got.items() if n > 1}
    # What was being delivered at a kill; each worker of the pool has one message at a time, an agent one too.
    assert sum(n - 1 for n in doubled.values()) <= kills * 8, f"{doubled} after {kills} kills"
    print(f"soak: {len(taken)} taken, {len(maybe)} open, {sum(got.values())} delivered, {len(doubled)} twice, {kills} kills")
