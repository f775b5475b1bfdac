"""Objectives, by name, from a manifest to an extractor that can be searched."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
import torch

import featx
from featx import ParameterError
from featx.engine import UntrainedWarning
from featx.params import parse_params
from featx.training import Song, Songs, train
from featx_csn.config import CSNConfig, CSNParams, resolve
from featx_csn.methods import TagMethod, TripletMethod
from featx_csn.training_params import TAGS, TRIPLETS, TagParams, TripletParams

SR = 22050
NOTIONS = {
    "timbre": {"size": 12, "tags": ["dark", "bright"]},
    "tempo": {"size": 20, "column": "tempo", "within": 5},
}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve recordings of pulses: two timbres by two tempi."""
    folder = tmp_path_factory.mktemp("music")
    rng = np.random.default_rng(0)
    rows = []
    for n in range(12):
        tempo, bright = (90, 150)[n % 2], n % 4 >= 2
        y = 0.02 * rng.standard_normal(4 * SR).astype(np.float32)
        times = np.arange(0.02 * SR * n, len(y) - 4000, SR * 60 / (tempo + n % 3)).astype(int)
        tone = np.sin(2 * np.pi * (3000 if bright else 300) * np.arange(4000) / SR)
        for start in times:
            y[start : start + 4000] += (0.5 * tone * np.exp(-np.arange(4000) / 900)).astype(
                np.float32
            )
        sf.write(folder / f"{n}.wav", y, SR)
        tags = "bright" if bright else "dark"
        rows.append({"path": f"{n}.wav", "tags": f"{tags};{'fast' if n % 2 else 'slow'}"})
        rows[-1] |= {"tempo": str(tempo + n % 3), "split": "valid" if n >= 8 else "train"}
    with (folder / "songs.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    (folder / "notions.json").write_text(json.dumps(NOTIONS))
    tagged = {**NOTIONS, "tempo": {"size": 20, "tags": ["slow", "fast"]}}
    (folder / "tagged.json").write_text(json.dumps(tagged))
    return folder


def learned(collection: Path, out: Path, method: str, **settings: Any) -> Path:
    file = "notions.json" if method == "triplets" else "tagged.json"
    train(
        collection / "songs.csv",
        out,
        extractor="csn",
        method=method,
        params={"backbone": "small", "categories": str(collection / file), "steps": 2,
                  "batch_size": 4, "validate_every": 2, **settings},
        threads=1,
    )  # fmt: skip
    return out


@pytest.mark.parametrize(
    ("objective", "distance"),
    [*((name, "cosine") for name in TRIPLETS), ("triplet+csn+track", "euclidean")],
)
def test_every_triplet_objective_learns(
    collection: Path, tmp_path: Path, objective: str, distance: str
) -> None:
    settings = {"notion": "tempo"} if objective == "specialised" else {}
    out = learned(
        collection, tmp_path, "triplets", objective=objective, distance=distance, **settings
    )
    _, config = featx.load_weights(out / "csn.safetensors")
    names = [text.partition("=")[0] for text in config["params"]["notions"]]
    own = {"specialised": ["tempo"]}
    masked = ["timbre", "tempo"] if "csn" in objective else []
    assert names == own.get(objective, masked)
    assert CSNConfig.from_json(config["model"]).dim == 32
    metrics = json.loads((out / "card.json").read_text())["results"]["metrics"]
    assert ("timbre_accuracy" in metrics) == (objective not in ("track", "specialised"))
    assert ("tracks_accuracy" in metrics) == ("track" in objective)


@pytest.mark.parametrize("objective", TAGS)
def test_every_tag_objective_learns_and_gives_probabilities(
    collection: Path, tmp_path: Path, objective: str
) -> None:
    out = learned(collection, tmp_path, "tags", objective=objective)
    _, config = featx.load_weights(out / "csn.safetensors")
    outputs = resolve(parse_params(CSNParams, config["params"]), None)
    assert outputs.output("tags").column_names == ("dark", "bright", "slow", "fast")
    blocks = {"timbre": (0, 12), "tempo": (12, 32)}
    assert outputs.output("embedding").aspects == (blocks if "csn" in objective else {})
    with featx.open_extractor("csn", weights=out) as extractor:
        features = extractor.file(collection / "0.wav")
    assert ((features["tags"] > 0) & (features["tags"] < 1)).all()
    assert features["frames"].shape == (1, 32)


def test_training_begins_with_given_weights(collection: Path, tmp_path: Path) -> None:
    """With a rate of almost nothing, the network stays as it was."""
    first = learned(collection, tmp_path / "first", "triplets", objective="triplet+csn")
    path = learned(
        collection, tmp_path / "second", "triplets", objective="triplet+csn",
        start=str(first), lr=1e-12,
    )  # fmt: skip
    before, after = (featx.load_weights(folder / "csn.safetensors")[0] for folder in (first, path))
    names = [name for name in before if name.endswith("weight") and "norm" not in name]
    names.remove("tags.weight")
    assert len(names) > 4
    for name in names:
        assert np.allclose(before[name], after[name], atol=1e-6), name


def test_weights_of_other_blocks_are_no_beginning(collection: Path, tmp_path: Path) -> None:
    first = learned(collection, tmp_path / "first", "triplets", objective="triplet")
    with pytest.raises(featx.WeightsError, match="sizes"):
        learned(
            collection, tmp_path / "second", "triplets", objective="triplet+csn", start=str(first)
        )


def test_masks_keep_the_other_blocks_out_of_the_gradient(collection: Path) -> None:
    params = parse_params(
        TripletParams, {"backbone": "small", "categories": str(collection / "notions.json")}
    )
    method = TripletMethod(params)
    model = method.build(torch.Generator().manual_seed(0)).train()
    batch = {
        f"notions.{role}": torch.rand(4, *([1] * (role == "negatives")), 129, 128) ** 4
        for role in ("anchors", "positives", "negatives")
    }
    batch |= {"notions.notion": torch.ones(4).long(), "notions.tag": torch.full((4,), -1)}
    sum(method.losses(model, batch).values()).backward()
    gradient = model.network.head.weight.grad
    assert gradient is not None
    assert not gradient[:12].any()
    assert gradient[12:].any()


def test_euclidean_distance_normalises_before_the_mask(collection: Path) -> None:
    settings = {"backbone": "small", "categories": str(collection / "notions.json")}
    lengths = {}
    for distance in ("cosine", "euclidean"):
        method = TripletMethod(parse_params(TripletParams, {**settings, "distance": distance}))
        model = method.build(torch.Generator().manual_seed(0)).eval()
        batch = {
            f"notions.{role}": torch.rand(2, *([1] * (role == "negatives")), 129, 128)
            for role in ("anchors", "positives", "negatives")
        }
        batch |= {"notions.notion": torch.tensor([0, 1]), "notions.tag": torch.tensor([0, -1])}
        anchors = method.vectors(model, batch)["notions"]["anchors"]
        assert anchors.shape == (2, 32)
        assert not anchors[0, 12:].any()
        lengths[distance] = anchors.norm(dim=1)
    assert (lengths["euclidean"] < 1).all()
    assert not torch.allclose(lengths["cosine"], lengths["euclidean"])


def test_track_triplets_weigh_half(collection: Path) -> None:
    settings = {"backbone": "small", "categories": str(collection / "notions.json")}
    params = parse_params(TripletParams, {**settings, "objective": "triplet+csn+track"})
    method = TripletMethod(params)
    model = method.build(torch.Generator().manual_seed(0)).eval()
    roles = {
        role: torch.rand(4, *([1] * (role == "negatives")), 129, 128) ** 4
        for role in ("anchors", "positives", "negatives")
    }
    batch = {f"tracks.{role}": value for role, value in roles.items()}
    value = float(method.losses(model, batch)["tracks"].detach())
    z = {role: method.vectors(model, batch)["tracks"][role] for role in roles}
    assert value == pytest.approx(0.5 * float(method.hinge(**z).detach()))


@pytest.mark.parametrize(
    ("cls", "params", "settings", "message"),
    [
        (TripletMethod, TripletParams, {"notion": "tempo"}, "notion must be given"),
        (TripletMethod, TripletParams, {"objective": "specialised"}, "notion must be given"),
        (TripletMethod, TripletParams, {"objective": "specialised", "notion": "x"}, "one of"),
        (TagMethod, TagParams, {"categories": "rendered"}, "tempo, song"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    cls: Any, params: Any, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        cls(parse_params(params, settings))


def test_validation_songs_without_pairs_do_not_validate() -> None:
    method = TripletMethod(parse_params(TripletParams, {"objective": "triplet"}))
    labels = {"tags": "piano;scale C", "tempo": "90"}
    one = Songs([Song(track_id="a", path="a", length=500, labels=labels)], split="valid")
    tags = ("piano;scale C", "piano;scale D", "guitar;scale C", "guitar;scale D")
    train_songs = Songs(
        Song(track_id=str(n), path=str(n), length=500,
             labels={"tags": tags[n % 4], "tempo": str(90 + n % 2 * 30)})
        for n in range(8)
    )  # fmt: skip
    assert method.samplers(train_songs, one)[1] is None


def test_weights_are_searched_by_notion_and_by_tag(collection: Path, tmp_path: Path) -> None:
    """What a user does with them: weights of notions, one alone, tags with and without labels."""
    out = learned(collection, tmp_path / "model", "triplets", steps=30, batch_size=6, lr=0.003)
    store = tmp_path / "store"
    featx.run(collection / "songs.csv", store, extractors="csn", weights=out, jobs=1)
    with featx.open_store(store) as opened:
        tempo = {name: float(opened.tracks[name].tags["tempo"]) for name in opened.tracks}
        timbre = {name: opened.tracks[name].tags["tags"].split(";")[0] for name in opened.tracks}
        gallery = featx.index.Gallery(opened, "csn", "embedding")
        by = {
            notion: [
                (name, gallery.search(name, k=1, weights={notion: 1.0})[0].track_id)
                for name in sorted(opened.tracks)
            ]
            for notion in ("timbre", "tempo")
        }
        assert np.mean([timbre[a] == timbre[b] for a, b in by["timbre"]]) > 0.8
        assert np.mean([abs(tempo[a] - tempo[b]) < 6 for a, b in by["tempo"]]) > 0.8
        hit = gallery.search("0.wav", k=1, weights={"timbre": 2.0, "tempo": 0.0})[0]
        assert hit.reasons["tempo"] == 0
        near = gallery.search("tag:bright", k=3, weights={"timbre": 1.0})
        assert {timbre[item.track_id] for item in near} == {"dark"}  # its own tracks are left out
        tagged = featx.index.Gallery(opened, "csn", "tags").search_tag("bright", k=4)
        assert [timbre[item.track_id] for item in tagged].count("bright") >= 3


def test_untrained_network_says_so(collection: Path, tmp_path: Path) -> None:
    with pytest.warns(UntrainedWarning, match="UNTRAINED"):
        featx.run(
            collection / "0.wav",
            tmp_path / "store",
            extractors="csn",
            params={"csn": {"backbone": "small"}},
            weights="untrained",
            jobs=1,
        )
