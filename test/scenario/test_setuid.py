"""A set-uid exim with its built-in configuration, called by an ordinary user.

The configuration file, and the user exim, are shown to the program in a mount namespace of its own."""

import os
import pwd
import re
import shutil
import subprocess

import pytest
from exim import binary

CALLER = "games"
CONFIG = """
primary_hostname = mail.here.test
qualify_domain = here.test
spool_directory = {dir}/spool
log_file_path = {dir}/log/%slog
keep_environment =
exim_user = daemon
exim_group = daemon
{main}
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
IN_NAMESPACE = """
mkdir -p {dir}/over/up {dir}/over/work
mount -t overlay overlay -o lowerdir=/usr,upperdir={dir}/over/up,workdir={dir}/over/work /usr &&
mkdir -p $(dirname {conf}) && cp {dir}/configure {conf} && chmod 644 {conf} || exit 77
exec setpriv --reuid={uid} --regid={gid} --clear-groups env -i {program} "$@"
"""


def built_in_file():
    p = subprocess.run([binary(), "-bP", "configure_file"], capture_output=True, text=True)
    m = re.search(r"configuration file (\S+?):? |(/\S+/\S+)", p.stdout + p.stderr)
    return (m[1] or m[2]).rstrip(":") if m else ""


class SetUid:
    def __init__(self, folder):
        self.dir, self.conf = folder, built_in_file()
        self.games, daemon = pwd.getpwnam(CALLER), pwd.getpwnam("daemon")
        for name, mode in (("spool", 0o750), ("log", 0o755), ("mail", 0o777)):
            (folder / name).mkdir()
            os.chown(folder / name, daemon.pw_uid, daemon.pw_gid)
            (folder / name).chmod(mode)
        for parent in [folder, *folder.parents]:
            if str(parent).startswith("/tmp/") and parent.stat().st_uid == 0:
                parent.chmod(parent.stat().st_mode | 0o055)
        self.program = folder / "exim"
        shutil.copy(binary(), self.program)
        self.program.chmod(0o4755)

    def run(self, *args, main="", input="", uid=None):
        (self.dir / "configure").write_text(CONFIG.replace("{dir}", str(self.dir)).replace("{main}", main))
        script = IN_NAMESPACE.format(dir=self.dir, conf=self.conf, uid=self.games.pw_uid if uid is None else uid, gid=self.games.pw_gid,
                                     program=self.program)
        p = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", *map(str, args)], input=input, text=True,
                           capture_output=True, cwd="/", timeout=60)
        if p.returncode == 77:
            pytest.skip("no mount namespace: " + p.stderr)
        return p

    def log(self):
        path = self.dir / "log/mainlog"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def suid(tmp_path):
    s = SetUid(tmp_path) if os.geteuid() == 0 else pytest.skip("only root can make a program set-uid")
    if not s.conf.startswith("/usr/"):
        pytest.skip(f"the configuration file is {s.conf or 'unknown'}")
    return s


MESSAGE = "Subject: x\nFrom: c@d.test\n\ny\n"


def test_a_users_message_is_delivered_with_the_rights_of_others(suid):
    p = suid.run("-odi", "joe@here.test", input=MESSAGE)
    assert p.returncode == 0, p.stderr
    assert f"<= {CALLER}@here.test U={CALLER} P=local" in suid.log()
    (mail,) = (suid.dir / "mail/joe/new").iterdir()
    assert mail.stat().st_uid == pwd.getpwnam("nobody").pw_uid
    daemon = pwd.getpwnam("daemon").pw_uid
    assert (suid.dir / "log/mainlog").stat().st_uid == daemon
    assert all(f.stat().st_uid == daemon for f in (suid.dir / "spool").rglob("*"))


@pytest.mark.parametrize("main,sender", [("", f"{CALLER}@here.test"), (f"trusted_users = {CALLER}", "a@b.test"),
                                         (f"trusted_groups = {CALLER}", "a@b.test"),
                                         ("trusted_users = nobody", f"{CALLER}@here.test"),
                                         ("untrusted_set_sender = *@b.test", "a@b.test"),
                                         ("untrusted_set_sender = *@c.test", f"{CALLER}@here.test"),
                                         ("untrusted_set_sender = ^${if eq{$sender_ident}{games}{a}{b}}", "a@b.test")])
def test_only_trusted_users_choose_the_sender(suid, main, sender):
    assert suid.run("-odq", "-f", "a@b.test", "joe@here.test", input=MESSAGE, main=main).returncode == 0
    assert f"<= {sender} " in suid.log()
    header = next((suid.dir / "spool/input").glob("*-H")).read_text()
    assert ("Sender: " in header) == (not main.startswith("trusted") or "nobody" in main)


@pytest.mark.parametrize("main,allowed", [("", False), (f"trusted_users = {CALLER}", False),
                                          (f"admin_groups = {CALLER}", True), ("queue_list_requires_admin = false", "list")])
def test_only_admins_work_on_the_queue(suid, main, allowed):
    suid.run("-odq", "joe@here.test", input=MESSAGE)
    (id,) = re.findall(r"\S{6}-\S{6}-\S\S", suid.log())
    p = suid.run("-bp", main=main)
    assert (id in p.stdout) == bool(allowed) and ("permission denied" in p.stderr) == (not allowed)
    for args in (["-Mf", id], ["-Mvh", id], ["-Mset", id, "-be", "$h_subject:"], ["-bd", "-oX", "127.0.0.1.1"], ["-d", "-bV"],
                 ["-Mg", id]):
        if args[0] == "-bd" and allowed is True:
            continue
        p = suid.run(*args, main=main)
        assert (p.returncode == 0) == (allowed is True), (args, p.stderr)
        assert ("permission denied" in p.stderr) == (allowed is not True), args
    assert bool(list((suid.dir / "spool/input").glob("*-H"))) == (allowed is not True)


def test_a_user_removes_only_messages_of_his_own(suid):
    for uid in (suid.games.pw_uid, 0):
        suid.run("-odq", "joe@here.test", input=MESSAGE, uid=uid)
    own, other = re.findall(r"(\S{6}-\S{6}-\S\S) <=", suid.log())
    assert suid.run("-Mrm", own).returncode == 0
    p = suid.run("-Mrm", other)
    assert p.returncode != 0 and [f.name for f in (suid.dir / "spool/input").glob("*-H")] == [other + "-H"]


def test_macros_and_files_of_the_caller_cost_the_rights(suid):
    suid.run("-odq", "joe@here.test", input=MESSAGE)
    before = suid.log()
    for args in (["-DX=1"], ["-C", suid.dir / "configure"]):
        p = suid.run(*args, "-odq", "joe@here.test", input=MESSAGE)
        assert p.returncode != 0 and suid.log() == before, args
        assert suid.run(*args, "-be", "${run{/usr/bin/id -u}}").stdout.strip() == str(suid.games.pw_uid)
