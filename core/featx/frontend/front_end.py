"""`FrontEnd`: the frozen description of a time-frequency representation, by parts."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from featx.errors import ParameterError
from featx.frontend.banks import Bank, Bins, ConstantQ, Samples, Unframed, Waveform
from featx.frontend.compression import Compression
from featx.frontend.description import (
    Part,
    check_choice,
    check_integer,
    check_names,
    check_number,
)
from featx.frontend.framing import Framing
from featx.frontend.level import Level
from featx.frontend.pitch_classes import Chroma, LibrosaChroma
from featx.frontend.triangles import Bark, Erb, LogFrequency, Mel

#: The banks of featx; `Bank.from_json` also knows those of plugins that have been imported.
BANKS: tuple[type[Bank], ...] = (
    Mel, Bark, Erb, LogFrequency, Chroma, LibrosaChroma, Bins, Samples, ConstantQ, Waveform,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Cepstrum(Part, id="cepstrum"):
    """The orthonormal DCT-II of the compressed bands, of which the first are kept.

    Parameters
    ----------
    n_mfcc : int > 0
        Coefficients, the zeroth included.
    lifter : float >= 0
        Cepstral lifter ``1 + lifter / 2 sin(pi (k + 1) / lifter)``, 0 for none.
    """

    n_mfcc: int = 20
    lifter: float = 0.0

    def __post_init__(self) -> None:
        check_integer("n_mfcc", self.n_mfcc)
        check_number("lifter", self.lifter, zero=True)


#: parts of a front end -> what they must be, and whether there may be none
PARTS: dict[str, tuple[type[Part], bool]] = {
    "level": (Level, True),
    "framing": (Framing, True),
    "bank": (Bank, False),
    "compression": (Compression, True),
    "cepstrum": (Cepstrum, True),
}


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """A frozen description of a time-frequency representation; presets are values of this.

    One description, one array ``(n_frames, n_columns)``, float32. `featx.frontend.PRESETS` holds
    the named ones; derive others with `but`. Normalisation by data-set statistics is the
    extractor's business and not part of it. Values are checked when it is made.

    Parameters
    ----------
    name : str
        Preset name, or anything for a derived one (not part of the identity).
    sr : int or None
        Rate in Hz at which it is computed; None follows the extractor's resolved rate.
    level : Level or None
        The level to which the waveform is scaled first; None leaves it as it is.
    framing : Framing or None
        How the waveform is cut into frames. None for banks that read the waveform itself,
        `Waveform` and `ConstantQ`.
    power : {1, 2}
        1 for magnitudes, 2 for power, applied before the bank.
    spectrum_gain : float > 0
        Factor on the magnitude spectrum, such as 1 / sqrt(n_fft).
    bank : Bank
        What is made of every spectrum.
    compression : Compression or None
        What is done to every value.
    frame_norm : {'none', 'l2', 'max'}
        Norm to which every frame is scaled; silent frames stay zero.
    cepstrum : Cepstrum or None
        Cosine transform of the bands.
    deltas : {0, 1, 2}
        Derivatives appended after the static columns.
    delta_width : int
        Odd number of frames of the Savitzky-Golay derivative.

    Raises
    ------
    ParameterError
        If a value breaks its rule, or parts do not go together.

    Examples
    --------
    >>> from featx.frontend import Log10, preset
    >>> fe = FrontEnd(name="mine", sr=16000, framing=Framing(n_fft=512, hop_length=160),
    ...               bank=Mel(n_bands=40), compression=Log10(gain=10.0))
    >>> fe.but(hop_length=80, n_bands=64).bank.n_bands
    64
    """

    name: str
    sr: int | None = 22050
    level: Level | None = None
    framing: Framing | None = field(default_factory=Framing)
    power: float = 2.0
    spectrum_gain: float = 1.0
    bank: Bank = field(default_factory=Mel)
    compression: Compression | None = None
    frame_norm: str = "none"
    cepstrum: Cepstrum | None = None
    deltas: int = 0
    delta_width: int = 9

    def __post_init__(self) -> None:
        for name, (kind, optional) in PARTS.items():
            value = getattr(self, name)
            if not isinstance(value, kind) and not (optional and value is None):
                made = f"a {kind.__name__}" + (" or None" if optional else "")
                raise ParameterError(f"{name} must be {made} of featx.frontend, got {value!r}.")
        if self.sr is not None:
            check_integer("sr", self.sr)
        check_choice("power", self.power, (1.0, 2.0))
        check_number("spectrum_gain", self.spectrum_gain)
        check_choice("frame_norm", self.frame_norm, ("none", "l2", "max"))
        check_choice("deltas", self.deltas, (0, 1, 2))
        check_integer("delta_width", self.delta_width)
        if self.deltas and not (self.delta_width % 2 and self.delta_width >= 3):
            raise ParameterError(
                f"delta_width must be an odd integer >= 3, got {self.delta_width}."
            )
        self._check_parts()

    def _check_parts(self) -> None:
        """Raise unless the parts go together."""
        if isinstance(self.bank, Unframed) != (self.framing is None):
            rule = "None" if self.framing is not None else "a Framing"
            raise ParameterError(
                f"framing must be {rule} for bank {self.bank.id!r}, got {self.framing!r}."
            )
        if isinstance(self.bank, Waveform) and (self.cepstrum or self.deltas):
            raise ParameterError(
                "cepstrum must be None and deltas 0 for the waveform itself, got "
                f"{self.cepstrum!r} and {self.deltas}."
            )
        if self.sr is not None:
            self.bank.check_rate(self.sr)
            if self.cepstrum is not None and self.cepstrum.n_mfcc > self.n_bands(self.sr):
                raise ParameterError(
                    f"n_mfcc must be <= the {self.n_bands(self.sr)} bands, got "
                    f"{self.cepstrum.n_mfcc}."
                )

    @property
    def hop(self) -> Fraction:
        """Samples between two frames."""
        if self.framing is not None:
            return Fraction(self.framing.hop_length)
        return self.bank.hop if isinstance(self.bank, Unframed) else Fraction(1)

    def n_bands(self, sr: int | None = None) -> int:
        """Return the number of columns before cepstrum and deltas.

        Raises
        ------
        ParameterError
            If the bank needs a rate, and neither ``sr`` nor the front end has one.
        """
        return self.bank.n_columns(self.framing, sr=self.sr if self.sr is not None else sr)

    def dimension(self, sr: int | None = None) -> int:
        """Return the number of columns; errors as `n_bands`."""
        static = self.n_bands(sr) if self.cepstrum is None else self.cepstrum.n_mfcc
        return static * (1 + self.deltas)

    def but(self, **changes: Any) -> FrontEnd:
        """Return the same front end but for ``changes``: its own fields, or fields of its parts.

        Raises
        ------
        ParameterError
            If no part has a field of that name, or a rule is broken.

        Examples
        --------
        >>> FrontEnd(name="mel").but(hop_length=256, n_bands=64).hop
        Fraction(256, 1)
        """
        own = {item.name for item in dataclasses.fields(self)}
        values = {name: changes.pop(name) for name in own & set(changes)}
        parts = {name: values.get(name, getattr(self, name)) for name in PARTS}
        fields = {
            name: {item: changes.pop(item) for item in part.names() if item in changes}
            for name, part in parts.items()
            if isinstance(part, Part)
        }
        if changes:
            known = own.union(*(part.names() for part in parts.values() if isinstance(part, Part)))
            near = difflib.get_close_matches(next(iter(changes)), sorted(known), n=3)
            hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {sorted(known)}."
            raise ParameterError(
                f"changes must name fields of front end {self.name!r} or of its parts, got "
                f"{next(iter(changes))!r}. {hint}"
            )
        for name, inner in fields.items():
            if inner:
                values[name] = dataclasses.replace(parts[name], **inner)
        return dataclasses.replace(self, **values)

    def to_json(self) -> dict[str, Any]:
        """Return every field as plain values, the name included, and a part as id and fields."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {
            name: value.to_json() if isinstance(value, Part) else value
            for name, value in values.items()
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> FrontEnd:
        """Read what `to_json` wrote.

        Raises
        ------
        ParameterError
            If fields are missing or unknown, or a part is of a kind that is not known here.
        """
        check_names("fields of a front end", plain, [item.name for item in dataclasses.fields(cls)])
        parts = {
            name: None if plain[name] is None else kind.from_json(plain[name])
            for name, (kind, _) in PARTS.items()
        }
        return cls(**{**plain, **parts})
