"""PROXY headers to the next server (hosts_send_proxy): read by our own server, HAProxy, nginx and Debian's Exim."""

import re
import socket
import struct
import subprocess

import pytest

from exim import free_port, wait_until
from listener import Listener
from proxyheader import SIGNATURE, crc32c, tlv, v1, v2
from reference import Reference, environment, root
from smtp import Smtp

# Takes mail from balancers and from here, and hands it on.
EDGE = """
proxy_required_hosts = 127.0.0.1
proxy_tls_hosts = 127.0.0.1
acl_smtp_rcpt = acl_rcpt
log_selector = +proxy
{main}
begin acl
acl_rcpt:
  warn domains = asked.test
       verify = recipient/callout=5s,defer_ok
  accept
begin routers
next:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = next
begin transports
next:
  driver = smtp
  port = {next}
  allow_localhost
  hosts_try_dane =
  {send}
begin retry
* * F,2h,15m
"""
# Where it arrives.
NODE = """
log_selector = +proxy +proxy_id +tls_sni +incoming_port
proxy_required_hosts = 127.0.0.1
proxy_tls_hosts = 127.0.0.1
acl_smtp_connect = acl_connect
acl_smtp_rcpt = accept
begin acl
acl_connect:
  warn logwrite = client=$sender_host_address:$sender_host_port target=$proxy_target_address:$proxy_target_port command=$proxy_command v=$proxy_version
  accept
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
SEND = {1: "hosts_send_proxy_v1 = 127.0.0.1", 2: "hosts_send_proxy = 127.0.0.1"}


@pytest.fixture
def pair(site):
    def make(send=SEND[2], main="", port=None, config=NODE):
        node = site(config, name="node").start(quiet=True)
        edge = site(EDGE, name="edge", main=main, send=send, next=port or node.port).start(quiet=True)
        return edge, node

    return make


def through(port, header, recipients=("c@node.test",), count=1):
    with Smtp(port, before=header) as s:
        s.ok("EHLO me.test")
        for _ in range(count):
            s.message("a@b.test", recipients)
        s.quit()


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("header,client", [(v1(), "192.0.2.7"), (v2("2001:db8::7", "2001:db8::8"), "2001:db8::7")], ids=["4", "6"])
def test_the_next_server_sees_the_client(pair, version, header, client):
    edge, node = pair(SEND[version])
    through(edge.port, header)
    line = node.wait_log(r"<= a@b\.test.*$")[0]
    assert f"[{client}]:4444 " in line and " PRX=127.0.0.1 " in line
    assert f"client={client}:4444 " in node.mainlog() and f"command=PROXY v={version}" in node.mainlog()
    assert f"target=127.0.0.1:{edge.port}" in node.mainlog().replace("::ffff:", "")


def test_the_unique_id_is_the_id_of_the_message(pair):
    edge, node = pair()
    through(edge.port, v2())
    msgid = edge.wait_log(r"(\S+) <= a@b\.test")[1]
    node.wait_log(rf"<= a@b\.test .* PRXID={msgid} S=")


def test_the_clients_tls_is_passed_on(pair):
    edge, node = pair()
    subs = tlv(0x21, b"TLSv1.3") + tlv(0x23, b"TLS_AES_256_GCM_SHA384") + tlv(0x22, b"user.test")
    through(edge.port, v2(tlvs=tlv(0x20, struct.pack("!BI", 3, 0) + subs) + tlv(2, b"mx.sni.test")))
    line = node.wait_log(r"<= a@b\.test.*$")[0]
    assert ' P=esmtps X=TLSv1.3:TLS_AES_256_GCM_SHA384:256 CV=yes SNI="mx.sni.test" K PRX=' in line


def test_what_is_made_here_is_local(pair):
    edge, node = pair()
    edge.run("-odf", "-f", "a@b.test", "c@node.test", input="Subject: x\n\nbody\n")
    assert "[127.0.0.1]:" in node.wait_log(r"<= a@b\.test.*$")[0]
    node.wait_log(r"command=LOCAL v=2")


def test_a_callout_is_our_own_affair(pair):
    edge, node = pair()
    through(edge.port, v1(), ("c@asked.test",))
    node.wait_log(r"command=LOCAL v=2")
    node.wait_log(r"client=192\.0\.2\.7:4444 ")


def test_a_connection_is_used_again_only_for_the_same_client(pair):
    edge, node = pair(main="queue_only")
    for port in (1001, 1002):
        through(edge.port, v1(sport=port), count=3)
    edge.run("-qf")
    assert len(node.wait_mail("mail/c", 6)) == 6
    lines = re.findall(r"<= a@b\.test H=.*\[192\.0\.2\.7\]:(\d+) ", node.mainlog())
    assert sorted(lines) == ["1001"] * 3 + ["1002"] * 3


def test_hosts_that_are_not_listed_get_none(pair):
    edge, node = pair("hosts_send_proxy = 192.0.2.99", config=NODE.replace("proxy_required_hosts = 127.0.0.1", "proxy_required_hosts ="))
    through(edge.port, v1())
    assert "[127.0.0.1]" in node.wait_log(r"<= a@b\.test.*$")[0]


def test_what_the_bytes_are(pair):
    """Version 2 with a CRC that others compute alike."""
    seen = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        edge, _ = pair(port=listener.getsockname()[1])
        through(edge.port, v2())
        sock, _ = listener.accept()
        with sock:
            sock.settimeout(10)
            head = sock.recv(16, socket.MSG_WAITALL)
            body = sock.recv(struct.unpack("!H", head[14:])[0], socket.MSG_WAITALL)
            seen.append(head + body)
    header = seen[0]
    assert header[:14] == SIGNATURE + b"\x21\x11"
    assert header[16:24] == socket.inet_aton("192.0.2.7") + socket.inet_aton("127.0.0.1")
    assert header[-7:-4] == b"\x03\0\4" and struct.unpack("!I", header[-4:])[0] == crc32c(header[:-4] + b"\0\0\0\0")


def test_tls_begins_after_the_header(pair):
    edge, node = pair("hosts_send_proxy = *\n  hosts_require_tls = *\n  tls_verify_certificates =\n  tls_try_verify_hosts =")
    through(edge.port, v1())
    line = node.wait_log(r"<= a@b\.test.*$")[0]
    assert "[192.0.2.7]" in line and " P=esmtps " in line


@pytest.mark.parametrize("version", [1, 2])
def test_through_haproxy(pair, site, tmp_path, version):
    port = free_port()
    edge, node = pair(SEND[version], port=port)
    (tmp_path / "haproxy.cfg").write_text(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
        f"listen smtp\n  bind 127.0.0.1:{port} accept-proxy\n  server n 127.0.0.1:{node.port} send-proxy-v2\n")
    process = subprocess.Popen(["haproxy", "-db", "-f", tmp_path / "haproxy.cfg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: f":{port:04X} " in open("/proc/net/tcp").read())
        through(edge.port, v1())
        assert "[192.0.2.7]:4444" in node.wait_log(r"<= a@b\.test.*$")[0]
        edge.run("-odf", "-f", "local@b.test", "c@node.test", input="Subject: x\n\nbody\n")
        node.wait_log(r"<= local@b\.test ")
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("version", [1, 2])
def test_through_nginx(pair, tmp_path, version):
    port = free_port()
    edge, node = pair(SEND[version], port=port)
    (tmp_path / "nginx.conf").write_text(
        "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\ndaemon off;\nworker_processes 1;\n"
        f"pid {tmp_path}/nginx.pid;\nerror_log {tmp_path}/error.log;\nevents {{}}\n"
        f"stream {{ log_format who '$proxy_protocol_addr:$proxy_protocol_port'; access_log {tmp_path}/access.log who;\n"
        f" server {{ listen 127.0.0.1:{port} proxy_protocol; proxy_pass 127.0.0.1:{node.port}; proxy_protocol on; }} }}\n")
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", tmp_path, "-c", tmp_path / "nginx.conf"], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: f":{port:04X} " in open("/proc/net/tcp").read())
        through(edge.port, v1())
        node.wait_log(r"<= a@b\.test ")
        wait_until(lambda: (tmp_path / "access.log").read_text() == "192.0.2.7:4444\n" or edge.run("-qf") and None)
    finally:
        process.terminate()
        process.wait()


def inetd(e):
    """Each connection is standard input and output of Debian's Exim."""
    def serve(sock):
        with sock:
            subprocess.run([root() / "usr/sbin/exim4", "-C", e.conf, "-bs"], stdin=sock, stdout=sock, cwd=e.dir,
                           env={**e._env(), **environment(e.dir, e.user)}, **e._identity())

    return Listener(serve)


@pytest.mark.parametrize("version", [1, 2])
def test_debians_exim_reads_it(pair, site, version):
    plain = "\n".join(line for line in NODE.splitlines() if "proxy_tls" not in line and "command=" not in line)
    plain = plain.replace("+proxy_id", "").replace("$local_part", "${lookup{$local_part}lsearch{{dir}/names}}")
    theirs = site(plain.replace("proxy_required_hosts", "hosts_proxy"), name="theirs", next=0)
    (theirs.dir / "names").write_text("c: c\n")
    debian = Reference(theirs)
    with inetd(debian) as listener:
        edge, _ = pair(SEND[version], port=listener.port)
        through(edge.port, v2())
        line = debian.wait_log(r"<= a@b\.test.*$")[0]
        assert "[192.0.2.7]" in line and " PRX=127.0.0.1 " in line
        edge.wait_log("Completed")
