"""What the command shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from click.testing import CliRunner
from featx import Column, FeatureSpec
from featx.store import Recipe, StoreWriter, TrackRecord

from featx_example_name import command

SPEC = FeatureSpec(name="summary", kind="clip", dim=1, columns=(Column("level", "dB"),))


def test_tracks_are_ranked(tmp_path: Path) -> None:
    tracks = [
        TrackRecord(track_id=name, path=name, content=name * 32, size=1, mtime_ns=1)
        for name in "abc"
    ]
    values = [{"summary": np.array([level], np.float32)} for level in (-3.0, -1.0, -2.0)]
    with StoreWriter(tmp_path / "store", provenance={}) as writer:
        recipe = Recipe(extractor="featx-x:levels", version="1")
        writer.write_shard(recipe, [SPEC], tracks, values, [22050] * 3)
    words = [str(tmp_path / "store"), "levels.summary", "level", "-n", "2"]
    result = CliRunner().invoke(command, words)
    assert [line.split()[0] for line in result.output.splitlines()] == ["track", "b", "c", "2"]
