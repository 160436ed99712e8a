"""proxy_tls_hosts: the TLS that a balancer ended is the session's, if the balancer is believed."""

import re
import ssl
import struct
import subprocess

import pytest

from certs import Authority
from exim import free_port, wait_until
from proxyheader import local, tlv, v2
from smtp import Smtp

CONFIG = """
log_selector = +proxy +tls_peerdn +tls_sni +tls_certificate_verified +tls_cipher
proxy_required_hosts = 127.0.0.1
proxy_tls_hosts = {believed}
tls_advertise_hosts = *
hostlist balancers = 127.0.0.1
acl_smtp_connect = acl_connect
acl_smtp_mail = acl_mail
acl_smtp_rcpt = acl_rcpt
{main}
begin acl
acl_connect:
  warn logwrite = c=<$tls_in_cipher> v=<$tls_in_ver> b=<$tls_in_bits> dn=<$tls_in_peerdn> sni=<$tls_in_sni> ok=<$tls_in_certificate_verified> cn=<${certextract{subject,CN}{$tls_in_peercert}{$value}{no}}>
  accept
acl_mail:
  warn encrypted = *
       logwrite = encrypted
  warn encrypted = TLS_AES_128_GCM_SHA256
       logwrite = with the suite named
  warn verify = certificate
       logwrite = good certificate
  accept
acl_rcpt:
  accept domains = here.test
  accept hosts = +balancers
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


def statement(client=1, verify=0, version=b"TLSv1.3", cipher=b"TLS_AES_128_GCM_SHA256", cn=None, der=None):
    subs = tlv(0x21, version) + (tlv(0x23, cipher) if cipher else b"") + (tlv(0x22, cn) if cn else b"") + (tlv(0x28, der) if der else b"")
    return tlv(0x20, struct.pack("!BI", client, verify) + subs) + tlv(2, b"mx.sni.test")


def deliver(port, header, source=None):
    with Smtp(port, before=header, source=source) as s:
        ehlo = s.ok("EHLO me.test")
        s.message("a@b.test", ["c@here.test"])
        s.quit()
    return ehlo


def test_a_believed_statement_is_the_sessions_tls(site):
    e = site(CONFIG, believed="127.0.0.1", main="").start(quiet=True)
    ehlo = deliver(e.port, v2(tlvs=statement(), crc=True))
    line = e.wait_log(r"<= a@b\.test.*$")[0]
    assert " P=esmtps X=TLSv1.3:TLS_AES_128_GCM_SHA256:128 CV=no SNI=\"mx.sni.test\" PRX=127.0.0.1 S=" in line
    assert "STARTTLS" not in ehlo
    log = e.mainlog()
    assert "c=<TLSv1.3:TLS_AES_128_GCM_SHA256:128> v=<TLSv1.3> b=<128> dn=<> sni=<mx.sni.test> ok=<0>" in log
    assert "encrypted" in log and "with the suite named" in log and "good certificate" not in log
    with Smtp(e.port, before=v2(tlvs=statement())) as s:
        s.ok("EHLO me.test")
        assert s.cmd("STARTTLS") == "503 STARTTLS command used when not advertised"


@pytest.mark.parametrize("client,verify,good", [(3, 0, True), (5, 0, True), (3, 20, False), (1, 0, False)])
def test_a_name_counts_only_from_a_certificate_that_was_good(site, client, verify, good):
    e = site(CONFIG, believed="127.0.0.1", main="").start(quiet=True)
    deliver(e.port, v2(tlvs=statement(client, verify, cn=b"user.test")))
    line = e.wait_log(r"<= a@b\.test.*$")[0]
    assert (' CV=yes DN="/CN=user.test"' in line) == good and ("DN=" in line) == good
    assert ("good certificate" in e.mainlog()) == good and ("dn=</CN=user.test>" in e.mainlog()) == good


def test_the_clients_certificate_itself(site, tmp_path):
    both = Authority(tmp_path / "ca", "root").leaf("client", cn="user.test")
    der = ssl.PEM_cert_to_DER_cert(re.search("-----BEGIN CERT.*?-----END CERTIFICATE-----", both.read_text(), re.S)[0])
    e = site(CONFIG, believed="127.0.0.1", main="").start(quiet=True)
    deliver(e.port, v2(tlvs=statement(3, 0, cn=b"other.test", der=der)))
    e.wait_log(r"dn=</CN=user\.test> .*cn=<user\.test>")
    deliver(e.port, v2(tlvs=statement(3, 0, cn=b"other.test", der=der[:-1])))
    e.wait_log(r"dn=</CN=other\.test> .*cn=<no>")


@pytest.mark.parametrize("believed,header", [
    ("192.0.2.99", v2(tlvs=statement(3))), ("", v2(tlvs=statement(3))), ("127.0.0.1", v2()), ("127.0.0.1", v2(tlvs=statement(0))),
    ("127.0.0.1", local(statement(3))), ("127.0.0.1", v2(command=1, family=0x12, tlvs=statement(3))),
    ("${lookup{x}lsearch{/nonexistent}{*}{*}}", v2(tlvs=statement(3)))], ids=range(7))
def test_otherwise_it_is_clear_text(site, believed, header):
    e = site(CONFIG, believed=believed, main="").start(quiet=True)
    ehlo = deliver(e.port, header)
    line = e.wait_log(r"<= a@b\.test.*$")[0]
    assert " P=esmtp PRX=" in line and "STARTTLS" in ehlo and "encrypted" not in e.mainlog()


def test_what_was_found_for_the_balancer_is_not_remembered_for_the_client(site):
    e = site(CONFIG, believed="+balancers", main="").start(quiet=True)
    with Smtp(e.port, before=v2(tlvs=statement())) as s:
        s.ok("EHLO x")
        s.ok("MAIL FROM:<a@b.test>")
        assert s.cmd("RCPT TO:<x@elsewhere.test>") == "550 relay not permitted"
    assert "encrypted" in e.mainlog()


def test_tls_of_our_own_counts_more(site):
    """A balancer that encrypts again: header, then a handshake."""
    e = site(CONFIG, believed="127.0.0.1", main="").start("-tls-on-connect", quiet=True)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode, context.maximum_version = False, ssl.CERT_NONE, ssl.TLSVersion.TLSv1_2
    s = Smtp(e.port, before=v2(tlvs=statement(3, 0, cn=b"user.test")), greet=False)
    s.sock = context.wrap_socket(s.sock)
    assert s.reply().startswith("220")
    s.ok("EHLO me.test")
    s.message("a@b.test", ["c@here.test"])
    s.quit()
    line = e.wait_log(r"<= a@b\.test.*$")[0]
    assert " P=esmtps X=TLSv1.2:" in line and "CV=no" in line and "user.test" not in line


def test_haproxy_ends_the_tls(site, tmp_path):
    e = site(CONFIG, believed="127.0.0.1", main="").start(quiet=True)
    ca = Authority(tmp_path / "ca", "root")
    server, client, port = ca.leaf("mx", ["mx.sni.test"]), ca.leaf("client", cn="user.test"), free_port()
    (tmp_path / "haproxy.cfg").write_text(
        "global\n  tune.ssl.default-dh-param 2048\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n"
        f"frontend smtps\n  bind 127.0.0.1:{port} ssl crt {server} ca-file {ca.cert} verify optional\n  default_backend nodes\n"
        f"backend nodes\n  server n 127.0.0.1:{e.port} send-proxy-v2 proxy-v2-options ssl,cert-cn,ssl-cipher,authority,crc32c\n")
    process = subprocess.Popen(["haproxy", "-db", "-f", tmp_path / "haproxy.cfg"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: f":{port:04X} " in open("/proc/net/tcp").read())
        context = ssl.create_default_context(cafile=str(ca.cert))
        context.load_cert_chain(client)
        s = Smtp(port, source=("127.0.0.9", 0), greet=False)
        s.sock = context.wrap_socket(s.sock, server_hostname="mx.sni.test")
        assert s.reply().startswith("220")
        assert "[127.0.0.9]" in s.ok("EHLO me.test")
        s.message("a@b.test", ["c@here.test"])
        s.quit()
    finally:
        process.terminate()
        process.wait()
    line = e.wait_log(r"<= a@b\.test.*$")[0]
    assert re.search(r' P=esmtps X=TLSv1\.3:TLS_\w+:(128|256) CV=yes DN="/CN=user\.test" SNI="mx\.sni\.test" PRX=127', line), line
