"""Networks as plain values: configurations, segments, time axes. No numpy, no torch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

from featx.errors import ParameterError, WeightsError
from featx.types import FeatureSpec


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Base of frozen dataclasses that describe a network and survive JSON."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values; tuples become lists."""
        return {name: _plain(value) for name, value in dataclasses.asdict(self).items()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; fields that are missing keep their defaults."""
        return cls(**{name: _frozen(value) for name, value in plain.items()})


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def check_config(
    stored: object, expected: Mapping[str, Any], *, name: str, ignore: Collection[str] = ()
) -> None:
    """Refuse weights of another network, also where the shapes of all tensors would agree.

    Parameters
    ----------
    stored : mapping or None
        The configuration beside the weights. None, and settings that it does not have, are
        accepted: older files do not state them.
    expected : mapping
        The configuration that the network is built from, as `NetworkConfig.to_json` returns it.
    name : str
        What to call the weights in an error.
    ignore : collection of str
        Settings that may differ.

    Raises
    ------
    WeightsError
        Naming the first setting that differs.
    """
    if stored is None:
        return
    if not isinstance(stored, Mapping):
        raise WeightsError(
            f"weights {name!r} must state their configuration as an object, got {stored!r:.60}."
        )
    for key in (*expected, *(key for key in stored if key not in expected)):
        if key in stored and key not in ignore and stored[key] != expected.get(key):
            raise WeightsError(
                f"weights {name!r} were made for {key}={stored[key]!r}, but this network has "
                f"{expected.get(key)!r}. Set the parameters that the weights were made with, or "
                "give --weights untrained."
            )


@dataclass(frozen=True, kw_only=True)
class Segments:
    """How a network reads a track: in segments of one length.

    Without ``ratio`` the network gives one vector per segment. Segments lie side by side, the last
    partial one is dropped, and shorter input is filled up to one segment.

    With ``ratio`` the network gives frames over time. Segments overlap by twice ``context``, the
    last one ends with the track, and every output frame is taken from a segment that holds
    ``context`` inputs on either side of it. The result is that of the whole track at once if no
    output frame depends on inputs further away than that. Shorter input is one segment of its own
    length.

    Parameters
    ----------
    length : int > 0
        Samples or frames in a segment; a multiple of ``ratio``.
    ratio : int >= 0
        Samples or frames of input per output frame; 0 if there are no output frames.
    context : int >= 0
        Samples or frames on either side of a segment whose output is discarded; a multiple of
        ``ratio``, less than half of ``length``.
    minimum : int > 0
        With ``ratio``: the shortest input that the network takes; shorter input is filled up, and
        the frames for the filling are discarded.
    fill : float or None
        The value that short input is filled up with at its end; None repeats the input.
    """

    length: int
    ratio: int = 0
    context: int = 0
    minimum: int = 1
    fill: float | None = None

    def __post_init__(self) -> None:
        step = max(self.ratio, 1)
        if self.length < 1 or self.length % step or self.ratio < 0 or self.minimum < 1:
            raise ParameterError(
                "length and minimum must be integers > 0, and length a multiple of ratio >= 0, "
                f"got {self.length}, {self.minimum} and {self.ratio}."
            )
        if not 0 <= 2 * self.context < self.length or self.context % step:
            raise ParameterError(
                f"context must be a multiple of ratio = {self.ratio} within 0..{self.length} / 2, "
                f"got {self.context}."
            )
        if self.context and not self.ratio:
            raise ParameterError(
                f"context must be 0 without ratio, got {self.context}. Segments that give one "
                "vector do not overlap."
            )


def pooled_spec(spec: FeatureSpec, *, ratio: int = 1, **changes: Any) -> FeatureSpec:
    """Return the specification of output frames that each stand for ``ratio`` input frames.

    The centre of an output frame is the middle of the input frames that it stands for; how far
    convolutions look beyond them changes nothing about that.

    Parameters
    ----------
    spec : FeatureSpec
        Of kind ``frames``: what the network reads, such as ``frames_spec("mel", front_end)``.
    ratio : int > 0
        As in `Segments`.
    **changes
        Other fields of the result: ``name``, ``dim``, ``unit``, ``columns``, ``description``.

    Raises
    ------
    ParameterError
        If ``spec`` has no frames, or ``ratio`` is not positive.

    Examples
    --------
    >>> from featx.frontend import frames_spec
    >>> spec = pooled_spec(frames_spec("mel", "fe-artist"), ratio=4, name="beats", dim=1)
    >>> spec.hop, spec.first
    (Fraction(2048, 1), Fraction(768, 1))
    """
    if spec.hop is None or spec.frame_length is None:
        raise ParameterError(f"spec must be of kind 'frames', got {spec.kind!r}.")
    if ratio < 1:
        raise ParameterError(f"ratio must be an integer > 0, got {ratio}.")
    beyond = (ratio - 1) * spec.hop
    values = {
        "hop": ratio * spec.hop,
        "first": spec.first + beyond / Fraction(2),
        "frame_length": math.ceil(spec.frame_length + beyond),
        "unit": "1",
        "columns": (),
        **changes,
    }
    return dataclasses.replace(spec, **values)
