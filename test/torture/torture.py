"""Installations whose system calls fail or kill on demand (shim.c), and what must be true afterwards."""

import ctypes
import mmap
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import lru_cache
from pathlib import Path

from exim import Exim, binary, wait_until
from sink import Sink

HERE = Path(__file__).resolve().parent
FAULTS = {"kill-one": 1, "kill-all": 2, "EIO": 4, "ENOSPC": 8, "EMFILE": 16, "EINTR": 32, "ENOMEM": 64, "short": 128}
KILLS = ("kill-one", "kill-all")
RECORD_AT = 4096
ID = re.compile(r"[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}")
BODY = "".join(f"line {i} of a body that must arrive whole\n" for i in range(40)) + "last line\n"

CONFIG = """
acl_smtp_rcpt = accept
acl_smtp_mail = accept
qualify_domain = here.test
trusted_users = nobody : root
never_users =
delay_warning = 2s:10h
dsn_advertise_hosts = *
chunking_advertise_hosts = *
pipelining_advertise_hosts = *
smtp_enforce_sync = false
check_spool_space = 0
check_spool_inodes = 0
bounce_return_size_limit = 100K
queue_run_max = 5
{main}
begin routers
relay:
  driver = manualroute
  domains = remote.test
  route_list = * 127.0.0.1
  self = send
  transport = relay
down:
  driver = manualroute
  domains = down.test
  route_list = * 127.0.0.1
  self = send
  transport = down
nobody:
  driver = redirect
  domains = fail.test
  data = :fail: nobody here
  allow_fail
mbox:
  driver = accept
  domains = mbox.test
  transport = mbox
shadowed:
  driver = accept
  domains = shadow.test
  transport = shadowed
local:
  driver = accept
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {dir}/mail/$local_part
  maildir_format
  create_directory
mbox:
  driver = appendfile
  file = {dir}/mail/$local_part.mbox
  lock_retries = 10
  lock_interval = 1s
  lockfile_timeout = 5s
shadowed:
  driver = appendfile
  file = {dir}/mail/$local_part.mbox
  shadow_transport = maildir
relay:
  driver = smtp
  port = {sink}
  allow_localhost
  hosts_avoid_tls = *
down:
  driver = smtp
  port = 1
  allow_localhost
begin retry
* * F,2h,1m
"""


# Orphans come to us, so that their end can be waited for.
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def reaped(group):
    """All of a process group that are ours have ended; those that had are no zombies any more, which would take up the
    numbers that there are for processes."""
    try:
        while os.waitpid(-group, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


@lru_cache(None)
def shim():
    """The library, compiled once for each version of its source."""
    source = HERE / "shim.c"
    out = Path(tempfile.gettempdir()) / f"exim-torture-shim-{os.getuid()}-{source.stat().st_mtime_ns}.so"
    if not out.exists():
        new = out.with_suffix(f".{os.getpid()}")
        subprocess.run(["cc", "-O2", "-std=c17", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", new, source, "-ldl"], check=True)
        new.chmod(0o755)
        new.rename(out)
    return out


class Control(ctypes.Structure):
    """struct control of shim.c."""

    _fields_ = [("fault", ctypes.c_uint32), ("armed", ctypes.c_uint32), ("sticky", ctypes.c_uint32),
                ("recording", ctypes.c_uint32), ("counter", ctypes.c_int64), ("target", ctypes.c_int64),
                ("activity", ctypes.c_int64), ("fired", ctypes.c_uint32), ("lock", ctypes.c_uint32),
                ("used", ctypes.c_int64), ("size", ctypes.c_int64), ("load", ctypes.c_double), ("disk", ctypes.c_int64),
                ("call", ctypes.c_char * 32), ("root", ctypes.c_char * 512)]


class Victim(Exim):
    """An installation in memory (nothing here asks the disk to be slow), under the shim."""

    def __init__(self, main="", record_size=0, shimmed=True, **words):
        self.shimmed = shimmed
        memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.top = Path(tempfile.mkdtemp(prefix="exim-torture-", dir=memory))
        self.top.chmod(0o755)
        self.shm = self.top / "control"
        self.shm.write_bytes(b"\0" * RECORD_AT)
        os.truncate(self.shm, RECORD_AT + record_size)
        self.shm.chmod(0o666)
        with open(self.shm, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)
        self.control = Control.from_buffer(self.map)
        self.control.size, self.control.load = record_size, -1
        self.sink = Sink()
        super().__init__(self.top / "exim", CONFIG.replace("{main}", main), sink=self.sink.port, **words)
        self.control.root = str(self.dir).encode()
        (self.dir / "mail").mkdir()
        if self.user:
            os.chown(self.dir / "mail", self.user.pw_uid, self.user.pw_gid)

    def _env(self):
        if not self.shimmed:
            return super()._env()
        return {**super()._env(), "LD_PRELOAD": str(shim()), "TORTURE_SHM": str(self.shm)}

    def close(self):
        try:
            self.stop()
        finally:
            self.sink.close()
            del self.control
            self.map.close()
            shutil.rmtree(self.top, ignore_errors=True)

    # -- faults --

    def arm(self, fault=None, n=0, sticky=False):
        c = self.control
        c.fault, c.target, c.counter, c.fired, c.sticky = FAULTS.get(fault, 1), n, 0, 0, sticky
        c.armed = 1

    def disarm(self):
        self.control.armed = 0
        return self.control.counter

    def where(self):
        return self.control.call.decode() if self.control.fired else "no call"

    def run_group(self, *args, input=""):
        """A command and all processes it made: (status, output), when the last one has gone."""
        p = subprocess.Popen([binary(), "-C", self.conf, *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, env=self._env(), cwd=self.dir, start_new_session=True,
                             **self._identity())
        try:
            out, _ = p.communicate(input.encode(), 40)
        except subprocess.TimeoutExpired:
            os.killpg(p.pid, signal.SIGKILL)
            out, _ = p.communicate()
            raise AssertionError(f"exim {args} hangs after a fault in {self.where()}: {out.decode()}") from None

        def gone():
            """the end of all its processes"""
            return reaped(p.pid)

        try:
            wait_until(gone, 15, 0.002)
        except AssertionError:
            os.killpg(p.pid, signal.SIGKILL)
            raise AssertionError(f"exim {args} left processes after a fault in {self.where()}") from None
        return p.returncode, out.decode(errors="replace")

    # -- state --

    def save(self):
        """Keeps the present spool and mail as what each case begins with."""
        for name in ("spool", "mail"):
            shutil.copytree(self.dir / name, self.top / "saved" / name, symlinks=True)
        self._give(self.top / "saved")

    def _give(self, folder):
        if self.user:
            for path in [folder, *folder.rglob("*")]:
                os.chown(path, self.user.pw_uid, self.user.pw_gid, follow_symlinks=False)

    def restore(self):
        for name in ("spool", "mail"):
            shutil.rmtree(self.dir / name, ignore_errors=True)
            if (self.top / "saved" / name).exists():
                shutil.copytree(self.top / "saved" / name, self.dir / name, symlinks=True)
            else:
                (self.dir / name).mkdir()
            self._give(self.dir / name)
        for log in (self.dir / "log").iterdir():
            log.unlink()
        self.sink.messages.clear()

    def kill(self):
        """kill -9 of the daemon with all its roles."""
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        reaped(self.process.pid)
        self.process = None
        self.errors.close()

    def stop(self, *args):
        group = self.process.pid if self.process else 0
        super().stop(*args)
        if group:
            reaped(group)

    def quiet(self, done=lambda: False, still=0.08, seconds=20):
        """Waits until `done`, or the daemon died, or nothing moved for a moment."""
        end, last, since = time.monotonic() + seconds, -1, 0
        while time.monotonic() < end:
            now = self.control.activity
            if now != last:
                last, since = now, time.monotonic()
            if done() or time.monotonic() - since > still or (self.process and self.process.poll() is not None):
                return
            time.sleep(0.003)

    # -- what was delivered --

    def copies(self, place, tag):
        """Whole copies of a message, and pieces of it: place is "maildir:name", "mbox:name", "sink"
        or "report:name" (a message that returns or names it)."""
        kind, _, name = place.partition(":")
        if kind == "sink":
            texts = [m["data"].decode().replace("\r\n", "\n") for m in list(self.sink.messages)]
            texts = [t for m, t in zip(list(self.sink.messages), texts) if any(f"<{name}@" in r for r in m["rcpt"])]
        elif kind == "mbox":
            path = self.dir / "mail" / f"{name}.mbox"
            text = path.read_text(errors="replace") if path.exists() else ""
            return len(re.findall(rf"^Subject: {tag}\n(?:.+\n)*\n{BODY}", text, re.M)), 0
        else:
            texts = self.maildir(f"mail/{name}")
        if kind == "report":
            return sum(f"Subject: {tag}\n" in t and not t.rstrip().endswith("last line") for t in texts) or \
                sum("Auto-Submitted" in t and tag in t for t in texts), 0
        mine = [t for t in texts if f"Subject: {tag}\n" in t and "Auto-Submitted: auto-" not in t]
        return sum(t.endswith(BODY) for t in mine), sum(not t.endswith(BODY) for t in mine)

    def queue(self):
        """Ids, as the tools say: how the spool keeps its messages is its own business."""
        return sorted(set(ID.findall(self.run("-bp").stdout)))

    def completed(self):
        return self.mainlog().count(" Completed")

    def recover(self, restart=False):
        """What happens afterwards on any server: it is started again, and the queue is run."""
        self.control.armed = 0
        for lock in (self.dir / "mail").glob("*.lock"):  # not to wait until they are stale
            lock.unlink()
        if restart:
            if self.process is not None and self.process.poll() is None:
                self.stop()
            self.kill()
            self.start()
            self.run("-qff", check=False)
            self.quiet()
            self.stop()
        for _ in range(2):
            self.run("-qff", check=False)

    def left_over(self):
        """Files of messages that a queue run does not clear, a while later."""
        places = [self.dir / "spool" / d for d in ("input", "msglog")]
        files = [p for d in places for p in d.rglob("*") if p.is_file() and ID.search(p.name)]
        if not files:
            return []
        past = time.time() - 600
        for p in files:
            os.utime(p, (past, past))
        self.run("-q", check=False)
        listed = set(self.queue())
        return [str(p.relative_to(self.dir)) for d in places for p in d.rglob("*")
                if p.is_file() and ID.search(p.name) and ID.search(p.name)[0] not in listed]


def text(tag, body=BODY):
    return f"Subject: {tag}\n\n{body}"


def dialogue(e, lines, timeout=20):
    """Sends the parts one after another over a connection; replies until the end of it, as one text. A part of
    bytes is sent without waiting for a reply."""
    got = b""
    try:
        with socket.create_connection(("127.0.0.1", e.port), timeout) as s:
            got = _reply(s)
            more = got
            for i, part in enumerate(lines):
                if i and lines[i - 1] == "DATA\n" and not more.startswith(b"354"):
                    continue  # nobody waits for the text
                s.sendall(part if isinstance(part, bytes) else part.replace("\n", "\r\n").encode())
                if not isinstance(part, bytes):
                    more = _reply(s)
                    got += more
                    if not more or more.startswith(b"421"):
                        break
            s.shutdown(socket.SHUT_WR)
            while more := s.recv(65536):
                got += more
    except OSError:
        pass
    return got.decode(errors="replace").replace("\r\n", "\n")


def _reply(s):
    got = b""
    while not re.search(rb"(^|\n)\d\d\d [^\n]*\n\Z", got):
        more = s.recv(65536)
        if not more:
            break
        got += more
    return got
