"""Reports in the language of the original message, from the files of dsn_message_directory."""

import email.header
import signal

import pytest

from exim import wait_until
from report import Report
from smtp import Smtp

CONFIG = """
dsn_advertise_hosts = *
acl_smtp_rcpt = accept
qualify_domain = here.test
delay_warning = 1s
dsn_message_directory = {dir}/languages
begin routers
nobody:
  driver = redirect
  local_parts = nobody
  data = :fail: no such person
  allow_fail
local:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
begin retry
* * F,2h,15m
"""
GERMAN = """\
# Wer schreibt, soll es verstehen.
[failure subject]
Unzustellbar: zur\u00fcck an den Absender
[failure intro]
Ihre Nachricht an die folgenden Empf\u00e4nger
konnte von $primary_hostname nicht zugestellt werden.

[status 5]
Die Nachricht wurde abgelehnt.
[status 5.1.1]
Diesen Empf\u00e4nger gibt es nicht.
[success subject]
Zugestellt
[success intro]
Zugestellt wurde an:
"""
AUSTRIAN = "[failure intro]\nLeider net.\n"


@pytest.fixture
def server(site):
    e = site(CONFIG)
    (e.dir / "languages").mkdir()
    (e.dir / "languages/de").write_text(GERMAN)
    (e.dir / "languages/de-at").write_text(AUSTRIAN)
    (e.dir / "languages/de~").write_text("nobody's language")
    with e:
        yield e


def report(e, header, recipient="nobody@here.test", notify="FAILURE"):
    before = len(e.maildir("mail/alice"))
    with Smtp(e.port) as s:
        s.ok("EHLO client.test")
        s.message("alice@here.test", [recipient], f"Subject: x\r\n{header}\r\nbody\r\n", rcpt=f" NOTIFY={notify}")
    return Report(e.wait_mail("mail/alice", before + 1)[-1])


def plain(text):
    return str(email.header.make_header(email.header.decode_header(text)))


def test_failures_and_successes_are_worded_in_the_wanted_language(server):
    r = report(server, "Accept-Language: fr;q=0.9, de;q=0.8, en;q=0.1\r\n")
    assert plain(r.message["Subject"]) == "Unzustellbar: zur\u00fcck an den Absender" and r.message["Subject"].isascii()
    assert r.human.startswith("Ihre Nachricht an die folgenden Empf\u00e4nger\nkonnte von mail.here.test nicht zugestellt werden.\n\n")
    assert "nobody@here.test" in r.human and r.language == "de"
    group = r.one("nobody@here.test")
    assert plain(group["Localized-Diagnostic"]) == "de; Diesen Empf\u00e4nger gibt es nicht." and group["Status"] == "5.1.1"
    assert group["Diagnostic-Code"] == "X-Exim; no such person"
    r = report(server, "Content-Language: de-CH\r\n", "one@here.test", "SUCCESS")
    assert plain(r.message["Subject"]) == "Zugestellt" and r.human.startswith("Zugestellt wurde an:\n")
    assert "Localized-Diagnostic" not in r.one("one@here.test")


def test_what_a_file_lacks_is_english(server):
    r = report(server, "Accept-Language: de-AT\r\n")
    assert r.message["Subject"] == "Mail delivery failed: returning message to sender"
    assert r.human.startswith("Leider net.\n\n") and r.language == "de-at"


@pytest.mark.parametrize("header", ["", "Accept-Language: fr\r\n", "Accept-Language: en, de\r\n", "Accept-Language: ../de, *, de;q=0\r\n",
                                    "Accept-Language: \r\n", "Accept-Language: en-GB;q=1, de;q=0.5\r\nContent-Language: de\r\n"])
def test_other_languages_are_english(server, header):
    r = report(server, header)
    assert r.human.startswith("This message was created automatically") and r.language is None


FAULTS = [("[failure intro]\n${nonsense}\n", r"\[failure intro\]"), ("[failing]\nx\n", "unknown section"),
          ("hello\n", "before the first section"), ("[status 5]\n\udcff\n", "UTF-8")]


@pytest.mark.parametrize("text,why", FAULTS)
def test_a_faulty_file_is_refused_at_start(site, text, why):
    e = site(CONFIG)
    (e.dir / "languages").mkdir()
    (e.dir / "languages/fr").write_text(text, errors="surrogateescape")
    for args in (["-bV"], ["-bdf", "-oX", f"127.0.0.1.{e.port}"]):
        p = e.run(*args, check=False)
        assert p.returncode != 0 and "languages/fr: " in p.stderr and why.replace("\\", "") in p.stderr, p.stderr


def test_a_file_that_breaks_later_is_logged_and_english_is_used(server):
    (server.dir / "languages/fr").write_text("[failure intro]\n$h_x:${if}\n")
    r = report(server, "Accept-Language: fr\r\n")
    assert r.human.startswith("This message was created automatically")
    assert "languages/fr: [failure intro]" in server.paniclog()


def test_a_reload_with_a_faulty_file_is_refused_and_the_old_configuration_stays(server):
    conf = server.conf.read_text()
    server.conf.write_text(conf.replace("primary_hostname = mail.here.test", "primary_hostname = other.test"))
    (server.dir / "languages/fr").write_text("[status 5]\nnon\n[failing]\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log(r"the new configuration is refused, the old one stays: dsn_message_directory: \S+/languages/fr: line 3: "
                    r"unknown section \[failing\]")
    r = report(server, "Accept-Language: de\r\n")
    assert r.language == "de" and r.fields["Reporting-MTA"] == "dns; mail.here.test"
    (server.dir / "languages/fr").write_text("[status 5]\nnon\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("daemon started", times=2)
    wait_until(lambda: "other.test" in Smtp(server.port).banner)
    r = report(server, "Accept-Language: fr\r\n")
    assert r.one("nobody@here.test")["Localized-Diagnostic"] == "fr; non" and r.fields["Reporting-MTA"] == "dns; other.test"
