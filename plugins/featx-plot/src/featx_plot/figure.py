"""Drawing: one matplotlib Figure from panels and events. No pyplot, no global state, no window."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.annotations import printable
from featx.commands import replacing
from featx.errors import ParameterError, listed
from featx_plot import axes as draw

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from featx.annotations import Events
    from featx.types import FloatArray
    from featx_plot.panels import Frames

#: File types that `save` writes.
SUFFIXES = (".png", ".pdf", ".svg")

_INCHES = {"strip": 0.32, "waveform": 1.25, "image": 2.3, "lines": 1.4, "notes": 1.6}


def render(
    *,
    title: str = "",
    y: FloatArray | None = None,
    sr: int | None = None,
    offset: float = 0.0,
    panels: Sequence[Frames] = (),
    over: Sequence[Frames] = (),
    events: Sequence[Events] = (),
    width: float = 11.0,
) -> Figure:
    """Draw a recording: strips of labels, waveform, then the panels, on one time axis.

    Parameters
    ----------
    title : str
        Above everything; taken literally, also with ``$``.
    y : float32 array, shape (n_samples,), optional
        Waveform; if it is None, the panel is omitted.
    sr : int
        Rate of ``y`` in Hz.
    offset : float >= 0
        Time of the first sample of ``y`` in seconds. Panels and events have absolute times; what
        lies outside of ``y`` is not drawn.
    panels : sequence of Frames
        One panel each, in this order.
    over : sequence of Frames
        One-dimensional values drawn as lines over a panel: those in Hz over the first panel
        with a frequency axis, all others over the waveform with their own axis on the right.
    events : sequence of Events
        Lines over every panel, labelled strips, or notes over the first frequency axis.
    width : float > 0
        Inches; the height follows from the number of panels.

    Returns
    -------
    matplotlib.figure.Figure
        With an Agg canvas, ready for `save`.

    Raises
    ------
    ParameterError
        If there is nothing to draw, ``sr`` is missing, or ``over`` has more than one dimension.
    """
    _check(y, sr, panels, over, events)
    figure = new_figure()
    low, high = _time_range(y, sr, offset, panels, events)
    panels = [panel.between(low, high) for panel in panels]
    over = [line.between(low, high) for line in over]
    events = [group.between(low, high) for group in events]
    plan = _rows(y, panels, events)
    heights = [_INCHES[kind] for kind, _ in plan]
    figure.set_size_inches(width, sum(heights) + 0.22 * len(plan) + 0.75)
    grid = figure.add_gridspec(len(plan), 2, height_ratios=heights, width_ratios=[1, 0.013])
    all_axes: list[Axes] = []
    for row, (kind, content) in enumerate(plan):
        axes = figure.add_subplot(grid[row, 0], sharex=all_axes[0] if all_axes else None)
        axes.featx_kind = kind  # type: ignore[attr-defined]
        all_axes.append(axes)
        if kind == "strip":
            draw.strip(axes, content, high - low)
        elif kind == "waveform":
            draw.waveform(axes, content, sr or 1, offset)
        elif kind == "notes":
            draw.roll(axes, content)
        elif kind == "image":
            draw.image(axes, content, figure.add_subplot(grid[row, 1]))
        else:
            draw.lines(axes, content)
    _overlay(figure, all_axes, plan, over, events)
    draw.time_axis(all_axes, (low, high))
    if title:
        figure.suptitle(
            printable(title), x=0.01, ha="left", fontsize=11, weight="bold", parse_math=False
        )
    return figure


def check_output(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """Refuse a file that cannot be written, before what goes into it is computed.

    Raises
    ------
    ParameterError
        If the suffix is none of ``suffixes``, or the folder does not exist.
    """
    if path.suffix.lower() not in suffixes:
        raise ParameterError(f"output must end in one of {listed(suffixes)}, got {path.name!r}.")
    if not path.parent.is_dir():
        raise ParameterError(
            f"output must be in an existing folder, got {str(path.parent)!r}. Make it first."
        )


def save(figure: Figure, path: str | Path, *, dpi: int = 150) -> Path:
    """Write ``figure`` as PNG, PDF or SVG, by the suffix of ``path``.

    The file appears under its name only when it is complete. Equal figures give equal files.

    Raises
    ------
    ParameterError
        If the suffix is not one of these, or the folder does not exist.
    """
    path = Path(path)
    check_output(path)
    suffix = path.suffix.lower()
    dates = {".png": {}, ".pdf": {"CreationDate": None}, ".svg": {"Date": None}}
    with replacing(path) as temporary, warnings.catch_warnings():
        # A character that the font lacks becomes a box; the picture is still right.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(temporary, format=suffix[1:], dpi=dpi, metadata=dates[suffix])
    return path


def new_figure() -> Figure:
    """Return an empty figure with an Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    engine = ConstrainedLayoutEngine(h_pad=0.03, w_pad=0.04, hspace=0.0, wspace=0.01)
    figure = Figure(layout=engine, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _check(
    y: FloatArray | None,
    sr: int | None,
    panels: Sequence[Frames],
    over: Sequence[Frames],
    events: Sequence[Events],
) -> None:
    if y is None and not panels and not events:
        raise ParameterError("render must be given y, panels or events, got none of them.")
    if y is not None and (y.ndim != 1 or not sr or sr <= 0):
        raise ParameterError(
            f"y must be one-dimensional and come with sr > 0, got shape {y.shape}, sr {sr}."
        )
    for frames in over:
        if frames.values.shape[1] != 1:
            raise ParameterError(
                f"over must be one-dimensional, got {frames.name!r} with "
                f"{frames.values.shape[1]} dimensions. Give it a panel instead."
            )


def _rows(
    y: FloatArray | None, panels: Sequence[Frames], events: Sequence[Events]
) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [("strip", group) for group in events if draw.is_strip(group)]
    if y is not None:
        rows.append(("waveform", y))
    rows += [("image" if draw.is_image(frames) else "lines", frames) for frames in panels]
    if not any(frames.frequencies is not None for frames in panels):
        rows += [("notes", group) for group in events if group.frequencies is not None]
    if not any(kind != "strip" for kind, _ in rows) and any(not draw.is_strip(e) for e in events):
        rows.append(("lines", None))
    return rows


def _overlay(
    figure: Figure,
    all_axes: list[Axes],
    plan: list[tuple[str, Any]],
    over: Sequence[Frames],
    events: Sequence[Events],
) -> None:
    hertz = next(
        (
            (axes, content.frequencies)
            for axes, (kind, content) in zip(all_axes, plan, strict=True)
            if kind == "image" and content.frequencies is not None
        ),
        None,
    )
    keys: list[Any] = []
    targets = [axes for axes, (kind, _) in zip(all_axes, plan, strict=True) if kind != "strip"]
    labelled = next((group for group in events if not draw.is_strip(group) and group.labels), None)
    for frames in over:
        colour = draw.PALETTE[len(keys) % len(draw.PALETTE)]
        if frames.unit == "Hz" and hertz is not None:
            keys.append(draw.contour(hertz[0], frames, hertz[1], colour))
        else:
            keys.append(draw.twin(_widest(all_axes, plan), frames, colour))
    rows = 0  # of ticks
    for group in events:
        if draw.is_strip(group):
            continue
        colour = draw.PALETTE[len(keys) % len(draw.PALETTE)]
        if group.frequencies is not None:
            if hertz is not None:
                keys.append(draw.notes(hertz[0], group, hertz[1], colour))
            continue
        drawn = draw.instants(targets, group, colour, labelled=group is labelled, row=rows)
        keys.append(drawn)
        rows += len(group.starts) > draw.MAX_LABELS
    if keys:
        figure.legend(
            handles=keys,
            loc="outside upper right",
            ncols=len(keys),
            frameon=False,
            fontsize=9,
        )


def _widest(all_axes: list[Axes], plan: list[tuple[str, Any]]) -> Axes:
    """Return the waveform, or else the first panel that is not a strip."""
    for candidate in ("waveform", "lines", "image", "notes"):
        for axes, (kind, _) in zip(all_axes, plan, strict=True):
            if kind == candidate:
                return axes
    return all_axes[0]


def _time_range(
    y: FloatArray | None,
    sr: int | None,
    offset: float,
    panels: Sequence[Frames],
    events: Sequence[Events],
) -> tuple[float, float]:
    """Seconds shown: the waveform's, or else all that there is."""
    if y is not None and sr:
        return offset, offset + max(len(y), 1) / sr
    lows = [float(f.times[0] - f.step / 2) for f in panels if len(f.times)]
    highs = [float(f.times[-1] + f.step / 2) for f in panels if len(f.times)]
    for group in events:
        if len(group.starts):
            lows.append(float(group.starts.min()))
            highs.append(float((group.starts if group.ends is None else group.ends).max()))
    low, high = min(lows, default=0.0), max(highs, default=1.0)
    return low, high if high > low else low + 1.0
