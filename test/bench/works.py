"""What the servers are made to do. Each work is a function of a running server that returns what it measured."""

import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import Callable

from exim import wait_until
from measure import pss, settle
from servers import HERE, BareRelay, BareSmtp, BareTls


@dataclass
class Work:
    name: str
    title: str
    run: Callable  # (bench, server, **arguments) -> {measure: number}
    goal: str = ""
    arguments: dict = field(default_factory=dict)
    server: dict = field(default_factory=dict)  # how it is set up
    only: tuple = ()  # names of the servers compared, if not all
    also: tuple = ()  # further servers, for this work only
    reached: Callable = None  # {server: {measure: median}} -> bool


def _load(bench, server, *options, port=None):
    p = subprocess.run([bench.load, "-p", str(port or server.port), *map(str, options)], capture_output=True, text=True)
    seconds, done, errors = p.stdout.split()[-3:]
    if int(errors):
        raise AssertionError(f"{server.title}: {errors} errors of the load generator")
    return float(seconds), int(done)


def _measured(server, count, action, finished, step=0.01):
    """Rate and CPU time of `count` things: until finished(), and the CPU time until all is quiet."""
    cpu, start = settle(server.account), time.monotonic()
    action()
    wait_until(finished, 120, step)
    seconds = time.monotonic() - start
    used = settle(server.account) - cpu
    return {"rate": count / seconds, "cpu": used / count * 1000}


def _arrived(folder):
    try:
        return len(os.listdir(folder))
    except FileNotFoundError:
        return 0


class Arrivals:
    """In each of many folders there will be so many files more. A folder that has them is not looked at again, and they
    are looked at in the order of delivery: looking takes time that the server could use."""

    def __init__(self, folders, more):
        self.waiting = [(f, _arrived(f) + more) for f in map(str, reversed(folders))]

    def complete(self):
        """the last message's arrival"""
        while self.waiting and _arrived(self.waiting[-1][0]) >= self.waiting[-1][1]:
            self.waiting.pop()
        return not self.waiting


def _enough(bench, server, connections):
    """Messages for some seconds."""
    return bench.scale({"exim": 150, "opensmtpd": 300}.get(server.name, 3000 if connections > 1 else 1000))


def local(bench, server, connections, each, size=4096, count=0):
    count = count or _enough(bench, server, connections)
    box = Arrivals([server.mailbox()], count)
    return _measured(
        server, count,
        lambda: _load(bench, server, "-c", connections, "-m", each, "-n", count, "-s", size, "-d", "bench.test"),
        box.complete)


def relay(bench, server, connections, each, size=4096, count=0):
    count = count or _enough(bench, server, connections)
    target = bench.taken() + count
    return _measured(
        server, count,
        lambda: _load(bench, server, "-c", connections, "-m", each, "-n", count, "-s", size, "-d", "remote.test"),
        lambda: bench.taken() >= target, 0.002)


def connect(bench, server, proxy):
    count = bench.scale(1000 if server.name == "exim" else 4000)
    cpu = settle(server.account)
    seconds, _ = _load(bench, server, "-C", *(["-P"] if proxy else []), "-c", 10, "-n", count,
                       port=server.proxy_port if proxy else None)
    return {"rate": count / seconds, "cpu": (settle(server.account) - cpu) / count * 1000}


def tls(bench, server):
    count = bench.scale(1500 if server.name != "exim" else 500)
    cpu = settle(server.account)
    seconds, _ = _load(bench, server, "-T", "-c", 10, "-n", count)
    return {"rate": count / seconds, "cpu": (settle(server.account) - cpu) / count * 1000}


def idle(bench, server):
    count = bench.scale(2000)
    settle(server.account)
    before = pss(server.process.pid)
    with subprocess.Popen([bench.load, "-p", str(server.port), "-c", str(count), "-H", "600"], text=True,
                          stdout=subprocess.PIPE) as load:
        load.stdout.readline()
        settle(server.account)
        after = pss(server.process.pid)
        load.terminate()
    server.stop()  # what it keeps of this run is part of no next one
    server.start()
    return {"memory": (after - before) / count}


class Peak(threading.Thread):
    """The most memory that a server takes, looked at again and again."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.top, self.going = pid, 0, True

    def run(self):
        while self.going:
            self.top = max(self.top, pss(self.pid))
            time.sleep(0.05)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.going = False
        self.join()


def big(bench, server, work):
    size, connections, count = 25_000_000, 4, 8
    before = pss(server.process.pid)
    with Peak(server.process.pid) as peak:
        got = work(bench, server, connections, 2, size, count)
    return {"mb": got["rate"] * size / 1e6, "memory": (peak.top - before) / connections}


def many(bench, server, domain):
    """One message to a thousand recipients, some times."""
    local = domain == "bench.test"
    recipients, count = 1000, 1 if bench.quick else 3 if local else 10
    boxes = Arrivals([server.mailbox(f"u{n}") for n in range(recipients)] if local else [], count)
    target = bench.taken_recipients() + recipients * count
    finished = boxes.complete if local else lambda: bench.taken_recipients() >= target
    return _measured(server, recipients * count,
                     lambda: _load(bench, server, "-c", 1, "-n", count, "-m", count, "-r", recipients, "-d", domain),
                     finished, 0.01 if local else 0.002)


def queue_list(bench, server):
    """A queue of messages whose relay does not answer: -bpc, -bp, start, a run that finds nothing due."""
    if not server.has_queue:
        _load(bench, server, "-n", 1, "-d", "remote.test")
    server.stop()
    if not server.has_queue:
        server.run("-q")
        server.spool_as_user(HERE / "multiply", "{}/input", bench.scale(100000 if server.name == "ours" else 10000))
        server.has_queue = True
    found = {}
    for name, args in (("bpc", ["-bpc"]), ("bp", ["-bp"]), ("run", ["-q"])):
        start = time.monotonic()
        server.run(*args)
        found[name] = (time.monotonic() - start) * 1000
    start = time.monotonic()
    server.start()
    found["start"] = (time.monotonic() - start) * 1000
    settle(server.account, seconds=30)
    return found


def _postfix_queue(bench, server, count):
    """Messages for the relay at rest in the queue; what lets them go."""
    server.change("defer_transports = smtp, relay")
    _load(bench, server, "-c", 10, "-n", count, "-m", 100, "-d", "remote.test")
    settle(server.account)
    server.change("defer_transports =")
    return lambda: server.inside("postqueue", "-f")


def _exim_queue(bench, server, count):
    """The same for both Exims: the server stopped, one message multiplied."""
    _load(bench, server, "-n", 1, "-d", "remote.test")
    server.stop()
    server.spool_as_user(HERE / "multiply", "{}/input", count)
    return lambda: server.run("-q")


def queue_run(bench, server):
    count = bench.scale({"ours": 10000, "exim": 1000}.get(server.name, 3000))
    run = (_postfix_queue if server.name == "postfix" else _exim_queue)(bench, server, count)
    target, start = bench.taken() + count, time.monotonic()
    run()
    wait_until(lambda: bench.taken() >= target, 300, 0.01)
    seconds = time.monotonic() - start
    if not server.process:  # for the next run
        server.start()
    return {"rate": count / seconds}


def start(bench, server, args):
    out = server.run(*args, before=[bench.repeat, 20 if bench.quick else 200])
    wall, cpu = map(float, out.split())
    return {"ms": wall, "cpu": cpu}


def times(factor, rival, measure="rate"):
    """At least `factor` times the rate of `rival`."""
    return lambda r: rival not in r or r["ours"][measure] >= factor * r[rival][measure]


def at_most(**limits):
    return lambda r: all(r["ours"][m] <= limit for m, limit in limits.items())


def fast(r):
    return times(3, "postfix")(r) and times(15, "exim")(r)


def fast_and_lean(r):
    return fast(r) and r["ours"]["cpu"] <= 0.8


def connections(count, each):
    return f"{count} connection{'s' if count > 1 else ''}, {each} message{'s' if each > 1 else ''} each"


LOADS = ((1, 1), (1, 100), (10, 1), (10, 10), (50, 1), (50, 10))
NAMES = "host_lookup = *\n"  # the others always look it up, and ours behind PROXY


def messages(kind, title, bare, **more):
    """The works of one kind; with one connection the bare program does them, too."""
    return [Work(f"{kind.__name__}-{c}-{m}", f"4 KB {title}, {connections(c, m)}", kind,
                 arguments={"connections": c, "each": m}, also=(bare,) if c == 1 else (), **more) for c, m in LOADS]


ALL = [
    *messages(local, "to a Maildir", BareSmtp, goal="3 × Postfix, 15 × Exim, at most 0.8 ms CPU", reached=fast_and_lean),
    *messages(relay, "relayed", BareRelay, goal="3 × Postfix, 15 × Exim", reached=fast,
              only=("ours", "postfix", "exim")),  # OpenSMTPD rests: 14 a second
    Work("connect", "connections, banner to QUIT", connect, "more than OpenSMTPD", {"proxy": False},
         reached=times(1, "opensmtpd")),
    Work("connect-names", "the same, client's name looked up", connect, "more than OpenSMTPD", {"proxy": False},
         {"extra": NAMES}, reached=times(1, "opensmtpd")),
    Work("connect-proxy", "the same with a PROXY header, whose client takes a query of the DNS", connect, "more than OpenSMTPD",
         {"proxy": True}, {"extra": NAMES}, reached=times(1, "opensmtpd")),
    Work("tls", "STARTTLS, a full handshake", tls, "CPU within 15 % of bare OpenSSL", server={"tls": True},
         also=(BareTls,), reached=lambda r: r["ours"]["cpu"] <= 1.15 * r["openssl"]["cpu"]),
    Work("idle", "2,000 sessions after the banner", idle, "at most 60 KiB each", server={"idle": True},
         reached=at_most(memory=60)),
    *(Work(f"big-{what}", f"25 MB {how}, 4 connections", big, "1.5 × Postfix, memory below 1 MiB a session",
           {"work": work}, reached=lambda r: times(1.5, "postfix", "mb")(r) and at_most(memory=1024)(r))
      for what, how, work in (("local", "to a Maildir", local), ("relay", "relayed", relay))),
    Work("many-local", "one message to 1,000 mailboxes", many, "3 × Postfix", {"domain": "bench.test"},
         reached=times(3, "postfix")),
    Work("many-relay", "one message to 1,000 recipients at the relay", many, "1.5 × Exim", {"domain": "remote.test"},
         reached=times(1.5, "exim")),
    Work("queue-list", "queue of 100,000 (Exim 10,000), none due", queue_list,
         "-bpc 50 ms, -bp 1 s, run 1 s, start 5 s", server={"extra": "queue_only\n", "sink_is_down": True},
         only=("ours", "exim"), reached=at_most(bpc=50, bp=1000, run=1000, start=5000)),
    Work("queue-run", "queue run, 10,000 waiting for one relay", queue_run, "3,000/s",
         server={"extra": "queue_only\n"}, only=("ours", "postfix", "exim"), reached=lambda r: r["ours"]["rate"] >= 3000),
    Work("start-bV", "exim -bV", start, "below 2 ms", {"args": ["-bV"]}, only=("ours", "exim"), reached=at_most(ms=2)),
    Work("start-bt", "exim -bt, 10,000 aliases", start, "below 2 ms", {"args": ["-bt", "alias9000@alias.test"]},
         only=("ours", "exim"), reached=at_most(ms=2)),
]
