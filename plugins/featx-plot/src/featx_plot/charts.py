"""Small charts as SVG inside of pages: histograms, bands of quantiles, bars. Text is escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from featx.types import AnyArray, DoubleArray

#: Quantiles of a band, outermost first; the middle one is a line.
QUANTILES = (0.01, 0.25, 0.5, 0.75, 0.99)


def number(value: float) -> str:
    """Return a number in four digits."""
    return f"{value:.4g}"


def histogram(values: AnyArray, *, name: str, bins: int = 30) -> str:
    """Return a histogram of finite values between their quantiles 0.005 and 0.995.

    Values outside of these are in the first and last bin.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return _figure(name, "no values", "")
    low, high = np.quantile(values, (0.005, 0.995))
    if low == high:
        return _figure(name, f"always {number(low)}", "")
    counts, _ = np.histogram(values.clip(low, high), bins=bins, range=(low, high))
    width = 200 / bins
    bars = "".join(
        f'<rect x="{i * width:.1f}" y="{60 - 58 * count / counts.max():.1f}" '
        f'width="{width - 0.6:.1f}" height="{58 * count / counts.max():.1f}"/>'
        for i, count in enumerate(counts)
    )
    note = f"{number(low)} … {number(float(np.median(values)))} … {number(high)}"
    return _figure(name, note, _svg("histogram", 200, 60, bars))


def bands(values: AnyArray, *, name: str) -> str:
    """Return quantiles of every column, columns from left to right, shape (n, columns)."""
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values).all(axis=1)]
    if not len(values):
        return _figure(name, "no values", "")
    levels: DoubleArray = np.quantile(values, QUANTILES, axis=0)
    low, high = float(levels.min()), float(levels.max())
    x = np.linspace(0, 640, levels.shape[1])
    y = 118 - 116 * (levels - low) / ((high - low) or 1.0)
    shapes = [
        f'<polygon class="{kind}" points="{_points([*x, *x[::-1]], [*y[a], *y[b][::-1]])}"/>'
        for kind, a, b in (("wide", 0, 4), ("narrow", 1, 3))
    ]
    shapes.append(f'<polyline points="{_points(x, y[2])}"/>')
    svg = _svg("bands", 640, 120, "".join(shapes))
    note = f"{levels.shape[1]} columns from left to right, {number(low)} … {number(high)}"
    return _figure(name, note, svg, wide=True)


def bars(rows: Sequence[tuple[str, float, str]], *, name: str) -> str:
    """Return horizontal bars: label, length, and what stands behind it."""
    most = max((value for _, value, _ in rows), default=0.0) or 1.0
    lines = []
    for label, value, text in rows:
        bar = f"<rect width='{100 * value / most:.1f}' height='10'/>"
        svg = f"<svg viewBox='0 0 100 10' class='bar' preserveAspectRatio='none'>{bar}</svg>"
        cells = f"<td>{svg}</td><td>{html.escape(text)}</td>"
        lines.append(f"<tr><th>{html.escape(label)}</th>{cells}</tr>")
    table = f"<table class='bars'>{''.join(lines)}</table>"
    caption = f"<figcaption>{html.escape(name)}</figcaption>"
    return f"<figure class='wide'>{caption}{table}</figure>"


def _svg(kind: str, width: int, height: int, shapes: str) -> str:
    size = f'viewBox="0 0 {width} {height}" preserveAspectRatio="none"'
    return f'<svg {size} role="img" class="{kind}">{shapes}</svg>'


def _points(x: Sequence[float] | AnyArray, y: Sequence[float] | AnyArray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _figure(name: str, note: str, svg: str, *, wide: bool = False) -> str:
    kind = ' class="wide"' if wide else ""
    return (
        f"<figure{kind}><figcaption>{html.escape(name)}</figcaption>{svg}"
        f"<p>{html.escape(note)}</p></figure>"
    )
