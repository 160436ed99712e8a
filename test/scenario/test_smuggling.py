"""SMTP smuggling: whatever stands around a dot, only CRLF dot CRLF ends a message, on the way in and on the way
out; nothing that came before a TLS handshake counts after it."""

import itertools
import re
import socket
import time

import pytest
from certs import Authority
from exim import wait_until
from sink import Sink
from smtp import Smtp

CONFIG = """
acl_smtp_rcpt = accept
acl_smtp_mail = accept
smtp_accept_max = 200
smtp_accept_max_per_connection = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_nonmail_hosts =
smtp_enforce_sync = false
chunking_advertise_hosts = *
pipelining_advertise_hosts = {pipelining}
log_selector = -all
remote_max_parallel = 1
begin routers
out:
  driver = manualroute
  domains = out.test
  route_list = * 127.0.0.1
  self = send
  transport = smtp
local:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
smtp:
  driver = smtp
  port = {sink}
  allow_localhost
  hosts_avoid_tls = *
begin retry
"""
PIECES = [b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\r", b"\r\0\n", b"\0\r\n", b"\r\n\0", b"\n\n", b"\r\r"]
# Those with a genuine CRLF dot CRLF in them end the message, as they must.
FORMS = [(b, a) for b, a in itertools.product(PIECES, PIECES) if b"\r\n.\r\n" not in b + b"." + a]
GENUINE = [(b, a) for b, a in itertools.product(PIECES, PIECES) if b"\r\n.\r\n" in b + b"." + a]


class RawSink(Sink):
    """Keeps the bytes as they came over the wire."""

    def __init__(self):
        self.raw = []
        super().__init__()

    def _data(self, stream, envelope, say):
        lines = []
        while (line := stream.readline()) not in (b"", b".\r\n"):
            lines.append(line)
        self.raw.append(b"".join(lines))
        self.messages.append({**envelope, "data": b"".join(lines)})
        say("250 OK id=sunk")


def smuggled(n):
    return (f"MAIL FROM:<evil@x.test>\r\nRCPT TO:<evil@here.test>\r\nDATA\r\nSubject: smuggled {n}\r\n\r\nevil\r\n").encode()


def pieces_of(body, at, split):
    """The bytes as they are sent: all at once, cut in two at one place, or byte by byte around the dot."""
    if split is None:
        return [body]
    if split == "bytes":
        return [body[:at], *(body[i:i + 1] for i in range(at, at + 7)), body[at + 7:]]
    return [body[:at + split], body[at + split:]]


def send_pieces(s, pieces):
    for i, piece in enumerate(pieces):
        if i:
            time.sleep(0.0015)
        s.send(piece)


def one(s, n, before, after, to, split=None, how="DATA"):
    """One message with a dot in disguise and commands after it. Exactly one reply comes to all of it."""
    head = f"Subject: case {n}\r\n\r\nfirst line\r\nsecond line".encode()
    body = head + before + b"." + after + smuggled(n)
    if how == "BDAT":
        s.ok("MAIL FROM:<a@here.test>")
        s.ok(f"RCPT TO:<{to}>")
        cut = len(head) + (split or 0)
        send_pieces(s, [b"BDAT %d\r\n" % cut + body[:cut], b"BDAT %d LAST\r\n" % (len(body) - cut) + body[cut:]])
        assert s.reply().startswith("250")
    else:
        start = f"MAIL FROM:<a@here.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n".encode()
        if how == "PIPELINING":
            s.send(start)
            replies = [s.reply() for _ in range(3)]
            assert [r[:3] for r in replies] == ["250", "250", "354"], replies
        else:
            for line in start.decode().splitlines():
                s.ok(line, "3" if line == "DATA" else "2")
        send_pieces(s, pieces_of(body + b"\r\n.\r\n", len(head) - 1, split))
    final = s.reply()
    assert final.startswith("250"), f"{before!r} . {after!r} {split} {how}: {final}"
    assert s.cmd("NOOP").startswith("250 OK"), f"{before!r} . {after!r} {split} {how}: a reply too many"


def check_outgoing(raw):
    """Bytes on the wire to the next host: no bare CR or LF, no line that begins with a lone dot."""
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", raw), raw
    assert not re.search(rb"(?:^|\n)\.(?!\.)", raw), raw


@pytest.mark.parametrize("how", ["DATA", "PIPELINING", "BDAT"])
def test_only_the_true_end_ends_a_message(site, how):
    sink = RawSink()
    e = site(CONFIG, sink=sink.port, pipelining="*" if how != "DATA" else "").start()
    splits = [None, 0, 1, 2, 3, 4, "bytes"] if how != "BDAT" else [0, 1, 2]
    cases = [(before, after, split) for before, after in FORMS for split in splits]
    assert len(cases) >= (500 if how != "BDAT" else 200)
    sent = {"kept@here.test": 0, "on@out.test": 0}
    with Smtp(e.port) as s:
        s.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.ok("EHLO x")
        for n, (before, after, split) in enumerate(cases):
            to = "on@out.test" if n % 3 == 0 else "kept@here.test"
            one(s, n, before, after, to, split, how)
            sent[to] += 1
    wait_until(lambda: len(e.maildir("mail/kept")) + len(sink.messages) >= len(cases), 60)
    assert len(e.maildir("mail/kept")) == sent["kept@here.test"] and len(sink.messages) == sent["on@out.test"]
    assert not (e.dir / "mail" / "evil").exists(), "a message was smuggled in"
    for m in e.maildir("mail/kept"):
        assert m.count("Subject: case ") == 1 and m.count("Subject: smuggled") == 1
    for m in sink.messages:
        assert m["rcpt"] == ["RCPT TO:<on@out.test>"], m["rcpt"]
        check_outgoing(m["data"])
    assert not [c for c in sink.commands if "evil" in c], "a command was smuggled out"
    sink.close()


def test_the_true_end_does(site):
    """With a real CRLF dot CRLF in it the rest are commands: the other half of the definition."""
    e = site(CONFIG, sink=1, pipelining="*").start()
    for n, (before, after) in enumerate(GENUINE):
        with Smtp(e.port) as s:
            s.ok("EHLO x")
            s.ok("MAIL FROM:<a@here.test>")
            s.ok("RCPT TO:<kept@here.test>")
            s.ok("DATA", "3")
            s.send(f"Subject: case {n}\r\n\r\nfirst".encode() + before + b"." + after)
            assert s.reply().startswith("250 OK"), (before, after)


BEFORE_TLS = [b"NOOP\r\n", b"MAIL FROM:<evil@x.test>\r\n", b"EHLO evil\r\nMAIL FROM:<evil@x.test>\r\nRCPT TO:<evil@here.test>\r\n",
              b"RSET\r\n", b"QUIT\r\n", b"NOO", b"\r\n", b"AUTH PLAIN AAAA\r\n", b"\0" * 100, b"x" * 5000]


@pytest.mark.parametrize("enforce", ["true", "false"])
def test_nothing_crosses_the_handshake(site, tmp_path, enforce):
    leaf = Authority(tmp_path, "ca").leaf("mail", ["mail.here.test"])
    config = CONFIG.replace("smtp_enforce_sync = false", f"smtp_enforce_sync = {enforce}\ntls_advertise_hosts = *\n"
                            f"tls_certificate = {leaf}\ntls_privatekey = {leaf}")
    e = site(config, sink=1, pipelining="*").start()
    for extra in BEFORE_TLS:
        with Smtp(e.port) as s:
            s.ok("EHLO x")
            s.send(b"STARTTLS\r\n" + extra)
            got = s.reply()
            if not got.startswith("220"):  # refused for want of synchronisation: nothing of it counts either
                assert got.startswith("554"), got
                continue
            try:
                s.starttls_now()
                s.ok("EHLO after")
                assert s.cmd("RCPT TO:<kept@here.test>").startswith("503"), extra
            except (OSError, EOFError):
                pass  # the extra bytes broke the handshake: as good
    assert not (e.dir / "mail").exists()
