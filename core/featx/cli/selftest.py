"""One second of sound from file to waveform: ``python -m featx.cli.selftest``.

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
#: PCM_16 keeps the tone to half a step of 2**-15
TOLERANCE = 2.0**-15


def main() -> int:
    """Write a tone, decode it, compare; print one line of JSON."""
    import numpy as np
    import soundfile

    from featx.audio import decode

    tone = 0.5 * np.sin(2 * np.pi * TONE / SR * np.arange(SR))
    with tempfile.TemporaryDirectory(prefix="featx-doctor-") as folder:
        path = Path(folder) / "tone.wav"
        soundfile.write(path, tone, SR, subtype="PCM_16")
        y = decode(path, rates=[SR]).waveforms[SR]
    told: dict[str, Any] = {
        "libsndfile": soundfile.__libsndfile_version__,
        "formats": sorted(soundfile.available_formats()),
        "samples": len(y),
    }
    sys.stdout.write(f"\n{json.dumps(told)}\n")
    return 0 if len(y) == SR and np.abs(y - tone).max() <= TOLERANCE else 1


if __name__ == "__main__":
    sys.exit(main())
