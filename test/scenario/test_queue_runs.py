"""Queue runs in one and two passes, message references and the line with the arguments."""

import re

import pytest
from sink import Sink

CONFIG = """
qualify_domain = here.test
queue_run_in_order
log_selector = +arguments
{main}
begin routers
away:
  driver = manualroute
  domains = away.test
  route_list = * 127.0.0.1
  self = send
  transport = out
local:
  driver = accept
  transport = mail
begin transports
out:
  driver = smtp
  port = {sink}
  allow_localhost
mail:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
begin retry
* * F,2h,15m
"""


@pytest.fixture
def sink():
    return Sink()


@pytest.fixture
def queued(site, sink):
    e = site(CONFIG, main="", sink=sink.port)
    for n in (1, 2):
        e.run("-odq", "a@away.test", "joe@here.test", input=f"Subject: {n}\n\nx\n")
    return e


def test_two_passes_route_everything_before_the_first_remote_delivery(queued, sink):
    queued.run("-qq")
    log = [re.search(r"([=-]>|Start|End|Completed).*", line) for line in queued.mainlog().splitlines()]
    kinds = ["".join(m[0].split()[:2]) for m in log if m]
    assert kinds == ["Startqueue", "=>joe", "=>joe", "=>a@away.test", "Completed", "=>a@away.test", "Completed",
                     "Endqueue"]
    assert re.search(r"Start queue run: pid=\d+ -qq$", queued.mainlog(), re.M)
    assert len(sink.messages) == 2


def test_the_first_pass_notes_what_waits_for_a_host(queued):
    queued.run("-odqs", "b@away.test", input="Subject: 3\n\nx\n")
    last = queued.run("-bp").stdout.split("\n")
    queued.wait_log("<= .*")
    dump = [line for line in last if "b@away.test" in line]
    assert dump and "remote deliveries suppressed" not in queued.mainlog()
    wait = queued.dir / "spool" / "db" / "wait-out"
    ids = queued.queue()
    assert any(i.encode() in wait.read_bytes() for i in ids)


def test_the_daemon_makes_two_passes(site, sink):
    e = site(CONFIG, main="queue_only", sink=sink.port)
    for n in (1, 2, 3):
        e.run("-odq", "a@away.test", "joe@here.test", input=f"Subject: {n}\n\nx\n")
    e.start("-qq1h")
    e.wait_log(r"End queue run: pid=\d+ -qq")
    kinds = re.findall(r" (=>) (\w+)", e.mainlog())
    assert [who for _, who in kinds] == ["joe"] * 3 + ["a"] * 3
    assert len(re.findall("Start queue run", e.mainlog())) == 1


def test_a_message_that_is_not_due_is_named_in_each_run_of_the_daemon(site):
    e = site(CONFIG, main="", sink=9)
    e.run("-odf", "a@away.test", input="Subject: 1\n\nx\n")
    e.wait_log("== a@away.test R=away T=out defer .111.: Connection refused")
    e.start("-q1h")
    e.wait_log("End queue run")
    assert re.search(r"== a@away.test R=away T=out defer .-53.: retry time not reached for any host", e.mainlog())


def test_a_host_that_was_down_is_not_tried_for_the_next_messages_of_the_run(site):
    e = site(CONFIG, main="", sink=9)
    for n in (1, 2, 3):
        e.run("-odq", "a@away.test", input=f"Subject: {n}\n\nx\n")
    e.run("-q")
    assert e.mainlog().count("== a@away.test R=away T=out defer (111): Connection refused") == 1
    assert e.mainlog().count("retry time not reached for any host") == 2


@pytest.mark.parametrize("selected", [True, False])
def test_the_message_log_names_a_retry_time_only_when_the_message_is_new(site, selected):
    """As Exim 4.96 writes it: the selector is about the main log."""
    e = site(CONFIG if selected else CONFIG.replace("+arguments", "-retry_defer"), main="", sink=9)
    e.run("-odf", "a@away.test", input="Subject: 1\n\nx\n")
    e.run("-odf", "b@away.test", input="Subject: 2\n\nx\n")
    e.run("-q")
    notes = {re.search(r"\b([ab])@away", p.read_text())[1]: p.read_text() for p in (e.dir / "spool" / "msglog").iterdir()}
    assert "retry time not reached" not in notes["a"]
    assert notes["b"].count("retry time not reached for any host") == 1
    assert e.mainlog().count("retry time not reached") == (3 if selected else 0)


def test_a_run_that_finds_nothing_due_does_not_rewrite_the_envelope(site):
    e = site(CONFIG, main="", sink=9)
    e.run("-odf", "a@away.test", "joe@here.test", input="Subject: 1\n\nx\n")
    [header] = (e.dir / "spool" / "input").rglob("*-H")
    before, text = header.stat().st_ino, header.read_text()
    journal = header.with_name(header.name[:-1] + "J")
    e.run("-q")
    assert "retry time not reached" in e.mainlog() and header.stat().st_ino == before
    journal.write_text("b@away.test\n")  # what a crash left is taken into the envelope
    e.run("-q")
    assert header.read_text() != text and "b@away.test" in header.read_text() and not journal.exists()


def test_only_trusted_users_give_a_message_reference(queued):
    queued.run("-odq", "-oMm", "1abcde-000001-Ab", "joe@here.test", input="Subject: x\n\ny\n")
    queued.wait_log(r"<= nobody@here.test R=1abcde-000001-Ab U=nobody P=local" if queued.user else "R=1abcde-000001-Ab")
    refused = queued.run("-oMm", "nonsense", "joe@here.test", input="x", check=False)
    assert refused.returncode == 1 and "-oMm must be a valid message ID" in refused.stderr


def test_arguments_are_logged_with_what_has_blanks_in_quotes(queued):
    queued.run("-odq", "-f", "", "-F", "Joe Doe", "joe@here.test", input="Subject: x\n\ny\n")
    queued.wait_log(r'cwd=\S+ 9 args: \S+/exim -C \S+ -odq -f "" -F "Joe Doe" joe@here.test$')
    before = queued.mainlog()
    queued.run("-bt", "joe@here.test")
    queued.run("-bP", "qualify_domain")
    assert queued.mainlog() == before
