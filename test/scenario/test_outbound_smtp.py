"""The smtp transport against servers with and without extensions: what is said, kept, tried again."""

import re
import socket
import threading
import time

import pytest

from exim import free_port
from listener import Listener
from sink import Sink

CONFIG = """
acl_smtp_rcpt = accept
acl_smtp_data = accept
qualify_domain = here.test
dsn_advertise_hosts = *
log_selector = +smtp_confirmation +retry_defer
remote_max_parallel = 1
tls_advertise_hosts =
{main}
begin routers
out:
  driver = manualroute
  domains = *.test
  route_data = {route}
  self = send
  transport = smtp
begin transports
smtp:
  driver = smtp
  port = {sink}
  allow_localhost
  command_timeout = 3s
  data_timeout = 3s
  final_timeout = 3s
  {options}
begin retry
* * F,1h,15m
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^user^secret
"""


class Case:
    def __init__(self, site, sink, options="", route="127.0.0.1", main=""):
        self.sink = sink
        self.exim = site(CONFIG, sink=sink.port if sink else 1, options=options, route=route, main=main)

    def send(self, *to, body="Subject: hello\n\nbody\n", sender="alice@here.test", flags=()):
        to = to or ("bob@out.test",)
        self.exim.run("-odf", *flags, "-f", sender, *to, input=body)
        return self.exim.mainlog()


@pytest.fixture
def case(site):
    made = []

    def make(sink=None, *args, **more):
        made.append(sink)
        return Case(site, sink, *args, **more)

    yield make
    for s in made:
        if s:
            s.close()


def words(sink):
    return [c.split(" ")[0] for c in sink.commands]


def test_everything_in_one_go_with_pipelining(case):
    c = case(Sink(["PIPELINING", "SIZE 1000000"]))
    log = c.send("a@out.test", "b@out.test")
    assert words(c.sink) == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]
    assert re.search(r"=> a@out.test R=out T=smtp H=127.0.0.1 \[127.0.0.1\] C=\"250 OK id=sunk\"", log), log
    assert "-> b@out.test" in log and "Completed" in log
    assert re.search(r"MAIL FROM:<alice@here.test> SIZE=\d+", c.sink.commands[1])


def test_dots_and_line_ends(case):
    body = "Subject: dots\n\n.\n..\n.x\nmid.dle\n\n.\nend without newline"
    for extensions in (["PIPELINING"], ["CHUNKING", "PIPELINING"], ["CHUNKING"]):
        c = case(Sink(extensions))
        c.send(body=body, flags=("-i",))
        data = c.sink.messages[0]["data"].decode()
        assert data.endswith("\r\n\r\n.\r\n..\r\n.x\r\nmid.dle\r\n\r\n.\r\nend without newline\r\n"), data
        assert "\n" not in data.replace("\r\n", "")


@pytest.mark.parametrize("extensions", [["CHUNKING", "PIPELINING"], ["CHUNKING"], ["PIPELINING"], []])
def test_large_messages_arrive_whole(case, extensions):
    body = "Subject: large\n\n" + "".join(f"{i:08} " + "x" * 60 + "\n.\n" for i in range(6000))
    c = case(Sink(extensions))
    log = c.send(body=body, flags=("-i",))
    assert "Completed" in log, log
    got = c.sink.messages[0]["data"].decode()
    assert got.split("\r\n\r\n", 1)[1] == body.split("\n\n", 1)[1].replace("\n", "\r\n")
    if "CHUNKING" in extensions:
        assert " K " in log or log.rstrip().endswith(" K") or " K C=" in log, log
        assert words(c.sink).count("BDAT") > 2


def test_bdat_small_message_is_one_chunk(case):
    c = case(Sink(["CHUNKING", "PIPELINING"]))
    c.send()
    assert words(c.sink) == ["EHLO", "MAIL", "RCPT", "BDAT", "QUIT"]
    assert c.sink.commands[3].endswith(" LAST")


def test_bdat_with_no_recipient_left(case):
    for extensions in (["CHUNKING", "PIPELINING"], ["CHUNKING"]):
        c = case(Sink(extensions, answers={"RCPT": "550 5.1.1 unknown", "BDAT": "503 no recipients"}))
        log = c.send(sender="<>")
        assert "** bob@out.test" in log and "after RCPT TO:<bob@out.test>: 550 5.1.1 unknown" in log, log
        assert not [m for m in c.sink.messages if m["rcpt"]]


def test_bdat_refused_half_way(case):
    body = "Subject: large\n\n" + "x" * 70 + "\n" * 1 + ("y" * 70 + "\n") * 20000
    c = case(Sink(["CHUNKING", "PIPELINING"], answers={"BDAT": "452 4.3.1 full"}))
    log = c.send(body=body)
    assert "== bob@out.test" in log and "452 4.3.1 full" in log, log


def test_prdr_gives_each_recipient_its_verdict(case):
    class Prdr(Sink):
        def _data(self, stream, envelope, say):
            while stream.readline() not in (b".\r\n", b""):
                pass
            say("353 verdicts follow")
            for r in envelope["rcpt"]:
                say("550 5.7.1 not you" if "bad" in r else "250 fine")
            say("250 OK done")

    c = case(Prdr(["PIPELINING", "PRDR"]), "hosts_try_chunking =")
    log = c.send("good@out.test", "bad@out.test", sender="<>")
    assert "PRDR" in c.sink.commands[1]
    assert "=> good@out.test" in log and " PRDR" in log, log
    assert "** bad@out.test" in log and "PRDR error after end of data: 550 5.7.1 not you" in log


def test_lmtp(case):
    c = case(Sink(["PIPELINING", "IGNOREQUOTA"], lmtp=True,
                  answers={"DATA.": lambda r: "452 4.2.2 full" if "full" in r else "250 stored"}),
             "protocol = lmtp\n  lmtp_ignore_quota")
    log = c.send("ok@out.test", "full@out.test")
    assert words(c.sink)[0] == "LHLO" and "RCPT TO:<ok@out.test> IGNOREQUOTA" in c.sink.commands
    assert "=> ok@out.test" in log and 'C="250 stored"' in log, log
    assert "== full@out.test" in log and "LMTP error after end of data: 452 4.2.2 full" in log


def test_helo_fallback_and_avoid_esmtp(case):
    c = case(Sink(ehlo=False))
    assert "Completed" in c.send() and words(c.sink)[:2] == ["EHLO", "HELO"]
    assert c.sink.commands[2] == "MAIL FROM:<alice@here.test>"
    c = case(Sink(["PIPELINING", "SIZE"]), "hosts_avoid_esmtp = *")
    assert "Completed" in c.send() and words(c.sink)[0] == "HELO" and "SIZE" not in c.sink.commands[1]


def test_dsn_parameters_travel_as_they_came(case):
    from smtp import Smtp

    c = case(Sink(["PIPELINING", "DSN"]))
    with c.exim:
        s = Smtp(c.exim.port)
        for line in ("EHLO x.test", "MAIL FROM:<alice@here.test> RET=HDRS ENVID=a+2Bb",
                     "RCPT TO:<bob@out.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+40x@Old.test",
                     "RCPT TO:<eve@out.test> NOTIFY=NEVER"):
            s.ok(line)
        s.ok("DATA", "3")
        s.ok("Subject: x\r\n\r\nbody\r\n.")
        s.cmd("QUIT")
        c.exim.wait_log("Completed")
    assert "RET=HDRS ENVID=a+2Bb" in c.sink.commands[1]
    assert "RCPT TO:<bob@out.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+40x@Old.test" in c.sink.commands
    assert "RCPT TO:<eve@out.test> NOTIFY=NEVER" in c.sink.commands


def test_auth(case):
    answers = {"AUTH": "235 ok"}
    c = case(Sink(["AUTH PLAIN LOGIN"], answers=answers), "hosts_require_auth = *\n  authenticated_sender = me@here.test")
    log = c.send()
    assert "AUTH PLAIN AHVzZXIAc2VjcmV0" in c.sink.commands and " A=plain" in log, log
    assert "AUTH=me@here.test" in " ".join(c.sink.commands)
    c = case(Sink(["AUTH PLAIN"], answers={"AUTH": "535 no"}), "hosts_require_auth = *")
    log = c.send()
    assert "plain authenticator failed H=127.0.0.1 [127.0.0.1] 535 no" in log, log
    assert "defer (-28)" in log and "authentication required but authentication attempt(s) failed" in log
    c = case(Sink(["AUTH PLAIN"], answers={"AUTH": "535 no"}), "hosts_try_auth = *")
    assert "=> bob@out.test" in c.send()
    c = case(Sink([]), "hosts_require_auth = *")
    assert "server did not advertise AUTH support" in c.send()


def test_debug_output_has_no_credentials(case):
    c = case(Sink(["AUTH PLAIN LOGIN"], answers={"AUTH": "235 ok"}), "hosts_require_auth = *")
    p = c.exim.run("-d+transport+auth", "-odf", "-f", "alice@here.test", "bob@out.test", input="Subject: x\n\nbody\n")
    assert "SMTP>> AUTH PLAIN ****" in p.stderr and "SMTP>> MAIL FROM:" in p.stderr
    assert "AHVzZXIAc2VjcmV0" in " ".join(c.sink.commands) and "AHVzZXIAc2VjcmV0" not in p.stderr


def test_next_host_takes_over(case):
    dead = free_port()
    # Not by the router: it drops what follows the local host.
    c = case(Sink(), f"hosts_override\n  hosts = <+127.0.0.1:{dead}+127.0.0.1")
    log = c.send()
    assert "H=127.0.0.1 [127.0.0.1] Connection refused" in log
    assert "=> bob@out.test R=out T=smtp H=127.0.0.1" in log


def test_local_host_needs_leave(case):
    c = case(Sink(), "hosts_override\n  hosts = 127.0.0.1")
    c.exim.write_config(CONFIG.replace("  allow_localhost\n", ""))
    log = c.send()
    assert "defer (-35)" in log and "smtp transport found host 127.0.0.1 to be local" in log, log


def test_fallback_hosts(case):
    dead = free_port()
    live = Sink()
    c = case(live, f"fallback_hosts = <+ 127.0.0.1:{live.port}", route=f"<+127.0.0.1:{dead}")
    log = c.send()
    assert "Connection refused" in log and "=> bob@out.test" in log, log


def test_host_is_left_alone_until_its_time(case):
    dead = free_port()
    c = case(None, route=f"<+127.0.0.1:{dead}")
    assert "defer (111): Connection refused" in c.send()
    log = c.send("eve@out.test")
    assert "eve@out.test R=out T=smtp defer (-53): retry time not reached for any host" in log, log


def test_recipient_error_delays_only_the_recipient(case):
    c = case(Sink(answers={"RCPT": lambda r: "450 4.2.1 later" if "slow" in r else "250 ok"}))
    log = c.send("slow@out.test", "quick@out.test")
    assert "defer (-44)" in log and "=> quick@out.test" in log
    assert "=> other@out.test" in c.send("other@out.test")


def test_hosts_max_try(case):
    ports = [free_port() for _ in range(4)]
    hosts = "<+" + "+".join(f"127.0.0.1:{p}" for p in ports)
    c = case(None, f"hosts_max_try = 2\n  hosts_override\n  hosts = {hosts}")
    assert c.send().count("Connection refused\n") == 3  # two hosts, and the address


def deliver_one_by_one(c, count):
    from smtp import Smtp

    with c.exim:
        for i in range(count):
            s = Smtp(c.exim.port)
            s.ok("EHLO x.test")
            s.message("alice@here.test", ["bob@out.test"], f"Subject: {i}\r\n\r\nbody\r\n")
            s.cmd("QUIT")
            c.exim.wait_log(rf"(?s)({'Completed.*' * (i + 1)})")


def test_many_messages_use_one_connection(case):
    c = case(Sink(["PIPELINING"]))
    deliver_one_by_one(c, 10)
    assert len(c.sink.messages) == 10
    assert c.sink.connections < 5, c.sink.connections
    assert re.search(r"H=127.0.0.1 \[127.0.0.1\]\*", c.exim.mainlog())


def test_connection_max_messages(case):
    c = case(Sink(["PIPELINING"]), "connection_max_messages = 1")
    deliver_one_by_one(c, 3)
    assert c.sink.connections == 3


def test_a_kept_connection_that_died_is_replaced(case):
    class Short(Sink):
        """Closes after each message without a word."""

        def _data(self, stream, envelope, say):
            super()._data(stream, envelope, say)
            raise OSError

    c = case(Short(["PIPELINING"]), "hosts_try_chunking =")
    deliver_one_by_one(c, 3)
    assert len(c.sink.messages) == 3 and "==" not in c.exim.mainlog()


def test_remote_closes_in_the_middle_of_data(case):
    class Rude(Sink):
        def _data(self, stream, envelope, say):
            stream.read(1000)
            say("552 5.3.4 too much")
            raise OSError

    body = "Subject: x\n\n" + ("z" * 70 + "\n") * 100000
    c = case(Rude([]))
    log = c.send(body=body, sender="<>")
    assert "bob@out.test" in log and not c.sink.messages and "=> bob" not in log, log


def test_interface_and_port_by_name(case):
    seen = []

    class Peer(Sink):
        def _serve(self, sock):
            seen.append(sock.getpeername()[0])
            super()._serve(sock)

    c = case(Peer(), "interface = <; 127.0.0.3 ; ::1")
    assert "Completed" in c.send() and seen == ["127.0.0.3"]
    c = case(Peer())
    c.exim.write_config(CONFIG.replace("port = {sink}", "port = no-such-service"))
    assert 'TCP port "no-such-service" is not defined for smtp transport' in c.send()


def test_option_that_is_not_built_is_refused(case):
    c = case(None, "dkim_domain = here.test")
    p = c.exim.run("-bP", "transports", check=False)
    assert p.returncode != 0 and "DKIM" in p.stderr + p.stdout


def test_slow_server_does_not_stop_timeouts(case):
    class Slow(Sink):
        def _session(self, sock):
            for byte in b"220 x ESMTP\r\n":
                sock.send(bytes([byte]))
                time.sleep(0.7)

    c = case(Slow())
    start = time.monotonic()
    log = c.send()
    assert "SMTP timeout after initial connection: Connection timed out" in log
    assert time.monotonic() - start < 8


def test_connect_timeout(case):
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(0)
    fill = [socket.socket() for _ in range(4)]
    for f in fill:
        f.setblocking(False)
        f.connect_ex(s.getsockname())
    c = case(None, "connect_timeout = 1s", route=f"<+127.0.0.1:{s.getsockname()[1]}")
    log = c.send()
    assert "Connection timed out" in log, log


class Socks:
    """A SOCKS5 proxy for one connection at a time; `answer` is the reply code."""

    def __init__(self, login=None, answer=0):
        self.login, self.answer, self.seen = login, answer, []
        self.listener = Listener(self._serve)
        self.port = self.listener.port

    def _serve(self, sock):
        assert sock.recv(3)[:2] == b"\5\1"
        sock.sendall(b"\5\2" if self.login else b"\5\0")
        if self.login:
            data = sock.recv(512)
            name = data[2:2 + data[1]]
            word = data[3 + data[1]:]
            good = (name.decode(), word.decode()) == self.login
            sock.sendall(b"\1\0" if good else b"\1\1")
            if not good:
                sock.close()
                return
        request = sock.recv(512)
        host, port = socket.inet_ntoa(request[4:8]), int.from_bytes(request[8:10], "big")
        self.seen.append((host, port))
        sock.sendall(bytes([5, self.answer]) + b"\0\1\0\0\0\0\0\0")
        if self.answer:
            sock.close()
            return
        peer = socket.create_connection((host, port))
        for a, b in ((sock, peer), (peer, sock)):
            threading.Thread(target=self._pump, args=(a, b), daemon=True).start()

    @staticmethod
    def _pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_through_a_socks_proxy(case):
    for login, extra in ((None, ""), (("me", "secret"), " auth=name name=me pass=secret")):
        proxy = Socks(login)
        c = case(Sink(["PIPELINING"]), f"socks_proxy = 127.0.0.1 port={proxy.port}{extra}")
        assert "Completed" in c.send()
        assert proxy.seen == [("127.0.0.1", c.sink.port)] and len(c.sink.messages) == 1


def test_socks_proxy_that_refuses(case):
    wrong = Socks(("me", "other"))
    c = case(Sink(), f"socks_proxy = 127.0.0.1 port={wrong.port} auth=name name=me pass=secret")
    assert "== bob@out.test" in c.send() and not c.sink.messages
    closed = Socks(answer=5)
    c = case(Sink(), f"socks_proxy = 127.0.0.1 port={closed.port}")
    log = c.send()
    assert "defer (111)" in log and "SOCKS proxy: Connection refused" in log, log
    c = case(Sink(), "socks_proxy = proxy.test")
    assert 'bad SOCKS proxy "proxy.test": an IP address is wanted' in c.send()
