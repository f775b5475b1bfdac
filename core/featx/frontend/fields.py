"""Which fields of a front end mean something, given the others."""

from __future__ import annotations

import dataclasses

from featx.types import FrontEnd

__all__ = ["relevant_fields"]

#: What a constant-Q transform, which has filters of its own, does not look at.
_OF_SPECTRA = frozenset(
    (
        "n_fft",
        "win_length",
        "window",
        "periodic",
        "center",
        "fft_padding",
        "remove_dc",
        "preemphasis",
        "fmax",
    )
)
_CHROMA = ("chroma", "chroma-librosa")

#: field -> the banks that it is for, of those that are for some only
_BANKS: dict[str, tuple[str, ...]] = {
    "scale": ("mel",),
    "linear_in": ("mel",),
    "bands_per_octave": ("logfreq", "cqt"),
    "harmonics": ("cqt",),
    "fref": ("logfreq", *_CHROMA),
    "sigma": _CHROMA,
    "estimate_tuning": _CHROMA,
    "n_bands": ("mel", "bark", "erb", "cqt", *_CHROMA),
    "norm": ("mel", "bark", "erb", "logfreq", *_CHROMA),
    "fmin": ("mel", "bark", "erb", "logfreq", "cqt", *_CHROMA),
    "fmax": ("mel", "bark", "erb", "logfreq", *_CHROMA),
}

#: field -> the compressions that it is for
_COMPRESSIONS: dict[str, tuple[str, ...]] = {
    "gain": ("log10", "ln", "power-law"),
    "offset": ("log10", "ln"),
    "amin": ("log10", "ln", "db"),
    "exponent": ("power-law",),
    "top_db": ("db",),
}


def relevant_fields(fe: FrontEnd) -> tuple[str, ...]:
    """Return the names of the fields of ``fe`` that its array may depend on, in their order."""
    if fe.raw:
        return ("name", "sr", "raw")
    names = [field.name for field in dataclasses.fields(fe)]
    return tuple(name for name in names if _counts(name, fe))


def _counts(name: str, fe: FrontEnd) -> bool:
    if name == "raw" or (fe.bank == "cqt" and name in _OF_SPECTRA):
        return False
    if name == "lifter":
        return fe.n_mfcc > 0
    if name == "delta_width":
        return fe.deltas > 0
    return fe.bank in _BANKS.get(name, (fe.bank,)) and fe.compression in _COMPRESSIONS.get(
        name, (fe.compression,)
    )
