"""How one panel is drawn into given matplotlib axes; what belongs in the legend is returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from featx.annotations import Events
    from featx.types import AnyArray, DoubleArray, FloatArray
    from featx_plot.panels import Frames

#: Okabe and Ito's colours, distinct for every kind of colour vision, those first that also stand
#: out on the dark image panels.
PALETTE = ("#56B4E9", "#009E73", "#E69F00", "#CC79A7", "#0072B2", "#D55E00")
INK = "#2E3440"
WAVE = "#4C566A"

#: More dimensions than this make an image instead of lines.
MAX_LINES = 8
#: Columns of an image, or of a waveform's envelope; more cannot be seen.
MAX_COLUMNS = 3000

#: More events than this stay without labels, and are marked at the upper edge of panels only.
MAX_LABELS = 64
_TICK = 0.08

#: Round frequencies in Hz, those first that a crowded axis keeps.
_TICKS = (1000, 100, 10_000, 500, 200, 2000, 5000, 50, 20_000, 300, 3000)


def is_strip(events: Events) -> bool:
    """Tell whether ``events`` are spans with labels instead of notes."""
    return events.ends is not None and events.frequencies is None


def is_image(frames: Frames) -> bool:
    """Tell whether ``frames`` are drawn as an image."""
    return frames.frequencies is not None or frames.values.shape[1] > MAX_LINES


def waveform(axes: Axes, y: FloatArray, sr: int, offset: float) -> None:
    """Draw samples as a line, or the least and greatest of each column as an area."""
    if len(y) <= 2 * MAX_COLUMNS:
        axes.plot(offset + np.arange(len(y)) / sr, y, color=WAVE, linewidth=0.8)
    else:
        edges = np.linspace(0, len(y), MAX_COLUMNS + 1).astype(np.int64)[:-1]
        low, high = np.minimum.reduceat(y, edges), np.maximum.reduceat(y, edges)
        centres = offset + (edges + len(y) / MAX_COLUMNS / 2) / sr
        axes.fill_between(centres, low, high, color=WAVE, linewidth=0.3)
    peak = float(np.abs(y).max()) if len(y) else 0.0
    limit = max(1.08 * peak, 1e-3)
    axes.set_ylim(-limit, limit)
    axes.axhline(0.0, color=INK, linewidth=0.4, alpha=0.5)
    _panel(axes, "", "amplitude")


def image(axes: Axes, frames: Frames, bar: Axes) -> None:
    """Draw values as an image, dimension by dimension upwards, with a colour bar."""
    values, times = frames.values, frames.times
    n_frames, dim = values.shape
    if n_frames == 0:
        bar.set_axis_off()
        _panel(axes, frames.name, "")
        axes.text(0.5, 0.5, "no frames", transform=axes.transAxes, ha="center", va="center")
        return
    unit = frames.unit
    if frames.frequencies is None and _unlike(values):
        values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)
        unit = "each dimension in its own\nstandard deviations"
    low, high, diverging = _range(values, signed=frames.frequencies is None)
    half = frames.step / 2
    drawn = axes.imshow(
        _columns(values).T,
        origin="lower",
        aspect="auto",
        interpolation="nearest" if dim < 64 else "antialiased",
        extent=(times[0] - half, times[-1] + half, -0.5, dim - 0.5),
        cmap="PuOr_r" if diverging else "magma",
        vmin=low,
        vmax=high,
    )
    if frames.frequencies is not None:
        frequency_axis(axes, frames.frequencies)
    else:
        dimension_axis(axes, dim, frames.labels)
    axes.set_title(frames.name, fontsize=9, loc="left", color=INK, pad=3, parse_math=False)
    axes.tick_params(labelsize=8, colors=INK)
    colours = axes.figure.colorbar(drawn, cax=bar)
    colours.set_label(unit, fontsize=8, color=INK)
    colours.outline.set_visible(False)
    bar.tick_params(labelsize=7, colors=INK)


def lines(axes: Axes, frames: Frames | None) -> None:
    """Draw each dimension as a line."""
    if frames is None:
        axes.set_yticks([])
        return
    labels = frames.labels or [str(index) for index in range(frames.values.shape[1])]
    for index, label in enumerate(labels):
        axes.plot(
            frames.times,
            frames.values[:, index],
            color=PALETTE[(index + 4) % len(PALETTE)],
            linewidth=1.1,
            marker="o" if len(frames.times) == 1 else None,
            label=_literal(label),
        )
    if len(labels) > 1:
        axes.legend(
            loc="upper right",
            ncols=len(labels),
            fontsize=7,
            framealpha=0.8,
            edgecolor="none",
            borderaxespad=0.2,
        )
    axes.margins(y=0.08)
    _panel(axes, frames.name, frames.unit)


def strip(axes: Axes, events: Events, shown: float) -> None:
    """Draw labelled spans as a strip of boxes; equal labels have equal colours.

    ``shown`` is the length of the time axis in seconds: labels shrink to fit, or are omitted.
    """
    ends = events.starts if events.ends is None else events.ends
    tints: dict[str, str] = {}
    spans: dict[tuple[float, float], list[str]] = {}
    for start, end, name in zip(events.starts, ends, _span_texts(events), strict=True):
        spans.setdefault((start, end), []).append(name)
    for index, ((start, end), several) in enumerate(spans.items()):
        label = " / ".join(filter(None, several))  # candidates of one span, such as tempi
        key = label or str(index % 2)
        tint = "#E5E9F0" if key in ("N", "X") else tints.setdefault(key, _tint(len(tints)))
        axes.axvspan(start, end, facecolor=tint, edgecolor="white", linewidth=1.0)
        size = _label_size(label, (end - start) / shown)
        if size:
            axes.text(
                (start + end) / 2,
                0.47,
                label,
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="center",
                fontsize=size,
                color="black",
                clip_on=True,
                parse_math=False,
            )
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.set_ylabel(
        events.name, rotation=0, ha="right", va="center", fontsize=8, color=INK, parse_math=False
    )
    for side in axes.spines.values():
        side.set_visible(False)


def _span_texts(events: Events) -> list[str]:
    """Return labels, or where there are none the numbers of the first further column."""
    if events.labels:
        return list(events.labels)
    columns = (np.asarray(column) for column in events.columns.values())
    numbers = next((column for column in columns if column.dtype.kind == "f"), None)
    if numbers is None:
        return [""] * len(events)
    return [f"{number:.4g}" for number in numbers.tolist()]


def _label_size(label: str, share: float) -> float:
    """Return a font size at which ``label`` fits into a ``share`` of the axis; 0 for none."""
    return next((size for size in (8.0, 6.5) if share * 920 / size > len(label)), 0.0)


def roll(axes: Axes, events: Events) -> None:
    """Draw notes over pitch, in a panel of their own."""
    pitches = 69 + 12 * np.log2(np.maximum(_frequencies(events), 1e-3) / 440)
    ends = events.starts if events.ends is None else events.ends
    axes.hlines(pitches, events.starts, ends, color=PALETTE[4], linewidth=3)
    _panel(axes, events.name, "pitch (MIDI)")


def contour(axes: Axes, frames: Frames, frequencies: DoubleArray, colour: str) -> Any:
    """Draw a line in Hz over a panel with a frequency axis; values <= 0 are gaps."""
    hertz = frames.values[:, 0].astype(np.float64)
    rows = rows_of(np.where(hertz > 0, hertz, np.nan), frequencies)
    (line,) = axes.plot(
        frames.times, rows, color=colour, linewidth=1.6, label=_literal(frames.name)
    )
    return _outlined(line, 2.8)


def _outlined(artist: Any, width: float) -> Any:
    """Give a line a dark edge, so that it stands out on bright parts of an image."""
    from matplotlib.patheffects import withStroke

    artist.set_path_effects([withStroke(linewidth=width, foreground=INK)])
    return artist


def twin(axes: Axes, frames: Frames, colour: str) -> Any:
    """Draw a line over any panel, with an axis of its own on the right."""
    second = axes.twinx()
    unit = f" ({frames.unit})" if frames.unit else ""
    (line,) = second.plot(
        frames.times,
        frames.values[:, 0],
        color=colour,
        linewidth=1.4,
        label=_literal(frames.name + unit),
    )
    second.tick_params(labelsize=7, colors=INK)
    _quiet(second)
    return line


def notes(axes: Axes, events: Events, frequencies: DoubleArray, colour: str) -> Any:
    """Draw notes as bars over a panel with a frequency axis."""
    rows = rows_of(_frequencies(events), frequencies)
    ends = events.starts + 0.02 if events.ends is None else events.ends
    bars = axes.hlines(
        rows, events.starts, ends, color=colour, linewidth=2.0, label=_literal(events.name)
    )
    return _outlined(bars, 3.6)


def instants(
    targets: Sequence[Axes], events: Events, colour: str, *, labelled: bool, row: int = 0
) -> Any:
    """Draw events as vertical lines over every panel, their labels above the first of these.

    Many events are ticks at the upper edge, strong ones twice as long: lines would hide what is
    below. ``row`` puts those of several groups below each other.
    """
    from matplotlib.lines import Line2D

    strong = np.asarray(events.strong, dtype=bool)
    few = len(events.starts) <= MAX_LABELS
    for chosen, width, style in (
        (strong, 1.6 if few else 0.8, "-"),
        (~strong, 0.9, (0, (4, 2)) if few else "-"),
    ):
        starts = events.starts[chosen]
        low, high = (0.0, 1.0)
        if len(starts) > MAX_LABELS:
            shorter = chosen is not strong and strong.any()
            low, high = _tick(row, share=0.45 if shorter else 0.9)
        for axes in targets:
            across = axes.get_xaxis_transform()
            axes.vlines(starts, low, high, transform=across, color=colour, lw=width, ls=style)
    if labelled and len(events.starts) <= MAX_LABELS:
        _write_above(targets[0], events)
    return Line2D([], [], color=colour, linewidth=1.4, label=_literal(events.name))


def _tick(row: int, *, share: float) -> tuple[float, float]:
    """Return where the ticks of a group, in a share of its row, begin and end in a panel."""
    top = 1.0 - (row % 4) * _TICK
    return top - share * _TICK, top


def _write_above(axes: Axes, events: Events) -> None:
    """Write the labels above a panel without title, or into the top of one that has one."""
    inside = bool(axes.get_title(loc="left"))
    for start, label in zip(events.starts, events.labels, strict=True):
        axes.annotate(
            label,
            (start, 1.0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, -2 if inside else 1),
            textcoords="offset points",
            ha="center",
            va="top" if inside else "bottom",
            fontsize=7,
            color=INK,
            bbox={"facecolor": "white", "alpha": 0.75, "pad": 0.8, "lw": 0} if inside else None,
            annotation_clip=True,
            parse_math=False,
        )


def rows_of(hertz: DoubleArray, frequencies: DoubleArray) -> DoubleArray:
    """Return where frequencies lie on an axis of dimensions; NaN outside of it."""
    index = np.arange(len(frequencies), dtype=np.float64)
    return np.interp(hertz, frequencies, index, left=np.nan, right=np.nan)


def frequency_axis(axes: Axes, frequencies: DoubleArray) -> None:
    """Label dimensions by round frequencies in Hz, at least a sixteenth of the axis apart."""
    span = len(frequencies)
    even = len(frequencies) > 2 and np.allclose(np.diff(frequencies), frequencies[1])
    candidates = _even_ticks(frequencies[-1]) if even else np.asarray(_TICKS, dtype=np.float64)
    ticks: list[tuple[float, float]] = []
    for hertz in candidates:
        row = float(rows_of(np.asarray(hertz), frequencies))
        if np.isfinite(row) and all(abs(row - other) >= span / 16 for other, _ in ticks):
            ticks.append((row, hertz))
    ticks.sort()
    axes.set_yticks([row for row, _ in ticks], [hertz_text(hertz) for _, hertz in ticks])
    axes.set_ylabel("frequency (Hz)", fontsize=8, color=INK)


def dimension_axis(axes: Axes, dim: int, labels: Sequence[str]) -> None:
    """Label dimensions by their names, or by number."""
    step = max(1, -(-dim // 14))
    rows = list(range(0, dim, step))
    axes.set_yticks(rows, [labels[row] if labels else str(row) for row in rows])
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    if not labels:
        axes.set_ylabel("dimension", fontsize=8, color=INK)


def hertz_text(hertz: float) -> str:
    """Return 440 as ``440``, 2000 as ``2k``."""
    return f"{hertz / 1000:g}k" if hertz >= 1000 else f"{hertz:g}"


def time_axis(all_axes: Sequence[Axes], limits: tuple[float, float]) -> None:
    """Give all panels one time axis, labelled once at the bottom; minutes from 100 s on."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    minutes = limits[1] >= 100

    def text(seconds: float, _: int) -> str:
        if not minutes:
            return f"{seconds:g}"
        return f"{int(seconds // 60)}:{seconds % 60:04.1f}".removesuffix(".0")

    for axes in all_axes:
        axes.set_xlim(*limits)
        axes.tick_params(axis="x", labelbottom=axes is all_axes[-1], labelsize=8, colors=INK)
        if axes is not all_axes[-1]:
            axes.tick_params(axis="x", length=0)
    steps = [1, 1.5, 3, 6, 10] if minutes else [1, 2, 5, 10]
    all_axes[0].xaxis.set_major_locator(MaxNLocator(nbins=12, steps=steps))
    all_axes[0].xaxis.set_major_formatter(FuncFormatter(text))
    all_axes[-1].set_xlabel("time (min:s)" if minutes else "time (s)", fontsize=9, color=INK)


def _panel(axes: Axes, name: str, unit: str) -> None:
    axes.set_title(name, fontsize=9, loc="left", color=INK, pad=3, parse_math=False)
    axes.set_ylabel(unit, fontsize=8, color=INK)
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(axis="y", color="#D8DEE9", linewidth=0.5)
    axes.set_axisbelow(True)
    _quiet(axes)


def _literal(text: str) -> str:
    """Return ``text`` so that a legend shows ``$`` as it is."""
    return text.replace("$", r"\$")


def _quiet(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _columns(values: AnyArray) -> AnyArray:
    """Average neighbouring frames until at most `MAX_COLUMNS` are left."""
    n_frames = len(values)
    if n_frames <= MAX_COLUMNS:
        return values
    edges = np.linspace(0, n_frames, MAX_COLUMNS + 1).astype(np.int64)
    sums = np.add.reduceat(values, edges[:-1], axis=0, dtype=np.float64)
    return np.asarray(sums / np.diff(edges)[:, None], dtype=np.float32)


def _range(values: AnyArray, *, signed: bool) -> tuple[float, float, bool]:
    """Return least and greatest value shown, and whether zero is the middle of the colours.

    ``signed`` allows the latter, for values to both sides of zero; logarithms of a spectrum
    cross zero without meaning it.
    """
    low, high = (float(value) for value in np.percentile(values, (1.0, 99.7)))
    if signed and low < 0 < high and min(-low, high) > 0.15 * max(-low, high):
        limit = max(-low, high)
        return -limit, limit, True
    if high <= low:
        high = low + 1.0
    return low, high, False


def _unlike(values: AnyArray) -> bool:
    """Tell whether dimensions lie so far apart that one scale of colours would hide them."""
    centres, spreads = np.median(values, axis=0), values.std(axis=0)
    return bool(np.ptp(centres) > 10 * np.median(spreads) > 0)


def _even_ticks(top: float) -> DoubleArray:
    step = next((s for s in (100, 200, 500, 1000, 2000, 5000) if top / s <= 9), 10_000)
    return np.arange(0, top + 1, step, dtype=np.float64)


def _tint(index: int) -> str:
    """Return a light version of a palette colour, on which black text can be read."""
    base = PALETTE[index % len(PALETTE)]
    share = 0.45 if index < len(PALETTE) else 0.25
    channels = [int(base[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - share * (255 - value)):02X}" for value in channels)


def _frequencies(events: Events) -> DoubleArray:
    return np.asarray(events.frequencies, dtype=np.float64)
