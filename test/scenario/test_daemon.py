"""The daemon's processes: limits, signals, and what happens when one of them dies."""

import os
import re
import signal
import socket

import pytest

from exim import children, wait_until

CONFIG = """
host_lookup =
acl_smtp_rcpt = accept
{extra}
begin routers
held:
  driver = redirect
  local_parts = held
  allow_defer
  data = :defer: not now
here:
  driver = redirect
  data = :blackhole:
begin retry
* * F,2h,15m
"""


def talk(port, *commands):
    """Sends each command after the reply to the one before; the replies."""
    replies = []
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        f = s.makefile("rb")

        def reply():
            line = f.readline()
            while line[3:4] == b"-":
                line = f.readline()
            return line.decode().rstrip()

        replies.append(reply())
        for c in commands:
            s.sendall(c.encode() + b"\r\n")
            replies.append(reply())
    return replies


def send(port, rcpt):
    replies = talk(port, "EHLO x", "MAIL FROM:<s@x.test>", f"RCPT TO:<{rcpt}>", "DATA",
                   "Subject: t\r\n\r\nhello\r\n.", "QUIT")
    assert replies[5].startswith("250 OK id="), replies
    return replies[5].split("=")[1]


def hold(port):
    """A connection that was let in; those of before may need a moment to end."""

    def greeted():
        s = socket.create_connection(("127.0.0.1", port), timeout=30)
        if s.recv(100).startswith(b"220"):
            return s
        s.close()
        return None

    return wait_until(greeted)


@pytest.fixture
def node(site):
    def make(extra=""):
        e = site(CONFIG, extra=extra)
        return e.start()

    return make


def main_log(e):
    return e.mainlog()


def daemon_pid(e):
    return e.process.pid


def test_a_role_that_dies_is_replaced_and_nothing_is_lost(node):
    e = node()
    kept = send(e.port, "held@node.test")
    pid = daemon_pid(e)
    for role in ("acceptor", "queue"):
        old = wait_until(lambda: children(pid).get(role))
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: children(pid).get(role) not in (None, old))
        send(e.port, "a@node.test")
    wait_until(lambda: main_log(e).count("Completed") == 2)
    assert kept in e.run("-bp").stdout
    assert "acceptor process" in main_log(e) and "ended by signal 9" in main_log(e)


def test_sighup_takes_a_good_configuration_and_refuses_a_bad_one(node):
    e = node()
    pid = daemon_pid(e)
    good = e.conf.read_text()
    e.conf.write_text(good.replace("primary_hostname = mail.here.test", "primary_hostname = other.test"))
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: "other.test" in talk(e.port, "QUIT")[0])
    e.conf.write_text("nonsense = 3\n" + good)
    os.kill(pid, signal.SIGHUP)
    wait_until(lambda: "the new configuration is refused" in main_log(e))
    assert "other.test" in talk(e.port, "QUIT")[0]


def test_sigterm_lets_what_was_accepted_be_delivered(node):
    e = node()
    pid = daemon_pid(e)
    for _ in range(20):
        send(e.port, "a@node.test")
    os.kill(pid, signal.SIGTERM)
    assert e.process.wait(30) == 0
    assert main_log(e).count("Completed") == 20
    assert not (e.dir / "spool" / "exim-daemon.sock").exists()


def test_too_many_connections_are_refused_in_exims_words(node):
    e = node("smtp_accept_max = 2\nsmtp_accept_max_per_host = 2")
    with hold(e.port), hold(e.port):
        assert talk(e.port)[0] == "421 Too many concurrent SMTP connections; please try again later."
    assert "refused: too many connections" in main_log(e)
    hold(e.port).close()


def test_too_many_connections_of_one_host(node):
    e = node("smtp_accept_max = 9\nsmtp_accept_max_per_host = 1")
    with hold(e.port):
        assert talk(e.port)[0] == ("421 Too many concurrent SMTP connections from this IP address; "
                                   "please try again later.")
    assert "refused: too many connections from that IP address" in main_log(e)


def test_the_reserve_is_for_the_hosts_in_its_list(node):
    e = node("smtp_accept_max = 5\nsmtp_accept_reserve = 5\nsmtp_reserve_hosts = 10.9.9.9")
    assert talk(e.port)[0] == ("421 mail.here.test: Too many concurrent SMTP connections; "
                               "please try again later")
    assert re.search(r"not in reserve list: connected=\d max=5 reserve=5\n", main_log(e))


def test_sessions_have_no_way_back(node):
    e = node()
    with hold(e.port):
        acceptor = children(daemon_pid(e))["acceptor"]
        session = next(p for title, p in children(acceptor).items() if title.startswith("handling"))
        status = dict(line.split(":", 1) for line in open(f"/proc/{session}/status"))
        assert status["NoNewPrivs"].strip() == "1"
        assert status["Seccomp"].strip() == "2"
        assert int(status["CapEff"], 16) == 0


def test_exiwhat_hears_from_every_role(node):
    e = node()
    pid = daemon_pid(e)
    log = e.dir / "spool" / "exim-process.info"
    for p in (pid, *wait_until(lambda: children(pid)).values()):
        os.kill(p, signal.SIGUSR1)
    for word in ("daemon(4.89)", "acceptor(4.89)", "queue(4.89)"):
        wait_until(lambda: log.exists() and word in log.read_text())
