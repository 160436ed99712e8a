"""DANE with zones that are really signed, by a resolver that really validates them."""

import subprocess

import pytest

from certs import Authority, server_context
from dnssec import SignedZones
from sink import Sink
from test_dane import CONFIG, tlsa


@pytest.fixture
def case(site, tmp_path):
    made = []
    ca = Authority(tmp_path / "pki", "root")

    def make(records=None, options="", host="mx", **more):
        both = ca.leaf("mx", ["mx.out.test"])
        sink = Sink(["STARTTLS"], context=server_context(both))
        made.append(sink)
        good = tlsa(ca.dir / "mx.pem", 3)
        lines = ["@ IN MX 10 " + host, "mx IN A 127.0.0.1", *[f"_{sink.port}._tcp.mx IN TLSA {r}" for r in records or [good]]]
        zones = {"out.test": lines, "other.test": ["mx IN A 127.0.0.1", f"_{sink.port}._tcp.mx IN TLSA {good}"]}
        made.append(SignedZones(tmp_path / "dns", zones, **more))
        e = site(CONFIG, sink=sink.port, options=options, dns=made[-1])
        e._env = lambda env=e._env: {**env(), "EXIM_RESOLV_SERVER": f"{made[-1].interface}:{made[-1].port}"}
        e.run("-odf", "-f", "alice@here.test", "bob@out.test", input="Subject: x\n\nbody\n")
        return e.mainlog(), sink, made[-1]

    yield make
    for m in made:
        m.close()


def test_a_signed_record_verifies(case):
    log, sink, dns = case()
    assert dns.ask("mx.out.test", "A") == (0, True)
    assert "=> bob@out.test" in log and "CV=dane" in log and len(sink.messages) == 1, log


def test_a_signed_record_of_another_certificate_refuses(case):
    log, sink, _ = case(["3 1 1 " + "ab" * 32])
    assert "defer (-37)" in log and not sink.messages, log


def test_the_host_may_be_in_another_signed_zone(case):
    log, _, _ = case(host="mx.other.test.")
    assert "CV=dane" in log, log


@pytest.mark.parametrize("unsigned, host", [(["out.test"], "mx"), (["other.test"], "mx.other.test.")])
def test_an_unsigned_zone_counts_for_nothing(case, unsigned, host):
    log, sink, _ = case(["3 1 1 " + "ab" * 32], unsigned=unsigned, host=host)
    assert "=> bob@out.test" in log and "CV=no" in log and len(sink.messages) == 1, log


def test_an_unsigned_zone_and_required_dane(case):
    log, sink, _ = case(unsigned=["out.test"], options="hosts_require_dane = *")
    assert "DANE error: the host's address was not validated by DNSSEC" in log and not sink.messages, log


def test_a_forged_record_is_never_gone_around(case):
    """The resolver says SERVFAIL: deferred, not sent in clear, not sent without DANE."""
    log, sink, dns = case(["3 1 1 " + "ab" * 32], spoil={"out.test": ("ab" * 32, "cd" * 32)})
    assert dns.ask(f"_{sink.port}._tcp.mx.out.test", "TLSA")[0] == 2
    assert "DANE error: TLSA lookup failed" in log and "== bob@out.test" in log and not sink.messages, log


def test_a_forged_address_is_not_connected_to(case):
    log, sink, _ = case(spoil={"out.test": ("\nmx.out.test.\t300\tIN\tA\t127.0.0.1", "\nmx.out.test.\t300\tIN\tA\t127.0.0.2")})
    assert "== bob@out.test" in log and sink.connections == 0, log


def test_a_resolver_elsewhere_is_not_believed(case):
    """Its AD bit came over the network: RFC 7672 1.3.3."""
    addresses = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    mine = [a for a in addresses if ":" not in a]
    if not mine:
        pytest.skip("this host has no address but those of loopback")
    log, sink, dns = case(["3 1 1 " + "ab" * 32], interface=mine[0])
    assert dns.ask("mx.out.test", "A") == (0, True)
    assert "=> bob@out.test" in log and "CV=no" in log and len(sink.messages) == 1, log
