"""What samplers draw, what crops hold, what schedules do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from featx.errors import ParameterError
from featx.training import (
    AudioCrops,
    Crop,
    CropSpec,
    GradientParams,
    JointSampler,
    PositiveSampler,
    SegmentSampler,
    Song,
    Songs,
    TagTripletSampler,
    TrackSampler,
)
from featx.training.schedules import Schedule

SR = 8000
#: soxr at HQ, edges of the crop outside what is compared
RESAMPLING = 1e-4


def songs(n: int = 12, *, length: int = 1000) -> Songs:
    """Three artists, two albums each, one tag per artist and one that all share."""
    return Songs(
        Song(
            track_id=f"{i}",
            path=f"/{i}.wav",
            length=length,
            labels={
                "artist": f"artist {i % 3}",
                "album": f"album {i % 2}",
                "tags": f"band{i % 3};music",
            },
        )
        for i in range(n)
    )


def draws(sampler: Any, count: int = 200) -> list[Any]:
    rng = np.random.default_rng(3)
    return [sampler.example(i % len(sampler), rng) for i in range(count)]


def test_segments_cover_every_song_once() -> None:
    sampler = SegmentSampler(songs(3, length=1050), [5, 6, 7], length=500)
    found = [sampler.example(i, np.random.default_rng(0)) for i in range(len(sampler))]
    places = [(e.crops["inputs"].song.track_id, e.crops["inputs"].start) for e in found]
    assert places == [(song, start) for song in "012" for start in (0, 500)]
    assert [int(e.targets["targets"]) for e in found] == [5, 5, 6, 6, 7, 7]
    assert [e.targets["clip"] for e in found] == [0, 0, 1, 1, 2, 2]


def test_short_song_is_one_segment() -> None:
    assert len(SegmentSampler(songs(1, length=10), [0], length=500)) == 1


@pytest.mark.parametrize("notion", ["artist", "album"])
def test_positives_share_the_notion_and_negatives_do_not(notion: str) -> None:
    def label(crop: Crop) -> tuple[str, ...]:
        names = ("artist",) if notion == "artist" else ("artist", "album")
        return tuple(crop.song.labels[name] for name in names)

    for example in draws(PositiveSampler(songs(), notion=notion, n_negatives=4, length=100)):
        anchor, positive = example.crops["anchors"], example.crops["positives"]
        assert label(anchor) == label(positive)
        assert anchor.song != positive.song
        assert len(example.crops["negatives"]) == 4
        assert label(anchor) not in [label(crop) for crop in example.crops["negatives"]]
        numbers = {label(anchor): example.targets["group"]}
        for crop, number in zip(
            example.crops["negatives"], example.targets["negative_groups"], strict=True
        ):
            assert numbers.setdefault(label(crop), number) == number
        assert len(set(numbers.values())) == len(numbers)


def test_every_partner_and_every_negative_is_drawn() -> None:
    sampler = PositiveSampler(songs(), notion="artist", n_negatives=2, length=100)
    rng = np.random.default_rng(0)
    found = [sampler.example(0, rng).crops for _ in range(200)]
    assert {crops["positives"].song.track_id for crops in found} == {"3", "6", "9"}
    drawn = {crop.song.track_id for crops in found for crop in crops["negatives"]}
    assert drawn == {"1", "2", "4", "5", "7", "8", "10", "11"}


@pytest.mark.parametrize("length", [100, 400, 666])
def test_parts_of_a_track_overlap_by_half_at_most(length: int) -> None:
    for example in draws(PositiveSampler(songs(), notion="track", n_negatives=1, length=length)):
        first, second = example.crops["anchors"], example.crops["positives"]
        assert first.song == second.song
        assert 0 <= second.start <= 1000 - length
        least = max(length - max(first.start, 1000 - length - first.start), 0)
        assert length - abs(first.start - second.start) <= max(length / 2, least)


def test_song_without_room_gives_the_part_that_overlaps_least() -> None:
    sampler = PositiveSampler(songs(), notion="track", n_negatives=1, length=800)
    for example in draws(sampler):
        far = 200 if example.crops["anchors"].start <= 100 else 0
        assert example.crops["positives"].start == far


def test_positives_can_come_from_another_pool() -> None:
    valid, pool = Songs(list(songs())[:3]), Songs(list(songs())[3:])
    sampler = PositiveSampler(valid, notion="artist", n_negatives=1, length=10, pool=pool)
    positives = {e.crops["positives"].song.track_id for e in draws(sampler)}
    assert positives <= {str(i) for i in range(3, 12)}
    assert {e.crops["negatives"][0].song.track_id for e in draws(sampler)} == {"0", "1", "2"}


@pytest.mark.parametrize(
    ("wanted", "pool", "told"),
    [
        ([0, 3, 6], None, "songs of split 'train' must hold two artists or more, got 1."),
        (
            [0, 1, 2],
            None,
            "songs of split 'train' must hold two of one artist, got 3 artists with one song each.",
        ),
        (
            [0, 1],
            [2, 5],
            "songs of split 'train' must hold one of an artist of the songs, got 2 other artists.",
        ),
    ],
)
def test_too_few_songs_are_refused_with_what_is_missing(
    wanted: list[int], pool: list[int] | None, told: str
) -> None:
    few = Songs((songs()[i] for i in wanted), split="train")
    others = None if pool is None else Songs(songs()[i] for i in pool)
    with pytest.raises(ParameterError, match=re.escape(told)):
        PositiveSampler(few, notion="artist", n_negatives=1, length=10, pool=others)


def test_tags_are_drawn_before_songs() -> None:
    rare = Songs(
        [
            *songs(30),
            Song(track_id="x", path="/x", length=99, labels={"tags": "rare"}),
            Song(track_id="y", path="/y", length=99, labels={"tags": "rare"}),
        ]
    )
    sampler = TagTripletSampler(rare, tags=("band0", "rare", "music", "nobody"), length=10)
    found = draws(sampler, 400)
    counts = np.bincount([example.targets["tag"] for example in found], minlength=4)
    assert counts[3] == 0
    assert counts[:3].min() > 90
    for example in found:
        tag = ("band0", "rare", "music", "nobody")[example.targets["tag"]]
        anchor, positive = example.crops["anchors"].song, example.crops["positives"].song
        assert tag in anchor.tags
        assert tag in positive.tags
        assert anchor != positive
        assert tag not in example.crops["negatives"][0].song.tags


def test_views_are_one_place_changed_differently() -> None:
    sampler = TrackSampler(songs(), length=100, n_views=3, augment=True)
    views = sampler.example(0, np.random.default_rng(0)).crops["views"]
    assert len({view.start for view in views}) == 1
    assert [view.augment for view in views] == [True] * 3


def test_joint_sampler_prefixes_roles() -> None:
    parts = {
        "artist": PositiveSampler(songs(), notion="artist", n_negatives=2, length=10),
        "track": PositiveSampler(songs(4), notion="track", n_negatives=2, length=10),
    }
    joint = JointSampler(parts)
    assert len(joint) == 12
    example = joint.example(11, np.random.default_rng(0))
    assert set(example.crops) == {
        f"{name}.{role}" for name in parts for role in ("anchors", "positives", "negatives")
    }


# ------------------------------------------------------------------------------------ crops
@pytest.fixture
def recording(tmp_path: Path, rng: np.random.Generator) -> Song:
    path = tmp_path / "a.flac"
    sf.write(path, np.cumsum(rng.normal(0, 1e-3, (16000, 2)), axis=0).clip(-1, 1), 16000)
    return Song(track_id="a", path=str(path), length=SR)


def test_crop_is_the_part_of_the_whole(recording: Song) -> None:
    from featx.audio import Audio

    reader = AudioCrops(CropSpec(sr=SR, length=500))
    assert reader.length("a", recording.path) == SR
    whole = Audio.load(recording.path, sr=SR).y
    for start in (0, 1234, SR - 500):
        crop = reader.read(Crop(recording, start))
        np.testing.assert_allclose(crop, whole[start : start + 500], atol=RESAMPLING)


def test_short_recording_is_repeated(recording: Song) -> None:
    crop = AudioCrops(CropSpec(sr=SR, length=SR + 10)).read(Crop(recording, 0))
    np.testing.assert_array_equal(crop[SR:], crop[:10])


def test_front_end_of_the_whole_recording_needs_a_store() -> None:
    with pytest.raises(ParameterError, match="Train from a store"):
        AudioCrops(CropSpec(front_end="fe-chroma-stft", length=8))


# ------------------------------------------------------------------------- schedules and views
def verdicts(options: GradientParams, losses: list[float]) -> tuple[list[str], list[float]]:
    schedule = Schedule()
    found = [schedule.observe(loss, step, options) for step, loss in enumerate(losses)]
    return found, [schedule.scale]


def test_stages_restart_from_the_best_and_end() -> None:
    options = GradientParams(schedule="stages", patience=1, stages=2)
    found, scale = verdicts(options, [3.0, 2.0, 2.5, 2.5, 1.0, 1.0, 1.0])
    assert found == ["better", "better", "wait", "restart", "better", "wait", "stop"]
    assert scale == [pytest.approx(0.04)]


def test_plateau_slows_down_and_stops_early() -> None:
    options = GradientParams(schedule="plateau", patience=0, early_stop=3, factor=0.5)
    found, scale = verdicts(options, [1.0, 1.0, 1.0, 1.0])
    assert found == ["better", "slower", "slower", "stop"]
    assert scale == [0.25]


def test_time_decay_is_that_of_the_papers() -> None:
    options = GradientParams(epochs=1, lr=0.1, lr_decay=1e-6)
    assert Schedule().lr(10**6, options) == pytest.approx(0.05)
