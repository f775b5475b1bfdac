"""The page of `featx report`: what a store holds, what failed, what stands out, what it cost."""

from __future__ import annotations

import html
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.errors import FAILURE_CODES, SKIP_CODES
from featx.store import summarise
from featx_plot.charts import bands, bars, histogram, number
from featx_plot.pages import page, relative_url, shown, song_details, song_name

if TYPE_CHECKING:
    from featx.registry import Registry
    from featx.store import Store
    from featx.store.views import FeatureView
    from featx.types import AnyArray, DoubleArray

#: What to do about a failure or a skipped file, by its code.
REMEDIES: Mapping[str, str] = {
    "missing": "Bring the file back, or forget the track: featx prune STORE --gone.",
    "permission": "Make the file readable for the user who runs featx; run again with --failed.",
    "unreadable": "Check disk and network drive, copy the file again; run again with --failed.",
    "empty": "Copy the file again, or remove it from the collection.",
    "not-audio": "Remove the file from the list, or --exclude its pattern.",
    "unsupported": "Install the decoder: pip install 'featx[av]'; run again with --failed.",
    "truncated": "Get a complete copy: the end of the audio is missing.",
    "lying-header": "Write the file again from its source, such as with ffmpeg -i IN OUT.",
    "too-large": "Raise --max-size if the file is meant.",
    "too-long": "Raise --max-hours if the file is meant, or cut it.",
    "too-many-channels": "Raise --max-channels if the file is meant, or mix it down.",
    "bad-rate": "Resample the file to a rate between 1 kHz and 768 kHz.",
    "not-finite": "Write the file again: it holds NaN or infinite samples.",
    "decode-error": "Get another copy; the stream is damaged inside.",
    "changed": "Run again with --failed when nothing writes to the file.",
    "crash": "Run again with --failed; if it happens again, report it to the plugin's authors.",
    "timeout": "Raise --timeout, or cut the file; run again with --failed.",
    "memory": "Raise --memory or take fewer --jobs; run again with --failed.",
    "extractor-error": "Report the message to the plugin's authors: featx check NAME tests it.",
    "bad-output": "Report the message to the plugin's authors: featx check NAME tests it.",
    "too-short": "Nothing: the extractor needs longer audio.",
}

#: Tracks listed per failure, per feature as outliers; columns drawn one by one; frames sampled.
_MOST_LISTED, _OUTLIERS, _FEW_COLUMNS, _SAMPLED = 50, 5, 16, 40


def report_page(store: Store, output: Path, *, title: str, registry: Registry) -> str:
    """Return the report of a store as a page without scripts.

    Parameters
    ----------
    store : Store
        Opened with or without tracks that are gone.
    output : path
        Where the page will lie: audio is found relative to its folder.
    title : str
        Heading.
    registry : Registry
        Where licences are looked up.
    """
    summary = summarise(store)
    sections = [
        ("Extractors", _extractors(summary, registry)),
        ("Failures", _failures(store, summary)),
        ("Cost", _costs(store, summary)),
        ("Distributions", "".join(_distribution(view) for view in _views(store))),
        ("Outliers", _outliers(store, output.parent)),
    ]
    links = "".join(f'<a href="#{name.lower()}">{name}</a>' for name, _ in sections)
    body = "".join(
        f'<section id="{name.lower()}"><h2>{name}</h2>{text}</section>' for name, text in sections
    )
    head = f"<header><h1>{_text(title)}</h1>{_headline(store, summary)}<nav>{links}</nav></header>"
    return page(title, f"{head}<main>{body}</main>", styles=("page.css", "report.css"))


def outliers(values: AnyArray, names: Sequence[str], most: int) -> list[tuple[int, float, str]]:
    """Return the rows that differ most from the others, with how and by what.

    Every column is measured from its median, in units of its spread (half the distance of the
    quartiles, as of a normal distribution); a row by the root of the mean square of these,
    cut off at 20.

    Parameters
    ----------
    values : float array, shape (n, columns)
    names : sequence of str
        One per column.
    most : int > 0
        How many rows.

    Returns
    -------
    list of (row, size, reason)
        The largest first; rows of size below 2 are none.
    """
    wide = np.asarray(values, np.float64)
    low, middle, high = np.quantile(wide, (0.25, 0.5, 0.75), axis=0)
    spread = (high - low) / 1.349
    steps: DoubleArray = np.divide(
        wide - middle, spread, out=np.zeros_like(wide), where=spread > 0
    ).clip(-20, 20)
    sizes = np.sqrt((steps**2).mean(axis=1))
    rows = []
    for row in np.argsort(-sizes, kind="stable")[:most]:
        if sizes[row] < 2:
            break
        column = int(np.abs(steps[row]).argmax())
        reason = (
            f"{names[column]} is {number(wide[row, column])}, the median {number(middle[column])}"
        )
        rows.append((int(row), float(sizes[row]), reason))
    return rows


# ------------------------------------------------------------------------------------ sections
def _headline(store: Store, summary: Mapping[str, Any]) -> str:
    records = list(store.tracks.records())
    hours = sum(record.duration or 0.0 for record in records) / 3600
    failed = {unit.track_id for unit in store.outcomes() if unit.status == "failed"}
    facts = [
        (f"{len(records):,}", "tracks"),
        (f"{hours:.1f}", "hours of audio"),
        (f"{len(summary['extractors'])}", "recipes"),
        (f"{len(failed):,}", "tracks with a failure"),
    ]
    return "<dl>" + "".join(f"<div><dt>{b}</dt><dd>{a}</dd></div>" for a, b in facts) + "</dl>"


def _extractors(summary: Mapping[str, Any], registry: Registry) -> str:
    specs = {name: item.spec for name, item in registry.extractors.items()}
    rows = []
    for item in summary["extractors"]:
        recipe, spec = item["recipe"], specs.get(item["recipe"]["extractor"])
        makers = ", ".join(f"{version or '?'} ({n})" for version, n in item["makers"].items())
        weights = recipe["weights"]
        short = weights[:12] if len(weights) == 64 else weights
        licences = "not installed here"
        if spec is not None:
            licences = spec.licence or "not stated"
            if spec.weights is not None:
                licences += f"; weights: {spec.weights.licence or 'not stated'}"
        counts = [
            f"{name}: {part['kind']} {part['dim']}, {part['ok']} ok"
            + "".join(f", {part[key]} {key}" for key in ("failed", "skipped") if part[key])
            for name, part in item["features"].items()
        ]
        params = ", ".join(f"{key}={value}" for key, value in recipe["params"].items())
        level = f"level {recipe['level']:g} dBFS" if "level" in recipe else ""
        ways = ", ".join(filter(None, (recipe["resampler"], recipe["downmix"], level)))
        code = f"<code>{_text(params or 'no parameters')}<br>{_text(ways)}</code>"
        version = f"{recipe['version']}, distribution {makers}" if makers else recipe["version"]
        rows.append(
            [
                _text(item["name"]),
                _text(version),
                "<br>".join(map(_text, counts)),
                _text(short or "none"),
                _text(licences),
                f"<details><summary>{item['id'][:8]}</summary>{code}</details>",
            ]
        )
    columns = ("extractor", "version", "features", "weights", "licence", "recipe")
    return _table(columns, rows)


def _failures(store: Store, summary: Mapping[str, Any]) -> str:
    found: defaultdict[str, list[Any]] = defaultdict(list)
    names = {store[name].recipe.id: name for name in store}
    for unit in store.outcomes():
        found[unit.code].append(unit)
    meanings = {**FAILURE_CODES, **SKIP_CODES}
    rows = []
    for code in sorted(found, key=lambda code: (found[code][0].status, -len(found[code]), code)):
        units = found[code]
        tracks: dict[str, str] = {}
        for unit in units:
            tracks.setdefault(unit.track_id, unit.reason)
        listed = "".join(
            f"<li><bdi>{_text(name)}</bdi>: {_text(reason)}</li>"
            for name, reason in list(tracks.items())[:_MOST_LISTED]
        )
        more = f"<li>… {len(tracks) - _MOST_LISTED} more</li>" if len(tracks) > _MOST_LISTED else ""
        whose = sorted({names.get(unit.recipe, unit.recipe) for unit in units})
        rows.append(
            [
                f"<b>{_text(code)}</b><br>{_text(units[0].status)}",
                str(len(tracks)),
                f"{_text(meanings[code])}<br><em>{_text(REMEDIES[code])}</em>",
                _text(", ".join(whose)),
                f"<details><summary>tracks</summary><ul>{listed}{more}</ul></details>",
            ]
        )
    text = (
        _table(("code", "tracks", "meaning and remedy", "extractors", ""), rows)
        if rows
        else "<p>Nothing failed, and nothing was skipped.</p>"
    )
    if summary["notes"]:
        notes = [
            [_text(n["code"]), str(n["tracks"]), _text(n["meaning"])] for n in summary["notes"]
        ]
        text += "<h3>Notes of decoding</h3>" + _table(("note", "tracks", "meaning"), notes)
    return text


def _costs(store: Store, summary: Mapping[str, Any]) -> str:
    spent: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    for recipe, _, size, cost in store.source.costs():
        amounts = {"bytes": size, "audio": cost.audio, "timed": cost.timed}
        for name, amount in {**amounts, "seconds": cost.extracting}.items():
            spent[recipe][name] += amount
        spent[""]["timed"] += cost.timed
        spent[""]["seconds"] += cost.decoding
    records = list(store.tracks.records())
    length = sum(record.duration or 0.0 for record in records) / max(1, len(records))
    seconds, sizes = [], []
    for item in [{"id": "", "name": "decoding"}, *summary["extractors"]]:
        known = spent[item["id"]]
        if known["timed"] > 0:
            rate = known["seconds"] / known["timed"]
            text = (
                f"{number(rate * length)} s per track, {number(1 / rate)} × real time"
                if rate
                else "0 s"
            )
            seconds.append((shown(item["name"]), rate, text))
        if known["audio"] > 0:
            per_track = known["bytes"] / known["audio"] * length
            sizes.append((shown(item["name"]), per_track, f"{per_track:,.0f} bytes per track"))
    if not sizes:
        return "<p>The store does not say what its extraction took.</p>"
    note = (
        f"For a track of {number(length)} s, the mean of this store, on the machines that ran it."
    )
    return f"<p>{note}</p>" + bars(seconds, name="time") + bars(sizes, name="space")


def _views(store: Store) -> Iterable[FeatureView]:
    for name in store.current:
        yield from (view for view in store[name].values() if len(view))


def _distribution(view: FeatureView) -> str:
    spec = view.spec
    name = f"{view.recipe.short_name}.{spec.name}"
    head = f"<h3>{_text(name)}</h3><p>{_text(spec.description)}</p>"
    columns = [shown(c) for c in spec.column_names] or [f"column {i}" for i in range(spec.dim)]
    if spec.kind == "events":
        counts = list(view.lengths().values())
        charts = histogram(np.array(counts, np.float64), name="events per track")
        charts += "".join(_labels(view))
        return f"{head}<div class='charts'>{charts}</div>"
    if spec.kind == "clip":
        values: Any = view.values
    else:
        step = max(1, len(view) // _SAMPLED)
        values = np.concatenate([view[name] for name in view.ids[::step]])
        head += f"<p>Frames of every {step}th track.</p>" if step > 1 else ""
    if not len(values):
        return head
    first, last = 0, spec.dim
    if len({column.unit for column in spec.columns}) > 1 and spec.aspects:  # no common scale
        aspect, (first, last) = min(spec.aspects.items(), key=lambda item: item[1])
        head += f"<p>The columns of {_text(aspect)}.</p>"
    if last - first <= _FEW_COLUMNS:
        charts = "".join(histogram(values[:, i], name=columns[i]) for i in range(first, last))
    else:
        charts = bands(values, name="quantiles 1, 25, 50, 75 and 99 %")
    return f"{head}<div class='charts'>{charts}</div>"


def _labels(view: FeatureView) -> Iterable[str]:
    for column in view.spec.columns:
        if column.is_label:
            counts: Counter[str] = Counter()
            for name in view.ids:
                counts.update(str(label) for label in view[name][column.name])
            rows = [(shown(label), float(n), f"{n:,}") for label, n in counts.most_common(24)]
            yield bars(rows, name=shown(column.name))


def _outliers(store: Store, folder: Path) -> str:
    parts = []
    for view in _views(store):
        if view.spec.kind != "clip" or len(view) < 8:
            continue
        names = [*view.spec.column_names] or [f"column {i}" for i in range(view.spec.dim)]
        rows = []
        for row, size, reason in outliers(view.values, names, _OUTLIERS):
            record = store.tracks[view.ids[row]]
            name, details = _text(song_name(record)), _text(song_details(record))
            address = html.escape(relative_url(record.path, folder))
            rows.append(
                [
                    f"<b><bdi>{name}</bdi></b><br><bdi>{details}</bdi>",
                    _text(number(size)),
                    _text(reason),
                    f'<audio controls preload="none" src="{address}"></audio>',
                ]
            )
        if rows:
            parts.append(f"<h3>{_text(view.recipe.short_name)}.{_text(view.spec.name)}</h3>")
            parts.append(_table(("track", "distance", "most of all", "listen"), rows))
    intro = (
        "<p>Tracks that differ most from the others: damaged files, wrong labels, or the most "
        "interesting music. The distance is in spreads of the columns; 1 is ordinary.</p>"
    )
    return intro + "".join(parts) if parts else "<p>No track stands out.</p>"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; cells are HTML."""
    head = "".join(f"<th>{name}</th>" for name in columns)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class='table'><table><tr>{head}</tr>{body}</table></div>"


def _text(text: str) -> str:
    return html.escape(shown(text))
