"""Searching a store: every kind of query, exclusion, defaults, the command."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import featx
from featx import Column, FeatureSpec, ParameterError, search
from featx.cli import main
from featx.index import Gallery, column_scaling
from featx.store import Recipe, StoreWriter, TrackRecord, open_store, recipe_notes
from featx.store.records import column_values

IDS = [f"{name}.ogg" for name in "abcdefgh"]
ARTISTS = dict(zip(IDS, ["Ada", "Ada", "Ada", "Bob", "Bob", "Cyd", "Cyd", "Cyd"], strict=True))
ASPECTS = {"genre": (0, 3), "mood": (3, 6)}
TAGS = ("guitar", "piano")
#: Distances of float32 vectors, computed in another order.
ROUNDING = 1e-5


def write(folder: Path, extractor: str, values: dict[str, np.ndarray], **fields: object) -> None:
    specs = [
        FeatureSpec(
            name=name,
            kind="clip",
            dim=rows.shape[1],
            aspects=ASPECTS if name == "embedding" else {},
            columns=tuple(map(Column, TAGS)) if name == "tags" else (),
        )
        for name, rows in values.items()
    ]
    records = [
        TrackRecord(
            track_id=name,
            path=f"/music/{name}",
            content=f"{i:032x}",
            size=1,
            mtime_ns=1,
            tags={"artist": ARTISTS[name], "tags": f"{'odd' if i % 2 else 'even'}; all"},
        )
        for i, name in enumerate(IDS)
    ]
    with StoreWriter(folder, provenance={}) as writer:
        writer.write_shard(
            Recipe(extractor=extractor, version="1", **fields),
            specs,
            records,
            [{name: rows[i] for name, rows in values.items()} for i in range(len(IDS))],
            [22050] * len(IDS),
        )


@pytest.fixture
def vectors(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(len(IDS), 6)).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path, vectors: np.ndarray, rng: np.random.Generator) -> Path:
    tags = rng.uniform(size=(len(IDS), 2)).astype(np.float32)
    write(tmp_path / "store", "featx-x:net", {"embedding": vectors, "tags": tags})
    return tmp_path / "store"


def ranked(query: np.ndarray, vectors: np.ndarray) -> tuple[list[str], np.ndarray]:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distances = 1 - unit @ (query / np.linalg.norm(query))
    order = np.argsort(distances)
    return [IDS[i] for i in order], distances[order]


def test_search_by_track_leaves_the_track_out(store: Path, vectors: np.ndarray) -> None:
    found = search(store, "c.ogg", k=3)
    names, distances = ranked(vectors[2], vectors)
    assert [item.track_id for item in found] == names[1:4]
    assert [item.distance for item in found] == pytest.approx(distances[1:4], abs=1e-6)
    assert [item.tags["artist"] for item in found] == [ARTISTS[name] for name in names[1:4]]


def test_search_can_keep_the_track(store: Path) -> None:
    found = search(store, "c.ogg", k=1, exclude=())
    assert (found[0].track_id, found[0].distance) == ("c.ogg", 0.0)


def test_excluded_tracks_are_replaced(store: Path) -> None:
    whole = [item.track_id for item in search(store, "c.ogg", k=7)]
    rest = search(store, "c.ogg", k=3, exclude=[whole[0], "c.ogg", "unknown"])
    assert [item.track_id for item in rest] == whole[1:4]


def test_only_the_tracks_asked_for_are_ranked(store: Path) -> None:
    whole = [item.track_id for item in search(store, "c.ogg", k=7)]
    some = search(store, "c.ogg", k=7, among=["b.ogg", "c.ogg", "f.ogg", "unknown"])
    assert [item.track_id for item in some] == [x for x in whole if x in ("b.ogg", "f.ogg")]


def test_only_the_tracks_asked_for_are_ranked_by_tag(store: Path) -> None:
    with open_store(store) as opened:
        found = Gallery(opened, "net", "tags").search_tag("piano", among=["a.ogg", "h.ogg"])
    assert {item.track_id for item in found} == {"a.ogg", "h.ogg"}


def test_k_beyond_the_store_gives_all_others(store: Path) -> None:
    assert len(search(store, "a.ogg", k=100)) == len(IDS) - 1


def test_search_by_vector(store: Path, vectors: np.ndarray) -> None:
    found = search(store, vectors[4] * 3, k=8)
    assert [item.track_id for item in found] == ranked(vectors[4], vectors)[0]


def test_several_queries_are_fused_by_mean_of_unit_vectors(
    store: Path, vectors: np.ndarray
) -> None:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = search(store, ["a.ogg", vectors[1] * 50], k=8, exclude=())
    assert [item.track_id for item in found] == ranked(unit[0] + unit[1], vectors)[0]


def test_prototype_is_the_plain_mean_of_a_set(store: Path, vectors: np.ndarray) -> None:
    with open_store(store) as opened:
        set_ = opened.tracks.where(artist="Ada")
        found = Gallery(opened, "net").search(set_, fusion="prototype", exclude=(), k=8)
    assert set_ == ["a.ogg", "b.ogg", "c.ogg"]
    assert [item.track_id for item in found] == ranked(vectors[:3].mean(axis=0), vectors)[0]


def test_tags_are_met_one_by_one(store: Path) -> None:
    with open_store(store) as opened:
        assert opened.tracks.where(tags="even", artist="Ada") == ["a.ogg", "c.ogg"]
        assert opened.tracks.where(tags="all") == list(IDS)
        pairs = [("tags", "all"), ("tags", "even"), ("artist", "Cyd")]
        assert opened.tracks.where(pairs) == ["g.ogg"]
        assert opened.tracks.where({"tags": "even"}, among=["c.ogg", "d.ogg"]) == ["c.ogg"]
        told = r"no track has tags .even; all.\. Did you mean .even.\? Values of tags: even, all"
        with pytest.raises(ParameterError, match=told):
            opened.tracks.where(tags="even; all")
    assert column_values("tags", "odd;; all ") == ("odd", "all")
    assert column_values("artist", "Simon; Garfunkel") == ("Simon; Garfunkel",)
    assert column_values("artist", "") == ()


def test_max_fusion_takes_the_nearest_to_any(store: Path, vectors: np.ndarray) -> None:
    found = search(store, ["a.ogg", "e.ogg"], fusion="max", k=4)
    nearest = {
        name: min(dict(zip(*ranked(vectors[row], vectors), strict=True))[name] for row in (0, 4))
        for name in IDS
        if name not in ("a.ogg", "e.ogg")
    }
    assert [item.track_id for item in found] == sorted(nearest, key=nearest.__getitem__)[:4]


def test_a_single_aspect_compares_its_slice(store: Path, vectors: np.ndarray) -> None:
    found = search(store, "a.ogg", weights={"mood": 2.0}, k=8, exclude=())
    assert [item.track_id for item in found] == ranked(vectors[0, 3:], vectors[:, 3:])[0]


def test_mix_and_match_takes_another_track_per_aspect(store: Path, vectors: np.ndarray) -> None:
    found = search(store, {"genre": "a.ogg", "mood": "f.ogg"}, k=8)
    mixed = np.concatenate(
        [vectors[:, s] / np.linalg.norm(vectors[:, s], axis=1, keepdims=True)
         for s in (slice(0, 3), slice(3, 6))], axis=1
    )  # fmt: skip
    query = np.concatenate([mixed[0, :3], mixed[5, 3:]])
    expected = [name for name in ranked(query, mixed)[0] if name not in ("a.ogg", "f.ogg")]
    assert [item.track_id for item in found] == expected


def test_beta_one_equals_the_search_by_whole_vectors(store: Path) -> None:
    plain = search(store, "a.ogg", k=8)
    mixed = search(store, "a.ogg", weights={"mood": 1.0}, beta=1.0, k=8)
    assert [item.track_id for item in mixed] == [item.track_id for item in plain]
    assert [item.distance for item in mixed] == pytest.approx(
        [item.distance for item in plain], abs=1e-6
    )


def test_negative_weights_need_the_flag(store: Path) -> None:
    with pytest.raises(ParameterError, match="signed=True"):
        search(store, "a.ogg", weights={"mood": 1.0, "genre": -1.0})


def test_tag_ranks_by_its_column(store: Path) -> None:
    with open_store(store) as opened:
        values = opened["net"]["tags"].values[:, 1]
        found = Gallery(opened, "net", "tags").search_tag("piano", k=3)
    order = np.argsort(-values)[:3]
    assert [item.track_id for item in found] == [IDS[i] for i in order]
    assert [item.distance for item in found] == pytest.approx(1 - values[order])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"query": "z.ogg"}, "track_id must be one of the 8"),
        ({"query": np.zeros(5, np.float32)}, r"vector of shape \(6,\), got shape \(5,\)"),
        ({"query": []}, "at least one example"),
        ({"query": "a.ogg", "k": 0}, "k must be an integer > 0"),
        ({"query": "a.ogg", "fusion": "median"}, "fusion must be one of"),
        ({"query": "a.ogg", "weights": {"key": 1.0}}, "got key"),
        ({"query": "a.ogg", "feature": "tgas"}, "Did you mean 'tags'"),
    ],
)
def test_search_refuses(arguments: dict, message: str, store: Path) -> None:
    with pytest.raises(ParameterError, match=message):
        search(store, **arguments)


def test_the_feature_must_be_named_where_there_are_several(
    tmp_path: Path, vectors: np.ndarray
) -> None:
    write(tmp_path / "s", "featx-x:stats", {"mean": vectors, "std": vectors})
    with pytest.raises(ParameterError, match="must be named, one of mean, std, got none"):
        search(tmp_path / "s", "a.ogg", extractor="stats")


def test_a_store_without_a_clip_feature_says_what_it_has(tmp_path: Path) -> None:
    spec = FeatureSpec(name="frames", kind="frames", dim=2, hop=Fraction(512), frame_length=2048)
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        writer.write_shard(
            Recipe(extractor="featx-x:chroma", version="1"),
            [spec],
            [TrackRecord(track_id="a.ogg", path="a", content="0" * 32, size=1, mtime_ns=1)],
            [{"frames": np.ones((4, 2), np.float32)}],
            [22050],
        )
    told = r"no clip feature of .*chroma, only frames \(frames\)\. Run: featx run MUSIC"
    with pytest.raises(ParameterError, match=told):
        search(tmp_path / "s", "a.ogg")


def test_a_feature_without_aspects_cannot_be_weighted(store: Path) -> None:
    told = r"net\.tags has no aspects, so --weight, .* In this store net\.embedding has some \("
    with pytest.raises(ParameterError, match=told):
        search(store, "a.ogg", extractor="net", feature="tags", weights={"mood": 1.0})
    for given in (("--weight", "mood=1"), ("--only", "mood"), ("--from", "mood=b.ogg")):
        arguments = ["search", str(store), "a.ogg", "--features", "tags", *given]
        assert "net.tags has no aspects" in CliRunner().invoke(main, arguments).output


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(main, ["search", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_command_prints_a_table(store: Path) -> None:
    lines = run(store, "c.ogg", "-k", "2").splitlines()
    found = search(store, "c.ogg", k=2)
    assert lines[0].split() == ["rank", "distance", "track", "artist", "tags", "reasons"]
    first = max(found[0].reasons.items(), key=lambda item: abs(item[1]))
    assert f"{first[0]} {first[1]:+.2f}" in lines[1]
    assert [line.split()[2] for line in lines[1:]] == [item.track_id for item in found]


def test_command_writes_json(store: Path) -> None:
    found = json.loads(run(store, "c.ogg", "-k", "2", "--json"))
    expected = search(store, "c.ogg", k=2)
    assert found["neighbours"] == [item.to_json() for item in expected]
    (feature,) = found["features"]
    assert (feature["extractor"], feature["feature"]) == ("featx-x:net", "embedding")
    assert found["tracks"] == 8


@pytest.mark.parametrize(
    "query", [("c.ogg",), ("--from", "mood=d.ogg"), ("--features", "tags", "--tag", "piano")]
)
def test_command_ranks_only_what_the_condition_leaves(query: tuple[str, ...], store: Path) -> None:
    found = json.loads(run(store, *query, "--where", "artist=Cyd", "--json"))
    assert {item["track_id"] for item in found["neighbours"]} == {"f.ogg", "g.ogg", "h.ogg"}
    assert (found["tracks"], found["where"]) == (3, ["artist=Cyd"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("a.ogg", "--where", "artist=Nobody"),
            "no track has artist 'Nobody'. Values of artist: Ada, Bob, Cyd.",
        ),
        (
            ("artist:cyd",),
            "no track has artist 'cyd'. Did you mean 'Cyd'? Values of artist: Cyd, Ada, Bob.",
        ),
        (
            ("--query-where", "genre=rock"),
            "no track has genre 'rock': this store has no such column. Its columns: artist",
        ),
        (
            ("a.ogg", "--where", "artist=Bob", "--where", "artist=Cyd"),
            "no track with artist=Bob has artist 'Cyd'.",
        ),
        (("--where", "artist=Bob"), "--where says which tracks are ranked"),
        (("a.ogg", "--where", "artist=Bob", "--where", "artist=Cyd"), "Values of artist: Bob."),
        (("a.ogg", "--where", "artist"), "--where must look like name=value"),
        (
            ("--features", "tags", "--tag", "piano", "--zscore"),
            "--tag cannot be combined with QUERY",
        ),
    ],
)
def test_command_says_what_is_wrong_with_a_condition(
    arguments: tuple[str, ...], message: str, store: Path
) -> None:
    result = CliRunner().invoke(main, ["search", str(store), *arguments])
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_a_store_without_labels_says_how_to_add_them(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "s", provenance={}) as writer:
        writer.write_shard(
            Recipe(extractor="featx-x:net", version="1"),
            [FeatureSpec(name="embedding", kind="clip", dim=2)],
            [TrackRecord(track_id="a.ogg", path="a", content="0" * 32, size=1, mtime_ns=1)],
            [{"embedding": np.ones(2, np.float32)}],
            [22050],
        )
    result = CliRunner().invoke(main, ["search", str(tmp_path / "s"), "artist:Kevin MacLeod"])
    told = "no track has artist 'Kevin MacLeod': this store has no labels. Add them: featx tag"
    assert (result.exit_code, told in result.output) == (2, True)


def test_command_says_that_all_tracks_are_queries(store: Path) -> None:
    conditions = ("--where", "artist=Bob", "--query-where", "artist=Bob")
    told = "Nothing is left to rank: all tracks with artist=Bob are queries themselves."
    assert run(store, *conditions) == f"{told}\n"
    assert run(store, *IDS) == "Nothing is left to rank: all tracks are queries themselves.\n"
    result = CliRunner().invoke(main, ["search", str(store), *conditions, "--json"])
    assert json.loads(result.stdout)["neighbours"] == []
    assert told in result.stderr


def test_a_constant_column_scales_to_zero(vectors: np.ndarray) -> None:
    vectors[:, 2] = 0.1  # the mean of eight of them is not 0.1 exactly
    mean, scale = column_scaling(vectors)
    scaled = (vectors - mean) * scale
    np.testing.assert_array_equal(scaled[:, 2], 0)
    others = np.delete(scaled, 2, axis=1)
    np.testing.assert_allclose(others.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(others.std(axis=0), 1, rtol=1e-12)


def test_scaled_columns_count_alike(store: Path, vectors: np.ndarray) -> None:
    vectors[:, 0] = 1000 + 100 * vectors[:, 0]  # would decide alone
    write(store.parent / "wide", "featx-x:net", {"embedding": vectors})
    z = ((vectors - vectors.mean(axis=0)) / vectors.std(axis=0)).astype(np.float32)
    names, distances = ranked(z[3], z)
    wide = store.parent / "wide"
    for query in ("d.ogg", vectors[3]):
        found = search(wide, query, k=8, exclude=(), zscore=True)
        assert [item.track_id for item in found] == names
        np.testing.assert_allclose([item.distance for item in found], distances, atol=ROUNDING)
    told = json.loads(run(wide, "d.ogg", "--zscore", "--json"))
    assert ([item["track_id"] for item in told["neighbours"]], told["zscore"]) == (names[1:], True)
    assert [item.track_id for item in search(wide, "d.ogg", k=7)] != names[1:]


def test_command_knows_all_kinds_of_queries(store: Path) -> None:
    set_ = json.loads(run(store, "--query-where", "artist=Bob", "--fusion", "prototype", "--json"))
    assert {item["track_id"] for item in set_["neighbours"]} == set(IDS) - {"d.ogg", "e.ogg"}
    mixed = json.loads(
        run(store, "--from", "genre=a.ogg", "--from", "mood=b.ogg", "--weight", "genre=1",
            "--weight", "mood=-1", "--signed", "--json")
    )  # fmt: skip
    expected = search(
        store,
        {"genre": "a.ogg", "mood": "b.ogg"},
        weights={"genre": 1.0, "mood": -1.0},
        signed=True,
    )
    assert mixed["neighbours"] == [item.to_json() for item in expected]
    tagged = json.loads(run(store, "--features", "tags", "--tag", "piano", "-k", "1", "--json"))
    assert len(tagged["neighbours"]) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--query-where", "artist=Nobody"),
        ("a.ogg", "b.ogg", "--from", "genre=b.ogg"),
        ("a.ogg", "--from", "colour=b.ogg"),
        ("a.ogg", "-o", "list.txt"),
        ("a.ogg", "--tag", "piano"),
        ("a.ogg", "--weight", "genre"),
        ("a.ogg", "--weight", "genre=much"),
        ("a.ogg", "-k", "0"),
        ("z.ogg",),
    ],
)
def test_command_refuses_with_exit_code_two(arguments: tuple[str, ...], store: Path) -> None:
    result = CliRunner().invoke(main, ["search", str(store), *arguments])
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_extractors_without_clip_features_are_no_choice(store: Path, vectors: np.ndarray) -> None:
    spec = FeatureSpec(name="frames", kind="frames", dim=2, hop=Fraction(512), frame_length=2048)
    track = TrackRecord(track_id="a.ogg", path="a", content="0" * 32, size=1, mtime_ns=1)
    with StoreWriter(store, provenance={}) as writer:
        recipe = Recipe(extractor="featx-x:framed", version="1")
        values = {"frames": np.ones((4, 2), np.float32)}
        writer.write_shard(recipe, [spec], [track], [values], [22050])
    assert json.loads(run(store, "a.ogg", "--json"))["features"][0]["extractor"] == "featx-x:net"
    write(store, "featx-x:other", {"embedding": vectors})
    result = CliRunner().invoke(main, ["search", str(store), "a.ogg"])
    assert "extractor must be named, one of other, net, got" in result.output


def test_command_asks_for_the_extractor_where_there_are_several(
    store: Path, vectors: np.ndarray
) -> None:
    write(store, "featx-x:other", {"embedding": vectors})
    result = CliRunner().invoke(main, ["search", str(store), "a.ogg"])
    assert result.exit_code == 2
    assert "extractor must be named, one of" in result.output
    assert featx.open_store(store)["other"].name in run(store, "a.ogg", "-p", "other", "--json")


def test_names_of_extractors_are_features_and_near_names_are_offered(store: Path) -> None:
    write(store, "featx-x:other", {"embedding": np.eye(8, dtype=np.float32)})
    found = json.loads(run(store, "a.ogg", "--features", "other", "--json"))["features"]
    assert [item["extractor"] for item in found] == ["featx-x:other"]
    result = CliRunner().invoke(main, ["search", str(store), "a.ogg", "--features", "ohter"])
    assert "got 'ohter'. Did you mean 'other'?" in result.output


def test_names_may_be_given_whole_beside_the_extractor_and_tags_find_theirs(store: Path) -> None:
    write(store, "featx-x:other", {"embedding": np.eye(8, dtype=np.float32)})
    whole = ["a.ogg", "-p", "net", "--features", "net.embedding", "--json"]
    assert json.loads(run(store, *whole))["features"][0]["feature"] == "embedding"
    assert json.loads(run(store, "--tag", "piano", "--json"))["features"][0]["feature"] == "tags"


def test_tracks_that_only_an_older_recipe_has_are_told(store: Path, tmp_path: Path) -> None:
    spec = FeatureSpec(name="embedding", kind="clip", dim=2)
    older = open_store(store)["net"].recipe
    with StoreWriter(store, provenance={}) as writer:
        writer.write_shard(
            Recipe(extractor=older.extractor, version="1", level=-20.0),
            [spec],
            [TrackRecord(track_id="a.ogg", path="a", content=f"{0:032x}", size=1, mtime_ns=1)],
            [{"embedding": np.ones(2, np.float32)}],
            [22050],
        )
    names = "net.embedding means the most recent recipe (level=-20.0; tracks: 1)."
    others = f"Further tracks have net@{older.id}.embedding (level=None): 7."
    newer, table = ["--features", "net.embedding"], str(tmp_path / "table.csv")
    for arguments in (["search", str(store), "a.ogg"], ["export", str(store), table]):
        result = CliRunner().invoke(main, [*arguments, *newer])
        assert names in result.output
        assert others in result.output
    shown = CliRunner().invoke(main, ["show", str(store), "b.ogg", "--features", "net"]).output
    assert f"net@{older.id}" in shown
    assert "level=None" in shown
    features = f"net@{older.id}.embedding"
    result = CliRunner().invoke(main, ["search", str(store), "a.ogg", "--features", features])
    assert result.exit_code == 0
    assert "most recent" not in result.output


def test_other_settings_of_the_same_tracks_are_told_in_one_sentence(
    store: Path, tmp_path: Path, vectors: np.ndarray
) -> None:
    older = open_store(store)["net"].recipe
    values = {"embedding": vectors, "tags": vectors[:, :2]}
    write(store, "featx-x:net", values, level=-20.0)
    result = CliRunner().invoke(main, ["export", str(store), str(tmp_path / "out"), "-f", "csv"])
    sentence = (
        f"net means the most recent recipe (level=-20.0; tracks: {len(IDS)}). Also stored: "
        f"net@{older.id} (level=None)."
    )
    assert result.stderr == f"{sentence} Name it by --features, or add --all-recipes.\n"


@pytest.mark.parametrize("newer", [{"weights": "0" * 64}, {"frontend_version": "7"}])
def test_nothing_is_told_of_a_version_that_was_replaced(
    store: Path, vectors: np.ndarray, newer: dict[str, str]
) -> None:
    write(store, "featx-x:net", {"embedding": vectors, "tags": vectors[:, :2]}, **newer)
    with open_store(store) as opened:
        assert len(opened.recipes) == 2
        assert recipe_notes(opened, [opened["net"]["embedding"]]) == []
