"""Maps: vectors as points of a plane, coloured by what is known of their tracks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.annotations import printable
from featx.errors import FeatxError, ParameterError
from featx_plot.figure import new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from featx.types import AnyArray, DoubleArray, FloatArray

__all__ = ["LAYOUTS", "layout", "render_map"]

#: Ways to lay vectors out.
LAYOUTS = ("tsne", "umap", "pca")

#: Colours of as many classes; further ones share a grey.
_COLOURS = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6BB1", "#A6761D",
    "#1B9E9E", "#E7298A", "#66A61E", "#332288",
)  # fmt: skip
_GREY = "#B8BEC9"
_OTHERS = "others"
_NONE = "none"


def layout(
    vectors: FloatArray, *, method: str = "tsne", perplexity: float = 30.0, seed: int = 0
) -> DoubleArray:
    """Place vectors in the plane so that near ones (by cosine) stay near.

    Parameters
    ----------
    vectors : float array, shape (n, dim), n >= 2
        One row per track, finite; all-zero rows count as a direction of their own.
    method : {'tsne', 'umap', 'pca'}
        t-SNE or PCA of scikit-learn, UMAP of umap-learn. PCA works on vectors of unit length.
    perplexity : float > 0
        Neighbours that count: t-SNE's perplexity, at most (n - 1) / 3, or UMAP's ``n_neighbors``.
    seed : int
        Equal seeds give equal maps.

    Returns
    -------
    float64 array, shape (n, 2)

    Raises
    ------
    ParameterError
        For an unknown method, or too few or non-finite vectors.
    FeatxError
        If the library is not installed.

    References
    ----------
    van der Maaten, Hinton. "Visualizing data using t-SNE". JMLR 9, 2008.
    McInnes, Healy, Melville. "UMAP: uniform manifold approximation and projection". 2018.
    """
    if method not in LAYOUTS:
        raise ParameterError(f"method must be one of {', '.join(LAYOUTS)}, got {method!r}.")
    if vectors.ndim != 2 or len(vectors) < 2:
        raise ParameterError(f"vectors must be at least 2 rows, got shape {vectors.shape}.")
    if not np.isfinite(vectors).all():
        raise ParameterError("vectors must be finite, got NaN or inf.")
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, np.finfo(np.float64).tiny)
    if method == "umap":
        points = _umap(unit, perplexity, seed)
    elif method == "pca" or len(unit) < 4:
        points = _pca(unit)
    else:
        points = _tsne(unit, perplexity, seed)
    return np.asarray(points, np.float64)


def _pca(unit: DoubleArray) -> AnyArray:
    centred = unit - unit.mean(axis=0)
    _, sizes, axes = np.linalg.svd(centred, full_matrices=False)
    points = np.zeros((len(unit), 2))
    k = min(2, len(axes))
    points[:, :k] = centred @ axes[:k].T
    del sizes
    return points


def _tsne(unit: DoubleArray, perplexity: float, seed: int) -> AnyArray:
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise FeatxError(
            "t-SNE needs scikit-learn, which is not installed. Run: pip install 'featx-plot[map]', "
            "or choose --method pca."
        ) from error
    model = TSNE(
        perplexity=min(perplexity, (len(unit) - 1) / 3.0),
        init=_pca(unit).astype(np.float32) if unit.any() else "random",
        metric="cosine",
        random_state=seed,
    )
    points: AnyArray = model.fit_transform(unit)
    return points


def _umap(unit: DoubleArray, neighbours: float, seed: int) -> AnyArray:
    try:
        from umap import UMAP
    except ImportError as error:
        raise FeatxError(
            "UMAP needs umap-learn, which is not installed. Run: pip install umap-learn, or choose "
            "--method tsne."
        ) from error
    count = max(2, min(round(neighbours), len(unit) - 1))
    points: AnyArray = UMAP(
        n_neighbors=count, metric="cosine", random_state=seed, n_jobs=1
    ).fit_transform(unit)
    return points


def render_map(
    points: DoubleArray,
    *,
    values: Sequence[str] | None = None,
    name: str = "",
    title: str = "",
    labels: Sequence[str] | None = None,
    width: float = 8.0,
) -> Figure:
    """Draw points coloured by one value each.

    Parameters
    ----------
    points : float array, shape (n, 2)
        From `layout`.
    values : sequence of n str, optional
        More than twelve different numbers are a scale; anything else are classes. The twelve most
        frequent classes have colours, the others share a grey, empty values another.
    name : str
        What the values are, for the legend.
    title : str
        Above everything, taken literally.
    labels : sequence of n str, optional
        Written beside the points.
    width : float > 0
        Inches.

    Returns
    -------
    matplotlib.figure.Figure
        For `featx_plot.save`.

    Raises
    ------
    ParameterError
        If lengths differ.
    """
    if points.ndim != 2 or points.shape[1] != 2:
        raise ParameterError(f"points must have shape (n, 2), got {points.shape}.")
    for what, items in (("values", values), ("labels", labels)):
        if items is not None and len(items) != len(points):
            raise ParameterError(f"{what} must be one per point ({len(points)}), got {len(items)}.")
    figure = new_figure()
    figure.set_size_inches(width, 0.78 * width)
    axes = figure.add_subplot()
    values = None if values is None else rounded(values)
    axes.featx_kind = "map"  # type: ignore[attr-defined]
    size = float(np.clip(2400.0 / max(len(points), 1), 6.0, 48.0))
    numbers = None if values is None else numbers_of(values)
    if values is None:
        _scatter(axes, points, s=size, c=_COLOURS[0])
    elif numbers is not None:
        known = np.isfinite(numbers)
        _scatter(axes, points[~known], s=size, c=_GREY)
        drawn = _scatter(axes, points[known], s=size, c=numbers[known], cmap="viridis")
        figure.colorbar(drawn, ax=axes, label=name, shrink=0.7)
    else:
        _classes(axes, points, values, name, size)
    for text, (x, y) in zip(labels or (), points, strict=labels is not None):
        axes.annotate(
            printable(text), (x, y), fontsize=5, xytext=(2, 2), textcoords="offset points",
            parse_math=False,
        )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_aspect("equal", adjustable="datalim")
    if title:
        figure.suptitle(
            printable(title), x=0.01, ha="left", fontsize=11, weight="bold", parse_math=False
        )
    return figure


def _scatter(axes: Axes, points: DoubleArray, **style: Any) -> Any:
    return axes.scatter(points[:, 0], points[:, 1], linewidths=0, **style)


def rounded(values: Sequence[str]) -> list[str]:
    """Return values with at most 4 significant digits if all are numbers; integers stay."""
    if not all(_is_number(value) for value in values if value):
        return list(values)
    return [
        f"{float(f'{float(value):.4g}'):g}" if set(value) & set(".eE") else value
        for value in values
    ]


def numbers_of(values: Sequence[str]) -> DoubleArray | None:
    """Return the values as numbers (NaN where empty) if they are a scale, else None."""
    try:
        numbers = [float(value) if value else math.nan for value in values]
    except ValueError:
        return None
    distinct = {number for number in numbers if math.isfinite(number)}
    return np.array(numbers) if len(distinct) > len(_COLOURS) else None


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _classes(
    axes: Axes, points: DoubleArray, values: Sequence[str], name: str, size: float
) -> None:
    counts = Counter(value for value in values if value)
    ranked = sorted(counts, key=lambda value: (-counts[value], value))
    shown = ranked[: len(_COLOURS)]
    if all(_is_number(value) for value in shown):
        shown.sort(key=float)
    groups: list[tuple[str, str, Any]] = []
    array = np.array(values, dtype=object)
    rest = np.array([bool(value) and value not in shown for value in values])
    empty = np.array([not value for value in values])
    if rest.any():
        groups.append((f"{_OTHERS} ({len(ranked) - len(shown)})", _GREY, rest))
    if empty.any():
        groups.append((_NONE, "#E3E6EB", empty))
    groups += [
        (value, colour, array == value) for value, colour in zip(shown, _COLOURS, strict=False)
    ]
    for value, colour, chosen in groups:
        _scatter(axes, points[chosen], s=size, c=colour, label=printable(value), alpha=0.85)
    legend = axes.legend(
        title=printable(name), loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False,
        fontsize=8, markerscale=1.5,
    )  # fmt: skip
    for text in (*legend.get_texts(), legend.get_title()):
        text.set_parse_math(False)
