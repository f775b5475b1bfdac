"""`featx plot map`: from a store to points in colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from featx import FeatureSpec, ParameterError
from featx.cli import main
from featx.store import Recipe, StoreWriter, TrackRecord
from featx_plot import layout, render_map
from featx_plot.command import command

N, DIM = 24, 6


@pytest.fixture
def vectors(rng: np.random.Generator) -> np.ndarray:
    """Three bundles of directions."""
    centres = np.eye(3, DIM)
    return (centres[np.arange(N) % 3] + 0.02 * rng.normal(size=(N, DIM))).astype(np.float32)


@pytest.fixture
def store(tmp_path: Path, vectors: np.ndarray) -> Path:
    spec = FeatureSpec(name="embedding", kind="clip", dim=DIM, description="x")
    recipe = Recipe(extractor="featx-test:test", version="1")
    tracks = [
        TrackRecord(
            track_id=f"{number}.wav",
            path=f"/{number}.wav",
            content=f"{number:064x}",
            size=1,
            mtime_ns=1,
            duration=1.0,
            sr=8000,
            channels=1,
            tags={"artist": f"artist {number % 3}", "tags": "a;b" if number % 2 else "c"},
        )
        for number in range(N)
    ]
    values = [{"embedding": vector} for vector in vectors]
    with StoreWriter(tmp_path / "store", provenance={}) as writer:
        writer.write_shard(recipe, (spec,), tracks, values, [8000] * N)
    return tmp_path / "store"


def invoke(*arguments: object) -> str:
    result = CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def legend(figure) -> dict[str, int]:
    """Points by the name of their class."""
    (axes,) = (axes for axes in figure.axes if hasattr(axes, "featx_kind"))
    return {drawn.get_label(): len(drawn.get_offsets()) for drawn in axes.collections}


# ------------------------------------------------------------------------------- layouts
@pytest.mark.parametrize("method", ["tsne", "pca"])
def test_bundles_stay_together(vectors: np.ndarray, method: str) -> None:
    points = layout(vectors, method=method, perplexity=5)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    assert np.all(distances.argmin(axis=1) % 3 == np.arange(N) % 3)


def test_equal_seeds_give_equal_maps(vectors: np.ndarray) -> None:
    one, two = (layout(vectors, perplexity=5, seed=4) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_length_of_vectors_does_not_matter(vectors: np.ndarray) -> None:
    longer = vectors * np.linspace(1, 9, N, dtype=np.float32)[:, None]
    np.testing.assert_allclose(
        layout(longer, method="pca"), layout(vectors, method="pca"), atol=1e-5
    )


@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_vectors_have_a_map(vectors: np.ndarray, n: int) -> None:
    points = layout(vectors[:n])
    assert points.shape == (n, 2)
    assert np.isfinite(points).all()


def test_silence_has_a_place(vectors: np.ndarray) -> None:
    vectors[0] = 0.0
    assert np.isfinite(layout(vectors, perplexity=5)).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [({"method": "som"}, "method"), ({"n": 1}, "at least 2"), ({"value": np.nan}, "finite")],
)
def test_wrong_input_is_refused(vectors: np.ndarray, change: dict, told: str) -> None:
    given = vectors[: change.get("n", N)]
    given[0, 0] = change.get("value", 0.0)
    with pytest.raises(ParameterError, match=told):
        layout(given, method=change.get("method", "pca"))


# ------------------------------------------------------------------------------ pictures
def test_rare_classes_share_a_grey() -> None:
    values = [f"c{min(number // 2, 13)}" for number in range(27)] + [""]
    figure = render_map(np.arange(56.0).reshape(28, 2), values=values, name="what")
    counts = legend(figure)
    assert len(counts) == 14
    assert counts["others (2)"] == 3
    assert counts["none"] == 1


def test_many_numbers_are_a_scale() -> None:
    figure = render_map(np.zeros((20, 2)), values=[str(60 + i) for i in range(20)], name="tempo")
    assert len(figure.axes) == 2
    assert figure.axes[1].get_ylabel() == "tempo"


def test_few_numbers_are_classes_in_their_order() -> None:
    figure = render_map(np.zeros((4, 2)), values=["100", "85.4", "100", "9"], name="tempo")
    assert list(legend(figure)) == ["9", "85.4", "100"]


def test_numbers_have_four_significant_digits_in_the_legend() -> None:
    values = ["14.016848072562357", "30.0", "30.00002267573696", "123456"]
    figure = render_map(np.zeros((4, 2)), values=values, name="duration")
    assert legend(figure) == {"14.02": 1, "30": 2, "123456": 1}


def test_decimals_of_other_labels_stay() -> None:
    figure = render_map(np.zeros((2, 2)), values=["1.23456", "v2"], name="version")
    assert list(legend(figure)) == ["1.23456", "v2"]


def test_feature_may_name_its_extractor(store: Path, tmp_path: Path, drawn: list) -> None:
    out = tmp_path / "map.png"
    invoke("map", store, "--features", "test.embedding", "--method", "pca", "-o", out)
    assert drawn[0].get_suptitle().startswith("test.embedding")


def test_values_must_be_one_per_point() -> None:
    with pytest.raises(ParameterError, match="one per point"):
        render_map(np.zeros((3, 2)), values=["a"])


# ------------------------------------------------------------------------------- command
def test_map_is_coloured_by_what_the_store_knows(store: Path, tmp_path: Path, drawn: list) -> None:
    out = tmp_path / "map.png"
    lines = invoke("map", store, "--color", "artist", "-o", out).splitlines()
    assert lines == ["Placing 24 tracks by tsne ...", str(out)]
    assert out.read_bytes().startswith(b"\x89PNG")
    assert legend(drawn[0]) == {f"artist {k}": 8 for k in range(3)}
    assert "24 tracks" in drawn[0].get_suptitle()


def test_one_tag_tells_tracks_apart(store: Path, tmp_path: Path, drawn: list) -> None:
    invoke("map", store, "--color", "tags:a", "--method", "pca", "-o", tmp_path / "map.svg")
    assert legend(drawn[0]) == {"a": 12, "not a": 12}


def test_any_column_of_a_manifest_gives_the_colour(
    store: Path, tmp_path: Path, drawn: list
) -> None:
    lines = ["path,key", *(f"{number}.wav,{'CG'[number % 2]}" for number in range(N - 1))]
    manifest = tmp_path / "songs.csv"
    manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
    invoke(
        "map", store, "--color", "key", "--manifest", manifest, "--method", "pca", "-o",
        tmp_path / "map.pdf",
    )  # fmt: skip
    assert legend(drawn[0]) == {"C": 12, "G": 11, "none": 1}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--color", "genre"), "--color must be a label of the store, one of artist, tags"),
        (("--color", "genre"), "-m TABLE --column genre"),
        (("--color", "atrist"), "Did you mean 'artist'?"),
        (("--color", "genre", "--manifest", "songs.csv"), "column must be one of"),
        (("--color", "artist", "--manifest", "songs.csv"), "hold tracks of the store"),
        (("--manifest", "songs.csv"), "--color must name"),
        (("--features", "tags"), "tags"),
    ],
)
def test_wrong_options_are_refused(
    store: Path, tmp_path: Path, monkeypatch, arguments: tuple[str, ...], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("featx_plot.layout", lambda *a, **k: pytest.fail("tracks were placed"))
    Path("songs.csv").write_text("path,artist\nelsewhere.wav,x\n", encoding="utf-8")
    result = CliRunner().invoke(main, ["plot", "map", str(store), *arguments])
    assert result.exit_code == 2
    assert told in result.output


def test_help_lists_pictures() -> None:
    output = invoke("--help")
    assert "recording" in output
    assert "map" in output
