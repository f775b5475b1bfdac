"""Which reading of the published music tagger's files agrees with real music.

    python benchmarks/music_tagger_statistics.py WEIGHTS_FOLDER MUSIC_FOLDER [--clips N]

WEIGHTS_FOLDER holds music_tagger_{cnn,crnn}_weights_tensorflow.h5. The middle 29.12 s of N
recordings that are long enough go through both networks under several readings of front end and
files; printed is, layer by layer, the median over channels of the variance before a normalisation
over the variance that is stored for it. The right reading gives about 1 everywhere.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import h5py
import numpy as np
import torch
from torch.nn import functional

from featx import Audio, AudioError
from featx.frontend import compute
from featx_music_tagger.config import FRONT_END, MODELS, N_FRAMES, TOP_DB, TaggerConfig

N_SAMPLES = int(29.12 * 12000)
SUFFIXES = {".ogg", ".wav", ".flac", ".mp3"}

Arrays = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reading:
    """One guess; the defaults are what the extractor does."""

    name: str
    gain: float = 2.0
    standardise: bool = True
    deviations: bool = True
    flip: bool = False


READINGS = (
    Reading(name="as the extractor reads"),
    Reading(name="decibels not doubled", gain=1.0),
    Reading(name="not standardised", standardise=False),
    Reading(name="running_std as variance", deviations=False),
    Reading(name="kernels flipped", flip=True),
)


def clips(folder: Path, count: int) -> np.ndarray:
    found: list[np.ndarray] = []
    paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    for path in np.random.default_rng(0).permutation(np.array(paths, dtype=object)):
        try:
            y = Audio.load(path, sr=12000).y
        except AudioError as error:
            print(f"{path}: {error}")
            continue
        if len(y) >= N_SAMPLES:
            start = (len(y) - N_SAMPLES) // 2
            middle = np.ascontiguousarray(y[start : start + N_SAMPLES])
            found.append(compute(middle, FRONT_END, sr=12000)[:N_FRAMES])
        if len(found) == count:
            break
    return np.stack(found)


def arrays_of(path: Path) -> Arrays:
    found: Arrays = {}

    def visit(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            found[name.rsplit("/", maxsplit=1)[-1].replace(":0", "").removesuffix("_1")] = item[()]

    with h5py.File(path) as file:
        file.visititems(visit)
    return found


def ratios(S: np.ndarray, W: Arrays, config: TaggerConfig, reading: Reading) -> list[float]:
    Y = reading.gain * S
    Y = np.maximum(Y, Y.max(axis=(1, 2), keepdims=True) - TOP_DB)
    if reading.standardise:
        Y = (Y - Y.mean()) / Y.std()

    def variance(name: str) -> np.ndarray:
        spread = W[f"{name}_running_std"].astype(np.float64)
        return spread**2 if reading.deviations else spread

    def normalise(x: torch.Tensor, name: str, shape: tuple[int, ...]) -> torch.Tensor:
        scale = W[f"{name}_gamma"] / np.sqrt(variance(name) + 1e-12)
        shift = W[f"{name}_beta"] - W[f"{name}_running_mean"] * scale
        turned = [torch.from_numpy(v.astype(np.float32)).reshape(shape) for v in (scale, shift)]
        return x * turned[0] + turned[1]

    x = torch.from_numpy(Y.transpose(0, 2, 1)[:, None].astype(np.float32))
    x = functional.pad(x, (config.padding, config.padding))
    x = normalise(x, "bn_0_freq", (1, 1, 1, -1))
    found = []
    for i, pool in enumerate(config.pools, start=1):
        kernel = torch.from_numpy(W[f"conv{i}_W"])
        kernel = kernel.flip(2, 3) if reading.flip else kernel
        x = functional.conv2d(x, kernel, torch.from_numpy(W[f"conv{i}_b"]), padding=1)
        spread = x.var(dim=(0, 2, 3)).numpy()
        found.append(float(np.median(spread / variance(f"bn{i}"))))
        x = functional.max_pool2d(functional.elu(normalise(x, f"bn{i}", (1, -1, 1, 1))), pool)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("music", type=Path)
    parser.add_argument("--clips", type=int, default=12)
    options = parser.parse_args()
    S = clips(options.music, options.clips)
    doubled = np.maximum(2 * S, 2 * S.max(axis=(1, 2), keepdims=True) - TOP_DB)
    print(f"{len(S)} clips, mean {doubled.mean():.2f}, deviation {doubled.std():.2f}")
    with torch.inference_mode():
        for model, config in MODELS.items():
            W = arrays_of(options.weights / f"music_tagger_{model}_weights_tensorflow.h5")
            for reading in READINGS:
                told = "  ".join(f"{value:10.2f}" for value in ratios(S, W, config, reading))
                print(f"{model:<5}{reading.name:<25}{told}")


if __name__ == "__main__":
    main()
