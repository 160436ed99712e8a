"""What few configurations use: ident, SMTP rate limits, iplookup, autoreply's memory, -bi, -N, -bhc, -odf."""

import itertools
import os
import pwd
import re
import shutil
import socket
import subprocess
import threading

import pytest
import netns
from exim import binary
from listener import Listener
from sink import Sink
from smtp import Smtp

CONFIG = """
qualify_domain = here.test
{main}
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  require verify = recipient/callout=3s
  accept
begin routers
{routers}
local:
  driver = accept
  domains = here.test
  transport = mail
begin transports
mail:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
{transports}
begin retry
* * F,2h,15m
"""


@pytest.fixture
def make(site):
    numbers = itertools.count()

    def made(main="", routers="", transports="", **words):
        text = CONFIG.replace("{main}", main).replace("{routers}", routers).replace("{transports}", transports)
        return site(text, f"exim{next(numbers)}", **words)

    return made


# -- ident --


def ident_server(answer, own_network):
    asked = []

    def serve(sock):
        asked.append(sock.recv(100).decode().strip())
        sock.sendall(answer(asked[-1]).encode())
        sock.close()

    try:
        return Listener(serve, 113), asked
    except OSError as e:
        if own_network:
            raise
        pytest.skip(f"only root can have a network with port 113 free in it: {e}")


@pytest.mark.parametrize("reply,user", [("{} : USERID : UNIX : joe doe\r\n", "joe doe"),
                                        ("{} : ERROR : HIDDEN-USER\r\n", None),
                                        ("1 , 2 : USERID : UNIX : mallory\r\n", None),
                                        ("{} : USERID : UNIX : " + "x" * 400 + "\r\n", "x" * 127),
                                        ("{} : USERID : UNIX : a\x01b\r\n", r"a\\001b")])
def test_the_clients_host_is_asked_who_connects(make, reply, user):
    netns.run(ident_is_asked, make, reply, user)


def ident_is_asked(own_network, make, reply, user):
    listener, asked = ident_server(lambda question: reply.replace("{}", question), own_network)
    try:
        with make("rfc1413_query_timeout = 5s\nrfc1413_hosts = 127.0.0.1") as e:
            with Smtp(e.port) as s:
                s.ok("HELO x")
                s.message("a@b.test", ["joe@here.test"])
                port = s.sock.getsockname()[1]
                s.quit()
            e.wait_mail("mail/joe")
            line = e.wait_log("<= a@b.test.*")[0]
            assert re.search(rf"U={user} P=", line) if user else "U=" not in line
            assert f"{port} , {e.port}" in asked
    finally:
        listener.close()


# -- smtp_ratelimit_* --


def test_rate_limited_hosts_are_told_later_and_others_are_not_asked(make):
    limits = "smtp_ratelimit_mail = 1,0.2s,1,0.3s\nsmtp_ratelimit_rcpt = 2,0.1s,1.5,0.3s\n"
    talk = "EHLO x\r\nMAIL FROM:<a@b.test>\r\n" + "RCPT TO:<joe@here.test>\r\n" * 4 + "RSET\r\nMAIL FROM:<a@b.test>\r\nQUIT\r\n"
    for hosts, delays in (("*", ["100", "150", "200"]), ("192.0.2.1", []), ("", [])):
        e = make(limits + f"smtp_ratelimit_hosts = {hosts}")
        p = e.run("-d-all+receive", "-bs", "-oMa", "127.0.0.1", input=talk)
        assert p.stdout.count("250 Accepted") == 4
        assert re.findall(r"rate limit: delay (\d+) ms", p.stderr) == delays


# -- iplookup --


def lookup_server(kind, answer):
    sock = socket.socket(socket.AF_INET, kind)
    sock.bind(("127.0.0.1", 0))
    asked = []

    def serve():
        peer = sock
        if kind == socket.SOCK_STREAM:
            peer, _ = sock.accept()
            asked.append(peer.recv(1000).decode())
            peer.sendall(answer(asked[0]).encode())
            peer.close()
            return
        text, whom = sock.recvfrom(1000)
        asked.append(text.decode())
        sock.sendto(answer(asked[0]).encode(), whom)

    if kind == socket.SOCK_STREAM:
        sock.listen()
    threading.Thread(target=serve, daemon=True).start()
    return sock, asked


ASK = """
ask:
  driver = iplookup
  domains = ask.test
  hosts = 127.0.0.1
  port = {lookup}
  protocol = {protocol}
  timeout = 2s
  {more}
"""


@pytest.mark.parametrize("protocol,kind", [("udp", socket.SOCK_DGRAM), ("tcp", socket.SOCK_STREAM)])
@pytest.mark.parametrize("answer,more,result", [
    (lambda q: "joe@here.test " + q.split()[1] + "\n", "", "joe@here.test"),
    (lambda q: "joe@here.test someone@else.test", "", "ask@ask.test is undeliverable"),
    (lambda q: "1:joe", "response_pattern = ^1:(.*)$\n  reroute = $1@here.test", "joe@here.test"),
    (lambda q: "0:joe", "response_pattern = ^1:(.*)$\n  reroute = $1@here.test", "ask@ask.test is undeliverable"),
    (lambda q: "nonsense", "query = x $local_part", "cannot be resolved at this time"),
])
def test_a_host_is_asked_for_the_address(make, protocol, kind, answer, more, result):
    sock, asked = lookup_server(kind, answer)
    e = make(routers=ASK, lookup=sock.getsockname()[1], protocol=protocol, more=more)
    p = e.run("-bt", "ask@ask.test", check=False)
    if "iplookup" in p.stderr and "not" in p.stderr:
        pytest.skip("built without iplookup")
    assert result in p.stdout
    assert asked == [f"x ask" if "query" in more else "ask@ask.test ask@ask.test"]
    sock.close()


def test_without_an_answer_the_address_waits_unless_it_is_optional(make):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        e = make(routers=ASK.replace("2s", "1s"), lookup=port, protocol="udp", more="")
        p = e.run("-bt", "ask@ask.test", check=False)
        if "iplookup" in p.stderr and "not" in p.stderr:
            pytest.skip("built without iplookup")
        assert p.returncode == 1 and "failed to get anything" in p.stdout


# -- autoreply --

REPLY = """
away:
  driver = accept
  domains = here.test
  local_parts = away
  transport = answer
  unseen
"""
ANSWER = """
answer:
  driver = autoreply
  user = {me}
  to = $sender_address
  from = away@here.test
  subject = "Re: $h_subject:"
  text = "I am away\\n"
  file = {dir}/more
  file_expand
  log = {dir}/answers
  once = {dir}/once
  {more}
"""


def answering(make, more=""):
    e = make(routers=REPLY, transports=ANSWER, more=more, me="nobody")
    (e.dir / "more").write_text("for $local_part\n")
    return e


def write_to_away(e, sender="a@here.test", subject="hello"):
    e.run("-odf", "-f", sender, "away@here.test", input=f"From: {sender}\nSubject: {subject}\n\nx\n")


def test_once_answers_each_sender_once(make):
    e = answering(make)
    for sender in ("a@here.test", "a@here.test", "b@here.test"):
        write_to_away(e, sender)
    e.run("-q")
    (text,) = e.maildir("mail/a")
    assert "Subject: Re: hello" in text and "I am away\n" in text and "for away\n" in text
    assert "Auto-Submitted: auto-replied" in text and len(e.maildir("mail/b")) == 1
    log = (e.dir / "answers").read_text()
    assert log.count("  To: a@here.test\n") == 1 and log.count("  previously sent to a@here.test\n") == 1


def test_a_full_once_file_forgets_who_was_answered_first(make):
    e = answering(make, "once_file_size = 60")
    for sender in ("a@here.test", "a@here.test", "b@here.test", "c@here.test", "d@here.test", "a@here.test", "d@here.test"):
        write_to_away(e, sender)
    e.run("-q")
    assert [len(e.maildir(f"mail/{x}")) for x in "abcd"] == [2, 1, 1, 1]
    assert 0 < (e.dir / "once").stat().st_size <= 60


def test_once_repeat_of_nothing_is_never_over(make):
    e = answering(make, "once_repeat = 1s\n  never_mail = b@here.test")
    write_to_away(e)
    write_to_away(e, "b@here.test")
    e.run("-q")
    assert len(e.maildir("mail/a")) == 1 and e.maildir("mail/b") == []


def test_a_wrong_once_repeat_defers(make):
    e = answering(make, "once_repeat = soon")
    write_to_away(e)
    e.wait_log('== away@here.test.*Invalid time value "soon" for "once_repeat"')


# -- the command line --

AWAY = """
away:
  driver = manualroute
  domains = away.test
  route_list = * 127.0.0.1
  self = send
  transport = out
"""


def test_bi_runs_the_command_with_its_argument(make):
    e = make("bi_command = {dir}/rebuild")
    script = e.dir / "rebuild"
    script.write_text('#!/bin/sh\necho "rebuilt <$1>"\nexit 3\n')
    script.chmod(0o755)
    p = e.run("-bi", check=False)
    assert (p.returncode, p.stdout) == (3, "rebuilt <>\n")
    assert e.run("-bi", "-oA", "my aliases", check=False).stdout == "rebuilt <my aliases>\n"
    assert make().run("-bi").stdout == ""


def test_N_says_what_would_be_done(make):
    e = make(routers=AWAY, transports="out:\n  driver = smtp\n  port = 9\n")
    e.run("-N", "-odf", "joe@here.test", input="Subject: x\n\ny\n")
    e.wait_log(r"\*> joe <joe@here.test> R=local T=mail")
    e.wait_log("Completed")
    e.run("-odq", "-N", "joe@here.test", "a@away.test", input="Subject: x\n\ny\n")
    e.run("-q")
    e.wait_log(r'\*> a@away.test R=away T=out H=127.0.0.1 \[127.0.0.1\] C="delivery bypassed by -N option"')
    e.run("-odq", "joe@here.test", input="Subject: x\n\ny\n")
    e.run("-N", "-q")
    assert e.maildir("mail/joe") == [] and e.queue() == []
    assert e.mainlog().count("*> joe") == 3 and "=>" not in e.mainlog()


@pytest.mark.parametrize("how", ["-odf", "-odi", "-odb", None])
def test_delivery_now_or_in_the_background(make, how):
    e = make()
    e.run(*([how] if how else []), "joe@here.test", input="Subject: x\n\ny\n")
    if how in ("-odf", "-odi"):
        assert len(e.maildir("mail/joe")) == 1
    e.wait_mail("mail/joe")


@pytest.mark.parametrize("mode,asked", [("-bh", 0), ("-bhc", 1)])
def test_host_checking_makes_callouts_only_when_told_to(make, mode, asked):
    sink = Sink(answers={"RCPT": lambda a: "550 no such user"})
    e = make(routers=AWAY, transports=f"out:\n  driver = smtp\n  port = {sink.port}\n")
    p = e.run(mode, "192.0.2.1", input="EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@away.test>\r\nQUIT\r\n")
    assert sink.connections == asked
    assert ("550-Callout verification failed" in p.stdout) == bool(asked)


# -- a set-uid binary --


def test_a_set_uid_exim_drops_its_rights_for_a_file_or_macros_of_the_caller(make, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make a program set-uid")
    e = make()
    program = e.dir / "exim"
    shutil.copy(binary(), program)
    program.chmod(0o4755)
    secret = e.dir / "secret"
    secret.write_text("for root")
    secret.chmod(0o600)
    os.chown(secret, 0, 0)
    games = pwd.getpwnam("games")

    def run(*args, input=""):
        return subprocess.run([program, *map(str, args)], input=input, capture_output=True, text=True, cwd="/",
                              user=games.pw_uid, group=games.pw_gid, extra_groups=[], env={})

    # Without -C it is root: the built-in file is looked for, and is not there or is not ours.
    p = run("-C", e.conf, "-be", "${readfile{%s}}" % secret)
    assert "for root" not in p.stdout and "Permission denied" in p.stdout + p.stderr
    p = run("-C", e.conf, "-be", "$exim_uid ${run{/usr/bin/id -u}} ${run{/usr/bin/id -un}}")
    assert p.stdout.split()[1:] == [str(games.pw_uid), "games"]
    p = run("-C", e.conf, "-odq", "joe@here.test", input="Subject: x\n\ny\n")
    assert p.returncode != 0 and e.queue() == []
    p = run("-C", secret, "-bV")
    assert p.returncode != 0 and "for root" not in p.stdout + p.stderr


# -- lmtp --

LMTP = r'''
import sys
def say(t):
    sys.stdout.write(t + "\r\n"); sys.stdout.flush()
log, rcpts, data = open(sys.argv[1], "a"), [], None
say("220 lmtp.test")
for line in sys.stdin:
    line = line.rstrip("\r\n")
    log.write(line + "\n")
    if data is not None:
        if line == ".":
            for r in rcpts:
                say("452 full" if "full" in r else "250 done " + r)
            data = None
    elif line == "DATA":
        data = []
        say("354 go on")
    elif line.startswith("RCPT"):
        if "unknown" in line:
            say("550 unknown here")
        else:
            rcpts.append(line[9:-1])
            say("250 ok")
    elif line == "QUIT":
        say("221 bye")
        break
    else:
        say("250 ok")
'''


def test_lmtp_answers_for_each_recipient(make):
    e = make(routers="boxes:\n  driver = accept\n  domains = box.test\n  transport = boxes\n",
             transports="boxes:\n  driver = lmtp\n  command = /usr/bin/python3 {dir}/lmtp.py {dir}/said\n  user = nobody\n"
                        "  batch_max = 10\n")
    (e.dir / "lmtp.py").write_text(LMTP)
    e.run("-odf", "-f", "joe@here.test", "one@box.test", "full@box.test", "unknown@box.test", input="Subject: x\n\n.dot\n")
    log = e.mainlog()
    assert re.search(r'[=-]> one <one@box.test> R=boxes T=boxes', log), log
    assert re.search(r"== full@box.test R=boxes T=boxes defer .*452 full", log), log
    assert re.search(r"\*\* unknown@box.test R=boxes T=boxes: .*550 unknown here", log), log
    said = (e.dir / "said").read_text()
    assert said.startswith("LHLO mail.here.test\nMAIL FROM:<joe@here.test>") and "\n..dot\n.\n" in said
    assert "unknown" in e.wait_mail("mail/joe")[0]


def test_lmtp_talks_to_a_socket_too(make):
    e = make(routers="boxes:\n  driver = accept\n  domains = box.test\n  transport = boxes\n",
             transports="boxes:\n  driver = lmtp\n  socket = {dir}/$domain.sock\n  user = nobody\n  batch_max = 10\n"
                        "  batch_id = $domain\n")
    (e.dir / "lmtp.py").write_text(LMTP)
    args = ["-odf", "-f", "joe@here.test", "one@box.test", "full@box.test"]
    e.run(*args, input="Subject: x\n\n.dot\n")
    assert re.search(r"== one@box.test R=boxes T=boxes defer \(\d+\): .*box.test.sock", e.mainlog()), e.mainlog()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(e.dir / "box.test.sock"))
        (e.dir / "box.test.sock").chmod(0o777)
        listener.listen()

        def serve():
            sock, _ = listener.accept()
            with sock:
                subprocess.run(["/usr/bin/python3", e.dir / "lmtp.py", e.dir / "said"], stdin=sock, stdout=sock)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        e.run("-qf")
        server.join(20)
    log = e.mainlog()
    assert re.search(r'[=-]> one <one@box.test> R=boxes T=boxes', log), log
    assert re.search(r"== full@box.test R=boxes T=boxes defer .*452 full", log), log
    assert (e.dir / "said").read_text().startswith("LHLO mail.here.test\nMAIL FROM:<joe@here.test>")
