"""What the servers are made to do. Each work is a function of a running server that returns what it measured."""

import os
import subprocess
import time
from dataclasses import dataclass, field
from typing import Callable

from exim import wait_until
from measure import settle


@dataclass
class Work:
    name: str
    title: str
    run: Callable  # (bench, server, **arguments) -> {measure: number}
    goal: str = ""
    arguments: dict = field(default_factory=dict)
    server: dict = field(default_factory=dict)  # how it is set up
    only: tuple = ()  # names of servers, if not all
    reached: Callable = None  # {server: {measure: median}} -> bool


def _load(bench, server, *options, port=None):
    p = subprocess.run([bench.load, "-p", str(port or server.port), *map(str, options)], capture_output=True, text=True)
    seconds, done, errors = p.stdout.split()[-3:]
    if int(errors):
        raise AssertionError(f"{server.title}: {errors} errors of the load generator")
    return float(seconds), int(done)


def _measured(server, count, action, finished):
    """Rate and CPU time of `count` things: until finished(), and the CPU time until all is quiet."""
    cpu, start = settle(server.account), time.monotonic()
    action()
    wait_until(finished, 120, 0.01)
    seconds = time.monotonic() - start
    used = settle(server.account) - cpu
    return {"rate": count / seconds, "cpu": used / count * 1000}


def _arrived(folders):
    return sum(len(os.listdir(f)) for f in folders if f.exists())


def local(bench, server, connections, each, size=4096):
    count = bench.scale(3000 if connections > 1 else 1000)
    count = min(count, bench.scale(600)) if server.name == "exim" else count
    box = [server.mailbox()]
    target = _arrived(box) + count
    return _measured(
        server, count,
        lambda: _load(bench, server, "-c", connections, "-m", each, "-n", count, "-s", size, "-d", "bench.test"),
        lambda: _arrived(box) >= target)


def relay(bench, server, connections, each, size=4096):
    count = bench.scale(3000 if connections > 1 else 1000)
    count = min(count, bench.scale(600)) if server.name == "exim" else count
    target = bench.taken() + count
    return _measured(
        server, count,
        lambda: _load(bench, server, "-c", connections, "-m", each, "-n", count, "-s", size, "-d", "remote.test"),
        lambda: bench.taken() >= target)


def connect(bench, server, proxy):
    count = bench.scale(1000 if server.name == "exim" else 4000)
    cpu = settle(server.account)
    seconds, _ = _load(bench, server, "-C", *(["-P"] if proxy else []), "-c", 10, "-n", count,
                       port=server.proxy_port if proxy else None)
    return {"rate": count / seconds, "cpu": (settle(server.account) - cpu) / count * 1000}


def times(factor, rival):
    """At least `factor` times the rate of `rival`."""
    return lambda r: rival not in r or r["ours"]["rate"] >= factor * r[rival]["rate"]


def fast_and_lean(r):
    return times(3, "postfix")(r) and times(15, "exim")(r) and r["ours"]["cpu"] <= 0.8


ALL = [
    *(Work(f"{what}-{c}-{m}", f"4 KB {how}, {c} connection{'s' if c > 1 else ''}, {m} message{'s' if m > 1 else ''} each",
           function, "3 × Postfix, 15 × Exim, at most 0.8 ms CPU", {"connections": c, "each": m}, reached=fast_and_lean)
      for what, how, function in (("local", "to a Maildir", local), ("relay", "relayed", relay))
      for c, m in ((1, 1), (1, 100), (10, 1), (10, 10), (50, 1), (50, 10))),
    Work("connect", "connections, banner to QUIT", connect, "more than OpenSMTPD", {"proxy": False},
         reached=times(1, "opensmtpd")),
    Work("connect-proxy", "the same with a PROXY header", connect, "more than OpenSMTPD", {"proxy": True},
         reached=times(1, "opensmtpd")),
]
