"""Runs over parts of a collection: alone, at once, written for batch systems, killed."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from engine_tools import install_faulty, use_faulty, write_folder, write_wav

from featx import ParameterError, open_store
from featx.cli import main
from featx.engine import Inputs, RunSummary, plan, run
from featx.engine.planning.parts import Part, part_of
from featx.errors import StoreError
from featx.store import (
    LedgerView,
    Recipe,
    StoreWriter,
    TrackRecord,
    lock_store,
    merge,
    verify,
)
from featx.store.ledger import decode_line, encode_line
from featx.store.locking import lock_holders, part_name
from featx.store.records import StoredValue
from featx.types import FeatureSpec

CAMPAIGN = Path(__file__).parents[1] / "benchmarks/reliability/parts.py"
PARTS = 3


@pytest.fixture(autouse=True)
def site(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    return use_faulty(tmp_path_factory, monkeypatch)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "music", 8)


def go(music: Any, store: Path, **more: Any) -> RunSummary:
    return run(music, store, extractors="cheap", jobs=1, **more)


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)], prog_name="featx")


# ---------------------------------------------------------------------------- which tracks
def test_every_track_is_in_one_part(music: Path) -> None:
    ids = [track.track_id for track in Inputs([music])]
    parts = [
        [track.track_id for track in Inputs([music], part=(number, PARTS))]
        for number in range(1, PARTS + 1)
    ]
    assert sorted(name for part in parts for name in part) == sorted(ids)


def test_parts_are_the_same_on_every_machine() -> None:
    names = ("a/01.ogg", "b/02.ogg", "Händel.flac", "\udcff.wav")
    assert [part_of(name, 100) for name in names] == [95, 10, 22, 59]


def test_parts_are_of_similar_size() -> None:
    sizes = Counter(part_of(f"album/{number:05d}.flac", 100) for number in range(100_000))
    assert sorted(sizes) == list(range(1, 101))
    assert max(sizes.values()) < 1.15 * 1000


@pytest.mark.parametrize("text", ["", "3", "3/", "/3", "0/3", "4/3", "-1/3", "1/0", "a/b", "1/2/3"])
def test_wrong_part_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="part must be"):
        Part.parse(text)


# ------------------------------------------------------------------------------------ runs
def test_parts_make_up_the_whole_run(music: Path, tmp_path: Path) -> None:
    (music / "no.wav").write_text("no audio")
    go(music, tmp_path / "single")
    summaries = [go(music, tmp_path / "s", part=(number, PARTS)) for number in (3, 1, 2)]
    assert sum(summary.inputs for summary in summaries) == 9
    assert [summary.left_out["in other parts"] for summary in summaries] == [
        9 - summary.inputs for summary in summaries
    ]
    single = open_store(tmp_path / "single").digest()
    assert open_store(tmp_path / "s").digest() == single
    assert go(music, tmp_path / "s").computed == 0
    merge(tmp_path / "s", tmp_path / "merged.h5")
    assert open_store(tmp_path / "merged.h5").digest() == single
    assert verify(tmp_path / "s").intact


def test_part_without_tracks_ends_well(music: Path, tmp_path: Path) -> None:
    empty = next(number for number in range(1, 101) if not [*Inputs([music], part=(number, 100))])
    arguments = ("run", music, "-p", "cheap", "-o", tmp_path / "s", "--part", f"{empty}/100")
    result = call(*arguments)
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == "0 in = 0 ok + 0 failed + 0 skipped"
    (tmp_path / "nothing").mkdir()
    result = call("run", tmp_path / "nothing", *arguments[2:])
    assert result.exit_code == 2
    assert "at least one audio file" in result.output


def test_part_notes_only_its_own_tracks_as_gone(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s")
    names = {part_of(track.track_id, PARTS): track for track in Inputs([music])}
    for track in names.values():
        Path(track.path).unlink()
    go(music, tmp_path / "s", part=(2, PARTS))
    with LedgerView(tmp_path / "s") as view:
        assert view.gone() == {names[2].track_id}


# ----------------------------------------------------------------------------------- locks
def test_parts_hold_the_lock_together(tmp_path: Path) -> None:
    store = tmp_path / "s"
    with lock_store(store, part=(1, 3)) as first, lock_store(store, part=(2, 3)):
        holders = lock_holders(store)
        assert [(holder["pid"], holder["run"], holder["held"]) for holder in holders] == [
            (os.getpid(), first, True)
        ] * 2
        for part, which in ((None, "part 1/3, and by 1 more"), ((2, 3), "part 2/3")):
            with pytest.raises(StoreError, match=f"process {os.getpid()} on host .* {which}\\."):
                lock_store(store, part=part).__enter__()
    assert lock_holders(store) == []
    assert not (store / part_name((1, 3))).exists()
    with (
        lock_store(store),
        pytest.raises(StoreError, match=f"in use by process {os.getpid()} on host"),
    ):
        lock_store(store, part=(1, 3)).__enter__()


def test_killed_part_is_told_by_doctor(music: Path, tmp_path: Path) -> None:
    store = tmp_path / "s"
    with lock_store(store, part=(2, 3)):
        announced = (store / part_name((2, 3))).read_bytes()
    (store / part_name((2, 3))).write_bytes(announced)  # as a killed run leaves it
    (holder,) = lock_holders(store)
    assert not holder["held"]
    assert "was killed" in call("doctor", store, "--json").stdout
    assert go(music, store, part=(2, 3)).ok
    assert lock_holders(store) == []


@pytest.fixture
def ledgers(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A store, its ledger that commits a shard, and that which names a row of it."""
    spec = FeatureSpec(name="level", kind="clip", dim=1)
    recipe = Recipe(extractor="toy:toy", version="1")
    records = [
        TrackRecord(track_id=name, path=f"/{name}", content="ab" * 16, size=9, mtime_ns=1)
        for name in ("first.wav", "second.wav")
    ]
    store = tmp_path / "s"
    with StoreWriter(store, provenance={}) as late, StoreWriter(store, provenance={}) as early:
        values = [{"level": np.ones(1, np.float32)}]
        shard = early.write_shard(recipe, [spec], records[:1], values, [8000])
        (committing,) = (store / "ledger").iterdir()
        value = StoredValue("second.wav", "ab" * 16, recipe.id, "level", shard.sha256, 0)
        late.record_all(records[1:], recipes=[recipe], values=[value])
        (naming,) = {*(store / "ledger").iterdir()} - {committing}
    return store, committing, naming


def found(store: Path) -> tuple[list[str], int]:
    with LedgerView(store) as view:
        (recipe,) = view.recipes()
        names = [outcome.track_id for outcome in view.current()]
        return names, view.lost(recipe.id)


@pytest.mark.parametrize("first", [0, 1])
def test_values_are_found_whichever_ledger_is_read_first(
    ledgers: tuple[Path, Path, Path], first: int
) -> None:
    """Ledgers are read in the order of their names, and those of one run are in random order."""
    store, *files = ledgers
    for number, file in enumerate([files[first], files[1 - first]]):
        file.rename(file.with_name(f"000001-1-{number:012x}.jsonl"))
    assert found(store) == (["first.wav", "second.wav"], 0)
    assert verify(store).ok
    with open_store(store) as opened:
        assert opened["toy"]["level"]["second.wav"].item() == 1.0


def test_values_are_found_once_their_shard_is(ledgers: tuple[Path, Path, Path]) -> None:
    store, committing, _ = ledgers
    aside = committing.rename(store.parent / committing.name)
    assert found(store) == ([], 1)
    aside.rename(committing)
    assert found(store) == (["first.wav", "second.wav"], 0)


def test_named_rows_must_be_those_of_the_shard(ledgers: tuple[Path, Path, Path]) -> None:
    store, committing, naming = ledgers
    aside = committing.rename(store.parent / committing.name)
    lines = [decode_line(line) for line in naming.read_bytes().splitlines(keepends=True)]
    (line,) = (line for line in lines if line.get("values"))
    line["values"][0][-1] = 1
    naming.write_bytes(b"".join(map(encode_line, lines)))
    assert found(store) == ([], 1)
    aside.rename(committing)
    with pytest.raises(StoreError, match="row must be one of the 1 of its shard, got 1"):
        found(store)


def test_equal_files_keep_their_results_in_a_copy_of_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    music = write_folder(tmp_path / "music", 6)
    for number, path in enumerate(sorted(music.rglob("*.wav"))[:3]):
        shutil.copy(path, music / f"again-{number}.wav")
    run(music, tmp_path / "s", extractors="cheap", jobs=2)
    with open_store(tmp_path / "s") as opened:
        digest = opened.digest()
    for number in range(4):
        copied = shutil.copytree(tmp_path / "s", tmp_path / f"copy-{number}")
        names = [file.name for file in (copied / "ledger").iterdir()]
        random.Random(number).shuffle(names)
        for position, name in enumerate(names):
            (copied / "ledger" / name).rename(
                copied / "ledger" / f"{position:06d}-1-{position:012x}.jsonl"
            )
        monkeypatch.setenv("FEATX_CACHE", str(tmp_path / f"cache-{number}"))
        with open_store(copied) as opened:
            assert opened.digest() == digest


# ---------------------------------------------------------------------------------- arrays
@pytest.fixture
def array(music: Path, tmp_path: Path) -> Path:
    write_wav(music / "broken.wav").write_text("no audio")
    options = ("-p", "cheap", "-o", tmp_path / "s", "--jobs", "1", "--parts", str(PARTS))
    result = call("plan", music, *options, "--array", tmp_path / "jobs")
    assert result.exit_code == 0, result.output
    least, most = (size([*parts(music)]) for size in (min, max))
    assert f"3 parts: {least} to {most} files to do in each." in result.output
    assert result.output.splitlines()[-1].startswith(f"Wrote {tmp_path / 'jobs'}. Next: sbatch ")
    return tmp_path / "jobs"


def parts(music: Path) -> list[int]:
    counts = Counter(part_of(track.track_id, PARTS) for track in Inputs([music]))
    return [counts[number] for number in range(1, PARTS + 1)]


FAKE_SBATCH = f"""#!{sys.executable}
import os, re, subprocess, sys
script = sys.argv[1]
options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", open(script).read(), re.MULTILINE))
first, _, last = options["array"].partition("-")
tasks = []
for number in range(int(first), int(last or first) + 1):
    log = open(options["output"].replace("%A", "7").replace("%a", str(number)), "w")
    environment = {{**os.environ, "SLURM_ARRAY_TASK_ID": str(number)}}
    tasks.append(subprocess.Popen(["bash", script], env=environment, stdout=log, stderr=log))
sys.exit(max(task.wait() for task in tasks))
"""


def test_slurm_array_makes_up_the_whole_run(
    array: Path, music: Path, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    sbatch = tmp_path / "bin/sbatch"
    sbatch.write_text(FAKE_SBATCH)
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", f"{sbatch.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(site))
    with (array / "parts.csv").open() as stream:
        rows = [*csv.DictReader(stream)]
    assert (
        [int(row["to_do"]) for row in rows] == [int(row["files"]) for row in rows] == parts(music)
    )
    submitted = subprocess.run(["sbatch", array / "array.sbatch"], check=False)
    logs = "".join(path.read_text() for path in array.glob("7_*.log"))
    assert submitted.returncode == 3, logs  # one file is no audio
    assert logs.count(" in = ") == PARTS
    go(music, tmp_path / "single")
    assert open_store(tmp_path / "s").digest() == open_store(tmp_path / "single").digest()
    options = ("-c", array / "run.toml", "--parts", "3", "--array")
    assert "No part has anything to do" in call("plan", *options, tmp_path / "again").output
    assert not (tmp_path / "again").exists()
    assert f"removed {array / 'array.sbatch'}" in call("plan", *options, array).output
    assert not (array / "array.sbatch").exists()


def test_array_holds_only_parts_that_have_work(music: Path, tmp_path: Path) -> None:
    for number in (1, 2, 4):
        go(music, tmp_path / "s", part=(number, 5))
    options = ("-p", "cheap", "-o", tmp_path / "s", "--parts", "5", "--array", tmp_path / "jobs")
    assert call("plan", music, *options).exit_code == 0
    assert "#SBATCH --array=3,5\n" in (tmp_path / "jobs/array.sbatch").read_text()


def test_kubernetes_job_runs_every_part(array: Path) -> None:
    yaml = pytest.importorskip("yaml")
    job = yaml.safe_load((array / "job.yaml").read_text())["spec"]
    assert (job["completions"], job["completionMode"]) == (PARTS, "Indexed")
    (container,) = job["template"]["spec"]["containers"]
    shell = [*container["command"][:2], container["command"][2].replace("exec featx", "echo")]
    for index in range(PARTS):
        environment = {**os.environ, "JOB_COMPLETION_INDEX": str(index)}
        printed = subprocess.run(shell, env=environment, capture_output=True, text=True, check=True)
        assert printed.stdout == f"run -c {array}/run.toml --part {index + 1}/{PARTS}\n"


def test_plan_gives_the_sizes_of_parts_in_json(music: Path, tmp_path: Path) -> None:
    go(music, tmp_path / "s", part=(2, PARTS))
    options = ("-p", "cheap", "-o", tmp_path / "s", "--parts", str(PARTS), "--json")
    rows = json.loads(call("plan", music, *options).stdout)["parts"]
    sizes = parts(music)
    assert [row["files"] for row in rows] == sizes
    assert [row["to_do"] for row in rows] == [sizes[0], 0, sizes[2]]
    assert rows[1]["seconds"] == 0
    assert rows[0]["seconds"] > 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--part", "4/3"), "part must be from 1/3 to 3/3, got 4/3"),
        (("--array", "jobs"), "--array requires --parts N"),
        (("--parts", "3", "--part", "1/3"), "leave out --part"),
    ],
)
def test_wrong_options_are_refused(
    music: Path, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    result = call("plan", music, "-p", "cheap", "-o", tmp_path / "s", *words)
    assert result.exit_code == 2
    assert message in result.output


def test_plan_of_a_part_is_the_plan_of_its_run(music: Path, tmp_path: Path) -> None:
    counts = plan(music, tmp_path / "s", extractors="cheap", part=(1, PARTS)).counts()
    assert counts.tracks == counts.to_do == parts(music)[0]


# -------------------------------------------------------------------------------- campaign
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_parts_that_are_killed_or_run_twice_lose_nothing(tmp_path: Path) -> None:
    site = install_faulty(tmp_path / "plugins")
    report = tmp_path / "report.json"
    options = ("--plugin", "slow", "--tracks", "20", "--seed", "2", "--json", report)
    done = subprocess.run(
        [sys.executable, CAMPAIGN, "5", "--at-once", "3", *options],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(report.read_text())
    assert figures["good"]
    assert figures["killed"] > 0
    assert figures["ended"] == 6
