"""Why tracks are near, sets as queries, several features as one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from test_index_gallery import ARTISTS, ASPECTS, IDS, ROUNDING, write

from featx import ParameterError, search
from featx.cli import main
from featx.index import FUSIONS, Gallery, Neighbour
from featx.store import open_store


@pytest.fixture
def vectors(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(len(IDS), 7)).astype(np.float32)


@pytest.fixture
def other(rng: np.random.Generator) -> np.ndarray:
    """Another feature: a large mean, and a scale of its own."""
    return (50 + 30 * rng.normal(size=(len(IDS), 4))).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path, vectors: np.ndarray, other: np.ndarray) -> Path:
    write(tmp_path / "store", "featx-x:net", {"embedding": vectors})
    write(tmp_path / "store", "featx-y:other", {"summary": other})
    return tmp_path / "store"


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, ["search", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


QUERIES = {
    "plain": {"query": "c.ogg"},
    "set": {"query": "artist:Ada"},
    "weights": {"query": "c.ogg", "weights": {"genre": 2.0, "mood": 1.0}},
    "beta": {"query": "c.ogg", "weights": {"mood": 1.0}, "beta": 0.3},
    "mixed": {"query": {"genre": "a.ogg", "mood": "d.ogg"}},
    "unlike": {"query": "c.ogg", "weights": {"genre": 1.0, "mood": -1.0}, "signed": True},
    **{f"fused by {name}": {"query": ["a.ogg", "e.ogg"], "fusion": name} for name in FUSIONS},
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_reasons_sum_to_the_score(query: dict, store: Path) -> None:
    found = search(store, **query, extractor="net", k=4)
    for item in found:
        assert sum(item.reasons.values()) == pytest.approx(1 - item.distance, abs=ROUNDING)


def test_reasons_of_a_weighted_search_are_shares_of_the_cosines(
    store: Path, vectors: np.ndarray
) -> None:
    found = search(store, "c.ogg", extractor="net", weights={"genre": 3.0, "mood": 1.0}, k=7)
    for item in found:
        row = vectors[IDS.index(item.track_id)]
        for notion, share in (("genre", 0.75), ("mood", 0.25)):
            start, stop = ASPECTS[notion]
            cosine = unit(vectors[2, start:stop]) @ unit(row[start:stop])
            assert item.reasons[notion] == pytest.approx(share * cosine, abs=ROUNDING)


def test_columns_without_an_aspect_are_the_rest(store: Path) -> None:
    (first,) = search(store, "c.ogg", extractor="net", k=1)
    assert set(first.reasons) == {"genre", "mood", "rest"}


def test_a_feature_without_aspects_has_no_reasons(store: Path) -> None:
    (first,) = search(store, "c.ogg", extractor="other", k=1)
    assert first.reasons == {}
    assert "reasons" not in run(store, "c.ogg", "-p", "other")


# ---------------------------------------------------------------- sets
def test_a_set_is_its_prototype_and_left_out(store: Path) -> None:
    members = [name for name in IDS if ARTISTS[name] == "Ada"]
    expected = search(store, members, extractor="net", fusion="prototype", k=8)
    assert search(store, "artist:Ada", extractor="net", k=8) == expected
    assert not {item.track_id for item in expected} & set(members)


def test_tags_are_sets(store: Path) -> None:
    found = search(store, "tag:odd", extractor="net", k=8)
    assert [IDS.index(item.track_id) % 2 for item in found] == [0, 0, 0, 0]


def test_a_set_can_be_one_example_of_several(store: Path, vectors: np.ndarray) -> None:
    found = search(store, ["artist:Bob", "a.ogg"], extractor="net", k=8)
    mean = unit(vectors[3:5].mean(axis=0)) + unit(vectors[0])
    scores = {name: unit(mean) @ unit(vectors[i]) for i, name in enumerate(IDS)}
    for item in found:
        assert 1 - item.distance == pytest.approx(scores[item.track_id], abs=ROUNDING)
    assert {item.track_id for item in found} == set(IDS) - {"a.ogg", "d.ogg", "e.ogg"}


@pytest.mark.parametrize(
    ("query", "message"),
    [("artist:Nobody", "Values of artist"), ("composer:Ada", "There is no such file either")],
)
def test_unknown_sets_are_explained(query: str, message: str, store: Path) -> None:
    with pytest.raises(ParameterError, match=message):
        search(store, query, extractor="net")


# ---------------------------------------------------------------- several features
FUSED = ["net.embedding", "other.summary"]


def fused_scores(vectors: np.ndarray, other: np.ndarray, row: int, w: tuple) -> dict[str, float]:
    """Cosines of centred features, weighted."""
    a, b = unit(vectors - vectors.mean(axis=0)), unit(other - other.mean(axis=0))
    scores = (w[0] * a @ a[row] + w[1] * b @ b[row]) / sum(w)
    return dict(zip(IDS, scores, strict=True))


@pytest.mark.parametrize("w", [None, (3.0, 1.0), (1.0, 0.0)])
@pytest.mark.parametrize("index", ["exact", "faiss-flat"])
def test_features_are_centred_and_weighted(w, index: str, store, vectors, other) -> None:
    weights = None if w is None else dict(zip(FUSED, w, strict=True))
    found = search(store, "c.ogg", feature=FUSED, weights=weights, k=7, index=index)
    scores = fused_scores(vectors, other, 2, w or (1.0, 1.0))
    assert [item.track_id for item in found] == sorted(
        (name for name in IDS if name != "c.ogg"), key=lambda name: -scores[name]
    )
    for item in found:
        assert 1 - item.distance == pytest.approx(scores[item.track_id], abs=ROUNDING)
        assert sum(item.reasons.values()) == pytest.approx(1 - item.distance, abs=ROUNDING)


def test_vectors_are_queries_for_several_features(store, vectors, other) -> None:
    query = np.concatenate([vectors[2], other[2]])
    (first, *_) = search(store, query, feature=FUSED)
    assert first.track_id == "c.ogg"
    assert first.distance == pytest.approx(0.0, abs=ROUNDING)


def test_an_index_of_several_features_is_not_saved(store: Path, tmp_path: Path) -> None:
    with open_store(store) as opened, pytest.raises(ParameterError, match="feature must be one to"):
        Gallery(opened, feature=FUSED).save(tmp_path / "saved")


def test_one_feature_twice_is_refused(store: Path) -> None:
    with pytest.raises(ParameterError, match="features must be distinct"):
        search(store, "c.ogg", feature=[FUSED[0], FUSED[0]])


# ---------------------------------------------------------------- the command
def test_command_compares_by_one_aspect_only(store: Path) -> None:
    found = json.loads(run(store, "c.ogg", "-p", "net", "--only", "mood", "--json"))
    expected = search(store, "c.ogg", extractor="net", weights={"mood": 1.0})
    assert found["neighbours"] == [item.to_json() for item in expected]


def test_command_fuses_features_and_shows_reasons(store: Path) -> None:
    out = run(store, "artist:Bob", "--features", ",".join(FUSED), "--weight", "net.embedding=2",
              "--weight", "other.summary=1", "-k", "3")  # fmt: skip
    head, first, *_ = out.splitlines()
    assert head.split()[-1] == "reasons"
    assert "net.embedding" in first
    assert "other.summary" in first
    described = json.loads(run(store, "c.ogg", "--features", ",".join(FUSED), "--json"))
    assert [item["feature"] for item in described["features"]] == ["embedding", "summary"]


def test_features_without_a_weight_weigh_one(store: Path) -> None:
    expected = search(
        store, "c.ogg", feature=FUSED, weights={"net.embedding": 2.0, "other.summary": 1.0}
    )
    assert search(store, "c.ogg", feature=FUSED, weights={"net": 2.0}) == expected
    words = ("c.ogg", "--features", ",".join(FUSED), "--json")
    found = json.loads(run(store, *words, "--weight", "net=2"))
    assert found["neighbours"] == [item.to_json() for item in expected]
    alone = json.loads(run(store, *words, "--only", "net"))
    expected = search(
        store, "c.ogg", feature=FUSED, weights={"net.embedding": 1.0, "other.summary": 0.0}
    )
    assert alone["neighbours"] == [item.to_json() for item in expected]


def test_weight_of_an_unknown_feature_lists_the_features(store: Path) -> None:
    message = r"one of net\.embedding, other\.summary, got 'mfcc'"
    with pytest.raises(ParameterError, match=message):
        search(store, "c.ogg", feature=FUSED, weights={"mfcc": 2.0})


def test_weights_and_only_are_not_mixed(store: Path) -> None:
    words = ["search", str(store), "c.ogg", "-p", "net", "--only", "mood", "--weight", "genre=1"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 2
    assert "Give --weight or --only, not both." in result.output


def test_neighbours_survive_json() -> None:
    item = Neighbour(track_id="a", distance=0.5, reasons={"mood": 0.5})
    assert json.loads(json.dumps(item.to_json()))["reasons"] == {"mood": 0.5}
