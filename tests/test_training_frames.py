"""Frame-wise targets: aligned with the front end, masked where nothing is known, learnable."""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from training_frames import FRONT_END, registry
from training_method import Silent

import featx.training.running as running
from featx.annotations import Events
from featx.errors import ParameterError
from featx.testing import synthesise
from featx.training import (
    AudioCrops,
    Crop,
    CropSpec,
    FrameGrid,
    FrameSampler,
    JointSampler,
    NoteTargets,
    PointTargets,
    SegmentTargets,
    Song,
    Songs,
    frame_bce,
    frame_cross_entropy,
    make_loss,
    train,
)

SR = 22000
HOP = 220


def grid(n: int = 10, *, hop: int = 100, first: int = 0, sr: int = 1000) -> FrameGrid:
    return FrameGrid(sr=sr, unit=Fraction(hop), hop=Fraction(hop), first=Fraction(first), n=n)


def points(*starts: float, labels: Any = ()) -> Events:
    return Events(name="beat", starts=np.array(starts), labels=labels)


def spans(*rows: tuple[float, float, str]) -> Events:
    starts, ends, labels = zip(*rows, strict=True)
    return Events(name="chord", starts=np.array(starts), ends=np.array(ends), labels=labels)


# ------------------------------------------------------------------------------ alignment
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("start", [0, 7, 100])
def test_a_click_at_a_known_sample_is_the_frame_where_it_is_loudest(
    tmp_path: Path, center: bool, start: int
) -> None:
    fe = FRONT_END.but(center=center, compression=None)
    first = 0 if center else 512
    y = np.zeros(3 * SR, np.float32)
    clicks = first + (start + np.array([3, 20, 77])) * HOP
    y[clicks] = 1.0
    soundfile.write(tmp_path / "a.wav", y, SR, subtype="FLOAT")
    spec = CropSpec(front_end=fe, length=90)
    song = Song(track_id="a", path=str(tmp_path / "a.wav"), length=280)
    S = AudioCrops(spec).read(Crop(song, start)).sum(axis=1)
    values, known = PointTargets(outside="negative").targets(
        points(*(clicks / SR)), FrameGrid.of(spec), start
    )
    assert np.flatnonzero(values).tolist() == [3, 20, 77]
    assert known.all()
    for frame in (3, 20, 77):
        assert S[frame - 3 : frame + 4].argmax() == 3


def test_an_event_belongs_to_the_nearest_frame() -> None:
    times = [0.149, 0.151, 0.4]
    values, _ = PointTargets().targets(points(*times), grid(), 0)
    assert np.flatnonzero(values).tolist() == [1, 2, 4]
    values, _ = PointTargets().targets(points(*times), grid(), 1)
    assert np.flatnonzero(values).tolist() == [0, 1, 3]
    late = FrameGrid(sr=1000, unit=Fraction(1), hop=Fraction(100), first=Fraction(50), n=4)
    values, _ = PointTargets().targets(points(0.5 + 0.05, 0.5 + 0.26), late, 500)
    assert np.flatnonzero(values).tolist() == [0, 2]


def test_strides_of_a_waveform_are_counted_in_samples() -> None:
    found = FrameGrid.of(CropSpec(sr=8000, length=4000), stride=80)
    assert (found.n, found.hop, found.unit) == (50, 80, 1)
    np.testing.assert_allclose(found.times(800)[:3], [0.1, 0.11, 0.12])


def test_neighbours_widen_an_event_and_never_lower_another() -> None:
    values, _ = PointTargets(neighbours=(0.5, 0.25)).targets(points(0.2, 0.5), grid(), 0)
    np.testing.assert_allclose(values, [0.25, 0.5, 1, 0.5, 0.5, 1, 0.5, 0.25, 0, 0])
    # an event just outside still touches the crop
    values, _ = PointTargets(neighbours=(0.5,)).targets(points(0.2, 0.4), grid(), 3)
    np.testing.assert_allclose(values[:4], [0.5, 1, 0.5, 0])


def test_frames_outside_the_annotated_span_are_unknown_unless_negative() -> None:
    events = points(0.3, 0.6)
    _, known = PointTargets().targets(events, grid(), 0)
    assert np.flatnonzero(known).tolist() == [3, 4, 5, 6]
    _, known = PointTargets(outside="negative").targets(events, grid(), 0)
    assert known.all()
    for start in (20, 0):
        _, known = PointTargets().targets(points(*([1.2] if start == 0 else [0.1])), grid(), start)
        assert not known.any()
    values, known = PointTargets().targets(points(), grid(), 0)
    assert not known.any()
    assert not values.any()


def test_labels_choose_events_and_all_of_them_span_the_annotation() -> None:
    events = points(0.1, 0.3, 0.5, 0.7, labels=("1", "2", "3", "1"))
    values, known = PointTargets(labels=("1",)).targets(events, grid(), 0)
    assert np.flatnonzero(values).tolist() == [1, 7]
    assert np.flatnonzero(known).tolist() == list(range(1, 8))


def test_segments_give_the_class_at_the_centre_of_a_frame() -> None:
    events = spans((0.1, 0.35, "C:maj"), (0.35, 0.6, "A:min"), (0.7, 0.8, "N"))
    wanted = SegmentTargets(classes=("A:min", "C:maj"))
    values, known = wanted.targets(events, grid(), 0)
    assert values.tolist() == [-1, 1, 1, 1, 0, 0, -1, -1, -1, -1]
    np.testing.assert_array_equal(known, values >= 0)
    major = SegmentTargets(classes=("maj",), relabel=lambda label: label.partition(":")[2])
    assert major.targets(events, grid(), 0)[0].tolist() == [-1, 0, 0, 0, *[-1] * 6]


def test_notes_sound_from_their_start_to_their_end() -> None:
    events = Events(
        name="note_hz",
        starts=np.array([0.1, 0.2, 0.2]),
        ends=np.array([0.4, 0.3, 0.9]),
        frequencies=np.array([440.0, 261.63, 20.0]),
    )
    values, known = NoteTargets(low=60, high=69).targets(events, grid(), 0)
    assert np.flatnonzero(values[:, 9]).tolist() == [1, 2, 3]
    assert np.flatnonzero(values[:, 0]).tolist() == [2]
    assert values.sum() == 4
    assert known.all()


# -------------------------------------------------------------------------------- sampler
def annotated(tmp_path: Path, text: str, *, length: int = 25, suffix: str = ".beats") -> Songs:
    path = tmp_path / f"a{suffix}"
    path.write_text(text, encoding="utf-8")
    song = Song(track_id="a", path="a.wav", length=length, annotation=str(path))
    return Songs([song], split="train")


SPEC = CropSpec(front_end=FRONT_END, length=10)


def test_an_epoch_holds_every_crop_and_the_end_of_a_song_is_unknown(tmp_path: Path) -> None:
    songs = annotated(tmp_path, "0.0\n0.1\n0.2\n0.3\n")
    sampler = FrameSampler(
        songs, {"beats": PointTargets(outside="negative")}, crops=SPEC, every=True
    )
    assert len(sampler) == 2
    second = sampler.example(1, np.random.default_rng(0))
    assert second.crops["inputs"] == Crop(songs[0], 10)
    assert np.flatnonzero(second.targets["beats"]).tolist() == [0]
    short = FrameSampler(
        annotated(tmp_path, "0.0\n0.05\n", length=6),
        {"beats": PointTargets(outside="negative")},
        crops=SPEC,
    )
    found = short.example(0, np.random.default_rng(0)).targets
    assert found["beats_known"].tolist() == [True] * 6 + [False] * 4


def test_random_crops_hold_the_targets_of_their_place(tmp_path: Path) -> None:
    songs = annotated(tmp_path, "".join(f"{k / 20}\n" for k in range(200)), length=1000)
    sampler = FrameSampler(songs, {"beats": PointTargets()}, crops=SPEC)
    starts = set()
    for seed in range(20):
        example = sampler.example(0, np.random.default_rng(seed))
        start = example.crops["inputs"].start
        starts.add(start)
        places = np.flatnonzero(example.targets["beats"]) + start
        assert (places % 5 == 0).all()
        assert len(places) == 2
    assert len(starts) > 10


@pytest.mark.parametrize(
    ("text", "suffix", "targets", "told"),
    [
        ("x y\n", ".beats", PointTargets(), "must"),
        ("0.1\n0.2\n", ".lab", SegmentTargets(classes=("a",)), "events must have ends and labels"),
        ("0.1\n", ".beats", PointTargets(labels=("1",)), "events must have labels such as 1"),
        ("0.1 0.2 a\n", ".lab", NoteTargets(), "events must have ends and pitches"),
        ('{"annotations": []}', ".jams", PointTargets(kind="beat"), "events must be called beat"),
    ],
)
def test_annotations_of_no_use_are_named(
    tmp_path: Path, text: str, suffix: str, targets: Any, told: str
) -> None:
    songs = annotated(tmp_path, text, suffix=suffix)
    with pytest.raises(
        ParameterError, match=rf"of split 'train' must be usable.*\n.*a\{suffix}: .*{told}"
    ):
        FrameSampler(songs, {"x": targets}, crops=SPEC)


def test_groups_of_jams_are_chosen_by_their_name(tmp_path: Path) -> None:
    piece = synthesise(seed=1, duration=6.0, sr=SR)
    piece.write(tmp_path / "a.jams")
    song = Song(
        track_id="a", path="a.wav", length=6 * SR // HOP, annotation=str(tmp_path / "a.jams")
    )
    wanted = {
        "beats": PointTargets(kind="beat"),
        "downbeats": PointTargets(kind="beat", labels=("1",)),
        "chords": SegmentTargets(
            kind="chord", classes=tuple(sorted({chord.label for chord in piece.chords}))
        ),
        "notes": NoteTargets(kind="note"),
    }
    spec = CropSpec(front_end=FRONT_END, length=600)
    found = FrameSampler(Songs([song]), wanted, crops=spec).example(0, np.random.default_rng(0))
    frames = np.floor(piece.beats * SR / HOP + 0.5).astype(int)
    assert np.flatnonzero(found.targets["beats"]).tolist() == frames.tolist()
    frames = np.floor(piece.downbeats * SR / HOP + 0.5).astype(int)
    assert np.flatnonzero(found.targets["downbeats"]).tolist() == frames.tolist()
    chord = piece.chords[1]
    middle = round((chord.start + chord.end) / 2 * SR / HOP)
    assert wanted["chords"].classes[found.targets["chords"][middle]] == chord.label
    note = piece.notes[5]
    middle = round((note.onset + note.offset) / 2 * SR / HOP)
    assert found.targets["notes"][middle, note.pitch - 21] == 1


def test_joint_samplers_keep_what_targets_forbid(tmp_path: Path) -> None:
    songs = annotated(tmp_path, "0.1\n")
    beats = FrameSampler(songs, {"beats": PointTargets()}, crops=SPEC)
    assert JointSampler({"a": beats}).frozen == ("augment_stretch",)
    assert "augment_semitones" in NoteTargets.frozen


# --------------------------------------------------------------------------------- losses
def test_frame_losses_count_known_frames_alone() -> None:
    logits = torch.tensor([[0.0, 5.0, -2.0]], requires_grad=True)
    targets, known = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[True, False, True]])
    found = frame_bce(logits, targets, known)
    wanted = (np.log(2.0) + np.log1p(np.exp(-2.0))) / 2
    assert found.item() == pytest.approx(wanted, rel=1e-6)
    none = frame_bce(logits, targets, torch.zeros(1, 3, dtype=torch.bool))
    none.backward()
    assert (none.item(), logits.grad.abs().sum()) == (0.0, 0.0)

    scores = torch.tensor([[[0.0, 0.0], [9.0, 0.0]]], requires_grad=True)
    found = frame_cross_entropy(scores, torch.tensor([[1, -1]]))
    assert found.item() == pytest.approx(np.log(2.0), rel=1e-6)
    assert frame_cross_entropy(scores, torch.tensor([[-1, -1]])).item() == 0.0


def test_losses_of_plugins_take_the_frames_that_are_known() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 5, 3, generator=generator)
    targets = (torch.rand(2, 5, 3, generator=generator) > 0.5).float()
    known = torch.rand(2, 5, generator=generator) > 0.3
    own = frame_bce(logits, targets, known)
    of_plugin = make_loss("binary-cross-entropy")(embeddings=logits[known], labels=targets[known])
    assert float(of_plugin) in (
        pytest.approx(float(own), rel=1e-5),
        pytest.approx(3 * float(own), rel=1e-5),  # summed over classes
    )


# ------------------------------------------------------------------------------- training
@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(running, "load_registry", lambda **_: registry())
    lines = ["path,annotation,split"]
    for seed in range(4):
        piece = synthesise(seed=seed, duration=8.0, sr=SR)
        soundfile.write(tmp_path / f"{seed}.wav", piece.y, SR)
        piece.write(tmp_path / f"{seed}.jams")
        lines.append(f"{seed}.wav,{seed}.jams,{'valid' if seed == 3 else 'train'}")
    path = tmp_path / "songs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def learn(manifest: Path, **settings: Any) -> Any:
    return train(
        manifest,
        manifest.parent / "out",
        extractor="tiny",
        params={"steps": 80, "log_every": 10, **settings},
        threads=1,
        progress=Silent(),
    )


def test_a_small_network_learns_beats(manifest: Path) -> None:
    summary = learn(manifest)
    with (manifest.parent / "out" / "training.csv").open(encoding="utf-8") as stream:
        losses = [float(row["beats"]) for row in csv.DictReader(stream)]
    assert losses[-1] < 0.6 * losses[0]
    assert summary.metrics["loss"] < 0.6 * losses[0]


def test_stretched_time_is_refused_where_targets_lie_in_time(manifest: Path) -> None:
    with pytest.raises(ParameterError, match=r"augment_stretch must be 1\.0, because the targets"):
        learn(manifest, augment_stretch=1.1)


def test_another_annotation_is_another_training(manifest: Path) -> None:
    learn(manifest, steps=2)
    path = manifest.parent / "0.jams"
    text = path.read_text("utf-8").replace('"confidence": 1.0', '"confidence": 0.5')
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match="the songs of 'train' changed"):
        learn(manifest, steps=4)


def test_missing_annotations_are_named_with_their_lines(manifest: Path) -> None:
    (manifest.parent / "1.jams").unlink()
    with pytest.raises(ParameterError, match=r"line 3: annotation must be a file, got .*1\.jams"):
        learn(manifest)
