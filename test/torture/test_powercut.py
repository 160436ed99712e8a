"""The power goes at sampled moments while messages come and are delivered. Whatever was not synced is gone;
the server is started on what is left: no message that was answered 250 by then is missing or in pieces. None that was
done when another one was answered comes a second time."""

import os
import threading

import pytest
from exim import wait_until
from powercut import DISKS, Disk, Stamped, clear, read_record
from stories import answers, bdat, smtp
from torture import Victim, dialogue

MOMENTS = int(os.environ.get("POWERCUT_MOMENTS", "16"))
FULL = os.environ.get("TORTURE") == "full"
EXT4 = 0xef53  # one of those that make a file's first name durable with the file
WORK = {  # tag: recipients, places
    "maildir": (["one@here.test", "two@here.test"], ["maildir:one", "maildir:two"]),
    "mbox": (["box@mbox.test"], ["mbox:box"]),
    "relay": (["r1@remote.test", "r2@remote.test"], ["sink:r1", "sink:r2"]),
    "bounce": (["x@fail.test"], ["report:a"]),
    "mixed": (["one@here.test", "r1@remote.test", "late@down.test"], ["maildir:one", "sink:r1"]),
    "last": (["one@here.test"], ["maildir:one"]),  # when the others are done: its sync says so of them
}


def send(e, tag, answered):
    body = bdat(tag) if tag == "maildir" else smtp("", [], tag)[1:]
    parts = [f"MAIL FROM:<a@here.test>\n", *(f"RCPT TO:<{r}>\n" for r in WORK[tag][0]), *body]
    out = dialogue(e, ["EHLO client.test\n", *parts])
    assert answers(out, [tag])[tag] == "yes", out
    answered[tag] = e.control.used


def record(e, first_names):
    """Runs the work once; the disk at its beginning, the record, and when each message was answered."""
    e.control.disk = EXT4 if first_names else 0
    e.start()
    for recipients, _ in WORK.values():  # folders, locks and databases are there already
        dialogue(e, ["EHLO client.test\n", *smtp("a@here.test", recipients, "warm"), "QUIT\n"])
    wait_until(lambda: len(e.queue()) == 1 and "late@down.test R=down T=down defer" in e.mainlog())
    e.quiet(still=0.3)
    e.sink.messages = Stamped(e)
    disk, answered = Disk(e.dir, first_names), {}
    e.control.recording = 1
    clients = [threading.Thread(target=send, args=(e, tag, answered)) for tag in WORK if tag != "last"]
    for c in clients:
        c.start()
    for c in clients:
        c.join()
    wait_until(lambda: e.mainlog().count(" Completed") >= 11)
    e.quiet(still=0.3)
    send(e, "last", answered)
    wait_until(lambda: e.mainlog().count(" Completed") >= 12)
    e.quiet(still=0.3)
    e.control.recording = 0
    e.stop()
    assert len(answered) == len(WORK)
    return disk, read_record(e), answered


def check(e, answered, at, restart, sunk):
    e.sink.messages = [m for m in sunk if m["at"] <= at]
    e.recover(restart=restart)
    for tag, (_, places) in WORK.items():
        for place in places:
            whole, pieces = e.copies(place, tag)
            assert pieces == 0, f"{tag}: pieces in {place}"
            assert whole or answered[tag] > at, f"{tag}: was answered, but {place} has nothing"
            settled = tag != "last" and answered["last"] <= at
            assert whole <= 1 or not settled, f"{tag}: {place} has it {whole} times"
    if answered["mixed"] <= at:
        assert "late@down.test" in e.run("-bp").stdout, "mixed: late@down.test is not in the queue"


@pytest.mark.parametrize("first_names", (False, True))
def test_what_was_answered_survives(request, first_names):
    e = Victim(record_size=64 << 20)
    request.addfinalizer(e.close)
    disk, entries, answered = record(e, first_names)
    sunk = list(e.sink.messages)
    step = 1 if FULL else max(1, len(entries) // MOMENTS)
    for i, entry in enumerate(entries):
        disk.apply(entry)
        if i % step != step - 1 and i != len(entries) - 1:
            continue
        for disk_kind in DISKS:
            clear(e.dir / "spool")
            clear(e.dir / "mail")
            clear(e.dir / "log")
            disk.write_out(e.dir, disk_kind)
            for folder in ("spool", "mail", "log"):
                (e.dir / folder).mkdir(exist_ok=True)
                e._give(e.dir / folder)
            try:
                check(e, answered, entry[0], (i // step) % 4 == 0, sunk)
            except AssertionError as problem:
                pytest.fail(f"power lost after change {i + 1} of {len(entries)} ({entry[1]} {entry[3]}), disk with "
                            f"{disk_kind}: {problem}\n{e.mainlog()}\n{e.paniclog()}")
