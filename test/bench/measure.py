"""What a server costs: CPU time of all its processes, living and dead, and their memory."""

import os
import time
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
ACCOUNTS = (("/sys/fs/cgroup", "cpu.stat"), ("/sys/fs/cgroup/cpuacct", "cpuacct.usage"))


def tree(top):
    """The pids of a process and all its descendants."""
    found, todo = [], [top]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                todo += map(int, children.read_text().split())
        except OSError:  # it ended meanwhile
            pass
    return found


def _tree_seconds(top):
    """Times of the living and of the children they waited for: what nobody waited for is lost."""
    total = 0
    for pid in tree(top):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICK


class Account:
    """A control group that counts CPU time, where one can be made; else the times in /proc are added up."""

    def __init__(self, name):
        self.folder = self.top = None
        for place, counter in ACCOUNTS:
            folder = Path(place) / f"exim-bench-{os.getpid()}-{name}"
            try:
                folder.mkdir()
            except OSError:
                continue
            if (folder / counter).exists():
                self.folder, self.counter = folder, folder / counter
                self.door = os.open(folder / "cgroup.procs", os.O_WRONLY)
                return
            folder.rmdir()

    def enter(self):
        """Called in the new process, before its exec but after it changed its user."""
        if self.folder:
            os.write(self.door, b"0")

    def seconds(self):
        if not self.folder:
            return _tree_seconds(self.top)
        text = self.counter.read_text()
        return int(text.split()[1]) / 1e6 if self.counter.name == "cpu.stat" else int(text) / 1e9

    def close(self):
        if self.folder:
            os.close(self.door)
        for _ in range(50 if self.folder else 0):  # until the last of its processes is gone
            try:
                self.folder.rmdir()
                return
            except OSError:
                time.sleep(0.05)


def _field(path, name):
    try:
        for line in path.read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def pss(top):
    """Memory of a process and its descendants in KiB, each shared page divided among those who share it."""
    return sum(_field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") for pid in tree(top))


def settle(account, quiet=0.2, seconds=5):
    """Waits until the server does nothing any more; its CPU time then."""
    end, last = time.monotonic() + seconds, account.seconds()
    while time.monotonic() < end:
        time.sleep(quiet)
        now = account.seconds()
        if now - last < 0.05 * quiet:
            return now
        last = now
    return last
