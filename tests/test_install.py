"""The third-party path: a generated plugin as a wheel, in a fresh environment, without an index."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from featx.testing import synthesise
from featx.testing.template_writer import write_plugin

pytestmark = [pytest.mark.install, pytest.mark.xdist_group("install")]

ROOT = Path(__file__).resolve().parents[1]


def call(*command: str | Path, **settings) -> str:
    """Run ``command`` and return its output; a failure shows it."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        check=False,
        env={**environment, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **settings.pop("env", {})},
        **settings,
    )
    assert done.returncode == settings.get("code", 0), done.stdout + done.stderr
    return done.stdout


def pip(*arguments: str | Path) -> str:
    return call(sys.executable, "-m", "pip", *arguments)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Path:
    """Wheels of featx and of a generated plugin, built from copies without an index."""
    folder = tmp_path_factory.mktemp("wheels")
    plugin = write_plugin("level-meter", folder=tmp_path_factory.mktemp("plugin"))
    for source in (ROOT, plugin):
        pip(
            *("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"),
            *("--wheel-dir", folder, source),
        )
    return folder


@pytest.fixture(scope="module")
def environment(wheels, tmp_path_factory) -> Path:
    """Return the ``bin`` of a fresh environment that sees the third parties of this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    third_party = {sysconfig.get_path("purelib"), *site.getsitepackages()} | {
        # where this environment itself borrows from another
        line
        for path in map(Path, site.getsitepackages())
        for file in path.glob("*.pth")
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.endswith("site-packages")
    }
    # plain lines: unlike a site folder, they run no .pth files, so that nothing installed in
    # editable mode comes along
    (packages / "third_party.pth").write_text("\n".join(sorted(third_party)) + "\n")
    pip(
        *("--python", folder / "bin" / "python", "install", "--quiet", "--no-index", "--no-deps"),
        *("--force-reinstall", *sorted(wheels.glob("*.whl"))),
    )
    return folder / "bin"


def test_wheel_of_featx_holds_template_and_types_but_no_tests(wheels):
    import zipfile

    (wheel,) = wheels.glob("featx-[0-9]*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "featx/py.typed" in names
    assert "featx/testing/template/common/gitignore" in names
    assert "featx/testing/template/common/.github/workflows/ci.yml" in names
    assert not [name for name in names if name.startswith("tests/") or "_cache" in name]


def test_installed_featx_is_the_wheel(environment):
    where = call(environment / "python", "-c", "import featx; print(featx.__file__)")
    assert Path(where.strip()).is_relative_to(environment.parent)


def test_installed_plugin_is_listed(environment):
    listed = json.loads(call(environment / "featx", "plugins", "--json"))
    (record,) = [item for item in listed if item["name"] == "level-meter"]
    assert (record["status"], record["distribution"]) == ("ok", "featx-level-meter")


def test_installed_plugin_passes_the_check(environment):
    report = json.loads(call(environment / "featx", "check", "level-meter", "--json"))
    assert report["passed"]
    skipped = {item["id"] for item in report["checks"] if item["status"] == "skip"}
    assert skipped == {"blocks", "hour-long"}


def test_generated_tests_pass(environment, wheels, tmp_path):
    place = write_plugin("level-meter", folder=tmp_path)
    told = call(environment / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=place)
    assert "7 passed" in told


def test_installed_plugin_runs(environment, tmp_path):
    import soundfile

    piece = synthesise(seed=1, duration=5.0, sr=22050)
    soundfile.write(tmp_path / "piece.flac", piece.y, piece.sr)
    store = tmp_path / "out"
    told = call(
        environment / "featx",
        "run",
        "--plugin",
        "level-meter",
        tmp_path / "piece.flac",
        "-o",
        store,
    )
    assert "1 ok" in told
    script = (
        "import sys, featx\n"
        "view = featx.open_store(sys.argv[1])['level-meter']['summary']\n"
        "print(*view.values[0].tolist())\n"
    )
    mean, std, peak, crest = map(float, call(environment / "python", "-c", script, store).split())
    assert peak == pytest.approx(-1.01, abs=0.02)  # the peak of synthesised pieces is 0.89
    assert mean < peak
    assert std > 0
    assert crest > 3


def test_installed_featx_writes_new_plugins(environment, tmp_path):
    call(environment / "featx", "new", "from-wheel", "--dir", tmp_path)
    assert (tmp_path / "featx-from-wheel" / ".github" / "workflows" / "ci.yml").is_file()
