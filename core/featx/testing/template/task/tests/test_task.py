"""What the task gives."""

from __future__ import annotations

from pathlib import Path

from featx.manifest import read_manifest
from featx_bench.harness import Sources

from featx_example_name import featx_bench_tasks, music


def test_every_track_has_an_artist(tmp_path: Path) -> None:
    rows = list(read_manifest(music(Sources(data=None, work=tmp_path))))
    assert all(Path(row.path).is_file() and row.tags["artist"] for row in rows)
    assert len({row.tags["artist"] for row in rows}) > 1


def test_task_names_its_protocol() -> None:
    (spec,) = featx_bench_tasks()
    assert spec.protocol == "retrieval"
