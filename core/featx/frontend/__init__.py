"""Time-frequency representations: named presets, filter banks, and what computes them.

Presets and geometry are plain values and arithmetic; numpy and numba load with the first
computation, so that listing and planning stay light.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featx.frontend.banks import (
        EmptyBandWarning,
        bark_filter_bank,
        chroma_filter_bank,
        erb_filter_bank,
        log_filter_bank,
        mel_filter_bank,
    )
    from featx.frontend.constantq import cqt, cqt_magnitude, hcqt
    from featx.frontend.functions import (
        chroma,
        deltas,
        filter_spectrogram,
        librosa_layout,
        melspectrogram,
        mfcc,
        spectrogram,
        stft,
    )
    from featx.frontend.layout import frames_spec, geometry, n_frames, validate
    from featx.frontend.onsets import (
        onset_strength,
        overlap_lag,
        peak_pick,
        spectral_flux,
        superflux,
    )
    from featx.frontend.pipeline import compute, compute_blocks, spectrum_blocks, statistics
    from featx.frontend.pitches import yin, yin_difference, yin_normalised_difference
    from featx.frontend.presets import FRONTEND_VERSION, PRESETS, preset
    from featx.frontend.processing import STATISTICS, Processor
    from featx.frontend.scales import (
        bark_frequencies,
        bark_to_hz,
        erb_frequencies,
        erb_to_hz,
        hz_to_bark,
        hz_to_erb,
        hz_to_mel,
        log_frequencies,
        mel_frequencies,
        mel_to_hz,
    )
    from featx.frontend.separation import hpss, median_filter
    from featx.frontend.sequences import link_beats, viterbi
    from featx.frontend.sharing import Spectra
    from featx.frontend.transitions import Transitions
    from featx.frontend.tuning import estimate_tuning
    from featx.frontend.windows import window

#: public name -> module that defines it; none equals a module's own name
_HOMES = {
    "EmptyBandWarning": "banks",
    "FRONTEND_VERSION": "presets",
    "PRESETS": "presets",
    "Processor": "processing",
    "STATISTICS": "processing",
    "Spectra": "sharing",
    "Transitions": "transitions",
    "bark_filter_bank": "banks",
    "bark_frequencies": "scales",
    "bark_to_hz": "scales",
    "chroma": "functions",
    "chroma_filter_bank": "banks",
    "compute": "pipeline",
    "compute_blocks": "pipeline",
    "cqt": "constantq",
    "cqt_magnitude": "constantq",
    "deltas": "functions",
    "erb_filter_bank": "banks",
    "erb_frequencies": "scales",
    "erb_to_hz": "scales",
    "estimate_tuning": "tuning",
    "filter_spectrogram": "functions",
    "frames_spec": "layout",
    "geometry": "layout",
    "hcqt": "constantq",
    "hpss": "separation",
    "hz_to_bark": "scales",
    "hz_to_erb": "scales",
    "hz_to_mel": "scales",
    "librosa_layout": "functions",
    "link_beats": "sequences",
    "log_filter_bank": "banks",
    "log_frequencies": "scales",
    "median_filter": "separation",
    "mel_filter_bank": "banks",
    "mel_frequencies": "scales",
    "mel_to_hz": "scales",
    "melspectrogram": "functions",
    "mfcc": "functions",
    "n_frames": "layout",
    "onset_strength": "onsets",
    "overlap_lag": "onsets",
    "peak_pick": "onsets",
    "preset": "presets",
    "spectral_flux": "onsets",
    "spectrogram": "functions",
    "spectrum_blocks": "pipeline",
    "statistics": "pipeline",
    "stft": "functions",
    "superflux": "onsets",
    "validate": "layout",
    "viterbi": "sequences",
    "window": "windows",
    "yin": "pitches",
    "yin_difference": "pitches",
    "yin_normalised_difference": "pitches",
}

# spelled out, because type checkers do not follow computed names
__all__ = [
    "FRONTEND_VERSION",
    "PRESETS",
    "STATISTICS",
    "EmptyBandWarning",
    "Processor",
    "Spectra",
    "Transitions",
    "bark_filter_bank",
    "bark_frequencies",
    "bark_to_hz",
    "chroma",
    "chroma_filter_bank",
    "compute",
    "compute_blocks",
    "cqt",
    "cqt_magnitude",
    "deltas",
    "erb_filter_bank",
    "erb_frequencies",
    "erb_to_hz",
    "estimate_tuning",
    "filter_spectrogram",
    "frames_spec",
    "geometry",
    "hcqt",
    "hpss",
    "hz_to_bark",
    "hz_to_erb",
    "hz_to_mel",
    "librosa_layout",
    "link_beats",
    "log_filter_bank",
    "log_frequencies",
    "median_filter",
    "mel_filter_bank",
    "mel_frequencies",
    "mel_to_hz",
    "melspectrogram",
    "mfcc",
    "n_frames",
    "onset_strength",
    "overlap_lag",
    "peak_pick",
    "preset",
    "spectral_flux",
    "spectrogram",
    "spectrum_blocks",
    "statistics",
    "stft",
    "superflux",
    "validate",
    "viterbi",
    "window",
    "yin",
    "yin_difference",
    "yin_normalised_difference",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'featx.frontend' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"featx.frontend.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
