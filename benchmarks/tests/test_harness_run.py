"""The harness as a whole: cells, resuming, competitors that misbehave, other tasks, the page."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from fake_plugins import install

from featx.cli import main
from featx.environments import Environment
from featx.registry import load_registry
from featx.testing.template_writer import write_plugin
from featx_bench.cli import command
from featx_bench.harness import datasets
from featx_bench.harness.cells import Results
from featx_bench.harness.competitors import NotApplicableError, parse_competitor
from featx_bench.harness.member import describe
from featx_bench.harness.page import write_page
from featx_bench.harness.protocols import find_protocol
from featx_bench.harness.running import Limits, run_table
from featx_bench.harness.specs import Sources, TaskSpec, load_tasks
from featx_bench.harness.tables import read_table

EXTRACTORS = """
    import os
    import numpy as np
    from featx import Extractor, ExtractorSpec, Features, FeatureSpec, Resolved
    from featx import hookimpl, param, params_class

    SPEC = FeatureSpec(name="level", kind="clip", dim=2)

    @params_class
    class Deeds:
        deed: str = param("none", "What it does to the process.")

    def resolve(params, sr):
        return Resolved(sr=8000, outputs=(SPEC,))

    class Levels(Extractor):
        def open(self, context):
            super().open(context)
            if context.params.deed == "lack":
                import no_such_library

        def extract(self, tracks):
            return [self._one(track.y, self.context.params.deed) for track in tracks]

        def _one(self, y, deed):
            if deed == "crash":
                os.kill(os.getpid(), 11)
            while deed == "hang":
                pass
            if deed == "eat":
                self.held = [np.ones(2**24) for _ in range(64)]
            quiet = 0 < abs(np.diff(y)).max() < 0.02  # the low, quiet tone
            if deed == "raise" and quiet:
                raise ValueError("too quiet for me")
            if deed == "fall" and quiet:
                os.kill(os.getpid(), 11)
            level = [np.sqrt(np.mean(y**2)), np.mean(np.abs(np.diff(y)))]
            return Features({"level": np.array(level, np.float32)})

    @hookimpl
    def featx_extractors():
        return [
            ExtractorSpec(
                name="levels", summary="Levels", version="1", api=1, params=Deeds, licence="MIT",
                factory="{module}:Levels", resolve="{module}:resolve",
            )
        ]
"""
TASKS = """
    import csv, os
    from pathlib import Path
    from featx_bench.harness import MissingDataError, TaskSpec, hookimpl

    def loudness(sources):
        folder = Path(os.environ["TONES"])
        if not folder.is_dir():
            raise MissingDataError(f"{folder} must hold tones.")
        return folder / "manifest.csv"

    @hookimpl
    def featx_bench_tasks():
        return [
            TaskSpec(
                name="same-tone", summary="Tones of one pitch", data="{module}:loudness",
                protocol="retrieval", metric="MAP", options={"label": "artist"},
            )
        ]
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Install a plugin with good and bad extractors, and a task of another distribution."""
    folder = tmp_path / "site"
    install(folder, "levels", EXTRACTORS)
    install(folder, "tones", TASKS, group="featx.bench")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr("featx_bench.harness.costs.SECONDS", 4.0)
    music = tmp_path / "tones"
    music.mkdir()
    lines = ["path,artist"]
    for number in range(8):
        pitch = (200, 1000, 2500, 400)[number % 4]
        y = (0.1 + 0.05 * (number // 4)) * np.sin(2 * np.pi * pitch * np.arange(8000) / 8000)
        soundfile.write(music / f"{number}.wav", y, 8000)
        lines.append(f"{number}.wav,{pitch} Hz <b>")
    (music / "manifest.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("TONES", str(music))
    return folder


def run(folder, *competitors, **more):
    tasks, broken = load_tasks()
    assert not broken
    entries = [parse_competitor(text) for text in competitors]
    chosen = {"same-tone": tasks["same-tone"]}
    limits = Limits(cell=60, track=3.0, memory=2**29)
    results = run_table(
        chosen, entries, folder, limits=limits, jobs=1, registry=load_registry(), **more
    )
    return read_table(results)


def test_misbehaving_competitors_spoil_only_their_own_cells(site, tmp_path):
    bad = {deed: f"levels:deed={deed}" for deed in ("crash", "hang", "eat")}
    table = run(
        tmp_path / "out",
        "levels",
        *bad.values(),
        "levels:deed=raise",
        "levels:deed=lack",
        "no-such",
    )
    rows = {row.competitor: row for row in table.rows("same-tone")}
    assert rows["levels"].status == "ok", rows["levels"].reason
    assert rows["levels"].value == 1.0
    assert rows["levels"].speed > 1
    assert rows["levels"].all_cores > 1
    assert rows["levels"].licence == "MIT"
    for deed, cause in (("crash", "crash"), ("hang", "timeout"), ("eat", "memory")):
        assert rows[bad[deed]].status == "failed"
        assert rows[bad[deed]].reason.startswith(cause)
    assert rows["levels:deed=raise"].status == "partial"
    assert rows["levels:deed=raise"].failed == 1
    assert rows["levels:deed=lack"].status == "skipped"
    assert "no_such_library" in rows["levels:deed=lack"].reason
    assert rows["no-such"].status == "skipped"
    assert "no-such" in rows["no-such"].reason


def test_crash_on_a_track_costs_no_other_extractor_of_the_group(site, tmp_path):
    table = run(tmp_path / "out", "levels:deed=fall", "mfcc")
    rows = {row.competitor: row for row in table.rows("same-tone")}
    assert (rows["levels:deed=fall"].status, rows["levels:deed=fall"].failed) == ("partial", 1)
    assert (rows["mfcc"].status, rows["mfcc"].failed) == ("ok", 0)


def test_second_run_computes_nothing(site, tmp_path, monkeypatch):
    first = run(tmp_path / "out", "levels", "levels+levels.level")
    monkeypatch.setattr("featx_bench.harness.running.measure_costs", _refuse_work)
    monkeypatch.setattr("featx.run", lambda *args, **more: pytest.fail("extracted again"))
    second = run(tmp_path / "out", "levels", "levels+levels.level")
    assert second.rows("same-tone") == first.rows("same-tone")


def _refuse_work(jobs, *args, **more):
    assert not jobs
    return iter(())


def test_cells_that_were_lost_are_measured_again(site, tmp_path):
    out = tmp_path / "out"
    run(out, "levels")
    (cell,) = (out / "cells/same-tone").iterdir()
    before = json.loads(cell.read_text())
    cell.write_text(cell.read_text()[:100])  # a machine that went down
    run(out, "levels")
    after = json.loads(cell.read_text())
    assert after["metrics"] == before["metrics"]


def test_competitors_are_added_to_a_table(site, tmp_path):
    out = tmp_path / "out"
    one, other = "levels", "levels:deed=none"
    before = run(out, one)
    (row,) = before.rows("same-tone")
    results = Results(out)  # a task of another run
    summary = results.summary()
    results.save_summary({**summary, "tasks": {"old": {"metric": "x"}, **summary["tasks"]}})
    table = run(out, other, add=True)
    assert list(table.tasks) == ["old", "same-tone"]
    values = {item.competitor: item.value for item in table.rows("same-tone")}
    assert (values.keys(), values[one]) == ({one, other}, row.value)
    assert [row.competitor for row in run(out, other).rows("same-tone")] == [other]


def test_changed_music_is_measured_again(site, tmp_path):
    out = tmp_path / "out"
    run(out, "levels")
    manifest = tmp_path / "tones" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace("2500 Hz", "1000 Hz"))
    (row,) = run(out, "levels").rows("same-tone")
    assert row.value < 1.0


def test_data_that_went_missing_keeps_what_was_measured(site, tmp_path, monkeypatch):
    out = tmp_path / "out"
    run(out, "levels")
    monkeypatch.setenv("TONES", str(tmp_path / "elsewhere"))
    kept, skipped = run(out, "levels", "levels:deed=none").rows("same-tone")
    assert (kept.competitor, kept.value) == ("levels", 1.0)
    assert skipped.status == "skipped"
    assert "must hold tones" in skipped.reason


def test_costs_are_not_measured_without_data(site, tmp_path, monkeypatch):
    monkeypatch.setenv("TONES", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(
        "featx_bench.harness.running.measure_costs", lambda *a, **k: pytest.fail("cost measured")
    )
    words = ["run", "same-tone", "--with", "levels", "-j", "1", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 3, result.output
    assert "nothing was measured:\n  " in result.stderr
    assert "must hold tones" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["same-tone", "--with", "mfc"], "no extractor is called 'mfc'. Did you mean 'mfcc'?"),
        (["same-tone", "--with", "mfcc+levles"], "Did you mean 'levels'?"),
        (["same-tone", "--with", "fake/levles"], "'fake'. Did you mean 'levels'?"),
        (["digitz", "--with", "mfcc"], "got 'digitz'. Did you mean 'digits'?"),
    ],
)
def test_unknown_names_are_refused_before_work(site, tmp_path, monkeypatch, words, message):
    fake = Environment(name="fake", packages=(), extractors=("featx-levels:levels",))
    monkeypatch.setattr("featx_bench.harness.competitors.list_environments", lambda: [fake])
    result = CliRunner().invoke(main, ["bench", "run", *words, "-o", str(tmp_path / "out")])
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_tasks_list_what_they_need(site):
    lines = CliRunner().invoke(command, ["tasks"]).output.splitlines()
    needs = {
        "same-tone": "nothing",
        "digits": "annotated recordings (--data)",
        "rendered-keys": "rendered music (--data, fluidsynth)",
        "gtzan-genres": "bench prepare gtzan",
    }
    for name, words in needs.items():
        (line,) = (line for line in lines if line.split()[:1] == [name])
        assert f" {words} " in line


def test_slow_competitor_is_skipped_by_the_limit(site, tmp_path):
    tasks, _ = load_tasks()
    results = run_table(
        {"same-tone": tasks["same-tone"]},
        [parse_competitor("levels")],
        tmp_path / "out",
        limits=Limits(cell=1e-7, track=5.0),
        jobs=1,
    )
    (row,) = read_table(results).rows("same-tone")
    assert row.status == "skipped"
    assert "--limit" in row.reason


def test_broken_task_plugin_is_named_and_costs_no_other(site):
    install(site, "worse", "raise OSError('no disk')", group="featx.bench")
    result = CliRunner().invoke(command, ["tasks"])
    assert "same-tone" in result.output
    assert "dummy-worse is BROKEN: OSError: no disk" in result.output


def test_task_and_extractor_from_the_templates_appear_in_one_table(tmp_path):
    site = tmp_path / "site"
    for kind in ("task", "extractor"):
        place = write_plugin(f"fresh-{kind}", folder=tmp_path, kind=kind)
        shutil.copytree(place / "src", site, dirs_exist_ok=True)
        info = site / f"featx_fresh_{kind}-0.1.0.dist-info"
        info.mkdir()
        project = tomllib.loads((place / "pyproject.toml").read_text("utf-8"))["project"]
        (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: 0.1.0\n")
        ((group, entries),) = project["entry-points"].items()
        lines = [f"{name} = {value}" for name, value in entries.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
    words = ["bench", "run", "fresh-task", "--with", "fresh-extractor", "--with", "mfcc"]
    words += ["-o", str(tmp_path / "out"), "-j", "1", "--json"]
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "featx.cli", *words],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["competitor"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["fresh-extractor"]["status"] == rows["mfcc"]["status"] == "ok", rows


def test_files_hold_the_table(site, tmp_path):
    words = ["run", "same-tone", "--with", "levels", "-j", "1", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    assert "1.000" in result.output
    table = (tmp_path / "out/table.csv").read_text().splitlines()
    assert table[0].startswith("task,competitor,status,metric,value,low,high")
    assert table[1].startswith("same-tone,levels,ok,MAP,1.0,")
    assert "| levels" in (tmp_path / "out/table.md").read_text()
    page = tmp_path / "page.md"
    page.write_text("# Title\n<!-- featx bench: begin -->\nold\n<!-- featx bench: end -->\nrest\n")
    words = ["show", "-o", str(tmp_path / "out"), "--into", str(page)]
    assert CliRunner().invoke(command, words).exit_code == 0
    text = page.read_text()
    assert text.startswith("# Title\n<!-- featx bench: begin -->\n\n2")
    assert text.endswith("<!-- featx bench: end -->\nrest\n")
    assert "old" not in text
    assert "| levels | 1.000" in " ".join(text.split())


def test_networks_with_random_weights_are_called_untrained(site, tmp_path):
    member = {"extractor": "artist-basic", "params": {}, "weights": ""}
    assert describe(member, load_registry())["weights_licence"] == "untrained"
    table = run(tmp_path / "out", "levels")
    assert "(untrained)" not in table.to_markdown()
    table = replace(table, licences={"levels": ("untrained", "MIT")})
    assert "| levels (untrained)" in table.to_markdown()


def test_outputs_of_another_kind_are_not_measured():
    competitor = parse_competitor("chords").members[0]
    member = competitor.prepare(load_registry())
    assert member.outputs["notes"] == "frames"  # the strength of every pitch
    with pytest.raises(NotApplicableError, match=r"one of notes \(events\)"):
        competitor.outputs(find_protocol("notes"), member)


def test_rendered_music_that_is_complete_is_not_planned_again(tmp_path, monkeypatch):
    rendered = []

    def render(folder, midi, options):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "a.ogg").write_bytes(b"")
        (folder / "manifest.csv").write_text("path\na.ogg\n")
        rendered.append(options)
        return SimpleNamespace(manifest=folder / "manifest.csv")

    monkeypatch.setattr("featx_bench.render.render", render)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    (tmp_path / "midi/pop909").mkdir(parents=True)
    sources = Sources(data=tmp_path, work=tmp_path / "work")
    manifest = datasets.solos(sources)
    assert datasets.solos(sources) == manifest
    assert len(rendered) == 1
    (manifest.parent / "a.ogg").unlink()
    datasets.solos(sources)
    datasets.rendered(sources)
    assert len(rendered) == 3


def test_page_holds_text_as_data_and_asks_nothing_of_the_network(site, tmp_path):
    table = run(tmp_path / "out", "levels")
    hostile = "</script><script>alert(1)</script>"
    table.tasks["same-tone"]["summary"] = hostile
    page = write_page(table, tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert page.count("</script>") == 2
    assert hostile not in page
    assert "default-src 'none'" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    assert "innerHTML" not in page
    data = page.partition('id="data">')[2].partition("</script>")[0]
    plain = json.loads(data)
    assert plain["tasks"]["same-tone"]["summary"] == hostile
    assert plain["tasks"]["same-tone"]["paths"]["0.wav"] == "../tones/0.wav"


@pytest.mark.parametrize(
    ("text", "extractor", "feature", "params", "weights"),
    [
        ("mfcc", "mfcc", "", {}, ""),
        ("mfcc.summary", "mfcc", "summary", {}, ""),
        ("featx-spectral:mfcc", "featx-spectral:mfcc", "", {}, ""),
        ("beats:model=tcn:weights=a/b.c", "beats", "", {"model": "tcn"}, "a/b.c"),
        ("featx-beat:beats:model=tcn", "featx-beat:beats", "", {"model": "tcn"}, ""),
    ],
)
def test_competitor_is_read(text, extractor, feature, params, weights):
    (member,) = parse_competitor(text).members
    read = (member.extractor, member.feature, member.params, member.weights)
    # environments run in folders of their own
    assert read == (extractor, feature, params, weights and str(Path(weights).absolute()))
    assert not member.environment


@pytest.mark.parametrize("text", ["", "mfcc:", "mfcc+", "mfcc:n_mfcc=3:x", "old/"])
def test_wrong_competitor_is_refused(text):
    with pytest.raises(Exception, match=r"a competitor must be \[ENVIRONMENT/\]EXTRACTOR"):
        parse_competitor(text)


def test_task_without_a_place_for_its_data_is_refused():
    with pytest.raises(Exception, match=r"data must be 'package.module:function'"):
        TaskSpec(name="x", summary="x", data="manifest.csv", protocol="probe", metric="softmax")
