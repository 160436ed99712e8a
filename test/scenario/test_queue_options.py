"""Damaged and frozen messages, tests with a message of the queue, deliveries as exim only, limits of connections."""

import os
import pwd
import re
import threading
import time

import pytest
from exim import wait_until
from sink import Sink
from smtp import Smtp

CONFIG = """
qualify_domain = here.test
{main}
begin routers
relay:
  driver = manualroute
  domains = ! here.test
  route_list = * 127.0.0.1
  self = send
  transport = relay
local:
  driver = accept
  domains = here.test
  transport = mail
begin transports
relay:
  driver = smtp
  port = {sink}
  allow_localhost
  hosts_try_auth = *
mail:
  driver = appendfile
  file = {dir}/mbox
  {transport}
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^joe^secret
begin retry
* * F,2h,15m
"""


@pytest.fixture
def make(site):
    def made(main="", transport="", sink=1, **more):
        return site(CONFIG, main=main, transport=transport, sink=sink, **more)

    return made


def queued(e, *args, sender="a@b.test", to="joe@here.test", text="Subject: hello\n\nthe body\n"):
    before = set(e.queue())
    e.run("-odq", *args, "-f", sender, to, input=text)
    (new,) = set(e.queue()) - before
    return new


def put(e, name, text):
    (e.dir / name).write_text(text)
    if e.user:
        os.chown(e.dir / name, e.user.pw_uid, e.user.pw_gid)


# -- -Mset --


def test_an_expansion_test_sees_a_message_of_the_queue(make):
    e = make()
    id = queued(e)
    p = e.run("-Mset", id, "-be", "$h_subject: $recipients $sender_address <$message_body> $message_exim_id")
    assert p.stdout == f"hello joe@here.test a@b.test <the body > {id}\n"
    assert e.queue() == [id]
    assert e.run("-Mset", "1aaaaa-000000-00", "-be", "<$h_subject:>").stdout == \
        "Failed to load message 1aaaaa-000000-00\n<>\n"
    p = e.run("-Mset", "x", "-be", "y", check=False)
    assert p.returncode == 1 and p.stderr == "exim: malformed message id x after -Mset option\n"


# -- keep_malformed --


def id_of(age):
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    t, text = int(time.time()) - age, ""
    for _ in range(6):
        text = digits[t % 62] + text
        t //= 62
    return text + "-000001-Ab"


@pytest.mark.parametrize("main,age,kept", [("", 3 * 86400, True), ("", 5 * 86400, False),
                                           ("keep_malformed = 1h", 7200, False)])
def test_damaged_messages_are_removed_when_they_are_old(make, main, age, kept):
    e = make(main=main)
    e.run("-q")
    id = id_of(age)
    folder = e.dir / "spool/input"
    for suffix, text in (("-H", "junk\n"), ("-D", f"{id}-D\nbody\n")):
        put(e, f"spool/input/{id}{suffix}", text)
    e.run("-M", id)
    assert f"{id} Format error in spool file {id}-H" in e.mainlog()
    assert (f"{id} Message removed because older than" in e.mainlog()) != kept
    assert len(list(folder.glob(id + "*"))) == (2 if kept else 0)


# -- move_frozen_messages --


def test_frozen_messages_are_moved_out_of_sight(make):
    e = make(main="move_frozen_messages")
    p = e.run("-bP", "move_frozen_messages", check=False)
    if "SUPPORT_MOVE_FROZEN_MESSAGES" in p.stderr:
        pytest.skip("built without SUPPORT_MOVE_FROZEN_MESSAGES")
    id = queued(e)
    put(e, "spool/msglog/" + id, "2026-01-01 00:00:00 note\n")
    e.run("-Mf", id)
    e.run("-q")
    assert e.queue() == []
    names = sorted(str(f.relative_to(e.dir / "spool")) for d in ("Finput", "Fmsglog") for f in (e.dir / "spool" / d).iterdir())
    assert names == [f"Finput/{id}-D", f"Finput/{id}-H", f"Fmsglog/{id}"]
    assert not list((e.dir / "spool/input").iterdir())


# -- bounce_sender_authentication --


@pytest.mark.parametrize("sender,auth", [("", " AUTH=daemon@here.test"), ("a@b.test", "")])
def test_reports_name_their_own_authenticated_sender(make, sender, auth):
    sink = Sink(extensions=["AUTH PLAIN"], answers={"AUTH": "235 welcome"})
    e = make(main="bounce_sender_authentication = daemon@here.test", sink=sink.port)
    e.run("-odi", "-f", sender or "<>", "joe@there.test", input="Subject: x\n\ny\n")
    sink.close()
    (command,) = [c for c in sink.commands if c.startswith("MAIL")]
    assert command.startswith(f"MAIL FROM:<{sender}>{auth}")
    assert ("AUTH=daemon" in command) == (auth != "")


# -- -oB --


def test_a_connection_carries_no_more_messages_than_the_command_line_says(make):
    for flags, connections in (([], 1), (["-oB"], 3), (["-oB", "2"], 2)):
        sink = Sink()
        e = make(sink=sink.port)
        for _ in range(3):
            queued(e, to="joe@there.test")
        e.run(*flags, "-M", *e.queue())
        sink.close()
        assert e.queue() == [] and sink.connections == connections, flags


# -- max_parallel --

SLOW = """
slow:
  driver = pipe
  command = /bin/sh -c "echo >{dir}/began; cat {dir}/gate; cat >/dev/null"
  max_parallel = {limit}
begin retry
"""


@pytest.mark.parametrize("limit", ["1", "${if eq{$domain}{here.test}{1}{0}}"])
def test_a_transport_runs_no_more_often_at_a_time_than_it_may(site, limit):
    text = CONFIG.replace("begin authenticators", SLOW.replace("begin retry\n", "") + "begin authenticators")
    e = site(text.replace("transport = mail", "transport = slow"), main="", transport="", sink=1, limit=limit)
    os.mkfifo(e.dir / "gate")
    if e.user:
        os.chown(e.dir / "gate", e.user.pw_uid, e.user.pw_gid)
    ids = [queued(e) for _ in range(2)]
    first = threading.Thread(target=lambda: e.run("-M", ids[0]), daemon=True)
    first.start()
    wait_until((e.dir / "began").exists)
    e.run("-M", ids[1])
    assert re.search(ids[1] + r" == joe@here.test R=local T=slow defer \(-56\): concurrency limit reached for transport",
                     e.mainlog())
    with open(e.dir / "gate", "w"):
        pass
    first.join(20)
    assert ids[0] + " Completed" in e.mainlog()
    second = threading.Thread(target=lambda: e.run("-q"), daemon=True)
    second.start()
    with open(e.dir / "gate", "w"):
        pass
    second.join(20)
    assert e.queue() == []


def test_a_process_that_has_a_limited_transport_uses_it_for_one_after_another(site):
    text = CONFIG.replace("  file = {dir}/mbox\n", "  file = {dir}/mbox\n  max_parallel = 1\n").replace(
        "  driver = smtp\n", "  driver = smtp\n  max_rcpt = 1\n  max_parallel = 1\n")
    sink = Sink()
    e = site(text, main="remote_max_parallel = 1", transport="", sink=sink.port)
    e.run("-odi", "-f", "a@b.test", "a@here.test", "b@here.test", "c@x.test", "d@y.test", input="Subject: x\n\ny\n")
    assert e.queue() == [] and len(sink.messages) == 2, e.mainlog()
    sink.close()
    bad = site(text.replace("max_parallel = 1\n", "max_parallel = x\n"), "bad", main="", transport="", sink=1)
    bad.run("-odi", "-f", "a@b.test", "a@here.test", input="Subject: x\n\ny\n")
    assert 'failed to read max_parallel "x" of mail transport: it is no number' in bad.mainlog()


# -- deliver_drop_privilege --


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("daemon", [False, True])
def test_without_privilege_only_exim_gets_local_deliveries(make, daemon):
    exim = "exim_user = daemon\nexim_group = daemon\n"
    for main, user, delivered in (("", "nobody", True), ("deliver_drop_privilege\n", "nobody", False),
                                  ("deliver_drop_privilege\n", "daemon", True)):
        e = make(main=exim + main, transport=f"user = {user}", as_root=True, name=f"{user}{len(main)}")
        for path in (e.dir, e.dir / "log", e.dir / "spool"):
            os.chown(path, *pwd.getpwnam("daemon")[2:4])
        e.dir.chmod(0o777)
        e.dir.parent.chmod(0o755)
        if daemon:
            e.start()
        e.run("-odi" if not daemon else "-odb", "-f", "a@b.test", "joe@here.test", input="Subject: x\n\ny\n")
        e.wait_log("=> joe|== joe")
        if delivered:
            assert (e.dir / "mbox").stat().st_uid == pwd.getpwnam(user).pw_uid
        else:
            assert re.search(r"== joe@here.test .*unable to set gid=\d+ or uid=\d+: deliver_drop_privilege is set",
                             e.mainlog())
        e.stop()


# -- debugging output --


def test_debugging_output_names_the_selector_of_a_line(make):
    e = make()
    p = e.run("-d-all+deliver", "-q")
    assert re.search(r"LOG: queue_run MAIN\n.* Start queue run", p.stderr), p.stderr
    assert "queue_run" not in e.mainlog()


# -- queue_only_file --


def test_a_file_makes_remote_deliveries_wait_whoever_brings_the_message(make, tmp_path):
    sink = Sink()
    wait = tmp_path / "wait"
    wait.write_text("")
    e = make(main=f"queue_only_file = smtp{wait}\nacl_smtp_rcpt = accept", sink=sink.port)
    with e:
        with Smtp(e.port) as s:
            s.ok("EHLO x")
            s.message("a@b.test", ["joe@here.test", "joe@there.test"])
            s.quit()
        e.wait_log("=> joe <joe@here.test>")
        wait_until(lambda: e.queue())
        assert sink.connections == 0 and "joe@there.test" in e.run("-bp").stdout
        wait.unlink()
        with Smtp(e.port) as s:
            s.ok("EHLO x")
            s.message("a@b.test", ["jim@there.test"])
            s.quit()
        e.wait_log("=> jim@there.test")
        e.run("-q")
        e.wait_log("=> joe@there.test")
        assert e.mainlog().count("=> joe <joe@here.test>") == 1
    sink.close()


# -- the longest line --


@pytest.mark.parametrize("text,longest", [("Subject: x\n\nabc\n", 10), ("Subject: x\n\n" + "y" * 29 + "\nz\n", 29),
                                          ("Subject: x\n" + " c" * 17 + "\n\na\n", 34), ("Subject: x\n\n" + "y" * 19, 19)])
def test_the_spool_has_the_length_of_the_longest_line(make, text, longest):
    e = make()
    id = queued(e, text=text)
    assert f"\n-max_received_linelength {longest}\n" in (e.dir / f"spool/input/{id}-H").read_text()
