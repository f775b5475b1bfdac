"""Runs what is left of a shard of which a worker that was lost may have committed a part."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

from featx.engine.tasks import Failure, ShardSummary, ShardTask, TrackTask
from featx.engine.work.runner import run_shard
from featx.store.ledger import current_run, ledger_files, read_lines
from featx.store.paths import TEMPORARY
from featx.store.records import SEVERITY

#: (track id, recipe, feature) -> status, code, reason; an empty feature stands for all.
_Committed = dict[tuple[str, str, str], tuple[str, str, str]]


def resume_shard(task: ShardTask) -> ShardSummary:
    """Compute the tracks of ``task`` as `run_shard` does, except what this run has committed.

    A file in the store marks a shard in work. It is there already where the worker was lost;
    only then the ledgers are read.
    """
    settings = task.settings
    marker = Path(settings.store) / f"{TEMPORARY}shard-{settings.token}-{task.number}"
    try:
        marker.touch(exist_ok=False)
        committed: _Committed = {}
    except FileExistsError:
        committed = _committed(task)
    rest = [_rest(task, track, committed) for track in task.tracks]
    left = tuple(track for track in rest if track.missing)
    summary = run_shard(dataclasses.replace(task, tracks=left)) if left else _empty(task)
    marker.unlink(missing_ok=True)
    if len(left) == len(rest):
        return summary
    done = [track for track in rest if not track.missing]
    return _with_earlier(task, summary, done, committed)


def _committed(task: ShardTask) -> _Committed:
    """Return what the ledgers of this run hold of the tracks of ``task``."""
    folder = Path(task.settings.store)
    names = {track.track_id for track in task.tracks}
    prefix = f"{current_run(folder):06d}-"
    committed: _Committed = {}
    for ledger in ledger_files(folder):
        if not ledger.name.startswith(prefix):
            continue
        for _, entry in read_lines(folder, ledger.name):
            if entry["kind"] == "shard":
                for feature in entry["described"]:
                    for track_id, _ in entry["units"]:
                        if track_id in names:
                            committed[track_id, entry["recipe"], feature] = ("ok", "", "")
            elif entry["kind"] == "units":
                for track_id, _, recipe, status, features, code, reason in entry["units"]:
                    for feature in features or [""]:
                        if track_id in names:
                            committed[track_id, recipe, feature] = (status, code, reason)
    return committed


def _rest(task: ShardTask, track: TrackTask, committed: _Committed) -> TrackTask:
    """Return a track without what is committed; ``known`` is the worst status of that."""
    missing, statuses = [], [track.known]
    for number, features in track.missing:
        recipe = task.settings.extractors[number].recipe.id
        outcomes = {name: _outcome(committed, track, recipe, name) for name in features}
        statuses += [outcome[0] for outcome in outcomes.values() if outcome]
        left = tuple(name for name in features if outcomes[name] is None)
        if left:
            missing.append((number, left))
    worst = max(statuses, key=SEVERITY.__getitem__)
    return dataclasses.replace(track, missing=tuple(missing), known=worst)


def _outcome(
    committed: _Committed, track: TrackTask, recipe: str, feature: str
) -> tuple[str, str, str] | None:
    return committed.get((track.track_id, recipe, feature)) or committed.get(
        (track.track_id, recipe, "")
    )


def _with_earlier(
    task: ShardTask, summary: ShardSummary, done: list[TrackTask], committed: _Committed
) -> ShardSummary:
    """Return a summary that also counts the tracks which the lost worker had finished."""
    files = Counter(track.known for track in done)
    units = {name: Counter(counts) for name, counts in summary.units.items()}
    failures = list(summary.failures)
    wanted = {track.track_id: track for track in task.tracks}
    for track_id in (track.track_id for track in done):
        track = wanted[track_id]
        for number, features in track.missing:
            extractor = task.settings.extractors[number]
            outcome = _outcome(committed, track, extractor.recipe.id, features[0])
            assert outcome is not None
            status, code, reason = outcome
            units.setdefault(extractor.name, Counter())[status] += 1
            if status == "failed":
                failures.append(
                    Failure(
                        track_id=track_id,
                        path=track.path,
                        extractor=extractor.name,
                        code=code,
                        reason=reason,
                    )
                )
    return dataclasses.replace(
        summary,
        ok=summary.ok + files["ok"],
        failed=summary.failed + files["failed"],
        skipped=summary.skipped + files["skipped"],
        units={name: dict(counts) for name, counts in units.items()},
        failures=tuple(failures),
    )


def _empty(task: ShardTask) -> ShardSummary:
    """Return the summary of a shard in which nothing is left to do."""
    return ShardSummary(
        number=task.number,
        ok=0,
        failed=0,
        skipped=0,
        stopped=0,
        units={},
        failures=(),
        noted={},
        audio=0.0,
        busy=0.0,
        peak_rss=0,
    )
