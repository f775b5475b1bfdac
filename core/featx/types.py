"""Small frozen values that several rooms share. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from featx.errors import ParameterError, listed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray: TypeAlias = npt.NDArray[np.float32]
    DoubleArray: TypeAlias = npt.NDArray[np.float64]
    AnyArray: TypeAlias = npt.NDArray[Any]

Kind: TypeAlias = Literal["clip", "frames", "events"]

KINDS: tuple[Kind, ...] = ("clip", "frames", "events")

#: A label is stored once and shown in tables; what is longer is no label.
MAX_LABEL = 1000


@dataclass(frozen=True)
class Column:
    """One dimension of a feature: a number with a unit, or a label (events only).

    Parameters
    ----------
    name : str
        Such as ``time``, ``pitch`` or ``label``.
    unit : str
        Of a number; empty takes the unit of the feature.
    labels : tuple of str, or 'open', optional
        Every text that a label can be, or ``'open'`` where that is not known beforehand.

    Examples
    --------
    >>> Column("time", "s"), Column("word", labels="open")
    (Column('time', 's'), Column('word', labels='open'))
    >>> Column("mode", labels=("major", "minor")).is_label
    True
    """

    name: str
    unit: str = ""
    labels: tuple[str, ...] | Literal["open"] | None = None

    def __post_init__(self) -> None:
        labels: Any = self.labels
        if not self.name:
            raise ParameterError(f"name of a column must be text, got {self.name!r}.")
        if labels is None:
            return
        if not self.name.replace("_", "").replace("-", "").isalnum():
            raise ParameterError(
                f"name of a label column must be letters, digits, '-' or '_', got {self.name!r}."
            )
        if self.unit:
            raise ParameterError(
                f"column {self.name!r} must have a unit or labels, got both. Labels have no unit."
            )
        if labels == "open":
            return
        if not isinstance(labels, tuple) or not labels:
            raise ParameterError(
                f"labels of column {self.name!r} must be a tuple of str or 'open', got {labels!r}."
            )
        for label in labels:
            check_label(label, self.name)
        if len(set(labels)) != len(labels):
            raise ParameterError(f"labels of column {self.name!r} must differ from each other.")

    def __repr__(self) -> str:
        if self.labels is None:
            return f"Column({self.name!r}, {self.unit!r})"
        labels = repr(self.labels) if self.labels == "open" else str(len(self.labels))
        return f"Column({self.name!r}, labels={labels})"

    @property
    def is_label(self) -> bool:
        """Whether it holds text."""
        return self.labels is not None

    def to_json(self) -> dict[str, Any]:
        """Return plain values; `from_json` reads them back."""
        if self.labels is None:
            return {"name": self.name, "unit": self.unit}
        labels = self.labels if self.labels == "open" else list(self.labels)
        return {"name": self.name, "labels": labels}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Column:
        """Read what `to_json` wrote."""
        values = dict(plain)
        if isinstance(values.get("labels"), list):
            values["labels"] = tuple(values["labels"])
        return cls(**values)


def check_label(label: object, column: str) -> None:
    """Raise `ParameterError` unless ``label`` is text that can be stored."""
    if not isinstance(label, str):
        raise ParameterError(f"{column} must hold text, got {label!r}.")
    if "\0" in label or len(label) > MAX_LABEL or (not label.isascii() and not _is_unicode(label)):
        raise ParameterError(
            f"{column} must hold text of at most {MAX_LABEL} characters without NUL or lone "
            f"surrogates, got {label[:40]!r}."
        )


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What one output of an extractor holds: shape, unit and time axis.

    Parameters
    ----------
    name : str
        Short name within the extractor, such as ``embedding``.
    kind : {'clip', 'frames', 'events'}
        ``clip`` is one vector ``(D,)`` per track, ``frames`` is ``(T, D)`` on a regular grid,
        ``events`` is ``(N, k)`` with a column per quantity.
    dim : int > 0
        D, or k for events; 0 counts the columns.
    dtype : str
        numpy name. By default ``float32`` for clip and frames; events are ``float64``.
    unit : str
        Of every value, or of the columns that have none of their own; ``1`` for dimensionless.
    columns : tuple of Column
        One per dimension. Required for events, of which the first one in seconds (unit ``s``) is
        the time.
    hop : Fraction > 0
        Samples at the track's resolved rate between two frames (frames only).
    frame_length : int > 0
        Samples that one frame looks at (frames only).
    first : Fraction
        Sample position of the centre of frame 0 (frames only); 0 when centred.
    aspects : mapping of str to (start, stop)
        Named slices of a disentangled vector.
    description : str
        One sentence for ``featx info``.
    """

    name: str
    kind: Kind
    dim: int = 0
    dtype: str = ""
    unit: str = "1"
    columns: tuple[Column, ...] = ()
    hop: Fraction | None = None
    frame_length: int | None = None
    first: Fraction = Fraction(0)
    aspects: Mapping[str, tuple[int, int]] = field(default_factory=dict, hash=False)
    description: str = ""

    def __post_init__(self) -> None:
        if not self.name or not self.name.replace("_", "").replace("-", "").isalnum():
            raise ParameterError(
                f"feature name must be letters, digits, '-' or '_', got {self.name!r}."
            )
        if self.kind not in KINDS:
            raise ParameterError(f"kind must be one of {listed(KINDS)}, got {self.kind!r}.")
        default = "float64" if self.kind == "events" else "float32"
        object.__setattr__(self, "dtype", self.dtype or default)
        self._take_columns()
        if self.dim < 1:
            raise ParameterError(f"dim must be an integer > 0, got {self.dim}.")
        if self.kind == "frames":
            if self.hop is None or self.hop <= 0:
                raise ParameterError(f"hop must be a Fraction > 0 for frames, got {self.hop}.")
            if self.frame_length is None or self.frame_length < 1:
                raise ParameterError(
                    f"frame_length must be an integer > 0 for frames, got {self.frame_length}."
                )
        for notion, (start, stop) in self.aspects.items():
            if not 0 <= start < stop <= self.dim:
                raise ParameterError(
                    f"aspect {notion!r} must lie within 0..{self.dim}, got {start}..{stop}."
                )

    def _take_columns(self) -> None:
        for column in self.columns:
            if not isinstance(column, Column):
                raise ParameterError(
                    f"columns must be featx.Column values, got {column!r}. "
                    f"Write Column({column!r})."
                )
            if column.is_label and self.kind != "events":
                raise ParameterError(
                    f"column {column.name!r} of {self.name!r} must be a number, got a label. "
                    "Only events have labels."
                )
        completed = tuple(
            column if column.is_label or column.unit else Column(column.name, self.unit)
            for column in self.columns
        )
        object.__setattr__(self, "columns", completed)
        object.__setattr__(self, "dim", self.dim or len(completed))
        if completed and len(completed) != self.dim:
            raise ParameterError(
                f"columns must name all {self.dim} dimensions, got {len(completed)}."
            )
        if self.kind != "events":
            return
        if not any(column.unit == "s" for column in completed):
            raise ParameterError(
                f"columns must be given for events ({self.name!r}), one of them the time: "
                "Column('time', 's')."
            )
        if len(set(self.column_names)) != self.dim or self.dtype != "float64":
            raise ParameterError(
                f"events {self.name!r} must have columns of different names and dtype float64, "
                f"got {listed(self.column_names)} and {self.dtype}."
            )

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns; empty where there are none."""
        return tuple(column.name for column in self.columns)

    @property
    def has_labels(self) -> bool:
        """Whether a column holds labels: values are then structured arrays."""
        return any(column.is_label for column in self.columns)

    def aspect(self, notion: str) -> slice:
        """Return the slice of ``notion``, one of the keys of ``aspects``."""
        if notion not in self.aspects:
            raise ParameterError(
                f"aspect must be one of {listed(sorted(self.aspects))}, got {notion!r}."
            )
        return slice(*self.aspects[notion])

    def times(self, n_frames: int, *, sr: int) -> DoubleArray:
        """Return the centres of ``n_frames`` frames in seconds, shape ``(n_frames,)``.

        Positions are integers over one denominator until the last division, so frame one
        million is as exact as frame one.
        """
        import numpy as np

        if self.hop is None:
            raise ParameterError(f"times must be asked of a frames feature, got {self.kind!r}.")
        common = self.hop.denominator * self.first.denominator
        step = self.hop.numerator * self.first.denominator
        start = self.first.numerator * self.hop.denominator
        return (start + step * np.arange(n_frames, dtype=np.int64)) / np.float64(common * sr)

    def spans(self, n_frames: int, *, sr: int) -> DoubleArray:
        """Return start and end of every frame in seconds, shape ``(n_frames, 2)``.

        The first and last spans of a centred feature reach beyond the recording, into the padding.
        """
        import numpy as np

        centres = self.times(n_frames, sr=sr)
        half = (self.frame_length or 0) / (2.0 * sr)
        return np.stack([centres - half, centres + half], axis=1)

    def to_json(self) -> dict[str, Any]:
        """Return plain values that survive JSON; `from_json` reads them back."""
        plain = dataclasses.asdict(self)
        plain["hop"] = None if self.hop is None else str(self.hop)
        plain["first"] = str(self.first)
        plain["columns"] = [column.to_json() for column in self.columns]
        plain["aspects"] = {key: list(value) for key, value in self.aspects.items()}
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> FeatureSpec:
        """Read what `to_json` wrote."""
        values = dict(plain)
        values["hop"] = None if values["hop"] is None else Fraction(values["hop"])
        values["first"] = Fraction(values["first"])
        values["columns"] = tuple(Column.from_json(column) for column in values["columns"])
        values["aspects"] = {key: (int(a), int(b)) for key, (a, b) in values["aspects"].items()}
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """A frozen description of a time-frequency representation; presets are values of this.

    One description, one array ``(n_frames, n_bands)``, float32. `featx.frontend.presets` holds the
    named ones; derive others with `dataclasses.replace`. Normalisation by data-set statistics is
    the extractor's business and not part of it. The values are checked where they are used, by
    `featx.frontend`.

    Parameters
    ----------
    name : str
        Preset name, or anything for a derived one (not part of the identity).
    sr : int or None
        Rate in Hz at which it is computed; None follows the extractor's resolved rate.
    n_fft, win_length : int > 0
        Sizes in samples; ``win_length`` None is ``n_fft``.
    hop_length : int or Fraction > 0
        Samples between two frames; frame t starts from sample ``floor(t * hop_length)``.
    window : {'hann', 'hamming', 'povey', 'rectangular'}
        Periodic unless ``periodic`` is False.
    center : bool
        Frame t is centred on sample ``t * hop_length``; ``n_fft // 2`` samples are padded. False
        starts frame t there, and keeps complete frames only.
    pad_mode : {'reflect', 'constant'}
        Constant is zero. Signals too short to reflect are padded with zeros.
    end_frame : bool
        Centred frames only. True also gives the frame centred on the sample just past the end
        (``1 + N // hop``, even ``n_fft``), False stops inside (``ceil(N / hop)``).
    fft_padding : {'window', 'end'}
        For ``win_length < n_fft``. ``window`` frames ``n_fft`` samples under a window padded with
        zeros on both sides; ``end`` frames ``win_length`` samples and appends zeros.
    remove_dc : bool
        Subtract the mean of every frame.
    preemphasis : float
        a in ``y[n] - a y[n - 1]``, within every frame, the first sample against itself; 0 is none.
    bank : {'none', 'frames', 'mel', 'bark', 'erb', 'logfreq', 'chroma', 'chroma-librosa', 'cqt'}
        Banded filter bank over the spectrum; ``none`` keeps the ``n_fft // 2 + 1`` bins, ``frames``
        keeps the windowed samples and computes no spectrum. ``cqt`` is a constant-Q transform of
        its own: ``n_fft`` and what goes with it are ignored.
    n_bands : int
        Rows of the bank. Ignored for ``none`` and ``frames``; follows from the range for
        ``logfreq``; for ``cqt`` the bins of every harmonic.
    fmin, fmax : float
        Range of the bank in Hz; ``fmax`` None is sr / 2. ``cqt`` begins at ``fmin`` and takes no
        ``fmax``.
    scale : {'slaney', 'htk'}
        Mel scale.
    linear_in : {'hz', 'mel'}
        Whether the sides of a mel triangle are straight in Hz or in mel.
    norm : {'slaney', 'area', 'none'}
        Row normalisation: by bandwidth in Hz, to a sum of 1, or unit peaks.
    bands_per_octave : int
        For ``logfreq`` and ``cqt``.
    harmonics : tuple of float > 0
        For ``cqt``: factors of ``fmin``, one transform each. Column ``bin * len(harmonics) + i`` is
        a bin of ``harmonics[i]``, so that ``S.reshape(n_frames, n_bands, -1)`` parts them.
    fref : float
        A4 in Hz, for ``logfreq`` and ``chroma``.
    sigma : float > 0
        Standard deviation of ``chroma`` in semitones.
    estimate_tuning : bool
        Shift a chroma bank by the deviation from A4 = 440 Hz that is estimated over the clip.
    power : float
        1 for magnitudes, 2 for power, applied before the bank.
    spectrum_gain : float
        Factor on the magnitude spectrum, such as 1/sqrt(n_fft).
    compression : {'none', 'log10', 'ln', 'db', 'power-law'}
        ``log10`` and ``ln`` are the logarithm of ``max(offset + gain x, amin)``, ``db`` is
        ``10 log10(max(x, amin))`` clipped at ``top_db`` below the clip's maximum, ``power-law`` is
        ``(gain x) ** exponent``.
    gain, offset, amin : float
        Constants of the compression.
    exponent : float
        For ``power-law``, > 0 and <= 1.
    top_db : float or None
        Dynamic range for ``db``; None keeps everything.
    frame_norm : {'none', 'l2', 'max'}
        Norm to which every frame is scaled; silent frames stay zero.
    n_mfcc : int
        0 for none; otherwise the orthonormal DCT-II of the compressed bands, first n kept.
    lifter : float
        Cepstral lifter ``1 + lifter / 2 sin(pi (k + 1) / lifter)``, 0 for none.
    deltas : {0, 1, 2}
        Derivatives appended after the static coefficients.
    delta_width : int
        Odd number of frames of the Savitzky-Golay derivative.
    raw : bool
        True means no representation at all: the waveform itself, ``(n_samples, 1)``.
    """

    name: str
    sr: int | None = 22050
    n_fft: int = 2048
    win_length: int | None = None
    hop_length: int | Fraction = 512
    window: str = "hann"
    periodic: bool = True
    center: bool = True
    pad_mode: str = "reflect"
    end_frame: bool = True
    fft_padding: str = "window"
    remove_dc: bool = False
    preemphasis: float = 0.0
    bank: str = "mel"
    n_bands: int = 128
    fmin: float = 0.0
    fmax: float | None = None
    scale: str = "slaney"
    linear_in: str = "hz"
    norm: str = "slaney"
    bands_per_octave: int = 12
    harmonics: tuple[float, ...] = (1.0,)
    fref: float = 440.0
    sigma: float = 1.0
    estimate_tuning: bool = False
    power: float = 2.0
    spectrum_gain: float = 1.0
    compression: str = "none"
    gain: float = 1.0
    offset: float = 1.0
    amin: float = 1e-10
    exponent: float = 1.0 / 3.0
    top_db: float | None = None
    frame_norm: str = "none"
    n_mfcc: int = 0
    lifter: float = 0.0
    deltas: int = 0
    delta_width: int = 9
    raw: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return every parameter as plain values, the name included; a Fraction as ``"441/2"``.

        ``exponent`` is there for a power law only, ``harmonics`` where they are not the default:
        recipes of other front ends are older than these.
        """
        plain = dataclasses.asdict(self)
        if self.compression != "power-law":
            del plain["exponent"]
        if isinstance(self.hop_length, Fraction):
            plain["hop_length"] = str(self.hop_length)
        plain["harmonics"] = list(self.harmonics)
        if self.harmonics == (1.0,):
            del plain["harmonics"]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> FrontEnd:
        """Read what `to_json` wrote."""
        values = dict(plain)
        hop = values["hop_length"]
        values["hop_length"] = Fraction(hop) if isinstance(hop, str) else hop
        values["harmonics"] = tuple(values.get("harmonics", (1.0,)))
        return cls(**values)


@dataclass(frozen=True, kw_only=True)
class WeightsSpec:
    """Where an extractor's weights come from and what they must be.

    Parameters
    ----------
    name : str
        Key in the weights cache, such as ``artist-siamese``.
    urls : tuple of str
        Tried in order by ``featx weights fetch``; empty when the file must be imported.
    sha256 : str
        Of the safetensors file; empty when any import by ``converter`` is accepted.
    bytes : int
        Size in bytes, 0 if unknown.
    licence : str
        SPDX identifier or a short phrase.
    converter : str
        ``package.module:function``, called as ``function(path) -> (tensors, config)`` with tensors
        a dict of numpy arrays; it reads other people's formats. Empty when there is none. Where
        the configuration has ``params``, they are parameters of the extractor that hold unless
        the user sets others.
    source : str
        What the converter reads: file name first, then where to find it, such as
        ``model.h5 from https://...``. Part of the message when weights are missing.
    resource : str
        ``package:relative/path.safetensors`` shipped inside a plugin; empty when none is.
        ``{name}`` stands for a parameter of the extractor, such as ``weights/{model}.safetensors``;
        for values without a file none are shipped.
    required : bool
        False lets the extractor run with seeded weights, reported as UNTRAINED.
    """

    name: str
    urls: tuple[str, ...] = ()
    sha256: str = ""
    bytes: int = 0
    licence: str = ""
    converter: str = ""
    source: str = ""
    resource: str = ""
    required: bool = True


class Features(dict[str, "AnyArray"]):
    """What an extractor returns for one track: feature name to array.

    ``clip`` arrays are ``(D,)``, ``frames`` ``(T, D)``, ``events`` ``(N, k)``. The object returned
    by ``featx.open_extractor(name)(y, sr)`` also knows its time axes.
    """

    def __init__(
        self,
        values: Mapping[str, AnyArray] | None = None,
        /,
        *,
        specs: Mapping[str, FeatureSpec] | None = None,
        sr: int | None = None,
        **more: AnyArray,
    ) -> None:
        super().__init__({**(values or {}), **more})
        self.specs: Mapping[str, FeatureSpec] = specs or {}
        self.sr = sr

    def __repr__(self) -> str:
        told = []
        for name, values in self.items():
            kind = f"{self.specs[name].kind} " if name in self.specs else ""
            shape = getattr(values, "shape", type(values).__name__)
            told.append(f"{name}: {kind}{shape} {getattr(values, 'dtype', '')}".rstrip())
        return f"Features({'; '.join(told)})"

    def times(self, name: str) -> DoubleArray:
        """Return the frame centres of feature ``name`` in seconds."""
        if name not in self.specs or self.sr is None:
            raise ParameterError(
                f"times must be asked of a feature with a spec, got {name!r}; "
                f"known: {listed(sorted(self.specs))}."
            )
        return self.specs[name].times(len(self[name]), sr=self.sr)
