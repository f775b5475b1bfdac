"""What ``featx doctor`` does in supervised children: load a plugin, compute, compile."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.guarded import Answer, Channel, Request
from featx.registry import PLUGIN_GROUP, discover, load_one

if TYPE_CHECKING:
    from featx.registry import Registry

#: modules that a hook module must not import, because listing plugins would wait for them
HEAVY = ("h5py", "numba", "numpy", "scipy", "torch")

SR = 22050
TONE = 440.0
#: band of the 128 mel bands up to 11025 Hz whose centre is nearest to 440 Hz
TONE_BAND = 16


def load_plugin(channel: Channel) -> None:
    """Load one plugin and answer what it gives and how heavy it is."""
    distribution, name = channel.wait(Request).values["arguments"]
    os.environ.pop("FEATX_RAISE_PLUGIN_ERRORS", None)
    for item in discover(PLUGIN_GROUP):
        if (item.distribution, item.name) == (distribution, name):
            known = load_one(item)
            answer = {
                **dataclasses.asdict(known.plugins[0]),
                "heavy": [module for module in HEAVY if module in sys.modules],
                "weights": _weights(known),
            }
            channel.send(Answer(values=answer))


def _weights(known: Registry) -> list[dict[str, Any]]:
    extractors = [item.spec for item in known.extractors.values()]
    declared = {spec.weights.name: spec for spec in extractors if spec.weights is not None}
    if not declared:
        return []
    from featx.weights import state

    return [
        dataclasses.asdict(state(spec.weights, extractor=spec))
        for spec in declared.values()
        if spec.weights is not None
    ]


def list_devices(channel: Channel) -> None:
    """Answer which devices torch sees, and compute a sum on each."""
    try:
        import torch
    except ImportError:
        channel.send(Answer(values={"torch": "", "devices": []}))
        return
    names = {"cpu": f"cpu ({torch.get_num_threads()} threads)"}
    for number in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        names[f"cuda:{number}"] = f"cuda:{number} ({torch.cuda.get_device_name(number)})"
    if torch.backends.mps.is_available():
        names["mps"] = "mps"
    for device in names:
        assert float(torch.ones(4, device=device).sum()) == 4.0
    channel.send(Answer(values={"torch": torch.__version__, "devices": list(names.values())}))


def compute_features(channel: Channel) -> None:
    """Write a tone, decode it, compute mel bands, find the tone."""
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
    band = int(np.argmax(bands.mean(axis=0)))
    answer = {
        "libsndfile": soundfile.__libsndfile_version__,
        "formats": sorted(soundfile.available_formats()),
        "shape": list(bands.shape),
        "band": band,
        "right": abs(band - TONE_BAND) <= 1 and bool(np.isfinite(bands).all()),
    }
    channel.send(Answer(values=answer))


def compile_kernels(channel: Channel) -> None:
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
    answer = {"front_ends": len(PRESETS), "lanes": lanes(), "seconds": seconds}
    channel.send(Answer(values=answer))
