"""Cost of one training step, softmax over artists against Siamese triplets, as artists grow.

    python benchmarks/speed/artists.py [--artists 500 10000] [--steps N] [--json]

Every model takes its steps in a process of its own: seconds of processor time per song that is an
anchor (a softmax sees one segment of it, a Siamese model six), parameters, bytes of parameters,
gradients and momentum, and what the process grew by while it trained. Segments are noise: cost does
not depend on what is heard.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from typing import Any

BATCH, FRAMES, BANDS, NEGATIVES = 15, 129, 128, 4


def measure(kind: str, n_artists: int, steps: int) -> dict[str, Any]:
    """Train for some steps in this process."""
    import torch

    from featx_artist.methods import BasicMethod, SiameseMethod
    from featx_artist.training_params import SiameseParams, TrunkParams

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, FRAMES, BANDS, generator=generator)

    method: Any
    if kind == "softmax":
        method = BasicMethod(TrunkParams())
        method.classes.names = tuple(map(str, range(n_artists)))
        targets = torch.randint(n_artists, (BATCH,), generator=generator)
        batch = {"inputs": noise(BATCH), "targets": targets}
    else:
        method = SiameseMethod(SiameseParams(n_negatives=NEGATIVES))
        batch = {
            "anchors": noise(BATCH),
            "positives": noise(BATCH),
            "negatives": noise(BATCH, NEGATIVES),
        }
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    model = method.build(generator).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, nesterov=True)
    times = []
    for _ in range(steps):
        start = time.process_time()
        optimizer.zero_grad(set_to_none=True)
        torch.stack([*method.losses(model, batch).values()]).sum().backward()
        optimizer.step()
        times.append(time.process_time() - start)
    n_parameters = sum(value.numel() for value in model.parameters())
    return {
        "model": kind,
        "artists": n_artists,
        "ms_per_anchor": round(1e3 * sorted(times)[len(times) // 4] / BATCH, 3),
        "parameters": n_parameters,
        "state_mb": round(3 * 4 * n_parameters / 1e6, 1),
        "grown_mb": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--artists", type=int, nargs="+", default=[500, 10_000])
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("KIND", "ARTISTS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one[0], int(options.one[1]), options.steps)))
        return
    rows = []
    for n_artists in options.artists:
        for kind in ("softmax", "siamese"):
            command = [sys.executable, __file__, "--steps", str(options.steps)]
            done = subprocess.run(
                [*command, "--one", kind, str(n_artists)],
                capture_output=True,
                text=True,
                check=True,
            )
            rows.append(json.loads(done.stdout))
    if options.json:
        print(json.dumps(rows))
        return
    names = ("model", "artists", "ms/anchor", "parameters", "state MB", "grown MB")
    print("{:8} {:>8} {:>10} {:>11} {:>9} {:>9}".format(*names))
    for row in rows:
        print(
            f"{row['model']:8} {row['artists']:8} {row['ms_per_anchor']:10.2f} "
            f"{row['parameters']:11} {row['state_mb']:9.1f} {row['grown_mb']:9.1f}"
        )


if __name__ == "__main__":
    main()
