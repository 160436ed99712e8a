"""Events, variables, ${certextract}, curves and the bounce: what is said about the certificate of a server."""

import email
import email.policy
import re
import ssl

import pytest

from certs import Authority, server_context
from dnsserver import DnsServer
from sink import Sink

CONFIG = """
acl_smtp_rcpt = accept
qualify_domain = here.test
log_selector = +tls_certificate_verified +tls_verified_name
begin acl
note:
  accept logwrite = EVENT $event_name data=<$event_data> errno=<$event_defer_errno> host=<$host> dn=<$tls_out_peerdn> \\
                    subject=<${certextract{subject,CN}{$tls_out_peercert}{$value}{none}}> error=<$tls_out_verify_error>
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
  hosts_try_dane =
  tls_verify_certificates = {ca}
  hosts_require_tls = *
  tls_verify_hosts = *
  event_action = ${if match{$event_name}{^(tls:|dane:|msg:host:defer)}{${acl{note}}}}
  {options}
begin retry
{retry}
"""


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("pki"), "root")


@pytest.fixture
def case(site, pki):
    made = []

    def make(names, options="", retry="* * F,1h,15m", cn="mx.cn.test", groups=None, client_ca=None, zone=None, **changes):
        context = server_context(pki.leaf("leaf", names, cn), **changes)
        if groups:
            context.set_ecdh_curve(groups)
        if client_ca:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
        sink, dns = Sink(["STARTTLS"], context=context), DnsServer(zone or {"mx.out.test": [("A", "127.0.0.1")]})
        made.extend((sink, dns))
        e = site(CONFIG, sink=sink.port, ca=pki.cert, options=options, retry=retry, dns=dns)
        e.run("-odf", "-f", "alice@here.test", "bob@out.test", input="Subject: x\n\nbody\n")
        return e, sink

    yield make
    for m in made:
        m.close()


def test_events_of_a_good_certificate(case):
    e, _ = case(["mx.out.test"])
    events = re.findall(r"EVENT (\S+) data=<(\d+)> errno=<\d*> host=<mx\.out\.test> .*subject=<(\S+)> error=<>", e.mainlog())
    assert events == [("tls:cert", "1", "root"), ("tls:cert", "0", "mx.cn.test")], e.mainlog()


def test_the_event_of_a_host_that_is_put_off_knows_the_certificate(case):
    e, _ = case(["other.test"])
    assert re.search(r"EVENT tls:verify data=<certificate name mismatch: .*> errno=<\d*> host=<mx\.out\.test> dn=</CN=mx\.cn\.test>", e.mainlog())
    line = re.search(r"EVENT msg:host:defer .*", e.mainlog())[0]
    assert "data=<failure while setting up TLS session: (SSL_connect): certificate verify failed: certificate name mismatch" in line
    assert "errno=<-37> host=<mx.out.test>" in line and "dn=</CN=mx.cn.test> subject=<mx.cn.test>" in line, line
    assert 'error=<certificate name mismatch: DN="/CN=mx.cn.test" H="mx.out.test" SAN="other.test">' in line


@pytest.mark.parametrize("names, good", [(["mx.out.test"], True), (["real.host.test"], False)])
def test_an_alias_is_asked_for_by_its_own_name(case, names, good):
    """And the log says what it is an alias of, which is what the certificate is often for."""
    zone = {"mx.out.test": [("CNAME", "real.host.test.")], "real.host.test": [("A", "127.0.0.1")]}
    e, sink = case(names, zone=zone)
    assert len(sink.messages) == good
    assert (' H="mx.out.test" SAN="real.host.test" CNAME="real.host.test"' in e.mainlog()) is not good, e.mainlog()


def test_certextract_and_variables_on_the_way(case):
    fields = {
        "names": "${certextract{subj_altname,dns,>;}{$tls_out_peercert}}", "issuer": "${certextract{issuer,CN}{$tls_out_peercert}}",
        "version": "${certextract{version}{$tls_out_peercert}}", "after": "${certextract{notafter,int}{$tls_out_peercert}}",
        "algorithm": "${certextract{sig_algorithm}{$tls_out_peercert}}", "sha": "${sha256:$tls_out_peercert}",
        "no": "${certextract{ocsp_uri}{$tls_out_peercert}{$value}{nothing}}", "verified": "$tls_out_certificate_verified",
        "name": "$tls_out_verified_name", "cipher": "$tls_out_cipher", "sni": "$tls_out_sni", "bits": "$tls_out_bits",
    }
    added = "\\n".join(f"X-{k}: {v}" for k, v in fields.items())
    _, sink = case(["mx.out.test", "also.test"], f"headers_add = {added}")
    got = email.message_from_bytes(sink.messages[0]["data"], policy=email.policy.default)
    assert sorted(got["X-names"].split(";")) == ["also.test", "mx.out.test"] and got["X-issuer"] == "root" and got["X-version"] == "2"
    assert int(got["X-after"]) > 1700000000 and got["X-algorithm"] == "ecdsa-with-SHA256" and got["X-no"] == "nothing"
    assert re.fullmatch("[0-9A-F]{64}", got["X-sha"]) and got["X-verified"] == "1" and got["X-name"] == "mx.out.test"
    assert got["X-cipher"] == "TLSv1.3:TLS_AES_256_GCM_SHA384:256" and got["X-bits"] == "256" and got["X-sni"] == "mx.out.test"


def test_the_clients_own_certificate(case, pki):
    own = pki.leaf("client", cn="mail.here.test")
    for options, good in ((f"tls_certificate = {own}\n  tls_privatekey = {own}", True), ("", False)):
        e, sink = case(["mx.out.test"], options, client_ca=pki.cert)
        assert bool(sink.messages) is good and ("defer" in e.mainlog().rsplit("<= alice", 1)[1]) is not good, e.mainlog()


def test_curves(case):
    e, _ = case(["mx.out.test"], "tls_eccurve = secp384r1", groups="secp384r1")
    assert "CV=yes" in e.mainlog()
    e, _ = case(["mx.out.test"], "tls_eccurve = secp384r1", groups="prime256v1")
    assert "TLS error on connection (SSL_connect): " in e.mainlog() and "defer (-37)" in e.mainlog()


@pytest.mark.parametrize("version, shown", [(ssl.TLSVersion.TLSv1_2, "X=TLSv1.2:ECDHE-ECDSA-"), (ssl.TLSVersion.TLSv1_3, "X=TLSv1.3:TLS_")])
@pytest.mark.parametrize("names, good", [(["mx.out.test"], True), (["other.test"], False)])
def test_both_versions_of_tls(case, version, shown, names, good):
    e, sink = case(names, minimum_version=version, maximum_version=version)
    assert (shown in e.mainlog() and "CV=yes" in e.mainlog()) is good and len(sink.messages) == good
    assert ("SSL verify error: certificate name mismatch" in e.mainlog()) is not good


def test_the_bounce_says_why(case):
    e, sink = case(["other.test"], retry="")
    bounce = email.message_from_string(e.wait_mail("mail/alice")[0])
    text = re.sub(r"\s+", " ", bounce.get_payload(0).get_payload())
    assert not sink.messages and "mx.out.test" in text and "certificate name mismatch" in text, text
