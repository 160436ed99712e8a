"""The servers that are compared, each a private installation on loopback with the same work to do.

Ours runs as an ordinary user. The others come from Debian's packages and find their files where they were built
for: each has a mount namespace in which the package lies over /usr, private files over /etc and /var. Their own
users are in that private /etc/passwd. That, and users of their own, take root. Exim is then run as its user;
Postfix and OpenSMTPD insist on starting as root. All ask a DNS server that knows no name.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import debian  # noqa: E402
from exim import binary, free_port, wait_until  # noqa: E402
from measure import Account, tree  # noqa: E402

DNS, DNS_PORT = "127.0.0.54", "53" if os.geteuid() == 0 else str(free_port())
USERS = {"vmail": 61001, "Debian-exim": 61002, "postfix": 61003, "opensmtpd": 61004, "opensmtpq": 61005}
GROUPS = {**USERS, "postdrop": 61006}
MOUNTS = """
set -e
mount -t overlay bench -o lowerdir="$1"/usr:/usr /usr
mount -t overlay bench -o lowerdir="$2"/etc:/etc /etc
mount --bind "$2"/var /var
shift 2
exec "$@"
"""


def build(folder, name):
    """A program of this folder's, compiled."""
    program = folder / name
    subprocess.run(["cc", "-O2", "-std=c17", "-D_GNU_SOURCE", "-o", program, HERE / f"{name}.c", "-lssl", "-lcrypto"],
                   check=True)
    return program


class CannotRun(Exception):
    """This server does not run here; the text says why."""


class Server:
    """start() and stop() one installation; .port, .proxy_port; .account counts its CPU time."""

    name = title = ""
    program = []
    end_signal = signal.SIGTERM
    has_queue = False  # filled by a work

    def __init__(self, folder, sink, tls=None, idle=False, extra=""):
        self.dir, self.sink, self.tls, self.idle, self.extra = Path(folder) / self.name, sink, tls, idle, extra
        self.port, self.proxy_port = free_port(), free_port()
        self.process = None
        self.dir.mkdir(parents=True)
        self.prepare()

    def prepare(self):
        """Writes the configuration."""

    def mailbox(self, user="u0"):
        """The folder in which the messages of a Maildir arrive."""
        return self.mail / user / "new"

    def identity(self):
        return {}

    def environment(self):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "EXIM_RESOLV_SERVER": f"{DNS}:{DNS_PORT}"}

    def popen(self, *command, **more):
        return subprocess.Popen([*map(str, self.program), *map(str, command)], stdin=subprocess.DEVNULL,
                                env=self.environment(), cwd="/", **self.identity(), **more)

    def start(self):
        self.account = Account(self.name)
        with open(self.dir / "stderr", "a") as log:
            self.process = self.popen(*self.daemon(), stdout=log, stderr=log, start_new_session=True,
                                      preexec_fn=self.account.enter)
        self.account.top = self.process.pid
        try:
            wait_until(self.greets, 30)
        except AssertionError:
            self.stop()
            raise CannotRun(f"{self.title} does not answer: {self.errors()}") from None
        return self

    def errors(self):
        return (self.dir / "stderr").read_text()[-1000:]

    def greets(self):
        """the greeting"""
        if self.process.poll() is not None:
            raise CannotRun(f"{self.title} ended: {self.errors()}")
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as s:
                s.recv(4)
                s.sendall(b"QUIT\r\n")
                return True
        except OSError:
            return False

    def first(self):
        """The process whose end is the server's."""
        return self.process.pid

    def stop(self):
        if not self.process:
            return
        os.kill(self.first(), self.end_signal)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            for pid in tree(self.process.pid):
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.process = None
        self.account.close()


EXIM_CONFIG = """
primary_hostname = mx.bench.test
spool_directory = {var}/spool/bench
log_file_path = {var}/log/%slog
local_interfaces = 127.0.0.1
keep_environment =
daemon_smtp_ports = {port} : {proxy_port}
hosts_proxy = ${if eq{$received_port}{{proxy_port}}{*}{}}
acl_smtp_rcpt = accept
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 128
{settings}
begin routers
remote:
  driver = manualroute
  domains = remote.test
  route_list = * 127.0.0.1
  self = send
  transport = relay
aliases:
  driver = redirect
  domains = alias.test
  data = ${lookup{$local_part}lsearch{{etc}/aliases}}
local:
  driver = accept
  local_parts = u0 : lsearch;{etc}/boxes
  transport = maildir
begin transports
maildir:
  driver = appendfile
  directory = {mail}/{box}
  maildir_format
  create_directory
  user = {user}
  group = {group}
relay:
  driver = smtp
  port = {sink}
  allow_localhost
  hosts_try_fastopen =
begin retry
* * F,2h,15m
"""


class AnyExim(Server):
    """What ours and Debian's have in common."""

    def settings(self):
        tls = f"tls_certificate = {self.tls}\ntls_privatekey = {self.tls}\n" if self.tls else ""
        return tls + ("" if self.tls else "tls_advertise_hosts =\n") + self.extra

    def write_config(self, etc, user, group, var, mail, seen=None):
        """The configuration and its files go to `etc`, which the server sees as `seen`."""
        self.seen_var = var
        words = {"settings": self.settings(), "var": var, "etc": seen or etc, "mail": mail, "user": user,
                 "group": group, "port": self.port, "proxy_port": self.proxy_port, "sink": self.sink,
                 "box": self.box}
        text = EXIM_CONFIG
        for word, value in words.items():
            text = text.replace("{" + word + "}", str(value))
        etc.mkdir()
        (etc / "exim4.conf").write_text(text)
        (etc / "boxes").write_text("".join(f"u{n}: u{n}\n" for n in range(1000)))
        (etc / "aliases").write_text("".join(f"alias{n}: u{n % 1000}@bench.test\n" for n in range(10000)))

    def daemon(self):
        return [*self.exim, "-bdf"]

    def run(self, *args, before=()):
        """A command-line mode, perhaps under another program; its standard output."""
        user, program = self.exim[:-self.own_words], self.exim[-self.own_words:]
        with self.popen(*user, *before, *program, *args, stdout=subprocess.PIPE, text=True) as p:
            out = p.communicate()[0]
        if p.returncode != 0:
            raise AssertionError(f"{self.title} {args}: status {p.returncode}: {out}")
        return out

    def spool_as_user(self, *command):
        """A program that works on the spool; {} in its arguments is the spool's folder."""
        user = self.exim[:-self.own_words]
        with self.popen(*user, *(str(c).replace("{}", f"{self.seen_var}/spool/bench") for c in command)) as p:
            if p.wait() != 0:
                raise AssertionError(f"{command} failed")


class Ours(AnyExim):
    name, title, box = "ours", "this server", "$local_part"
    own_words = 3  # at the end of .exim

    def prepare(self):
        self.var, self.mail = self.dir, self.dir / "mail"
        for place in (self.mail, self.dir / "log", self.dir / "spool/bench"):
            place.mkdir(parents=True)
        self.user = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.write_config(self.dir / "etc", self.user.pw_uid, self.user.pw_gid, self.dir, self.mail)
        if os.geteuid() == 0:
            for path in [self.dir, *self.dir.rglob("*")]:
                os.chown(path, self.user.pw_uid, self.user.pw_gid)
        self.exim = [binary(), "-C", self.dir / "etc/exim4.conf"]

    def identity(self):
        if os.geteuid() != 0:
            return {}
        return {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}

    def version(self):
        return self.run("-bV").split("\n")[0]


class Packaged(Server):
    """A server of Debian's, in its namespaces."""

    packages, binary, unpacked = [], "", ""
    end_signal = signal.SIGKILL

    def prepare(self):
        if os.geteuid() != 0:
            raise CannotRun("needs root, for users and a mount namespace of its own")
        if not self.unpacked:
            type(self).unpacked = debian.unpack(self.name, self.packages, self.binary)
        self.etc, self.var = self.dir / "etc", self.dir / "var"
        for place in (self.etc, *(self.var / x for x in ("mail", "log", "spool/bench", "lib", "run", "tmp"))):
            place.mkdir(parents=True)
        self.mail = self.var / "mail"
        os.chown(self.mail, USERS["vmail"], USERS["vmail"])
        self.add_users("passwd", [f"{n}:x:{i}:{i}::/var/empty:/bin/false\n" for n, i in USERS.items()])
        self.add_users("group", [f"{n}:x:{i}:\n" for n, i in GROUPS.items()])
        (self.etc / "mailname").write_text("mx.bench.test\n")
        (self.etc / "hosts").write_text("127.0.0.1 localhost\n127.0.1.1 mx.bench.test\n")
        (self.etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        (self.etc / "resolv.conf").write_text(f"nameserver {DNS}\n")
        self.configure()
        self.program = ["unshare", "--mount", "--pid", "--fork", "--mount-proc",
                        "sh", "-c", MOUNTS, "sh", self.unpacked, self.dir]

    def add_users(self, name, lines):
        names = {line.split(":")[0] for line in lines}
        with open(f"/etc/{name}") as f:
            kept = [line for line in f if line.split(":")[0] not in names]
        (self.etc / name).write_text("".join([*kept, *lines]))

    def first(self):
        """The namespace's first process: all others end with it. (--kill-child is undone by a change of user.)"""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid

    def inside(self, *command, **more):
        """A program of the running server's package, beside it."""
        p = subprocess.run(["nsenter", "-t", str(self.first()), "-m", "-p", *command], capture_output=True, text=True,
                           env=self.environment(), **more)
        if p.returncode != 0:
            raise AssertionError(f"{self.title}: {' '.join(command)}: {p.stderr.strip()}")
        return p.stdout

    def version(self):
        deb = next((debian.FOLDER / "download").glob(f"{self.packages[0]}_*.deb"))
        return f"{self.packages[0]} {deb.name.split('_')[1]}"


class DebianExim(AnyExim, Packaged):
    name, title = "exim", "Exim"
    box = "$local_part_data"  # a later Exim takes no file name from what a client said
    own_words = 1
    packages, binary = ["exim4-daemon-heavy", "exim4-base", "exim4-config", "libnss-wrapper"], "usr/sbin/exim4"

    def configure(self):
        self.write_config(self.etc / "exim4", "Debian-exim", "Debian-exim", "/var", "/var/mail", "/etc/exim4")
        for place in (self.mail, self.var / "log", self.var / "spool/bench"):
            os.chown(place, USERS["Debian-exim"], GROUPS["Debian-exim"])
        self.exim = ["setpriv", "--reuid=Debian-exim", "--regid=Debian-exim", "--clear-groups",
                     "/usr/sbin/exim4"]


POSTFIX_MAIN = """
compatibility_level = 3.6
myhostname = mx.bench.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
daemon_directory = /usr/lib/postfix/sbin
maillog_file = /var/log/mail.log
message_size_limit = 60000000
virtual_mailbox_limit = 60000000
virtual_mailbox_domains = bench.test
virtual_mailbox_base = /var/mail
virtual_mailbox_maps = texthash:/etc/postfix/boxes
virtual_uid_maps = static:61001
virtual_gid_maps = static:61001
relayhost = [127.0.0.1]:{sink}
{settings}
"""


class Postfix(Packaged):
    name, title = "postfix", "Postfix"
    packages, binary = ["postfix"], "usr/lib/postfix/sbin/smtpd"

    def configure(self):
        etc = self.etc / "postfix"
        etc.mkdir()
        settings = f"smtpd_tls_chain_files = {self.tls}\nsmtpd_tls_security_level = may\n" if self.tls else ""
        if self.idle:
            settings += "default_process_limit = 2500\nsmtpd_client_connection_count_limit = 0\n"
        (etc / "main.cf").write_text(POSTFIX_MAIN.replace("{sink}", str(self.sink)).replace("{settings}", settings))
        dist = (self.unpacked / "usr/share/postfix/master.cf.dist").read_text().splitlines()
        lines = [line.split() for line in dist if line and not line.startswith(("#", " "))]
        keep = [[*x[:4], "n", *x[5:]] for x in lines if x[1].startswith("unix") and x[7] != "pipe"]
        keep += [[f"127.0.0.1:{p}", "inet", *"n-n--", "smtpd", *more] for p, more in (
            (self.port, []), (self.proxy_port, ["-o", "smtpd_upstream_proxy_protocol=haproxy"]))]
        (etc / "master.cf").write_text("".join(" ".join(x) + "\n" for x in keep))
        shutil.copy(self.unpacked / "usr/share/postfix/dynamicmaps.cf", etc)
        (etc / "boxes").write_text("".join(f"u{n}@bench.test u{n}/\n" for n in range(1000)))
        spool, lib = self.var / "spool/postfix", self.var / "lib/postfix"
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
                     "saved", "trace", "maildrop", "public", "pid"):
            (spool / name).mkdir(parents=True)
            if name != "pid":
                os.chown(spool / name, USERS["postfix"], GROUPS["postdrop"] if name in ("maildrop", "public") else 0)
            (spool / name).chmod({"maildrop": 0o730, "public": 0o710, "pid": 0o755}.get(name, 0o700))
        lib.mkdir()
        os.chown(lib, USERS["postfix"], GROUPS["postfix"])

    def daemon(self):
        return ["/usr/lib/postfix/sbin/master", "-d"]

    def change(self, line):
        """One more line of main.cf, which counts more than those before."""
        with open(self.etc / "postfix/main.cf", "a") as f:
            f.write(line + "\n")
        self.stop()  # postfix reload ends a master that stays in the foreground
        self.start()


SMTPD_CONF = """
{settings}
listen on 127.0.0.1 port {port} {tls}
listen on 127.0.0.1 port {proxy_port} proxy-v2
table everybody { "@" = vmail }
action "deliver" maildir "/var/mail/%{dest.user}" virtual <everybody>
action "relay" relay host "smtp+notls://127.0.0.1:{sink}"
match from any for domain bench.test action "deliver"
match from any for domain remote.test action "relay"
smtp max-message-size "60M"
"""


class OpenSmtpd(Packaged):
    name, title = "opensmtpd", "OpenSMTPD"
    packages, binary = ["opensmtpd"], "usr/sbin/smtpd"

    def configure(self):
        text, settings = SMTPD_CONF, ""
        if self.tls:
            own = self.etc / "tls.pem"  # which nobody else may read
            shutil.copyfile(self.tls, own)
            own.chmod(0o600)
            settings = 'pki bench.test cert "/etc/tls.pem"\npki bench.test key "/etc/tls.pem"\n'
        for word, value in {"settings": settings, "tls": "tls pki bench.test" if self.tls else "", "port": self.port,
                            "proxy_port": self.proxy_port, "sink": self.sink}.items():
            text = text.replace("{" + word + "}", str(value))
        (self.etc / "smtpd.conf").write_text(text)
        (self.etc / "smtpd.conf").chmod(0o600)
        (self.var / "lib/opensmtpd/empty").mkdir(parents=True)
        (self.var / "empty").mkdir()
        spool = self.var / "spool/smtpd"
        for name in ("", "offline", "purge", "queue", "corrupt", "incoming", "temporary"):
            (spool / name).mkdir()
            (spool / name).chmod(0o711 if not name else 0o770 if name == "offline" else 0o700)
            if name not in ("", "offline"):
                os.chown(spool / name, USERS["opensmtpq"], 0)
        os.chown(spool / "offline", 0, GROUPS["opensmtpq"])

    def daemon(self):
        return ["/usr/sbin/smtpd", "-d"]


class Bare(Server):
    """What the work costs without a mail server around it: a program beside this file."""

    source = ""

    def prepare(self):
        self.command = build(self.dir, self.source)

    def greets(self):
        """the greeting"""
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0


class BareTls(Bare):
    name, title, source = "openssl", "bare OpenSSL", "baretls"

    def daemon(self):
        return [self.command, self.port, self.tls]


class BareSmtp(Bare):
    name, title, source = "bare", "bare program", "baresmtp"

    def mailbox(self, user="u0"):
        return self.dir / "new"

    def daemon(self):
        self.mailbox().mkdir(exist_ok=True)
        return [self.command, self.port, self.dir]


class BareRelay(BareSmtp):
    def daemon(self):
        return [*super().daemon(), self.sink]


ALL = (Ours, Postfix, OpenSmtpd, DebianExim)
