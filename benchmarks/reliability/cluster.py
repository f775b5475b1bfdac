"""Run a collection on a Dask cluster of hosts that fail, and compare with one machine.

    python benchmarks/reliability/cluster.py --tracks 20000 --seed 1 [--json FILE]

Scheduler, four workers and client lie in network namespaces of their own, connected by a bridge, so
that each has its own address and one can be cut off (Linux, as root). First the collection is run
on one machine and on the undisturbed cluster, in turns, for their speed. Then it is run while a
worker is killed by SIGKILL every few seconds and started again, one is cut off for 30 s, the
scheduler is killed once and the client twice; the same command goes on. Afterwards the store must
hold everything that was committed at any of these faults, be intact, have nothing left to do, and
have the digest of the single machine. Exit code 1 if it breaks a rule.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kills import committed, digest, report, write_collection

from featx import plan
from featx.store import verify

BRIDGE = "featx-bridge"
NETWORK = "10.77.0"
PORT = 8786
#: A run is over, with or without failed files; it lost its scheduler, or was killed.
ENDED, INTERRUPTED = (0, 3), (130, -signal.SIGKILL)
#: Seconds for which one worker is cut off.
CUT_OFF = 30.0
#: Shares of the undisturbed time at which client, scheduler and client are killed.
CLIENT, SCHEDULER, CLIENT_AGAIN = 0.3, 0.6, 0.9


def sudo_ip(*words: str) -> None:
    """Run ``ip``."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Host:
    """A network namespace with an address, and the processes that were started in it."""

    def __init__(self, number: int) -> None:
        self.name, self.address = f"featx{number}", f"{NETWORK}.{number}"
        self.device = f"fxv{number}"
        sudo_ip("netns", "add", self.name)
        sudo_ip(
            "link", "add", self.device, "type", "veth", "peer", "name", "eth0", "netns", self.name
        )
        sudo_ip("link", "set", self.device, "master", BRIDGE, "up")
        for words in (
            ("addr", "add", f"{self.address}/24", "dev", "eth0"),
            ("link", "set", "eth0", "up"),
            ("link", "set", "lo", "up"),
        ):
            sudo_ip("-n", self.name, *words)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str], log: Path) -> None:
        """Start a command in this namespace, in a session of its own."""
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill what was started, with its children."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def cut(self, *, off: bool) -> None:
        """Take the cable out, or put it back."""
        sudo_ip("link", "set", self.device, "down" if off else "up")


@contextlib.contextmanager
def network(count: int) -> Iterator[list[Host]]:
    """Give hosts that reach each other."""
    hosts: list[Host] = []
    sudo_ip("link", "add", BRIDGE, "type", "bridge")
    try:
        sudo_ip("link", "set", BRIDGE, "up")
        hosts += [Host(number) for number in range(2, 2 + count)]
        yield hosts
    finally:
        for host in hosts:
            host.kill()
            sudo_ip("netns", "del", host.name)
        sudo_ip("link", "del", BRIDGE)


class Campaign:
    """One collection, on one machine and on a cluster."""

    def __init__(self, base: Path, options: argparse.Namespace, hosts: list[Host]) -> None:
        self.base, self.options = base, options
        self.rng = random.Random(options.seed)
        self.scheduler, self.client, *self.workers = hosts
        self.url = f"tcp://{self.scheduler.address}:{PORT}"
        self.music = write_collection(
            base / "music", count=options.tracks, seconds=options.seconds, seed=options.seed
        )
        self.held: dict[tuple[str, str, str], str] = {}
        self.figures: dict[str, Any] = {
            "tracks": options.tracks,
            "workers": len(self.workers),
            "workers_killed": 0,
            "cut_off_seconds": 0.0,
            "schedulers_killed": 0,
            "clients_killed": 0,
            "clients_ended_without_scheduler": 0,
        }

    def command(self, store: str, *more: str) -> list[str]:
        """Return the command line of a run."""
        featx = [sys.executable, "-m", "featx.cli", "run", "-p", self.options.plugin]
        return [*featx, *more, "-o", str(self.base / store), str(self.music)]

    def start_scheduler(self) -> None:
        address = ["--host", self.scheduler.address, "--port", str(PORT)]
        self.scheduler.start(
            [sys.executable, "-m", "dask", "scheduler", *address, "--no-dashboard"],
            self.base / "scheduler.log",
        )

    def start_worker(self, host: Host) -> None:
        settings = ["--nthreads", "1", "--no-nanny", "--no-dashboard"]
        place = ["--host", host.address, "--local-directory", str(self.base / host.name)]
        host.start(
            [sys.executable, "-m", "dask", "worker", self.url, *settings, *place],
            self.base / f"{host.name}.log",
        )

    def start_client(self, store: str) -> None:
        command = self.command(store, "--scheduler", self.url)
        self.client.start(command, self.base / "client.log")

    def alone(self, store: str, *more: str) -> float:
        """Run on one machine with as many workers; return the seconds it took."""
        began = time.monotonic()
        command = self.command(store, "-j", str(len(self.workers)), *more)
        code = subprocess.run(command, capture_output=True, check=False).returncode
        if code not in ENDED:
            raise SystemExit(f"the run on one machine ended with exit code {code}")
        return time.monotonic() - began

    def undisturbed(self, store: str) -> float:
        """Run on the cluster without faults; return the seconds it took."""
        began = time.monotonic()
        self.start_client(store)
        assert self.client.process is not None
        if self.client.process.wait() not in ENDED:
            raise SystemExit(f"the undisturbed run failed: {self.last_words()}")
        return time.monotonic() - began

    def last_words(self) -> str:
        return (self.base / "client.log").read_text(errors="replace")[-2000:]

    def hold(self) -> None:
        """Remember what is committed now."""
        self.held |= committed(self.base / "faults")

    def faults(self, usual: float) -> float:
        """Run while hosts fail; return the seconds it took."""
        began = time.monotonic()
        self.start_client("faults")
        # a run with faults takes longer than one without, so that all of them come in time
        events = [(CLIENT, "client"), (SCHEDULER, "scheduler"), (CLIENT_AGAIN, "client")]
        cut_at, next_kill = began + 0.1 * usual, began + 2.0
        cut: Host | None = None
        back_at = float("inf")
        while True:
            time.sleep(0.05)
            now = time.monotonic()
            assert self.client.process is not None
            code = self.client.process.poll()
            if code is not None:
                if code in ENDED and not events and cut is None and cut_at == float("inf"):
                    return now - began
                if code not in (*ENDED, *INTERRUPTED):
                    raise SystemExit(f"the client ended with {code}: {self.last_words()}")
                if code == INTERRUPTED[0]:
                    self.figures["clients_ended_without_scheduler"] += 1
                self.start_client("faults")
            if now >= cut_at:
                cut, cut_at, back_at = self.rng.choice(self.workers), float("inf"), now + CUT_OFF
                cut.cut(off=True)
            if now >= back_at and cut is not None:
                self.figures["cut_off_seconds"] += CUT_OFF
                cut.cut(off=False)
                cut, back_at = None, float("inf")
            if events and now - began >= events[0][0] * usual:
                _, kind = events.pop(0)
                self.figures[f"{kind}s_killed"] += 1
                (self.scheduler if kind == "scheduler" else self.client).kill()
                self.hold()
                if kind == "scheduler":
                    self.start_scheduler()
            for host in self.workers:
                if host.process is not None and host.process.poll() is not None:
                    self.start_worker(host)  # those that lost their scheduler end by themselves
            if now >= next_kill:
                victim = self.rng.choice([host for host in self.workers if host is not cut])
                victim.kill()
                self.figures["workers_killed"] += 1
                next_kill = time.monotonic() + self.rng.uniform(2.0, self.options.pause)

    def result(self) -> dict[str, Any]:
        """Run everything and return the figures."""
        self.start_scheduler()
        for host in self.workers:
            self.start_worker(host)
        self.alone("warm-up", "--part", f"1/{self.options.tracks}")  # compiles kernels
        seconds: dict[str, list[float]] = {"alone": [], "cluster": []}
        for number in range(self.options.rounds):
            seconds["alone"].append(self.alone(f"alone-{number}"))
            seconds["cluster"].append(self.undisturbed(f"cluster-{number}"))
        expected = digest(self.base / "alone-0")
        usual = min(seconds["cluster"])
        self.figures["seconds"] = {name: [round(x, 1) for x in y] for name, y in seconds.items()}
        self.figures["speed"] = round(min(seconds["alone"]) / usual, 3)
        self.figures["cluster_digest_equal"] = digest(self.base / "cluster-0") == expected
        self.figures["seconds_with_faults"] = round(self.faults(usual), 1)
        store = self.base / "faults"
        final = committed(store)
        verified = verify(store, clean=True)
        self.figures |= {
            "held": len(self.held),
            "lost": sum(final.get(key) != value for key, value in self.held.items()),
            "to_do": plan(self.music, store, extractors=self.options.plugin).counts().to_do,
            "digest_equal": digest(store) == expected,
            "intact": verified.intact,
            "shards": verified.shards,
        }
        self.figures["good"] = (
            self.figures["cluster_digest_equal"]
            and self.figures["digest_equal"]
            and verified.intact
            and not self.figures["lost"]
            and not self.figures["to_do"]
        )
        return self.figures


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tracks", type=int, default=20000)
    parser.add_argument("--seconds", type=float, default=0.1, help="length of each track")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--pause", type=float, default=6.0, help="most seconds between two kills")
    parser.add_argument("--rounds", type=int, default=2, help="undisturbed runs of either kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plugin", default="mfcc")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("network namespaces need root. Run it as root, for example by sudo.")
    with (
        tempfile.TemporaryDirectory(prefix="featx-cluster-") as folder,
        network(2 + options.workers) as hosts,
    ):
        os.environ["FEATX_CACHE"] = str(Path(folder) / "cache")
        figures = Campaign(Path(folder), options, hosts).result()
    return report(figures, options.json)


if __name__ == "__main__":
    sys.exit(main())
