"""``featx bench`` on a small store of tones: from the command line to table and JSON."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import featx
from featx.cli import main
from featx.errors import ParameterError
from featx_bench.collection import read_collection
from featx_bench.probes import ProbeOptions
from featx_bench.robustness import PERTURBATIONS, movement, perturb, write_copy

SR = 22050
#: Share by which the size of an MP3 file may miss its bit rate: headers and the last frame.
RATE_SLACK = 0.05


def run(*args: object) -> str:
    result = CliRunner().invoke(main, ["bench", *map(str, args)], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.fixture(scope="module")
def tones(tmp_path_factory) -> tuple[Path, Path]:
    """Four artists, each with a pitch, in three splits; and the store of their features."""
    folder = tmp_path_factory.mktemp("tones")
    rng = np.random.default_rng(0)
    lines = ["path,artist,album,tags,split,kind,song,lead,mode,tempo_class,source"]
    t = np.arange(SR) / SR
    for artist in range(4):
        for number in range(8):
            pitch = 200 * 2**artist * (1 + 0.02 * rng.standard_normal())
            y = 0.3 * np.sin(2 * np.pi * pitch * t) + 0.01 * rng.standard_normal(SR)
            name = f"{artist}-{number}.wav"
            soundfile.write(folder / name, y.astype(np.float32), SR)
            split = ("train", "train", "train", "valid", *4 * ("test",))[number]
            tags = "low" if artist < 2 else "high;bright"
            kind = "even" if artist % 2 == 0 else "odd"
            row = [name, f"artist {artist}", f"album {artist} {number % 2}", tags, split, kind]
            row += [f"{artist}-{number // 2}", kind, kind, kind, "rendered"]
            lines.append(",".join(row))
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n")
    featx.run(manifest, folder / "store", extractors=["mfcc", "melspectrogram"], jobs=1)
    return folder / "store", manifest


def test_collection_follows_the_manifest(tones):
    store, manifest = tones
    found = read_collection(store, manifest, ["mfcc", "melspectrogram.summary:mean"],
                            columns=["kind"])  # fmt: skip
    assert len(found) == 32
    assert found.ids[:2] == ("0-0.wav", "0-1.wav")
    assert found.features["melspectrogram.summary:mean"].shape == (32, 128)
    assert found.column("kind")[0] == "even"
    assert found.origin["features"]["mfcc"]["extractor"] == "featx-spectral:mfcc"


def test_collection_refuses_unknown_columns(tones):
    with pytest.raises(ParameterError, match="column 'genre'"):
        read_collection(*tones, ["mfcc"], columns=["genre"])


def test_collection_refuses_unknown_splits(tones):
    with pytest.raises(ParameterError, match="split must be one of test, train, valid"):
        read_collection(*tones, ["mfcc"]).split("dev")


def test_collection_notes_tracks_without_features(tones, tmp_path):
    store, manifest = tones
    text = manifest.read_text() + "missing.wav,x,,,test,odd,x,,,,\n"
    other = manifest.with_name("more.csv")
    other.write_text(text)
    found = read_collection(store, other, ["mfcc"])
    assert (len(found), found.notes) == (32, ("1 of 33 tracks lack a feature: skipped.",))


def test_retrieval_finds_tones_of_one_pitch(tones, tmp_path):
    store, manifest = tones
    output = run("retrieval", store, "-m", manifest, "--features", "mfcc,melspectrogram",
                 "-o", tmp_path / "report.json", "--cluster", "artist")  # fmt: skip
    report = json.loads((tmp_path / "report.json").read_text())
    found = {(r["feature"], r["metric"]): r for r in report["results"]}
    assert found["mfcc", "recall@1"]["value"] == 1.0
    assert found["mfcc", "recall@1"]["n"] == 32
    assert found["mfcc", "MAP"]["chance"] < 0.4
    assert report["settings"]["cluster"] == "artist"
    assert "| mfcc" in output
    assert "chance" in output


def test_features_joined_by_plus_are_centred_and_count_alike(tones):
    store, manifest = tones
    parts = read_collection(store, manifest, ["mfcc", "melspectrogram"])
    fused = parts.fused(["mfcc", "mfcc+melspectrogram"])
    assert list(fused.features) == ["mfcc", "mfcc+melspectrogram"]
    assert np.array_equal(fused.features["mfcc"], parts.features["mfcc"])
    both, width = fused.features["mfcc+melspectrogram"], parts.features["mfcc"].shape[1]
    for part in (both[:, :width], both[:, width:]):
        assert np.allclose(np.linalg.norm(part, axis=1), 1.0, atol=1e-5)
    mean = parts.features["mfcc"].mean(axis=0)
    first = parts.features["mfcc"][0] - mean
    assert np.allclose(both[0, :width], first / np.linalg.norm(first), atol=1e-5)


def test_retrieval_fuses_features(tones, tmp_path):
    store, manifest = tones
    run("retrieval", store, "-m", manifest, "--features", "mfcc+melspectrogram",
        "-o", tmp_path / "a.json")  # fmt: skip
    results = json.loads((tmp_path / "a.json").read_text())["results"]
    assert [r["feature"] for r in results] == ["mfcc+melspectrogram"] * 2
    assert results[1]["value"] == 1.0


def test_retrieval_leaves_out_the_own_song(tones, tmp_path):
    store, manifest = tones
    run("retrieval", store, "-m", manifest, "--features", "mfcc", "--label", "song",
        "-o", tmp_path / "a.json")  # fmt: skip
    with pytest.raises(ParameterError, match="at least one query"):
        run("retrieval", store, "-m", manifest, "--features", "mfcc", "--label", "song",
            "--exclude", "song")  # fmt: skip


def test_retrieval_of_tags_gives_recall_at_k(tones):
    store, manifest = tones
    output = run("retrieval", store, "-m", manifest, "--features", "mfcc", "--label", "tags",
                 "--zscore")  # fmt: skip
    assert "Recall@8" in output


def test_probe_learns_the_artist(tones, tmp_path):
    store, manifest = tones
    run("probe", store, "-m", manifest, "--features", "mfcc", "--label", "artist", "-k", 3,
        "--scaling", "dimension", "--trials", 2, "-o", tmp_path / "p.json")  # fmt: skip
    results = json.loads((tmp_path / "p.json").read_text())["results"]
    assert [r["metric"] for r in results] == ["kNN 3", "softmax"]
    assert all(r["value"] == 1.0 and r["n"] == 16 for r in results)
    assert results[0]["low"] < 0.9


def test_probe_tells_how_far_it_is(tones, monkeypatch):
    from featx.progress import LineMeter

    store, manifest = tones
    monkeypatch.setattr("featx.progress.choose_meter", lambda unit: LineMeter(unit, seconds=0))
    arguments = ["bench", "probe", store, "-m", manifest, "--features", "mfcc"]
    arguments += ["--label", "artist", "--trials", 2]
    told = CliRunner().invoke(main, [*map(str, arguments)]).stderr
    assert re.search(r"^0/1 classifications in \d+ s: mfcc\S*, epoch 1, 2 of 2 probes", told)
    assert told.splitlines()[-1].startswith("1/1 classifications")


def test_probe_by_folds_tests_every_track_once(tones, tmp_path):
    store, manifest = tones
    run("probe", store, "-m", manifest, "--features", "mfcc", "--label", "kind", "--folds", 3,
        "--group", "song", "--trials", 1, "-o", tmp_path / "p.json")  # fmt: skip
    results = json.loads((tmp_path / "p.json").read_text())["results"]
    assert {r["n"] for r in results} == {32}


def test_probe_without_splits_asks_for_folds(tones):
    store, manifest = tones
    bare = manifest.with_name("bare.csv")
    bare.write_text(manifest.read_text().replace("valid", "train"))
    with pytest.raises(ParameterError, match="Or give folds"):
        run("probe", store, "-m", bare, "--features", "mfcc", "--label", "artist")


def test_tagging_scores_both_tags(tones, tmp_path):
    store, manifest = tones
    run("tagging", store, "-m", manifest, "--features", "mfcc", "-o", tmp_path / "t.json")
    results = json.loads((tmp_path / "t.json").read_text())["results"]
    assert results[0]["metric"] == "ROC-AUC"
    assert results[0]["value"] > 0.9


def test_holdout_prefers_the_same_artist(tones, tmp_path):
    store, manifest = tones
    run("holdout", store, "-m", manifest, "--features", "mfcc", "-o", tmp_path / "h.json")
    (result,) = json.loads((tmp_path / "h.json").read_text())["results"]
    assert result["value"] == 1.0
    assert result["chance"] == pytest.approx(0.2)


def test_tracks_are_narrowed_down(tones, tmp_path):
    store, manifest = tones
    run("retrieval", store, "-m", manifest, "--features", "mfcc", "--where", "kind=even",
        "--under", "0", "--label", "song", "-o", tmp_path / "r.json")  # fmt: skip
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["origin"]["n_tracks"] == 8
    assert report["settings"]["where"] == ["kind=even"]


def test_conditions_that_leave_nothing_are_refused(tones):
    store, manifest = tones
    words = ("retrieval", store, "-m", manifest, "--features", "mfcc")
    with pytest.raises(ParameterError, match=r"got 'blue'\. Values of kind: even, odd\."):
        run(*words, "--where", "kind=blue")
    with pytest.raises(ParameterError, match=r"prefix of track ids must .*, got 'x/'"):
        run(*words, "--where", "kind=even", "--under", "x/")


def test_tables_of_the_documentation(tones):
    path = Path(__file__).parents[1] / "tables.py"
    spec = importlib.util.spec_from_file_location("tables", path)
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    store, manifest = tones
    quick = ProbeOptions(trials=1, epochs=2)
    found = tables.reports(manifest, store, ["mfcc", "melspectrogram.summary:mean"], quick)
    assert len(found) == 13
    assert all("| mfcc" in report.to_table() for _, report in found)


# ---------------------------------------------------------------------------------- robustness
def test_gain_is_a_quarter(rng):
    y = rng.standard_normal(1000).astype(np.float32)
    louder, sr = perturb(y, SR, "gain-12dB")
    assert sr == SR
    assert 20 * np.log10(louder.std() / y.std()) == pytest.approx(-12.0, abs=1e-3)


def test_noise_lies_20_db_below(rng):
    y = np.sin(np.arange(SR) / 7).astype(np.float32)
    noisy, _ = perturb(y, SR, "noise-20dB", seed=3)
    assert 10 * np.log10(np.mean((noisy - y) ** 2) / np.mean(y**2)) == pytest.approx(-20, abs=0.2)


def test_8_khz_keeps_a_low_tone_and_drops_a_high_one():
    t = np.arange(SR) / SR
    for pitch, kept in ((1000.0, 0.707), (6000.0, 0.0)):
        y, sr = perturb(np.sin(2 * np.pi * pitch * t).astype(np.float32), SR, "8kHz")
        assert sr == 8000
        assert y[400:-400].std() == pytest.approx(kept, abs=0.01)


@pytest.mark.parametrize("sr", [16000, 22050, 32000, 44100])
def test_mp3_has_64_kbits_per_second(tmp_path, rng, sr):
    path = tmp_path / "a.mp3"
    write_copy(path, 0.1 * rng.standard_normal(10 * sr).astype(np.float32), sr, "mp3-64k")
    assert 8 * path.stat().st_size / 10 == pytest.approx(64_000, rel=RATE_SLACK)


def test_unknown_perturbation_is_refused():
    with pytest.raises(ParameterError, match="perturbation"):
        perturb(np.zeros(10, np.float32), SR, "reverse")


def test_movement_compares_with_the_median_distance_to_others():
    original = np.eye(3, dtype=np.float32)
    changed = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0.1]], np.float32)
    ratio, found = movement(original, changed)
    assert ratio == pytest.approx([1 - 0.5**0.5, 0.0, 1 - 0.1 / 1.01**0.5], abs=1e-6)
    assert found.tolist() == [False, True, False]  # equally near to two is not found


def test_robustness_measures_every_perturbation(tones, tmp_path):
    _, manifest = tones
    args = ("robustness", tmp_path / "work", "-m", manifest, "--features", "mfcc.summary",
            "--split", "test", "--limit", 4, "--exclude", "artist")  # fmt: skip
    run(*args, "-o", tmp_path / "r.json")
    report = json.loads((tmp_path / "r.json").read_text())
    found = {r["metric"]: r["value"] for r in report["results"]}
    assert len(found) == 2 * (len(PERTURBATIONS) - 1)
    assert all(found[f"{name} moved"] > 0 for name in list(PERTURBATIONS)[1:])
    assert all(0 <= found[f"{name} found"] <= 1 for name in list(PERTURBATIONS)[1:])
    assert run(*args).splitlines()[0].startswith("| feature")
    assert json.loads(run(*args, "--json")) == report
