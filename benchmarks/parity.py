"""Compare featx's mel spectrograms with librosa's: tones, noise and real recordings.

    python benchmarks/parity.py [--data FOLDER] [--only KIND] [--json]

Prints the largest deviation of every front end on every signal, both in float32, and exits with 1
if one breaks a tolerance. Resampling is the same for both sides, so only the front ends differ.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import librosa
import numpy as np

from featx import Audio, FrontEnd
from featx.frontend import PRESETS, Decibel, Ln, Log10, compute

#: Linear power; log10(1 + 10 x); dB; ln(max(x, amin)).
FRONT_ENDS = ("librosa", "fe-artist", "fe-won-96", "fe-onf")

#: Linear mel: share of the clip's peak.
LINEAR = 1e-4
#: dB, above -80 dB relative to the peak. ln values count as 20 log10.
DECIBEL, RANGE_DB = 0.01, 80.0
#: log10(1 + 10 x).
LOGARITHM = 2e-4

RECORDINGS = 20
SECONDS = 8.0


def librosa_mel(y: np.ndarray, fe: FrontEnd) -> np.ndarray:
    """Return librosa's mel bands, time first, called with the preset's explicit padding."""
    framing, bank = fe.framing, fe.bank
    return librosa.feature.melspectrogram(
        y=y, sr=fe.sr, n_fft=framing.n_fft, hop_length=int(framing.hop_length),
        win_length=framing.win_length, window="hann", center=framing.center,
        pad_mode=framing.pad_mode, power=fe.power, n_mels=bank.n_bands, fmin=bank.fmin,
        fmax=bank.fmax, htk=bank.scale == "htk", norm=None if bank.norm == "none" else bank.norm,
    ).T  # fmt: skip


def deviations(y: np.ndarray, fe: FrontEnd) -> dict[str, float]:
    """Return the largest deviation by kind of tolerance."""
    theirs = librosa_mel(y, fe)
    linear = compute(y, fe.but(compression=None), sr=fe.sr)
    peak = float(theirs.max())
    out = {"linear": float(np.abs(linear - theirs).max() / peak)}
    ours = compute(y, fe, sr=fe.sr)
    logarithm = fe.compression
    if isinstance(logarithm, Log10):
        out["log10"] = float(np.abs(ours - np.log10(1 + logarithm.gain * theirs)).max())
    if isinstance(logarithm, Decibel):
        level = librosa.power_to_db(theirs, amin=logarithm.amin, top_db=None)
        loud = level > 10 * np.log10(peak) - RANGE_DB
        out["dB"] = float(np.abs(ours - level)[loud].max())
    if isinstance(logarithm, Ln):
        level = 20 * np.log10(np.maximum(theirs, logarithm.amin))
        loud = level > 20 * np.log10(peak) - RANGE_DB
        out["dB"] = float(np.abs(ours * (20 / np.log(10)) - level)[loud].max())
    return out


def synthetic(sr: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield tones and noise, two seconds each."""
    n = np.arange(2 * sr)
    for frequency in (110.0, 440.0, 3001.5):
        yield f"tone {frequency:g} Hz", (0.5 * np.sin(2 * np.pi * frequency / sr * n)).astype("f4")
    rng = np.random.default_rng(7)
    for level in (1.0, 1e-3):
        yield f"noise {level:g}", (level * rng.uniform(-1, 1, len(n))).astype("f4")


def recordings(data: Path, sr: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the first eight seconds of ten recordings, spread over the collection."""
    files = sorted(path for path in (data / "music").rglob("*") if path.suffix in (".ogg", ".mp3"))
    for path in files[:: max(1, len(files) // RECORDINGS)][:RECORDINGS]:
        audio = Audio.load(path, sr=sr, duration=SECONDS)
        yield path.stem[:36], audio.y


def rows(data: Path | None, *, tones: bool) -> Iterator[dict[str, object]]:
    """Yield one row per front end and signal."""
    for name in FRONT_ENDS:
        fe = PRESETS[name]
        signals = [("synthetic", *item) for item in synthetic(fe.sr or 0)] if tones else []
        if data is not None:
            signals += [("recording", *item) for item in recordings(data, fe.sr or 0)]
        for kind, signal, y in signals:
            found = deviations(y, fe)
            ok = (
                found["linear"] <= LINEAR
                and found.get("log10", 0.0) <= LOGARITHM
                and found.get("dB", 0.0) <= DECIBEL
            )
            yield {"front_end": name, "kind": kind, "signal": signal, "ok": ok, **found}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("FEATX_TEST_DATA") or None)
    parser.add_argument("--only", choices=("synthetic", "recording"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    data = None if options.only == "synthetic" else options.data
    table = list(rows(data, tones=options.only != "recording"))
    if options.json:
        print(json.dumps(table))
    else:
        print(f"{'front end':12} {'kind':10} {'signals':>7} {'linear':>9} {'log10':>9} {'dB':>9}")
        for name in FRONT_ENDS:
            for kind in ("synthetic", "recording"):
                part = [row for row in table if (row["front_end"], row["kind"]) == (name, kind)]
                if part:
                    worst = [
                        max(float(row.get(key, 0.0)) for row in part)
                        for key in ("linear", "log10", "dB")
                    ]
                    print(
                        f"{name:12} {kind:10} {len(part):7} "
                        + " ".join(f"{w:9.1e}" if w else f"{'-':>9}" for w in worst)
                    )
        print(f"librosa {librosa.__version__}, numpy {np.__version__}")
    return 0 if all(row["ok"] for row in table) else 1


if __name__ == "__main__":
    sys.exit(main())
