"""Certificates of servers that we send to: what is accepted, what happens when it is not, what is logged."""

import pytest

from certs import Authority, server_context
from sink import Sink

CONFIG = """
acl_smtp_rcpt = accept
qualify_domain = here.test
log_selector = +tls_certificate_verified +tls_peerdn +tls_sni +retry_defer
{main}
begin routers
local:
  driver = accept
  domains = here.test
  transport = maildir
out:
  driver = manualroute
  domains = *.test
  route_data = mx.out.test
  self = send
  transport = smtp
begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
smtp:
  driver = smtp
  port = {sink}
  allow_localhost
  tls_verify_certificates = {ca}
  {options}
begin retry
* * F,1h,15m
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    ca = Authority(folder, "root")
    ca.folder = folder
    return ca


class Case:
    def __init__(self, site, pki, dns, both, options, starttls=True, main=""):
        context = server_context(both) if both else None
        self.sink = Sink(["PIPELINING", *(["STARTTLS"] if starttls else [])], context=context)
        self.exim = site(CONFIG, sink=self.sink.port, ca=pki.cert, options=options, main=main)
        self.exim.dns = dns

    def send(self, to="bob@out.test"):
        self.exim.run("-odf", "-f", "alice@here.test", to, input="Subject: hello\n\nbody\n")
        return self.exim.mainlog()


@pytest.fixture
def case(site, pki):
    from dnsserver import DnsServer

    dns = DnsServer({"mx.out.test": [("A", "127.0.0.1")]})
    made = []

    def make(both, options="", **more):
        c = Case(site, pki, dns, both, options, **more)
        made.append(c)
        return c

    yield make
    dns.close()
    for c in made:
        c.sink.close()


REQUIRE = "hosts_require_tls = *\n  tls_verify_hosts = *"


@pytest.mark.parametrize("names, cn", [
    (["mx.out.test"], None),
    (["other.test", "MX.Out.Test"], "wrong.test"),
    (["*.out.test"], None),
    ([], "mx.out.test"),
    ([], "*.out.test"),
])
def test_certificate_for_the_host_is_accepted(case, pki, names, cn, request):
    c = case(pki.leaf(f"ok{abs(hash(request.node.name))}", names, cn), REQUIRE)
    log = c.send()
    assert " => bob@out.test " in log and " CV=yes" in log, log
    assert len(c.sink.messages) == 1
    assert "STARTTLS" in c.sink.commands


@pytest.mark.parametrize("names, cn", [
    (["other.test"], None),
    (["other.test"], "mx.out.test"),      # a DNS name rules the CN out
    (["*.test"], None),
    (["*.a.out.test"], None),
    (["m*.out.test"], None),
    (["IP:127.0.0.1"], None),
    ([], "other.test"),
])
def test_certificate_for_another_name_defers(case, pki, names, cn, request):
    c = case(pki.leaf(f"bad{abs(hash(request.node.name))}", names, cn), REQUIRE)
    log = c.send()
    assert "[127.0.0.1] SSL verify error: certificate name mismatch: DN=" in log, log
    assert ' H="mx.out.test" SAN="' in log
    assert "== bob@out.test R=out T=smtp defer (-37) H=mx.out.test [127.0.0.1]" in log
    assert "failure while setting up TLS session" in log.split(" == ")[1]
    assert not c.sink.messages and "MAIL" not in " ".join(c.sink.commands)


def test_without_require_tls_a_mismatch_goes_in_clear_as_exim_does(case, pki):
    c = case(pki.leaf("clear", ["other.test"]), "tls_verify_hosts = *")
    log = c.send()
    assert "TLS session failure: delivering unencrypted to mx.out.test [127.0.0.1] (not in hosts_require_tls)" in log, log
    assert " => bob@out.test" in log and " X=" not in log
    assert c.sink.connections == 2


def test_verify_fail_unverified_keeps_tls(case, pki):
    c = case(pki.leaf("unv", ["other.test"]), "tls_verify_hosts = *\n  tls_verify_fail = unverified")
    log = c.send()
    assert "certificate name mismatch" in log
    assert " => bob@out.test" in log and " X=TLSv1" in log and " CV=no" in log
    assert c.sink.connections == 1


def test_verify_fail_defer_never_goes_clear(case, pki):
    c = case(pki.leaf("def", ["other.test"]), "tls_verify_hosts = *\n  tls_verify_fail = defer")
    log = c.send()
    assert "defer (-37)" in log and not c.sink.messages


def test_tryclear_off_defers(case, pki):
    c = case(pki.leaf("tc", ["other.test"]), "tls_verify_hosts = *\n  no_tls_tempfail_tryclear")
    log = c.send()
    assert "defer (-37)" in log and not c.sink.messages


def test_try_list_carries_on_with_cv_no(case, pki):
    c = case(pki.leaf("try", ["other.test"]), "")
    log = c.send()
    assert " => bob@out.test" in log and " CV=no" in log and " X=TLSv1" in log
    assert "SSL verify error: certificate name mismatch" in log


@pytest.mark.parametrize("option, verdict", [
    ("tls_verify_cert_hostname = relay.test : other.test", True),
    ("tls_verify_cert_hostname = relay.test", False),
    ("tls_verify_cert_hostname = relay.test : *", False),
    ("tls_verify_cert_hostname = ${if eq{$host}{mx.out.test}{other.test}{x.test}}", True),
    ("tls_verify_cert_hostname = ${if eq{1}{2}{x}fail}", True),
    ("tls_verify_cert_hostname =", False),
    ("tls_verify_cert_hostname = hostname : nexthop", False),
    ("tls_verify_cert_hostname = relay.test : .test", True),
    ("tls_verify_cert_hostnames =", True),
    ("tls_verify_cert_hostnames = mx.nowhere.test", None),
    ("tls_verify_cert_hostnames = ! 127.0.0.1 : *", True),
])
def test_lists_of_names_and_of_hosts(case, pki, option, verdict):
    c = case(pki.leaf("l" + str(abs(hash(option))), ["other.test"]), REQUIRE + "\n  " + option)
    log = c.send()
    if verdict is True:
        assert " => bob@out.test" in log and "CV=yes" in log, log
    elif verdict is False:
        assert "defer (-37)" in log and "certificate" in log, log
    else:  # a name that does not resolve must not switch the check off
        assert "defer" in log and not c.sink.messages, log


@pytest.mark.parametrize("words, names, good", [
    ("nexthop", ["out.test"], True), ("nexthop", ["mx.out.test"], False), ("dot-nexthop", ["a.b.out.test"], True),
    ("dot-nexthop", ["*.out.test"], True), ("dot-nexthop", ["out.test"], False), ("nexthop : dot-nexthop", ["out.test"], True),
    ("hostname", ["mx.out.test"], True), ("dot-nexthop", ["mx.other.test"], False)])
def test_words_of_postfix(case, pki, words, names, good):
    c = case(pki.leaf("words" + str(abs(hash((words, str(names))))), names), REQUIRE + f"\n  tls_verify_cert_hostname = {words}")
    log = c.send()
    assert ("CV=yes" in log) is good and ("certificate name mismatch" in log) is not good, log
    if words == "dot-nexthop" and not good:
        assert ' H=".out.test" SAN=' in log


def test_no_next_hop_for_many_domains(case, pki):
    c = case(pki.leaf("many", ["out.test"]), REQUIRE + "\n  tls_verify_cert_hostname = nexthop")
    c.exim.run("-odf", "-f", "alice@here.test", "bob@out.test", "bob@other.test", input="Subject: x\n\nbody\n")
    log = c.exim.mainlog()
    assert log.count("defer (-37)") == 2 and "there is no name to check the certificate for" in log, log


def test_star_stands_for_the_host(case, pki):
    c = case(pki.leaf("star", ["mx.out.test"]), REQUIRE + "\n  tls_verify_cert_hostname = relay.test : *")
    assert "CV=yes" in c.send()


def test_expired(case, pki):
    c = case(pki.leaf("expired", ["mx.out.test"], days=-1), REQUIRE)
    log = c.send()
    assert "SSL verify error: depth=0 error=certificate has expired cert=" in log, log
    assert "defer (-37)" in log


def test_wrong_authority_and_self_signed(case, pki, tmp_path):
    other = Authority(tmp_path / "x", "stranger")
    c = case(other.leaf("leaf", ["mx.out.test"]), REQUIRE)
    log = c.send()
    assert "SSL verify error: depth=" in log and "defer (-37)" in log, log


def test_missing_intermediate_and_partial_chain(case, pki, tmp_path):
    middle = Authority(tmp_path / "m", "middle", parent=pki)
    whole = middle.leaf("whole", ["mx.out.test"])
    bare = middle.leaf("bare", ["mx.out.test"], chain=False)
    assert "CV=yes" in case(whole, REQUIRE).send()
    c = case(bare, REQUIRE)
    assert "unable to get local issuer certificate" in c.send()
    # The intermediate itself as trust anchor.
    c = case(bare, REQUIRE + f"\n  tls_verify_certificates = {middle.cert}")
    c.exim.write_config(CONFIG.replace("  tls_verify_certificates = {ca}\n", ""))
    assert "CV=yes" in c.send()


def test_revoked(case, pki, tmp_path):
    ca = Authority(tmp_path / "r", "revoking")
    good, bad = ca.leaf("good", ["mx.out.test"]), ca.leaf("bad", ["mx.out.test"])
    crl = ca.crl(ca.dir / "bad.pem")
    for both, wanted in ((good, "CV=yes"), (bad, "error=certificate revoked")):
        c = case(both, REQUIRE + f"\n  tls_crl = {crl}")
        c.exim.write_config(CONFIG, ca=ca.cert)
        log = c.send()
        assert wanted in log, log


def test_ca_file_that_cannot_be_read_defers(case, pki):
    c = case(pki.leaf("unread", ["mx.out.test"]), "tls_verify_hosts = *")
    c.exim.write_config(CONFIG, ca="/nowhere/ca.pem")
    log = c.send()
    assert "failed to stat /nowhere/ca.pem" in log and not c.sink.messages, log


@pytest.mark.parametrize("option", [
    "tls_crl = /nowhere/crl.pem", "tls_crl = ${lookup{x}lsearch{/nowhere}{$value}}", "tls_certificate = /nowhere/cert.pem",
    "tls_verify_cert_hostname = ${lookup{x}lsearch{/nowhere}{$value}}", "tls_sni = ${lookup{x}lsearch{/nowhere}{$value}}",
    "hosts_require_ocsp = ${lookup{x}lsearch{/nowhere}{$value}}", "tls_require_ciphers = NONSENSE", "tls_eccurve = nonsense",
    "tls_verify_hosts = ${lookup{x}lsearch{/nowhere}{$value}}", "hosts_require_tls = ${lookup{x}lsearch{/nowhere}{$value}}"])
def test_what_cannot_be_read_or_expanded_defers_and_is_never_gone_around(case, pki, option):
    c = case(pki.leaf("closed" + str(abs(hash(option))), ["mx.out.test"]), option)
    log = c.send()
    assert "== bob@out.test" in log and not c.sink.messages and "delivering unencrypted" not in log, log


def test_starttls_stripped(case, pki):
    c = case(None, REQUIRE, starttls=False)
    log = c.send()
    assert ("defer (-38) H=mx.out.test [127.0.0.1]" in log
            and "a TLS session is required, but the server did not offer TLS support" in log), log


def test_starttls_refused(case, pki):
    c = case(None, REQUIRE)
    c.sink.answers["STARTTLS"] = "454 not now"
    assert "a TLS session is required, but an attempt to start TLS failed" in c.send()
    c = case(None, "")
    c.sink.answers["STARTTLS"] = "454 not now"
    assert " => bob@out.test" in c.send()
    c = case(None, "no_tls_tempfail_tryclear")
    c.sink.answers["STARTTLS"] = "454 not now"
    log = c.send()
    assert "SMTP error from remote mail server after STARTTLS: 454 not now" in log, log


def test_bytes_after_the_reply_to_starttls_are_an_injection(case, pki):
    c = case(None, REQUIRE)
    c.sink.answers["STARTTLS"] = "220 go ahead\n250 injected"
    log = c.send()
    assert "the server sent data after its reply to STARTTLS" in log or "defer" in log
    assert not c.sink.messages


def test_huge_certificate(case, pki):
    names = [f"host{i:05}.some-rather-long-domain-name.example.test" for i in range(1200)] + ["mx.out.test"]
    c = case(pki.leaf("huge", names), REQUIRE)
    log = c.send()
    assert "CV=yes" in log and "Completed" in log, log


def test_ocsp_required_but_not_stapled(case, pki):
    c = case(pki.leaf("noocsp", ["mx.out.test"]), REQUIRE + "\n  hosts_require_ocsp = *")
    log = c.send()
    assert "Required TLS certificate status not received" in log and "defer (-37)" in log, log


def test_host_without_name_needs_an_address_in_the_certificate(case, pki):
    for names, wanted in ((["IP:127.0.0.1"], "CV=yes"), (["127.0.0.1"], "defer (-37)"), (["*.0.0.1"], "defer (-37)")):
        c = case(pki.leaf("ip" + str(abs(hash(str(names)))), names), REQUIRE)
        c.exim.write_config(CONFIG.replace("route_data = mx.out.test", "route_data = 127.0.0.1"))
        log = c.send()
        assert wanted in log, log


def test_sni_is_the_host_unless_told_otherwise(case, pki):
    both = pki.leaf("sni", ["mx.out.test"])
    seen = []
    for option, wanted in (("", "mx.out.test"), ("tls_sni = x.test", "x.test"), ("tls_sni =", None)):
        context = server_context(both)
        context.sni_callback = lambda sock, name, ctx: seen.append(name)
        c = case(both, REQUIRE + "\n  " + option)
        c.sink.context = context
        c.send()
        assert seen[-1] == wanted


def test_event_may_veto(case, pki):
    action = "event_action = ${if and{{eq{$event_name}{tls:cert}}{eq{$event_data}{0}}}{no thanks}}"
    c = case(pki.leaf("veto", ["mx.out.test"]), REQUIRE + "\n  " + action)
    log = c.send()
    assert "[127.0.0.1] SSL verify denied by event-action: depth=0 cert=" in log and "no thanks" in log, log
    assert "defer (-37)" in log


def test_probe_says_what_would_happen(case, pki):
    c = case(pki.leaf("probe1", ["mx.out.test"]), REQUIRE)
    p = c.exim.run("-btls", "bob@out.test")
    assert f"host mx.out.test [127.0.0.1]:{c.sink.port}" in p.stdout, p.stdout
    assert "presented  mx.out.test" in p.stdout and "accepted: verified as mx.out.test" in p.stdout
    assert not [x for x in c.sink.commands if x.startswith("MAIL")]
    c = case(pki.leaf("probe2", ["other.test"]), "tls_verify_hosts = *")
    p = c.exim.run("-btls", "bob@out.test", check=False)
    assert p.returncode == 2 and "wanted     mx.out.test" in p.stdout and "presented  other.test" in p.stdout, p.stdout
    assert "refused: " in p.stdout and "certificate name mismatch" in p.stdout and "delivery in clear" in p.stdout
    assert "SSL verify error" not in c.exim.mainlog()


def test_report_only(case, pki):
    c = case(pki.leaf("report", ["other.test"]), REQUIRE + "\n  tls_verify_report_hosts = *")
    log = c.send()
    assert "certificate name mismatch" in log and "(report only: not refused)" in log, log
    assert "=> bob@out.test" in log and "CV=no" in log
    c.send()
    counts = c.exim.run("-btls").stdout
    assert " mx.out.test: 2 refused, last " in counts and "certificate name mismatch" in counts, counts
