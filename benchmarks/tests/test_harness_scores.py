"""Metrics of the harness against examples done by hand; perfect and random competitors."""

from __future__ import annotations

import numpy as np
import pytest

from featx.annotations import Events
from featx.errors import ParameterError
from featx_bench.collection import Collection
from featx_bench.harness import events, protocols
from featx_bench.harness.builtin import featx_bench_tasks
from featx_bench.harness.differences import compare_features
from featx_bench.harness.protocols import PROTOCOLS, find_protocol, scores_of_tracks
from featx_bench.harness.scores import Scores, paired_difference

TASKS = {spec.name: spec for spec in featx_bench_tasks()}
CLIP_TASKS = [name for name, spec in TASKS.items() if PROTOCOLS[spec.protocol].clip]
EVENT_TASKS = [name for name in TASKS if name not in CLIP_TASKS]


def collection(vectors, **labels):
    count = len(vectors)
    ids = tuple(f"t{i}" for i in range(count))
    return Collection(
        ids=ids, features={"x": np.asarray(vectors, np.float32)}, labels=labels, origin={}, notes=()
    )


def test_recall_counts_the_labels_that_the_nearest_have_together():
    # the query {a, b} has {a} and {c} as its nearest: half of its labels at 1 and at 2
    vectors = [[1, 0], [0.95, 0.3], [0.6, 0.8]]
    found = protocols.multilabel(collection(vectors, tags=("a;b", "a", "c")))
    assert found["R@1"].values[0] == 0.5
    assert found["R@2"].values[0] == 0.5


def test_average_precision_of_second_and_third_place():
    # relevant at places 2 and 3 of 3: (1/2 + 2/3) / 2
    vectors = [[1, 0], [0.99, 0.1], [0.8, 0.6], [0.5, 0.9]]
    found = protocols.retrieval(collection(vectors, artist=("a", "b", "a", "a")))
    assert found["MAP"].values[0] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["recall@1"].values[0] == 0.0


def test_triplets_are_compared_within_the_aspect_of_their_notion():
    # columns 0 and 1 tell the tempo, 2 and 3 the mode
    vectors = np.array([[1, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]] * 3)
    labels = {"tempo": ("f", "f", "s", "s") * 3, "mode": ("M", "m", "M", "m") * 3}
    tracks = collection(vectors + 0.01 * np.arange(12)[:, None], **labels)
    aspects = {"tempo": [0, 2], "mode": [2, 4]}
    tracks = Collection(**{**vars(tracks), "origin": {"aspects": aspects}})
    found = protocols.triplets(tracks, notions=("tempo", "mode"), n=200)
    assert found["tempo"].values.mean() == found["mode"].values.mean() == 1.0


def test_degraded_copy_is_found_if_no_other_original_is_nearer():
    vectors = [[1, 0], [0, 1], [0.9, 0.1], [0.8, 0.2]]
    found = protocols.degraded(
        collection(
            vectors, variant=("original", "original", "8kHz", "8kHz"), own=("0", "1", "0", "1")
        )
    )
    assert found["8kHz"].values.tolist() == [1.0, 0.0]
    assert found["found"].values.mean() == 0.5


def _perfect(spec, rng):
    """Return tracks whose labels can be read off their vectors, and the same with noise."""
    options = dict(spec.options)
    n, kinds = 120, 5
    marks = np.arange(n) % kinds
    columns = {
        "split": tuple(("train", "valid", "test")[i // kinds % 3] for i in range(n)),
        **{
            name: tuple(f"c{mark}" for mark in marks)
            for name in ("artist", "tags", "sound", "digit", "lead", "mode", "tempo_class", "genre")
        },
        "album": tuple(f"album {i // 2}" for i in range(n)),
        "speaker": tuple(f"s{i // kinds % 4}" for i in range(n)),
        "song": tuple(f"c{mark}" for mark in marks),
    }
    if options.get("exclude") == "song":  # songs must not be the artists
        columns["song"] = tuple(f"song {i // 2}" for i in range(n))
    vectors = np.eye(kinds)[marks]
    if options.get("label") == "speaker":
        vectors = np.eye(4)[[int(name[1:]) for name in columns["speaker"]]]
    if spec.protocol == "degraded":
        columns["variant"] = tuple(("original", "8kHz")[i % 2] for i in range(n))
        columns["own"] = tuple(str(i // 2) for i in range(n))
        vectors = rng.standard_normal((n // 2, 16))[np.arange(n) // 2]
    return collection(vectors, **columns), collection(rng.standard_normal((n, 8)), **columns)


@pytest.mark.parametrize("name", CLIP_TASKS)
def test_perfect_features_score_perfect_and_noise_scores_chance(name, rng):
    spec = TASKS[name]
    perfect, noise = _perfect(spec, rng)
    measure = PROTOCOLS[spec.protocol].clip
    options = {**spec.options, **({"trials": 1} if spec.protocol == "probe" else {})}
    best = measure(perfect, **options)[spec.metric].to_json()
    assert best["value"] == pytest.approx(1.0, abs=1e-6)
    found = measure(noise, **options)[spec.metric].to_json()
    chance = found["chance"]
    if chance is None:  # the mean over kinds of degradation has the chance of each
        chance = measure(noise, **options)["8kHz"].chance
    assert found["value"] == pytest.approx(chance, abs=0.15)


def _truth():
    times = np.arange(6.0, 20.0, 0.5)
    beats = Events(
        name="beats",
        starts=times,
        labels=[str(1 + i % 4) for i in range(len(times))],
        namespace="beat",
    )
    spans = np.arange(0.0, 20.0, 2.0)
    chords = Events(
        name="chords",
        starts=spans,
        ends=spans + 2.0,
        labels=["C:maj", "G:7", "A:min7", "F:maj", "N"] * 2,
        namespace="chord",
    )
    notes = Events(
        name="notes",
        starts=spans,
        ends=spans + 1.5,
        frequencies=220.0 * 2 ** (np.arange(10) / 12),
        namespace="note_hz",
    )
    key = Events(name="key", starts=[0.0], ends=[20.0], labels=["E:minor"], namespace="key_mode")
    frames = np.arange(0.0, 20.0, 0.01)
    hertz = np.zeros(len(frames))
    for start, pitch in zip(spans, notes.frequencies, strict=True):
        hertz[(frames >= start) & (frames < start + 1.5)] = pitch
    contour = events.Contour(times=frames, frequencies=hertz, voiced=hertz > 0)
    truth = {"beats": [beats], "onsets": [notes], "notes": [notes], "chords": [chords]}
    tempo = Events(name="tempo", starts=[0.0], columns={"tempo": [120.0]}, namespace="tempo")
    truth |= {"keys": [key], "pitch": [notes], "tempo": [tempo]}
    outputs = {"beats": beats, "onsets": notes, "notes": notes, "chords": chords}
    return truth, outputs | {"key": key, "f0": contour, "tempo": tempo}


@pytest.mark.parametrize("name", EVENT_TASKS)
def test_the_annotation_itself_scores_one(name):
    spec = TASKS[name]
    truth, outputs = _truth()
    found = PROTOCOLS[spec.protocol].track(truth[spec.protocol], outputs, **spec.options)
    assert found[spec.metric] == pytest.approx(1.0)


@pytest.mark.parametrize("name", EVENT_TASKS)
def test_nothing_found_scores_zero(name):
    spec = TASKS[name]
    truth, outputs = _truth()
    nothing = {
        key: value.rows(np.zeros(len(value), bool)) for key, value in outputs.items() if key != "f0"
    }
    silent = outputs["f0"]
    nothing["f0"] = events.Contour(
        times=silent.times,
        frequencies=np.zeros(len(silent.times)),
        voiced=np.zeros(len(silent.times), bool),
    )
    found = PROTOCOLS[spec.protocol].track(truth[spec.protocol], nothing, **spec.options)
    expected = 0.2 if spec.protocol == "chords" else 0.0  # a fifth of the truth is N
    assert found[spec.metric] == pytest.approx(expected)


def test_downbeats_on_the_third_beat_are_wrong():
    truth, outputs = _truth()
    shifted = [str(1 + (i + 2) % 4) for i in range(len(outputs["beats"]))]
    moved = Events(name="beats", starts=outputs["beats"].starts, labels=shifted, namespace="beat")
    found = events.beats(truth["beats"], {"beats": moved})
    assert found["F"] == 1.0
    assert found["downbeat F"] == 0.0
    assert found["tempo Acc1"] == 1.0


def test_every_second_beat_is_forgiven_by_aml_and_acc2():
    truth, outputs = _truth()
    half = outputs["beats"].rows(slice(None, None, 2))
    found = events.beats(truth["beats"], {"beats": half})
    assert found["CMLt"] == 0.0
    assert found["AMLt"] == 1.0
    assert (found["tempo Acc1"], found["tempo Acc2"]) == (0.0, 1.0)


def test_octave_errors_count_for_chroma_but_not_for_pitch():
    truth, outputs = _truth()
    contour = outputs["f0"]
    doubled = events.Contour(
        times=contour.times, frequencies=2 * contour.frequencies, voiced=contour.voiced
    )
    found = events.pitch(truth["pitch"], {"f0": doubled})
    assert found["RPA"] == 0.0
    assert found["RCA"] == pytest.approx(1.0)


def test_relative_key_scores_three_tenths():
    truth, _ = _truth()
    relative = Events(name="key", starts=[0.0], ends=[20.0], labels=["G:major"])
    found = events.keys(truth["keys"], {"key": relative})
    assert found == {"weighted": 0.3, "exact": 0.0}


@pytest.mark.parametrize(("reference", "estimate", "score"), [("C", "G", 0.5), ("G", "C", 0.0)])
def test_only_the_fifth_above_scores_a_half(reference, estimate, score):
    truth, found = (
        Events(name="key", starts=[0.0], ends=[9.0], labels=[f"{tonic}:major"], namespace=space)
        for tonic, space in ((reference, "key_mode"), (estimate, ""))
    )
    assert events.keys([truth], {"key": found})["weighted"] == score


def test_ties_of_triplets_count_nothing():
    tracks = collection(np.ones((6, 2)), mode=("a", "b") * 3)
    assert protocols.triplets(tracks, notions=("mode",), n=50)["mode"].values.mean() == 0.0


@pytest.mark.parametrize(
    ("estimate", "scores"),
    [(120.0, (1.0, 1.0)), (124.7, (1.0, 1.0)), (125.0, (0.0, 0.0)), (60.0, (0.0, 1.0))],
)
def test_tempo_is_right_within_four_percent(estimate, scores):
    truth, outputs = _truth()
    tempo = Events(name="tempo", starts=[0.0], columns={"tempo": [estimate]}, namespace="tempo")
    found = events.tempo(truth["tempo"], outputs | {"tempo": tempo})
    assert (found["Acc1"], found["Acc2"]) == scores


def test_track_without_features_scores_zero():
    found = scores_of_tracks({"a": {"F": 1.0}, "b": None}, ["F", "CMLt"])
    assert list(found) == ["F"]
    assert found["F"].values.tolist() == [1.0, 0.0]


def test_paired_difference_sees_what_separate_intervals_hide(rng):
    easy = rng.uniform(0.2, 0.9, 60)  # tracks differ more than competitors do
    ids = tuple(map(str, range(60)))
    worse = Scores(values=easy, ids=ids).to_json()
    better = Scores(values=easy + 0.02 + 0.01 * rng.standard_normal(60), ids=ids).to_json()
    assert worse["high"] > better["low"]
    found = paired_difference(better, worse)
    assert found["low"] > 0.01
    assert found["n"] == 60


def test_paired_difference_without_shared_tracks_is_none():
    one = Scores(values=np.ones(1), ids=("a",)).to_json()
    other = Scores(values=np.ones(1), ids=("b",)).to_json()
    assert paired_difference(one, other) is None


def test_unknown_protocol_is_refused_with_those_there_are():
    with pytest.raises(ParameterError, match=r"protocol must be one of .*retrieval"):
        find_protocol("sorting")


def test_same_feature_rotated_and_scaled_does_not_differ(rng):
    vectors = rng.standard_normal((40, 6)).astype(np.float32)
    turn, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    found = compare_features(tuple(map(str, range(40))), vectors, 3 * vectors @ turn, k=5)
    assert found.overlap[0] == 1.0
    assert found.cka == pytest.approx(1.0)


def test_unrelated_features_share_neighbours_by_chance(rng):
    a, b = rng.standard_normal((2, 200, 5))
    found = compare_features(tuple(map(str, range(200))), a, b, k=10)
    assert found.overlap[0] == pytest.approx(found.chance, abs=0.03)
    assert found.cka < 0.1
    assert found.moved[0][1] <= found.moved[-1][1]
