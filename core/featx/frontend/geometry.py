"""Numbers of frames, hops, centres and columns: plain arithmetic, without numpy."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from featx.errors import ParameterError
from featx.frontend.banks import Unframed, Waveform
from featx.frontend.framing import Framing
from featx.frontend.front_end import FrontEnd
from featx.frontend.presets import preset
from featx.types import Column, FeatureSpec


def framing_of(fe: FrontEnd) -> Framing:
    """Return the framing of ``fe``; raise if it reads the waveform itself."""
    if fe.framing is None:
        raise ParameterError(
            f"front_end must have frames, got {fe.name!r}, whose bank {fe.bank.id!r} reads the "
            "waveform itself."
        )
    return fe.framing


def resolve_rate(fe: FrontEnd, sr: int | None) -> int:
    """Return the rate at which ``fe`` is computed, ``sr`` standing in where it has none."""
    rate = fe.sr if fe.sr is not None else sr
    if rate is None:
        raise ParameterError(
            f"sr must be given for front end {fe.name!r}, which follows the rate of its input."
        )
    return rate


def frame_geometry(
    front_end: FrontEnd | str, *, sr: int | None = None
) -> tuple[Fraction, int, Fraction, int]:
    """Return hop, frame length, first centre and dimension of a front end.

    Parameters
    ----------
    front_end : FrontEnd or str
        A preset name, or a front end of your own.
    sr : int > 0, optional
        Rate in Hz whose samples the lengths are counted in: the extractor's resolved rate. By
        default the front end's own; required where that is None and the bank depends on it.

    Returns
    -------
    hop : Fraction > 0
        Samples between two frames.
    frame_length : int > 0
        Samples that one frame looks at, of a constant-Q transform the longest filter.
    first : Fraction >= 0
        Sample position of the centre of frame 0; 0 for centred frames.
    dim : int > 0
        Columns of the array.

    Raises
    ------
    ParameterError
        If the front end is unknown or breaks a rule, or a rate is missing.
    """
    fe = preset(front_end)
    dim, hop, first = fe.dimension(sr), fe.hop, Fraction(0)
    if isinstance(fe.bank, Waveform):
        length = 1
    elif isinstance(fe.bank, Unframed):
        length = fe.bank.row_samples(resolve_rate(fe, sr))
    else:
        framing = framing_of(fe)
        length = framing.frame_samples
        first = Fraction(0) if framing.center else Fraction(length, 2)
    ratio = Fraction(sr, fe.sr) if sr is not None and fe.sr is not None else Fraction(1)
    return hop * ratio, max(1, round(length * ratio)), first * ratio, dim


def n_frames(n_samples: int, front_end: FrontEnd | str) -> int:
    """Return the number of frames for ``n_samples`` at the front end's rate.

    Centred frames: ``1 + floor(n_samples / hop)`` for even ``n_fft`` and ``cqt``,
    ``ceil(n_samples / hop)`` for odd ``n_fft`` or without ``end_frame``. Others:
    ``1 + floor((n_samples - frame) / hop)``, or 0. No samples give no frames.

    Raises
    ------
    ParameterError
        If ``n_samples`` is negative, or the front end breaks a rule.
    """
    fe = preset(front_end)
    if n_samples < 0:
        raise ParameterError(f"n_samples must be an integer >= 0, got {n_samples}.")
    if isinstance(fe.bank, Unframed):
        return fe.bank.n_rows(n_samples)
    return framing_of(fe).n_frames(n_samples)


def _unit(fe: FrontEnd) -> str:
    if fe.compression is None or fe.cepstrum is not None or fe.frame_norm != "none":
        return "1"
    return fe.compression.unit


def frames_spec(
    name: str,
    front_end: FrontEnd | str,
    *,
    sr: int | None = None,
    columns: Sequence[str] = (),
    unit: str | None = None,
    description: str = "",
) -> FeatureSpec:
    """Return the `FeatureSpec` of a front end's array, for an extractor's ``resolve``.

    Parameters
    ----------
    name : str
        Name of the feature.
    front_end : FrontEnd or str
        What it is computed from.
    sr : int > 0, optional
        The extractor's resolved rate, as in `frame_geometry`.
    columns : sequence of str, optional
        One name per dimension.
    unit : str, optional
        By default dB, log10 or ln of bands; 1 without compression, for cepstra and norms.
    description : str
        One sentence.

    Raises
    ------
    ParameterError
        As `frame_geometry`, or if ``columns`` has the wrong length.
    """
    fe = preset(front_end)
    hop, frame_length, first, dim = frame_geometry(fe, sr=sr)
    return FeatureSpec(
        name=name,
        kind="frames",
        dim=dim,
        unit=_unit(fe) if unit is None else unit,
        columns=tuple(map(Column, columns)),
        hop=hop,
        frame_length=frame_length,
        first=first,
        description=description,
    )
