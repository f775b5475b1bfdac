"""``featx plot recording``: a recording with its spectrograms, features and events."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from featx.commands import no_plugin_option, overwrite_option, set_option, split_names
from featx.errors import ParameterError, listed
from featx_plot.extracted import extract, extractor_option, split_features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from featx.annotations import Events
    from featx.store import Store
    from featx.store.views import FeatureView
    from featx.types import AnyArray, DoubleArray, Features, FeatureSpec, FloatArray
    from featx_plot import Frames

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _complete_preset(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete preset names for the shell."""
    del context, parameter
    from featx.frontend import PRESETS

    return [CompletionItem(name) for name in PRESETS if name.startswith(incomplete)]


@click.command("recording")
@click.argument("audio", type=_FILE)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Image file to write: .png, .pdf or .svg.  [default: AUDIO's name with .png, here]",
)
@click.option(
    "-s",
    "--spectrogram",
    "presets",
    multiple=True,
    callback=split_names,
    metavar="PRESET[,PRESET]",
    shell_complete=_complete_preset,
    help="Front end to draw, such as 'fe-artist'; 'none' for no spectrogram. May be repeated.  "
    "[default: librosa]",
)
@extractor_option(
    "Extractor to run on AUDIO; its first events or frames are drawn, or those that --features "
    "names. May be repeated."
)
@set_option
@click.option(
    "--store",
    "store_path",
    type=click.Path(exists=True, path_type=Path),
    help="Feature store, or merged file, that --features and --over read.",
)
@click.option(
    "--features",
    "features",
    multiple=True,
    callback=split_features,
    metavar="EXTRACTOR.FEATURE[:COLUMNS],...",
    help="Frames feature to draw in a panel, or events feature to mark; 'spectral.frames:flatness' "
    "takes one column. May be repeated.",
)
@click.option(
    "--over",
    "over",
    multiple=True,
    callback=split_features,
    metavar="EXTRACTOR.FEATURE[:COLUMN],...",
    help="Frames feature of one column to draw as a line over the spectrogram, if it is in Hz, or "
    "else over the waveform. May be repeated.",
)
@click.option(
    "--events",
    "event_files",
    multiple=True,
    metavar="FILE[#NAMES]",
    help="Times to mark: JAMS, Audacity labels, .lab, .beats or CSV. 'truth.jams#beat,chord' "
    "takes only these. May be repeated.",
)
@click.option("--track", "track_id", help="Track id in the store.  [default: the same content]")
@click.option("--offset", type=click.FloatRange(min=0), default=0.0, help="First second to draw.")
@click.option(
    "--duration", type=click.FloatRange(min=0, min_open=True), help="Seconds to draw; else all."
)
@click.option("--title", help="Heading.  [default: the file's name]")
@click.option("--dpi", type=click.IntRange(20, 1200), default=150, show_default=True)
@no_plugin_option
@overwrite_option
def command(
    audio: Path,
    output: Path | None,
    presets: tuple[str, ...],
    plugins: tuple[str, ...],
    settings: tuple[str, ...],
    store_path: Path | None,
    features: tuple[str, ...],
    over: tuple[str, ...],
    event_files: tuple[str, ...],
    track_id: str | None,
    offset: float,
    duration: float | None,
    title: str | None,
    dpi: int,
    overwrite: bool,
) -> None:
    """Draw a recording: waveform, spectrograms, features and events on one time axis.

    \b
    featx plot song.flac
    featx plot song.flac --plugin beats --plugin chords
    featx plot song.flac --spectrogram fe-beatthis --events song.beats --offset 30 --duration 10
    featx plot song.flac --store features/ --features chroma.frames --over spectral.frames:centroid
    """  # noqa: D301  (click reads the backspace)
    from featx.audio import Audio
    from featx.store import recipe_notes, refuse_existing
    from featx_plot import render, save
    from featx_plot.figure import check_output

    output = output or Path(f"{audio.stem}.png")
    refuse_existing([output], overwrite=overwrite)
    check_output(output)
    sound = Audio.load(audio, offset=offset, duration=duration)
    panels = _spectrograms(audio, presets or ("librosa",), offset, duration)
    lines: list[Frames] = []
    events = [group for text in event_files for group in _events(text)]
    extracted = extract(audio, plugins, settings)
    named = {name.rpartition(".")[0] for name in features}
    for plugin, values in extracted.items():
        name = _first(values)
        if plugin not in named and f"{plugin}.{name}" not in over:
            place = lines if values.specs[name].is_contour else panels
            _add_extracted(values, f"{plugin}.{name}", place, events)
    for names, target in ((features, panels), (over, lines)):
        for name in names:
            plugin = name.rpartition(".")[0]
            if plugin in extracted:
                _add_extracted(extracted[plugin], name, target, events)
    names_of_store = [n for n in (*features, *over) if n.rpartition(".")[0] not in extracted]
    if names_of_store:
        with _open(store_path) as store:
            track = track_id or _find_track(store, audio)
            for sentence in recipe_notes(store, [_view(store, name)[0] for name in names_of_store]):
                click.echo(sentence, err=True)
            for name in names_of_store:
                _add(store, name, track, panels if name in features else lines, events)
    figure = render(
        title=audio.name if title is None else title,
        y=sound.y,
        sr=sound.sr,
        offset=offset,
        panels=panels,
        over=lines,
        events=events,
    )
    click.echo(save(figure, output, dpi=dpi))


def _spectrograms(
    audio: Path, presets: Sequence[str], offset: float, duration: float | None
) -> list[Frames]:
    from featx.audio import Audio
    from featx.frontend import preset
    from featx_plot import spectrogram_panel

    panels = []
    waveforms: dict[int | None, tuple[FloatArray, int]] = {}
    for front_end in [preset(name) for name in presets if name != "none"]:
        if front_end.sr not in waveforms:
            sound = Audio.load(audio, sr=front_end.sr, offset=offset, duration=duration)
            waveforms[front_end.sr] = sound.y, sound.sr
        y, sr = waveforms[front_end.sr]
        panels.append(spectrogram_panel(y, front_end, sr=sr, offset=offset))
    return panels


def _events(text: str) -> list[Events]:
    from featx.annotations import read_events

    path, _, names = (text, "", "") if Path(text).exists() else text.rpartition("#")
    groups = read_events(path or text)
    queries = [name for name in names.split(",") if name]
    known = [group.name for group in groups]
    for name in queries:
        if not any(_answers_to(group, name) for group in groups):
            raise ParameterError(f"events of {path} must be some of {listed(known)}, got {name!r}.")
    return [g for g in groups if not queries or any(_answers_to(g, name) for name in queries)]


def _answers_to(group: Events, name: str) -> bool:
    """Tell whether ``beat`` or ``note_midi`` means the group ``note_midi bass``."""
    return name in (group.name, group.name.partition(" ")[0], group.namespace)


def _first(features: Features) -> str:
    """Return the first output with a time axis, or the first one."""
    timed = (name for name, spec in features.specs.items() if spec.kind != "clip")
    return next(timed, next(iter(features.specs)))


def _add_extracted(
    features: Features, name: str, panels: list[Frames], events: list[Events]
) -> None:
    from featx_plot import frames_panel

    feature, _, columns = name.rpartition(".")[2].partition(":")
    if feature not in features.specs:
        raise ParameterError(f"feature must be one of {listed(features.specs)}, got {feature!r}.")
    spec, values = features.specs[feature], features[feature]
    _check_timed(spec, name)
    if spec.kind == "events":
        events.append(features.events(feature))
        return
    chosen = [column for column in columns.split(",") if column]
    spec, values = _choose(spec, values, chosen)
    panels.append(frames_panel(spec, values, features.times(feature), name=name))


def _check_timed(spec: FeatureSpec, name: str) -> None:
    if spec.kind == "clip":
        raise ParameterError(
            f"feature must have a time axis (frames or events), got {name!r}, one vector per "
            "track. Use featx show or featx export."
        )


def _open(path: Path | None) -> Store:
    from featx.store import open_store

    if path is None:
        raise ParameterError("--features and --over need --store STORE, got none.")
    return open_store(path)


def _find_track(store: Store, audio: Path) -> str:
    from featx.audio import content_hash

    content = content_hash(audio)
    for record in store.tracks.records():
        if record.content == content:
            return record.track_id
    raise ParameterError(
        f"audio must be a track of the store, got {str(audio)!r}, whose content is not in it. "
        "To draw its features anyway, name the track with --track."
    )


def _view(store: Store, name: str) -> tuple[FeatureView, list[str]]:
    """Return the feature that ``name`` means, and the columns it asks for."""
    extractor, dot, rest = name.rpartition(".")
    feature, _, columns = rest.partition(":")
    if not dot:
        raise ParameterError(
            f"feature must be written as extractor.feature, got {name!r}; "
            f"{name!r} has {listed(store[name])}."
        )
    return store[extractor][feature], [column for column in columns.split(",") if column]


def _add(store: Store, name: str, track: str, panels: list[Frames], events: list[Events]) -> None:
    from featx_plot import frames_panel

    view, columns = _view(store, name)
    _check_timed(view.spec, name)
    if view.spec.kind == "events":
        if columns:
            raise ParameterError(
                f"columns must be omitted for an events feature, got {name!r}: it is drawn whole."
            )
        events.append(view.events(track, name=name))
        return
    spec, values = _choose(view.spec, view[track], columns)
    panel = frames_panel(spec, values, view.times(track), name=name)
    frequencies = None if columns else _frequencies(view, track)
    panels.append(dataclasses.replace(panel, frequencies=frequencies))


def _choose(
    spec: FeatureSpec, values: AnyArray, columns: list[str]
) -> tuple[FeatureSpec, AnyArray]:
    """Take some columns, by name or by number."""
    if not columns:
        return spec, values
    known = [*spec.column_names] or [str(index) for index in range(spec.dim)]
    for column in columns:
        if column not in known:
            raise ParameterError(
                f"column of {spec.name} must be one of {listed(known)}, got {column!r}."
            )
    rows = [known.index(column) for column in columns]
    names = tuple(spec.columns[row] for row in rows) if spec.columns else ()
    chosen = dataclasses.replace(spec, dim=len(rows), columns=names, aspects={})
    return chosen, values[:, rows]


def _frequencies(view: FeatureView, track: str) -> DoubleArray | None:
    """Return the frequency axis of a stored spectrogram: the bands of a front end of its recipe.

    A feature is taken for a front end's output if frames, dimensions and column names fit.
    """
    from featx.frontend import FrontEnd, frame_geometry
    from featx_plot import band_frequencies

    stems = {column.rstrip("0123456789") for column in view.spec.column_names}
    sr = view.sr(track)
    for plain in view.recipe.front_ends:
        if len(stems) > 1:
            continue  # a spectrogram of another kind
        try:
            front_end = FrontEnd.from_json({**plain, "name": ""})
        except ParameterError:
            continue  # a kind of bank that is not installed here
        spec = view.spec
        if frame_geometry(front_end, sr=sr) == (spec.hop, spec.frame_length, spec.first, spec.dim):
            return band_frequencies(front_end, sr=front_end.sr or sr)
    return None
