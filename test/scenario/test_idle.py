"""What a client that says nothing costs: pages that its session alone has, all else is shared with the acceptor."""

from pathlib import Path
from statistics import median

from exim import wait_until
from smtp import Smtp
from test_roles import family

CLIENTS, LIMIT_KIB = 40, 60


def private_kib(pid):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Dirty:", "Private_Clean:")))


def sessions(e):
    return [pid for pid, (title, _, _) in family(e.process.pid).items() if "handling connection" in title]


def test_an_idle_session_takes_little(site):
    e = site("acl_smtp_rcpt = accept\nsmtp_accept_max = 0\nsmtp_accept_max_per_host = 0\n")
    e.start()
    clients = [Smtp(e.port) for _ in range(CLIENTS)]
    wait_until(lambda: len(sessions(e)) == CLIENTS, 10)
    taken = [private_kib(pid) for pid in sessions(e)]
    assert median(taken) <= LIMIT_KIB, sorted(taken)
    for c in clients:
        c.sock.close()
