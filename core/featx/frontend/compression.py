"""Logarithms and powers that compress the values of bands."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from featx.errors import ParameterError
from featx.frontend.description import Part, check_choice, check_number
from featx.types import FloatArray


class Compression(Part):
    """What is done to every value of a band."""

    unit: ClassVar[str] = "1"

    def formula(self, x: str = "x") -> str:
        """Return the formula, such as ``log10(1 + 10 x)``."""
        raise NotImplementedError

    def apply(self, S: FloatArray, *, scale: float = 1.0) -> None:
        """Compress the values of ``S`` times ``scale``, in place."""
        raise NotImplementedError


class Logarithm(Compression):
    """``per_decade * log10(max(offset + gain x, amin))``."""

    #: Value of a factor of ten.
    per_decade: ClassVar[float]

    @property
    def curve(self) -> tuple[float, float, float, float]:
        """The constants ``per_decade``, ``gain``, ``offset`` and ``amin``."""
        raise NotImplementedError

    def apply(self, S: FloatArray, *, scale: float = 1.0) -> None:
        import numpy as np

        from featx.kernels.vector import lanes, marker

        per_decade, gain, offset, amin = self.curve
        count, constants = lanes(), (gain * scale, offset, amin, per_decade)
        values = tuple(np.float32(value) for value in constants)
        if count:
            from featx.kernels.compression import lane_log_kernel

            lane_log_kernel(marker(count), S, *values, np.empty(count, dtype=np.float32))
        else:
            from featx.kernels.compression import log_kernel

            log_kernel(S, *values)


@dataclass(frozen=True, kw_only=True)
class _OffsetLogarithm(Logarithm):
    gain: float = 1.0
    offset: float = 1.0
    amin: float = 1e-10

    def __post_init__(self) -> None:
        check_number("gain", self.gain)
        check_number("offset", self.offset, zero=True)
        check_number("amin", self.amin)

    @property
    def curve(self) -> tuple[float, float, float, float]:
        return self.per_decade, self.gain, self.offset, self.amin

    def formula(self, x: str = "x") -> str:
        scaled = x if self.gain == 1 else f"{self.gain:g} {x}"
        if self.offset == 0:
            return f"{self.id}(max({scaled}, {self.amin:.2g}))"
        return f"{self.id}({self.offset:g} + {scaled})"


@dataclass(frozen=True, kw_only=True)
class Log10(_OffsetLogarithm, id="log10"):
    """``log10(max(offset + gain x, amin))``.

    Parameters
    ----------
    gain, amin : float > 0
        Factor, and what the logarithm is taken of at least.
    offset : float >= 0
        Summand.
    """

    per_decade: ClassVar[float] = 1.0
    unit: ClassVar[str] = "log10"


@dataclass(frozen=True, kw_only=True)
class Ln(_OffsetLogarithm, id="ln"):
    """``ln(max(offset + gain x, amin))``; parameters as `Log10`."""

    per_decade: ClassVar[float] = math.log(10.0)
    unit: ClassVar[str] = "ln"


@dataclass(frozen=True, kw_only=True)
class Decibel(Logarithm, id="db"):
    """``10 log10(max(x / r, amin))``, of power therefore.

    Parameters
    ----------
    amin : float > 0
        What the logarithm is taken of at least.
    top_db : float >= 0 or None
        Dynamic range: values are clipped so far below the clip's maximum; None keeps everything.
    reference : {'one', 'mean'}
        What r is: 1, or the mean of all values of the clip, which makes the result independent of
        the level of the input. Of silence, every value is that of ``amin``.
    """

    amin: float = 1e-10
    top_db: float | None = None
    reference: str = "one"

    per_decade: ClassVar[float] = 10.0
    unit: ClassVar[str] = "dB"

    def __post_init__(self) -> None:
        check_number("amin", self.amin)
        if self.top_db is not None and not self.top_db >= 0:
            raise ParameterError(f"top_db must be None or a number >= 0, got {self.top_db!r}.")
        check_choice("reference", self.reference, ("one", "mean"))

    @property
    def curve(self) -> tuple[float, float, float, float]:
        return self.per_decade, 1.0, 0.0, self.amin

    def formula(self, x: str = "x") -> str:
        ratio = x if self.reference == "one" else f"{x} / mean"
        return f"10 log10(max({ratio}, {self.amin:.2g}))"


@dataclass(frozen=True, kw_only=True)
class PowerLaw(Compression, id="power-law"):
    """``(gain x) ** exponent``.

    Parameters
    ----------
    gain : float > 0
        Factor.
    exponent : float > 0 and <= 1
        0 stays 0.
    """

    gain: float = 1.0
    exponent: float = 1.0 / 3.0

    def __post_init__(self) -> None:
        check_number("gain", self.gain)
        if not 0 < self.exponent <= 1:
            raise ParameterError(f"exponent must be a number > 0 and <= 1, got {self.exponent!r}.")

    def formula(self, x: str = "x") -> str:
        return f"({self.gain:g} {x}) ^ {self.exponent:g}"

    def apply(self, S: FloatArray, *, scale: float = 1.0) -> None:
        import numpy as np

        from featx.kernels.vector import lanes, marker

        gain, exponent, count = np.float32(self.gain * scale), np.float32(self.exponent), lanes()
        if count:
            from featx.kernels.compression import lane_power_law_kernel

            tile = np.empty(count, dtype=np.float32)
            lane_power_law_kernel(marker(count), S, gain, exponent, tile)
        else:
            from featx.kernels.compression import power_law_kernel

            power_law_kernel(S, gain, exponent)
