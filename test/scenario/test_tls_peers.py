"""Certificates presented by servers that are not ours: Postfix and OpenSSL's s_server."""

import re
import socket
import struct
import subprocess
import threading

import pytest

from certs import Authority
from dnsserver import DnsServer
from exim import free_port, wait_until
from listener import Listener
from postfix import Postfix

CONFIG = """
qualify_domain = here.test
log_selector = +tls_certificate_verified +tls_peerdn
begin routers
out:
  driver = manualroute
  domains = out.test
  route_data = mx.out.test
  self = send
  transport = smtp
begin transports
smtp:
  driver = smtp
  port = {peer}
  allow_localhost
  hosts_try_dane =
  tls_verify_certificates = {ca}
  tls_verify_hosts = *
  hosts_require_tls = *
  {options}
begin retry
* * F,1h,15m
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    root, stranger = Authority(folder, "root"), Authority(folder, "stranger")
    middle = Authority(folder, "middle", parent=root)
    elsewhere = Authority(folder, "elsewhere", parent=root, extensions=["nameConstraints=critical,permitted;DNS:other.test"])
    excluded = Authority(folder, "excluded", parent=root, extensions=["nameConstraints=critical,excluded;DNS:mx.out.test"])
    alone = Authority(folder, "alone", extensions=["subjectAltName=DNS:mx.out.test"])
    both = alone.dir / "both.pem"
    both.write_text(alone.cert.read_text() + alone.key.read_text())
    host = ["mx.out.test"]
    many = [f"host{i:04}.some-rather-long-domain-name.example.test" for i in range(700)]
    leaves = {
        "valid": root.leaf("valid", host), "valid by intermediate": middle.leaf("valid", host), "huge": root.leaf("huge", many + host),
        "wrong name": root.leaf("other", ["other.test"]), "expired": root.leaf("expired", host, days=-1), "self-signed": both,
        "wrong CA": stranger.leaf("valid", host), "missing intermediate": middle.leaf("bare", host, chain=False),
        "revoked": root.leaf("revoked", host), "constrained": elsewhere.leaf("constrained", host),
        "constrained wildcard": excluded.leaf("wild", ["*.out.test"]),
    }
    root.leaves, root.list = leaves, root.crl(root.dir / "revoked.pem")
    for path in leaves.values():
        path.chmod(0o644)
    return root


class SServer:
    """openssl s_server behind a server that only knows STARTTLS; a thread answers what it prints."""

    def __init__(self, folder, both):
        self.port, self.inner, self.messages = free_port(), free_port(), 0
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", f"127.0.0.1:{self.inner}", "-cert", both, "-key", both, "-cert_chain", both, "-quiet"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        wait_until(lambda: f":{self.inner:04X} " in open("/proc/net/tcp").read())
        self.listener = Listener(self._serve, self.port)
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self):
        replies = {b"EHLO": "250 mx.out.test", b"DATA": "354 go on", b"QUIT": "221 bye"}
        data = False
        for line in self.process.stdout:
            line = line.strip()
            if data and line != b".":
                continue
            self.messages += data
            data = line[:4] == b"DATA"
            self.process.stdin.write((replies.get(line[:4], "250 OK") + "\r\n").encode())
            self.process.stdin.flush()

    def _serve(self, sock):
        sock.sendall(b"220 mx.out.test\r\n")
        for answer in (b"250-mx.out.test\r\n250 STARTTLS\r\n", b"220 go ahead\r\n"):
            if not sock.recv(1000):
                return
            sock.sendall(answer)
        inner = socket.create_connection(("127.0.0.1", self.inner))
        threading.Thread(target=self._pump, args=(inner, sock), daemon=True).start()
        threading.Thread(target=self._pump, args=(sock, inner), daemon=True).start()

    @staticmethod
    def _pump(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.close()
        self.process.kill()
        self.process.wait()


def postfix(folder, both):
    return Postfix(folder / "postfix", users=["bob@out.test"], tls=(both, both))


CASES = {
    "valid": None, "valid by intermediate": None, "huge": None,
    "wrong name": 'certificate name mismatch: DN="" H="mx.out.test" SAN="other.test"',
    "expired": "depth=0 error=certificate has expired", "self-signed": "error=self-signed certificate",
    "wrong CA": "error=unable to get local issuer certificate", "missing intermediate": "error=unable to get local issuer certificate",
    "revoked": "depth=0 error=certificate revoked", "constrained": "error=permitted subtree violation",
    "constrained wildcard": "certificate name not permitted by the name constraints of its CA",
}


@pytest.mark.parametrize("server", [postfix, SServer])
@pytest.mark.parametrize("name", CASES)
def test_what_is_presented(site, pki, tmp_path, server, name):
    dns = DnsServer({"mx.out.test": [("A", "127.0.0.1")]})
    options = f"tls_crl = {pki.list}" if name == "revoked" else ""
    with server(tmp_path, pki.leaves[name]) as peer:
        e = site(CONFIG, peer=peer.port, ca=pki.cert, options=options, dns=dns)
        e.run("-odf", "-f", "alice@here.test", "bob@out.test", input="Subject: x\n\nbody\n")
        log = e.mainlog()
        if CASES[name] is None:
            assert re.search(r"=> bob@out\.test .* X=TLSv1\.3:\S+ CV=yes", log), log
            if server is postfix:
                peer.wait_log("status=sent")
                assert len(peer.maildir("bob@out.test")) == 1
            else:
                assert peer.messages == 1
        else:
            assert "[127.0.0.1] SSL verify error: " in log and CASES[name] in log, log
            assert re.search(r"== bob@out\.test R=out T=smtp defer \(-37\) H=mx\.out\.test \[127\.0\.0\.1\]: failure while setting up TLS session", log), log
            assert "=>" not in log and (server is not SServer or peer.messages == 0)
    dns.close()


class Rude:
    """Resets the connection in the middle of the handshake, when TLS is asked for."""

    def __init__(self):
        self.hellos, self.connections = [], 0
        self.listener = Listener(self._serve)
        self.port = self.listener.port

    def _serve(self, sock):
        self.connections += 1
        sock.sendall(b"220 rude\r\n")
        while line := sock.recv(4096):
            if line.startswith(b"STARTTLS"):
                sock.sendall(b"220 go ahead\r\n")
                self.hellos.append(sock.recv(5))
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                break
            sock.sendall(b"250-rude\r\n250 STARTTLS\r\n" if line.startswith(b"EHLO") else
                         b"354 go on\r\n" if line.startswith(b"DATA") else b"250 OK\r\n")
        sock.close()


@pytest.mark.parametrize("options, clear", [
    ("", False), ("hosts_require_tls =", True), ("hosts_require_tls =\n  no_tls_tempfail_tryclear", False)])
def test_reset_in_the_middle_of_the_handshake(site, pki, options, clear):
    peer, dns = Rude(), DnsServer({"mx.out.test": [("A", "127.0.0.1")]})
    config = CONFIG if not options else CONFIG.replace("  hosts_require_tls = *\n", "")
    e = site(config, peer=peer.port, ca=pki.cert, options=options, dns=dns)
    e.run("-odf", "-f", "alice@here.test", "bob@out.test", input="Subject: x\n\nbody\n")
    log = e.mainlog()
    assert peer.hellos and peer.hellos[0][:2] == b"\x16\x03"
    assert "H=mx.out.test [127.0.0.1] TLS error on connection (SSL_connect): " in log, log
    assert ("delivering unencrypted to mx.out.test [127.0.0.1] (not in hosts_require_tls)" in log) is clear
    assert ("=> bob@out.test" in log) is clear and ("defer (-37)" in log) is not clear, log
    assert peer.connections == (2 if clear else 1)
    peer.listener.close()
    dns.close()
