"""Debian's Postfix as a peer: a private instance in a folder of its own, on a port of its own.

Its package is unpacked below build-reference/ (see debian.py); nothing is installed. Postfix wants root to start, an
account for its processes and a group of its own; accounts that Debian has anyway serve. Its processes are ended with it.

    with Postfix(tmp_path / "postfix", users=["user@pf.test"], relay="[127.0.0.1]:2525") as peer:
        peer.port, peer.log(), peer.maildir("user@pf.test")

Mail to `users` goes to maildirs, others of their domains are unknown (550 at RCPT), and everything else goes to
`relay` = "[127.0.0.1]:port" if that is set.
"""

import os
import pwd
import re
import signal
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest

import debian
from exim import free_port, wait_match, wait_until

OWNER, GROUP = "mail", "games"  # any two that nobody else uses: neither root nor nobody
QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd{wrapper}
postlog   unix-dgram n - n - 1 postlogd
pickup    unix n - n 60 1 pickup
cleanup   unix n - n - 0 cleanup
qmgr      unix n - n 300 1 qmgr
tlsmgr    unix - - n 1000? 1 tlsmgr
rewrite   unix - - n - - trivial-rewrite
bounce    unix - - n - 0 bounce
defer     unix - - n - 0 bounce
trace     unix - - n - 0 bounce
verify    unix - - n - 1 verify
flush     unix n - n 1000? 0 flush
proxymap  unix - - n - - proxymap
smtp      unix - - n - - smtp
relay     unix - - n - - smtp
lmtp      unix - - n - - lmtp
showq     unix n - n - - showq
error     unix - - n - - error
retry     unix - - n - - error
discard   unix - - n - - discard
local     unix - n n - - local
virtual   unix - n n - - virtual
anvil     unix - - n - 1 anvil
scache    unix - - n - 1 scache
"""


@lru_cache(None)
def root():
    """The folder with Debian's Postfix in it, or the test is skipped."""
    if os.geteuid() != 0:
        pytest.skip("Postfix starts as root only")
    try:
        return debian.unpack("postfix", ["postfix"], "usr/lib/postfix/sbin/smtpd")
    except debian.Unavailable as e:
        pytest.skip(str(e))


class Postfix:
    """`main`: lines of main.cf over the ones here. `tls`: (certificate file, key file), offered with STARTTLS;
    `wrapper`: TLS from the first byte. `extra_master`: lines added to master.cf."""

    def __init__(self, folder, main=None, users=("user@postfix.test",), relay="", tls=None, wrapper=False,
                 extra_master="", name="postfix.peer.test"):
        self.dir, self.port, self.process = Path(folder), free_port(), None
        owner = pwd.getpwnam(OWNER)
        for sub in ("etc", "data", "mail", "queue", *(f"queue/{q}" for q in (*QUEUES, "maildrop", "public", "pid"))):
            (self.dir / sub).mkdir(parents=True, exist_ok=True)
        for sub in ("data", "mail", *(f"queue/{q}" for q in (*QUEUES, "maildrop", "public"))):
            os.chown(self.dir / sub, owner.pw_uid, owner.pw_gid)
        for parent in self.dir.parents:  # pytest's folders are closed to others
            if str(parent).startswith("/tmp/") and parent.stat().st_uid == 0:
                parent.chmod(parent.stat().st_mode | 0o055)
        settings = {
            "compatibility_level": "3.6", "myhostname": name, "mydestination": "", "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4", "queue_directory": self.dir / "queue", "data_directory": self.dir / "data",
            "daemon_directory": root() / "usr/lib/postfix/sbin", "command_directory": root() / "usr/sbin",
            "shlib_directory": root() / "usr/lib/postfix", "meta_directory": root() / "etc/postfix",
            "sendmail_path": root() / "usr/sbin/sendmail", "mailq_path": root() / "usr/sbin/sendmail",
            "newaliases_path": root() / "usr/sbin/sendmail", "mail_owner": OWNER, "setgid_group": GROUP,
            "maillog_file": self.dir / "data/maillog", "maillog_file_prefixes": self.dir, "alias_maps": "",
            "import_environment": "MAIL_CONFIG LD_LIBRARY_PATH POSTLOG_SERVICE POSTLOG_HOSTNAME",
            "export_environment": "MAIL_CONFIG LD_LIBRARY_PATH POSTLOG_SERVICE POSTLOG_HOSTNAME",
            "mynetworks": "127.0.0.0/8", "smtp_host_lookup": "native", "smtp_dns_support_level": "disabled",
            "smtputf8_enable": "yes", "maximal_backoff_time": "2s", "minimal_backoff_time": "1s",
            "queue_run_delay": "1s", "relayhost": relay, "virtual_mailbox_domains": " ".join({u.split("@")[1] for u in users}),
            "virtual_mailbox_base": self.dir / "mail", "virtual_mailbox_maps": f"texthash:{self.dir}/etc/boxes",
            "virtual_minimum_uid": "1", "virtual_uid_maps": f"static:{owner.pw_uid}",
            "virtual_gid_maps": f"static:{owner.pw_gid}", "default_database_type": "texthash",
        }
        if tls:
            settings |= {"smtpd_tls_cert_file": tls[0], "smtpd_tls_key_file": tls[1], "smtpd_tls_security_level": "may",
                         "smtpd_tls_loglevel": "1", "smtpd_tls_received_header": "yes"}
        settings |= main or {}
        (self.dir / "etc/boxes").write_text("".join(f"{u} {u}/\n" for u in users))
        (self.dir / "etc/main.cf").write_text("".join(f"{k} = {v}\n" for k, v in settings.items()))
        over = " -o smtpd_tls_wrappermode=yes" if wrapper else ""
        (self.dir / "etc/master.cf").write_text(MASTER.format(port=self.port, wrapper=over) + extra_master)

    def _env(self):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LD_LIBRARY_PATH": debian.library_path(root()),
                "MAIL_CONFIG": str(self.dir / "etc"), "POSTLOG_SERVICE": f"{self.dir}/queue/public/postlog",
                "POSTLOG_HOSTNAME": "peer"}  # as postfix(1) sets them for its daemons

    def command(self, name, *args, check=True):
        """Runs postconf, postqueue ... on this instance; its output."""
        p = subprocess.run([root() / "usr/sbin" / name, *map(str, args)], capture_output=True, text=True, env=self._env())
        assert not check or p.returncode == 0, f"{name} {args}: {p.returncode}\n{p.stdout}{p.stderr}"
        return p.stdout

    def start(self):
        self.errors = open(self.dir / "stderr", "w")
        self.process = subprocess.Popen(
            [root() / "usr/lib/postfix/sbin/master", "-c", self.dir / "etc", "-d"], stdin=subprocess.DEVNULL,
            stdout=self.errors, stderr=self.errors, env=self._env(), cwd=self.dir, start_new_session=True)

        def ready():
            if self.process.poll() is not None:
                pytest.fail("postfix ended: " + (self.dir / "stderr").read_text() + self.log())
            return re.search("daemon started", self.log())

        wait_until(ready)
        return self

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None
        self.errors.close()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, kind, value, trace):
        self.stop()

    def log(self):
        path = self.dir / "data/maillog"
        return path.read_text(errors="surrogateescape") if path.exists() else ""

    def wait_log(self, pattern, seconds=20.0, times=1):
        return wait_match(self.log, pattern, seconds, times)

    def maildir(self, address):
        """Texts of the messages that were delivered to this address, oldest first."""
        new = self.dir / "mail" / address / "new"
        files = sorted(new.iterdir(), key=lambda p: p.stat().st_mtime_ns) if new.exists() else []
        return [p.read_text(errors="surrogateescape") for p in files]
