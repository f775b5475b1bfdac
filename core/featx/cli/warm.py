"""Compile every front end's kernels ahead of time: ``python -m featx.cli.warm``.

Runs in a process of its own for ``featx doctor --warm``; prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
import warnings


def main() -> int:
    """Compute a second of noise by every preset, complex spectra and statistics."""
    import numpy as np

    from featx.frontend import PRESETS, EmptyBandWarning, compute, statistics, stft
    from featx.kernels.vector import lanes

    started = time.perf_counter()
    warnings.simplefilter("ignore", EmptyBandWarning)
    rng = np.random.default_rng(0)
    for front_end in PRESETS.values():
        sr = front_end.sr or 22050
        compute(rng.uniform(-0.5, 0.5, sr).astype(np.float32), front_end, sr=sr)
    statistics(rng.uniform(-0.5, 0.5, 22050).astype(np.float32), "fe-artist", sr=22050)
    stft(rng.uniform(-0.5, 0.5, 22050).astype(np.float32))
    seconds = round(time.perf_counter() - started, 3)
    told = {"front_ends": len(PRESETS), "lanes": lanes(), "seconds": seconds}
    sys.stdout.write(f"\n{json.dumps(told)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
