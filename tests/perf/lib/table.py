"""The table of results."""
import statistics


def higher_is_better(name):
    return name.endswith(("_rps", "_mbps"))


def fmt(x):
    return f"{x:.0f}" if abs(x) >= 1000 else f"{x:.4g}"


def cell(s):
    return f"{fmt(statistics.median(s))} ({fmt(min(s))}-{fmt(max(s))}) n={len(s)}"


def ratio(a, b):
    """The median of the ratios of pairs that ran one after the other; of the medians, where one had fewer rounds."""
    if len(a) == len(b) and all(b):
        return statistics.median(x / y for x, y in zip(a, b))
    return statistics.median(a) / statistics.median(b) if statistics.median(b) else float("nan")


def show(runs):
    """Prints medians (smallest-largest) of each run; a + marks a ratio that is the first one's good."""
    names = list(dict.fromkeys(k for r in runs for k in r["metrics"]))
    rows = [["metric"] + [r["label"] + " " + str(r["version"]) for r in runs]]
    if len(runs) == 2:
        rows[0].append(f"{runs[0]['label']}/{runs[1]['label']}")
    for k in names:
        row = [k] + [cell(r["metrics"][k]) if k in r["metrics"] else "-" for r in runs]
        if len(runs) == 2:
            both = [r["metrics"].get(k) for r in runs]
            if all(both):
                x = ratio(*both)
                good = x > 1 if higher_is_better(k) else x < 1
                row.append(f"{x:.2f}{' +' if good else ''}")
            else:
                row.append("-")
        rows.append(row)
    w = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(c.ljust(n) for c, n in zip(r, w)).rstrip())
    for r in runs:
        for c, x in r["errors"].items():
            print(f"{r['label']}: {c} failed: {x}")
