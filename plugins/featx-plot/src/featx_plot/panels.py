"""What a picture is made of besides events: values on a time grid. Arrays in, arrays out."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from featx.annotations.events import printable
from featx.errors import ParameterError

if TYPE_CHECKING:
    from featx.types import AnyArray, DoubleArray, FeatureSpec


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """Values on a regular time grid; drawn as lines, or as an image from nine dimensions on.

    Parameters
    ----------
    name : str
        Title of the panel.
    values : array, shape (T, D) or (T,)
        One row per frame.
    times : float64 array, shape (T,)
        Centres of the frames in seconds.
    labels : tuple of str
        One per dimension; empty to number them.
    frequencies : float64 array, shape (D,), optional
        Centre of every dimension in Hz, ascending: the panel gets a frequency axis.
    unit : str
        Unit of the values, for the axis or the colour bar.
    """

    name: str
    values: AnyArray
    times: DoubleArray
    labels: tuple[str, ...] = ()
    frequencies: DoubleArray | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float32)
        if values.ndim == 1:
            values = values[:, None]
        times = np.asarray(self.times, dtype=np.float64)
        if values.ndim != 2 or times.shape != values.shape[:1]:
            raise ParameterError(
                f"values of {self.name!r} must be (T, D) with T times, "
                f"got shape {values.shape} and {times.shape}."
            )
        for label, column in (("labels", self.labels), ("frequencies", self.frequencies)):
            if column is not None and len(column) not in (0, values.shape[1]):
                raise ParameterError(
                    f"{label} of {self.name!r} must have one entry for each of the "
                    f"{values.shape[1]} dimensions, got {len(column)}."
                )
        object.__setattr__(self, "name", printable(self.name))
        object.__setattr__(self, "labels", tuple(printable(label) for label in self.labels))
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "times", times)

    @property
    def step(self) -> float:
        """Seconds between two frames; 0.1 where there is only one."""
        return float(np.diff(self.times).mean()) if len(self.times) > 1 else 0.1

    def between(self, start: float, end: float) -> Frames:
        """Return the frames that show something from ``start`` to ``end``, in seconds."""
        half = self.step / 2
        inside = (self.times + half >= start) & (self.times - half <= end)
        return dataclasses.replace(self, values=self.values[inside], times=self.times[inside])


def frames_panel(
    spec: FeatureSpec, values: AnyArray, times: DoubleArray, *, name: str = ""
) -> Frames:
    """Return a ``frames`` feature with names and units from its spec.

    Parameters
    ----------
    spec : FeatureSpec
        Of kind ``frames``.
    values : array, shape (T, D)
        One track's values.
    times : float64 array, shape (T,)
        Centres in seconds, such as `FeatureSpec.times` or a store's ``times`` gives.
    name : str
        Title; the name of the feature if empty.

    Raises
    ------
    ParameterError
        If ``spec`` is not of kind ``frames``.
    """
    if spec.kind != "frames":
        raise ParameterError(f"feature {spec.name!r} must be frames, got {spec.kind}.")
    units = {column.unit for column in spec.columns} or {spec.unit}
    return Frames(
        name=name or spec.name,
        values=values,
        times=times,
        labels=spec.column_names,
        unit=_unit_text(units.pop()) if len(units) == 1 else "",
    )


def _unit_text(unit: str) -> str:
    return "" if unit == "1" else unit
