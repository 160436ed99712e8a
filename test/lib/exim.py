"""A private Exim for one test: its own folder, ports, spool and logs; started and ended by pid."""

import os
import pwd
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOBODY = "nobody"


def binary():
    """The program under test: EXIM_BINARY, else the usual build."""
    default = ROOT / f"build-{os.uname().sysname}-{os.uname().machine}" / "exim"
    return Path(os.environ.get("EXIM_BINARY", default))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, seconds=20.0, step=0.02):
    """The first true value of what(), or a failure after that many seconds."""
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain for {what.__doc__ or what}")
        time.sleep(step)


def wait_match(log, pattern, seconds=20.0, times=1, more=lambda: ""):
    def nth():
        found = list(re.finditer(pattern, log(), re.M))
        return found[times - 1] if len(found) >= times else None

    try:
        return wait_until(nth, seconds)
    except AssertionError:
        raise AssertionError(f"no {pattern!r} in the log, or not {times} times:\n{log()}{more()}") from None


def children(pid):
    """{title: process id} of the children of a process of the daemon."""
    out = {}
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            stat = Path(f"/proc/{p}/stat").read_text().rsplit(")", 1)[1].split()
            title = Path(f"/proc/{p}/cmdline").read_text().strip("\0")
        except OSError:
            continue
        if int(stat[1]) == pid and stat[0] != "Z":
            out[title.split(": ", 1)[-1].split("(")[0]] = int(p)
    return out


class Exim:
    """One installation. `config` may use {dir}, {port} and the keywords given."""

    def __init__(self, folder, config, as_root=False, dns=None, **words):
        self.dir = Path(folder)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.as_root = as_root
        self.dns = dns
        self.process = None
        self.words = words
        self.conf = self.dir / "exim.conf"
        self.user = self._choose_user()
        self.write_config(config)

    def _choose_user(self):
        """Tests started as root run the server as an ordinary user, unless they ask for root."""
        if os.geteuid() != 0 or self.as_root:
            return None
        return pwd.getpwnam(NOBODY)

    def write_config(self, config, **words):
        self.words.update(words)
        head = (
            "primary_hostname = mail.here.test\n"
            f"spool_directory = {self.dir}/spool\n"
            f"log_file_path = {self.dir}/log/%slog\n"
            f"pid_file_path = {self.dir}/exim.pid\n"
            "keep_environment =\n"
        )
        text = config
        for name, value in {"dir": self.dir, "port": self.port, **self.words}.items():
            text = text.replace("{" + name + "}", str(value))
        self.conf.write_text(head + text)
        (self.dir / "log").mkdir(exist_ok=True)
        (self.dir / "spool").mkdir(exist_ok=True)
        if self.user:
            for path in [self.dir, *self.dir.rglob("*")]:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
            for parent in self.dir.parents:  # pytest's folders are closed to others
                if str(parent).startswith("/tmp/") and parent.stat().st_uid == 0:
                    parent.chmod(parent.stat().st_mode | 0o055)

    def _env(self):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.dir),
               "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
        if self.dns:
            env["EXIM_RESOLV_SERVER"] = f"127.0.0.1:{self.dns.port}"
        return env

    def _program(self):
        return binary()

    def _server_env(self):
        return self._env()

    def _identity(self):
        if not self.user:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def run(self, *args, input="", check=True, timeout=60, before=()):
        """One command-line mode, perhaps under the program `before`. The result has .stdout, .stderr, .returncode."""
        p = subprocess.run([*before, binary(), "-C", self.conf, *map(str, args)], input=input, text=True, encoding="latin-1",
                           capture_output=True, timeout=timeout, env=self._env(), cwd=self.dir,
                           **self._identity())
        if check and p.returncode != 0:
            raise AssertionError(f"exim {args}: status {p.returncode}\n{p.stdout}\n{p.stderr}")
        return p

    def start(self, *args, quiet=False):
        """Starts the daemon and waits until it listens (quiet: without connecting to it)."""
        self.errors = open(self.dir / "stderr", "w")
        self.process = subprocess.Popen(
            [self._program(), "-C", self.conf, "-bdf", "-oX", f"127.0.0.1.{self.port}", *map(str, args)],
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors, env=self._server_env(), cwd=self.dir,
            start_new_session=True, **self._identity())

        def listening():
            if self.process.poll() is not None:
                raise AssertionError("exim ended: " + (self.dir / "stderr").read_text() + self.paniclog())
            if quiet:
                return re.search(r"daemon started", self.mainlog())
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                return False

        wait_until(listening)
        return self

    def stop(self, sig=signal.SIGTERM):
        if self.process is None:
            return
        self.process.send_signal(sig)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            raise AssertionError("exim did not end") from None
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process = None
            self.errors.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, value, trace):
        self.stop()
        text = (self.dir / "stderr").read_text()
        assert "Sanitizer" not in text and "runtime error" not in text, text

    # -- what it wrote --

    def _log(self, name):
        path = self.dir / "log" / f"{name}log"
        return path.read_text(errors="surrogateescape") if path.exists() else ""

    def mainlog(self):
        return self._log("main")

    def rejectlog(self):
        return self._log("reject")

    def paniclog(self):
        return self._log("panic")

    def wait_log(self, pattern, seconds=20.0, times=1):
        """The match of a regular expression in the main log, once it is there; or is there so many times."""
        return wait_match(self.mainlog, pattern, seconds, times, self.paniclog)

    def maildir(self, name):
        """Texts of the messages delivered to {dir}/<name>/, oldest first."""
        new = self.dir / name / "new"
        files = sorted(new.iterdir(), key=lambda p: p.stat().st_mtime_ns) if new.exists() else []
        return [p.read_text(errors="surrogateescape") for p in files]

    def wait_mail(self, name, count=1, seconds=20.0):
        try:
            return wait_until(lambda: self.maildir(name) if len(self.maildir(name)) >= count else None, seconds)
        except AssertionError:
            raise AssertionError(f"{len(self.maildir(name))} of {count} messages in {name}:\n{self.mainlog()}") from None

    def queue(self):
        """Ids in the queue."""
        return sorted(re.findall(r" (\w{6}-\w{6}-\w\w) <", self.run("-bpr").stdout))


def munge(text):
    """Takes out what differs from run to run: ids, times, process numbers, the spool's folder."""
    text = re.sub(r"\b[0-9A-Za-z]{6}-[0-9A-Za-z]{6}-[0-9A-Za-z]{2}\b", "<id>", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( [-+]\d{4})?", "<time>", text)
    text = re.sub(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), +\d+ \w{3} \d{4} \d\d:\d\d:\d\d [-+]\d{4}", "<date>", text)
    return re.sub(r"\b(QT|DT|RT)=[0-9.a-z<>]+", r"\1=<t>", text)
