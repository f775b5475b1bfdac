"""Run over files in an S3 server on loopback that fails now and then, and compare with a local run.

    python benchmarks/reliability/remote.py 100000 [--faults 0.01] [--jobs 2] [--json FILE]

moto serves the objects. Of all requests, listings included, ``--faults`` get status 500, and as
many a reset connection. No file may be blamed, the digest must be that of a run over the same
files on disk, and a last run must fetch nothing. A run that leaves files undone is repeated, at
most `REPEATS` times. Exit code 1 if a rule is broken.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "benchmarks"), str(ROOT / "tests")]

from remote_servers import Answer, FaultyServer  # noqa: E402
from scale import watch, write_collection  # noqa: E402

from featx import open_store  # noqa: E402

REPEATS = 5
UNDONE = 130
SECRETS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
SECRETS["AWS_DEFAULT_REGION"] = "us-east-1"


def serve(folder: Path, faults: float) -> None:
    """Serve the files of ``folder`` as ``s3://music/all`` until stdin ends; print the URL."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.s3.models import s3_backends
    from werkzeug.test import Client

    os.environ.update(SECRETS)
    backend = s3_backends["123456789012"]["aws"]
    backend.create_bucket("music", "us-east-1")
    for path in sorted(folder.rglob("*.wav")):
        key = path.relative_to(folder).as_posix()
        backend.put_object("music", f"all/{key}", path.read_bytes())
    client = Client(DomainDispatcherApplication(create_backend_app))

    def answer(method: str, path: str, headers: Any, body: bytes) -> Answer:
        sent = {name: value for name, value in headers.items() if name != "Content-Length"}
        response = client.open(path, method=method, headers=sent, data=body, buffered=True)
        return response.status_code, dict(response.headers), response.get_data()

    with FaultyServer(answer=answer, errors=faults, resets=faults).running() as server:
        print(server.url, flush=True)
        for _ in sys.stdin:
            print(json.dumps({**server.requests, **server.faults}), flush=True)


class Server:
    """The server, in a process of its own."""

    def __init__(self, folder: Path, faults: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "0", "--faults", str(faults), "--serve", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()  # type: ignore[union-attr]

    def counts(self) -> dict[str, int]:
        """Return requests by method and faults by kind so far."""
        self.process.stdin.write("\n")  # type: ignore[union-attr]
        self.process.stdin.flush()  # type: ignore[union-attr]
        return dict(json.loads(self.process.stdout.readline()))  # type: ignore[union-attr]


def campaign(base: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Run everything; returns what happened."""
    music = write_collection(base / "music", options.files)
    command = [
        sys.executable,
        "-m",
        "featx.cli",
        "run",
        "-p",
        options.plugin,
        "-j",
        str(options.jobs),
    ]
    local, _, _ = watch([*command, str(music), "-o", str(base / "local")])
    server = Server(music, options.faults)
    try:
        os.environ.update(SECRETS, AWS_ENDPOINT_URL=server.url)
        remote = [*command, "s3://music/all", "-o", str(base / "remote")]
        lines: list[str] = []
        began = time.monotonic()
        peak = 0
        while not lines or ("unreachable" in lines[-1] and len(lines) < REPEATS):
            _, memory, line = watch(remote, accepted=(0, UNDONE))
            peak = max(peak, memory)
            lines.append(line)
        seconds = time.monotonic() - began
        before = server.counts()
        again, _, line = watch([*remote, "--json"])
        after = server.counts()
    finally:
        server.process.kill()
        server.process.wait()
    # a listing has one request for each of the folders, and the faults among them
    listed = after["GET"] - before["GET"]
    whole = f"{options.files} in = {options.files} ok + 0 failed + 0 skipped"
    report = {
        "files": options.files,
        "local_seconds": round(local, 1),
        "seconds": round(seconds, 1),
        "runs": lines,
        "requests": before["GET"],
        "faults": {kind: before.get(kind, 0) for kind in ("errors", "resets")},
        "peak_memory": peak,
        "again_seconds": round(again, 1),
        "again_requests": listed,
        "again_computed": json.loads(line)["computed"],
        "digest_equal": open_store(base / "remote").digest() == open_store(base / "local").digest(),
    }
    report["good"] = (
        lines[-1] == whole
        and all("+ 0 failed" in text for text in lines)
        and report["digest_equal"]
        and report["again_computed"] == 0
        and listed < max(20, options.files / 50)
    )
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", type=int)
    parser.add_argument("--faults", type=float, default=0.01)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--plugin", default="mfcc")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve, options.faults)
        return 0
    with tempfile.TemporaryDirectory(prefix="featx-remote-") as folder:
        report = campaign(Path(folder), options)
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2))
    return 0 if report["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
