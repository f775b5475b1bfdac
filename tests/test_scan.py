"""``featx scan``: findings, duplicates, isolation, and the exit code."""

from __future__ import annotations

import json
import shutil

import malformed
import numpy as np
import psutil
import pytest
import soundfile
from click.testing import CliRunner

from featx.audio import Limits, examine
from featx.cli.scan import command
from featx.engine.scan import scan
from featx.errors import ParameterError

SR = 22050

#: a child's Python runs this before anything else
_EVIL = """
import os, signal, time
import featx.audio

examine = featx.audio.examine

def evil(path, **more):
    name = os.path.basename(path)
    if name == "crash.wav":
        os.kill(os.getpid(), signal.SIGSEGV)
    if name == "hang.wav":
        time.sleep(60)
    if name == "hog.wav":
        bytearray(1 << 36)
    if name == "raise.wav":
        raise ZeroDivisionError("in a decoder")
    return examine(path, **more)

featx.audio.examine = evil
"""


@pytest.fixture
def write(tmp_path, rng):
    """Write noise under a name; ``gain`` 0 is silence."""
    noise = rng.uniform(-1, 1, SR).astype(np.float32)

    def put(name: str, *, gain: float = 0.5, **options):
        path = tmp_path / name
        soundfile.write(path, np.clip(gain * noise, -1, 1), SR, **options)
        return path

    return put


def codes(folder, **options) -> dict[str, int]:
    with scan([str(folder)], jobs=1, **options) as report:
        return report.counts()


def test_healthy_files_have_no_findings(write, tmp_path):
    write("a.wav")
    write("b.flac", gain=0.3)
    with scan([str(tmp_path)], jobs=1) as report:
        assert (report.n_files, report.n_ok, report.counts()) == (2, 2, {})
        assert report.seconds == 2.0


@pytest.mark.parametrize(
    ("gain", "code"), [(0.0, "silent"), (1e-5, "silent"), (1.5, "clipped"), (0.99, None)]
)
def test_level_is_judged(write, gain, code):
    health = examine(write("x.wav", gain=gain, subtype="FLOAT"))
    assert health.code == "ok"
    assert [note.code for note in health.notes] == ([code] if code else [])


def test_wrong_suffix_is_found(write, tmp_path):
    shutil.copy(write("a.flac"), tmp_path / "b.mp3")
    (tmp_path / "a.flac").unlink()
    assert [note.code for note in examine(tmp_path / "b.mp3").notes] == ["wrong-suffix"]


def test_duplicates_name_the_first_file(write, tmp_path):
    first = write("a.wav")
    shutil.copy(first, tmp_path / "b.wav")
    samples, sr = soundfile.read(first, dtype="int16")
    soundfile.write(tmp_path / "c.flac", samples, sr)
    with scan([str(tmp_path)], jobs=2, same_audio=True) as report:
        assert report.counts() == {"duplicate-file": 1, "duplicate-audio": 1}
        (same_bytes,) = report.findings("duplicate-file")
        (same_samples,) = report.findings("duplicate-audio")
    assert same_bytes.track == str(tmp_path / "b.wav")
    assert same_samples.track == str(tmp_path / "c.flac")
    assert same_bytes.text.endswith(f"as {first}")
    assert same_samples.text.endswith(f"as {first}")


def test_equal_samples_are_not_compared_unasked(write, tmp_path):
    samples, sr = soundfile.read(write("a.wav"), dtype="int16")
    soundfile.write(tmp_path / "b.flac", samples, sr)
    assert codes(tmp_path) == {}


def test_limits_reach_the_children(write, tmp_path):
    write("a.wav")
    assert codes(tmp_path, limits=Limits(max_seconds=0.5)) == {"too-long": 1}


def test_what_kills_a_child_costs_one_file(write, tmp_path, monkeypatch):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sitecustomize.py").write_text(_EVIL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    names = ["0.wav", "crash.wav", "1.wav", "hang.wav", "2.wav", "hog.wav", "3.wav", "raise.wav"]
    for number, name in enumerate(names, 1):
        write(name, gain=0.1 * number)
    with scan([str(tmp_path / name) for name in names], jobs=2, timeout=1.0) as report:
        assert report.counts() == {"crash": 1, "timeout": 1, "memory": 1, "decode-error": 1}
        assert report.n_ok == 4
        (error,) = report.findings("decode-error")
    assert error.text == "ZeroDivisionError: in a decoder"


def test_files_are_reported_in_the_order_of_the_inputs(write, tmp_path):
    paths = [str(write(f"{number:02}.wav", gain=0.01 * number)) for number in range(1, 40)]
    seen = []
    with scan(paths, jobs=2, on_file=lambda report: seen.append(report.n_files)) as report:
        assert report.n_ok == 39
    assert seen == list(range(1, 40))


def test_interrupted_scan_leaves_no_process(write, tmp_path):
    paths = [str(write(f"{number:02}.wav", gain=0.01 * number)) for number in range(1, 40)]

    def interrupt(report):
        raise KeyboardInterrupt

    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(KeyboardInterrupt):
        scan(paths, jobs=2, on_file=interrupt)
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_inputs_are_those_of_a_run(write, tmp_path):
    write("a.wav")
    (tmp_path / "list.csv").write_text("path\na.wav\nmissing.wav\n")
    with scan([tmp_path / "list.csv"], jobs=1) as report:
        assert report.counts() == {"missing": 1}
    with pytest.raises(ParameterError, match=r"no (such )?file or folder"):
        scan([tmp_path / "nothing"])


@pytest.mark.parametrize("options", [{"jobs": 0}, {"timeout": 0.0}, {"max_memory": -1}])
def test_scan_refuses_what_is_not_positive(options):
    with pytest.raises(ParameterError, match=f"{next(iter(options))} must be > 0"):
        scan([], **options)


# ---------------------------------------------------------------- the command
@pytest.fixture
def collection(tmp_path, write):
    folder = tmp_path / "collection"
    folder.mkdir()
    shutil.move(write("good.wav"), folder)
    shutil.move(write("silent.flac", gain=0.0), folder)
    shutil.copy(folder / "good.wav", folder / "copy.wav")
    (folder / "cut.wav").write_bytes((folder / "good.wav").read_bytes()[:9999])
    (folder / "bomb.flac").write_bytes(malformed.bomb())
    (folder / "empty.ogg").write_bytes(b"")
    (folder / "notes.txt").write_text("no audio suffix, not looked at")
    return folder


def test_command_lists_findings_and_exits_with_3(collection):
    result = CliRunner().invoke(command, [str(collection), "--jobs", "1"])
    assert result.exit_code == 3
    assert result.output.splitlines()[-1] == (
        "6 files, 0.00 h of audio: 3 ok (2 with warnings), 3 would fail"
    )
    assert "cut.wav" in result.output
    for code in ("truncated", "lying-header", "empty", "silent", "duplicate-file"):
        assert f"\n{code} " in "\n" + result.output


def test_command_writes_json(collection):
    result = CliRunner().invoke(command, [str(collection), "--json", "--jobs", "1"])
    found = json.loads(result.output)
    assert (found["files"], found["ok"], found["failing"]) == (6, 3, 3)
    assert found["findings"]["truncated"]["fails"] is True
    assert found["findings"]["duplicate-file"]["fails"] is False
    (cut,) = found["findings"]["truncated"]["files"]
    assert cut["path"].endswith("cut.wav")


def test_command_is_content_with_warnings(collection):
    for name in ("cut.wav", "bomb.flac", "empty.ogg"):
        (collection / name).unlink()
    assert CliRunner().invoke(command, [str(collection), "--jobs", "1"]).exit_code == 0


def test_command_shortens_long_lists(collection):
    for number in range(4):
        (collection / f"{number}.wav").write_bytes(b"")
    result = CliRunner().invoke(command, [str(collection), "--show", "2", "--jobs", "1"])
    assert "... and 3 more; --show 0 lists all" in result.output


@pytest.mark.data
def test_the_shared_recordings_are_healthy(data_dir):
    with scan([str(data_dir / "music")], jobs=2) as report:
        assert report.n_files >= 51
        assert report.n_failing == 0
