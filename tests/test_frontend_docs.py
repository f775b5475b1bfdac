"""The table of presets in docs/frontend.md says what the presets are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featx import FrontEnd
from featx.frontend import PRESETS, EmptyBandWarning, compute, frame_geometry
from featx.frontend.constantq.filters import quality

PAGE = Path(__file__).parent.parent / "docs" / "frontend.md"


def sizes(fe: FrontEnd) -> str:
    if fe.bank == "cqt":
        return f"{fe.window} of {quality(fe.bands_per_octave):.1f} periods"
    window = fe.window if fe.periodic or fe.window == "rectangular" else f"symmetric {fe.window}"
    if fe.win_length in (None, fe.n_fft):
        return f"{fe.n_fft} {window}"
    place = "centred" if fe.fft_padding == "window" else "zeros behind"
    return f"{fe.win_length} {window} in {fe.n_fft}, {place}"


def padding(fe: FrontEnd) -> str:
    if not fe.center:
        return "complete frames"
    mode = "zero" if fe.pad_mode == "constant" else fe.pad_mode
    return mode if fe.end_frame else f"{mode}, centres inside"


def bank(fe: FrontEnd) -> str:
    if fe.bank == "frames":
        return "none: the frames"
    if fe.bank == "cqt":
        several = ", ".join(f"{item:g}" for item in fe.harmonics)
        harmonics = f", harmonics {several}" if len(fe.harmonics) > 1 else ""
        start = f"{fe.bands_per_octave}/octave from {fe.fmin:.1f} Hz"
        return f"{fe.n_bands} constant-Q at {start}{harmonics}"
    span = f"{fe.fmin:g}–{fe.fmax or fe.sr / 2:g} Hz"
    if fe.bank == "mel":
        straight = ", straight in mel" if fe.linear_in == "mel" else ""
        return f"{fe.n_bands} mel {fe.scale}, norm {fe.norm}, {span}{straight}"
    if fe.bank == "logfreq":
        return (
            f"{frame_geometry(fe)[3]} bins at {fe.bands_per_octave}/octave, norm {fe.norm}, {span}"
        )
    if fe.bank == "chroma":
        return f"{fe.n_bands} chroma, σ {fe.sigma:g} semitone, {span}, tuned"
    return f"{fe.n_bands} chroma as librosa, tuned"


def before_the_bank(fe: FrontEnd) -> str:
    if fe.bank == "frames":
        return "–"
    steps = [f"× {fe.spectrum_gain:g}"] if fe.spectrum_gain != 1 else []
    steps += ["DC removed"] if fe.remove_dc else []
    steps += [f"pre-emphasis {fe.preemphasis:g}"] if fe.preemphasis else []
    return ", ".join([f"power {fe.power:g}", *steps])


def after_the_bank(fe: FrontEnd) -> str:
    gain = "" if fe.gain == 1 else f"{fe.gain:g} "
    floored = {"db": f"10 log10(max(x, {fe.amin:.2g}))", "ln": f"ln(max(x, {fe.amin:.2g}))"}
    steps = []
    if fe.compression == "db":
        steps.append(floored["db"])
    elif fe.compression != "none":
        plain = f"{fe.compression}({fe.offset:g} + {gain}x)"
        steps.append(plain if fe.offset else floored[fe.compression])
    steps += [f"{fe.top_db:g} dB range"] if fe.top_db is not None else []
    steps += [f"{fe.n_mfcc} DCT-II"] if fe.n_mfcc else []
    steps += ["Δ, ΔΔ"] if fe.deltas == 2 else []
    steps += [f"frame norm {fe.frame_norm}"] if fe.frame_norm != "none" else []
    return ", ".join(steps) or "–"


def row(fe: FrontEnd) -> str:
    if fe.raw:
        cells = [f"`{fe.name}`", str(fe.sr), "–", "1", "–", "–", "the waveform", "–", "1"]
    else:
        cells = [
            f"`{fe.name}`", str(fe.sr), sizes(fe), f"{float(fe.hop_length):g}", padding(fe),
            before_the_bank(fe), bank(fe), after_the_bank(fe), str(frame_geometry(fe)[3]),
        ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("name", list(PRESETS))
def test_the_page_describes_the_preset(name: str) -> None:
    assert row(PRESETS[name]) in PAGE.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("name", "rows"), [("fe-won-128", "0"), ("torchaudio", "0, 3, 6, 13")])
def test_the_page_names_the_empty_rows(name: str, rows: str) -> None:
    fe = PRESETS[name]
    with pytest.warns(EmptyBandWarning, match=rf"constant: \[{rows}\]"):
        compute(np.zeros(100, np.float32), fe, sr=fe.sr)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", sorted({*PRESETS} - {"fe-won-128", "torchaudio"}))
def test_other_presets_have_no_empty_row(name: str) -> None:
    fe = PRESETS[name]
    assert compute(np.zeros(100, np.float32), fe, sr=fe.sr).dtype == np.float32


def test_the_page_describes_no_other_preset() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = lines.index("<!-- presets -->")
    stop = lines.index("<!-- end of presets -->")
    assert len([line for line in lines[start:stop] if line.startswith("| `")]) == len(PRESETS)
