"""Shows the figures, and writes them to doc/dev/benchmarks.md."""

import os
import platform
import subprocess
from datetime import date

import debian

UNITS = {"rate": "/s", "cpu": "ms CPU", "mb": "MB/s", "memory": "KiB", "ms": "ms", "bpc": "ms -bpc", "bp": "ms -bp",
         "run": "ms -q", "start": "ms start"}


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(measures):
    return ", ".join(f"{number(v)} {UNITS[m]}" for m, v in measures.items())


def ratios(result):
    """How many times the rate of the others ours is."""
    ours = result.get("ours", {})
    main = next((m for m in ("rate", "mb") if m in ours), None)
    if not main:
        return ""
    return ", ".join(f"{ours[main] / r[main]:.1f} × {s}" for s, r in result.items() if s != "ours" and main in r)


def verdict(work, result):
    if not work.reached or "ours" not in result:
        return ""
    return "reached" if work.reached(result) else "not reached"


def show(work, result):
    print(f"{work.name}: {work.title}")
    for server, measures in result.items():
        print(f"  {server:10} {cell(measures)}")
    print(f"  {ratios(result)}  goal: {work.goal}: {verdict(work, result)}", flush=True)


def _machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) // (1024 * 1024)
    root = subprocess.run(["df", "--output=fstype", "/tmp"], capture_output=True, text=True).stdout.split()[-1]
    return f"{os.cpu_count()} × {model}, {memory} GB of memory, {root}, Linux {platform.release()}"


def _versions(kinds):
    """Of Debian's packages, as far as they have been fetched."""
    found = []
    for kind in kinds:
        for deb in sorted((debian.FOLDER / "download").glob(f"{(getattr(kind, 'packages', None) or ['-'])[0]}_*.deb")):
            found.append(f"{kind.title} {deb.name.split('_')[1]}")
    return ", ".join(found)


def _table(results, names):
    yield f"| work | {' | '.join(names)} | ours | goal | |"
    yield "|" + "---|" * (len(names) + 4)
    for work, result in results:
        cells = [cell(result.get(n, {})) for n in (*names, "ours")]
        yield f"| `{work.name}`: {work.title} | {' | '.join(cells)} | {work.goal} | {verdict(work, result)} |"


def write(results, missing, kinds, runs, machine, quick):
    """doc/dev/benchmarks.md; machine: its load before the runs, and what a program that does nothing takes."""
    load = machine["load"]
    names = [k.name for k in kinds if k.name != "ours"]
    open_goals = [w for w, r in results if verdict(w, r) == "not reached"]
    lines = [
        "# Benchmarks", "",
        "Made by `make bench BENCH=--write`; how it measures is in `doc/dev/testing.md` and `test/bench`. All servers do "
        "the same work with their default syncing (OpenSMTPD never syncs its queue), in turns. CPU is the time of all "
        "processes of a server, for one message, recipient, connection or handshake.", "",
        f"- Machine: {_machine()}; load {load:.1f} when it began" + (": too busy for rates to mean much." if load > 0.5 else ".")
        + f" A program that does nothing (`/bin/true`) takes {machine['nothing']:.1f} ms.",
        f"- Others: {_versions(kinds)}", f"- {date.today()}, {'median of ' + str(runs) if runs > 1 else 'one run'}"
        + (", a tenth of the messages, sessions and queues that are named." if quick else "."), "",
        *_table(results, names), "", "## Ratios of rates", "",
        *(f"- `{w.name}`: {ratios(r)}" for w, r in results if ratios(r)), "",
        "## Not reached", "", *(f"- `{w.name}` ({w.goal})" for w in open_goals),
        *(f"- not measured: {what}: {why}" for what, why in missing.items()), "",
    ]
    (debian.FOLDER.parent / "doc/dev/benchmarks.md").write_text("\n".join(lines))
