"""How long the command line takes to answer with many plugins, and a process to its first feature.

    python benchmarks/startup.py [--runs N] [--cold-runs N] [--json FILE]

Installs 50 dummy plugins (20 of them broken in 10 ways) as dist-info folders beside whatever is
installed, and prints the median of 20 runs of each command. Then new processes import featx,
compute one log-mel spectrogram, with compiled kernels in the cache and with an empty cache, and run
an extractor on one file. Time counts from the start of Python until the result is there; when the
process has ended, and what Python alone takes, stand beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fake_plugins import BROKEN, GOOD, install

N_GOOD = 30
WAYS = list(BROKEN)[:10]
COPIES = 2

#: what is measured: arguments, whether stdout is a terminal, limit on the median in seconds
CASES = {
    "featx --help": (["--help"], True, 0.150),
    "featx plugins, terminal": (["plugins"], True, 0.300),
    "featx plugins, pipe": (["plugins"], False, 0.300),
    "python -c pass": (None, False, None),
}

FEATURE = """
import numpy as np
from featx.frontend import compute
compute(np.zeros(22050, np.float32), "fe-artist", sr=22050)
"""
RUN = """
import tempfile, numpy as np, soundfile
from featx.cli import main
with tempfile.TemporaryDirectory() as folder:
    soundfile.write(folder + "/a.wav", np.zeros(66150, np.float32), 22050)
    words = ["run", "-p", "melspectrogram", folder + "/a.wav", "-o", folder + "/features"]
    main(words, standalone_mode=False)
"""
#: What a process says when it has its result.
_DONE = "done"
#: processes that compute: code, whether the cache of kernels is empty, limit in seconds
PROCESSES = {
    "python -c pass": ("pass", False, None),
    "import featx": ("import featx", False, 0.060),
    "first feature, warm cache": (FEATURE, False, 0.8),
    "first feature, empty cache": (FEATURE, True, 5.0),
    "featx run, one file of 3 s": (RUN, False, None),
}


def install_dummies(site: Path) -> None:
    for number in range(N_GOOD):
        install(site, f"good-{number}", GOOD)
    for copy in range(COPIES):
        for way in WAYS:
            install(site, f"{way}-{copy}", BROKEN[way][0])


def run(arguments: list[str] | None, terminal: bool, site: Path) -> tuple[float, float]:
    """Return wall time and processor time in seconds."""
    script = Path(sys.executable).with_name("featx")
    command = [sys.executable, "-c", "pass"] if arguments is None else [str(script), *arguments]
    # byte code is kept, as in an ordinary installation, but beside the dummies
    environment = {**os.environ, "PYTHONPATH": str(site), "PYTHONPYCACHEPREFIX": str(site / "pyc")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    master, slave = pty.openpty()
    drain = threading.Thread(target=_drain, args=(master,), daemon=True)
    drain.start()
    started, used = time.perf_counter(), _processor_time()
    subprocess.run(
        command,
        env=environment,
        stdout=slave if terminal else subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    wall, processor = time.perf_counter() - started, _processor_time() - used
    os.close(slave)
    drain.join()
    os.close(master)
    return wall, processor


def start(code: str, cache: Path) -> tuple[float, float, float]:
    """Return seconds until a new process has run ``code``, until it has ended, and of processor."""
    environment = {**os.environ, "FEATX_CACHE": str(cache)}
    for name in ("PYTHONDONTWRITEBYTECODE", "NUMBA_CACHE_DIR"):
        environment.pop(name, None)
    started, used = time.perf_counter(), _processor_time()
    told = f"{code}\nprint('{_DONE}', flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", told], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        done = any(line.strip() == _DONE for line in process.stdout)
        ready = time.perf_counter() - started
    if not done or process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return ready, time.perf_counter() - started, _processor_time() - used


def processes(runs: int, cold_runs: int) -> dict[str, dict[str, float | None]]:
    """Measure `PROCESSES`; return seconds by name."""
    table: dict[str, dict[str, float | None]] = {}
    alone = 0.0
    for name, (code, cold, limit) in PROCESSES.items():
        with tempfile.TemporaryDirectory(prefix="featx-cache-") as folder:
            caches = [Path(folder) / "0"] * runs
            if cold:
                caches = [Path(folder) / str(number) for number in range(cold_runs)]
            else:
                start(code, caches[0])  # compiles, and writes byte code
            times = [start(code, cache) for cache in caches]
            walls, ends, processor = zip(*times, strict=True)
        table[name] = {
            "median": statistics.median(walls),
            "fastest": min(walls),
            "ended": statistics.median(ends),
            "fastest_processor": min(processor),
            "beyond_python": statistics.median(walls) - alone,
            "limit": limit,
        }
        alone = alone or statistics.median(walls)
    return table


def _processor_time() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _drain(master: int) -> None:
    while True:
        try:
            if not os.read(master, 1 << 16):
                return
        except OSError:  # Linux answers EIO once the other side is closed
            return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--cold-runs", type=int, default=3, help="with an empty cache of kernels")
    parser.add_argument("--json", type=Path, help="write what processes take to this file")
    options = parser.parse_args()
    runs, too_slow = options.runs, False
    with tempfile.TemporaryDirectory(prefix="featx-startup-") as folder:
        site = Path(folder)
        install_dummies(site)
        for name, (arguments, terminal, limit) in CASES.items():
            run(arguments, terminal, site)  # writes byte code
            times = [run(arguments, terminal, site) for _ in range(runs)]
            walls, processor = zip(*times, strict=True)
            median = statistics.median(walls)
            allowed = "" if limit is None else f"  limit {1000 * limit:.0f} ms"
            print(
                f"{name:<26} median {1000 * median:6.1f} ms  "
                f"min {1000 * min(walls):6.1f}  max {1000 * max(walls):6.1f}  "
                f"processor {1000 * statistics.median(processor):6.1f} ms{allowed}"
            )
            too_slow |= limit is not None and median > limit
    table = processes(runs, options.cold_runs)
    for name, row in table.items():
        # importing counts without the interpreter, a first feature with it
        counted = row["beyond_python"] if name == "import featx" else row["median"]
        allowed = "" if row["limit"] is None else f"  limit {1000 * row['limit']:.0f} ms"
        print(
            f"{name:<26} median {1000 * row['median']:6.0f} ms  "
            f"min {1000 * row['fastest']:6.0f}  ended {1000 * row['ended']:6.0f}  "
            f"beyond python {1000 * row['beyond_python']:6.0f}  "
            f"least processor {1000 * row['fastest_processor']:6.0f} ms{allowed}"
        )
        too_slow |= row["limit"] is not None and counted > row["limit"]
    if options.json is not None:
        options.json.write_text(json.dumps(table, indent=1) + "\n")
    return int(too_slow)


if __name__ == "__main__":
    sys.exit(main())
