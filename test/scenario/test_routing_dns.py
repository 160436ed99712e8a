"""Mail hosts from the DNS: preferences, aliases, null MX, failures, ourselves in the list."""

import pytest

from dnsserver import DnsServer

CONFIG = """
qualify_domain = here.test
{main}
begin routers
out:
  driver = dnslookup
  domains = *.test
  self = defer
  transport = smtp
begin transports
smtp:
  driver = smtp
"""

ZONE = {
    "many.test": [("MX", "20 b.mx.test."), ("MX", "10 a.mx.test."), ("MX", "30 c.mx.test.")],
    "a.mx.test": [("A", "198.51.100.1"), ("AAAA", "2001:db8::1")],
    "b.mx.test": [("A", "198.51.100.2")],
    "c.mx.test": [("A", "198.51.100.3")],
    "alias.mx.test": [("CNAME", "a.mx.test.")],
    "aliased.test": [("MX", "10 alias.mx.test.")],
    "plain.test": [("A", "198.51.100.9")],
    "null.test": [("MX", "0 ."), ("A", "198.51.100.9")],
    "self.test": [("MX", "10 me.mx.test."), ("MX", "20 a.mx.test.")],
    "backup.test": [("MX", "10 a.mx.test."), ("MX", "20 me.mx.test."), ("MX", "30 c.mx.test.")],
    "me.mx.test": [("A", "127.0.0.1")],
    "gone.test": [("MX", "10 nowhere.mx.test.")],
    "half.test": [("MX", "10 broken.mx.test."), ("MX", "20 b.mx.test.")],
    "numeric.test": [("MX", "10 198.51.100.5.")],
    "empty.test": [("TXT", '"x"')],
}


@pytest.fixture
def bt(site):
    dns = DnsServer(ZONE, broken=["broken.test", "broken.mx.test"])

    def run(domain, main=""):
        e = site(CONFIG, main=main)
        e.dns = dns
        return e.run("-bt", f"x@{domain}", check=False).stdout

    yield run
    dns.close()


def hosts(text):
    return [line.split()[1] for line in text.splitlines() if line.startswith("  host ")]


def test_order_of_preference_and_ipv6_first(bt):
    out = bt("many.test")
    assert hosts(out) == ["a.mx.test", "a.mx.test", "b.mx.test", "c.mx.test"], out
    assert out.index("2001:db8::1") < out.index("198.51.100.1]")
    assert "2001" not in bt("many.test", "disable_ipv6")
    assert "2001" not in bt("many.test", "dns_ipv4_lookup = *.mx.test")


def test_alias_and_address_only(bt):
    assert hosts(bt("aliased.test"))[0] == "a.mx.test"
    assert "host plain.test [198.51.100.9]" in bt("plain.test")


@pytest.mark.parametrize("domain", ["null.test", "gone.test", "nxdomain.test", "empty.test", "numeric.test"])
def test_undeliverable(bt, domain):
    out = bt(domain)
    assert "is undeliverable" in out and not hosts(out), out


def test_mx_that_is_an_address_by_leave(bt):
    assert "198.51.100.5" in bt("numeric.test", "allow_mx_to_ip")


def test_server_failure_defers(bt):
    assert "cannot be resolved at this time" in bt("broken.test")
    assert "is undeliverable" in bt("broken.test", "dns_again_means_nonexist = broken.test")


def test_one_host_of_two_that_cannot_be_found_now(bt):
    assert "b.mx.test" in hosts(bt("half.test"))


def test_ourselves_in_the_list(bt):
    assert "cannot be resolved at this time" in bt("self.test")
    out = bt("backup.test")
    assert set(hosts(out)) == {"a.mx.test"}, out
    out = bt("many.test", "hosts_treat_as_local = b.mx.test")
    assert set(hosts(out)) == {"a.mx.test"}, out
