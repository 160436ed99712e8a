"""Debian's packaged configuration, as update-exim4.conf makes it of the template, loads and delivers here."""

import os

import pytest
import reference

from smtp import Smtp

INTERNET = {"DC_eximconfig_configtype": "internet", "DCconfig_internet": "1"}
SMARTHOST = {"DC_eximconfig_configtype": "smarthost", "DCconfig_smarthost": "1", "DCsmarthost": "127.0.0.1::{smarthost}"}
LOCAL = {"DC_eximconfig_configtype": "local", "DCconfig_local": "1"}
SATELLITE = {"DC_eximconfig_configtype": "satellite", "DCconfig_satellite": "1", "DCreadhost": "here.test",
             "DCsmarthost": "127.0.0.1::{smarthost}", "HIDE_MAILNAME": "1"}
COMMON = {
    "MAIN_PACKAGE_VERSION": "4.96-15", "MAIN_LOCAL_DOMAINS": "@:localhost:here.test", "MAIN_RELAY_TO_DOMAINS": "empty",
    "ETC_MAILNAME": "here.test", "MAIN_RELAY_NETS": ": 127.0.0.1 : ::::1", "DCreadhost": "", "DCsmarthost": "",
    "LOCAL_DELIVERY": "mail_spool", "CONFDIR": "{dir}/etc",
}
SET_BY_EXIM_CLASS = ("spool_directory", "keep_environment", "exim_path")
PATHS = {
    "/etc/aliases": "{dir}/etc/aliases",
    "/etc/email-addresses": "{dir}/etc/email-addresses",
    "/var/mail/$local_part_data": "{dir}/mail/$local_part",  # 4.89 knows nothing of taint
    "/var/mail/mail": "{dir}/mail/mail",
    "SPOOLDIR = /var/spool/exim4": "SPOOLDIR = {dir}/spool",
    "Debian-exim": "{user}",
}


def template():
    """The packaged text without comments, as update-exim4.conf writes it by default."""
    text = (reference.root() / "etc/exim4/exim4.conf.template").read_text()
    for old, new in PATHS.items():
        text = text.replace(old, new)
    return "".join(line for line in text.splitlines(True) if not line.startswith(("#", *SET_BY_EXIM_CLASS)))


def configuration(**macros):
    rows = [f".ifndef {name}\n{name}={value}\n.endif\n" for name, value in {**macros, **COMMON}.items()
            if not (name in COMMON and name in macros)]
    mark = "UPEX4CmacrosUPEX4C = 1\n"
    before, found, after = template().partition(mark)
    assert found
    return before + mark + "".join(rows) + after


def set_up(site, macros, **words):
    if os.geteuid() == 0:
        user = "nobody"
    else:
        user = os.environ.get("USER") or pytest.skip("who runs this has no name")
    e = site("", user=user, **words)
    for folder in ("etc", "mail"):
        (e.dir / folder).mkdir()
    (e.dir / "etc/aliases").write_text(f"postmaster: {user}\nworld: {user}, postmaster\n")
    (e.dir / "etc/email-addresses").write_text(f"{user}: somebody@else.test\n")
    e.write_config(configuration(**macros))
    return e, user


@pytest.mark.parametrize("kind", [INTERNET, SMARTHOST, LOCAL, SATELLITE], ids=lambda k: k["DC_eximconfig_configtype"])
def test_it_loads(site, kind):
    e, _ = set_up(site, kind, smarthost=25)

    p = e.run("-bV")

    assert "Configuration file is" in p.stdout
    assert e.paniclog() == ""
    assert e.run("-bP", "qualify_domain").stdout == "qualify_domain = here.test\n"


def mailbox(e, user):
    path = e.dir / "mail" / user
    return path.read_text() if path.exists() else ""


def test_a_local_message_reaches_the_mailbox(site):
    e, user = set_up(site, INTERNET)

    e.run("-odf", "-oi", "world", input="Subject: hello\n\nbody\n")

    got = mailbox(e, user)
    assert "Subject: hello\n" in got and "\nbody\n" in got, e.mainlog() + e.paniclog()
    assert got.startswith("From ") and "Envelope-to: world@here.test\n" in got
    assert "R=local_user T=mail_spool" in e.mainlog() and e.queue() == []
    assert e.paniclog() == ""


def test_smtp_from_outside(site):
    e, user = set_up(site, INTERNET)
    with e, Smtp(e.port) as s:
        s.ok("EHLO client.test")
        s.message("postmaster@here.test", ["postmaster@here.test"], "From: <postmaster@here.test>\r\nSubject: in\r\n\r\ntext\r\n")
        assert s.cmd("MAIL FROM:<>").startswith("250")
        assert s.cmd("RCPT TO:<a/b@here.test>").startswith("550")
        assert s.cmd("RCPT TO:<.hidden@here.test>").startswith("550")
        s.quit()
        e.wait_log("Completed")

    assert "Subject: in" in mailbox(e, user)
    assert e.paniclog() == ""


def test_sender_rewriting_of_what_is_here(site):
    e, user = set_up(site, INTERNET)

    p = e.run("-brw", f"{user}@here.test")

    assert "somebody@else.test" in p.stdout
