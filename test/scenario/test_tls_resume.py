"""Sessions to resume are in the hints database "tls": the next process finds them, under the same policy only."""

import ssl
import subprocess

import pytest

from certs import Authority, server_context
from dnsserver import DnsServer
from exim import binary
from sink import Sink

CONFIG = """
log_selector = +tls_certificate_verified +tls_verified_name
qualify_domain = here.test
begin acl
noted:
  accept logwrite = event $acl_arg1
begin routers
out:
  driver = manualroute
  domains = *.test
  route_data = {host}
  self = send
  transport = smtp
begin transports
smtp:
  driver = smtp
  port = {sink}
  allow_localhost
  hosts_try_dane =
  hosts_request_ocsp =
  tls_verify_certificates = {ca}
  tls_verify_hosts = *
  hosts_require_tls = *
  tls_resumption_hosts = *
  {options}
begin retry
* * F,1h,15m
"""


class Watched(Sink):
    """Remembers which of its sessions were resumed."""

    def __init__(self, both, **changes):
        super().__init__(context=server_context(both, **changes), extensions=["STARTTLS"])
        self.resumed, wrap = [], self.context.wrap_socket

        def watch(sock, **kw):
            got = wrap(sock, **kw)
            self.resumed.append(got.session_reused)
            return got

        self.context = type("Context", (), {"wrap_socket": staticmethod(watch)})()


@pytest.fixture
def pki(tmp_path):
    return Authority(tmp_path / "pki", "root")


@pytest.fixture
def world(site, pki):
    made = []

    def make(options="", **changes):
        dns = DnsServer({name: [("A", "127.0.0.1")] for name in ("mx.out.test", "mx2.out.test")})
        sink = Watched(pki.leaf("mx", ["mx.out.test", "mx2.out.test"]), **changes)
        made.extend((dns, sink))
        e = site(CONFIG, dns=dns, sink=sink.port, ca=pki.cert, options=options, host="mx.out.test")
        return e, sink

    yield make
    for m in made:
        m.close()


def send(e, **words):
    if words:
        e.write_config(CONFIG, **words)
    e.run("-odf", "-f", "alice@here.test", "bob@out.test", input="Subject: x\n\nbody\n")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_next_process_resumes(world, version):
    e, sink = world(maximum_version=version)
    for _ in range(3):
        send(e)
    assert sink.resumed == [False, True, True]
    assert e.mainlog().count(" CV=yes VN=mx.out.test") == 3, e.mainlog()
    assert (e.dir / "spool/db/tls").stat().st_mode & 0o7 == 0


@pytest.mark.parametrize("words", [
    {"host": "mx2.out.test"}, {"options": "tls_verify_cert_hostname = mx.out.test"}, {"options": "tls_require_ciphers = HIGH"},
    {"options": "tls_sni = other.test"}, {"options": "tls_verify_report_hosts = *"}, {"options": "interface = 127.0.0.2"},
    {"options": "hosts_require_ocsp = 192.0.2.99 : 127.0.0.1"}], ids=range(7))
def test_never_under_another_policy(world, words):
    e, sink = world()
    send(e)
    send(e, **words)
    same_session = "interface" in str(words)  # says nothing about the certificate
    assert sink.resumed == [False, same_session]


def test_what_was_not_verified_is_never_resumed_as_verified(world, pki, tmp_path):
    """The CA is another one by now, or nothing was to be verified when the session was made."""
    e, sink = world("tls_verify_certificates = ")
    e.write_config(CONFIG.replace("  tls_verify_certificates = {ca}\n", "").replace("  tls_verify_hosts = *\n", ""))
    send(e)
    assert "CV=no" in e.mainlog()
    e.write_config(CONFIG, options="")
    send(e)
    assert sink.resumed == [False, False] and "CV=yes" in e.mainlog()
    stranger = Authority(tmp_path / "s", "stranger")
    pki.cert.write_text(stranger.cert.read_text())
    send(e)
    assert sink.resumed[2] is False and "SSL verify error" in e.mainlog(), e.mainlog()


def test_events_see_every_certificate(world):
    action = "event_action = ${if eq{$event_name}{tls:cert}{${acl{noted}{$event_data}}}}"
    e, sink = world(action)
    send(e)
    send(e)
    assert sink.resumed == [False, False] and e.mainlog().count("event 0") == 2 and e.mainlog().count("event 1") == 2


def test_off_by_default_and_damage_is_no_harm(world):
    e, sink = world()
    e.write_config(CONFIG.replace("  tls_resumption_hosts = *\n", ""))
    send(e)
    assert not (e.dir / "spool/db/tls").exists()
    e.write_config(CONFIG)
    send(e)
    tool = binary().parent / "exim_dumpdb"
    p = subprocess.run([tool, e.dir / "spool", "tls"], capture_output=True, text=True)
    assert "session of" in p.stdout and p.returncode == 0, p.stderr
    p = subprocess.run([binary().parent / "exim_tidydb", "-t", "1d", e.dir / "spool", "tls"], capture_output=True, text=True)
    assert p.returncode == 0, p.stderr
    (e.dir / "spool/db/tls").write_bytes(b"damaged" * 1000)
    send(e)
    assert e.mainlog().count("=> bob@out.test") == 3, e.mainlog()
