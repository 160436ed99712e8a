"""Queue runs over messages whose time has not come: each is still looked at as if it were due."""

import fcntl
import os
import re
import time

import pytest
from sink import Sink

CONFIG = """
qualify_domain = here.test
log_selector = {selected}
delay_warning = {warn}
{main}
begin routers
elsewhere:
  driver = manualroute
  domains = ${lookup{$domain}lsearch{{dir}/moved}{$domain}{!*}}
  route_list = * 127.0.0.1
  self = send
  transport = there
away:
  driver = manualroute
  domains = away.test : moved.test
  condition = {condition}
  route_list = * 127.0.0.1
  self = send
  transport = out
local:
  driver = accept
  domains = here.test
  transport = mail
begin transports
out:
  driver = smtp
  port = 9
  allow_localhost
there:
  driver = smtp
  port = {sink}
  allow_localhost
mail:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
begin retry
* * F,2h,15m; F,3d,15m
"""
NOT_REACHED = r"== (\S+) R=away T=out defer .-53.: retry time not reached for any host"


@pytest.fixture
def waiting(site):
    """Five messages, tried once; what else the configuration says."""
    def make(**words):
        words = {"selected": "+skip_delivery", "warn": "", "main": "", "condition": "yes", "sink": 9, **words}
        e = site(CONFIG, **words)
        (e.dir / "moved").write_text("")
        for n in range(4):
            e.run("-odf", f"r{n}@away.test", input=f"Subject: {n}\n\nx\n")
        e.run("-odf", "r4@moved.test", input="Subject: 4\n\nx\n")
        e.from_here = len(e.mainlog())
        e.new = lambda: e.mainlog()[e.from_here:]
        return e
    return make


def files_of(e, recipient):
    """-H, -D, -J of the message with this recipient, whether they are there or not."""
    for header in (e.dir / "spool" / "input").rglob("*-H"):
        if re.search(rf"^{recipient}$", header.read_text(), re.M):
            return [header.with_name(header.name[:-1] + letter) for letter in "HDJ"]
    raise AssertionError(f"no message for {recipient}")


def test_each_one_is_named_once(waiting):
    e = waiting()
    e.run("-q")
    assert sorted(re.findall(NOT_REACHED, e.new())) == [*(f"r{n}@away.test" for n in range(4)), "r4@moved.test"]
    assert len(e.new().splitlines()) == 7 and not e.paniclog()


def test_none_is_named_without_the_selector(waiting):
    e = waiting(selected="-retry_defer")
    e.run("-q")
    assert re.sub(r".*(Start|End) queue run: pid=\d+\n", "", e.new()) == ""


def test_a_changed_lookup_takes_effect_at_once(waiting):
    sink = Sink()
    e = waiting(sink=sink.port)
    (e.dir / "moved").write_text("moved.test\n")
    e.run("-q")
    assert len(sink.messages) == 1
    assert re.search("=> r4@moved.test R=elsewhere T=there", e.new()), e.new()
    assert len(re.findall(NOT_REACHED, e.new())) == 4


def test_a_warning_that_is_due_is_sent(waiting):
    e = waiting(warn="4h:8h:24h")
    header, _, _ = files_of(e, "r2@away.test")
    then = int(time.time()) - 5 * 3600
    header.write_text(re.sub(r"^\d+ 0$", f"{then} 0", header.read_text(), flags=re.M))
    e.run("-q")
    assert len(re.findall(NOT_REACHED, e.new())) == 5
    e.wait_log("Completed")
    [box] = [p for p in (e.dir / "mail").rglob("*") if p.parent.name == "new"]
    assert "r2@away.test" in box.read_text() and "delayed" in box.read_text().lower()
    assert re.search(rf"^{then} 1$", header.read_text(), re.M)


def test_a_journal_is_taken_into_the_envelope(waiting):
    e = waiting()
    header, _, journal = files_of(e, "r1@away.test")
    journal.write_text("r1@away.test\n")
    e.run("-q")
    assert sorted(re.findall(NOT_REACHED, e.new())) == ["r0@away.test", "r2@away.test", "r3@away.test", "r4@moved.test"]
    assert not header.exists() and not journal.exists() and e.new().count("Completed") == 1


def test_a_locked_message_is_left_alone(waiting):
    e = waiting()
    header, data, _ = files_of(e, "r3@away.test")
    before = header.stat()
    with open(data, "r+b") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        e.run("-q")
    assert re.search(rf"{header.name[:-2]} Spool file is locked", e.new())
    assert len(re.findall(NOT_REACHED, e.new())) == 4
    assert header.stat().st_ino == before.st_ino


def test_a_damaged_one_is_named_and_the_others_are_tried(waiting):
    e = waiting()
    header, data, _ = files_of(e, "r0@away.test")
    data.write_text("no id\n")
    e.run("-q")
    assert f"Format error in spool file {data.name}" in e.new() and header.exists()
    assert len(re.findall(NOT_REACHED, e.new())) == 4


def test_frozen_ones_thaw_in_time(waiting):
    e = waiting(main="auto_thaw = 1h")
    for n, age in ((0, 60), (1, 7200)):
        header, _, _ = files_of(e, f"r{n}@away.test")
        header.write_text(re.sub("^-", f"-frozen {int(time.time()) - age}\n-", header.read_text(), count=1, flags=re.M))
    e.run("-q")
    assert sorted(re.findall(NOT_REACHED, e.new())) == ["r1@away.test", "r2@away.test", "r3@away.test", "r4@moved.test"]
    assert e.new().count("Unfrozen by auto-thaw") == 1 and e.new().count("Message is frozen") == 1


def test_that_files_are_looked_at_is_not_written_down(waiting):
    e = waiting()
    files = [p for n in range(4) for p in files_of(e, f"r{n}@away.test")[:2]]
    for path in files:
        os.utime(path, (1000000000, path.stat().st_mtime))
    e.run("-bp")
    e.run("-q")
    assert len(re.findall(NOT_REACHED, e.new())) == 5
    assert {int(p.stat().st_atime) for p in files} == {1000000000}


def test_forced_runs_try_them_all(waiting):
    e = waiting()
    e.run("-qf")
    assert len(re.findall(r"== r\d@\S+ R=away T=out defer .111.: Connection refused", e.new())) == 5


def test_a_process_that_dies_is_replaced(waiting):
    """A router ends it, as a fault in a driver would."""
    e = waiting(main="queue_run_in_order")
    e.write_config(CONFIG, condition="${if eq{$local_part}{r1}{${run{/bin/kill -9 $pid}{yes}{yes}}}{yes}}")
    e.run("-q")
    [dead] = re.findall(r"queue run: process \d+ crashed with signal 9 while delivering (\S+)", e.new())
    assert files_of(e, "r1@away.test")[0].name == dead + "-H"
    assert len(re.findall(NOT_REACHED, e.new())) == 4 and "End queue run" in e.new()
