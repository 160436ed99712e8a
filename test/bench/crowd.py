#!/usr/bin/python3
"""How long a normal client's transaction takes while others crowd the server: crowd.py [idle [slow [messages]]].
Prints medians and 99th percentiles, alone and beside the crowd (2,000 idle clients, 1,000 that send a byte every
few seconds)."""

import resource
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "torture")]

from smtp import Smtp  # noqa: E402
from test_limits import Crowd  # noqa: E402
from torture import Victim  # noqa: E402

MAIN = "smtp_accept_max = 0\nsmtp_connect_backlog = 4000\nsmtp_accept_queue_per_connection = 0\n"


def transaction(e):
    start = time.perf_counter()
    with Smtp(e.port, source=("127.0.0.1", 0)) as s:
        s.ok("EHLO x")
        s.message("a@here.test", ["one@here.test"])
        s.quit()
    return (time.perf_counter() - start) * 1000


def measure(e, messages, crowd=None):
    times, steps = [], 0
    for i in range(messages):
        if crowd and i % 20 == 0:
            crowd.step()
            steps += 1
        times.append(transaction(e))
        time.sleep(0.01)
    times.sort()
    return times[len(times) // 2], times[len(times) * 99 // 100]


def main():
    idle, slow, messages = (int(a) for a in (*sys.argv[1:], *("2000", "1000", "1000")[len(sys.argv) - 1:]))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20000), hard))
    e = Victim(main=MAIN, shimmed=False)
    try:
        e.start()
        measure(e, 50)
        alone = measure(e, messages)
        crowd = Crowd(e, idle, slow)
        beside = measure(e, messages, crowd)
        crowd.read()
        print(f"alone:            median {alone[0]:.1f} ms, 99th percentile {alone[1]:.1f} ms")
        print(f"beside the crowd: median {beside[0]:.1f} ms, 99th percentile {beside[1]:.1f} ms "
              f"({len(crowd.greeted)} of {idle + slow} held, {crowd.closed} closed)")
        crowd.leave()
    finally:
        e.close()


main()
