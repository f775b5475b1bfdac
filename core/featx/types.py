"""Small frozen values that several rooms share. Imports nothing heavy."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from featx.errors import ParameterError, listed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from featx.annotations import Events

    FloatArray: TypeAlias = npt.NDArray[np.float32]
    DoubleArray: TypeAlias = npt.NDArray[np.float64]
    AnyArray: TypeAlias = npt.NDArray[Any]
else:  # numpy stays off the path of what only describes
    FloatArray = DoubleArray = AnyArray = Any

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
        name: Any = self.name
        labels: Any = self.labels
        if not isinstance(name, str) or not name:
            raise ParameterError(f"name of a column must be text, got {self.name!r}.")
        if not isinstance(self.unit, str):
            raise ParameterError(f"unit of a column must be text, got {self.unit!r}.")
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


def frame_times(n_frames: int, *, hop: Fraction, first: Fraction, sr: int) -> DoubleArray:
    """Return the centres of frames in seconds; ``hop`` and ``first`` count samples at ``sr``.

    Positions are integers over one denominator until the last division, so frame one million is
    as exact as frame one.
    """
    import numpy as np

    common = hop.denominator * first.denominator
    step = hop.numerator * first.denominator
    start = first.numerator * hop.denominator
    return (start + step * np.arange(n_frames, dtype=np.int64)) / np.float64(common * sr)


def check_label(label: object, column: str) -> None:
    """Raise `ParameterError` unless ``label`` is text that can be stored."""
    if not isinstance(label, str):
        raise ParameterError(
            f"{column} must hold text, got {label!r}. Return the texts, not their numbers."
        )
    if "\0" in label or len(label) > MAX_LABEL or (not label.isascii() and not _is_unicode(label)):
        raise ParameterError(
            f"{column} must hold text of at most {MAX_LABEL} characters without NUL or lone "
            f"surrogates, got {label[:40]!r}."
        )


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


#: dtypes that a feature may have.
DTYPES = ("float32", "float64", "float16", "int64", "int32", "int16", "int8", "uint8")

_PLAIN = {"name": str, "kind": str, "dim": int, "dtype": str, "unit": str, "description": str}


_FRACTION = re.compile(r"-?[0-9]{1,18}(/[0-9]{1,18})?")


def _fraction(text: Any) -> Fraction:
    """Return a number of samples that `FeatureSpec.to_json` wrote."""
    if not isinstance(text, str) or not _FRACTION.fullmatch(text):
        raise ValueError(f"a number of samples must be like 441/2, got {text!r:.100}")
    return Fraction(text)


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
        if self.dtype not in DTYPES:
            raise ParameterError(f"dtype must be one of {listed(DTYPES)}, got {self.dtype!r}.")
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
        """Names of the columns; empty if there are none."""
        return tuple(column.name for column in self.columns)

    @property
    def has_labels(self) -> bool:
        """Whether a column holds labels: values are then structured arrays."""
        return any(column.is_label for column in self.columns)

    @property
    def is_contour(self) -> bool:
        """Whether it is one frequency per frame, such as the pitch of a voice."""
        return self.kind == "frames" and self.dim == 1 and self.unit == "Hz"

    def aspect(self, notion: str) -> slice:
        """Return the slice of ``notion``, one of the keys of ``aspects``."""
        if notion not in self.aspects:
            raise ParameterError(
                f"aspect must be one of {listed(sorted(self.aspects))}, got {notion!r}."
            )
        return slice(*self.aspects[notion])

    def times(self, n_frames: int, *, sr: int) -> DoubleArray:
        """Return the centres of ``n_frames`` frames in seconds, shape ``(n_frames,)``."""
        if self.hop is None:
            raise ParameterError(f"times must be asked of a frames feature, got {self.kind!r}.")
        return frame_times(n_frames, hop=self.hop, first=self.first, sr=sr)

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
        """Read what `to_json` wrote; anything else raises `ParameterError`."""
        try:
            values = dict(plain)
            values["hop"] = None if values["hop"] is None else _fraction(values["hop"])
            values["first"] = _fraction(values["first"])
            values["columns"] = tuple(Column.from_json(column) for column in values["columns"])
            values["aspects"] = {key: (int(a), int(b)) for key, (a, b) in values["aspects"].items()}
            for name, kind in _PLAIN.items():
                if type(values[name]) is not kind:
                    raise TypeError(f"{name} must be {kind.__name__}, got {values[name]!r:.100}")
            if type(values["frame_length"]) not in (int, type(None)):
                raise TypeError(f"frame_length must be int, got {values['frame_length']!r:.100}")
            return cls(**values)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ParameterError(f"no description of a feature: {error}") from error


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
    slot : str
        A parameter of the extractor, such as ``model``, of which every value has weights of its
        own in the cache: ``music-tagger-cnn`` beside ``music-tagger-crnn``. What the converter
        gives says its value in the configuration's ``params``. Empty where there is one file.
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
    slot: str = ""
    required: bool = True


class Features(dict[str, "AnyArray"]):
    """What an extractor returns for one track: feature name to array.

    ``clip`` arrays are ``(D,)``, ``frames`` are ``(T, D)``. ``events`` are a mapping of columns,
    such as ``{"time": [0.0, 1.5], "end": [1.5, 3.0], "label": ["C:maj", "N"]}``, or, without
    labels, ``(N, k)``. The object returned by ``featx.open_extractor(name)(y, sr)`` also knows its
    time axes; events with labels are structured arrays there, which `events` makes easy to use.
    """

    def __init__(
        self,
        values: Mapping[str, AnyArray | Mapping[str, Any]] | None = None,
        /,
        *,
        specs: Mapping[str, FeatureSpec] | None = None,
        sr: int | None = None,
        **more: AnyArray | Mapping[str, Any],
    ) -> None:
        entries: dict[str, Any] = {**(values or {}), **more}
        super().__init__(entries)
        self.specs: Mapping[str, FeatureSpec] = specs or {}
        self.sr = sr

    def __repr__(self) -> str:
        parts = []
        for name, values in self.items():
            kind = f"{self.specs[name].kind} " if name in self.specs else ""
            shape = getattr(values, "shape", type(values).__name__)
            dtype = getattr(values, "dtype", "")
            fields = getattr(dtype, "names", None)
            parts.append(f"{name}: {kind}{shape} {', '.join(fields) if fields else dtype}".rstrip())
        return f"Features({'; '.join(parts)})"

    def times(self, name: str) -> DoubleArray:
        """Return the frame centres of feature ``name`` in seconds."""
        if name not in self.specs or self.sr is None:
            raise ParameterError(
                f"times must be asked of a feature with a spec, got {name!r}; "
                f"known: {listed(sorted(self.specs))}."
            )
        return self.specs[name].times(len(self[name]), sr=self.sr)

    def events(self, name: str) -> Events:
        """Return the events of feature ``name``: times, labels and further columns."""
        from featx.annotations import Events

        if name not in self.specs:
            raise ParameterError(
                f"events must be asked of a feature with a spec, got {name!r}; "
                f"known: {listed(sorted(self.specs))}."
            )
        return Events.of(self.specs[name], self[name])
