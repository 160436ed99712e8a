"""Shows the figures, and writes them to doc/dev/benchmarks.md."""

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
