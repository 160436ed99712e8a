"""DANE (RFC 7672): what TLSA records make of a delivery, with a DNS server that says its answers are validated."""

import hashlib
import ssl
import subprocess

import pytest

from certs import Authority, server_context
from dnsserver import DnsServer
from sink import Sink

CONFIG = """
acl_smtp_rcpt = accept
qualify_domain = here.test
log_selector = +tls_certificate_verified
begin acl
note:
  accept logwrite = dane:fail for $host: $acl_arg1
begin routers
out:
  driver = dnslookup
  dnssec_request_domains = *
  self = send
  transport = smtp
begin transports
smtp:
  driver = smtp
  port = {sink}
  allow_localhost
  tls_verify_certificates =
  {options}
begin retry
* * F,1h,15m
"""


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("pki"), "root")


def tlsa(cert, usage, selector=1, matching=1):
    der = subprocess.run(["openssl", "x509", "-in", cert, "-outform", "DER"], capture_output=True).stdout
    if selector == 1:
        pub = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-pubkey"], capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=pub, capture_output=True).stdout
    data = [der, hashlib.sha256(der).digest(), hashlib.sha512(der).digest()][matching]
    return f"{usage} {selector} {matching} {data.hex()}"


@pytest.fixture
def case(site):
    made = []

    def make(both, records=(), options="", ad=True, broken=False, cname=False, starttls=True, **changes):
        sink = Sink(["PIPELINING", *(["STARTTLS"] if starttls else [])],
                    context=server_context(both, **changes) if both else None)
        zone = {"out.test": [("MX", "10 mx.out.test.")], "mx.out.test": [("A", "127.0.0.1")]}
        if cname:
            zone["mx.out.test"] = [("CNAME", "real.host.test.")]
            zone["real.host.test"] = [("A", "127.0.0.1")]
        base = "real.host.test" if cname == "target" else "mx.out.test"
        name = f"_{sink.port}._tcp.{base}"
        if records:
            zone[name] = [("TLSA", r) for r in records]
        dns = DnsServer(zone, ad=ad, broken=[name] if broken else [])
        e = site(CONFIG, sink=sink.port, options=options)
        e.dns = dns
        made.extend((sink, dns))
        e.run("-odf", "-f", "alice@here.test", "bob@out.test", input="Subject: x\n\nbody\n")
        return e.mainlog(), sink

    yield make
    for m in made:
        m.close()


def test_end_entity_record_needs_no_name_and_no_date(case, ca):
    both = ca.leaf("ee", ["unrelated.test"], days=-1)
    log, sink = case(both, [tlsa(ca.dir / "ee.pem", 3)])
    assert "=> bob@out.test" in log and "CV=dane" in log, log
    assert len(sink.messages) == 1


def test_record_that_does_not_match_defers_and_never_goes_clear(case, ca):
    both = ca.leaf("no", ["mx.out.test"])
    log, sink = case(both, ["3 1 1 " + "ab" * 32])
    assert "defer (-37)" in log and "SSL verify error" in log and not sink.messages, log
    assert sink.connections == 1


@pytest.mark.parametrize("names, good", [
    (["mx.out.test"], True), (["out.test"], True), (["*.out.test"], True), (["other.test"], False)])
def test_trust_anchor_record_checks_base_and_next_hop_names(case, ca, names, good):
    both = ca.leaf("ta" + names[0].replace("*", "w"), names)
    with open(both, "a") as f:  # the anchor must be sent
        f.write(ca.cert.read_text())
    log, sink = case(both, [tlsa(ca.cert, 2, 0, 1)])
    assert ("CV=dane" in log) is good, log
    assert bool(sink.messages) is good


def test_pkix_usages_are_unusable_tls_without_authentication(case, ca):
    both = ca.leaf("pkix", ["other.test"])
    log, sink = case(both, [tlsa(ca.dir / "pkix.pem", 1), tlsa(ca.cert, 0, 0, 1)])
    assert "=> bob@out.test" in log and "X=TLSv1" in log and "CV=no" in log, log
    log, sink = case(None, [tlsa(ca.dir / "pkix.pem", 1)], starttls=False)
    assert "defer (-38)" in log and not sink.messages, log


def test_usable_record_forbids_clear_text(case, ca):
    ca.leaf("strip", ["mx.out.test"])
    log, sink = case(None, [tlsa(ca.dir / "strip.pem", 3)], starttls=False)
    assert "a TLS session is required, but the server did not offer TLS support" in log, log
    assert not sink.messages


def test_lookup_failure_defers(case, ca):
    log, sink = case(ca.leaf("servfail", ["mx.out.test"]), broken=True)
    assert "DANE error: TLSA lookup failed" in log and "== bob@out.test" in log and not sink.messages, log


def test_answers_that_are_not_validated_do_not_count(case, ca):
    log, sink = case(ca.leaf("noad", ["mx.out.test"]), ["3 1 1 " + "ab" * 32], ad=False)
    assert "=> bob@out.test" in log and "CV=no" in log, log


def test_hosts_require_dane(case, ca):
    both = ca.leaf("req", ["mx.out.test"])
    log, sink = case(both, options="hosts_require_dane = *")
    assert "== bob@out.test" in log and "DANE error: no TLSA records" in log and not sink.messages, log
    log, sink = case(both, [tlsa(ca.dir / "req.pem", 3)], "hosts_require_dane = *", ad=False)
    assert "DANE error: the host's address was not validated by DNSSEC" in log and not sink.messages, log
    log, sink = case(both, [tlsa(ca.dir / "req.pem", 3)], "hosts_require_dane = *")
    assert "CV=dane" in log


def test_ciphers_of_dane(case, ca):
    both = ca.leaf("ciphers", ["mx.out.test"])
    options = "tls_require_ciphers = ECDHE-ECDSA-AES256-GCM-SHA384\n  dane_require_tls_ciphers = ECDHE-ECDSA-AES128-GCM-SHA256"
    record, tls12 = tlsa(ca.dir / "ciphers.pem", 3), ssl.TLSVersion.TLSv1_2
    assert "X=TLSv1.2:ECDHE-ECDSA-AES128-GCM-SHA256:128 CV=dane" in case(both, [record], options, maximum_version=tls12)[0]
    assert "X=TLSv1.2:ECDHE-ECDSA-AES256-GCM-SHA384:256 CV=no" in case(both, [record], options, ad=False, maximum_version=tls12)[0]


def test_hosts_try_dane_off(case, ca):
    log, sink = case(ca.leaf("off", ["mx.out.test"]), ["3 1 1 " + "ab" * 32], "hosts_try_dane =")
    assert "=> bob@out.test" in log and "CV=no" in log, log


@pytest.mark.parametrize("where", ["target", "alias"])
def test_records_at_either_end_of_an_alias(case, ca, where):
    both = ca.leaf("cname" + where, ["unrelated.test"])
    log, sink = case(both, [tlsa(ca.dir / f"cname{where}.pem", 3)], cname=where)
    assert "CV=dane" in log, log


def test_event(case, ca):
    action = "event_action = ${if eq{$event_name}{dane:fail}{${acl{note}{$event_data}}}}"
    both = ca.leaf("event", ["mx.out.test"])
    log, _ = case(both, ["3 1 1 " + "ab" * 32], action)
    assert "defer (-37)" in log and "dane:fail for mx.out.test: (SSL_connect): certificate verify failed: " in log, log
    log, _ = case(both, [tlsa(ca.dir / "event.pem", 3)], action)
    assert "CV=dane" in log and log.count("dane:fail for") == 1
