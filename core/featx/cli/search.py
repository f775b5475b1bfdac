"""``featx search``: the nearest tracks of a store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.commands import (
    complete_feature,
    counted,
    echo_json,
    echo_table,
    gone_option,
    json_option,
    no_plugin_option,
    overwrite_option,
    parse_mapping,
    parse_pairs,
    session,
    split_names,
)
from featx.errors import ParameterError, listed

if TYPE_CHECKING:
    from featx.index import Gallery, Neighbour
    from featx.store import Store


@click.command("search")
@click.argument("store", type=click.Path(exists=True, path_type=Path))
@click.argument("queries", metavar="[QUERY]...", nargs=-1)
@click.option(
    "-p",
    "--plugin",
    "extractor",
    metavar="NAME",
    help="Extractor whose vectors are compared. Needed if the store has several.",
)
@click.option(
    "--features",
    "features",
    metavar="NAME[,NAME]",
    multiple=True,
    callback=split_names,
    shell_complete=complete_feature,
    help="Clip feature, such as 'embedding' or 'mfcc.summary'; by default 'embedding', the only "
    "one, or that with the column of --tag. Several are fused.",
)
@click.option(
    "--index",
    metavar="NAME|FOLDER",
    default="exact",
    show_default=True,
    help="Installed index, or folder of a saved index, which also specifies the feature.",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Set a parameter of the index. May be repeated.",
)
@click.option(
    "-k",
    "k",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Number of tracks to list.",
)
@click.option(
    "--fusion",
    type=click.Choice(["mean", "prototype", "max"]),
    default="mean",
    show_default=True,
    help="How several queries are combined: mean of unit vectors, plain mean, or nearest to any.",
)
@click.option(
    "--where",
    metavar="COLUMN=VALUE",
    multiple=True,
    help="Rank only tracks with this value, such as artist=Bach. May be repeated.",
)
@click.option(
    "--query-where",
    metavar="COLUMN=VALUE",
    multiple=True,
    help="Take all tracks with this value as queries. May be repeated.",
)
@click.option(
    "--weight",
    "weights",
    metavar="ASPECT=NUMBER",
    multiple=True,
    callback=split_names,
    help="Compare these aspects (slices of the vectors) with these weights; others are left out. "
    "Of several features, each one not named weighs 1. May be repeated.",
)
@click.option(
    "--only",
    metavar="ASPECT[,ASPECT]",
    multiple=True,
    callback=split_names,
    help="Compare by this aspect alone, or by several aspects with equal weights.",
)
@click.option(
    "--from",
    "sources",
    metavar="ASPECT=QUERY",
    multiple=True,
    help="Use a different query for this aspect or feature; QUERY, if given, is for the others. "
    "May be repeated.",
)
@click.option(
    "--beta",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Weight of the whole vector (0 = aspects only).",
)
@click.option(
    "--signed", is_flag=True, help="Allow negative weights, which mean 'unlike the query'."
)
@click.option(
    "--zscore",
    is_flag=True,
    help="Scale every dimension to mean 0 and standard deviation 1 over all tracks first. Use it "
    "for statistics such as mfcc.summary, whose columns differ in unit and range.",
)
@click.option("--tag", metavar="NAME", help="Rank by the predicted value of this tag.")
@click.option(
    "--weights-file",
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="Weights for queries that are audio files: a file or the folder of a training. Default: "
    "those of 'featx run'.",
)
@click.option(
    "--segments/--no-segments",
    default=True,
    help="Say which five seconds of query and track are most alike, if the store has frames of an "
    "extractor that is compared.  [default: on]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.m3u8",
    help="Write the tracks as a playlist, too.",
)
@gone_option
@overwrite_option
@no_plugin_option
@json_option
def command(
    store: Path,
    queries: tuple[str, ...],
    extractor: str | None,
    features: tuple[str, ...],
    index: str,
    settings: tuple[str, ...],
    k: int,
    fusion: str,
    where: tuple[str, ...],
    query_where: tuple[str, ...],
    weights: tuple[str, ...],
    only: tuple[str, ...],
    sources: tuple[str, ...],
    beta: float,
    signed: bool,
    zscore: bool,
    tag: str | None,
    weights_file: Path | None,
    segments: bool,
    output: Path | None,
    gone: bool,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Find the tracks of STORE that are nearest to QUERY by cosine distance.

    QUERY is the id of a track in the store, an audio file, whose features are computed with the
    settings of the store, or a set of tracks: artist:NAME, album:NAME or tag:NAME. The result shows
    what each aspect or feature contributes to the score, and where track and query are most alike.

    \b
    featx search features/ song.mp3 --weight instruments=2 --weight harmony=1
    featx search features/ song.mp3 --from harmony=other.mp3 -o list.m3u8
    """  # noqa: D301  (click reads the backspace)
    from featx.index import Gallery, expect_segments, with_segments
    from featx.index.aspects import check_aspects
    from featx.store import open_store, recipe_notes, refuse_existing
    from featx.store.selecting import clip_feature

    if weights and only:
        raise click.UsageError("Give --weight or --only, not both.")
    if output is not None:
        if output.suffix.lower() not in (".m3u", ".m3u8"):
            raise ParameterError(f"-o must end in .m3u8 or .m3u, got {str(output)!r}.")
        refuse_existing([output], overwrite=overwrite)
    names = list(features)
    with open_store(store, gone=gone) as opened:
        if tag is not None and not names:
            tagged = clip_feature(opened, extractor, column=tag)
            extractor, names = f"{tagged.recipe.extractor}@{tagged.recipe.id}", [tagged.spec.name]
        gallery = Gallery(
            opened,
            extractor,
            names or None,
            zscore=zscore or None,
            index=index,
            index_params=parse_mapping("--set", settings),
            weights_file=weights_file,
            disabled=session().disabled,
        )
        for view in gallery.views:
            if view.recipe.weights.startswith("untrained"):
                click.echo(
                    f"{view.recipe.short_name} is UNTRAINED in this store: its distances are "
                    "those of a random network. featx ls lists the other features.",
                    err=True,
                )
        for sentence in recipe_notes(opened, gallery.views):
            click.echo(f"{sentence} Name it by --features to search there.", err=True)
        numbers = _weights(gallery, _numbers(weights), only)
        parts = parse_mapping("--from", sources)
        if numbers or parts:
            check_aspects(gallery.view, opened)
        tracks = opened.tracks
        among = None
        if where:
            among = tracks.where(parse_pairs("--where", where), among=gallery)
        examples: Any = [*queries]
        if query_where:
            examples += tracks.where(parse_pairs("--query-where", query_where), among=gallery)
        overall = examples[0] if parts and examples else None
        if parts:
            examples = _mixed(examples, parts, numbers or gallery.view.spec.aspects)
        if tag is not None:
            if examples or weights or only or zscore:
                raise click.UsageError("--tag cannot be combined with QUERY, weights or --zscore.")
            neighbours = gallery.search_tag(tag, k=k, among=among)
        elif not examples:
            hint = " --where says which tracks are ranked." if where else ""
            raise click.UsageError(f"Give a QUERY, --query-where, --from or --tag.{hint}")
        else:
            segments = segments and expect_segments(gallery)
            neighbours = gallery.search(
                examples,
                k=k,
                among=among,
                fusion=fusion,
                weights=numbers,
                overall=overall,
                beta=beta,
                signed=signed,
            )
            if segments:
                neighbours = with_segments(gallery, examples, neighbours, weights=numbers)
        if not neighbours:
            ranked = f"tracks with {listed(where)}" if where else "tracks"
            click.echo(f"Nothing is left to rank: all {ranked} are queries themselves.", err=True)
        if as_json:
            _echo_answer(gallery, neighbours, ranked=len(among or gallery), where=where)
        elif neighbours:
            _show(neighbours)
        if output is not None:
            _write(output, opened, neighbours)


def _mixed(
    queries: Sequence[str], sources: Mapping[str, str], notions: Collection[str]
) -> dict[str, str]:
    """Return the query of every notion: that of --from, or else the one that is given."""
    if len(queries) > 1:
        raise click.UsageError(f"--from takes one QUERY at most, got {len(queries)}.")
    unknown = sorted(set(sources) - set(notions))
    if unknown and queries:
        raise ParameterError(
            f"--from must name aspects that count, {listed(notions)}, got {listed(unknown)}."
        )
    return {**dict.fromkeys(notions if queries else (), *queries), **sources}


def _write(output: Path, store: Store, neighbours: Sequence[Neighbour]) -> None:
    """Write a playlist, nearest first."""
    from featx.manifest import write_playlist

    tracks = [store.tracks[item.track_id] for item in neighbours]
    names = [
        " - ".join(filter(None, (track.tags.get("artist"), track.tags.get("title"))))
        or Path(track.track_id).stem
        for track in tracks
    ]
    rows = zip(tracks, names, strict=True)
    write_playlist(output, ((track.path, track.duration, name) for track, name in rows))
    click.echo(f"{output}: {counted(len(tracks), 'track')}", err=True)


def _numbers(weights: Sequence[str]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, text in parse_mapping("--weight", weights).items():
        try:
            numbers[name] = float(text)
        except ValueError:
            raise ParameterError(
                f"--weight must look like aspect=number, got {name}={text}."
            ) from None
    return numbers


def _weights(gallery: Gallery, numbers: dict[str, float], only: Sequence[str]) -> dict[str, float]:
    """Return the weights of aspects; of several features all, where one has a weight."""
    weights = numbers or dict.fromkeys(only, 1.0)
    if weights and len(gallery.views) > 1:
        return dict(gallery.view.complete(weights, rest=0.0 if only else 1.0))
    return weights


def _echo_answer(
    gallery: Gallery,
    neighbours: Sequence[Neighbour],
    *,
    ranked: int,
    where: Sequence[str],
) -> None:
    echo_json(
        {
            "features": [
                {
                    "extractor": view.recipe.extractor,
                    "recipe": view.recipe.id,
                    "feature": view.spec.name,
                }
                for view in gallery.views
            ],
            "metric": "cosine",
            "index": gallery.choice.full_name,
            "zscore": gallery.zscore,
            "tracks": ranked,
            "where": list(where),
            "neighbours": [item.to_json() for item in neighbours],
        }
    )


def _show(neighbours: Sequence[Neighbour]) -> None:
    from featx.index import segment_text

    names = ("artist", "title", "tags")
    shown = [name for name in names if any(item.tags.get(name) for item in neighbours)]
    why = any(item.reasons for item in neighbours)
    where = any(item.segments for item in neighbours)
    rows = [
        [
            str(rank),
            f"{item.distance:.4f}",
            item.track_id,
            *(item.tags.get(name, "") for name in shown),
            *([_largest(item.reasons)] if why else []),
            *([segment_text(item.segments)] if where else []),
        ]
        for rank, item in enumerate(neighbours, start=1)
    ]
    more = [*(["reasons"] if why else []), *(["most alike"] if where else [])]
    echo_table(("rank", "distance", "track", *shown, *more), rows)


def _largest(reasons: Mapping[str, float], most: int = 3) -> str:
    """Return what adds or takes away most, in words."""
    ordered = sorted(reasons.items(), key=lambda item: -abs(item[1]))
    return ", ".join(f"{name} {value:+.2f}" for name, value in ordered[:most])
