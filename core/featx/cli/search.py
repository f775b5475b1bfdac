"""``featx search``: the nearest tracks of a store."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from featx.commands import echo_json, echo_table, json_option, only_extractor
from featx.errors import ParameterError, listed, some

if TYPE_CHECKING:
    from featx.engine import LoadedExtractor
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
    help="Extractor whose vectors are compared. Needed where the store has several.",
)
@click.option(
    "--feature",
    metavar="NAME",
    help="Clip feature; by default 'embedding' or the only one, or that with the column of --tag.",
)
@click.option("-k", "k", type=click.IntRange(min=1), default=10, show_default=True)
@click.option(
    "--fusion",
    type=click.Choice(["mean", "prototype", "max"]),
    default="mean",
    show_default=True,
    help="Several queries: mean of unit vectors, plain mean, or nearest to any.",
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
    help="Compare by aspects with these weights. May be repeated.",
)
@click.option(
    "--aspect",
    "aspects",
    metavar="ASPECT=QUERY",
    multiple=True,
    help="Another query for every aspect. May be repeated.",
)
@click.option(
    "--beta",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="Share of the similarity of whole vectors beside the aspects.",
)
@click.option("--signed", is_flag=True, help="Allow negative weights: unlike the query.")
@click.option(
    "--zscore",
    is_flag=True,
    help="Scale every dimension by mean and deviation of all tracks first: for statistics such as "
    "mfcc.summary, whose columns differ in unit and spread.",
)
@click.option("--tag", metavar="NAME", help="Rank by this column instead.")
@click.option(
    "--weights-file",
    metavar="PATH",
    type=click.Path(exists=True, path_type=Path),
    help="Weights for audio files as queries, a file or the folder of a training; by default those "
    "that 'featx run' would take.",
)
@json_option
def command(
    store: Path,
    queries: tuple[str, ...],
    extractor: str | None,
    feature: str | None,
    k: int,
    fusion: str,
    where: tuple[str, ...],
    query_where: tuple[str, ...],
    weights: tuple[str, ...],
    aspects: tuple[str, ...],
    beta: float,
    signed: bool,
    zscore: bool,
    tag: str | None,
    weights_file: Path | None,
    as_json: bool,
) -> None:
    """Find the tracks of STORE that are nearest to QUERY, exactly, by cosine distance.

    QUERY is a track id of the store, or an audio file: its features are then computed as the
    store's were.
    """
    from featx.index import Gallery
    from featx.store import open_store

    with open_store(store) as opened:
        extractor = extractor or only_extractor(opened)
        if tag is not None and feature is None:
            feature = _feature_with(opened, extractor, tag)
        gallery = Gallery(opened, extractor, feature, zscore=zscore)
        if gallery.view.recipe.weights.startswith("untrained"):
            click.echo(
                f"{extractor} is UNTRAINED in this store: its distances are those of a random "
                "network. featx ls lists what else is there.",
                err=True,
            )
        asked = _pairs("--aspect", aspects)
        if asked and (queries or query_where):
            raise click.UsageError("Give QUERY or --aspect, not both.")
        among = _having(gallery, "--where", where) if where else None
        vectors = _Vectors(gallery, weights_file)
        examples: Any = vectors.of([*queries])
        if query_where:
            examples += _having(gallery, "--query-where", query_where)
        if asked:
            examples = dict(zip(asked, vectors.of([*asked.values()]), strict=True))
        if tag is not None:
            if examples or weights or zscore:
                raise click.UsageError("--tag takes neither QUERY nor weights nor --zscore.")
            found = gallery.search_tag(tag, k=k, among=among)
        elif not examples:
            hint = " --where says which tracks are ranked." if where else ""
            raise click.UsageError(f"Give a QUERY, --query-where, --aspect or --tag.{hint}")
        else:
            found = gallery.search(
                examples,
                k=k,
                among=among,
                fusion=fusion,
                weights=_numbers(weights),
                beta=beta,
                signed=signed,
            )
        if not found:
            told = f"tracks with {listed(where)}" if where else "tracks"
            click.echo(f"Nothing is left to rank: all {told} are queries themselves.", err=True)
        if as_json:
            ranked = len(gallery) if among is None else len(among)
            _echo_answer(gallery, found, ranked=ranked, where=where, zscore=zscore)
        elif found:
            _show(found)


class _Vectors:
    """Track ids stay as they are; audio files become vectors."""

    def __init__(self, gallery: Gallery, weights: Path | None) -> None:
        self.gallery = gallery
        self.weights = weights

    def of(self, queries: list[str]) -> list[Any]:
        files = [name for name in queries if name not in self.gallery and Path(name).is_file()]
        if not files:
            return queries
        with self._extractor() as extractor:
            feature = self.gallery.view.spec.name
            vectors = {name: extractor.file(name)[feature] for name in files}
        return [vectors.get(name, name) for name in queries]

    def _extractor(self) -> LoadedExtractor:
        """Open the extractor of the store; its results must be those of the store's recipe."""
        from featx.engine import UntrainedWarning, open_extractor
        from featx.engine.planning.preparing import UNTRAINED

        recipe = self.gallery.view.recipe
        untrained = recipe.weights.startswith(UNTRAINED)
        with warnings.catch_warnings():
            # the command has said so already
            warnings.simplefilter("ignore", UntrainedWarning)
            extractor = open_extractor(
                recipe.extractor,
                features=(self.gallery.view.spec.name,),
                weights=UNTRAINED if untrained and self.weights is None else self.weights,
                quality=recipe.resampler.partition(":")[2] or "HQ",
                params=recipe.params,
            )
        if extractor.recipe.id != recipe.id:
            extractor.close()
            ours, theirs = extractor.recipe.to_json(), recipe.to_json()
            changed = [
                f"{name} {_short(ours[name])} instead of {_short(theirs[name])}"
                for name in theirs
                if ours[name] != theirs[name]
            ]
            raise ParameterError(
                f"audio files as queries must be computed as the store was, but here there are "
                f"{', '.join(changed)}. Run the extraction again, or name the weights with "
                "--weights-file."
            )
        return extractor


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else f"{text[:16]}…"


def _feature_with(store: Store, extractor: str, tag: str) -> str:
    """Return the clip feature of ``extractor`` that has this column; a default one first."""
    clips = {name: view for name, view in store[extractor].items() if view.spec.kind == "clip"}
    having = [name for name, view in clips.items() if tag in view.spec.column_names]
    if len(having) == 1 or "embedding" in having:
        return "embedding" if "embedding" in having else having[0]
    if having:
        raise ParameterError(
            f"--feature must say whose column {tag!r} is meant, one of {listed(having)}, got none."
        )
    known = [column for view in clips.values() for column in view.spec.column_names]
    near = difflib.get_close_matches(tag, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else f" Columns: {listed(known)}."
    raise ParameterError(f"--tag must be a column of a clip feature, got {tag!r}.{hint}")


def _having(gallery: Gallery, option: str, conditions: Sequence[str]) -> list[str]:
    """Return the tracks of ``gallery`` with these values; there must be some."""
    from featx.index import column_values

    records = list(gallery.store.tracks.records())
    left = [record for record in records if record.track_id in gallery]
    for place, (name, value) in enumerate(_pairs(option, conditions).items(), start=1):
        held = [column_values(name, record.tags.get(name, "")) for record in left]
        values = sorted({found for several in held for found in several})
        left = [record for record, several in zip(left, held, strict=True) if value in several]
        if left:
            continue
        known = sorted({key for record in records for key in record.tags})
        near = difflib.get_close_matches(value, values, n=3)
        hint = f"Values of {name}: {some(dict.fromkeys([*near, *values]))}."
        raise ParameterError(
            f"{option} must hold for a track with {gallery.view.spec.name!r}, got "
            f"{listed(conditions[:place])}. "
            f"{hint if name in known else f'Columns of this store: {listed(known)}.'}"
        )
    return [record.track_id for record in left]


def _pairs(option: str, values: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for value in values:
        name, equals, content = value.partition("=")
        if not (name and equals and content):
            raise ParameterError(f"{option} must look like name=value, got {value!r}.")
        if pairs.get(name, content) != content:
            raise ParameterError(
                f"{option} must give {name} once, got {pairs[name]!r} and {content!r}."
            )
        pairs[name] = content
    return pairs


def _numbers(weights: Sequence[str]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, text in _pairs("--weight", weights).items():
        try:
            numbers[name] = float(text)
        except ValueError:
            raise ParameterError(
                f"--weight must look like aspect=number, got {name}={text}."
            ) from None
    return numbers


def _echo_answer(
    gallery: Gallery,
    found: Sequence[Neighbour],
    *,
    ranked: int,
    where: Sequence[str],
    zscore: bool,
) -> None:
    recipe = gallery.view.recipe
    echo_json(
        {
            "extractor": recipe.extractor,
            "recipe": recipe.id,
            "feature": gallery.view.spec.name,
            "metric": "cosine",
            "zscore": zscore,
            "tracks": ranked,
            "where": list(where),
            "neighbours": [item.to_json() for item in found],
        }
    )


def _show(found: Sequence[Neighbour]) -> None:
    names = ("artist", "title", "tags")
    shown = [name for name in names if any(item.tags.get(name) for item in found)]
    rows = [
        [
            str(rank),
            f"{item.distance:.4f}",
            item.track_id,
            *(item.tags.get(name, "") for name in shown),
        ]
        for rank, item in enumerate(found, start=1)
    ]
    echo_table(("rank", "distance", "track", *shown), rows)
