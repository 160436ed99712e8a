"""Limits hold exactly, whatever else is connected; and a crowd of idle and slow clients harms nobody."""

import os
import selectors
import signal
import socket
import time

import pytest
from exim import children, wait_until
from proxyheader import v1
from smtp import Smtp
from torture import Victim

IDLE = int(os.environ.get("CROWD_IDLE", "200"))
SLOW = int(os.environ.get("CROWD_SLOW", "100"))


@pytest.fixture
def server(request):
    def make(main, *args):
        e = Victim(main=main)
        request.addfinalizer(e.close)
        return e.start(*args, quiet=True)

    return make


def come(e, host="127.0.0.1", before=b""):
    return Smtp(e.port, source=(host, 0), before=before)


def taken(clients):
    return [c.banner[:3] for c in clients]


def leave(client):
    """Says goodbye, and sees the end of the connection."""
    client.ok("QUIT")
    assert client.eof()


def test_accept_max(server):
    e = server("smtp_accept_max = 7\n")
    clients = [come(e) for _ in range(7)]
    assert taken(clients) == ["220"] * 7
    assert come(e).banner.startswith("421 Too many concurrent SMTP connections")
    for _ in range(3):  # there is room for one again at once, and for one only
        leave(clients.pop(0))
        clients.append(come(e))
        assert taken(clients) == ["220"] * 7
        assert come(e).banner.startswith("421")


def test_who_has_left_is_not_counted(server):
    """Not even while the acceptor had no time to hear of it before the next one came."""
    e = server("smtp_accept_max = 3\nsmtp_accept_max_per_host = 2\n")
    clients = [come(e), come(e), come(e, "127.0.0.2")]
    acceptor = children(e.process.pid)["acceptor"]
    os.kill(acceptor, signal.SIGSTOP)
    try:
        again = Smtp(e.port, greet=False)
        leave(clients.pop(0))
    finally:
        os.kill(acceptor, signal.SIGCONT)
    assert again.reply().startswith("220")
    assert come(e).banner.startswith("421")


def test_accept_max_per_host(server):
    e = server("smtp_accept_max_per_host = 3\n")
    a = [come(e, "127.0.0.2") for _ in range(3)]
    b = [come(e, "127.0.0.3") for _ in range(3)]
    assert taken(a + b) == ["220"] * 6
    for host in ("127.0.0.2", "127.0.0.3"):
        assert come(e, host).banner.startswith("421 Too many concurrent SMTP connections from this IP address")
    assert come(e, "127.0.0.4").banner.startswith("220")


def test_accept_reserve(server):
    e = server("smtp_accept_max = 5\nsmtp_accept_reserve = 2\nsmtp_reserve_hosts = 127.0.0.9\n")
    clients = [come(e) for _ in range(3)]
    assert taken(clients) == ["220"] * 3
    assert come(e).banner.startswith("421")

    def reserved():
        """a place for a reserved host"""
        c = come(e, "127.0.0.9")
        clients.append(c)
        return c.banner.startswith("220")

    wait_until(reserved)
    wait_until(reserved)
    assert come(e, "127.0.0.9").banner.startswith("421") and come(e).banner.startswith("421")


def test_accept_max_per_connection(server):
    e = server("smtp_accept_max_per_connection = 3\n")
    with come(e) as s:
        s.ok("EHLO x")
        for _ in range(3):
            s.message("a@here.test", ["one@here.test"])
        assert s.cmd("MAIL FROM:<a@here.test>").startswith("421")
    e.wait_mail("mail/one", 3)


def test_accept_queue_per_connection(server):
    e = server("smtp_accept_queue_per_connection = 2\n")
    with come(e) as s:
        s.ok("EHLO x")
        for _ in range(5):
            s.message("a@here.test", ["one@here.test"])
    e.wait_mail("mail/one", 2)
    e.quiet(still=0.3)
    assert len(e.maildir("mail/one")) == 2
    assert e.mainlog().count("no immediate delivery: more than 2 messages received in one connection") == 3
    assert e.run("-bpc").stdout.strip() == "3"


def test_accept_queue(server):
    e = server("smtp_accept_queue = 2\n")
    clients = [come(e) for _ in range(3)]
    for i, s in enumerate(clients):
        s.ok("EHLO x")
        s.message("a@here.test", [f"u{i}@here.test"])
    e.wait_mail("mail/u0")
    e.wait_mail("mail/u1")
    e.quiet(still=0.3)
    assert not e.maildir("mail/u2") and e.run("-bpc").stdout.strip() == "1"


def test_load_reserve(server):
    e = server("smtp_load_reserve = 2.5\nsmtp_reserve_hosts = 127.0.0.9\n")
    for load, banner in ((2.5, "220"), (2.51, "421"), (0, "220")):
        e.control.load = load
        assert come(e).banner.startswith(banner), load
        assert come(e, "127.0.0.9").banner.startswith("220")


def test_load_reserve_for_all(server):
    e = server("smtp_load_reserve = 2.5\n")
    e.control.load = 2.51
    wait_until(lambda: come(e).banner.startswith("421 Too much load"))
    e.control.load = 2.5
    wait_until(lambda: come(e).banner.startswith("220"))


@pytest.mark.parametrize("latch", [True, False])
def test_queue_only_load(server, latch):
    e = server(f"queue_only_load = 3.0\nqueue_only_load_latch = {str(latch).lower()}\n")
    with come(e) as s:
        s.ok("EHLO x")
        for load in (3.0, 3.01, 1.0):
            e.control.load = load
            s.message("a@here.test", [f"at{load}@here.test"])
            s.ok("NOOP")  # the message is under way when this is answered
    e.wait_mail("mail/at3.0")
    e.quiet(still=0.3)
    assert not e.maildir("mail/at3.01")
    assert bool(e.maildir("mail/at1.0")) != latch
    assert e.mainlog().count("no immediate delivery: load average 3.01") == 1


def test_deliver_queue_load_max(server):
    e = server("deliver_queue_load_max = 4.0\n")
    e.run("-odq", "one@here.test", input="Subject: x\n\nbody\n")
    e.control.load = 4.01
    e.run("-q", check=False)
    assert not e.maildir("mail/one")
    e.control.load = 4.0
    e.run("-q")
    e.wait_mail("mail/one")


def test_per_client_behind_a_proxy(server):
    e = server("hosts_proxy = 127.0.0.1\nproxy_accept_max_per_client = 2\nsmtp_accept_max_per_host = 5\n")

    def client(address):
        return come(e, before=v1(address, "192.0.2.1", 4000, 25)).banner[:3], None

    held = [come(e, before=v1("192.0.2.7", "192.0.2.1", 4000, 25)) for _ in range(2)]
    assert taken(held) == ["220"] * 2
    assert client("192.0.2.7")[0] == "421"
    other = [come(e, before=v1("192.0.2.8", "192.0.2.1", 4000, 25)) for _ in range(2)]
    assert taken(other) == ["220"] * 2
    last = come(e, before=v1("192.0.2.9", "192.0.2.1", 4000, 25))
    assert last.banner.startswith("220")
    assert come(e).banner.startswith("421")  # the proxy itself has its five


class Crowd:
    """Clients that do nothing, and clients that send a byte now and then."""

    def __init__(self, e, idle, slow):
        self.all = []
        self.wait = selectors.DefaultSelector()
        for i in range(idle + slow):
            s = socket.create_connection(("127.0.0.1", e.port), 30, source_address=(f"127.0.1.{i % 200 + 1}", 0))
            self.all.append(s)
            self.wait.register(s, selectors.EVENT_READ)
        self.slow, self.text, self.at = self.all[idle:], b"EHLO slow.example.test\r\n" * 50, 0
        self.closed = 0
        self.greeted = set()
        end = time.monotonic() + 60
        while len(self.greeted) < len(self.all) and time.monotonic() < end:
            self.read(0.5)

    def read(self, seconds=0.0):
        for key, _ in self.wait.select(seconds):
            if key.fileobj.recv(4096):
                self.greeted.add(key.fileobj)
            else:
                self.closed += 1
                self.wait.unregister(key.fileobj)

    def step(self):
        for s in self.slow:
            s.send(self.text[self.at:self.at + 1])
        self.at += 1
        self.read()

    def leave(self):
        for s in self.all:
            s.close()


def test_a_crowd_harms_nobody(server):
    e = server("smtp_accept_max = 0\nsmtp_connect_backlog = 2000\nsmtp_accept_queue_per_connection = 0\n")
    crowd = Crowd(e, IDLE, SLOW)
    assert len(crowd.greeted) == IDLE + SLOW
    for n in range(30):
        crowd.step()
        with come(e) as s:
            s.ok("EHLO x")
            s.message("a@here.test", ["one@here.test"])
            s.quit()
    e.wait_mail("mail/one", 30)
    crowd.read()
    assert crowd.closed == 0
    crowd.leave()
