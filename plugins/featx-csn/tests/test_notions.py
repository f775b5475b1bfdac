"""Files of notions, and triplets drawn by them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from featx import ParameterError
from featx.training import Example, Song, Songs
from featx_csn.notions import BUILTIN, Notion, block_of_tags, read_notions, tags_of
from featx_csn.sampling import NO_TAG, NotionTriplets, similar

MOOD = Notion(name="mood", size=8, tags=("sad", "happy"))
TEMPO = Notion(name="tempo", size=8, column="tempo", within=5.0)
KEY = Notion(name="key", size=8, column="key")
TRACK = Notion(name="song", size=8, column="track")


def songs(*labels: dict[str, str]) -> Songs:
    return Songs(
        (
            Song(track_id=f"{n}.ogg", path=f"/{n}.ogg", length=600, labels=own)
            for n, own in enumerate(labels)
        ),
        split="train",
    )


def drawn(sampler: NotionTriplets, n: int = 200) -> list[tuple[Song, Song, Song, Example]]:
    rng = np.random.default_rng(0)
    made = []
    for place in range(n):
        example = sampler.example(place % len(sampler), rng)
        crops = example.crops
        made.append(
            (crops["anchors"].song, crops["positives"].song, crops["negatives"][0].song, example)  # type: ignore[union-attr, index]
        )
    return made


@pytest.mark.parametrize("name", BUILTIN)
def test_builtin_files_are_read(name: str) -> None:
    assert sum(notion.size for notion in read_notions(name)) == 256


def test_groups_of_the_million_song_dataset_have_the_sizes_of_the_paper() -> None:
    notions = read_notions("msd")
    assert [len(notion.tags) for notion in notions] == [28, 12, 5, 5]
    assert len(set(tags_of(notions))) == 50
    assert block_of_tags(notions).count(3) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "JSON file"),
        ("[]", "object of notions"),
        ('{"mood": 3}', "must be an object"),
        ('{"mood": {"size": 0, "tags": ["a"]}}', "size of notion 'mood'"),
        ('{"mood": {"size": 4}}', "tags or a column"),
        ('{"mood": {"size": 4, "tags": ["a"], "colour": 1}}', "colour"),
        ('{"a": {"size": 4, "tags": ["x"]}, "b": {"size": 4, "tags": ["x"]}}', "'x' twice"),
    ],
)
def test_wrong_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "notions.json"
    path.write_text(text)
    with pytest.raises(ParameterError, match=message):
        read_notions(str(path))


def test_sizes_are_free(tmp_path: Path) -> None:
    path = tmp_path / "notions.json"
    path.write_text(
        json.dumps({"b": {"size": 3, "tags": ["x"]}, "a": {"size": 5, "column": "key"}})
    )
    assert [(notion.name, notion.size) for notion in read_notions(str(path))] == [
        ("b", 3),
        ("a", 5),
    ]


def test_missing_file_is_refused() -> None:
    with pytest.raises(ParameterError, match="categories must be a JSON file"):
        read_notions("nowhere.json")


@pytest.mark.parametrize(
    ("other", "octaves", "expected"),
    [(94, False, True), (96, False, False), (180, False, False), (180, True, True),
     (189, True, True), (191, True, False), (46, True, True), (50, True, True), (51, True, False)],
)  # fmt: skip
def test_tempi_are_similar_within_5_bpm(other: float, octaves: bool, expected: bool) -> None:
    notion = Notion(name="tempo", size=1, column="tempo", within=5.0, octaves=octaves)
    assert similar(90.0, np.array([other]), notion)[0] == expected
    assert similar(other, np.array([90.0]), notion)[0] == expected


def test_tag_triplets_share_a_tag_that_the_negative_lacks() -> None:
    collection = songs({"tags": "sad"}, {"tags": "sad;happy"}, {"tags": "happy"}, {"tags": "piano"})
    for anchor, positive, negative, example in drawn(
        NotionTriplets(collection, [MOOD], length=129)
    ):
        tag = MOOD.tags[example.targets["tag"]]
        assert tag in anchor.tags
        assert tag in positive.tags
        assert tag not in negative.tags
        assert anchor != positive
        assert negative.tags != ("piano",)  # nothing is known of its mood


@pytest.mark.parametrize(("disjoint", "expected"), [(True, {"z"}), (False, {"y", "z"})])
def test_disjoint_negatives_share_nothing_with_the_anchor(
    disjoint: bool, expected: set[str]
) -> None:
    notion = Notion(name="n", size=8, tags=("x", "y", "z"))
    collection = songs({"tags": "x;y"}, {"tags": "x"}, {"tags": "y"}, {"tags": "z"})
    found = drawn(NotionTriplets(collection, [notion], length=129, disjoint=disjoint))
    both = {n.tags[0] for a, p, n, _ in found if a.tags == ("x", "y") and p.tags == ("x",)}
    assert both == expected


def test_disjoint_negatives_lack_the_tag_where_every_song_shares_another() -> None:
    notion = Notion(name="n", size=8, tags=("x", "y"))
    collection = songs({"tags": "x;y"}, {"tags": "x"}, {"tags": "y"})
    found = drawn(NotionTriplets(collection, [notion], length=129, disjoint=True))
    assert {n.tags for a, p, n, _ in found if len(a.tags) == 2} == {("x",), ("y",)}


def test_number_triplets_are_within_and_beyond() -> None:
    tempi = ("90", "94", "98", "140", "", "143")
    collection = songs(*({"tempo": text} for text in tempi))
    for anchor, positive, negative, example in drawn(
        NotionTriplets(collection, [TEMPO], length=129)
    ):
        a, p, n = (float(song.labels["tempo"]) for song in (anchor, positive, negative))
        assert abs(a - p) <= 5 < abs(a - n)
        assert anchor != positive
        assert example.targets["tag"] == NO_TAG


def test_equal_values_of_a_column_are_similar() -> None:
    collection = songs({"key": "C"}, {"key": "C"}, {"key": "G"}, {"key": ""})
    for anchor, positive, negative, _ in drawn(NotionTriplets(collection, [KEY], length=129), 20):
        assert anchor.labels["key"] == positive.labels["key"] == "C"
        assert negative.labels["key"] == "G"


def test_track_triplets_are_parts_of_one_recording() -> None:
    for anchor, positive, negative, example in drawn(
        NotionTriplets(songs({}, {}, {}), [TRACK], length=129), 50
    ):
        assert anchor == positive != negative
        a, p = example.crops["anchors"].start, example.crops["positives"].start  # type: ignore[union-attr]
        assert abs(a - p) >= 65


def test_notions_are_drawn_equally_often_and_tags_are_numbered_over_all() -> None:
    instruments = Notion(name="instruments", size=8, tags=("piano", "organ"))
    collection = songs({"tags": "sad;organ"}, {"tags": "sad;organ"}, {"tags": "happy;piano"})
    found = drawn(NotionTriplets(collection, [MOOD, instruments], length=129), 400)
    assert {item[3].targets["tag"] for item in found} == {0, 3}
    share = np.mean([item[3].targets["notion"] for item in found])
    assert 0.4 < share < 0.6


@pytest.mark.parametrize("notion", [MOOD, TEMPO, KEY])
def test_songs_without_a_pair_are_refused(notion: Notion) -> None:
    collection = songs({"tags": "sad", "tempo": "90", "key": "C"}, {"tags": "happy"})
    with pytest.raises(ParameterError, match=f"of split 'train' must hold two .*{notion.name}"):
        NotionTriplets(collection, [notion], length=129)
