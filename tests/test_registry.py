from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_plugins import BROKEN, GOOD, install

from featx import PluginError
from featx.registry import Registry, import_object, load_registry, normalise


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on sys.path whose plugins and modules vanish with the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delenv("FEATX_DISABLE_PLUGINS", raising=False)
    monkeypatch.delenv("FEATX_RAISE_PLUGIN_ERRORS", raising=False)
    yield folder
    for name in [name for name in set(sys.modules) - before if name.startswith(("dummy", "other"))]:
        del sys.modules[name]


def record(registry: Registry, plugin: str):
    (found,) = [item for item in registry.plugins if item.name == plugin]
    return found


def featx(site: Path, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "featx.cli", *args],
        env={**os.environ, "PYTHONPATH": str(site), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("how", BROKEN)
def test_broken_plugin_is_listed_with_reason(site, how):
    source, reason = BROKEN[how]
    install(site, how, source)
    install(site, "fine", GOOD)
    registry = load_registry()
    assert record(registry, how).status == "broken"
    assert reason in record(registry, how).reason
    assert record(registry, "fine").status == "ok"
    assert registry.extractor("fine").full_name == "dummy-fine:fine"


def test_broken_plugins_leave_every_command_working(site):
    for how, (source, _) in BROKEN.items():
        install(site, how, source)
    install(site, "fine", GOOD)
    done = featx(site, "plugins", "--json")
    assert done.returncode == 0, done.stderr
    status = {item["name"]: item["status"] for item in json.loads(done.stdout)}
    assert status["fine"] == "ok"
    assert {status[how] for how in BROKEN} == {"broken"}
    assert featx(site, "--help").returncode == 0


def test_printing_plugin_does_not_spoil_json(site):
    install(site, "loud", "print('hello')\n" + GOOD)
    done = featx(site, "plugins", "--json")
    json.loads(done.stdout)
    assert "hello" in done.stderr


def test_plugin_that_kills_the_interpreter_is_escaped_by_no_plugin(site):
    install(site, "killer", "import os\nos._exit(9)")
    assert featx(site, "plugins").returncode == 9
    for args in (["plugins", "--no-plugin", "killer"], ["--no-plugin", "dummy-killer", "plugins"]):
        done = featx(site, *args)
        assert done.returncode == 0, done.stderr
        assert "disabled by --no-plugin" in done.stdout


@pytest.mark.parametrize("name", ["killer", "dummy-killer", "Dummy_Killer", "other,killer"])
def test_environment_switches_plugins_off(site, monkeypatch, name):
    install(site, "killer", "import os\nos._exit(9)")
    monkeypatch.setenv("FEATX_DISABLE_PLUGINS", name)
    found = record(load_registry(), "killer")
    assert (found.status, found.reason) == ("disabled", "disabled by FEATX_DISABLE_PLUGINS")


def test_environment_switches_every_plugin_off(site, monkeypatch):
    install(site, "killer", "import os\nos._exit(9)")
    monkeypatch.setenv("FEATX_DISABLE_PLUGINS", "all")
    assert {item.status for item in load_registry().plugins} == {"disabled"}


@pytest.mark.parametrize("name", ["fine", "dummy-fine", "missing, Dummy_Fine"])
def test_environment_names_the_only_plugins(site, monkeypatch, name):
    install(site, "killer", "import os\nos._exit(9)")
    install(site, "fine", GOOD)
    monkeypatch.setenv("FEATX_ENABLE_PLUGINS", name)
    registry = load_registry()
    assert [item.name for item in registry.plugins if item.status == "ok"] == ["fine"]
    assert "FEATX_ENABLE_PLUGINS" in record(registry, "killer").reason


def test_switching_off_an_unknown_plugin_is_an_error(site):
    install(site, "fine", GOOD)
    with pytest.raises(PluginError, match=r"got 'fime'\. Did you mean 'fine'"):
        load_registry(disabled=["fime"])


def test_raise_plugin_errors_raises_the_cause(site, monkeypatch):
    install(site, "import-fails", BROKEN["import-fails"][0])
    monkeypatch.setenv("FEATX_RAISE_PLUGIN_ERRORS", "1")
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        load_registry()


@pytest.mark.parametrize("how", ["exits", "unmarked"])
def test_raise_plugin_errors_names_the_plugin(site, monkeypatch, how):
    install(site, how, BROKEN[how][0])
    monkeypatch.setenv("FEATX_RAISE_PLUGIN_ERRORS", "1")
    with pytest.raises(PluginError, match=f"plugin '{how}'"):
        load_registry()


def test_interrupt_during_import_passes_and_names_the_plugin(site):
    install(site, "slow", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt) as caught:
        load_registry()
    assert "--no-plugin slow" in caught.value.__notes__[0]


def test_clash_of_short_names_gives_it_to_neither(site):
    install(site, "same", GOOD)
    install(site, "same", GOOD, distribution="Other.Plugin_x")
    registry = load_registry()
    with pytest.raises(PluginError, match="'dummy-same:same' and 'other-plugin-x:same'"):
        registry.extractor("same")
    assert registry.extractor("dummy-same:same").distribution == "dummy-same"
    assert registry.extractor("Other.Plugin_x:same").full_name == "other-plugin-x:same"
    assert registry.shortest_name("dummy-same:same") == "dummy-same:same"


def test_clash_inside_one_distribution_breaks_the_second_plugin(site):
    install(site, "aaa", GOOD, distribution="dummy-two")
    install(site, "bbb", GOOD.replace("{name!r}", "'aaa'"), distribution="dummy-two")
    registry = load_registry()
    assert record(registry, "aaa").status == "ok"
    assert "plugin 'aaa' of the same distribution" in record(registry, "bbb").reason


def test_unknown_extractor_suggests_the_nearest(site):
    install(site, "trumpets", GOOD)
    with pytest.raises(PluginError) as caught:
        load_registry().extractor("trupmets")
    assert str(caught.value) == ("no extractor is called 'trupmets'. Did you mean 'trumpets'?")


@pytest.mark.parametrize(
    ("name", "plugins"),
    [
        ("dummy-trumpets:trumpets", {"trumpets"}),
        ("Dummy_Trumpets:trombones", {"trumpets"}),
        ("trumpets", {"trumpets", "fine"}),
        ("dummy-trombones:trombones", {"trumpets", "fine"}),
    ],
)
def test_a_full_name_loads_its_distribution_alone(site, name, plugins):
    install(site, "trumpets", GOOD)
    install(site, "fine", GOOD)
    loaded = {item.name for item in load_registry(name=name).plugins}
    assert loaded & {"trumpets", "fine"} == plugins


def test_unknown_extractor_suggests_one_whose_name_holds_the_word(site):
    install(site, "trumpet-level-db", GOOD)
    with pytest.raises(PluginError, match="Did you mean 'trumpet-level-db'"):
        load_registry().extractor("level")


@pytest.mark.parametrize("name", ["horns", "dummy-brass:horns", "brass"])
def test_extractor_for_another_api_is_answered_with_the_api(site, name):
    source = GOOD.replace("api=1", "api=99").replace("{name!r}", "'horns'")
    install(site, "brass", source)
    with pytest.raises(
        PluginError, match=r"needs api 99, this featx supports api 1\. Upgrade featx"
    ):
        load_registry().extractor(name)


@pytest.mark.parametrize("name", ["duplicates", "dummy-duplicates:duplicates"])
def test_extractor_of_a_broken_plugin_is_answered_with_the_reason(site, name):
    install(site, "duplicates", BROKEN["duplicates"][0])
    with pytest.raises(PluginError, match="is broken: featx_extractors returns"):
        load_registry().extractor(name)


def test_damaged_metadata_of_one_distribution_hides_no_other(site):
    install(site, "damaged", GOOD)
    install(site, "fine", GOOD)
    (site / "dummy_damaged-1.0.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe[featx]\n")
    registry = load_registry()
    assert registry.extractor("fine").distribution == "dummy-fine"
    assert "entry_points.txt cannot be read" in record(registry, "dummy-damaged").reason


def test_first_distribution_on_the_path_hides_later_ones(site, tmp_path, monkeypatch):
    install(site, "shadowed", GOOD, version="1.0")
    install(tmp_path / "early", "shadowed", GOOD, version="2.0")
    monkeypatch.syspath_prepend(str(tmp_path / "early"))
    assert record(load_registry(), "shadowed").version == "2.0"


def test_normalise_follows_package_indexes():
    assert normalise("My.Plugin__x") == "my-plugin-x"


def test_import_object_returns_the_attribute():
    assert import_object("featx.errors:PluginError") is PluginError


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("featx.errors", "must be 'package.module:attribute'"),
        ("featx.nowhere:x", "'featx.nowhere' does not exist"),
        ("featx.errors:nothing", "featx.errors has no 'nothing'"),
    ],
)
def test_import_object_says_what_is_missing(path, reason):
    with pytest.raises(PluginError, match=reason):
        import_object(path)


def test_import_object_names_a_missing_extra(site):
    (site / "dummy_extra.py").write_text("import no_such_package.part")
    with pytest.raises(PluginError, match="pip install no_such_package"):
        import_object("dummy_extra:x")
