"""TLS as a server: certificates by SNI, client certificates, stapling, resumption, a new certificate in place."""

import os
import pty
import re
import select
import shutil
import ssl
import subprocess
import time
import tty

import pytest

from certs import Authority
from exim import binary, wait_until
from smtp import Smtp

CONFIG = """
acl_smtp_rcpt = accept
qualify_domain = here.test
log_selector = +tls_certificate_verified +tls_peerdn +tls_sni
tls_advertise_hosts = *
{main}
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
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("pki"), "root")


@pytest.fixture
def daemon(site):
    def make(main, **words):
        e = site(CONFIG, main=main, **words)
        stop = e.stop
        e.stop = lambda *a: (hang_up(), stop(*a))
        return e

    return make


def client(ca, sni="mail.here.test", cert=None):
    context = ssl.create_default_context(cafile=ca.cert)
    if cert:
        context.load_cert_chain(cert)
    context.sni = sni
    return context


OPEN = []


def connect(e):
    OPEN.append(Smtp(e.port))
    return OPEN[-1]


def hang_up():
    """A daemon that is told to end waits for its sessions."""
    while OPEN:
        OPEN.pop().sock.close()


def talk(e, context, sni="mail.here.test"):
    s = connect(e)
    s.ok("EHLO x.test")
    s.ok("STARTTLS")
    s.sock = context.wrap_socket(s.sock, server_hostname=sni)
    s.buffer = b""
    s.ok("EHLO x.test")
    return s


def send(e, context, sni="mail.here.test"):
    s = talk(e, context, sni)
    s.message("alice@here.test", ["bob@here.test"])
    s.cmd("QUIT")
    e.wait_log("Completed")
    return e.mainlog()


def test_certificate_and_log_line(daemon, ca):
    both = ca.leaf("plain", ["mail.here.test"])
    with daemon(f"tls_certificate = {both}") as e:
        log = send(e, client(ca))
    assert " P=esmtps X=TLSv1.3:TLS_AES_256_GCM_SHA384:256 CV=no SNI=\"mail.here.test\"" in log, log


def test_certificate_by_sni(daemon, ca):
    one, two = ca.leaf("one", ["mail.here.test"]), ca.leaf("two", ["other.here.test"])
    option = f"tls_certificate = ${{if eq{{$tls_in_sni}}{{other.here.test}}{{{two}}}{{{one}}}}}"
    with daemon(option) as e:
        send(e, client(ca))
        s = talk(e, client(ca), "other.here.test")
        assert ("DNS", "other.here.test") in s.sock.getpeercert()["subjectAltName"]


def test_no_certificate_means_a_self_signed_one(daemon, ca):
    with daemon("tls_privatekey =") as e:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        s = connect(e)
        if "STARTTLS" in s.ok("EHLO x.test"):
            s.starttls(context)
            s.ok("EHLO x.test")


def test_unreadable_certificate_is_454(daemon):
    with daemon("tls_certificate = /nowhere/cert.pem") as e:
        s = connect(e)
        s.ok("EHLO x.test")
        assert s.cmd("STARTTLS").startswith("454 TLS currently unavailable")


def test_client_certificates(daemon, ca, tmp_path):
    both = ca.leaf("srv", ["mail.here.test"])
    good = ca.leaf("client", ["client.test"])
    stranger = Authority(tmp_path / "s", "stranger").leaf("client", ["client.test"])
    with daemon(f"tls_certificate = {both}\ntls_verify_certificates = {ca.cert}\ntls_try_verify_hosts = *") as e:
        assert " CV=yes" in send(e, client(ca, cert=good))
        s = talk(e, client(ca, cert=stranger))
        s.message("alice@here.test", ["bob@here.test"])
        e.wait_log(" CV=no")
    with daemon(f"tls_certificate = {both}\ntls_verify_certificates = {ca.cert}\ntls_verify_hosts = *") as e:
        assert " CV=yes" in send(e, client(ca, cert=good))
        with pytest.raises((ssl.SSLError, OSError, EOFError)):
            talk(e, client(ca))
        e.wait_log(r"TLS error on connection from .* \(SSL_accept\): error:")


def test_a_new_certificate_counts_at_once(daemon, ca, tmp_path):
    place = tmp_path / "cert.pem"
    shutil.copy(ca.leaf("old", ["mail.here.test", "old.test"]), place)
    place.chmod(0o644)
    with daemon(f"tls_certificate = {place}") as e:
        s = talk(e, client(ca))
        assert ("DNS", "old.test") in s.sock.getpeercert()["subjectAltName"]
        shutil.copy(ca.leaf("new", ["mail.here.test", "new.test"]), place)
        s = talk(e, client(ca))
        assert ("DNS", "new.test") in s.sock.getpeercert()["subjectAltName"]


def test_the_acceptor_reads_a_new_certificate_for_all(daemon, ca, tmp_path):
    """Sessions that start later have it from there, and read nothing."""
    place = tmp_path / "cert.pem"
    shutil.copy(ca.leaf("renewed1", ["mail.here.test", "old.test"]), place)
    place.chmod(0o644)
    e = daemon(f"tls_certificate = {place}")
    e.start("-d+tls+pid")
    readers = lambda: re.findall(r"^ *(\d+) TLS: reads /", (e.dir / "stderr").read_text(), re.M)  # noqa: E731
    try:
        acceptor, = wait_until(readers)
        talk(e, client(ca))
        assert readers() == [acceptor]
        shutil.copy(ca.leaf("renewed2", ["mail.here.test", "new.test"]), place)
        time.sleep(1.1)  # as often as the acceptor looks
        before = set(sessions(e))
        for _ in range(6):
            assert ("DNS", "new.test") in talk(e, client(ca)).sock.getpeercert()["subjectAltName"]
        assert readers().count(acceptor) == 2
        assert set(readers()) <= {acceptor} | before and len(set(sessions(e)) - before) >= 3
    finally:
        e.stop()


def sessions(e):
    """Process ids below the broker's children."""
    list_of = lambda pid: subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()  # noqa: E731
    return [s for role in list_of(e.process.pid) for s in list_of(role)]


def test_curves_ciphers_and_options(daemon, ca):
    both = ca.leaf("opts", ["mail.here.test"])
    main = (f"tls_certificate = {both}\ntls_eccurve = secp384r1\nopenssl_options = +no_tlsv1_3\n"
            "tls_require_ciphers = ECDHE-ECDSA-AES128-GCM-SHA256")
    with daemon(main) as e:
        assert "X=TLSv1.2:ECDHE-ECDSA-AES128-GCM-SHA256:128" in send(e, client(ca))


def test_resumption_only_for_listed_hosts(daemon, ca):
    both = ca.leaf("resume", ["mail.here.test"])
    for option, wanted in (("", False), ("tls_resumption_hosts = *", True)):
        with daemon(f"tls_certificate = {both}\nopenssl_options = +no_tlsv1_3\n{option}") as e:
            context = client(ca)
            s = talk(e, context)
            session = s.sock.session
            s.cmd("QUIT")
            s = connect(e)
            s.ok("EHLO x.test")
            s.ok("STARTTLS")
            s.sock = context.wrap_socket(s.sock, server_hostname="mail.here.test", session=session)
            assert s.sock.session_reused is wanted


def test_wrong_alpn_is_refused(daemon, ca):
    both = ca.leaf("alpn", ["mail.here.test"])
    with daemon(f"tls_certificate = {both}") as e:
        context = client(ca)
        context.set_alpn_protocols(["http/1.1"])
        with pytest.raises((ssl.SSLError, OSError, EOFError)):
            talk(e, context)
        context = client(ca)
        context.set_alpn_protocols(["smtp"])
        assert talk(e, context).sock.selected_alpn_protocol() == "smtp"


def ocsp(ca, stem, revoked=False):
    """A DER response for that certificate, signed by the CA."""
    index = ca.dir / f"{stem}.idx"
    serial = subprocess.run(["openssl", "x509", "-in", ca.dir / f"{stem}.pem", "-noout", "-serial"],
                            capture_output=True, text=True).stdout.strip().split("=")[1]
    state = "R\t301231235959Z\t260101000000Z" if revoked else "V\t301231235959Z\t"
    index.write_text(f"{state}\t{serial}\tunknown\t/CN=x\n")
    request, response = ca.dir / f"{stem}.req", ca.dir / f"{stem}.ocsp"
    for args in (["-issuer", ca.cert, "-cert", ca.dir / f"{stem}.pem", "-reqout", request, "-no_nonce"],
                 ["-index", index, "-CA", ca.cert, "-rsigner", ca.cert, "-rkey", ca.key, "-ndays", "7",
                  "-reqin", request, "-respout", response]):
        p = subprocess.run(["openssl", "ocsp", *args], capture_output=True, text=True)
        assert response.exists() or request.exists(), p.stderr
    return response


OUT = """
begin routers
out:
  driver = manualroute
  route_data = mail.here.test
  self = send
  transport = smtp
begin transports
smtp:
  driver = smtp
  port = {peer}
  allow_localhost
  tls_verify_certificates = {ca}
  tls_verify_hosts = *
  hosts_require_tls = *
  hosts_require_ocsp = *
begin retry
* * F,1h,15m
"""


def test_stapling_both_ways(daemon, site, ca):
    from dnsserver import DnsServer

    dns = DnsServer({"mail.here.test": [("A", "127.0.0.1")]})
    for stem, revoked, wanted in (("stapled", False, "CV=yes"), ("revoked", True, "Server certificate revoked")):
        both = ca.leaf(stem, ["mail.here.test"])
        with daemon(f"tls_certificate = {both}\ntls_ocsp_file = {ocsp(ca, stem, revoked)}") as e:
            sender = site("log_selector = +tls_certificate_verified\n" + OUT, name="sender", peer=e.port, ca=ca.cert)
            sender.dns = dns
            sender.run("-odf", "-f", "<>", "bob@here.test", input="Subject: x\n\nbody\n")
            assert wanted in sender.mainlog(), sender.mainlog()
    dns.close()


TLS_AUTH = """tls_certificate = {server}
tls_verify_certificates = {ca}
tls_try_verify_hosts = *
begin authenticators
cert:
  driver = tls
  server_param = ${certextract {subj_altname,mail,>:}{$tls_in_peercert}}
  server_param2 = two
  server_condition = ${if and{{eq{$tls_in_certificate_verified}{1}}{match{$auth1}{^bob@}}{eq{$auth2}{two}}}}
  server_set_id = $auth1
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = true
"""


def test_the_tls_authenticator_takes_a_certificate_for_a_login(daemon, ca, tmp_path):
    server, stranger = ca.leaf("tlsauth", ["mail.here.test"]), Authority(tmp_path, "stranger")
    certs = {"bob": ca.leaf("bob", ["email:bob@here.test"], cn="bob"), "eve": ca.leaf("eve", ["email:eve@here.test"], cn="eve"),
             "forged": stranger.leaf("bob", ["email:bob@here.test"], cn="bob"), None: None}
    with daemon(TLS_AUTH.replace("{server}", str(server)).replace("{ca}", str(ca.cert))) as e:
        for who, cert in certs.items():
            s = connect(e)
            s.ok("EHLO x.test")
            s.ok("STARTTLS")
            s.sock = client(ca, cert=cert).wrap_socket(s.sock, server_hostname="mail.here.test")
            s.buffer = b""
            offered = s.ok("EHLO x.test")
            assert ("AUTH PLAIN" in offered) == (who != "bob"), offered
            s.message(f"{who}@b.test", ["joe@here.test"])
            s.cmd("QUIT")
            line = e.wait_log(f"<= {who}@b.test .*")[0]
            assert (" A=cert:bob@here.test" in line) == (who == "bob") and (" P=esmtpsa" in line) == (who == "bob"), line


@pytest.mark.parametrize("pause", [0.2, None])
def test_a_handshake_that_does_not_end_is_ended(daemon, pause):
    """Also when there is a byte now and then: the time is for all of it."""
    with daemon("smtp_receive_timeout = 2s") as e:
        s = connect(e)
        s.ok("EHLO x")
        s.ok("STARTTLS")
        hello = b"\x16\x03\x01\x02\x00" + bytes(512)
        s.sock.settimeout(pause or 20)
        begun = time.monotonic()
        for at in range(len(hello) if pause else 1):
            s.sock.sendall(hello[at:at + 1])
            try:
                rest = s.sock.recv(100)
                break
            except TimeoutError:
                assert time.monotonic() - begun < 20
        assert rest == b""
        e.wait_log(r"TLS error on connection from .*\(SSL_accept\): timed out")


def test_tls_where_there_is_no_socket(site):
    """exim -bs on a terminal: neither a timeout of a socket nor send() is to be had."""
    e = site(CONFIG, main="")
    ours, theirs = pty.openpty()
    for end in (ours, theirs):
        tty.setraw(end)
    os.set_blocking(ours, False)
    p = subprocess.Popen([binary(), "-C", e.conf, "-bs"], stdin=theirs, stdout=theirs, env=e._env(), cwd=e.dir, **e._identity())
    os.close(theirs)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    come, go = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(come, go)

    def hear():
        assert select.select([ours], [], [], 20)[0]
        return os.read(ours, 65536)

    def under_tls(what):
        while True:
            try:
                return what()
            except ssl.SSLWantReadError:
                os.write(ours, go.read())
                come.write(hear())

    try:
        for command, answer in ((b"EHLO x\r\n", b"220 "), (b"STARTTLS\r\n", b"250-"), (b"", b"220 TLS go ahead")):
            assert hear().startswith(answer)
            os.write(ours, command)
        under_tls(tls.do_handshake)
        tls.write(b"EHLO y\r\n")
        assert under_tls(lambda: tls.read(1000)).startswith(b"250-mail.here.test Hello")
    finally:
        p.kill()
        p.wait()
        os.close(ours)
