"""Messages of ordinary users where exim is not set-uid: through the daemon's socket (submission_socket)."""

import os
import pwd
import re
import socket
import subprocess

import pytest
from exim import Exim, binary, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs another user than the daemon's")

CONFIG = """
exim_user = nobody
exim_group = nogroup
qualify_domain = here.test
submission_socket = {dir}/run/submit.sock
log_selector = +received_recipients
{main}
acl_not_smtp = not_smtp
acl_smtp_rcpt = accept
begin acl
not_smtp:
  deny condition = ${if match{$h_subject:}{spam}}
       message = no spam please
  accept
begin routers
local:
  driver = accept
  transport = mail
begin transports
mail:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  user = nobody
begin retry
"""
USER = "games"


class Site:
    def __init__(self, folder, main=""):
        for d in (folder, folder / "run", folder / "mail", folder / "log", folder / "spool"):
            d.mkdir(parents=True, exist_ok=True)
        self.e = Exim(folder, CONFIG, as_root=True, main=main)
        nobody = pwd.getpwnam("nobody")
        for name in ("mail", "log", "spool"):
            os.chown(folder / name, nobody.pw_uid, nobody.pw_gid)
        (folder / "spool").chmod(0o750)
        for parent in [folder, *folder.parents]:
            if str(parent).startswith("/tmp/") and parent.stat().st_uid == 0:
                parent.chmod(parent.stat().st_mode | 0o055)
        self.who = pwd.getpwnam(USER)

    def popen(self, *args, uid=None):
        uid = self.who.pw_uid if uid is None else uid
        return subprocess.Popen([binary(), "-C", self.e.conf, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, user=uid, group=self.who.pw_gid, extra_groups=[],
                                cwd="/", env={"PATH": "/usr/bin:/bin"})

    def send(self, *args, input="", uid=None):
        p = self.popen(*args, uid=uid)
        out, err = p.communicate(input, timeout=30)
        return p.returncode, out, err


def submissions():
    """Processes that take in a message of our user."""
    names = subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True).stdout
    return names.count(f"submission by {USER}")


@pytest.fixture
def running(tmp_path):
    s = Site(tmp_path / "exim")
    with s.e:
        yield s


def test_a_message_arrives_as_its_senders(running):
    assert running.send("-odi", "joe@here.test", input="Subject: hello\n\nbody\n.\nnot any more\n") == (0, "", "")
    (text,) = running.e.wait_mail("mail/joe")
    assert f"From: {USER}@here.test" in re.sub(r"From: .*<(.*)>", r"From: \1", text)
    assert f"from {USER} by mail.here.test with local" in text
    assert text.endswith("\n\nbody\n")
    running.e.wait_log(rf"<= {USER}@here.test U={USER} P=local S=\d+ for joe@here.test$")


def test_what_is_local_is_delivered_when_remote_recipients_wait(running):
    assert running.send("-odqs", "joe@here.test", input="Subject: now\n\nbody\n") == (0, "", "")
    assert "Subject: now" in running.e.wait_mail("mail/joe")[0]


def test_recipients_of_the_header_and_the_end_by_closing(running):
    assert running.send("-t", "-i", input="To: a@here.test, b@here.test\nBcc: c@here.test\n\none\n.\ntwo\n")[0] == 0
    for name in "abc":
        (text,) = running.e.wait_mail(f"mail/{name}")
        assert text.endswith("one\n.\ntwo\n") and "Bcc" not in text


def test_nobody_sends_in_anothers_name(running):
    assert running.send("-f", "boss@here.test", "-oMa", "1.2.3.4", "joe@here.test", input="Subject: x\n\ny\n")[0] == 0
    running.e.wait_log(rf"<= {USER}@here.test U={USER} P=local")
    (text,) = running.e.wait_mail("mail/joe")
    assert f"Sender: " not in text or USER in re.search("^Sender: .*$", text, re.M)[0]
    code, _, err = running.send("-oMm", "1abcde-000001-Ab", "joe@here.test", input="x")
    assert code == 1 and "-oMm must be called by a trusted user/config" in err


def test_trusted_users_are_believed_by_their_uid(tmp_path):
    s = Site(tmp_path / "exim", f"trusted_users = {USER}")
    with s.e:
        assert s.send("-f", "boss@away.test", "joe@here.test", input="Subject: x\n\ny\n")[0] == 0
        s.e.wait_log(rf"<= boss@away.test U={USER} P=local")


def test_smtp_over_standard_input(running):
    code, out, _ = running.send("-bs", input="EHLO x\r\nMAIL FROM:<boss@here.test>\r\nRCPT TO:<joe@here.test>\r\nDATA\r\n"
                                "Subject: s\r\n\r\nb\r\n.\r\nQUIT\r\n")
    assert code == 0 and out.startswith("220 ") and "250 OK id=" in out and out.rstrip().endswith("closing connection")
    running.e.wait_log(rf"<= {USER}@here.test U={USER} P=local-esmtp")


def test_refusals_are_told(running):
    code, _, err = running.send("-oep", "joe@here.test", input="Subject: spam\n\nx\n")
    assert code != 0 and "no spam please" in err
    running.e.wait_log("rejected by non-SMTP ACL: no spam please")


def test_a_killed_sender_leaves_nothing_behind(running):
    p = running.popen("-i", "joe@here.test")
    p.stdin.write("Subject: half\n\nhalf a\n")
    p.stdin.flush()
    wait_until(lambda: submissions() == 1)
    p.kill()
    p.communicate()
    running.send("-odi", "joe@here.test", input="Subject: whole\n\nx\n")
    (text,) = running.e.wait_mail("mail/joe")
    assert "Subject: whole" in text
    wait_until(lambda: submissions() == 0)
    assert not list((running.e.dir / "spool" / "input").rglob("*-D"))
    assert "Subject: half" not in running.e.mainlog() and not running.e.maildir("mail/half")


def test_without_a_daemon_it_says_so(tmp_path):
    s = Site(tmp_path / "exim")
    code, _, err = s.send("joe@here.test", input="x")
    assert code == 1 and "no daemon takes messages on" in err and "submit.sock" in err


def test_one_user_cannot_take_all_the_processes(running):
    held = [running.popen("-i", "joe@here.test") for _ in range(10)]
    wait_until(lambda: submissions() == 10)
    code, _, err = running.send("joe@here.test", input="x")
    assert code == 1 and "too many messages are being submitted by you" in err
    code, _, _ = running.send("joe@here.test", input="Subject: other\n\nx\n", uid=pwd.getpwnam("mail").pw_uid)
    assert code == 0
    for p in held:
        p.kill()
        p.communicate()


def test_what_is_no_request_is_refused(running):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(str(running.e.dir / "run" / "submit.sock"))
    s.send(b"\x00\xff" * 40)
    assert s.recv(200).startswith(b"Rthe request cannot be read")
    running.send("joe@here.test", input="Subject: still there\n\nx\n")
    running.e.wait_mail("mail/joe")


def test_stopping_removes_the_socket_and_sighup_keeps_it(running):
    path = running.e.dir / "run" / "submit.sock"
    running.e.process.send_signal(1)
    running.e.wait_log("daemon started.*(\n.*)*daemon started")
    assert running.send("joe@here.test", input="Subject: x\n\ny\n")[0] == 0
    running.e.stop()
    assert not path.exists()
    running.e.start()
