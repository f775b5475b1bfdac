"""Feature specs, their time axes and their JSON form."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from featx.errors import ParameterError
from featx.types import Column, Features, FeatureSpec


def frames(**changes: object) -> FeatureSpec:
    settings: dict[str, object] = {
        "name": "mel",
        "kind": "frames",
        "dim": 4,
        "hop": Fraction(441, 2),
        "frame_length": 2048,
    }
    return FeatureSpec(**{**settings, **changes})  # type: ignore[arg-type]


EVENTS = FeatureSpec(
    name="beats",
    kind="events",
    dim=2,
    dtype="float64",
    columns=(Column("time", "s"), Column("position", "1")),
)
CLIP = FeatureSpec(name="embedding", kind="clip", dim=8, aspects={"genre": (0, 4), "mood": (4, 8)})


@pytest.mark.parametrize("spec", [frames(first=Fraction(5, 3)), EVENTS, CLIP])
def test_feature_spec_survives_json(spec: FeatureSpec) -> None:
    assert FeatureSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_times_of_a_fractional_hop_do_not_drift() -> None:
    spec = frames()
    n_frames = 200 * 3600 * 10 + 1
    times = spec.times(n_frames, sr=44100)
    assert times[-1] == 36000.0
    assert times[1] == 1 / 200


def test_times_start_at_the_centre_of_the_first_frame() -> None:
    spec = frames(hop=Fraction(160), frame_length=400, first=Fraction(200))
    assert spec.times(2, sr=16000).tolist() == [200 / 16000, 360 / 16000]


def test_spans_reach_half_a_frame_to_both_sides() -> None:
    spec = frames(hop=Fraction(512), frame_length=1024)
    np.testing.assert_allclose(spec.spans(1, sr=1024), [[-0.5, 0.5]])


def test_times_of_a_clip_feature_are_refused() -> None:
    with pytest.raises(ParameterError, match="frames feature"):
        CLIP.times(3, sr=22050)


def test_aspect_gives_the_slice() -> None:
    assert CLIP.aspect("mood") == slice(4, 8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "song"}, "kind must be one of"),
        ({"dim": 0}, "dim must be"),
        ({"hop": None}, "hop must be"),
        ({"hop": Fraction(0)}, "hop must be"),
        ({"frame_length": 0}, "frame_length must be"),
        ({"name": "a/b"}, "feature name must be"),
        ({"columns": (Column("one"),)}, "columns must name all 4"),
        ({"aspects": {"genre": (2, 9)}}, "aspect 'genre' must lie"),
        ({"kind": "events"}, "columns must be given for events"),
    ],
)
def test_feature_spec_refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        frames(**changes)


def test_features_know_their_times() -> None:
    spec = frames(hop=Fraction(512))
    features = Features({"mel": np.zeros((3, 4), np.float32)}, specs={"mel": spec}, sr=512)
    assert features.times("mel").tolist() == [0.0, 1.0, 2.0]


def test_features_without_a_spec_say_so() -> None:
    with pytest.raises(ParameterError, match="times must be asked"):
        Features(mel=np.zeros((3, 4), np.float32)).times("mel")


def test_features_show_their_shapes_instead_of_pages_of_numbers():
    spec = FeatureSpec(name="frames", kind="frames", dim=3, hop=Fraction(2), frame_length=4)
    values = np.zeros((1000, 3), np.float32)
    told = repr(Features(frames=values, specs={"frames": spec}, sr=10))
    assert told == "Features(frames: frames (1000, 3) float32)"
    assert str(Features(level=values[0])) == "Features(level: (3,) float32)"


# ---------------------------------------------------------------------------- columns
CHORDS = FeatureSpec(
    name="chords",
    kind="events",
    columns=(Column("time", "s"), Column("end", "s"), Column("label", labels=("N", "C:maj"))),
)


def test_events_take_dimension_and_dtype_from_their_columns() -> None:
    assert (CHORDS.dim, CHORDS.dtype) == (3, "float64")
    assert CHORDS.column_names == ("time", "end", "label")
    assert CHORDS.has_labels


def test_columns_without_a_unit_have_that_of_the_feature() -> None:
    spec = frames(dim=2, unit="dB", columns=(Column("low"), Column("centroid", "Hz")))
    assert [column.unit for column in spec.columns] == ["dB", "Hz"]


@pytest.mark.parametrize("labels", [("N", "C:maj"), "open"])
def test_label_columns_survive_json(labels) -> None:
    spec = FeatureSpec(
        name="e", kind="events", columns=(Column("time", "s"), Column("label", labels=labels))
    )
    assert FeatureSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": ""}, "name of a column"),
        ({"name": "key", "unit": "s", "labels": ("a",)}, "a unit or labels"),
        ({"name": "key", "labels": ()}, "tuple of str or 'open'"),
        ({"name": "key", "labels": "closed"}, "tuple of str or 'open'"),
        ({"name": "key", "labels": ("a", "a")}, "differ"),
        ({"name": "key", "labels": ("a", 1)}, "must hold text"),
        ({"name": "key", "labels": ("a\0",)}, "NUL"),
        ({"name": "key", "labels": ("\udcff",)}, "surrogates"),
    ],
)
def test_column_refuses(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Column(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": ("time",)}, r"Write Column\('time'\)"),
        ({"columns": (Column("time"),)}, "one of them the time"),
        ({"columns": (Column("time", "s"),) * 2}, "different names"),
        ({"columns": (Column("time", "s"),), "dtype": "float32"}, "float64"),
        ({"columns": (Column("time", "s"),), "dim": 2}, "all 2 dimensions"),
        ({"kind": "clip", "columns": (Column("key", labels="open"),)}, "Only events"),
    ],
)
def test_events_refuse_columns_that_do_not_fit(settings, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        FeatureSpec(**{"name": "e", "kind": "events", **settings})


def test_features_give_events_and_show_their_columns() -> None:
    table = np.array([(0.0, 1.0, "N")], [("time", "f8"), ("end", "f8"), ("label", "U5")])
    features = Features({"chords": table}, specs={"chords": CHORDS}, sr=8000)
    assert features.events("chords").labels == ("N",)
    assert repr(features) == "Features(chords: events (1,) time, end, label)"
    with pytest.raises(ParameterError, match="events must be asked of a feature with a spec"):
        features.events("beats")
