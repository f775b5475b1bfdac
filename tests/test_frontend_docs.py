"""The table of presets in docs/frontend.md says what the presets are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featx import FrontEnd
from featx.frontend import (
    PRESETS,
    ConstantQ,
    Decibel,
    EmptyBandWarning,
    LibrosaChroma,
    LogFrequency,
    Mel,
    Samples,
    Waveform,
    compute,
    frame_geometry,
)
from featx.frontend.constantq.filters import quality

PAGE = Path(__file__).parent.parent / "docs" / "frontend.md"


def sizes(fe: FrontEnd) -> str:
    if isinstance(fe.bank, ConstantQ):
        return f"hann of {quality(fe.bank.bands_per_octave):.1f} periods"
    framing = fe.framing
    plain = framing.periodic or framing.window == "rectangular"
    window = framing.window if plain else f"symmetric {framing.window}"
    if framing.win_length in (None, framing.n_fft):
        return f"{framing.n_fft} {window}"
    place = "centred" if framing.fft_padding == "window" else "zeros behind"
    return f"{framing.win_length} {window} in {framing.n_fft}, {place}"


def padding(fe: FrontEnd) -> str:
    if isinstance(fe.bank, ConstantQ):
        return fe.bank.pad_mode
    if not fe.framing.center:
        return "complete frames"
    mode = "zero" if fe.framing.pad_mode == "constant" else fe.framing.pad_mode
    return mode if fe.framing.end_frame else f"{mode}, centres inside"


def bank(fe: FrontEnd) -> str:
    own = fe.bank
    if isinstance(own, Samples):
        return "none: the frames"
    if isinstance(own, ConstantQ):
        several = ", ".join(f"{item:g}" for item in own.harmonics)
        harmonics = f", harmonics {several}" if len(own.harmonics) > 1 else ""
        start = f"{own.bands_per_octave}/octave from {own.fmin:.1f} Hz"
        return f"{own.n_bands} constant-Q at {start}{harmonics}"
    if isinstance(own, LibrosaChroma):
        return f"{own.n_bands} chroma as librosa, tuned"
    span = f"{own.fmin:g}–{own.fmax or fe.sr / 2:g} Hz"
    if isinstance(own, Mel):
        straight = ", straight in mel" if own.linear_in == "mel" else ""
        return f"{own.n_bands} mel {own.scale}, norm {own.norm}, {span}{straight}"
    if isinstance(own, LogFrequency):
        bins = f"{frame_geometry(fe)[3]} bins at {own.bands_per_octave}/octave"
        return f"{bins}, norm {own.norm}, {span}"
    return f"{own.n_bands} chroma, σ {own.sigma:g} semitone, {span}, tuned"


def before_the_bank(fe: FrontEnd) -> str:
    if isinstance(fe.bank, Samples):
        return "–"
    steps = [f"level {fe.level.dbfs:g} dBFS"] if fe.level is not None else []
    steps += [f"× {fe.spectrum_gain:g}"] if fe.spectrum_gain != 1 else []
    if fe.framing is not None:
        steps += ["DC removed"] if fe.framing.remove_dc else []
        steps += [f"pre-emphasis {fe.framing.preemphasis:g}"] if fe.framing.preemphasis else []
    return ", ".join([f"power {fe.power:g}", *steps])


def after_the_bank(fe: FrontEnd) -> str:
    steps = [fe.compression.formula()] if fe.compression is not None else []
    if isinstance(fe.compression, Decibel) and fe.compression.top_db is not None:
        steps += [f"{fe.compression.top_db:g} dB range"]
    steps += [f"{fe.cepstrum.n_mfcc} DCT-II"] if fe.cepstrum is not None else []
    steps += ["Δ, ΔΔ"] if fe.deltas == 2 else []
    steps += [f"frame norm {fe.frame_norm}"] if fe.frame_norm != "none" else []
    return ", ".join(steps) or "–"


def row(fe: FrontEnd) -> str:
    if isinstance(fe.bank, Waveform):
        cells = [f"`{fe.name}`", str(fe.sr), "–", "1", "–", "–", "the waveform", "–", "1"]
    else:
        cells = [
            f"`{fe.name}`", str(fe.sr), sizes(fe), f"{float(fe.hop):g}", padding(fe),
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
