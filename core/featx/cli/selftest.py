"""One second of sound from file to representation: ``python -m featx.cli.selftest``.

Runs in a process of its own, so that a broken library ends this and not ``featx doctor``.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

SR = 22050
TONE = 440.0
#: band of the 128 mel bands up to 11025 Hz whose centre is nearest to 440 Hz
TONE_BAND = 16


def main() -> int:
    """Write a tone, decode it, compute mel bands, find the tone; print one line of JSON."""
    import numpy as np
    import soundfile

    from featx.audio import decode
    from featx.frontend import compute, preset

    tone = 0.5 * np.sin(2 * np.pi * TONE / SR * np.arange(SR))
    with tempfile.TemporaryDirectory(prefix="featx-doctor-") as folder:
        path = Path(folder) / "tone.wav"
        soundfile.write(path, tone, SR, subtype="PCM_16")
        y = decode(path, rates=[SR]).waveforms[SR]
    bands = compute(y, preset("librosa"), sr=SR)
    told: dict[str, Any] = {
        "libsndfile": soundfile.__libsndfile_version__,
        "formats": sorted(soundfile.available_formats()),
        "shape": list(bands.shape),
        "band": int(np.argmax(bands.mean(axis=0))),
    }
    sys.stdout.write(f"\n{json.dumps(told)}\n")
    return 0 if abs(told["band"] - TONE_BAND) <= 1 and np.isfinite(bands).all() else 1


if __name__ == "__main__":
    sys.exit(main())
