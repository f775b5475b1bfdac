"""Where compiled kernels are kept, and that featx runs where nothing can be kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from featx.guarded import Answer, Child
from featx.kernels import compiling

#: Computes something small and prints the folder.
RUN = (
    "import numba; before = numba.config.CACHE_DIR\n"
    "import numpy as np; from featx.frontend import deltas\n"
    "from featx.kernels.compiling import kernel_folder\n"
    "deltas(np.ones((20, 3), np.float32))\n"
    "assert numba.config.CACHE_DIR == before\n"
    "print(kernel_folder())\n"
)


def folder(**environment: str) -> str:
    """Return what a fresh process says; a value of '' removes the variable."""
    changed = {**os.environ, **environment}
    for name in ("NUMBA_CACHE_DIR", "FEATX_CACHE", "XDG_CACHE_HOME"):
        if name not in environment:
            changed.pop(name, None)
    result = subprocess.run(
        [sys.executable, "-c", RUN], env=changed, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("variable", ["NUMBA_CACHE_DIR", "FEATX_CACHE", "XDG_CACHE_HOME"])
def test_compiled_kernels_lie_where_the_variable_says(variable: str, tmp_path: Path) -> None:
    found = Path(folder(**{variable: str(tmp_path)}))
    assert found.is_relative_to(tmp_path)
    assert found.name.startswith("kernels-")
    assert list(found.rglob("*.nbi"))


def test_a_home_that_cannot_be_written_is_survived(tmp_path: Path) -> None:
    home, temporary = tmp_path / "file", tmp_path / "temporary"
    home.write_text("a file is no folder, not even for root")
    temporary.mkdir()
    found = folder(HOME=str(home), TMPDIR=str(temporary))
    assert Path(found).is_relative_to(temporary)


def test_a_process_without_home_is_survived(tmp_path: Path) -> None:
    changed = {**os.environ, "TMPDIR": str(tmp_path)}
    for name in ("NUMBA_CACHE_DIR", "FEATX_CACHE", "XDG_CACHE_HOME", "HOME"):
        changed.pop(name, None)
    # without HOME, Python asks the table of users: no home there either
    code = "import pathlib\n" + _NO_HOME + RUN
    result = subprocess.run(
        [sys.executable, "-c", code], env=changed, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert Path(result.stdout.strip()).is_relative_to(tmp_path)


_NO_HOME = (
    "def nobody(cls): raise RuntimeError('no home')\npathlib.Path.home = classmethod(nobody)\n"
)


def test_a_cache_folder_that_cannot_be_written_is_survived(tmp_path: Path) -> None:
    wall, temporary = tmp_path / "file", tmp_path / "temporary"
    wall.write_text("a file is no folder, not even for root")
    temporary.mkdir()
    found = folder(
        FEATX_CACHE=str(wall), NUMBA_CACHE_DIR=str(wall / "x"), HOME=str(wall),
        TMPDIR=str(temporary),
    )  # fmt: skip
    assert Path(found).is_relative_to(temporary)


@pytest.mark.parametrize("how", ["link", "writable", "stranger", "link-inside"])
def test_a_cache_folder_that_is_not_ours_is_not_read(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What lies there is unpickled and run."""
    from featx.kernels import compiling

    monkeypatch.setattr(compiling.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(compiling, "cache_folder", lambda: tmp_path / "file" / "cache")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    (tmp_path / "file").touch()
    find = compiling.kernel_folder.__wrapped__
    level = tmp_path / f"featx-{os.getuid()}"
    evil = tmp_path / "evil"
    evil.mkdir()
    if how == "link":
        level.symlink_to(evil, target_is_directory=True)
    elif how == "link-inside":
        name = find("featx").name
        (level / name).rmdir()
        (level / name).symlink_to(evil, target_is_directory=True)
    else:
        level.mkdir()
        level.chmod(0o777 if how == "writable" else 0o700)
    if how == "stranger":
        monkeypatch.setattr(compiling.os, "getuid", lambda: 4321)
        level.rename(tmp_path / "featx-4321")
    assert find("featx") is None


def test_a_new_cache_folder_is_for_its_user_alone(tmp_path: Path) -> None:
    found = Path(folder(FEATX_CACHE=str(tmp_path)))
    assert found.stat().st_mode & 0o777 == 0o700


#: Computes with threads, and tells what became of numba's threads and torch's.
THREADS = (
    "import numpy as np, torch\n"
    "before = torch.get_num_threads(), torch.get_num_interop_threads()\n"
    "from featx.frontend import compute, statistics\n"
    "y = np.ones(50_000, np.float32)\n"
    "compute(y, 'fe-artist', sr=22050, threads=2); statistics(y, 'fe-artist', sr=22050)\n"
    "assert before == (torch.get_num_threads(), torch.get_num_interop_threads())\n"
    "from numba.np.ufunc import parallel\n"
    "assert not parallel._is_initialized\n"
)


def test_threads_of_torch_and_numba_are_left_alone() -> None:
    pytest.importorskip("torch")
    result = subprocess.run(
        [sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=240, check=False
    )
    assert result.returncode == 0, result.stderr


def test_nothing_writable_at_all_compiles_in_every_process(tmp_path: Path, monkeypatch) -> None:
    wall = tmp_path / "file"
    wall.write_text("no folder")
    monkeypatch.setattr(compiling, "_bases", lambda: iter([(wall / "a",), (wall / "b",)]))
    compiling.kernel_folder.cache_clear()
    try:
        assert compiling.kernel_folder() is None
        double = compiling.kernel(_double)
        assert double(2.0) == 4.0
    finally:
        compiling.kernel_folder.cache_clear()


def _double(x):
    return 2.0 * x


def _total(x):
    total = 0.0
    for value in x:
        total += value
    return total


def test_processes_that_save_at_once_mix_up_no_signatures(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compiling, "kernel_folder", lambda _: tmp_path)
    single, double = (np.ones(10, dtype) for dtype in (np.float32, np.float64))
    first, second = compiling.kernel(_total), compiling.kernel(_total)
    files = second._cache._cache_file
    monkeypatch.setattr(files, "_load_index", dict)  # read before the first had saved
    assert first(single) == second(double) == 10.0
    names = {path.name for path in tmp_path.rglob("*.nbc")}
    assert len(names) == 2
    third = compiling.kernel(_total)
    assert third(single) == third(double) == 10.0
    assert third.stats.cache_hits.total() == 1  # what the first saved is lost from the index only


def test_compiled_code_is_found_again(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(compiling, "kernel_folder", lambda _: tmp_path)
    arrays = [np.ones((4,) * n, dtype) for n in (1, 2) for dtype in (np.float32, np.float64)]
    for x in arrays:
        compiling.kernel(_size)(x)
    again = compiling.kernel(_size)
    assert [again(x) for x in arrays] == [4, 4, 16, 16]
    assert again.stats.cache_hits.total() == len(arrays)
    assert not again.stats.cache_misses


def _size(x):
    return x.size


def test_other_sources_have_another_folder(monkeypatch) -> None:
    before = compiling._sources_hash("featx")
    read = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda self: read(self) + (b"#" if self.name == "stages.py" else b"")
    )
    assert compiling._sources_hash("featx") != before


def test_warming_computes_every_front_end() -> None:
    program = "featx.cli.doctor_children:compile_kernels"
    with Child(program, answers=[Answer], environment={"FEATX_LANES": "0"}) as child:
        answer = child.receive(seconds=280)
    assert answer.values["front_ends"] > 20
    assert answer.values["lanes"] == 0


# ---------------------------------------------------------------- kernels of plugins
PLUGIN = {
    "__init__.py": "",
    "kernels.py": """
from featx.kernels import kernel
from plugin_of_a_test.helpers import scaled


@kernel
def scale_kernel(x, out):
    for i in range(x.shape[0]):
        out[i] = scaled(x[i])
""",
    "helpers.py": """
from featx.kernels import part


@part
def scaled(value):
    return 2.0 * value
""",
}

#: Calls the kernel and prints its result, and how often compiled code was found and made.
CALL = """
import numpy as np
from plugin_of_a_test.kernels import scale_kernel
out = np.zeros(3)
scale_kernel(np.ones(3), out)
stats = scale_kernel.stats
print(out[0], sum(stats.cache_hits.values()), sum(stats.cache_misses.values()))
"""


def call_plugin(folder: Path, cache: Path) -> list[float]:
    environment = {**os.environ, "FEATX_CACHE": str(cache), "PYTHONPATH": str(folder)}
    environment.pop("NUMBA_CACHE_DIR", None)
    result = subprocess.run(
        [sys.executable, "-c", CALL], env=environment, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return [float(word) for word in result.stdout.split()]


@pytest.mark.skipif("NUMBA_DISABLE_JIT" in os.environ, reason="nothing is compiled")
def test_kernels_of_a_plugin_are_kept_until_its_sources_change(tmp_path: Path) -> None:
    package, cache = tmp_path / "plugin_of_a_test", tmp_path / "cache"
    package.mkdir()
    for name, text in PLUGIN.items():
        (package / name).write_text(text)
    assert call_plugin(tmp_path, cache) == [2.0, 0, 1]
    assert call_plugin(tmp_path, cache) == [2.0, 1, 0]
    # the kernel itself stays as it is: numba alone would find the stale code
    (package / "helpers.py").write_text(PLUGIN["helpers.py"].replace("2.0", "3.0"))
    assert call_plugin(tmp_path, cache) == [3.0, 0, 1]
    names = sorted(path.name for path in cache.iterdir())
    assert [name.rpartition("-")[0] for name in names] == ["kernels-plugin_of_a_test"] * 2


def test_a_function_without_a_file_is_compiled_in_every_process() -> None:
    from featx.kernels import kernel

    scope: dict = {}
    exec("def add_one(x, out):\n    out[0] = x[0] + 1.0", scope)
    scope["add_one"].__module__ = "__main__"
    out = np.zeros(1)
    kernel(scope["add_one"])(np.ones(1), out)
    assert out[0] == 2.0
