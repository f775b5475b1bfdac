"""What ``featx plan --parts`` shows and writes: a run in parts, for batch systems."""

from __future__ import annotations

import csv
import shlex
import sys
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from featx.cli.run_file import write_run_file
from featx.commands import counted, duration_text, replacing
from featx.errors import ParameterError

if TYPE_CHECKING:
    from featx.engine import PlannedTrack
    from featx.engine.planning.estimating import Estimate, Rates

_COLUMNS = ("part", "files", "to_do", "seconds")

_SLURM = """\
#!/bin/bash
# Written by featx plan. Submit with: sbatch {script}
#SBATCH --job-name=featx
#SBATCH --array={parts}
#SBATCH --cpus-per-task={cores}
#SBATCH --output={logs}
#SBATCH --requeue
# SIGTERM one minute before the time limit: featx commits its results and ends
#SBATCH --signal=B:TERM@60
exec {featx} run -c {run_file} --part "$SLURM_ARRAY_TASK_ID/{count}"
"""

_KUBERNETES = """\
# Written by featx plan. Set image and claimName; the volume holds music, store and this folder
# at the paths that they have here. Submit with: kubectl apply -f {manifest}
apiVersion: batch/v1
kind: Job
metadata:
  name: featx
spec:
  completionMode: Indexed
  completions: {count}
  parallelism: 10
  backoffLimitPerIndex: 5
  podFailurePolicy:
    rules: # 2: wrong usage, 3: some files failed; the same command would end in the same way
      - action: FailIndex
        onExitCodes: {{operator: In, values: [2, 3]}}
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: featx
          image: featx
          command: [sh, -c, {command}]
          resources: {{requests: {{cpu: {cores}}}, limits: {{cpu: {cores}}}}}
          volumeMounts: [{{name: data, mountPath: {mount}}}]
      volumes: [{{name: data, persistentVolumeClaim: {{claimName: data}}}}]
"""


class PartTable:
    """What each of ``count`` parts has to do."""

    def __init__(self, count: int, rates: Rates) -> None:
        self._rates = rates
        self._files = [0] * count
        self._to_do = [0] * count
        self._audio: list[float | None] = [0.0] * count

    def add(self, track: PlannedTrack) -> None:
        """Count one track."""
        from featx.engine.planning.parts import part_of

        index = part_of(track.source.track_id, len(self._files)) - 1
        self._files[index] += 1
        if track.to_do() is not None:
            self._to_do[index] += 1
            length, audio = self._rates.length(track), self._audio[index]
            self._audio[index] = None if length is None or audio is None else audio + length

    def rows(self, estimate: Estimate) -> list[dict[str, int | float | None]]:
        """Return number, files, files to do and seconds of every part; None for unknown seconds."""
        seconds = estimate.seconds if estimate.audio else None  # those of all parts
        shares = [
            None if seconds is None or audio is None else seconds * audio / (estimate.audio or 1.0)
            for audio in self._audio
        ]
        numbers = range(1, len(self._files) + 1)
        return [
            dict(zip(_COLUMNS, row, strict=True))
            for row in zip(numbers, self._files, self._to_do, shares, strict=True)
        ]

    def line(self, estimate: Estimate) -> str:
        """Return the sizes of the parts in one sentence."""
        rows = self.rows(estimate)
        times = [row["seconds"] for row in rows if row["seconds"] is not None]
        longest = f"; the longest takes {duration_text(max(times))}" if times else ""
        least, most = min(self._to_do), max(self._to_do)
        return f"{counted(len(rows), 'part')}: {least} to {most} files to do in each{longest}."


def write_array(
    context: click.Context, folder: Path, rows: list[dict[str, int | float | None]], cores: int
) -> None:
    """Write the array into ``folder``: run file, table of parts, SLURM script, Kubernetes Job."""
    if "-" in context.params["inputs"]:
        raise ParameterError("inputs of an array must be files or folders, got '-'.")
    left = [int(row["part"] or 0) for row in rows if row["to_do"]]
    folder = folder.absolute()
    run_file, script, manifest = (
        folder / name for name in ("run.toml", "array.sbatch", "job.yaml")
    )
    if not left:
        removed = [path for path in (script, manifest) if path.exists()]
        for path in removed:
            path.unlink()
        older = f"; removed {' and '.join(map(str, removed))}, which are done" if removed else ""
        click.echo(f"No part has anything to do; no array was written{older}.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_run_file(context, run_file, jobs=cores)
    with replacing(folder / "parts.csv") as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS)
        writer.writeheader()
        for row in rows:
            seconds = row["seconds"]
            writer.writerow(row | {"seconds": None if seconds is None else round(seconds, 1)})
    count = len(rows)
    config = shlex.quote(str(run_file))
    texts = {
        script: _SLURM.format(
            script=script,
            parts=",".join(_ranges(left)),
            cores=cores,
            logs=folder / "%A_%a.log",
            featx=f"{shlex.quote(sys.executable)} -m featx.cli",
            run_file=config,
            count=count,
        ),
        manifest: _KUBERNETES.format(
            manifest=manifest,
            count=count,
            command=f"'exec featx run -c {config} --part $((JOB_COMPLETION_INDEX + 1))/{count}'",
            cores=cores,
            mount=folder.parent,
        ),
    }
    for path, text in texts.items():
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    click.echo(f"Wrote {folder}. Next: sbatch {script}, or kubectl apply -f {manifest}")


def _ranges(numbers: Iterable[int]) -> Iterator[str]:
    """Yield rising numbers as ranges such as ``1-3``."""
    for _, group in groupby(enumerate(numbers), lambda item: item[1] - item[0]):
        first, *rest = [number for _, number in group]
        yield f"{first}-{rest[-1]}" if rest else str(first)
