"""A sweep as a whole process: seconds, candidates a second, peak memory; and the time to start.

    python benchmarks/sweep_speed.py [--check]

With --check the exit status is 1 where a target is missed: a sweep of 10^7 candidates under 20 s
and 1 GB, `import roofline` and `roofline --help` under 0.5 s. Each start is also given as a
multiple of a bare interpreter's.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOFLINE = [str(Path(sys.executable).parent / "roofline")]


def seconds(command: list[str], repeats: int = 3) -> float:
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> int:
    bare = seconds([sys.executable, "-c", "pass"])
    imported = seconds([sys.executable, "-c", "import roofline"])
    helped = seconds([*ROOFLINE, "--help"])
    print(f"bare interpreter {bare:.3f} s")
    print(f"import roofline  {imported:.3f} s, {imported / bare:.1f} x")
    print(f"roofline --help  {helped:.3f} s, {helped / bare:.1f} x")
    asked = {
        "_ROOFLINE_COMPLETE": "complete_bash",
        "COMP_WORDS": "roofline sweep --device ph",
        "COMP_CWORD": "3",
    }
    completed = seconds(["env", *(f"{name}={word}" for name, word in asked.items()), *ROOFLINE])
    print(f"a completion     {completed:.3f} s, {completed / bare:.1f} x")

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        out = str(Path(folder) / "run")
        command = [
            *ROOFLINE,
            "sweep",
            "--device",
            "phone",
            "--method",
            "exact",
            "--json",
            "-o",
            out,
        ]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        took = time.perf_counter() - start
    # Linux counts in KiB; the sweep is by far the largest child of this process.
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    summary = json.loads(printed)["summary"]
    evaluated = summary["evaluated"]
    print(
        f"sweep: {evaluated:,} candidates in {took:.1f} s as a whole process "
        f"({summary['seconds']:.1f} s of search, {evaluated / summary['seconds'] / 1e6:.2f} M/s), "
        f"peak memory {memory / 1e6:.0f} MB, front of {summary['front_size']}"
    )
    missed = [
        what
        for what, wrong in (
            ("10^7 candidates", evaluated < 10_000_000),
            ("20 s", took * 1e7 / evaluated > 20),
            ("1 GB", memory > 1e9),
            ("import under 0.5 s", imported > 0.5),
            ("--help under 0.5 s", helped > 0.5),
        )
        if wrong
    ]
    print("missed: " + ", ".join(missed) if missed else "every target met")
    return int(bool(missed) and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
