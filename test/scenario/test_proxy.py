"""PROXY protocol: features.txt to the letter, with our own headers and with real balancers."""

import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest

from dnsserver import DnsServer
from exim import binary, children, free_port, wait_until
from proxyheader import SIGNATURE, local, tlv, v1, v2
from smtp import Smtp

# The connect ACL of features.txt section 3.
CONFIG = """
log_selector = +proxy {selector}
proxy_required_hosts = {proxies}
host_lookup = *
smtp_banner = first line\\nsecond line
acl_smtp_connect = acl_connect
acl_smtp_rcpt = acl_rcpt
hostlist relay_hosts = 127.0.0.1
{main}
begin acl
acl_connect:
 warn condition = ${if and{ {bool{$proxy_session}} \\
 {eq{$proxy_host_address}{}} } }
 log_message = Failed required proxy protocol negotiation \\
 from $sender_host_name [$sender_host_address]

 warn condition = ${if and{ {bool{$proxy_session}} \\
 {!eq{$proxy_host_address}{}} } }
 # But don't log health probes from the proxy itself
 condition = ${if eq{$proxy_host_address}{$sender_host_address} \\
 {false}{true}}
 log_message = Successfully proxied from $sender_host_name \\
 [$sender_host_address] through proxy protocol \\
 host $proxy_host_address

 # Possibly more clear
 warn logwrite = Remote Source Address: $sender_host_address:$sender_host_port
 logwrite = Proxy Target Address: $proxy_target_address:$proxy_target_port
 logwrite = Proxy Internal Address: $proxy_host_address:$proxy_host_port
 logwrite = Internal Server Address: $received_ip_address:$received_port
{acl}
 accept
acl_rcpt:
 accept domains = here.test
 accept hosts = +relay_hosts
 deny message = relay not permitted
begin routers
all:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
begin retry
"""
REFUSED = "503 Command refused, required Proxy negotiation failed"


@pytest.fixture
def dns():
    server = DnsServer({
        "7.2.0.192.in-addr.arpa": [("PTR", "client.test.")], "client.test": [("A", "192.0.2.7")],
        "1.0.0.127.in-addr.arpa": [("PTR", "balancer.test.")], "balancer.test": [("A", "127.0.0.1")],
    })
    yield server
    server.close()


@pytest.fixture
def node(site, dns):
    def make(main="", proxies="127.0.0.1", acl="", selector="", name="exim"):
        return site(CONFIG, name=name, dns=dns, main=main, proxies=proxies, acl=acl, selector=selector).start(quiet=True)

    return make


def connect(e, header, **kw):
    return Smtp(e.port, before=header, **kw)


GOOD = [v1(), v1("2001:db8::1", "2001:db8::2", family="TCP6"), v2(), v2("2001:db8::1", "2001:db8::2"), v2(crc=True),
        v2(tlvs=tlv(5, b"unique-1") + tlv(2, b"sni.test")), v2(tlvs=tlv(0xEA, b"x" * 3000))]


@pytest.mark.parametrize("header", GOOD, ids=range(len(GOOD)))
def test_the_clients_address_is_taken(node, header):
    e = node()
    with connect(e, header) as s:
        assert s.banner.startswith("220-first line")
        client = "2001:db8::1" if b"2001" in header or len(header) in (52,) else "192.0.2.7"
        assert f"[{client}]" in s.ok("EHLO me").split("\n")[0]
        s.message("a@b.test", ["c@here.test"])
        s.quit()
    line = e.wait_log(r"<= a@b\.test.*$")[0]
    assert " PRX=127.0.0.1 S=" in line and f"[{client}]" in line
    assert f"through proxy protocol host 127.0.0.1" in e.mainlog()


def test_the_log_lines_of_the_manual(node, dns):
    e = node()
    with connect(e, v1()) as s:
        s.quit()
    log = e.wait_log("Internal Server Address.*") and e.mainlog()
    assert "H=client.test [192.0.2.7] Warning: Successfully proxied from client.test [192.0.2.7] through proxy protocol host 127.0.0.1" in log
    assert "Remote Source Address: 192.0.2.7:4444" in log and "Proxy Target Address: 192.0.2.8:25" in log
    assert re.search(r"Proxy Internal Address: 127\.0\.0\.1:\d+$", log, re.M)
    assert f"Internal Server Address: 127.0.0.1:{e.port}" in log


LOCAL = [local(), local(b"\0" * 84), v2(command=0, family=0x11, block=tlv(3, b"abcd") * 12), b"PROXY UNKNOWN\r\n",
         b"PROXY UNKNOWN ffff::1 what ever\r\n", v2(family=0), v2(family=0x12), v2(family=0x31, block=b"\0" * 216)]


@pytest.mark.parametrize("header", LOCAL, ids=range(len(LOCAL)))
def test_probes_are_accepted_and_quiet(node, header):
    e = node()
    with connect(e, header) as s:
        assert "[127.0.0.1]" in s.ok("EHLO probe")
        s.message("a@b.test", ["c@here.test"])
        s.quit()
    assert " PRX=127.0.0.1 S=" in e.wait_log(r"<= a@b\.test.*$")[0]
    assert "Warning:" not in e.mainlog() and not e.paniclog()


BAD = [b"PROXY TCP4 192.0.2.7 192.0.2.8 4444 25\n", b"PROXY TCP4  192.0.2.7 192.0.2.8 4444 25\r\n", b"PROXY tcp4 192.0.2.7 192.0.2.8 1 2\r\n",
       b"PROXY TCP4 192.0.2.07 192.0.2.8 1 2\r\n", b"PROXY TCP4 192.0.2.7 2001:db8::1 1 2\r\n", b"PROXY TCP4 192.0.2.7 192.0.2.8 1 65536\r\n",
       b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n", v2(command=2), SIGNATURE + b"\x11\x11\0\x0c" + b"\0" * 12, v2(block=b"\1" * 11),
       v2(family=0x41), v2(tlvs=b"\x05\0\x10ab"), v2(crc=True)[:-1] + b"\0", b"X" * 12]


@pytest.mark.parametrize("header", BAD, ids=range(len(BAD)))
def test_a_bad_header_leaves_only_quit(node, header):
    e = node("proxy_protocol_timeout = 1s")
    with connect(e, header, timeout=10) as s:
        if s.banner.startswith("220"):
            for command in ("EHLO x", "NOOP", "", "RSET", "MAIL FROM:<>", "STARTTLS", "junk"):
                assert s.cmd(command) == REFUSED
            assert s.quit() == "221 mail.here.test closing connection"
        else:
            assert s.banner == "554 SMTP synchronization error"
    e.wait_log(r"Failed required proxy protocol negotiation from balancer\.test \[127\.0\.0\.1\]|synchronization error")
    assert "Successfully proxied" not in e.mainlog()


def test_silence_gets_the_banner_at_the_deadline_then_503(node):
    e = node()
    started = time.monotonic()
    with connect(e, b"") as s:
        assert time.monotonic() - started > 2.5
        assert s.banner == "220-first line\n220 second line"
        assert s.cmd("EHLO x") == REFUSED
        s.quit()


def test_speaking_before_the_banner_is_a_synchronization_error(node):
    e = node("proxy_protocol_timeout = 1s")
    with connect(e, b"EHLO impatient\r\nMAIL FROM:<a@b>\r\n") as s:
        assert s.banner == "554 SMTP synchronization error"
    line = e.wait_log(r"SMTP protocol synchronization error.*$")[0]
    assert "input sent without waiting for greeting" in line


def test_end_of_file_ends_the_wait_at_once(node):
    e = node()
    for header in (b"", SIGNATURE[:7], SIGNATURE + b"\x21\x11\0\x0cabc"):
        with socket.create_connection(("127.0.0.1", e.port), 5) as s:
            s.sendall(header)
            s.shutdown(socket.SHUT_WR)
            s.settimeout(2.5)
            while s.recv(1000):
                pass


def test_every_split_of_a_header_is_the_same(node):
    e = node()
    for header in (v1(), v2(tlvs=tlv(5, b"id"))):
        for at in range(1, len(header)):
            with socket.create_connection(("127.0.0.1", e.port), 10) as s:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                s.sendall(header[:at])
                time.sleep(0.002)
                s.sendall(header[at:])
                assert s.recv(100).startswith(b"220"), at


def test_unlisted_hosts_must_not_send_a_header(node):
    e = node(proxies="192.0.2.99")
    with connect(e, v1()) as s:
        assert s.banner == "554 SMTP synchronization error"


def test_no_list_answer_of_the_proxy_survives(node):
    """The proxy is in +relay_hosts, the client is not: no relaying, though early host tests asked."""
    e = node("sender_unqualified_hosts = +relay_hosts\nhelo_accept_junk_hosts = +relay_hosts\n")
    with connect(e, v1()) as s:
        s.ok("EHLO x")
        s.ok("MAIL FROM:<a@b.test>")
        assert s.cmd("RCPT TO:<x@elsewhere.test>") == "550 relay not permitted"
    with connect(e, local()) as s:
        s.ok("EHLO x")
        s.ok("MAIL FROM:<a@b.test>")
        s.ok("RCPT TO:<x@elsewhere.test>")


def test_the_ratelimit_example_counts_the_client(node):
    acl = " defer message = Too many connections from this IP right now\n ratelimit = 2 / 5s / per_conn / strict\n"
    e = node(acl=acl)
    answers = []
    for _ in range(5):
        with connect(e, v1()) as s:
            answers.append(s.banner[:3] if s.banner.startswith("220") else s.banner)
    assert "451 Too many connections from this IP right now" in answers
    with connect(e, v1(src="192.0.2.99")) as s:
        assert s.banner.startswith("220")


def test_max_per_host_counts_the_proxy(node):
    e = node("smtp_accept_max_per_host = 2")
    held = [connect(e, v1(src=f"192.0.2.{i}")) for i in (1, 2)]
    with connect(e, v1(src="192.0.2.3")) as s:
        assert s.banner.startswith("421 Too many concurrent SMTP connections")
    for s in held:
        s.quit()


def test_max_per_client_counts_the_client(node):
    e = node("proxy_accept_max_per_client = 2")
    held = [connect(e, v1()) for _ in (1, 2)]
    with connect(e, v1()) as s:
        assert s.banner.startswith("421")
    with connect(e, v1(src="192.0.2.99")) as s:
        assert s.banner.startswith("220")
    for s in held:
        s.quit()


def test_why_it_failed_is_known_where_it_is_asked_for(node):
    e = node("proxy_protocol_timeout = 1s", acl=" warn logwrite = why=<$proxy_failure>\n", selector="+proxy_fail")
    with connect(e, b"\x16\x03\x01\0\x05hello") as s:
        pass
    e.wait_log(r"why=<.+>|synchronization")
    assert re.search(r"TLS", e.mainlog())


def test_what_the_balancer_knows_is_in_variables(node):
    acl = (" warn logwrite = v=$proxy_version c=$proxy_command a=$proxy_authority u=$proxy_unique_id "
           "t=${proxytlv{0xEA}{$value}{none}} s=$proxy_session\n")
    e = node(acl=acl)
    with connect(e, v2(tlvs=tlv(2, b"sni.test") + tlv(5, b"id-7") + tlv(0xEA, b"vpc"))) as s:
        s.quit()
    e.wait_log(r"v=2 c=PROXY a=sni\.test u=id-7 t=vpc s=yes")


def test_the_client_is_logged_as_who_connected(node):
    e = node("hosts_connection_nolog = 192.0.2.99 : 127.0.0.1", selector="+smtp_connection +incoming_port")
    for src in ("192.0.2.99", "192.0.2.7"):
        with connect(e, v1(src=src)) as s:
            s.quit()
    e.wait_log(r"SMTP connection from \[192\.0\.2\.7\]:4444 \(TCP/IP connection count = \d\)")
    assert not re.search(r"SMTP connection from \[(127|192\.0\.2\.99)", e.mainlog())


def test_the_unique_id_is_logged_if_asked_for(node):
    e = node(selector="+proxy_id")
    with connect(e, v2(tlvs=tlv(5, b"req\n77"))) as s:
        s.ok("EHLO x")
        s.message("a@b.test", ["c@here.test"])
    assert " PRX=127.0.0.1 PRXID=req\\n77 S=" in e.wait_log(r"<= a@b\.test.*$")[0]


def test_a_header_on_standard_input(node):
    """-bh: what the client's address would be."""
    e = node()
    for header in (v1(), v2()):
        p = e.run("-bh", "127.0.0.1", input=header.decode("latin-1") + "EHLO x\r\nQUIT\r\n", check=False)
        assert "[192.0.2.7]" in p.stdout, p.stdout


def stdin_socket(e, data, *args):
    """What inetd does: the connection is standard input and output. All that was answered."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname(), 10)
        theirs, _ = listener.accept()
    with ours, theirs:
        process = subprocess.Popen([binary(), "-C", e.conf, *args], stdin=theirs, stdout=theirs, cwd=e.dir, env=e._env(), **e._identity())
        theirs.close()
        ours.sendall(data)
        ours.shutdown(socket.SHUT_WR)
        answer = b""
        while more := ours.recv(65536):
            answer += more
        process.wait(20)
    return answer.decode()


def test_inetd_gets_the_header_on_its_socket(node):
    e = node("smtp_enforce_sync = false")
    answer = stdin_socket(e, v2() + b"EHLO me\r\nQUIT\r\n", "-bs")
    assert "250-mail.here.test Hello client.test [192.0.2.7]" in answer


BEHIND = [v1()[:-2] + b" 7\r\n", v1(sport=65536), v2(command=2), v2(family=0x41), v2(crc=True)[:-1] + b"\0", v2(tlvs=b"\x05\0\x10ab"),
          v2(tlvs=tlv(0xEA, b"x" * 5000)), b"PROXY TCP4 " + b"1" * 96]


@pytest.mark.parametrize("mode", [["-bh", "127.0.0.1"], ["-bs"]], ids=["-bh", "-bs"])
@pytest.mark.parametrize("header", BEHIND, ids=range(len(BEHIND)))
def test_no_byte_of_a_bad_header_is_a_command(node, mode, header):
    """And none behind it is lost: one 503 for each line, then QUIT."""
    e = node("smtp_enforce_sync = false\nproxy_protocol_timeout = 2s")
    lines = b"EHLO me\r\nNOOP\r\nQUIT\r\n"
    if mode == ["-bs"]:
        answer = stdin_socket(e, header + lines, *mode)
    else:
        answer = e.run(*mode, input=(header + lines).decode("latin-1"), check=False).stdout
    assert answer.count(REFUSED) == 2 and "221 mail.here.test" in answer, answer


def test_what_is_no_header_at_all_stays_input(node):
    e = node("proxy_protocol_timeout = 1s")
    assert stdin_socket(e, b"EHLO impatient\r\n", "-bs").startswith("554 SMTP synchronization error")
    e.wait_log(r'synchronization error .*input="EHLO impatient\\r\\n"')


def test_everything_is_counted(node):
    e = node("proxy_protocol_timeout = 1s\nproxy_accept_max_per_client = ${if eq{$sender_host_address}{192.0.2.7}{1}}")
    assert "         0  accepted, version 1" in e.run("-bI:proxy").stdout
    held = connect(e, v1())
    for header in (v1(), v2(src="192.0.2.99"), v2(src="192.0.2.98", crc=True), local(), b"PROXY UNKNOWN\r\n", v2(crc=True)[:-1] + b"\0",
                   b"PROXY TCP4 192.0.2.7 2001:db8::1 1 2\r\n", b"", SIGNATURE):
        with connect(e, header):
            pass
    held.quit()
    got = dict(reversed(line.split("  ", 1)) for line in re.sub(r"^ +", "", e.run("-bI:proxy").stdout, flags=re.M).splitlines()[1:])
    assert got == {
        "accepted, version 1": "2", "accepted, version 2": "2", "accepted, without a client (health checks)": "2",
        "of these refused by proxy_accept_max_per_client": "1", "failed": "4", "no header came in time": "1",
        "incomplete header when the time was up": "1", "wrong CRC in version 2 header": "1", "mixed address families in version 1 header": "1"}
    # A new configuration, and a new acceptor, go on counting.
    e.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(re.findall("daemon started", e.mainlog())) == 2)
    with connect(e, local()):
        pass
    assert "         3  accepted, without a client" in e.run("-bI:proxy").stdout
    for pid in subprocess.run(["pgrep", "-P", str(e.process.pid)], capture_output=True, text=True).stdout.split():
        os.kill(int(pid), signal.SIGUSR1)
    info = e.dir / "spool" / "exim-process.info"
    wait_until(lambda: info.exists() and re.search(r"acceptor\(.*PROXY so far: 4 passed, 3 local, 4 failed: 1 no header came in time, ", info.read_text()))
    e.stop()
    assert "no daemon answers" in e.run("-bI:proxy", check=False).stderr


def aws_local():
    """As AWS sends it: LOCAL, family 0x11, 84 bytes: fields where the addresses would be."""
    fields = tlv(3, b"\0\0\0\0") + tlv(4, b"\0" * 54) + tlv(0xEA, b"\x01vpce-08d2bf15fac5001c9")[:20]
    return SIGNATURE + b"\x20\x11" + (84).to_bytes(2, "big") + fields.ljust(84, b"\0")


def test_a_balancer_of_aws(node):
    """Its LOCAL, its field 0xEA, and its habit to send the header only with the client's first data."""
    e = node("proxy_protocol_timeout = 1s", acl=" warn logwrite = vpc=<${proxytlv{234}{${substr{1}{$value}}}{none}}>\n", selector="+proxy_fail")
    with connect(e, aws_local()) as s:
        assert "[127.0.0.1]" in s.ok("EHLO probe")
        s.quit()
    e.wait_log("vpc=<none>")
    with connect(e, v2(tlvs=tlv(0xEA, b"\x01vpce-08d2bf15fac5001c9"), crc=True)) as s:
        s.quit()
    e.wait_log(r"vpc=<x01vpce-08d2bf15fac5001c9>|vpc=<.*vpce-08d2bf15fac5001c9>")
    with connect(e, b"") as s:  # client and server wait for each other; the banner comes too late
        assert s.banner.startswith("220")
        s.send(v2(crc=True) + b"EHLO client\r\n")
        assert s.reply() == REFUSED
    e.wait_log(r"PROXY header of H=.*\[127\.0\.0\.1\] came after the banner, too late .*on_first_ack")
    with connect(e, b"") as s:
        assert s.cmd(v1()[:-2]) == REFUSED and s.cmd(v1()[:-2]) == REFUSED
    wait_until(lambda: len(re.findall("came after the banner", e.mainlog())) == 2)
    e.wait_log(r"PROXY negotiation failed .*no header came in time .*AWS NLB: .*on_first_ack")


def test_headers_that_come_while_others_connect_are_seen(node):
    """More of them than the acceptor hears of at once, behind a new connection."""
    e = node("smtp_accept_max = 0\nsmtp_connect_backlog = 200\nproxy_protocol_timeout = 20s")
    clients = [connect(e, b"", greet=False) for _ in range(100)]
    acceptor = children(e.process.pid)["acceptor"]
    time.sleep(0.3)  # until all are watched
    os.kill(acceptor, signal.SIGSTOP)
    try:
        other = connect(e, v1(), greet=False)
        for c in clients:
            c.send(v1())
    finally:
        os.kill(acceptor, signal.SIGCONT)
    for c in [other, *clients]:
        c.sock.settimeout(5)
        assert c.reply().startswith("220")
        c.sock.close()


def memory(pid):
    return int(re.search(r"^RssAnon:\s+(\d+) kB", open(f"/proc/{pid}/status").read(), re.M)[1])


def test_silent_connections_from_a_proxy_cost_next_to_nothing(node):
    """5,000 of them: no process, at most 2 KiB of memory each, and no delay for others."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 6000:
        pytest.skip("not enough descriptors")
    resource.setrlimit(resource.RLIMIT_NOFILE, (6000, hard))
    e = node("smtp_accept_max = 0\nsmtp_connect_backlog = 4096\nproxy_protocol_timeout = 60s")
    try:
        acceptor = children(e.process.pid)["acceptor"]
        with connect(e, v1()) as s:
            s.quit()
        before = memory(acceptor)
        silent = [socket.create_connection(("127.0.0.1", e.port)) for _ in range(5000)]
        with connect(e, v1()) as s:
            s.ok("EHLO x")
            s.quit()
        with Smtp(e.port, source=("127.0.0.2", 0)) as s:  # needs no header
            s.ok("EHLO x")
            s.quit()
        # That one was accepted after all of them.
        assert memory(acceptor) - before < 2 * 5000
        assert len(subprocess.run(["pgrep", "-g", str(e.process.pid)], capture_output=True, text=True).stdout.split()) < 12
        for s in silent:
            s.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ---- real balancers ----

def haproxy(folder, backends, options):
    port = free_port()
    servers = "\n".join(f"  server n{i} 127.0.0.1:{b} {options}" for i, b in enumerate(backends))
    (folder / "haproxy.cfg").write_text(
        f"global\n  stats socket {folder}/admin level admin\n"
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n  option redispatch\n"
        f"frontend smtp\n  bind 127.0.0.1:{port}\n  default_backend nodes\nbackend nodes\n  balance roundrobin\n{servers}\n")
    process = subprocess.Popen(["haproxy", "-db", "-f", folder / "haproxy.cfg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: f":{port:04X} " in open("/proc/net/tcp").read())
    return process, port


@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"])
def test_behind_haproxy(node, tmp_path, options):
    e = node()
    process, port = haproxy(tmp_path, [e.port], options)
    try:
        with Smtp(port, source=("127.0.0.9", 0)) as s:
            assert "[127.0.0.9]" in s.ok("EHLO me")
            s.message("a@b.test", ["c@here.test"])
            s.quit()
        assert "[127.0.0.9]" in e.wait_log(r"<= a@b\.test.*$")[0]
        e.wait_mail("mail/c")
    finally:
        process.terminate()
        process.wait()


def test_haproxy_health_checks_are_quiet(node, tmp_path):
    e = node()
    process, _ = haproxy(tmp_path, [e.port], "send-proxy-v2 check inter 200 check-send-proxy")
    try:
        time.sleep(1.5)
    finally:
        process.terminate()
        process.wait()
    assert "Warning" not in e.mainlog() and not e.paniclog()


def admin(folder, command):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(folder / "admin"))
        s.sendall(command.encode() + b"\n")
        s.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: s.recv(65536), b"")).decode()


def sessions_of(folder, server):
    rows = [row.split(",") for row in admin(folder, "show stat").splitlines()]
    return int(next(row[4] for row in rows if row[:2] == ["nodes", server]))


class Load(threading.Thread):
    """A client that sends one message after another, until it is told to stop."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.accepted, self.failures, self.enough = port, 0, [], threading.Event()
        self.start()

    def run(self):
        while not self.enough.is_set():
            try:
                with Smtp(self.port, timeout=20) as s:
                    s.ok("EHLO me")
                    s.message("a@b.test", ["c@here.test"])
                    self.accepted += 1
                    s.quit()
            except (EOFError, OSError, AssertionError) as e:
                self.failures.append(e)


def test_two_nodes_behind_one_balancer_one_drained_and_restarted(node, tmp_path):
    """Under load: no client hears an error, and whatever was accepted is delivered."""
    nodes = [node(name=f"node{i}") for i in (0, 1)]
    process, port = haproxy(tmp_path, [n.port for n in nodes], "send-proxy-v2 check inter 200 check-send-proxy fall 1 rise 1")
    clients = [Load(port) for _ in range(3)]
    try:
        nodes[0].wait_log("<= a@b.test")
        admin(tmp_path, "set server nodes/n0 state drain")
        wait_until(lambda: sessions_of(tmp_path, "n0") == 0)
        nodes[0].stop()
        before = len(nodes[1].maildir("mail/c"))
        wait_until(lambda: len(nodes[1].maildir("mail/c")) > before + 5)
        nodes[0].start(quiet=True)
        before = len(nodes[0].maildir("mail/c"))
        admin(tmp_path, "set server nodes/n0 state ready")
        wait_until(lambda: len(nodes[0].maildir("mail/c")) > before + 5)
        for c in clients:
            c.enough.set()
            c.join(20)
        accepted = sum(c.accepted for c in clients)
        wait_until(lambda: sum(len(n.maildir("mail/c")) for n in nodes) >= accepted)
    finally:
        for c in clients:
            c.enough.set()
        process.terminate()
        process.wait()
    assert [f for c in clients for f in c.failures] == []
    assert sum(len(n.maildir("mail/c")) for n in nodes) == accepted and all(n.maildir("mail/c") for n in nodes)


def test_behind_nginx_stream(node, tmp_path):
    e = node()
    port = free_port()
    (tmp_path / "nginx.conf").write_text(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\nworker_processes 1;\n"
        f"pid {tmp_path}/nginx.pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\n"
        f"stream {{ server {{ listen 127.0.0.1:{port}; proxy_pass 127.0.0.1:{e.port}; proxy_protocol on; }} }}\n")
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: f":{port:04X} " in open("/proc/net/tcp").read())
        with Smtp(port, source=("127.0.0.9", 0)) as s:
            assert "[127.0.0.9]" in s.ok("EHLO me")
            s.quit()
    finally:
        process.terminate()
        process.wait()
